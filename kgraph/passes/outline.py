"""Outlining of batch-local regions.

Most of a step computes each sample alone; only sums couple them. The pass puts maximal runs of such
ops into `batched` ops, whose bodies work on a block of samples: a thread carries a few samples
through all of it while they are in its cache, and threads meet once. What an op may do in a region
is its own `locality`; `carried.py` and `placement.py` have the analysis and the order, `cuts.py`
says where a region falls into parts with blocks of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import numpy as np

from kgraph.ir import (
    All,
    Builder,
    Combine,
    Fact,
    Function,
    Op,
    Rows,
    Shape,
    TensorType,
    Value,
    bind_op,
    bind_type,
    is_float,
    symbol,
)
from kgraph.ir.ops.blocks import CHUNKS
from kgraph.ir.ops.control import Batched, Fusion
from kgraph.ir.ops.shape import Constant, Iota
from kgraph.passes.base import Pass
from kgraph.passes.carried import (
    bytes_per_sample,
    carrier,
    is_heavy,
    locality,
    peak_per_sample,
    reuse_per_sample,
    samples_of,
)
from kgraph.passes.cuts import Cuts
from kgraph.passes.pixels import Pixels, by_pixels, has_one_image
from kgraph.passes.placement import Local, Placement, place

_BLOCK = "block"


class Outline(Pass):
    """Puts what is computed per sample into `batched` regions of `block` samples.

    The same values up to the order of sums over the batch, which becomes that of `batched`. A
    region has the largest power of two of samples, at most `block`, whose values fit in `cache`
    bytes. Measured on an LSTM, whose steps are short: 16 samples are a third faster than 8, 32 no
    better; on a convnet all from 4 to 16 are alike. Each block brings in the weights again where
    these are more than `weights` bytes, more than a core keeps: blocks are then so large that each
    weight is used some `uses` times. Where the weights alone outgrow `cache`, values may have twice
    that: measured on a network of 50 layers, whose blocks then are a tenth faster. But where a
    sample alone uses each weight `alone` times, it gains nothing from others beside it: values then
    fit in `near` bytes, what a core has next to it, and regions are not cut for their weights.
    Measured on a transformer: 2 % faster by one thread, and blocks enough for others. Where a
    region has next to no weights, values fit there as well: nothing is read again for each block.
    So they do where it computes each pixel alone, in blocks of pixels (`pixels.py`), at least
    `uses` of them and at most those of `block` samples. Measured on a training step with batch
    norm, most of whose regions are such: a fifth faster, and a twentieth by the depthwise ones.
    `expected` is the batch for which the partial sums of a weight gradient are weighed against the
    rows that they sum. Where all of them together outgrow `cache`, each block brings them in from
    memory and writes them back, so they are weighed against the rows of one block. Regions of fewer
    than `least` ops that do not move elements alone stay as they are.
    """

    name: ClassVar[str] = "outline"
    batch: str = "batch"
    block: int = 16
    cache: int = 1 << 23
    near: int = 1 << 19
    weights: int = 1 << 20
    uses: int = 64
    alone: int = 100
    expected: int = 128
    least: int = 2

    def run(self, fn: Function) -> Function:
        """`fn` with regions; `fn` itself where nothing is local."""
        if any(isinstance(op, Batched | Fusion) for op in fn.ops) or _BLOCK in fn.symbols:
            return fn
        read = {v for op in fn.ops for v in op.operands} | set(fn.results)
        rules = {op: how for op in fn.ops if (how := locality(op, self.batch)) is not None}
        expected = self._expected(fn, rules)
        local: Local = {}
        for op, how in rules.items():
            if is_heavy(op, how, self.batch, expected):
                continue
            if all(v not in read for v, h in zip(op.results, how, strict=True) if h == All()):
                local[op] = how  # what is the same for all blocks cannot be given by each
        if not local:
            return fn
        weights, _, uses = reuse_per_sample(fn, self.batch)
        alone = weights > self.weights and uses >= self.alone
        options = self._nearby if alone else self
        return _Emission(options, fn, local, place(fn, local, self.batch), alone).function()

    @property
    def _nearby(self) -> Outline:
        """The same for values that stay next to a core."""
        return replace(self, cache=min(self.cache, self.near))

    def _expected(self, fn: Function, rules: Local) -> int:
        """The batch for which partial sums are weighed: as many blocks as there are chunks, or more
        where a thread's sums stay in its cache."""
        sums = sum(
            bytes_per_sample(v.type, self.batch)
            for op, how in rules.items()
            for v, h in zip(op.results, how, strict=True)
            if isinstance(h, Combine)
        )
        if sums <= self.cache:
            return self.expected
        return CHUNKS * self.fitting(peak_per_sample(fn, self.batch))

    def samples(self, body: Function) -> int:
        """The samples of a block of a body."""
        most = self.block
        weights, uses, _ = reuse_per_sample(body, _BLOCK)
        if weights > self.weights:
            most = max(most, 1 << math.ceil(math.log2(max(1, self.uses / uses))))
        each = peak_per_sample(body, _BLOCK)
        return (self._nearby if weights < self.near // 8 else self).fitting(each, most, weights)

    def pixels(self, found: Pixels) -> int:
        """The pixels of a block of a body that computes each alone."""
        room = self.near // max(1, peak_per_sample(found.body, _BLOCK))
        most = max(self.uses, min(room, self.block * found.each))
        return 1 << (most.bit_length() - 1)

    def fitting(self, each: int, most: int = 0, weights: int = 0) -> int:
        """The samples of a block, at most `block` or so many, if each has so many bytes."""
        room = self.cache if weights <= self.cache else 2 * self.cache
        most = max(1, min(most or self.block, room // max(1, each)))
        return 1 << (most.bit_length() - 1)


class _Emission:
    """Writes the outlined function."""

    def __init__(
        self, options: Outline, fn: Function, local: Local, placement: Placement, alone: bool
    ) -> None:
        """`alone`: the weights have no say in the size of blocks."""
        self.options, self.fn, self.local, self.placement = options, fn, local, placement
        self.alone = alone
        self.stored: dict[Value, None] = {}  # rows and sums that leave their region
        self.levels = self._levels()

    def _levels(self) -> dict[Op, set[int]]:
        """Where each op is computed."""
        level, copied, local = self.placement.level, self.placement.copied, self.local
        levels: dict[Op, set[int]] = {op: {level[op]} for op in self.fn.ops if op not in copied}
        for v in self.fn.results:
            if v.op in local:
                self._store(v, levels)
        for op in reversed(self.fn.ops):
            for v in op.operands:
                if v.op not in local:
                    continue
                if op not in local or not isinstance(local[v.op][v.index], Rows):
                    self._store(v, levels)
                elif v.op in copied:
                    levels.setdefault(v.op, set()).update(levels.get(op, ()))
                elif any(at > level[v.op] for at in levels.get(op, ())):
                    self.stored[v] = None
        return levels

    def _store(self, v: Value, levels: dict[Op, set[int]]) -> None:
        how = self.local[v.op][v.index]
        together = v.op.results if isinstance(how, Combine) and how.kind == "moments" else (v,)
        self.stored.update(dict.fromkeys(together))
        levels.setdefault(v.op, set()).add(self.placement.level[v.op])

    def function(self) -> Function:
        count = max(self.placement.level.values(), default=0) + 1
        tops: list[list[Op]] = [[] for _ in range(count)]
        inside: list[list[Op]] = [[] for _ in range(count)]
        for op in self.fn.ops:
            for at in self.levels.get(op, ()):
                (inside if op in self.local else tops)[at].append(op)
        b = Builder()
        env: dict[Value, Value] = {p: p for p in self.fn.params}
        for at in range(count):
            for op in tops[at]:
                env.update(zip(op.results, b.append(_over(op, env)), strict=True))
            self._region(b, env, inside[at], at)
        return Function(
            self.fn.params, tuple(b.ops), tuple(env[v] for v in self.fn.results), self.fn.name
        )

    def _region(self, b: Builder, env: dict[Value, Value], inside: list[Op], at: int) -> None:
        gives = [
            v
            for op in inside
            for v in op.results
            if v in self.stored and self.placement.level[op] == at
        ]
        if not gives:
            return
        if sum(Fact.MOVES not in op.facts for op in inside) < self.options.least:
            for op in inside:
                env.update(zip(op.results, b.append(_over(op, env)), strict=True))
            return
        batch = self.options.batch
        if has_one_image(inside, batch):  # before a body is made for nothing
            outer, body = _body(inside, gives, self.local, batch)
            pixels = by_pixels(body, _BLOCK)
            if pixels is not None:
                self._rows(b, env, outer, pixels, gives)
                return
        block: Callable[[int], int] = (lambda _: 1) if self.alone else self.options.fitting
        cuts = Cuts(inside, set(gives), self.placement.copied, batch, block)
        wanted = {*gives, *cuts.crossing}
        for part in cuts.parts:
            made = [v for op in part for v in op.results if v in wanted]
            wanted.difference_update(made)  # the first to make a value gives it
            if made:
                self._part(b, env, part, made)

    def _rows(
        self,
        b: Builder,
        env: dict[Value, Value],
        outer: list[Value],
        pixels: Pixels,
        gives: list[Value],
    ) -> None:
        """A region of pixels: it takes matrices, and what it gives gets its shape back."""
        batch, body = self.options.batch, pixels.body
        over = pixels.each * symbol(batch)
        sizes = {_BLOCK: over}
        inputs = [
            _shaped(b, env[v], bind_type(p.type, sizes).shape)
            for v, p in zip(outer, body.params[1:], strict=True)
        ]
        takes = tuple(-1 if carrier(p.type, _BLOCK) is None else 0 for p in body.params[1:])
        kinds = tuple(_kind(self.local[v.op][v.index]) for v in gives)
        block = self.options.pixels(pixels)
        region = Batched(tuple(inputs), over, block, takes, kinds, body)
        with b.at(gives[0].op.location):
            made = b.append(region)
            env.update({v: _shaped(b, x, v.shape) for v, x in zip(gives, made, strict=True)})

    def _part(
        self, b: Builder, env: dict[Value, Value], part: list[Op], gives: list[Value]
    ) -> None:
        batch = self.options.batch
        outer, body = _body(part, gives, self.local, batch)
        takes = tuple(-1 if (d := carrier(v.type, batch)) is None else d for v in outer)
        kinds = tuple(_kind(self.local[v.op][v.index]) for v in gives)
        samples = self.options.samples(body)
        region = Batched(tuple(env[v] for v in outer), symbol(batch), samples, takes, kinds, body)
        with b.at(gives[0].op.location):
            env.update(zip(gives, b.append(region), strict=True))


def _kind(how: object) -> tuple[str, int]:
    if isinstance(how, Rows):
        return ("rows", how.dim)
    assert isinstance(how, Combine)
    return (how.kind, 0)


def _shaped(b: Builder, v: Value, shape: Shape) -> Value:
    return v if v.shape == shape else b.reshape(v, shape)


def _over(op: Op, env: dict[Value, Value]) -> Op:
    operands = tuple([env[v] for v in op.operands])
    return op if operands == op.operands else op.with_operands(operands)


def _body(
    inside: list[Op], gives: list[Value], local: Local, batch: str
) -> tuple[list[Value], Function]:
    """The values that the region reads from outside, and its body."""
    sizes = {batch: symbol(_BLOCK)}
    b = Builder()
    start = b.param("start", TensorType((), "int32"))
    outer: list[Value] = []
    env: dict[Value, Value] = {}
    for op in inside:
        b.location = op.location
        for v in op.operands:
            if v in env:
                continue
            if isinstance(v.op, Constant):
                env[v] = b.append(v.op)[0]
                continue
            outer.append(v)
            env[v] = b.param(_label(v), bind_type(v.type, sizes))
        bound = bind_op(op, tuple([env[v] for v in op.operands]), sizes)
        if isinstance(bound, Iota) and local[op] == (Rows(bound.dim),):
            made: tuple[Value, ...] = (_counted(b, bound, start, samples_of(op.result, batch)),)
        else:
            made = b.append(bound)
        env.update(zip(op.results, made, strict=True))
    return outer, b.function(*[env[v] for v in gives])


def _counted(b: Builder, op: Iota, start: Value, each: int) -> Value:
    """The indices of a block's rows: `each` per sample, from its first sample on."""
    dtype = "int32" if is_float(op.dtype) else op.dtype  # a float rounds once, at the end
    first = b.multiply(b.cast(start, dtype), b.constant(np.asarray(each).astype(dtype)))
    index = b.iota(op.shape, op.dim, dtype)
    return b.cast(b.add(index, b.broadcast(first, op.shape)), op.dtype)


def _label(v: Value) -> str:
    label = v.op.__dict__.get("label", v.op.name)
    return str(label)
