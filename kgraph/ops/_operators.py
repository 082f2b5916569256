"""Python's operators on tensors, variables and Keras tensors: each calls the op of its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["FUNCTIONS", "Operators"]

FUNCTIONS: dict[str, Callable[..., Any]] = {}  # every public op by name


class Operators:
    """The operators. `==` compares element by element, so hashing is by identity."""

    __slots__ = ()

    __array_priority__ = 1000  # numpy's arrays leave an operator between them and us to us

    def __add__(self, other: Any) -> Any:
        return FUNCTIONS["add"](self, other)

    def __radd__(self, other: Any) -> Any:
        return FUNCTIONS["add"](other, self)

    def __sub__(self, other: Any) -> Any:
        return FUNCTIONS["subtract"](self, other)

    def __rsub__(self, other: Any) -> Any:
        return FUNCTIONS["subtract"](other, self)

    def __mul__(self, other: Any) -> Any:
        return FUNCTIONS["multiply"](self, other)

    def __rmul__(self, other: Any) -> Any:
        return FUNCTIONS["multiply"](other, self)

    def __truediv__(self, other: Any) -> Any:
        return FUNCTIONS["true_divide"](self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return FUNCTIONS["true_divide"](other, self)

    def __floordiv__(self, other: Any) -> Any:
        return FUNCTIONS["floor_divide"](self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return FUNCTIONS["floor_divide"](other, self)

    def __mod__(self, other: Any) -> Any:
        return FUNCTIONS["mod"](self, other)

    def __rmod__(self, other: Any) -> Any:
        return FUNCTIONS["mod"](other, self)

    def __pow__(self, other: Any) -> Any:
        return FUNCTIONS["power"](self, other)

    def __rpow__(self, other: Any) -> Any:
        return FUNCTIONS["power"](other, self)

    def __matmul__(self, other: Any) -> Any:
        return FUNCTIONS["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return FUNCTIONS["matmul"](other, self)

    def __neg__(self) -> Any:
        return FUNCTIONS["negative"](self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return FUNCTIONS["absolute"](self)

    def __invert__(self) -> Any:
        return FUNCTIONS["logical_not"](self)

    def __and__(self, other: Any) -> Any:
        return FUNCTIONS["logical_and"](self, other)

    def __rand__(self, other: Any) -> Any:
        return FUNCTIONS["logical_and"](other, self)

    def __or__(self, other: Any) -> Any:
        return FUNCTIONS["logical_or"](self, other)

    def __ror__(self, other: Any) -> Any:
        return FUNCTIONS["logical_or"](other, self)

    def __xor__(self, other: Any) -> Any:
        return FUNCTIONS["logical_xor"](self, other)

    def __rxor__(self, other: Any) -> Any:
        return FUNCTIONS["logical_xor"](other, self)

    def __lt__(self, other: Any) -> Any:
        return FUNCTIONS["less"](self, other)

    def __le__(self, other: Any) -> Any:
        return FUNCTIONS["less_equal"](self, other)

    def __gt__(self, other: Any) -> Any:
        return FUNCTIONS["greater"](self, other)

    def __ge__(self, other: Any) -> Any:
        return FUNCTIONS["greater_equal"](self, other)

    def __eq__(self, other: object) -> Any:
        return FUNCTIONS["equal"](self, other)

    def __ne__(self, other: object) -> Any:
        return FUNCTIONS["not_equal"](self, other)

    def __hash__(self) -> int:
        return id(self)

    def __getitem__(self, key: Any) -> Any:
        return FUNCTIONS["get_item"](self, key)

    def __round__(self, ndigits: int | None = None) -> Any:
        return FUNCTIONS["round"](self, decimals=ndigits or 0)
