"""`convolution`: which generator it is for, and the launches of forward and input-gradient ones.

Strides of memory stand for the roles of dims, so that any `dims` string needs no transpose. What
the generators do not know (symbolic spatial sizes, odd groups) is left to convolution_plain.py;
weight gradients are in convolution_weights.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import astuple, dataclass, replace
from math import prod

from kgraph.codegen.llvm.conv import ConvSpec, emit_conv, emit_pack_weights
from kgraph.codegen.llvm.conv_match import match_convolution
from kgraph.codegen.llvm.conv_weights import WeightsSpec
from kgraph.codegen.llvm.conv_winograd_spec import WinogradSpec
from kgraph.codegen.llvm.emit import Operand
from kgraph.codegen.llvm.lower.epilogue import Contraction, Epilogue, Prologue
from kgraph.codegen.llvm.lower.frame import Frame, Kernel
from kgraph.codegen.llvm.lower.product import TILE
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Size, Value, floordiv, maximum, minimum
from kgraph.ir.ops.convolution import Convolution
from kgraph.passes.arena import aligned

_PARTS = 4  # into which a convolution is cut at least, so that threads get equal shares of it
_PIXELS = 64  # of a part at least: each reads all weights
SINGLE = "_or_2"  # of an algorithm: a batch of one has another


def spec_of(op: Convolution) -> ConvSpec | WeightsSpec | None:
    """The generators' view of a convolution; None if they have none, or nothing is to be summed."""
    sizes = {*op.lhs.shape, *op.rhs.shape, *op.result.shape}
    if not 1 <= len(op.strides) <= 3 or 0 in sizes:
        return None
    try:
        return match_convolution(op)
    except ValueError:
        return None


def size_of(v: Value, roles: str, role: str) -> Size:
    """The size of a role's dim."""
    return v.shape[roles.index(role)]


