"""Contractions, alone or with the elementwise ops of a fusion behind them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kgraph.codegen.llvm.lower.convolution import (
    Forward,
    forward_epilogue,
    is_weight_gradient,
)
from kgraph.codegen.llvm.lower.convolution_plain import launch_plain
from kgraph.codegen.llvm.lower.convolution_weights import Weights
from kgraph.codegen.llvm.lower.dot import dot_scratch, dot_slab, lower_dot
from kgraph.codegen.llvm.lower.epilogue import Contraction, Epilogue, launch_rest, sum_bytes
from kgraph.codegen.llvm.lower.frame import Frame
from kgraph.codegen.llvm.lower.table import lowers, wants_scratch, wants_slab
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Op, Size
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.convolution import Convolution
from kgraph.passes.memory import ALIGNMENT


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
    if isinstance(hero, DotGeneral):
        lower_dot(frame, contraction, frame.scratches.get(op))
    else:
        _lower_convolution(frame, contraction, op)


@dataclass(frozen=True)
class _Choice:
    """Who computes a convolution, and the bytes of scratch for packed weights or partial sums."""

    forward: Forward | None
    weights: Weights | None
    epilogue: Epilogue | None
    packed: Size

    @staticmethod
    def of(contraction: Contraction, target: Target) -> _Choice:
        hero = contraction.hero
        assert isinstance(hero, Convolution)
        if is_weight_gradient(hero):
            weights = Weights.of(hero, target)
            if weights is not None:
                return _Choice(None, weights, None, weights.scratch())
        forward = Forward.of(hero, target, "")
        if forward is None:
            return _Choice(None, None, None, 0)
        epilogue = None if contraction.plain else forward_epilogue(contraction, forward)
        if epilogue is not None:
            result = contraction.outputs[contraction.primary].dtype
            spec = replace(
                forward.spec, result=result, epilogue=epilogue.hook,
                inline_epilogue=epilogue.inline, extra=epilogue.extra,
            )  # fmt: skip
            forward = replace(forward, spec=spec)
        return _Choice(forward, None, epilogue, forward.spec.packed_bytes(target))


def _lower_convolution(frame: Frame, contraction: Contraction, op: Op) -> None:
    f = frame.f
    hero = contraction.hero
    assert isinstance(hero, Convolution)
    choice = _Choice.of(contraction, frame.target)
    operands = [frame.pointer(v) for v in contraction.operands]
    outputs = [frame.pointer(v) for v in contraction.outputs]
    scratch = frame.scratches.get(op)
    separate = not contraction.plain and choice.epilogue is None
    target = outputs[contraction.primary]
    if separate:
        assert scratch is not None
        target = f.offset_bytes(scratch, frame.size(_aligned(choice.packed)))
    if choice.weights is not None:
        assert scratch is not None
        choice.weights.launch(frame, operands, scratch, target)
    elif choice.forward is not None:
        assert scratch is not None
        others = [frame.pointer(v) for v in contraction.inputs] if choice.epilogue else []
        others += outputs if choice.epilogue else []
        choice.forward.launch(frame, choice.epilogue, operands, scratch, others, target)
    else:
        launch_plain(frame, hero, operands, target)
    if separate:
        launch_rest(frame, contraction, target)


def contraction_scratch(op: Op, hero: Op, target: Target) -> Size:
    """The memory that all tiles share."""
    contraction = Contraction.of(op, hero)
    if isinstance(hero, DotGeneral):
        return dot_scratch(contraction, target)
    choice = _Choice.of(contraction, target)
    if contraction.plain or choice.epilogue is not None:
        return choice.packed
    return _aligned(choice.packed) + sum_bytes(contraction)


def contraction_slab(op: Op, hero: Op, target: Target) -> Size:
    """The memory that a tile has for itself."""
    contraction = Contraction.of(op, hero)
    if isinstance(hero, DotGeneral):
        return dot_slab(contraction, target)
    choice = _Choice.of(contraction, target)
    if choice.weights is not None:
        return choice.weights.spec.scratch_bytes(target)
    return choice.forward.spec.scratch_bytes(target) if choice.forward is not None else 0


def _aligned(size: Size) -> Size:
    return (size + (ALIGNMENT - 1)) // ALIGNMENT * ALIGNMENT
