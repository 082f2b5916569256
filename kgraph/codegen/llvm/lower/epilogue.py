"""Contractions with elementwise work on their sums, while these are in registers, and on an input.

`Epilogue` is the part of a fusion body behind its contraction, as the hook that the generators of
gemm.py and conv.py call with a vector of sums and its row and column. The values it needs besides
come as further parameters of the generated functions.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.emit import I64, PTR, Function, Operand, Type
from kgraph.codegen.llvm.gemm_tile import compute_dtype
from kgraph.codegen.llvm.lower.element import Evaluator
from kgraph.codegen.llvm.lower.frame import Code, Frame
from kgraph.codegen.llvm.lower.index import ALWAYS, ZERO, Axis, Guard
from kgraph.codegen.llvm.lower.keys import body_key, body_symbols
from kgraph.codegen.llvm.lower.loops import Loop, is_long
from kgraph.codegen.llvm.lower.space import Space, space_of
from kgraph.ir import Builder, Fact, Op, Param, Size, TensorType, Value
from kgraph.ir import Function as Graph
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.control import Fusion
from kgraph.ir.ops.convolution import Convolution
from kgraph.passes.pointwise import as_product, labels_of

_STREAMS = 1  # arrays of the result's size that are read besides
_INLINE = 5  # elementwise ops that are written out for every accumulator


def _closure(body: Graph, wanted: Sequence[Value], known: Sequence[Value]) -> list[Op]:
    """The ops that make some values from the parameters and from what is known."""
    found: set[Op] = set()
    pending = [v for v in wanted if v not in known]
    while pending:
        op = pending.pop().op
        if op not in found and not isinstance(op, Param):
            found.add(op)
            pending += [v for v in op.operands if v not in known]
    return [op for op in body.ops if op in found]


@dataclass(frozen=True)
class Prologue:
    """What is done to the left operand while it is copied.

    Attributes:
        body: of an array of its shape, then of vectors of channels and of numbers.
        inputs: in memory, the array first.
    """

    body: Graph
    inputs: tuple[Value, ...]

    @staticmethod
    def of(op: Fusion, lhs: Value, ops: Sequence[Op]) -> tuple[Prologue, Value]:
        """And the parameter of the fusion's body that is the array."""
        read = [p for p in op.body.params if any(p in x.operands for x in ops)]
        read.sort(key=lambda p: p.shape != lhs.shape)
        b = Builder()
        inner = {p: b.param(f"p{i}", p.type) for i, p in enumerate(read)}
        for x in ops:
            made = b.append(x.with_operands(tuple([inner[v] for v in x.operands])))
            inner.update(zip(x.results, made, strict=True))
        outer = dict(zip(op.body.params, op.inputs, strict=True))
        body = b.function(inner[lhs])
        return Prologue(body, tuple([outer[p] for p in read])), read[0]

    def key(self) -> Hashable:
        """Of the hook."""
        return body_key(self.body)

    @property
    def extra(self) -> tuple[tuple[str, Type], ...]:
        """The further parameters."""
        return tuple([(f"p{i}", PTR) for i in range(1, len(self.inputs))])

    def hook(
        self, f: Function, pixel: Operand, channel: Operand, value: Operand, mask: Operand | None
    ) -> Operand:
        """What is used for a vector of channels."""
        array, *others = self.body.params
        pointers = {p: f.parameter(f"p{i}") for i, p in enumerate(others, start=1)}
        evaluator = Evaluator(Code(f, {}), self.body, pointers, value.lanes)
        index = (ZERO,) * (array.type.rank - 1) + (Axis(channel, 1),)
        guard = Guard(lanes=mask)
        compute = compute_dtype(array.dtype)
        evaluator.give(array, index, guard, f.convert(value, compute, array.dtype))
        (found,) = evaluator.values(self.body.results, index, guard)
        found = found if found.lanes == value.lanes else f.splat(found, value.lanes)
        return f.convert(found, array.dtype, compute)