@dataclass(frozen=True)
class Forward:
    """A convolution by the generator of conv.py.

    Attributes:
        units: rows of output that a tile computes.
        images: the batch.
        single: how a batch of one is computed, if otherwise.
        prologue: what is done to the input.
    """

    op: Convolution
    spec: ConvSpec
    units: Size
    images: Size
    single: Forward | None = None
    prologue: Prologue | None = None

    @staticmethod
    def of(op: Convolution, target: Target, result: str, alone: bool = False) -> Forward | None:
        """How the convolution is tiled; None if it is not for the generator.

        `alone`: the batch is one.
        """
        spec = spec_of(op)
        if not isinstance(spec, ConvSpec):
            return None
        spec = replace(spec, result=result)
        images = size_of(op.lhs, op.roles.lhs, "b")
        if isinstance(spec, WinogradSpec):
            single = None
            if op.algorithm.endswith(SINGLE):
                other = op.with_fields(algorithm="winograd_2")
                assert isinstance(other, Convolution)
                single = Forward.of(other, target, result, alone=True)
            spec = replace(spec, alone=alone or images == 1)
            return Forward(op, spec, spec.per_launch(target, images), images, single)
        taps = prod(dim.taps for dim in spec.dims)
        each = 2 * taps * (spec.channels // spec.groups) * spec.features * spec.space[2].y
        rows = int(spec.units(1))
        units = max(1, 2 * TILE // each)
        total: Size = spec.units(images)
        # Whole images where they are small: a part would copy its borders again. But few images
        # have to be enough for all threads.
        if units * 4 >= rows:
            images_of_tile = max(-(-units // rows), spec.sheets(target))
            least = 1 if spec.narrow else -(-_PIXELS // spec.space[2].y)
            part = maximum(least, floordiv(total + (_PARTS - 1), _PARTS))
            return Forward(op, spec, minimum(rows * images_of_tile, part), images)
        most = _PARTS * max(units, 4)
        parts = _PARTS * maximum(1, floordiv(total + (most - 1), most))
        return Forward(op, spec, floordiv(total + (parts - 1), parts), images)

    def with_epilogue(self, epilogue: Epilogue, result: str) -> Forward:
        """The same with what follows it; `result` is the dtype that is stored."""
        spec = replace(
            self.spec, result=result, epilogue=epilogue.hook, inline_epilogue=epilogue.inline,
            extra=(*self.spec.extra, *epilogue.extra),
        )  # fmt: skip
        single = self.single and self.single.with_epilogue(epilogue, result)
        return replace(self, spec=spec, single=single)

    def with_prologue(self, prologue: Prologue | None) -> Forward:
        """The same behind what is done to its input."""
        if prologue is None:
            return self
        spec = replace(self.spec, prologue=prologue.hook, extra=prologue.extra)
        return replace(self, spec=spec, prologue=prologue)

    def packed_bytes(self, target: Target) -> int:
        """Of the packed weights."""
        return sum(aligned(form.spec.packed_bytes(target)) for form in self._forms)

    def scratch_bytes(self, target: Target) -> int:
        """Of the private memory of a tile."""
        return max(form.spec.scratch_bytes(target) for form in self._forms)

    @property
    def _forms(self) -> tuple[Forward, ...]:
        return (self,) if self.single is None else (self, self.single)

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
        dims, alone = tuple(map(astuple, s.dims)), isinstance(s, WinogradSpec) and s.alone
        return (
            "conv", self.op.algorithm, alone, dims, s.channels, s.features, s.groups, s.dtype,
            s.result, s.x_strides, s.w_strides, s.y_strides, s.inline_epilogue, s.extra,
            self.prologue and self.prologue.key(),
        )  # fmt: skip

    def tiles(self) -> Size:
        """How many tiles there are."""
        units: Size = self.spec.units(self.images)
        return floordiv(units + (self.units - 1), self.units)

    def launch(
        self, frame: Frame, epilogue: Epilogue | None, operands: Sequence[Operand],
        packed: Operand, others: Sequence[Operand], target: Operand,
    ) -> None:  # fmt: skip
        """Computes, with packed weights."""
        if self.single is None:
            self._launch(frame, epilogue, operands, packed, others, target)
            return
        f = frame.f
        at = aligned(self.spec.packed_bytes(frame.target))
        choice = f.choose(f.compare("EQ", frame.size(self.images), 1))
        with choice.then():
            own = f.offset_bytes(packed, at)
            self.single._launch(frame, epilogue, operands, own, others, target)
            choice.give()
        with choice.otherwise():
            self._launch(frame, epilogue, operands, packed, others, target)
            choice.give()

    def _launch(
        self, frame: Frame, epilogue: Epilogue | None, operands: Sequence[Operand],
        packed: Operand, others: Sequence[Operand], target: Operand,
    ) -> None:  # fmt: skip
        names = frame.kernels.names
        own = epilogue.key() if epilogue is not None else None
        key = (self.key(), own)
        if key not in names:
            names[key] = emit_conv(frame.module, frame.kernels.named("conv"), self.spec)
        name = names[key]
        symbols = sorted(set(self.op.lhs.type.symbols) | set(_hook_symbols(epilogue)))
        f = frame.f
        alone, units = frame.in_order(), self.spec.units(self.images)
        each = f.select(alone, frame.size(units), frame.size(self.units))
        arguments = [operands[0], packed, target, each, *others]
        frame.launch(
            ("conv", name, own, str(self.images)), "conv", arguments,
            f.select(alone, f.index(1), frame.size(self.tiles())),
            lambda k: self.write(k, name, epilogue), symbols,
        )  # fmt: skip

    def launch_pack(self, frame: Frame, weights: Operand, packed: Operand) -> None:
        """Puts the weights into panels, each of which is a tile."""
        for form in self._forms:
            form._launch_pack(frame, weights, packed)
            packed = frame.f.offset_bytes(packed, aligned(form.spec.packed_bytes(frame.target)))

    def _launch_pack(self, frame: Frame, weights: Operand, packed: Operand) -> None:
        names = frame.kernels.names
        plain = replace(
            self.spec, epilogue=None, prologue=None, extra=(), inline_epilogue=False, result=""
        )
        pack_key = ("pack", replace(self, spec=plain, prologue=None).key())
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
        x, w, y, each = k.arguments[:4]
        others = k.arguments[4:]
        lo = f.mul(k.index, each)
        hi = f.smin(f.add(lo, each), k.size(self.spec.units(self.images)))
        before = len(self.prologue.inputs) - 1 if self.prologue else 0
        call = [x, w, y, k.slab, lo, hi, *others[:before]]
        others = others[before:]
        if epilogue is not None:
            places = len(epilogue.contraction.inputs)
            call += epilogue.arguments(others[:places], others[places:], k, f.index(0))
        f.call(name, call)


def _hook_symbols(epilogue: Epilogue | None) -> list[str]:
    return [n[2:] for n, _ in epilogue.extra if n.startswith("s.")] if epilogue else []


def forward_epilogue(contraction: Contraction, plan: Forward) -> Epilogue | None:
    """The hook of a convolution; None where the rest must be a loop of its own."""
    labels, spec = plan.labels(), plan.spec
    if labels is None:
        return None
    # In the adjoint form the result holds unfinished sums.
    if isinstance(spec, WinogradSpec) and spec.adjoint:
        stored = contraction.outputs[contraction.primary].dtype
        if stored != spec.dtype:
            return None
    return Epilogue.of(contraction, labels)
