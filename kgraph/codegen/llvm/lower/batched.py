"""Regions: a body run on blocks of samples, each thread with the blocks' values in its own memory.

Without sums over the batch a tile is a block. With sums a tile is one of at most eight chunks of
blocks, as the op's meaning has it: it adds up its blocks in order in an accumulator of its own, to
which contractions add by themselves, and a last kernel combines the chunks as a balanced tree. Rows
of dim 0 are read and written where they lie; those of other dims are copied to and from the
thread's memory.

Where there are fewer tiles than threads, tiles run one by one and the threads work inside the
kernels of the body, which is chosen when the program runs: the bits are the same.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import lru_cache

from kgraph.codegen.llvm.emit import I32, I64, PTR, Operand
from kgraph.codegen.llvm.lower.blocks import (
    CHUNKS,
    Partial,
    chunk_bound,
    launch_accumulate,
    launch_clear,
    launch_tree,
    partials_of,
)
from kgraph.codegen.llvm.lower.body import lower_body, plan_body, slab_of
from kgraph.codegen.llvm.lower.contraction import accumulates
from kgraph.codegen.llvm.lower.copies import Rows, launch_copy
from kgraph.codegen.llvm.lower.frame import Code, Frame, Kernel, Kernels, serial_for
from kgraph.codegen.llvm.lower.keys import op_key, op_symbols
from kgraph.codegen.llvm.lower.packings import Path, packings_of
from kgraph.codegen.llvm.lower.table import lowers, wants_scratch, wants_slab
from kgraph.codegen.llvm.lower.tiling import divided_up
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Size, Value, bind_size, numpy_dtype, product
from kgraph.ir.ops.control import Batched
from kgraph.passes.arena import aligned
from kgraph.passes.memory import MemoryPlan, Result

_BLOCK = "block"
_THREADS = 2  # the word of the context that has the number of threads


@lowers(Batched)
def lower_batched(frame: Frame, op: Batched) -> None:
    """Tiles of blocks, then the combination of sums."""
    f = frame.f
    region = region_of(op, frame.target).written_by(frame)
    places = [frame.pointer(v) for v in (*op.inputs, *op.results)]
    sums = list(region.partials)
    scratch = frame.scratches.get(op)
    if scratch is not None:
        places.append(scratch)
    tiles, launcher = region.tiles(frame), frame
    if frame.context is not None:
        place = f.offset(frame.context, _THREADS, "int64")
        threads = f.instruction(I64, f"load i64, ptr {place.text}, align 8", pure=False)
        alone = f.compare("LT", tiles, threads)
        launcher = frame.serial_where(alone)
        places += [frame.context, f.resize(alone, "i64", False)]
    for path, offset in region.panels().items():
        panels = frame.packed.get((*frame.path, op, *path))
        if panels is None:
            assert scratch is not None
            panels = f.offset_bytes(scratch, frame.size(offset))
            source = frame.pointer(region.source(path))
            region.packings[path].launch(frame, source, panels)
        places.append(panels)
    symbols = [s for s in op_symbols(op) if s in frame.symbols]
    # Where ops are measured, each has code of its own.
    probe = None if frame.kernels.probes is None else frame.kernels.probes.current
    key = ("region", op_key(op), region.threaded, probe)
    launcher.launch(key, "region", places, tiles, region.write, symbols, cold=True)
    for partial in sums:
        launch_tree(frame, partial, frame.scratch(op), places[len(op.inputs) :], region.blocks)


@wants_scratch(Batched)
def batched_scratch(op: Batched, target: Target) -> Size:
    """The accumulators of all chunks, and panels of weights."""
    return region_of(op, target).shared


@wants_slab(Batched)
def batched_slab(op: Batched, target: Target) -> Size:
    """A block's values, and what its kernels want for themselves."""
    return region_of(op, target).slab()


@dataclass(frozen=True)
class _Local:
    """Memory of a thread for a value of the body: its offset."""

    offset: Size


