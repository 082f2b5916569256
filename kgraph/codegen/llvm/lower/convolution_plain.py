"""Any convolution, element by element: for sizes and groups that the generators do not know."""

from __future__ import annotations

from collections.abc import Sequence

from kgraph.codegen.llvm.emit import Operand, View, constant, register_type
from kgraph.codegen.llvm.gemm_tile import compute_dtype, multiply_add
from kgraph.codegen.llvm.lower.frame import Frame, Kernel
from kgraph.codegen.llvm.lower.index import Axis, Guard
from kgraph.codegen.llvm.lower.keys import op_key, op_symbols
from kgraph.codegen.llvm.lower.loops import compute_bytes
from kgraph.codegen.llvm.lower.tiling import Tiling, strips
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Size
from kgraph.ir.ops.convolution import Convolution

_ELEMENTS = 256  # of a tile


def launch_plain(
    frame: Frame, op: Convolution, operands: Sequence[Operand], target: Operand
) -> None:
    """Computes a convolution."""
    plain = _Plain(op, frame.target)
    sizes = [frame.size(s) for s in plain.sizes()]
    count = Tiling.of(frame, sizes, _ELEMENTS).count()
    frame.launch(
        ("plain", op_key(op)), "plain_conv", [*operands, target], count, plain.write, op_symbols(op)
    )


class _Plain:
    """The kernel: rows of batch and space, columns of features."""

    def __init__(self, op: Convolution, target: Target) -> None:
        self.op, self.roles = op, op.roles
        # A vector of features must be in one group.
        one_group = op.feature_groups == op.batch_groups == 1
        self.lanes = target.lanes(compute_bytes(compute_dtype(op.lhs.dtype))) if one_group else 0

    def _of(self, which: str) -> dict[str, Size]:
        op, roles = self.op, self.roles
        value, names = {
            "x": (op.lhs, roles.lhs), "w": (op.rhs, roles.rhs), "y": (op.result, roles.out),
        }[which]  # fmt: skip
        return dict(zip(names, value.shape, strict=True))

    def sizes(self) -> list[Size]:
        """Of the result: batch, space, features."""
        y = self._of("y")
        return [y[r] for r in ("b", *self.roles.spatial, "f")]

    def write(self, k: Kernel) -> None:
        """Writes the kernel."""
        f, dtype = k.f, self.op.lhs.dtype
        self.k, self.compute = k, compute_dtype(dtype)
        views = []
        for base, which in zip(k.arguments, ("x", "w", "y"), strict=True):
            value = {"x": self.op.lhs, "w": self.op.rhs, "y": self.op.result}[which]
            names = {"x": self.roles.lhs, "w": self.roles.rhs, "y": self.roles.out}[which]
            strides = dict(zip(names, k.strides(value.shape), strict=True))
            order = self.roles.spatial + "io" if which == "w" else "b" + self.roles.spatial + "f"
            views.append(View(base, dtype, tuple(strides[r] for r in order)))
        self.x, self.w, y = views
        tiling = Tiling.of(k, [k.size(s) for s in self.sizes()], _ELEMENTS)
        rows, columns = tiling.bounds(k.index)

        def row(axes: list[Axis]) -> None:
            at = [axis.base for axis in axes]

            def strip(column: Axis, guard: Guard) -> None:
                total = self._sum(at, column.base, guard)
                value = f.convert(total, self.compute, dtype)
                f.store(y, [*at, column.base], value, mask=guard.lanes)

            strips(k, columns, self.lanes, strip)

        tiling.each_row(rows, row)

    def _sum(self, at: list[Operand], feature: Operand, guard: Guard) -> Operand:
        """The sum for one pixel and a vector of features."""
        k, f, op = self.k, self.k.f, self.op
        x, w = self._of("x"), self._of("w")
        groups = max(op.feature_groups, op.batch_groups)
        group = f.udiv(feature, k.size(w["o"] // groups)) if groups > 1 else f.index(0)
        image, first = at[0], f.index(0)
        if op.batch_groups > 1:
            image = f.add(image, f.mul(group, k.size(x["b"] // op.batch_groups)))
        else:
            first = f.mul(group, k.size(w["i"]))
        zero = constant(0, register_type(self.compute, self.lanes))

        def nest(
            i: int, places: list[Operand], taps: list[Operand], inside: Operand | None
        ) -> Operand:
            if i == len(self.roles.spatial):
                return self._channels([image, *places], taps, (first, feature), inside, guard)
            s = self.roles.spatial[i]
            with f.carried_loop(0, k.size(w[s]), [zero], name="tap") as loop:
                tap = loop.index
                place = f.add(f.mul(at[1 + i], op.strides[i]), f.mul(tap, op.rhs_dilation[i]))
                place = f.sub(place, k.size(op.padding[i][0]))
                good = f.compare("GE", place, 0)
                if op.lhs_dilation[i] > 1:
                    good = f.and_(good, f.compare("EQ", f.srem(place, op.lhs_dilation[i]), 0))
                    place = f.sdiv(place, op.lhs_dilation[i])
                good = f.and_(good, f.compare("LT", place, k.size(x[s])))
                if op.reversal[i]:
                    tap = f.sub(k.size(w[s] - 1), tap)
                both = good if inside is None else f.and_(inside, good)
                part = nest(i + 1, [*places, place], [*taps, tap], both)
                loop.next(f.add(loop.values[0], part))
            return loop.results[0]

        return nest(0, [], [], None)

    def _channels(
        self, pixel: list[Operand], taps: list[Operand], features: tuple[Operand, Operand],
        inside: Operand | None, guard: Guard,
    ) -> Operand:  # fmt: skip
        """The sum over the channels at one tap; zero outside of the image."""
        k, f, dtype = self.k, self.k.f, self.op.lhs.dtype
        first, feature = features
        zero = constant(0, register_type(self.compute, self.lanes))
        count = k.size(self._of("w")["i"])
        if inside is not None:
            count = f.select(inside, count, f.index(0))
        with f.carried_loop(0, count, [zero], name="channel") as loop:
            a = f.load(self.x, [*pixel, f.add(first, loop.index)])
            a = f.splat(f.convert(a, dtype, self.compute), self.lanes)
            b = f.load(self.w, [*taps, loop.index, feature], self.lanes, mask=guard.lanes)
            b = f.convert(b, dtype, self.compute)
            loop.next(multiply_add(f, a, b, loop.values[0]))
        return loop.results[0]
