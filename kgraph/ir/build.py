"""The builder: appends ops to a function in the making; equal ops are made once."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from numpy.typing import ArrayLike

from kgraph.ir.dims import Size
from kgraph.ir.graph import OPS, Function, Op, Param, Value
from kgraph.ir.literal import Literal
from kgraph.ir.location import NOWHERE, Location
from kgraph.ir.types import TensorType


class Builder:
    """Collects parameters and ops. Every op of the table is a method by its name.

    `b.add(x, y)` is `b.append(Add(x, y))`; names that Python reserves end in an underscore
    (`b.and_`). A method gives the op's result, or a tuple where the op has several. A builder dies
    when its function is made, so nothing mutable outlives it.
    """

    def __init__(self) -> None:
        self.params: list[Value] = []
        self.ops: list[Op] = []
        self.location: Location = NOWHERE
        self._made: dict[tuple[object, ...], Op] = {}
        self._labels: dict[str, int] = {}  # of parameters, with the last number behind each

    def __getattr__(self, name: str) -> Callable[..., Any]:
        cls = OPS.get(name.rstrip("_") if keyword.iskeyword(name.rstrip("_")) else name)
        if cls is None:
            raise AttributeError(f"there is no op called {name!r}")

        def make(
            self: Builder, *args: Any, **kwargs: Any
        ) -> Any:  # the op class checks its own fields
            results = self.append(cls(*args, **kwargs))
            return results[0] if len(results) == 1 else results

        setattr(Builder, name, make)  # the next call finds it without coming here
        method: Callable[..., Any] = make.__get__(self)
        return method

    def append(self, op: Op) -> tuple[Value, ...]:
        """Takes the op, or finds its equal; gives the results."""
        key = op.key()
        same = self._made.get(key)
        if same is None:
            self._made[key] = same = op.located(self.location)
            self.ops.append(op)
        return same.results

    def param(self, label: str, type_: TensorType) -> Value:
        """A new parameter; labels are made unique by a number behind them."""
        if len(self._labels) < len(self.params):  # some were put there by hand
            self._labels.update(dict.fromkeys([p.op.__dict__["label"] for p in self.params], 0))
        unique, n = label, self._labels.get(label, 0)
        while unique in self._labels:
            n += 1
            unique = f"{label}_{n}"
        self._labels[label] = n
        self._labels.setdefault(unique, 0)
        self.params.append(Param(unique, type_).located(self.location).result)
        return self.params[-1]

    def function(self, *results: Value, name: str = "") -> Function:
        """The function of all that was collected."""
        return Function(tuple(self.params), tuple(self.ops), results, name)

    @contextmanager
    def at(self, location: Location) -> Iterator[None]:
        """New ops get this location."""
        before, self.location = self.location, location
        try:
            yield
        finally:
            self.location = before

    def inline(self, fn: Function, args: Sequence[Value]) -> tuple[Value, ...]:
        """The ops of `fn` over `args`; the results."""
        env: dict[Value, Value] = dict(zip(fn.params, args, strict=True))
        for op in fn.ops:
            env.update(
                zip(
                    op.results,
                    self.append(op.with_operands(tuple([env[v] for v in op.operands]))),
                    strict=True,
                )
            )
        return tuple([env[v] for v in fn.results])

    # ---- what is written often ----

    def constant(self, value: ArrayLike | Literal, dtype: str | None = None) -> Value:
        """A number or a small array."""
        literal = value if isinstance(value, Literal) else Literal.of(value, dtype)
        return self.append(OPS["constant"](literal))[0]  # type: ignore[call-arg]  # Constant's one field

    def splat(self, value: ArrayLike, type_: TensorType) -> Value:
        """A tensor of one number."""
        return self.broadcast(self.constant(value, type_.dtype), type_.shape)

    def broadcast(self, x: Value, shape: tuple[Size, ...], dims: tuple[int, ...] = ()) -> Value:
        """`broadcast_in_dim`, or `x` itself where nothing is to be done."""
        if x.shape == shape and dims in ((), tuple(range(len(shape)))):
            return x
        result: Value = self.broadcast_in_dim(x, shape, dims)
        return result

    def cast(self, x: Value, dtype: str) -> Value:
        """`convert`, or `x` itself."""
        if x.dtype == dtype:
            return x
        result: Value = self.convert(x, dtype)
        return result