@dataclass(frozen=True)
class Contraction:
    """A contraction alone or as the hero of a fusion.

    Attributes:
        hero: the op, over values of the fusion's body; a convolution that is a product is one.
        operands: the hero's operands in memory.
        body: what follows it: a function of `inputs` and, last, of the hero's result.
        inputs: of the body, in memory.
        outputs: the results in memory.
        labels: of a product: "item", "left" or "right" for each dim of the result.
        prologue: what is done to the first operand.
    """

    hero: Op
    operands: tuple[Value, ...]
    body: Graph
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    labels: tuple[str, ...]
    prologue: Prologue | None = None

    @staticmethod
    def of(op: Op, hero: Op) -> Contraction:
        """From an op that is the hero, or a fusion around it."""
        b = Builder()
        chief, labels = _as_product(hero)
        if op is hero:
            result = b.param("sum", hero.result.type)
            return Contraction(chief, op.operands, b.function(result), (), op.results, labels)
        assert isinstance(op, Fusion)
        outer = dict(zip(op.body.params, op.inputs, strict=True))
        before = _closure(op.body, hero.operands[:1], ())
        after = _closure(op.body, op.body.results, (hero.results[0],))
        inner: dict[Value, Value] = {}
        inputs: list[Value] = []
        for p in op.body.params:
            if any(p in x.operands for x in after) or p in op.body.results:
                inner[p] = b.param(f"x{len(inputs)}", p.type)
                inputs.append(outer[p])
        inner[hero.result] = b.param("sum", hero.result.type)
        for x in after:
            made = b.append(x.with_operands(tuple([inner[v] for v in x.operands])))
            inner.update(zip(x.results, made, strict=True))
        body = b.function(*[inner[v] for v in op.body.results])
        prologue, lhs = None, hero.operands[0]
        if before:
            prologue, lhs = Prologue.of(op, lhs, before)
        operands = tuple([outer[v] for v in (lhs, *hero.operands[1:])])
        return Contraction(chief, operands, body, tuple(inputs), op.results, labels, prologue)

    @property
    def type(self) -> TensorType:
        """Of the hero's result."""
        return self.body.params[-1].type

    @property
    def plain(self) -> bool:
        """Is the hero's result the only one?"""
        return not self.body.ops and len(self.outputs) == 1

    @property
    def parts(self) -> int:
        """How many blocks of columns the sums have, if the results see these side by side."""
        wide, narrow = self.type.shape[-1:], self.outputs[0].shape[-1:]
        return 1 if wide == narrow else int(wide[0]) // int(narrow[0])

    @property
    def primary(self) -> int:
        """The result that the generated function stores: one that can hold unfinished sums."""
        dtype = self.type.dtype
        same = [i for i, v in enumerate(self.outputs) if v.dtype == dtype]
        return same[0] if same else 0


