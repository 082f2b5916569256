"""What user code sees of a value inside a trace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from kgraph.ir import INTEGERS, Array, KGraphError, Shape, Size, Value, product
from kgraph.ops._operators import FUNCTIONS, Operators

if TYPE_CHECKING:
    from kgraph.ops._trace import Trace

__all__ = ["Tensor", "TraceError"]


class TraceError(KGraphError, TypeError):
    """A symbolic tensor was used in a way that only numbers can be."""


class Tensor(Operators):
    """A value of the program that is being traced. Made by traces only.

    `shape` holds ints and symbolic sizes (`Dim`), which may be used as numbers; `dtype` is a name.
    """

    __slots__ = ("__weakref__", "_keras_mask", "trace", "value")

    def __init__(self, value: Value, trace: Trace) -> None:
        self.value, self.trace = value, trace
        self._keras_mask: Any = None

    @property
    def shape(self) -> Shape:
        """The sizes: ints, or Dims where only the running program knows them."""
        return self.value.type.shape

    @property
    def dtype(self) -> str:
        """The name of the dtype."""
        return self.value.type.dtype

    @property
    def ndim(self) -> int:
        """The number of dims."""
        return len(self.value.type.shape)

    @property
    def size(self) -> Size:
        """The number of elements."""
        return product(self.shape)

    @property
    def T(self) -> Any:
        """The transpose."""
        return FUNCTIONS["transpose"](self)

    def reshape(self, *shape: Any) -> Any:
        """The elements in another shape."""
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        return FUNCTIONS["reshape"](self, wanted)

    def astype(self, dtype: Any) -> Any:
        """The elements in another dtype."""
        return FUNCTIONS["cast"](self, dtype)

    def __and__(self, other: Any) -> Any:
        return FUNCTIONS[self._logic("and")](self, other)

    def __or__(self, other: Any) -> Any:
        return FUNCTIONS[self._logic("or")](self, other)

    def __xor__(self, other: Any) -> Any:
        return FUNCTIONS[self._logic("xor")](self, other)

    def __invert__(self) -> Any:
        return FUNCTIONS[self._logic("not")](self)

    def _logic(self, kind: str) -> str:
        return f"bitwise_{kind}" if self.dtype in INTEGERS else f"logical_{kind}"

    def __lshift__(self, other: Any) -> Any:
        return FUNCTIONS["bitwise_left_shift"](self, other)

    def __rshift__(self, other: Any) -> Any:
        return FUNCTIONS["bitwise_right_shift"](self, other)

    def __repr__(self) -> str:
        array = self.trace.array_of(self.value)
        return f"<Tensor {self.value.type}>" if array is None else f"<Tensor {array!r}>"

    # ---- where Python wants a number: only a trace that also evaluates has one ----

    def numpy(self) -> Array:
        """The numbers, where the trace runs eagerly."""
        return self._array("its numbers").copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        found = self._array("a numpy array")
        return found.copy() if dtype is None else found.astype(dtype)

    def __bool__(self) -> bool:
        return bool(self._array("its truth (`if`, `while`, `and`, `assert`)"))

    def __int__(self) -> int:
        return int(self._array("an int"))

    def __index__(self) -> int:
        return self._array("an index").__index__()

    def __float__(self) -> float:
        return float(self._array("a float"))

    def item(self) -> Any:
        """The only element as a Python number, where the trace runs eagerly."""
        return self._array("a number").item()

    def tolist(self) -> Any:
        """The elements as nested lists, where the trace runs eagerly."""
        return self._array("a list").tolist()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a tensor of rank 0 has no length")
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("a tensor of rank 0 cannot be iterated")
        length = self.shape[0]
        if not isinstance(length, int):
            self._refuse("to be iterated")
        return iter([self[i] for i in range(length)])

    def __contains__(self, item: object) -> bool:
        return bool(FUNCTIONS["any"](FUNCTIONS["equal"](self, item)))

    def _array(self, what: str) -> Array:
        found = self.trace.array_of(self.value)
        if found is None:
            self._refuse(f"to give {what}")
        return found

    def escaped(self) -> str:
        """What to say of a tensor whose trace has ended."""
        made = str(self.value.op.location)
        return (
            f"The tensor {self.value.type}{f' (made at {made})' if made else ''} was used after "
            "its trace had ended. Return it from the traced function, or keep it in a Variable."
        )

    def _refuse(self, what: str) -> NoReturn:
        if not self.trace.alive:
            raise TraceError(self.escaped())
        raise TraceError(
            f"The tensor {self.value.type} was asked {what} while a program is traced, but its "
            "numbers are known only when the program runs. In place of Python's control flow use "
            "ops.cond, ops.where, ops.while_loop, ops.fori_loop or ops.scan; to look at numbers, "
            "return them from the function or run with run_eagerly=True."
        )
