"""A function as an XLA program, compiled once for each set of sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

import jax
from jax import lax
from kgraph.codegen.arrays import accept_array
from kgraph.codegen.base import Array
from kgraph.codegen.jax import lowering
from kgraph.codegen.signals import uninterrupted
from kgraph.ir import Function, TensorType, bind, numpy_dtype


class JaxExecutable:
    """Jits `fn` for the sizes that it meets.

    64-bit types are real; the process's JAX configuration is left alone.

    Args:
        fn: the function.
        tf32: whether contractions may round their operands.
        donate: result -> the parameter that it replaces: the program takes over its memory.
    """

    def __init__(self, fn: Function, tf32: bool, donate: Mapping[int, int] | None = None) -> None:
        self.fn = fn
        self._precision = lax.Precision.DEFAULT if tf32 else lax.Precision.HIGHEST
        self._donate = dict(donate or {})
        self._compiled: dict[tuple[tuple[str, int], ...], Any] = {}

    def accept(self, value: object, type_: TensorType, name: str) -> Array:
        """A jax array of the right dtype as it is; anything else as a numpy array of our own.

        XLA computes in the background and on CPUs reads numpy's memory where it lies: an array that
        the caller writes to after the call would change the results.
        """
        if isinstance(value, jax.Array) and value.dtype == numpy_dtype(type_.dtype):
            return value
        return accept_array(value, type_, name).copy()

    def run(
        self, arrays: list[Array], sizes: Mapping[str, int], in_place: bool = False
    ) -> tuple[Array, ...]:
        """The results, as jax arrays."""
        key = tuple(sorted(sizes.items()))
        if key not in self._compiled:
            with jax.enable_x64(True):
                found = self._jitted(sizes)
                if self._donate:
                    given = self._given_away(arrays, in_place)
                    _reserve(found.lower(*given).compile(), given)
                self._compiled[key] = found

        def call() -> tuple[Array, ...]:
            with jax.enable_x64(True):
                results = tuple(self._compiled[key](*self._given_away(arrays, in_place)))
            if in_place:
                for result, param in self._donate.items():
                    arrays[param] = results[result]
            return results

        # An exception from a signal's handler must not part the state from what replaces it, nor
        # leave jax's 64-bit types on.
        return uninterrupted(call)

    def _given_away(self, arrays: Sequence[Array], in_place: bool) -> list[Array]:
        """The arguments; copies for donated ones that are not jax's, are kept, or come twice."""
        given = list(arrays)
        if not self._donate:
            return given
        times = Counter(map(id, arrays))
        for param in self._donate.values():
            array = arrays[param]
            ours = in_place and isinstance(array, jax.Array)
            if not ours or times[id(array)] > 1:
                given[param] = jnp.array(array, copy=True)
        return given

    def _jitted(self, sizes: Mapping[str, int]) -> Any:
        fn = bind(self.fn, sizes) if sizes else self.fn

        def program(*arrays: Any) -> list[Any]:
            token = lowering.contraction_precision.set(self._precision)
            try:
                return lowering.run(fn, arrays)
            finally:
                lowering.contraction_precision.reset(token)

        program.__name__ = fn.name.replace(".", "_").replace("/", "_") or "program"
        return jax.jit(program, donate_argnums=tuple(self._donate.values()))


def _reserve(compiled: Any, arrays: Sequence[Array]) -> None:
    """Raises where the devices do not have the memory that the program will want.

    A program that fails halfway takes its donated arguments with it. What is missing shows here,
    while they are whole.
    """
    need = compiled.memory_analysis()
    if need is None:
        return
    size = need.temp_size_in_bytes + need.output_size_in_bytes - need.alias_size_in_bytes
    placed = [a.sharding for a in arrays if isinstance(a, jax.Array)]
    devices = {device for sharding in placed for device in sharding.addressable_devices}
    blocks = [jnp.empty(max(size, 0), jnp.uint8, device=device) for device in devices]
    jax.block_until_ready(blocks)
    for block in blocks:
        block.delete()