@dataclass(frozen=True)
class Epilogue:
    """The hook of a contraction.

    Attributes:
        contraction: what it belongs to.
        space: of the result, whose runs are all of one label.
        labels: per dim of the result: "item", "row" or "column", whatever counts through it.
    """

    contraction: Contraction
    space: Space
    labels: tuple[str, ...]

    @staticmethod
    def of(contraction: Contraction, labels: Sequence[str]) -> Epilogue | None:
        """The epilogue; None where a loop of its own is better.

        That is where vectors of columns would not see vectors in memory, and where it reads several
        arrays besides: tile by tile that costs more than the sums' way to memory and back.
        """
        body, shape, size = contraction.body, contraction.type.shape, contraction.type.size
        if contraction.parts > 1:
            shape = contraction.outputs[0].shape
        elif sum(p.type.size == size for p in body.params[:-1]) > _STREAMS:
            return None
        space = space_of(body, body.results, shape, labels)
        found = Epilogue(contraction, space, tuple(labels))
        return found if len(found._runs("column")) <= 1 else None

    @property
    def inline(self) -> bool:
        """Is it short?"""
        ops = self.contraction.body.ops
        cheap = all(Fact.TRANSCENDENTAL not in op.facts for op in ops)
        return cheap and sum(Fact.ELEMENTWISE in op.facts for op in ops) <= _INLINE

    @property
    def long(self) -> bool:
        """Is it long?"""
        return is_long(self.contraction.body)

    def key(self) -> Hashable:
        """Of the hook."""
        return (body_key(self.contraction.body), self.labels)

    @property
    def extra(self) -> tuple[tuple[str, Type], ...]:
        """The further parameters: inputs, other outputs, symbols, the item."""
        c = self.contraction
        pointers = [f"x{i}" for i in range(len(c.inputs))]
        pointers += [f"y{i}" for i in range(len(c.outputs)) if i != c.primary]
        numbers = [f"s.{s}" for s in body_symbols(c.body)]
        numbers += ["item"] if self._runs("item") else []
        return (*((n, PTR) for n in pointers), *((n, I64) for n in numbers))

    @property
    def streams(self) -> tuple[tuple[str, str], ...]:
        """Names and dtypes of the inputs that lie as the result does."""
        c = self.contraction
        if self._runs("item"):
            return ()
        inputs = enumerate(c.body.params[:-1])
        return tuple([(f"x{i}", p.type.dtype) for i, p in inputs if p.type.shape == c.type.shape])

    def arguments(
        self, inputs: Sequence[Operand], outputs: Sequence[Operand], code: Code, item: Operand
    ) -> list[Operand]:
        """What is passed for `extra`."""
        c = self.contraction
        others = [y for i, y in enumerate(outputs) if i != c.primary]
        numbers = [code.symbols[s] for s in body_symbols(c.body)]
        return [*inputs, *others, *numbers, *([item] if self._runs("item") else [])]

    def hook(
        self, f: Function, row: Operand, column: Operand, value: Operand, mask: Operand | None
    ) -> Operand | None:
        """What is stored for a vector of sums."""
        c = self.contraction
        body = c.body
        code = Code(f, {s: f.parameter(f"s.{s}") for s in body_symbols(body)})
        counters = {"row": Axis(row), "column": Axis(column, 1), "item": ZERO}
        if self._runs("item"):
            counters["item"] = Axis(f.parameter("item"))
        index = self.space.index(self._axes(code, counters))
        pointers = {p: f.parameter(f"x{i}") for i, p in enumerate(body.params[:-1])}
        evaluator = Evaluator(code, body, pointers, value.lanes)
        guard = Guard(lanes=mask)
        dtype = c.type.dtype
        sums = f.convert(value, compute_dtype(dtype), dtype)
        evaluator.give(body.params[-1], index, guard, sums)
        stored = None
        for i, x in enumerate(evaluator.values(body.results, index, guard)):
            if i == c.primary:
                stored = x if x.lanes == value.lanes else f.splat(x, value.lanes)
            else:
                type_ = body.results[i].type
                evaluator.store(f.parameter(f"y{i}"), type_, index, guard, x)
        return stored

    def parts_hook(
        self, f: Function, row: Operand, column: Operand, values: Sequence[Operand]
    ) -> None:
        """Stores all results of the sums at a row and column of each part."""
        c, body = self.contraction, self.contraction.body
        code = Code(f, {s: f.parameter(f"s.{s}") for s in body_symbols(body)})
        index = self.space.index(self._axes(code, {"row": Axis(row), "column": Axis(column, 1)}))
        pointers = {p: f.parameter(f"x{i}") for i, p in enumerate(body.params[:-1])}
        evaluator = Evaluator(code, body, pointers, values[0].lanes)
        for part, value in enumerate(values):
            start = int(c.outputs[0].shape[-1]) * part
            place = (*index[:-1], index[-1].scaled(f, 1).shifted(f, start))
            evaluator.give(body.params[-1], place, ALWAYS, value)
        for i, x in enumerate(evaluator.values(body.results, index, ALWAYS)):
            base = f.parameter("c" if i == c.primary else f"y{i}")
            evaluator.store(base, body.results[i].type, index, ALWAYS, x)

    def _runs(self, label: str) -> list[int]:
        return [k for k, run in enumerate(self.space.runs) if self.labels[run[0]] == label]

    def _axes(self, code: Code, counters: dict[str, Axis]) -> list[Axis]:
        """An axis for each run: a counter taken apart where it counts through several runs."""
        f, sizes = code.f, self.space.sizes
        axes = [ZERO] * len(sizes)
        for label, counter in counters.items():
            runs = self._runs(label)
            left = counter
            for k in reversed(runs[1:]):
                size = code.size(sizes[k])
                axes[k] = Axis(f.urem(left.base, size))
                left = Axis(f.udiv(left.base, size))
            if runs:
                axes[runs[0]] = left
        return axes


def launch_rest(frame: Frame, contraction: Contraction, sums: Operand) -> None:
    """The epilogue as a loop over sums in memory, where it cannot be a hook."""
    inputs = [*(frame.pointer(v) for v in contraction.inputs), sums]
    outputs = [frame.pointer(v) for v in contraction.outputs]
    Loop.of(contraction.body, frame.target).launch(frame, inputs, outputs)


def sum_bytes(contraction: Contraction) -> Size:
    """The bytes of the hero's result."""
    return contraction.type.nbytes


def _as_product(hero: Op) -> tuple[Op, tuple[str, ...]]:
    """The hero, or the product that it is, and the labels of a product."""
    if isinstance(hero, Convolution):
        product = as_product(hero)
        return (hero, ()) if product is None else (product, tuple(labels_of(hero)))
    assert isinstance(hero, DotGeneral)
    labels = ["item"] * len(hero.lhs_batch)
    labels += ["left"] * len(hero.lhs_free) + ["right"] * len(hero.rhs_free)
    return hero, tuple(labels)
