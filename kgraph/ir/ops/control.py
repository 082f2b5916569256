"""Ops with regions: closed functions whose parameters stand in the order of the op's operands.

Only `passes.autodiff` differentiates `if`, `case`, `scan` and `custom_vjp`, because their gradients
differentiate functions; none of these ops has a `vjp` of its own. `fusion` and `batched` are made
after differentiation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.bind import bind, bind_type
from kgraph.ir.dims import Shape, Size, symbols_of
from kgraph.ir.errors import NotDifferentiableError
from kgraph.ir.evaluate import run
from kgraph.ir.graph import Array, Function, Op, Value
from kgraph.ir.ops.blocks import combined, combined_moments
from kgraph.ir.ops.common import KINDS
from kgraph.ir.types import TensorType, numpy_dtype

if TYPE_CHECKING:
    from kgraph.ir.build import Builder

_BLOCK = "block"  # the symbol of a batched body that stands for its number of samples


def _types(values: tuple[Value, ...]) -> tuple[TensorType, ...]:
    return tuple([v.type for v in values])


class _Regions(Op, abstract=True):
    """What ops with regions check."""

    def _takes(self, label: str, region: Function, types: tuple[TensorType, ...]) -> None:
        if _types(region.params) != types:
            raise self.error(label, f"{region!r} must take {types}")

    def _gives(self, label: str, region: Function, types: tuple[TensorType, ...]) -> None:
        if _types(region.results) != types:
            raise self.error(label, f"{region!r} must give {types}; got {_types(region.results)}")


class While(_Regions):
    """Replaces values, at first `init`, by `body` of them, as long as `cond` of them is true.

    C1  `cond` and `body` take the values, then the captures.
    C2  `cond` gives a bool scalar.
    C3  `body` gives the types of `init`.
    """

    init: tuple[Value, ...]
    captures: tuple[Value, ...]
    cond: Function
    body: Function

    def infer(self) -> tuple[TensorType, ...]:
        types = _types(self.init)
        for region in (self.cond, self.body):
            self._takes("C1", region, types + _types(self.captures))
        self._gives("C2", self.cond, (TensorType((), "bool"),))
        self._gives("C3", self.body, types)
        return types

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        values, captures = list(arrays[: len(self.init)]), arrays[len(self.init) :]
        while run(self.cond, [*values, *captures])[0]:
            values = run(self.body, [*values, *captures])
        return tuple(values)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        raise NotDifferentiableError(
            "while has no reverse-mode gradient, because the number of its steps is not known "
            "before it runs; use scan"
        )


class If(_Regions):
    """`then` of the captures where `pred` is true, otherwise `orelse`; only one of the two runs.

    C1  `pred` is a bool scalar.
    C2  Both regions take the captures.
    C3  Both give the same types.
    """

    pred: Value
    captures: tuple[Value, ...]
    then: Function
    orelse: Function

    def infer(self) -> tuple[TensorType, ...]:
        if self.pred.type is not TensorType((), "bool"):
            raise self.error("C1", f"`pred` must be bool[]; got {self.pred.type}")
        for region in (self.then, self.orelse):
            self._takes("C2", region, _types(self.captures))
            self._gives("C3", region, _types(self.then.results))
        return _types(self.then.results)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        pred, *captures = arrays
        return tuple(run(self.then if pred else self.orelse, captures))


class Case(_Regions):
    """Branch number `index` of the captures; the last one for an index out of range.

    C1  `index` is an int32 scalar.
    C2  There is a branch, and each takes the captures.
    C3  All branches give the same types.
    """

    index: Value
    captures: tuple[Value, ...]
    branches: tuple[Function, ...]

    def infer(self) -> tuple[TensorType, ...]:
        if self.index.type is not TensorType((), "int32"):
            raise self.error("C1", f"`index` must be i32[]; got {self.index.type}")
        if not self.branches:
            raise self.error("C2", "expected at least one branch")
        for region in self.branches:
            self._takes("C2", region, _types(self.captures))
            self._gives("C3", region, _types(self.branches[0].results))
        return _types(self.branches[0].results)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        index, *captures = arrays
        i = int(index) if 0 <= int(index) < len(self.branches) else -1
        return tuple(run(self.branches[i], captures))


class Scan(_Regions):
    """Runs `body` for each index of dim 0 of `xs`, the last one first where `reverse`.

    `body` takes the carries, which start as `init`, the slice of each x, and the captures; it gives
    the carries for the next step and slices of results. The results are the last carries, then the
    slices stacked along a new dim 0, each at the index of its step.

    C1  Each x has `length` as its dim 0.
    C2  `body` takes the carries, a slice of each x, and the captures.
    C3  `body` gives the carries first, in their types.
    """

    init: tuple[Value, ...]
    xs: tuple[Value, ...]
    captures: tuple[Value, ...]
    length: Size
    reverse: bool
    body: Function

    def infer(self) -> tuple[TensorType, ...]:
        for x in self.xs:
            if not x.type.rank or x.shape[0] != self.length:
                raise self.error(
                    "C1", f"`xs` must have the length {self.length} as dim 0; got {x.type}"
                )
        carries = _types(self.init)
        slices = tuple([x.type.with_shape(x.shape[1:]) for x in self.xs])
        self._takes("C2", self.body, carries + slices + _types(self.captures))
        given = _types(self.body.results)
        if given[: len(carries)] != carries:
            raise self.error(
                "C3", f"{self.body!r} must give the carries {carries} first; got {given}"
            )
        return (*carries, *[t.with_shape((self.length, *t.shape)) for t in given[len(carries) :]])

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        n, m, length = len(self.init), len(self.init) + len(self.xs), int(self.length)
        carries, xs, captures = list(arrays[:n]), arrays[n:m], arrays[m:]
        stacked = [
            np.empty([int(d) for d in v.shape], numpy_dtype(v.dtype)) for v in self.results[n:]
        ]
        for t in reversed(range(length)) if self.reverse else range(length):
            given = run(self.body, [*carries, *[x[t] for x in xs], *captures])
            carries = given[:n]
            for rows, y in zip(stacked, given[n:], strict=True):
                rows[t] = y
        return (*carries, *stacked)


class CustomVjp(_Regions):
    """`forward` of the inputs, whose gradient is given by `backward`.

    `backward` takes the inputs and the gradients of all results; it gives a gradient for each
    input. Those of results or inputs that are no floats are zeros that nobody reads.

    C1  `forward` takes the inputs.
    C2  `backward` takes the inputs and a value of the type of each result.
    C3  `backward` gives a value of the type of each input.
    """

    inputs: tuple[Value, ...]
    forward: Function
    backward: Function

    def infer(self) -> tuple[TensorType, ...]:
        takes, gives = _types(self.inputs), _types(self.forward.results)
        self._takes("C1", self.forward, takes)
        self._takes("C2", self.backward, takes + gives)
        self._gives("C3", self.backward, takes)
        return gives

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        return tuple(run(self.forward, arrays))

    def decompose(self, b: Builder) -> tuple[Value, ...]:
        return b.inline(self.forward, self.inputs)


class Fusion(_Regions):
    """`body` of the inputs, computed by one kernel.

    C1  `body` takes the inputs.
    """

    inputs: tuple[Value, ...]
    body: Function

    def infer(self) -> tuple[TensorType, ...]:
        self._takes("C1", self.body, _types(self.inputs))
        return _types(self.body.results)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        return tuple(run(self.body, arrays))

    def decompose(self, b: Builder) -> tuple[Value, ...]:
        return b.inline(self.body, self.inputs)


class Batched(_Regions):
    """Runs `body` on blocks of `block` samples; the last block may have fewer.

    `body` is written in the symbol `block`. Its first parameter is the index of the block's first
    sample, its others take the inputs: rows of dim `takes[k]`, a multiple of `over` (the number of
    samples), or all of an input where `takes[k]` is -1. Result k is written to its rows of dim d
    where `gives[k]` is `("rows", d)`; otherwise the results of the blocks are combined by its kind,
    over at most 8 contiguous chunks of blocks in order, then by a balanced tree of neighbours. Two
    neighbouring results `("moments", 0)` are a mean and its variance, which combine together.

    C1  `block` is at least 1.
    C2  `takes` has an entry for each input, and `gives` one for each result of `body`.
    C3  `body` takes an int32 scalar, then the inputs with `block` in place of `over` in dim
        `takes[k]` alone.
    C4  Each entry of `gives` is rows of a dim that is a multiple of `block`, or a kind of
        combination and 0.
    C5  Moments come in pairs of one type.
    """

    inputs: tuple[Value, ...]
    over: Size
    block: int
    takes: tuple[int, ...]
    gives: tuple[tuple[str, int], ...]
    body: Function

    def infer(self) -> tuple[TensorType, ...]:
        if self.block < 1:
            raise self.error("C1", f"`block` must be at least 1; got {self.block}")
        if len(self.takes) != len(self.inputs) or len(self.gives) != len(self.body.results):
            raise self.error(
                "C2",
                f"{self.body!r} and {len(self.inputs)} inputs; got {self.takes} and {self.gives}",
            )
        sizes = {_BLOCK: self.over}
        whole = tuple([bind_type(p.type, sizes) for p in self.body.params])
        if whole != (TensorType((), "int32"), *_types(self.inputs)):
            raise self.error(
                "C3", f"{self.body!r} must take i32[] and {_types(self.inputs)}; got {whole}"
            )
        for p, d in zip(self.body.params[1:], self.takes, strict=True):
            if _blocked(p.shape) != ([] if d == -1 else [d]):
                raise self.error(
                    "C3", f"takes={self.takes} must name the dims with `block` of {self.body!r}"
                )
        for v, (kind, d) in zip(self.body.results, self.gives, strict=True):
            if (kind not in ("rows", "moments", *KINDS)) or _blocked(v.shape) != (
                [d] if kind == "rows" else []
            ):
                raise self.error(
                    "C4", f"the result {v.type} of a block cannot be given as {(kind, d)}"
                )
        if not self._paired():
            raise self.error(
                "C5", f"moments must be pairs of a mean and its variance; got {self.gives}"
            )
        return tuple([bind_type(v.type, sizes) for v in self.body.results])

    def _paired(self) -> bool:
        i, results = 0, self.body.results
        while i < len(results):
            if self.gives[i][0] != "moments":
                i += 1
                continue
            if (
                self.gives[i : i + 2] != (("moments", 0),) * 2
                or results[i].type is not results[i + 1].type
            ):
                return False
            i += 2
        return True

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        total, sizes = int(self.over), (int(self.block), int(self.over) % int(self.block))
        bodies = {n: bind(self.body, {_BLOCK: n}) for n in sizes}
        counts: list[int] = []
        parts: list[list[Array]] = [[] for _ in self.gives]
        for start in range(0, total, self.block):
            n = min(self.block, total - start)
            counts.append(n)
            rows = [
                a if d < 0 else _rows(a, d, start, n, total)
                for a, d in zip(arrays, self.takes, strict=True)
            ]
            for found, part in zip(
                parts, run(bodies[n], [np.asarray(start, np.int32), *rows]), strict=True
            ):
                found.append(part)
        return self._combined(parts, counts)

    def _combined(self, parts: list[list[Array]], counts: list[int]) -> tuple[Array, ...]:
        out: list[Array] = []
        while len(out) < len(parts):
            i = len(out)
            (kind, d), like = self.gives[i], self.results[i].type
            if kind == "moments" and counts:
                out.extend(combined_moments(parts[i], parts[i + 1], counts))
            elif kind == "rows" and counts:
                out.append(np.concatenate(parts[i], d))
            else:  # of no samples, moments are zero
                out.append(combined("sum" if kind in ("rows", "moments") else kind, parts[i], like))
        return tuple(out)


def _blocked(shape: Shape) -> list[int]:
    """The dims that name the symbol `block`."""
    return [i for i, n in enumerate(shape) if _BLOCK in symbols_of(n)]


def _rows(a: Array, dim: int, start: int, count: int, total: int) -> Array:
    each = a.shape[dim] // total
    return a[(slice(None),) * dim + (slice(start * each, (start + count) * each),)]
