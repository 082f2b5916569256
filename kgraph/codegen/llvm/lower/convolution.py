"""`convolution`: which generator it is for, and the launches of forward and input-gradient ones.

Strides of memory stand for the roles of dims, so that any `dims` string needs no transpose. What
the generators do not know (symbolic spatial sizes, odd groups) is left to convolution_plain.py;
weight gradients are in convolution_weights.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import astuple, dataclass, replace
from math import prod

from kgraph.codegen.llvm.conv import ConvSpec, Dim, emit_conv, emit_pack_weights
from kgraph.codegen.llvm.emit import Operand
from kgraph.codegen.llvm.lower.dot import TILE, strides_of
from kgraph.codegen.llvm.lower.epilogue import Contraction, Epilogue
from kgraph.codegen.llvm.lower.frame import Frame, Kernel
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Shape, Size
from kgraph.ir.ops.convolution import Convolution


def ints(sizes: Sequence[Size]) -> tuple[int, ...] | None:
    """The sizes as numbers; None where one is symbolic."""
    found = tuple([s for s in sizes if isinstance(s, int)])
    return found if len(found) == len(sizes) else None


def role_strides(shape: Shape, roles: str, order: str) -> tuple[int, ...] | None:
    """The strides of a dense array's dims, given by role in another order; None if symbolic."""
    strides = dict(zip(roles, strides_of(shape), strict=True))
    return ints([strides[r] for r in order])


def role_sizes(shape: Shape, roles: str) -> dict[str, Size]:
    """The size of each role."""
    return dict(zip(roles, shape, strict=True))


def is_weight_gradient(op: Convolution) -> bool:
    """Is the kernel larger than the result, as where an image is slid over an image?"""
    roles = op.roles
    w, y = role_sizes(op.rhs.shape, roles.rhs), role_sizes(op.result.shape, roles.out)
    kernel, result = (ints([sizes[s] for s in roles.spatial]) for sizes in (w, y))
    return kernel is not None and result is not None and prod(kernel) > prod(result)


def forward_spec(op: Convolution) -> ConvSpec | None:
    """The generator's view of a convolution; None if it has none."""
    roles = op.roles
    spatial = roles.spatial
    if not 1 <= len(spatial) <= 3 or op.batch_groups > 1:
        return None
    x, w, y = (
        role_sizes(v.shape, r)
        for v, r in ((op.lhs, roles.lhs), (op.rhs, roles.rhs), (op.result, roles.out))
    )
    dims = spatial_dims(
        op, [x[s] for s in spatial], [w[s] for s in spatial], [y[s] for s in spatial]
    )
    channels = ints([x["f"], w["o"]])
    strides = (
        role_strides(op.lhs.shape, roles.lhs, "b" + spatial + "f"),
        role_strides(op.rhs.shape, roles.rhs, spatial + "io"),
        role_strides(op.result.shape, roles.out, "b" + spatial + "f"),
    )
    if dims is None or channels is None or None in strides or 0 in channels:
        return None
    return ConvSpec(
        dims, channels[0], channels[1], op.feature_groups, op.lhs.dtype,
        x_strides=strides[0], w_strides=strides[1], y_strides=strides[2],
    )  # fmt: skip


def spatial_dims(
    op: Convolution, xs: Sequence[Size], taps: Sequence[Size], ys: Sequence[Size]
) -> tuple[Dim, ...] | None:
    """The spatial dims; None where a size is symbolic or there is nothing to sum."""
    found = []
    for i, sizes in enumerate(zip(xs, taps, ys, (lo for lo, _ in op.padding), strict=True)):
        known = ints(sizes)
        if known is None or 0 in known[:3]:
            return None
        n, k, out, low = known
        found.append(
            Dim(
                n,
                k,
                out,
                op.strides[i],
                low,
                op.rhs_dilation[i],
                op.lhs_dilation[i],
                op.reversal[i],
            )
        )
    return tuple(found)


