"""The NaN finder: a run that makes a NaN ends in an error that names the op, `KGRAPH_FIND_NAN`."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence

import numpy as np

from kgraph.codegen import Array, Probe
from kgraph.ir import KGraphError, TensorType
from kgraph.runtime.native import NativeRunner


class NanError(KGraphError, FloatingPointError):
    """An op gave a NaN. The state is that before the run."""


class NanRunner:
    """A runner whose code looks for NaN behind each op; one call at a time."""

    plain = True

    def __init__(self, runner: NativeRunner, names: Sequence[str]) -> None:
        self._runner, self._names = runner, names
        self._word = ctypes.c_int64.from_address(runner.probes_address)
        self._lock = threading.Lock()

    def accept(self, value: object, type_: TensorType, name: str) -> Array:
        return self._runner.accept(value, type_, name)

    def run(
        self,
        state: Sequence[Array],
        inputs: Sequence[Array],
        sizes: Mapping[str, int],
        in_place: bool,
    ) -> tuple[Array, ...]:
        with self._lock:
            self._word.value = 0
            results = self._runner.run(state, inputs, sizes, in_place)
            number = self._word.value
        if number:
            raise NanError(self._message(self._runner.image.probes[number - 1], [*state, *inputs]))
        return results

    def _message(self, op: Probe, arguments: Sequence[Array]) -> str:
        where = ", ".join(part for part in (op.path and f"layer {op.path}", op.line) if part)
        pairs = zip(self._names, arguments, strict=True)
        given = ", ".join(name for name, array in pairs if _has_nan(array))
        source = f"NaN came in with {given}" if given else "no argument has one"
        place = f" of {where}" if where else ""
        return f"the first NaN is in the result of {op.op} ({op.result}){place}; {source}"


def _has_nan(array: Array) -> bool:
    # ml_dtypes' floats have the kind V
    return array.dtype.kind in "fV" and bool(np.isnan(array.astype(np.float64)).any())
