"""`dot_general` as batches of matrix products, on copies of its operands where needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kgraph.codegen.llvm.emit import Operand
from kgraph.codegen.llvm.gemm import emit_gemm
from kgraph.codegen.llvm.gemm_spec import one_chunk
from kgraph.codegen.llvm.lower.epilogue import Contraction, Epilogue, launch_rest, sum_bytes
from kgraph.codegen.llvm.lower.frame import Frame
from kgraph.codegen.llvm.lower.keys import op_key, op_symbols
from kgraph.codegen.llvm.lower.loops import Loop
from kgraph.codegen.llvm.lower.product import Product
from kgraph.codegen.llvm.lower.sides import Copies
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Builder, Size, Value
from kgraph.ir.ops.contract import DotGeneral
from kgraph.passes.arena import aligned


@dataclass(frozen=True)
class _Plan:
    """How a product is done: on copies of its operands, tiled, and what becomes of its sums.

    Attributes:
        copies: the operands' order.
        product: the tiling.
        epilogue: the hook for what follows; None: a loop of its own, if anything does.
        sums: bytes of memory for sums outside of the results: all of them for a loop of its own,
            those between chunks of k for a hook, whose results may lie over what it reads.
    """

    copies: Copies
    product: Product
    epilogue: Epilogue | None
    sums: Size

    @staticmethod
    def of(contraction: Contraction, target: Target, packed: bool) -> _Plan:
        """The plan; `packed`: the right operand is given in panels."""
        op = contraction.hero
        assert isinstance(op, DotGeneral)
        copies = Copies.of(op)
        if contraction.plain:
            return _Plan(copies, Product.of(copies.product, target, "", packed), None, 0)
        result = contraction.outputs[contraction.primary].dtype
        parts = contraction.parts
        plan = Product.of(copies.product, target, result, packed, parts)
        found = Epilogue.of(contraction, plan.labels(contraction))
        sums = aligned(sum_bytes(contraction))
        if found is None:
            plan = Product.of(copies.product, target, "", packed)
            return _Plan(copies, plan, None, sums)
        whole = one_chunk(plan.spec, target)
        if parts > 1:
            spec = replace(plan.spec, parts_epilogue=found.parts_hook, extra=found.extra)
            return _Plan(copies, replace(plan, spec=spec), found, 0)
        spec = replace(
            plan.spec, epilogue=found.hook, inline_epilogue=found.inline,
            long_epilogue=found.long, extra=found.extra,
            streams=found.streams, partial=not whole,
        )  # fmt: skip
        return _Plan(copies, replace(plan, spec=spec), found, 0 if whole else sums)


def lower_dot(
    frame: Frame, contraction: Contraction, scratch: Operand | None, packed: Operand | None,
    fresh: Operand | None,
) -> None:  # fmt: skip
    """Lowers a product with its epilogue; `packed` is the right operand in panels, if it is.

    `fresh`, where given: 0 if the sums are added to what a plain product's result holds.
    """
    f = frame.f
    plan = _Plan.of(contraction, frame.target, packed is not None)
    copies, epilogue = plan.copies, plan.epilogue
    operands = []
    at: Size = 0
    for v, perm in zip(contraction.operands, (copies.lhs, copies.rhs), strict=True):
        pointer = frame.pointer(v)
        if perm is not None:
            assert scratch is not None
            to = f.offset_bytes(scratch, frame.size(at))
            at = at + aligned(v.type.nbytes)
            _launch_transpose(frame, v, perm, pointer, to)
            pointer = to
        operands.append(pointer)
    if packed is not None:
        operands[1] = packed
    outputs = [frame.pointer(v) for v in contraction.outputs]
    target = outputs[contraction.primary]
    others: list[Operand] = []
    if epilogue is not None:
        others = [frame.pointer(v) for v in contraction.inputs] + outputs
    if plan.sums != 0:
        assert scratch is not None
        sums = f.offset_bytes(scratch, frame.size(at))
        if epilogue is None:
            target = sums
        else:
            others.append(sums)
    product = plan.product
    if fresh is not None:
        product = replace(product, spec=replace(product.spec, continued=True))
        others.append(fresh)
    _launch_product(frame, product, epilogue, operands, target, others)
    if epilogue is None and not contraction.plain:
        launch_rest(frame, contraction, target)


def _launch_product(
    frame: Frame, plan: Product, epilogue: Epilogue | None, operands: Sequence[Operand],
    target: Operand, others: Sequence[Operand],
) -> None:  # fmt: skip
    if plan.swapped:
        operands = operands[::-1]
    own = epilogue.key() if epilogue is not None else None
    names = frame.kernels.names
    key = (plan.key(), own)
    if key not in names:
        names[key] = emit_gemm(frame.module, frame.kernels.named("gemm"), plan.spec)
    name = names[key]
    each = plan.each(frame)
    count = frame.f.mul(*plan.tiles(frame, each))
    places = len(epilogue.contraction.inputs) if epilogue is not None else 0
    symbols = set(op_symbols(plan.op))
    if epilogue is not None:
        symbols |= {s for n, _ in epilogue.extra if n.startswith("s.") for s in [n[2:]]}
    frame.launch(
        ("dot", name, op_key(plan.op), own),
        "dot",
        [*operands, target, *each, *others],
        count,
        lambda k: plan.write(k, name, epilogue, places),
        sorted(symbols),
    )


def _launch_transpose(
    frame: Frame, v: Value, perm: tuple[int, ...], source: Operand, to: Operand
) -> None:
    b = Builder()
    body = b.function(b.transpose(b.param("x", v.type), perm))
    Loop.of(body, frame.target).launch(frame, [source], [to])


def dot_scratch(contraction: Contraction, target: Target) -> Size:
    """Bytes for copies of the operands, and for sums outside of the results."""
    plan = _Plan.of(contraction, target, packed=False)
    total = plan.sums
    orders = (plan.copies.lhs, plan.copies.rhs)
    for v, perm in zip(contraction.operands, orders, strict=True):
        total = total + (aligned(v.type.nbytes) if perm is not None else 0)
    return total


def dot_slab(contraction: Contraction, target: Target, packed: bool = False) -> Size:
    """Bytes of private memory of a tile."""
    return _Plan.of(contraction, target, packed).product.slab(target)
