"""Running ops at once: builders that evaluate on append, by each op's `reference`."""

from __future__ import annotations

import numpy as np

from kgraph.ir import Array, Builder, Op, Param, TensorType, Value, numpy_dtype

__all__ = ["Borrowed", "Concrete", "EagerBuilder", "RecordingBuilder"]

# Concrete values have no op behind them: a chain of eager calls must not keep its arrays alive.
_NO_OP = Param("concrete", TensorType((), "bool"))


class Concrete(Value):
    """A value with its array."""

    __slots__ = ("array",)

    def __init__(self, array: Array, type_: TensorType) -> None:
        super().__init__(_NO_OP, 0, type_)
        self.array = array


class Borrowed(Concrete):
    """A value whose array belongs to the user or to a variable."""

    __slots__ = ()


def _arrays(op: Op, operands: list[Array]) -> list[Array]:
    """The results of the op, checked against their types."""
    with np.errstate(all="ignore"):
        outs = op.reference(*operands)
    arrays = [np.asarray(a) for a in (outs if isinstance(outs, tuple) else (outs,))]
    for a, v in zip(arrays, op.results, strict=True):
        if a.dtype != numpy_dtype(v.type.dtype) or a.shape != v.type.shape:
            got = f"{a.dtype}{list(a.shape)}"
            raise AssertionError(f"{op.name}: the reference gave {got}, its type is {v.type}")
    return arrays


class EagerBuilder(Builder):
    """Evaluates each op and keeps nothing. All its values are `Concrete`."""

    def append(self, op: Op) -> tuple[Value, ...]:
        """Evaluates the op."""
        operands = [v.array for v in op.operands]  # type: ignore[attr-defined]  # Concrete
        results = []
        for array, v in zip(_arrays(op, operands), op.results, strict=True):
            same = any(array is x for x in operands)  # an op that gives its operand back
            results.append(Concrete(array.copy() if same else array, v.type))
        return tuple(results)


class RecordingBuilder(Builder):
    """Evaluates each op and keeps the graph too, so that gradients can be taken.

    Attributes:
        arrays: the array of each value.
    """

    def __init__(self) -> None:
        super().__init__()
        self.arrays: dict[Value, Array] = {}

    def append(self, op: Op) -> tuple[Value, ...]:
        """Takes the op, or finds its equal; evaluates a new one."""
        results = super().append(op)
        if results and results[0] not in self.arrays:
            arrays = _arrays(op, [self.arrays[v] for v in op.operands])
            self.arrays.update(zip(results, arrays, strict=True))
        return results
