"""Sorting: a stable merge sort of keys that compare as unsigned integers, row by row.

A float's bits become an integer of the same order, NaN last and both zeros alike; descending order
flips the bits, which keeps the order of equal ones. A row's keys and places are merged from one
half of the thread's memory into the other, run length after run length; the sorted places then say
what every operand's row is. A single key of at most 32 bits is sorted together with its place in
one word: a short row in runs of four at first, a long one by distribution, which goes over the row
once for each byte of the key and puts every word behind those of smaller and of equal bytes. A few
of many are found by insertion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.emit import (
    I64,
    Function,
    Operand,
    is_floating,
    is_signed,
    item_bytes,
)
from kgraph.codegen.llvm.lower.frame import Code, Frame, Kernel
from kgraph.codegen.llvm.lower.keys import op_key, op_symbols
from kgraph.codegen.llvm.lower.table import lowers, wants_slab
from kgraph.codegen.llvm.lower.tiling import divided_up, likely
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Dim, Shape, Size, product
from kgraph.ir.ops.sort import Sort, TopK

_ELEMENTS = 4096  # of a tile
_RUN = 4  # packed words that are sorted in registers
_NETWORK = ((0, 1), (2, 3), (0, 2), (1, 3), (1, 2))
_FEW = 16  # the largest k of a top_k that inserts
_SHORT = 64  # words that are merged sooner than a table of counts is gone through
_BYTE = 256  # values of one

_PLACE = 0xFFFFFFFF  # the bits of a packed word's place
# emit(kernel, row, where the sorted places lie)
_Emit = Callable[[Kernel, "_Row", Operand], None]


@lowers(Sort)
def lower_sort(frame: Frame, op: Sort) -> None:
    """Every operand's row in the order of the keys."""
    rows = _Rows(op.xs[0].shape, op.dim, tuple(x.dtype for x in op.xs[: op.num_keys]))
    count = len(op.xs)

    def emit(k: Kernel, row: _Row, places: Operand) -> None:
        f = k.f
        with f.loop(0, row.length, name="i") as i:
            place = rows.load_place(f, places, i)
            for x, base, result in zip(
                op.xs, k.arguments[:count], k.arguments[count:], strict=True
            ):
                value = f.load_at(row.element(f, base, place, x.dtype), x.dtype)
                f.store_at(row.element(f, result, i, x.dtype), x.dtype, value)

    def write(k: Kernel) -> None:
        rows.write(k, k.arguments[: op.num_keys], op.descending, emit)

    arguments = [frame.pointer(v) for v in (*op.xs, *op.results)]
    key = ("sort", op_key(op))
    frame.launch(key, op.name, arguments, rows.tiles(frame), write, op_symbols(op))


@lowers(TopK)
def lower_top_k(frame: Frame, op: TopK) -> None:
    """The first k of each sorted row, and their places."""
    dtype = op.x.dtype
    rows = _Rows(op.x.shape, op.x.type.rank - 1, (dtype,))

    def emit(k: Kernel, row: _Row, places: Operand) -> None:
        f = k.f
        x, values, indices = k.arguments
        most = k.size(op.k)
        first = f.mul(row.number, most)
        with f.loop(0, most, name="i") as i:
            place = rows.load_place(f, places, i)
            value = f.load_at(row.element(f, x, place, dtype), dtype)
            at = f.add(first, i)
            f.store_at(f.offset(values, at, dtype), dtype, value)
            f.store_at(f.offset(indices, at, "int32"), "int32", f.convert(place, "int64", "int32"))

    def write(k: Kernel) -> None:
        few = op.k if rows.packed and isinstance(op.k, int) and op.k <= _FEW else 0
        rows.write(k, k.arguments[:1], True, emit, few)

    arguments = [frame.pointer(v) for v in (op.x, *op.results)]
    key = ("top_k", op_key(op))
    frame.launch(key, op.name, arguments, rows.tiles(frame), write, op_symbols(op))


@wants_slab(Sort)
def sort_slab(op: Sort, target: Target) -> Size:
    """Two copies of a row's keys and places."""
    return _Rows(op.xs[0].shape, op.dim, tuple(x.dtype for x in op.xs[: op.num_keys])).slab()


@wants_slab(TopK)
def top_k_slab(op: TopK, target: Target) -> Size:
    """Two copies of a row's keys and places."""
    return _Rows(op.x.shape, op.x.type.rank - 1, (op.x.dtype,)).slab()


