"""Scatter: windows combined into a copy of x, in the order of their places.

A tile goes through all places in order and owns a part of x along one dim: one that windows
always have at the same index, so that no two tiles meet. Without such a dim there is one tile. For
the gradient of an embedding that dim is the features, and vectors run along it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.emit import Operand, item_bytes
from kgraph.codegen.llvm.lower.copies import launch_copy_of
from kgraph.codegen.llvm.lower.element import Evaluator
from kgraph.codegen.llvm.lower.elementwise import accumulator, combine
from kgraph.codegen.llvm.lower.frame import Code, Frame, Kernel
from kgraph.codegen.llvm.lower.index import ALWAYS, ZERO, Axis, Guard
from kgraph.codegen.llvm.lower.keys import op_key, op_symbols
from kgraph.codegen.llvm.lower.loop_ops import as_body
from kgraph.codegen.llvm.lower.loops import Loop, compute_bytes
from kgraph.codegen.llvm.lower.table import lowers, wants_scratch
from kgraph.codegen.llvm.lower.tiling import divided_up, strips
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Builder, Dim, Size, TensorType, numpy_dtype
from kgraph.ir.ops.scatter import Scatter

_BYTES = 128  # of a row that a tile owns, at least: two lines of a cache
_TILES = 16  # at most
_KINDS = {"add": "sum", "multiply": "product", "max": "max", "min": "min"}


@lowers(Scatter)
def lower_scatter(frame: Frame, op: Scatter) -> None:
    """A copy of x and the windows; sums and products of 16-bit floats in a float32 copy."""
    plan = _Plan.of(op, frame.target)
    x, result = frame.pointer(op.x), frame.pointer(op.result)
    target = result
    if plan.dtype != op.x.dtype:
        target = frame.scratch(op)
        _launch_convert(frame, op.x.type, plan.dtype, x, target)
    else:
        launch_copy_of(frame, result, x, op.x.type)
    places = [frame.pointer(op.indices), frame.pointer(op.updates), target]
    frame.launch(
        ("scatter", op_key(op)), op.name, places, plan.tiles(frame), plan.write, op_symbols(op)
    )
    if plan.dtype != op.x.dtype:
        _launch_convert(frame, op.x.type.with_dtype(plan.dtype), op.x.dtype, target, result)


@wants_scratch(Scatter)
def scatter_scratch(op: Scatter, target: Target) -> Size:
    """A float32 copy of 16-bit floats."""
    wide = _dtype(op)
    return 0 if wide == op.x.dtype else op.x.type.size * numpy_dtype(wide).itemsize


def _dtype(op: Scatter) -> str:
    """The dtype of what is combined into."""
    return accumulator(op.x.dtype) if op.kind in ("add", "multiply") else op.x.dtype


def _launch_convert(
    frame: Frame, source: TensorType, dtype: str, x: Operand, result: Operand
) -> None:
    b = Builder()
    body = b.function(b.convert(b.param("x", source), dtype))
    Loop.of(body, frame.target).launch(frame, [x], [result])


@dataclass(frozen=True)
class _Plan:
    """How an op is cut.

    Attributes:
        split: the dim of x that tiles share out, or None.
        lanes: of vectors along the last dim of x; 0 for scalar code.
        dtype: of what is combined into.
    """

    op: Scatter
    split: int | None
    lanes: int
    dtype: str

    @staticmethod
    def of(op: Scatter, target: Target) -> _Plan:
        last = op.x.type.rank - 1
        fixed = [
            d
            for d in range(op.x.type.rank)
            if d not in op.inserted_window_dims
            and d not in op.scatter_dims_to_operand_dims
            and op.window[d] != 1
        ]
        along = (
            last >= 0
            and last not in op.inserted_window_dims
            and op.updates.type.rank - 1 in op.update_window_dims
        )
        lanes = target.lanes(compute_bytes(op.x.dtype)) if along else 0
        while lanes > 1 and not isinstance(op.window[last], Dim) and lanes // 2 >= op.window[last]:
            lanes //= 2
        split = None if not fixed else last if last in fixed else fixed[0]
        return _Plan(op, split, lanes if lanes > 1 else 0, _dtype(op))

    def _share(self, code: Code) -> tuple[Operand, Operand]:
        """The size of the split dim and how much of it a tile has."""
        f = code.f
        assert self.split is not None
        size = code.size(self.op.window[self.split])
        least = 1
        if self.split == self.op.x.type.rank - 1:
            least = max(_BYTES // item_bytes(self.dtype), 1)
        share = f.smax(divided_up(code, size, _TILES), least)
        step = max(self.lanes, 1) if least > 1 else 1
        return size, f.mul(divided_up(code, share, step), step)

    def tiles(self, code: Code) -> Operand:
        """How many tiles there are."""
        if self.split is None:
            return code.f.index(1)
        return divided_up(code, *self._share(code))

    def write(self, k: Kernel) -> None:
        """Writes the kernel."""
        op, f = self.op, k.f
        indices, updates, target = k.arguments
        e = Evaluator(k, as_body(op), {}, self.lanes)
        part = None
        if self.split is not None:
            size, share = self._share(k)
            start = f.mul(k.index, share)
            part = (start, f.smin(f.add(start, share), size))

        def place(axes: list[Axis]) -> None:
            starts = [ZERO] * op.x.type.rank
            inside = None
            for i, d in enumerate(op.scatter_dims_to_operand_dims):
                coordinate = list(axes)
                if op.index_vector_dim < op.indices.type.rank:
                    coordinate.insert(op.index_vector_dim, Axis(f.index(i)))
                with e.scope(lanes=0):
                    start = e.load_from(indices, op.indices.type, tuple(coordinate), ALWAYS)
                # An unsigned one that is too large is negative here, and dropped too.
                start = f.convert(start, op.indices.dtype, "int64")
                starts[d] = Axis(start)
                largest = k.size(op.x.shape[d] - op.window[d])
                fits = f.and_(f.compare("GE", start, 0), f.compare("LE", start, largest))
                inside = fits if inside is None else f.and_(inside, fits)
            if inside is None:
                self._window(k, e, (updates, target), axes, starts, part)
                return
            with f.when(inside):
                self._window(k, e, (updates, target), axes, starts, part)

        sizes = [k.size(op.updates.shape[d]) for d in op.scatter_dims]
        _nest(k, sizes, [], place)

    def _window(
        self,
        k: Kernel,
        e: Evaluator,
        memory: tuple[Operand, Operand],
        places: Sequence[Axis],
        starts: Sequence[Axis],
        part: tuple[Operand, Operand] | None,
    ) -> None:
        """Combines the tile's part of the window at one place."""
        op, f = self.op, k.f
        updates, target = memory
        dims = [d for d in range(op.x.type.rank) if d not in op.inserted_window_dims]
        bounds = {d: (f.index(0), k.size(op.window[d])) for d in dims}
        if self.split is not None and part is not None:
            bounds[self.split] = part

        def element(axes: list[Axis], guard: Guard) -> None:
            source = [ZERO] * op.updates.type.rank
            into = list(starts)
            for d, at, axis in zip(dims, op.update_window_dims, axes, strict=True):
                source[at] = axis
                into[d] = axis.shifted(f, starts[d].base)
            for at, axis in zip(op.scatter_dims, places, strict=True):
                source[at] = axis
            new = e.load_from(updates, op.updates.type, tuple(source), guard)
            kind = op.x.type.with_dtype(self.dtype)
            if op.kind != "set":
                old = e.load_from(target, kind, tuple(into), guard)
                new = self._combined(k, old, new)
            e.store(target, kind, tuple(into), guard, new)

        def nest(axes: list[Axis]) -> None:
            if len(axes) == len(dims):
                element(axes, ALWAYS)
                return
            low, high = bounds[dims[len(axes)]]
            if len(axes) == len(dims) - 1 and self.lanes:

                def strip(column: Axis, guard: Guard) -> None:
                    with e.scope():
                        element([*axes, column], guard)

                strips(k, (low, high), self.lanes, strip)
            elif op.window[dims[len(axes)]] == 1:
                nest([*axes, ZERO])
            else:
                with f.loop(low, high, name="w") as i:
                    nest([*axes, Axis(i)])

        nest([])

    def _combined(self, k: Kernel, old: Operand, new: Operand) -> Operand:
        """An element and its update, both in memory's form."""
        f, op = k.f, self.op
        wide = accumulator(op.x.dtype)
        x, y = f.convert(old, self.dtype, wide), f.convert(new, op.x.dtype, wide)
        return f.convert(combine(f, _KINDS[op.kind], wide, x, y), wide, self.dtype)


def _nest(
    k: Kernel, sizes: Sequence[Operand], axes: list[Axis], body: Callable[[list[Axis]], None]
) -> None:
    """Nested loops over sizes."""
    if len(axes) == len(sizes):
        body(axes)
        return
    with k.f.loop(0, sizes[len(axes)], name="place") as i:
        _nest(k, sizes, [*axes, Axis(i)], body)