@dataclass(frozen=True)
class Forward:
    """A convolution by the generator of conv.py.

    Attributes:
        units: rows of output that a tile computes.
        images: the batch.
    """

    op: Convolution
    spec: ConvSpec
    units: int
    images: Size

    @staticmethod
    def of(op: Convolution, target: Target, result: str) -> Forward | None:
        """How the convolution is tiled; None if it is not for the generator."""
        spec = forward_spec(op)
        if spec is None:
            return None
        spec = replace(spec, result=result)
        taps = prod(dim.taps for dim in spec.dims)
        each = 2 * taps * (spec.channels // spec.groups) * spec.features * spec.space[2].y
        rows = int(spec.units(1))
        units = max(1, 2 * TILE // each)
        # Whole images where they are small: a part would copy its borders again.
        units = rows * -(-units // rows) if units * 4 >= rows else max(units, 4)
        images = role_sizes(op.lhs.shape, op.roles.lhs)["b"]
        return Forward(op, spec, units, images)

    def labels(self) -> list[str] | None:
        """Of the result's dims; None where no counter goes through them in order."""
        roles = self.op.roles
        rows = [r for r in roles.out if r != "f"]
        if rows != ["b", *roles.spatial]:
            return None
        if self.spec.depthwise and self.spec.features > self.spec.channels:
            return None
        return ["column" if r == "f" else "row" for r in roles.out]

    def key(self) -> Hashable:
        """Of the generated functions."""
        s = self.spec
        dims = tuple(map(astuple, s.dims))
        return (
            "conv", dims, s.channels, s.features, s.groups, s.dtype, s.result, s.x_strides,
            s.w_strides, s.y_strides, s.inline_epilogue, s.extra,
        )  # fmt: skip

    def tiles(self) -> Size:
        """How many tiles there are."""
        units: Size = self.spec.units(self.images)
        return (units + (self.units - 1)) // self.units

    def launch(
        self, frame: Frame, epilogue: Epilogue | None, operands: Sequence[Operand],
        packed: Operand, others: Sequence[Operand], target: Operand,
    ) -> None:  # fmt: skip
        """Computes, with packed weights."""
        names = frame.kernels.names
        own = epilogue.key() if epilogue is not None else None
        key = (self.key(), own)
        if key not in names:
            names[key] = emit_conv(frame.module, frame.kernels.named("conv"), self.spec)
        name = names[key]
        symbols = sorted(set(self.op.lhs.type.symbols) | set(_hook_symbols(epilogue)))
        arguments = [operands[0], packed, target, *others]
        frame.launch(
            ("conv", name, own, str(self.images), self.units), "conv", arguments,
            frame.size(self.tiles()), lambda k: self.write(k, name, epilogue), symbols,
        )  # fmt: skip

    def launch_pack(self, frame: Frame, weights: Operand, packed: Operand) -> None:
        """Puts the weights into panels, each of which is a tile."""
        names = frame.kernels.names
        plain = replace(self.spec, epilogue=None, extra=(), inline_epilogue=False, result="")
        pack_key = ("pack", replace(self, spec=plain).key())
        if pack_key not in names:
            names[pack_key] = emit_pack_weights(frame.module, frame.kernels.named("pack"), plain)
        pack = names[pack_key]

        def write_pack(k: Kernel) -> None:
            w, to = k.arguments
            k.f.call(pack, [w, to, k.index, k.f.add(k.index, 1)])

        panels = self.spec.panels(frame.target)
        frame.launch(("pack", pack), "pack", [weights, packed], panels, write_pack)

    def write(self, k: Kernel, name: str, epilogue: Epilogue | None) -> None:
        """Writes the kernel: a range of rows."""
        f = k.f
        x, w, y = k.arguments[:3]
        others = k.arguments[3:]
        lo = f.mul(k.index, self.units)
        hi = f.smin(f.add(lo, self.units), k.size(self.spec.units(self.images)))
        call = [x, w, y, k.slab, lo, hi]
        if epilogue is not None:
            places = len(epilogue.contraction.inputs)
            call += epilogue.arguments(others[:places], others[places:], k, f.index(0))
        f.call(name, call)


def _hook_symbols(epilogue: Epilogue | None) -> list[str]:
    return [n[2:] for n, _ in epilogue.extra if n.startswith("s.")] if epilogue else []


def forward_epilogue(contraction: Contraction, plan: Forward) -> Epilogue | None:
    """The hook of a convolution; None where the rest must be a loop of its own."""
    labels = plan.labels()
    return None if labels is None else Epilogue.of(contraction, labels)