@dataclass(frozen=True)
class _Row:
    """A row along the sorted dim: its number, its first element, the step between elements."""

    number: Operand
    first: Operand
    step: Operand
    length: Operand

    def element(self, f: Function, base: Operand, place: Operand, dtype: str) -> Operand:
        """The address of an element."""
        return f.offset(base, f.add(self.first, f.mul(place, self.step)), dtype)


@dataclass(frozen=True)
class _Rows:
    """The rows of a shape along a dim, and the memory that sorting one wants."""

    shape: Shape
    dim: int
    keys: tuple[str, ...]

    @property
    def place(self) -> str:
        """The dtype of a place."""
        length = self.shape[self.dim]
        return "int64" if isinstance(length, Dim) or length >= 2**31 else "int32"

    @property
    def packed(self) -> bool:
        """Are a key and its place one word?"""
        return self.place == "int32" and len(self.keys) == 1 and item_bytes(self.keys[0]) <= 4

    @property
    def columns(self) -> tuple[str, ...]:
        """The dtypes of what is sorted: the keys and the place, or one word of both."""
        if self.packed:
            return ("uint64",)
        return (*(f"uint{8 * item_bytes(d)}" for d in self.keys), self.place)

    @property
    def distributed(self) -> int:
        """By how many bytes of the key words are distributed, the lowest first; 0: not at all."""
        length = self.shape[self.dim]
        short = isinstance(length, int) and length <= _SHORT
        return item_bytes(self.keys[0]) if self.packed and not short else 0

    def slab(self) -> Size:
        """Bytes of both copies, and of the counts of each byte."""
        total: Size = self.distributed * _BYTE * 8
        for dtype in self.columns:
            total = total + 2 * self._bytes(dtype)
        return total

    def _bytes(self, dtype: str) -> Size:
        # Some elements more: a merge looks behind its runs, and the first runs are whole.
        return ((self.shape[self.dim] + _RUN) * item_bytes(dtype) + 63) // 64 * 64

    def _count(self) -> Size:
        return product(self.shape[: self.dim]) * product(self.shape[self.dim + 1 :])

    def _height(self, code: Code) -> Operand:
        length = likely(self.shape[self.dim])
        return code.f.index(max(_ELEMENTS // max(length, 1), 1))

    def tiles(self, code: Code) -> Operand:
        """How many tiles there are."""
        return divided_up(code, code.size(self._count()), self._height(code))

    def load_place(self, f: Function, places: Operand, i: Operand) -> Operand:
        """The i-th of the sorted places, i64."""
        if self.packed:
            return f.and_(f.load_at(f.offset(places, i, "uint64"), "uint64"), _PLACE)
        place = f.load_at(f.offset(places, i, self.place), self.place)
        return f.convert(place, self.place, "int64")

    def write(
        self,
        k: Kernel,
        keys: Sequence[Operand],
        descending: bool,
        emit: _Emit,
        few: int = 0,
    ) -> None:
        """Writes the kernel: sorts the rows of a tile, or finds the first `few` of each, and hands
        each to `emit`.
        """
        f = k.f
        copies: list[list[Operand]] = [[], []]
        offset: Size = 0
        for copy in copies:
            for dtype in self.columns:
                copy.append(f.offset_bytes(k.slab, k.size(offset)))
                offset = offset + self._bytes(dtype)
        length = k.size(self.shape[self.dim])
        inner = k.size(product(self.shape[self.dim + 1 :]))
        height = self._height(k)
        start = f.mul(k.index, height)
        stop = f.smin(f.add(start, height), k.size(self._count()))
        with f.loop(start, stop, name="row") as number:
            outer = f.mul(f.mul(f.udiv(number, inner), inner), length)
            row = _Row(number, f.add(outer, f.urem(number, inner)), inner, length)
            if few:
                places = self._insert(k, keys[0], row, descending, copies[0][0], few)
            elif self.distributed:
                counts = f.offset_bytes(k.slab, k.size(offset))
                words = (copies[0][0], copies[1][0])
                places = self._distribute(k, keys[0], row, descending, words, counts)
            else:
                self._fill(k, keys, row, descending, copies[0])
                places = self._merge_all(k, length, *copies)
            emit(k, row, places)

    def _insert(
        self, k: Kernel, key: Operand, row: _Row, descending: bool, words: Operand, few: int
    ) -> Operand:
        """The first few words of the row, kept sorted in registers."""
        f = k.f
        with f.carried_loop(0, row.length, [f.constant(-1, I64)] * few, name="i") as loop:
            word = self._word(k, row, key, loop.index, descending)
            choice = f.choose(f.compare("LT", word, loop.values[-1], signed=False))
            with choice.then():
                kept = []
                for old in loop.values:
                    kept.append(f.umin(old, word))
                    word = f.umax(old, word)
                choice.give(*kept)
            with choice.otherwise():
                choice.give(*loop.values)
            loop.next(*choice.results)
        for i, word in enumerate(loop.results):
            f.store_at(f.offset(words, i, "uint64"), "uint64", word)
        return words

    def _word(self, k: Kernel, row: _Row, base: Operand, i: Operand, descending: bool) -> Operand:
        """A key and its place, packed."""
        f, dtype = k.f, self.keys[0]
        number = _ordered(f, f.load_at(row.element(f, base, i, dtype), dtype), dtype)
        number = f.not_(number) if descending else number
        return f.or_(f.shl(f.resize(number, "i64", False), 32), i)

    def _distribute(
        self,
        k: Kernel,
        key: Operand,
        row: _Row,
        descending: bool,
        words: tuple[Operand, Operand],
        counts: Operand,
    ) -> Operand:
        """The row's words in order: where they are, which is one of `words`."""
        f = k.f
        tables = [f.offset(counts, d * _BYTE, "int64") for d in range(self.distributed)]
        f.fill_bytes(counts, 0, self.distributed * _BYTE * 8)
        with f.loop(0, row.length, name="i") as i:
            word = self._word(k, row, key, i, descending)
            f.store_at(f.offset(words[0], i, "uint64"), "uint64", word)
            for d, table in enumerate(tables):
                place = f.offset(table, _byte(f, word, d), "int64")
                f.store_at(place, "int64", f.add(f.load_at(place, "int64"), 1))
        source, target = words
        for d, table in enumerate(tables):
            # Where all words have the same byte they stay where they are.
            first = f.load_at(
                f.offset(table, _byte(f, f.load_at(source, "uint64"), d), "int64"), "int64"
            )
            choice = f.choose(f.compare("EQ", first, row.length))
            with choice.then():
                choice.give(source, target)
            with choice.otherwise():
                with f.carried_loop(0, _BYTE, [f.index(0)], name="byte") as loop:
                    place = f.offset(table, loop.index, "int64")
                    count = f.load_at(place, "int64")
                    f.store_at(place, "int64", loop.values[0])
                    loop.next(f.add(loop.values[0], count))
                with f.loop(0, row.length, name="i") as i:
                    word = f.load_at(f.offset(source, i, "uint64"), "uint64")
                    place = f.offset(table, _byte(f, word, d), "int64")
                    at = f.load_at(place, "int64")
                    f.store_at(place, "int64", f.add(at, 1))
                    f.store_at(f.offset(target, at, "uint64"), "uint64", word)
                choice.give(target, source)
            source, target = choice.results
        return source

    def _fill_packed(
        self, k: Kernel, key: Operand, row: _Row, descending: bool, words: Operand
    ) -> None:
        """Words in sorted runs; the last is filled with words that are greater than all others."""
        f = k.f
        with f.loop(0, row.length, name="i") as i:
            f.store_at(
                f.offset(words, i, "uint64"), "uint64", self._word(k, row, key, i, descending)
            )
        for j in range(_RUN - 1):
            behind = f.offset(words, f.add(row.length, j), "uint64")
            f.store_at(behind, "uint64", f.constant(-1, I64))
        with f.loop(0, row.length, _RUN, name="run") as i:
            places = [f.offset(words, f.add(i, j), "uint64") for j in range(_RUN)]
            run = [f.load_at(place, "uint64") for place in places]
            for a, b in _NETWORK:
                run[a], run[b] = f.umin(run[a], run[b]), f.umax(run[a], run[b])
            for place, word in zip(places, run, strict=True):
                f.store_at(place, "uint64", word)

    def _fill(
        self,
        k: Kernel,
        keys: Sequence[Operand],
        row: _Row,
        descending: bool,
        columns: Sequence[Operand],
    ) -> None:
        if self.packed:
            self._fill_packed(k, keys[0], row, descending, columns[0])
            return
        f = k.f
        with f.loop(0, row.length, name="i") as i:
            for base, dtype, wide, column in zip(
                keys, self.keys, self.columns[:-1], columns[:-1], strict=True
            ):
                value = f.load_at(row.element(f, base, i, dtype), dtype)
                number = _ordered(f, value, dtype)
                number = f.not_(number) if descending else number
                f.store_at(f.offset(column, i, wide), wide, number)
            place = f.convert(i, "int64", self.place)
            f.store_at(f.offset(columns[-1], i, self.place), self.place, place)

    def _merge_all(
        self, k: Kernel, length: Operand, first: list[Operand], second: list[Operand]
    ) -> Operand:
        """Merges runs, then those twice as long, from one copy into the other; gives the places."""
        f = k.f
        start = f.index(_RUN if self.packed else 1)
        length = f.mul(divided_up(k, length, start), start)
        with f.while_loop([start, *first, *second]) as loop:
            width, *columns = loop.values
            source, target = columns[: len(first)], columns[len(first) :]
            loop.test(f.compare("LT", width, length))
            double = f.add(width, width)
            with f.loop(0, length, double, name="low") as low:
                middle = f.smin(f.add(low, width), length)
                high = f.smin(f.add(low, double), length)
                self._merge(k, (low, middle, high), source, target)
            loop.next(double, *target, *source)
        return loop.results[len(first)]  # the last column of the sorted copy

    def _merge(
        self,
        k: Kernel,
        bounds: tuple[Operand, Operand, Operand],
        source: Sequence[Operand],
        target: Sequence[Operand],
    ) -> None:
        """Two runs side by side into one; of equal ones the left is first."""
        f = k.f
        low, middle, high = bounds
        with f.carried_loop(low, high, [low, middle], name="to") as loop:
            left, right = loop.values
            lefts = [
                f.load_at(f.offset(p, left, d), d)
                for p, d in zip(source, self.columns, strict=True)
            ]
            rights = [
                f.load_at(f.offset(p, right, d), d)
                for p, d in zip(source, self.columns, strict=True)
            ]
            keys = 1 if self.packed else len(self.keys)
            smaller = _less(f, rights[:keys], lefts[:keys])
            wins = f.and_(f.compare("LT", right, high), smaller)
            wins = f.or_(wins, f.compare("GE", left, middle))
            for p, d, x, y in zip(target, self.columns, lefts, rights, strict=True):
                f.store_at(f.offset(p, loop.index, d), d, f.select(wins, y, x))
            step = f.resize(wins, "i64", False)
            loop.next(f.add(left, f.sub(1, step)), f.add(right, step))


def _byte(f: Function, word: Operand, number: int) -> Operand:
    """A byte of a packed word's key, the lowest first."""
    return f.and_(f.lshr(word, 32 + 8 * number), _BYTE - 1)


def _less(f: Function, a: Sequence[Operand], b: Sequence[Operand]) -> Operand:
    """Is `a` before `b`, by the first that differ?"""
    found = f.compare("LT", a[-1], b[-1], signed=False)
    for x, y in zip(a[-2::-1], b[-2::-1], strict=True):
        tie = f.and_(f.compare("EQ", x, y), found)
        found = f.or_(f.compare("LT", x, y, signed=False), tie)
    return found


def _ordered(f: Function, value: Operand, dtype: str) -> Operand:
    """An unsigned integer of the width of the dtype's elements that orders as the value does."""
    if dtype == "bool":
        return f.resize(value, "i8", False)
    if not is_floating(dtype):
        sign = 1 << (8 * item_bytes(dtype) - 1)
        return f.xor(value, f.constant(sign, value.type)) if is_signed(dtype) else value
    number = f.bits(value, f"i{8 * item_bytes(dtype)}")
    kind = number.type
    sign = 1 << (kind.bits - 1)
    infinity = {"float16": 0x7C00, "bfloat16": 0x7F80, "float32": 0x7F800000}.get(
        dtype, 0x7FF0000000000000
    )
    magnitude = f.and_(number, f.constant(sign - 1, kind))
    negative = f.compare("NE", f.and_(number, f.constant(sign, kind)), f.constant(0, kind))
    below = f.sub(f.constant(sign, kind), magnitude)
    order = f.select(negative, below, f.add(magnitude, f.constant(sign, kind)))
    is_nan = f.compare("GT", magnitude, f.constant(infinity, kind), signed=False)
    return f.select(is_nan, f.constant(-1, kind), order)
