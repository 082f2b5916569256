"""A function as an XLA program, compiled once for each set of sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
from jax import lax
from kgraph.codegen.arrays import accept_array
from kgraph.codegen.base import Array
from kgraph.codegen.jax import lowering
from kgraph.ir import Function, TensorType, bind, numpy_dtype


class JaxExecutable:
    """Jits `fn` for the sizes that it meets.

    64-bit types are real; the process's JAX configuration is left alone.
    """

    def __init__(self, fn: Function, tf32: bool) -> None:
        self.fn = fn
        self._precision = lax.Precision.DEFAULT if tf32 else lax.Precision.HIGHEST
        self._compiled: dict[tuple[tuple[str, int], ...], Any] = {}

    def accept(self, value: object, type_: TensorType, name: str) -> Array:
        """A jax array of the right dtype as it is; anything else as a numpy array of our own.

        XLA computes in the background and on CPUs reads numpy's memory where it lies: an array that
        the caller writes to after the call would change the results.
        """
        if isinstance(value, jax.Array) and value.dtype == numpy_dtype(type_.dtype):
            return value
        return accept_array(value, type_, name).copy()

    def run(self, arrays: Sequence[Array], sizes: Mapping[str, int]) -> tuple[Array, ...]:
        """The results, as jax arrays."""
        key = tuple(sorted(sizes.items()))
        with jax.enable_x64(True):
            found = self._compiled.get(key)
            if found is None:
                found = self._compiled[key] = self._jitted(sizes)
            return tuple(found(*arrays))

    def _jitted(self, sizes: Mapping[str, int]) -> Any:
        fn = bind(self.fn, sizes) if sizes else self.fn

        def program(*arrays: Any) -> list[Any]:
            token = lowering.contraction_precision.set(self._precision)
            try:
                return lowering.run(fn, arrays)
            finally:
                lowering.contraction_precision.reset(token)

        program.__name__ = fn.name.replace(".", "_").replace("/", "_") or "program"
        return jax.jit(program)
