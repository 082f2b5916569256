"""Sliding windows: reductions, and their gradient by the place of the extreme.

The windows that `passes/windows.py` leaves: large, dilated, of 16-bit floats, of symbolic size.
Every element of a result is computed by itself, tap after tap in row-major order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.emit import (
    Function,
    Operand,
    constant,
    is_floating,
    is_signed,
    register_type,
)
from kgraph.codegen.llvm.lower.element import Evaluator
from kgraph.codegen.llvm.lower.elementwise import accumulator, combine
from kgraph.codegen.llvm.lower.frame import Frame, Kernel
from kgraph.codegen.llvm.lower.grid import Grid
from kgraph.codegen.llvm.lower.index import Axis, Guard, Index
from kgraph.codegen.llvm.lower.keys import op_key, op_symbols
from kgraph.codegen.llvm.lower.loop_ops import as_body
from kgraph.codegen.llvm.lower.table import lowers, wants_scratch
from kgraph.codegen.llvm.lower.tiling import likely
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Shape, Size, TensorType, is_nonnegative, numpy_dtype, product
from kgraph.ir.ops.common import identity
from kgraph.ir.ops.window import ReduceWindow, SelectAndScatter

# turn(taps, number of the tap, accumulators) -> accumulators
_Turn = Callable[[list[Operand], Operand, Sequence[Operand]], Sequence[Operand]]


@dataclass(frozen=True)
class _Windows:
    """Where taps lie in x, an entry per dim in each tuple."""

    window: tuple[Size, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[Size, Size], ...]
    base_dilation: tuple[int, ...]
    window_dilation: tuple[int, ...]

    @property
    def size(self) -> Size:
        """The taps of a window."""
        return product(self.window)

    def each(
        self, k: Kernel, e: Evaluator, type_: TensorType, index: Index, start: Sequence[Operand],
        turn: _Turn,
    ) -> Sequence[Operand]:  # fmt: skip
        """Goes through the taps that may lie in x in row-major order, handing accumulators on."""
        f = k.f

        def nest(
            taps: list[Operand], number: Operand, values: Sequence[Operand]
        ) -> Sequence[Operand]:
            d = len(taps)
            if d == len(self.window):
                return turn(taps, number, values)
            if self.window[d] == 1:
                return nest([*taps, f.index(0)], number, values)
            size = k.size(self.window[d])
            first, stop = f.index(0), size
            if self._alone(e, index[d], d):
                first, stop = self._range(k, type_, index[d], d)
            with f.carried_loop(first, stop, values, name="tap") as loop:
                following = f.add(f.mul(number, size), loop.index)
                loop.next(*nest([*taps, loop.index], following, loop.values))
            return loop.results

        return nest([], f.index(0), start)

    def _alone(self, e: Evaluator, axis: Axis, d: int) -> bool:
        """Have all lanes one window along the dim, so that its taps in x are a range?"""
        return self.window[d] != 1 and self.base_dilation[d] == 1 and not (axis.step and e.lanes)

    def _range(self, k: Kernel, type_: TensorType, axis: Axis, d: int) -> tuple[Operand, Operand]:
        """The first tap in x, and the first behind x."""
        f, gap = k.f, self.window_dilation[d]
        low, high = self.padding[d]
        before = f.sub(k.size(low), f.mul(axis.base, self.strides[d]))  # of x in the window
        first, stop = f.index(0), k.size(self.window[d])
        if not is_nonnegative(-1 * low):
            first = f.sdiv(f.add(f.smax(before, 0), gap - 1), gap)
        if not is_nonnegative(-1 * high):
            behind = f.smax(f.add(before, k.size(type_.shape[d])), 0)
            stop = f.smin(stop, f.sdiv(f.add(behind, gap - 1), gap))
        return first, stop

    def place(
        self, k: Kernel, e: Evaluator, type_: TensorType, index: Index, taps: Sequence[Operand]
    ) -> tuple[Index, list[Operand]]:
        """The index in x of a tap of the window at an index, and what holds where it is in x."""
        f = k.f
        axes: list[Axis] = []
        inside: list[Operand] = []
        for d, (axis, tap) in enumerate(zip(index, taps, strict=True)):
            low, high = self.padding[d]
            at = axis.scaled(f, self.strides[d]).shifted(
                f, f.sub(f.mul(tap, self.window_dilation[d]), k.size(low))
            )
            gap = self.base_dilation[d]
            if self._alone(e, axis, d):
                pass  # `each` leaves out the taps outside
            elif gap > 1:
                inside.append(f.compare("GE", at.base, 0))
                inside.append(f.compare("EQ", f.srem(at.base, gap), 0))
                at = Axis(f.sdiv(at.base, gap))
                inside.append(f.compare("LT", at.base, k.size(type_.shape[d])))
            else:
                numbers = at.numbers(f, e.lanes)
                if not is_nonnegative(-1 * low):
                    inside.append(f.compare("GE", numbers, 0))
                if not is_nonnegative(-1 * high):
                    inside.append(f.compare("LT", numbers, k.size(type_.shape[d])))
            axes.append(at)
        return tuple(axes), inside

    def vectors(self, shape: Shape) -> bool:
        """Can vectors run along the last dim of a result that has more than one element?"""
        live = [d for d, size in enumerate(shape) if size != 1]
        return bool(live) and self.base_dilation[live[-1]] == 1


@lowers(ReduceWindow)
def lower_reduce_window(frame: Frame, op: ReduceWindow) -> None:
    """Every lane goes through its window."""
    w = _Windows(op.window, op.strides, op.padding, op.base_dilation, op.window_dilation)
    dtype = accumulator(op.x.dtype)
    grid = Grid.of(
        op.result.shape, [op.x.dtype], frame.target, 3 * likely(w.size), w.vectors(op.result.shape)
    )

    def write(k: Kernel) -> None:
        x, result = k.arguments
        f = k.f
        e = Evaluator(k, as_body(op), {}, grid.lanes)
        start = identity(op.kind, op.x.dtype).astype(numpy_dtype(dtype)).item()

        def element(index: Index, guard: Guard) -> None:
            def turn(
                taps: list[Operand], number: Operand, values: Sequence[Operand]
            ) -> Sequence[Operand]:
                with e.scope():
                    at, inside = w.place(k, e, op.x.type, index, taps)
                    new = _load(e, x, op.x.type, at, guard, inside)
                    new = f.convert(new, op.x.dtype, dtype)
                    total = combine(f, op.kind, dtype, values[0], new)
                    return [_where(e, inside, total, values[0])]

            first = constant(start, register_type(dtype, grid.lanes))
            (total,) = w.each(k, e, op.x.type, index, [first], turn)
            e.store(result, op.result.type, index, guard, f.convert(total, dtype, op.x.dtype))

        grid.each(k, e, element)

    places = [frame.pointer(op.x), frame.pointer(op.result)]
    grid.launch(frame, ("reduce_window", op_key(op)), op.name, places, write, op_symbols(op))


@wants_scratch(SelectAndScatter)
def select_and_scatter_scratch(op: SelectAndScatter, target: Target) -> Size:
    """The number of the tap that each window takes."""
    return op.source.type.size * numpy_dtype("int32").itemsize


@lowers(SelectAndScatter)
def lower_select_and_scatter(frame: Frame, op: SelectAndScatter) -> None:
    """First every window finds its tap, then every element of x adds up the windows that took it.

    Elements of x add in the order of the taps, so that the sum is the interpreter's to the bit.
    """
    once = (1,) * op.x.type.rank
    w = _Windows(op.window, op.strides, op.padding, once, once)
    _launch_choice(frame, op, w)
    _launch_sums(frame, op, w)


def _launch_choice(frame: Frame, op: SelectAndScatter, w: _Windows) -> None:
    dtype = accumulator(op.x.dtype)
    chosen_type = op.source.type.with_dtype("int32")
    grid = Grid.of(op.source.shape, [op.x.dtype, "int32"], frame.target, 4 * likely(w.size))

    def write(k: Kernel) -> None:
        x, chosen = k.arguments
        f = k.f
        e = Evaluator(k, as_body(op), {}, grid.lanes)

        def element(index: Index, guard: Guard) -> None:
            def turn(
                taps: list[Operand], number: Operand, values: Sequence[Operand]
            ) -> Sequence[Operand]:
                best, taken = values
                with e.scope():
                    at, inside = w.place(k, e, op.x.type, index, taps)
                    new = f.convert(_load(e, x, op.x.type, at, guard, inside), op.x.dtype, dtype)
                    direction = "GT" if op.kind == "max" else "LT"
                    better = f.compare(direction, new, best, signed=is_signed(dtype))
                    if is_floating(dtype):
                        first_nan = f.and_(f.is_nan(new), f.not_(f.is_nan(best)))
                        better = f.or_(better, first_nan)
                    better = f.or_(better, f.compare("LT", taken, 0))
                    for condition in inside:
                        better = f.and_(better, _wide(e, condition))
                    at_tap = _wide(e, f.convert(number, "int64", "int32"))
                    return [f.select(better, new, best), f.select(better, at_tap, taken)]

            nothing = constant(0, register_type(dtype, grid.lanes))
            none = constant(-1, register_type("int32", grid.lanes))
            _, taken = w.each(k, e, op.x.type, index, [nothing, none], turn)
            e.store(chosen, chosen_type, index, guard, taken)

        grid.each(k, e, element)

    places = [frame.pointer(op.x), frame.scratch(op)]
    grid.launch(frame, ("window_choice", op_key(op)), "choose", places, write, op_symbols(op))


def _launch_sums(frame: Frame, op: SelectAndScatter, w: _Windows) -> None:
    dtype = accumulator(op.x.dtype)
    chosen_type = op.source.type.with_dtype("int32")
    live = [d for d, size in enumerate(op.x.shape) if size != 1]
    apart = bool(live) and _is_apart(op, live[-1])
    cost = 4 * max(likely(w.size) // math.prod(op.strides), 1)
    grid = Grid.of(op.x.shape, [op.x.dtype, "int32"], frame.target, cost, apart)

    def write(k: Kernel) -> None:
        source, chosen, result = k.arguments
        f = k.f
        e = Evaluator(k, as_body(op), {}, grid.lanes)

        def element(index: Index, guard: Guard) -> None:
            def nest(at: list[Axis], number: Operand, total: Operand) -> Operand:
                """Goes through the windows with the element, the last of them first."""
                d = len(at)
                if d == len(index):
                    with e.scope():
                        taken = e.load_from(chosen, chosen_type, tuple(at), guard)
                        hit = f.compare("EQ", taken, f.convert(number, "int64", "int32"))
                        new = e.load_from(source, op.source.type, tuple(at), guard)
                        new = f.convert(new, op.x.dtype, dtype)
                        return _where(e, [hit], combine(f, "sum", dtype, total, new), total)
                if _is_apart(op, d):
                    return nest([*at, index[d]], number, total)
                size, stride = k.size(op.window[d]), op.strides[d]
                place = f.add(index[d].base, k.size(op.padding[d][0]))
                last = f.smin(_divided_down(f, place, stride), k.size(op.source.shape[d] - 1))
                behind = f.add(_divided_down(f, f.sub(place, size), stride), 1)
                count = f.sub(f.add(last, 1), f.smax(behind, 0))
                with f.carried_loop(0, count, [total], name="window") as loop:
                    window = f.sub(last, loop.index)
                    tap = f.sub(place, f.mul(window, stride))
                    following = f.add(f.mul(number, size), tap)
                    loop.next(nest([*at, Axis(window)], following, loop.values[0]))
                return loop.results[0]

            zero = constant(0, register_type(dtype, grid.lanes))
            total = nest([], f.index(0), zero)
            e.store(result, op.x.type, index, guard, f.convert(total, dtype, op.x.dtype))

        grid.each(k, e, element)

    places = [frame.pointer(op.source), frame.scratch(op), frame.pointer(op.result)]
    grid.launch(frame, ("window_sums", op_key(op)), "sum", places, write, op_symbols(op))


def _is_apart(op: SelectAndScatter, d: int) -> bool:
    """Has each index of the dim a window of its own?"""
    return op.window[d] == 1 and op.strides[d] == 1 and op.padding[d] == (0, 0)


def _divided_down(f: Function, x: Operand, by: int) -> Operand:
    """`x / by`, rounded down; the machine rounds towards zero."""
    if by == 1:
        return x
    return f.select(f.compare("LT", x, 0), f.sub(-1, f.sdiv(f.sub(-1, x), by)), f.sdiv(x, by))


def _load(
    e: Evaluator, base: Operand, type_: TensorType, at: Index, guard: Guard, inside: list[Operand]
) -> Operand:
    for condition in inside:
        guard = guard.and_lanes(e.f, condition)
    return e.load_from(base, type_, at, guard)


def _wide(e: Evaluator, x: Operand) -> Operand:
    """In all lanes."""
    return x if x.lanes == e.lanes else e.f.splat(x, e.lanes)


def _where(e: Evaluator, conditions: Sequence[Operand], new: Operand, old: Operand) -> Operand:
    """The new value where all conditions hold."""
    for condition in conditions:
        new = e.f.select(_wide(e, condition), new, old)
    return new
