"""Contractions, alone or with the elementwise ops of a fusion behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kgraph.codegen.llvm.emit import Operand
from kgraph.codegen.llvm.gemm_tile import compute_dtype
from kgraph.codegen.llvm.lower.convolution import (
    Forward,
    forward_epilogue,
)
from kgraph.codegen.llvm.lower.convolution_plain import launch_plain
from kgraph.codegen.llvm.lower.convolution_weights import Weights
from kgraph.codegen.llvm.lower.dot import dot_scratch, dot_slab, lower_dot
from kgraph.codegen.llvm.lower.epilogue import Contraction, Epilogue, launch_rest, sum_bytes
from kgraph.codegen.llvm.lower.frame import Frame
from kgraph.codegen.llvm.lower.loops import Loop
from kgraph.codegen.llvm.lower.product import Product
from kgraph.codegen.llvm.lower.sides import Copies
from kgraph.codegen.llvm.lower.table import lowers, wants_scratch, wants_slab
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Op, Size
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.control import Fusion
from kgraph.ir.ops.convolution import Convolution
from kgraph.passes.arena import aligned


@lowers(DotGeneral, Convolution)
def lower_single_contraction(frame: Frame, op: Op) -> None:
    """A contraction by itself."""
    lower_contraction(frame, op, op)


@wants_scratch(DotGeneral, Convolution)
def single_scratch(op: Op, target: Target) -> Size:
    """Shared memory of a contraction by itself."""
    return contraction_scratch(op, op, target)


@wants_slab(DotGeneral, Convolution)
def single_slab(op: Op, target: Target) -> Size:
    """Private memory of a tile of a contraction by itself."""
    return contraction_slab(op, op, target)


def lower_contraction(frame: Frame, op: Op, hero: Op) -> None:
    """A contraction and what follows it on its sums."""
    contraction = Contraction.of(op, hero)
    if isinstance(contraction.hero, DotGeneral):
        fresh = frame.fresh.get(op)
        lower_dot(frame, contraction, frame.scratches.get(op), frame.panels(op), fresh)
    else:
        _lower_convolution(frame, contraction, op)


@dataclass(frozen=True)
class _Choice:
    """Who computes a convolution, and the bytes of scratch for packed weights, for partial sums or
    for the input behind a prologue."""

    forward: Forward | None
    weights: Weights | None
    epilogue: Epilogue | None
    packed: Size

    @staticmethod
    def of(contraction: Contraction, target: Target) -> _Choice:
        hero = contraction.hero
        assert isinstance(hero, Convolution)
        weights = Weights.of(hero, target)
        prologue = contraction.prologue
        if weights is not None:
            return _Choice(None, weights.with_prologue(prologue), None, weights.scratch())
        forward = Forward.of(hero, target, "")
        if forward is None:
            image = 0 if prologue is None else aligned(hero.lhs.type.nbytes)
            return _Choice(None, None, None, image)
        forward = forward.with_prologue(prologue)
        epilogue = None if contraction.plain else forward_epilogue(contraction, forward)
        if epilogue is not None:
            result = contraction.outputs[contraction.primary].dtype
            forward = forward.with_epilogue(epilogue, result)
        return _Choice(forward, None, epilogue, forward.packed_bytes(target))


def _lower_convolution(frame: Frame, contraction: Contraction, op: Op) -> None:
    f = frame.f
    hero = contraction.hero
    assert isinstance(hero, Convolution)
    choice = _Choice.of(contraction, frame.target)
    operands = [frame.pointer(v) for v in contraction.operands]
    outputs = [frame.pointer(v) for v in contraction.outputs]
    prologue = contraction.prologue
    more = [frame.pointer(v) for v in prologue.inputs[1:]] if prologue is not None else []
    scratch = frame.scratches.get(op)
    separate = not contraction.plain and choice.epilogue is None
    target, packed = outputs[contraction.primary], scratch
    if separate:
        assert scratch is not None
        target = scratch
        packed = f.offset_bytes(scratch, frame.size(aligned(sum_bytes(contraction))))
    if choice.weights is not None:
        choice.weights.launch(frame, operands, packed, target, frame.fresh.get(op), more)
    elif choice.forward is not None:
        panels = frame.panels(op)
        if panels is None:
            assert packed is not None
            choice.forward.launch_pack(frame, operands[1], packed)
        packed = packed if panels is None else panels
        assert packed is not None
        others = [frame.pointer(v) for v in contraction.inputs] if choice.epilogue else []
        others += outputs if choice.epilogue else []
        choice.forward.launch(frame, choice.epilogue, operands, packed, more + others, target)
    else:
        if prologue is not None:  # here as a loop of its own
            assert packed is not None
            Loop.of(prologue.body, frame.target).launch(frame, [operands[0], *more], [packed])
            operands[0] = packed
        launch_plain(frame, hero, operands, target)
    if separate:
        launch_rest(frame, contraction, target)


def contraction_scratch(op: Op, hero: Op, target: Target) -> Size:
    """The memory that all tiles share."""
    contraction = Contraction.of(op, hero)
    if isinstance(contraction.hero, DotGeneral):
        return dot_scratch(contraction, target)
    choice = _Choice.of(contraction, target)
    if contraction.plain or choice.epilogue is not None:
        return choice.packed
    return choice.packed + aligned(sum_bytes(contraction))


def contraction_slab(op: Op, hero: Op, target: Target) -> Size:
    """The memory that a tile has for itself."""
    contraction = Contraction.of(op, hero)
    if isinstance(contraction.hero, DotGeneral):
        return dot_slab(contraction, target)
    choice = _Choice.of(contraction, target)
    if choice.weights is not None:
        return choice.weights.spec.scratch_bytes(target)
    return choice.forward.scratch_bytes(target) if choice.forward is not None else 0


def accumulates(op: Op, target: Target) -> bool:
    """Can an op add to what its result holds? Contractions by themselves can, in their dtype."""
    if not isinstance(op, DotGeneral | Convolution) or op.result.type.size == 0:
        return False
    if compute_dtype(op.lhs.dtype) != op.result.dtype:
        return False
    contraction = Contraction.of(op, op)
    if isinstance(contraction.hero, DotGeneral):
        return True
    weights = _Choice.of(contraction, target).weights
    return weights is not None and weights.chunks == 1


def finishes_elsewhere(op: Fusion, target: Target) -> bool:
    """Are a fusion's results written once, with its contraction's sums, if it has one, finished?

    Those of a convolution with a hook may wait in the result for the next channels.
    """
    hero = hero_of(op)
    if hero is None:
        return True
    contraction = Contraction.of(op, hero)
    if isinstance(contraction.hero, DotGeneral):
        return True
    return _Choice.of(contraction, target).epilogue is None


@dataclass(frozen=True)
class Packing:
    """What can be done once for many runs of a contraction: its right operand in panels.

    Attributes:
        operand: the number of the op's operand.
        nbytes: of the panels.
        scratch: what the op wants besides, when it is given the panels.
        slab: what a tile then wants for itself.
        launch: `launch(frame, source, panels)` makes them.
    """

    operand: int
    nbytes: Size
    scratch: Size
    slab: Size
    launch: Callable[[Frame, Operand, Operand], None]


def packing_of(op: Op, target: Target) -> Packing | None:
    """The packing of a contraction, alone or in a fusion; None if there is nothing to be gained."""
    hero = hero_of(op)
    if hero is None or op.results[0].type.size == 0:
        return None
    contraction = Contraction.of(op, hero)
    operand = op.operands.index(contraction.operands[1])
    scratch = contraction_scratch(op, hero, target)
    if isinstance(contraction.hero, DotGeneral):
        copies = Copies.of(contraction.hero)
        product = Product.of(copies.product, target, "", parts=contraction.parts)
        if copies.rhs is not None or not product.packable:
            return None
        slab = dot_slab(contraction, target, packed=True)
        return Packing(operand, product.packed_bytes(target), scratch, slab, product.launch_pack)
    forward = _Choice.of(contraction, target).forward
    if forward is None:
        return None
    nbytes = forward.packed_bytes(target)
    slab = forward.scratch_bytes(target)
    return Packing(operand, nbytes, scratch - nbytes, slab, forward.launch_pack)


def hero_of(op: Op) -> Op | None:
    """The contraction that an op is, or that is in its body."""
    ops = op.body.ops if isinstance(op, Fusion) else (op,)
    found = [x for x in ops if isinstance(x, DotGeneral | Convolution)]
    return found[0] if found else None