class Region:
    """A batched op and the layout of a thread's memory.

    It begins with what kernels of the body want for themselves, because `parallel_for` hands them
    the whole; then come the body's inputs and results that are no rows of arrays, and its arena.
    """

    def __init__(self, op: Batched, target: Target) -> None:
        self.op, self.target = op, target
        self.kernels: Kernels | None = None
        self.threaded = False
        self.partials = partials_of(op)
        # What is the same for all blocks is packed once.
        same = {p for p, d in zip(op.body.params[1:], op.takes, strict=True) if d < 0}
        self.packings = packings_of(op.body, same, target)
        self.plan: MemoryPlan = plan_body(op.body, target, packed=self.packings)
        self.straight = {p.results[0]: p for p in self.partials if self._is_straight(p)}
        self.locals: dict[Value, _Local] = {}
        self._size: Size = aligned(self._whole(slab_of(op.body, target, self.packings)))
        self.shared: Size = 0  # bytes of scratch
        self.panels()
        self._add(op.body.params[0])
        for p, d in zip(op.body.params[1:], op.takes, strict=True):
            if d > 0:
                self._add(p)
        for i, (v, (kind, d)) in enumerate(zip(op.body.results, op.gives, strict=True)):
            if (kind != "rows" or d > 0) and i not in self.straight:
                self._add(v)

    def written_by(self, frame: Frame) -> Region:
        """The same region, to be written for a launch from a frame."""
        found = copy(self)
        found.kernels, found.threaded = frame.kernels, frame.context is not None
        return found

    def _is_straight(self, partial: Partial) -> bool:
        """Does the op whose results are summed add them to the accumulator itself?"""
        if partial.kind != "sum" or partial.accumulator != partial.dtype:
            return False
        (i,), body = partial.results, self.op.body
        v = body.results[i]
        if self.plan.places.get(v) != Result(i) or body.results.count(v) > 1:
            return False
        read = any(v in op.operands for op in body.ops)
        return not read and accumulates(v.op, self.target)

    def _add(self, v: Value) -> None:
        if v in self.locals:
            return
        self.locals[v] = _Local(self._size)
        self._size = self._size + aligned(self._whole(v.type.nbytes))

    def _whole(self, size: Size) -> Size:
        """A size of the body in a full block."""
        return bind_size(size, {_BLOCK: self.op.block})

    def panels(self) -> dict[Path, Size]:
        """Where the panels of contractions lie in the scratch memory, behind the accumulators."""
        found: dict[Path, Size] = {}
        at: Size = 0
        for partial in self.partials:
            at = at + partial.nbytes
        for path, packing in self.packings.items():
            found[path] = at
            at = at + aligned(packing.nbytes)
        self.shared = at
        return found

    def source(self, path: Path) -> Value:
        """The input of the region that a contraction's panels are made of."""
        param = path[0].operands[self.packings[path].operand]
        return self.op.inputs[self.op.body.params.index(param) - 1]

    def slab(self) -> Size:
        """Bytes of a thread's memory."""
        return self._size + aligned(self._whole(self.plan.arena))

    def blocks(self, code: Code) -> Operand:
        """How many blocks there are."""
        return divided_up(code, code.size(self.op.over), self.op.block)

    def tiles(self, code: Code) -> Operand:
        """How many tiles there are."""
        blocks = self.blocks(code)
        return code.f.smin(blocks, CHUNKS) if self.partials else blocks

    def write(self, k: Kernel) -> None:
        """Writes the tile: one block, or a chunk of blocks and its accumulators."""
        probes = None if self.kernels is None else self.kernels.probes
        if probes is None:
            self._tile(k)
        else:
            with probes.around(k.f, probes.tiles(self.op.over, self.op.block)):
                self._tile(k)

    def _tile(self, k: Kernel) -> None:
        if not self.partials:
            self._block(k, k.index, None)
            return
        f = k.f
        blocks = self.blocks(k)
        count = f.smin(blocks, CHUNKS)
        frame = self._frame(k, f.index(self.op.block))
        scratch = self._scratch(k)
        for partial in self._others():
            launch_clear(frame, partial, scratch, k.index)
        first = chunk_bound(k, k.index, blocks, count)
        last = chunk_bound(k, f.add(k.index, 1), blocks, count)
        with f.loop(first, last, name="block") as block:
            self._block(k, block, first)

    def _frame(self, k: Kernel, samples: Operand) -> Frame:
        assert self.kernels is not None
        symbols = {**k.symbols, _BLOCK: samples}
        if not self.threaded:
            return Frame(k.f, self.kernels, symbols, None, k.slab)
        f = k.f
        context, alone = k.arguments[len(k.arguments) - len(self.packings) - 2 :][:2]
        alone = f.compare("NE", alone, 0)
        word = f.instruction(PTR, f"load ptr, ptr {context.text}, align 8", pure=False)
        parallel_for = f.select(alone, word, serial_for(f.module))
        return Frame(
            f, self.kernels, symbols, f.select(alone, context, k.slab), k.slab, parallel_for
        )

    def _block(self, k: Kernel, block: Operand, first: Operand | None) -> None:
        """One block: rows in, the body, rows out; sums into the accumulators."""
        f, op = k.f, self.op
        total = k.size(op.over)
        start = f.mul(block, op.block)
        samples = f.smin(f.sub(total, start), op.block)
        frame = self._frame(k, samples)
        panels = k.arguments[len(k.arguments) - len(self.packings) :]
        frame.packed.update(zip(self.packings, panels, strict=True))
        inputs = k.arguments[: len(op.inputs)]
        outputs = k.arguments[len(op.inputs) : len(op.inputs) + len(op.results)]
        index = self._local(k, op.body.params[0])
        f.store_at(index, "int32", f.cast("trunc", start, I32))
        params = [index]
        for p, v, base, d in zip(op.body.params[1:], op.inputs, inputs, op.takes, strict=True):
            params.append(self._taken(frame, k, p, v, base, d, start))
        results = []
        for i, (v, whole, base, (kind, d)) in enumerate(
            zip(op.body.results, op.results, outputs, op.gives, strict=True)
        ):
            if kind == "rows" and d == 0:
                results.append(_row(k, whole, base, 0, op.over, start))
            elif i in self.straight:
                results.append(self.straight[i].place(k, self._scratch(k), k.index, 0))
            else:
                results.append(self._local(k, v))
        if first is not None:
            fresh = f.resize(f.compare("EQ", block, first), "i64", False)
            frame.fresh.update({op.body.results[i].op: fresh for i in self.straight})
        arena = f.offset_bytes(k.slab, k.size(self._size))
        lower_body(frame, op.body, self.plan, params, results, arena)
        for v, whole, base, (kind, d), local in zip(
            op.body.results, op.results, outputs, op.gives, results, strict=True
        ):
            if kind == "rows" and d > 0:
                target = _row(k, whole, base, d, op.over, start)
                _copy_rows(frame, v, whole, d, target, local, outwards=True)
        if first is not None:
            before = f.mul(f.sub(block, first), op.block)
            for partial in self._others():
                parts = [results[i] for i in partial.results]
                launch_accumulate(
                    frame, partial, self._scratch(k), k.index, parts, (before, samples)
                )

    def _others(self) -> list[Partial]:
        """The sums that are combined from memory of their own."""
        return [p for p in self.partials if p not in self.straight.values()]

    def _scratch(self, k: Kernel) -> Operand:
        return k.arguments[len(self.op.inputs) + len(self.op.results)]

    def _local(self, k: Kernel, v: Value) -> Operand:
        return k.f.offset_bytes(k.slab, k.size(self.locals[v].offset))

    def _taken(
        self, frame: Frame, k: Kernel, p: Value, v: Value, base: Operand, d: int, start: Operand
    ) -> Operand:
        """Where the body finds an input."""
        if d < 0:
            return base
        source = _row(k, v, base, d, self.op.over, start)
        if d == 0:
            return source
        local = self._local(k, p)
        _copy_rows(frame, p, v, d, local, source, outwards=False)
        return local


@lru_cache(maxsize=256)
def region_of(op: Batched, target: Target) -> Region:
    """The layout of a region, which several plans of a program ask for."""
    return Region(op, target)


def _row(k: Kernel, whole: Value, base: Operand, d: int, over: Size, start: Operand) -> Operand:
    """The address of the row of sample `start` along dim d."""
    each = whole.shape[d] // over * product(whole.shape[d + 1 :])
    return k.f.offset(base, k.f.mul(start, k.size(each)), whole.dtype)


def _copy_rows(
    frame: Frame, part: Value, whole: Value, d: int, to: Operand, source: Operand, outwards: bool
) -> None:
    """The rows of a block along dim d > 0, between the whole array and a dense one."""
    item = numpy_dtype(whole.dtype).itemsize
    length = frame.size(product(part.shape[d:]) * item)
    stride = frame.size(product(whole.shape[d:]) * item)
    count = frame.size(product(whole.shape[:d]))
    rows = (Rows(to, stride), Rows(source, length)) if outwards else (
        Rows(to, length), Rows(source, stride)
    )  # fmt: skip
    launch_copy(frame, *rows, count, length)
