"""Memory of the builder: views of strided arrays, loads and stores of scalars and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.convert import Convert
from kgraph.codegen.llvm.values import (
    I32,
    I64,
    PTR,
    Index,
    Operand,
    Type,
    constant,
    item_bytes,
    memory_type,
    poison,
    register_type,
)


@dataclass(frozen=True, eq=False)
class View:
    """An array in memory: a pointer, a dtype and a stride in elements per dim.

    `align` is what is proven of every vector that is loaded, in bytes; 0 means only that elements
    are aligned to their own size.
    """

    base: Operand
    dtype: str
    strides: tuple[Index, ...]
    align: int = 0


class Memory(Convert):
    """Loads give register types (bool: i1, 16-bit floats: i16 bits), stores take them."""

    def offset(self, pointer: Operand, index: Index, dtype: str, name: str = "p") -> Operand:
        """The pointer `index` elements of the dtype further on."""
        index = self.index(index)
        if index.constant == 0:
            return pointer
        text = f"getelementptr {memory_type(dtype).text}, ptr {pointer.text}, i64 {index.text}"
        return self.instruction(PTR, text, name)

    def offset_bytes(self, pointer: Operand, count: Index, name: str = "p") -> Operand:
        """The pointer that many bytes further on."""
        return self.offset(pointer, count, "uint8", name)

    def address(self, view: View, indices: Sequence[Index]) -> Operand:
        """Pointer to the element of a view at those indices, one per stride."""
        assert len(indices) == len(view.strides), (indices, view.strides)
        total: Index = 0
        fixed = 0
        for index, stride in zip(indices, view.strides, strict=True):
            term = self.mul(index, stride)
            if isinstance(term.constant, int):
                fixed += term.constant
            else:
                total = self.add(total, term)
        # The constant part goes last, where it becomes the displacement of the instruction.
        return self.offset(self.offset(view.base, total, view.dtype), fixed, view.dtype)

    def align_up(self, pointer: Operand, bytes: int) -> Operand:
        """The first multiple of a power of two at or after the pointer."""
        number = self.add(self.cast("ptrtoint", pointer, I64), bytes - 1)
        return self.cast("inttoptr", self.and_(number, -bytes), PTR)

    # By view --------------------------------------------------------------------------------

    def load(
        self,
        view: View,
        indices: Sequence[Index],
        lanes: int = 0,
        dim: int = -1,
        mask: Operand | None = None,
        name: str = "v",
    ) -> Operand:
        """Elements `indices`, `indices` + 1 along `dim`, ... as `lanes` lanes (0: one scalar).

        Stride 1 is one vector load, stride 0 a scalar load and splat, any other lane by lane.
        Lanes whose `mask` is off touch no memory and are 0.
        """
        pointer = self.address(view, indices)
        if lanes == 0:
            return self.load_at(pointer, view.dtype, name=name)
        stride = self.index(view.strides[dim])
        if stride.constant == 1:
            return self.load_at(pointer, view.dtype, lanes, mask, view.align, name)
        if mask is not None:
            return self._gather(pointer, view.dtype, stride, lanes, mask)
        if stride.constant == 0:
            return self.splat(self.load_at(pointer, view.dtype, name=name), lanes)
        result = poison(register_type(view.dtype, lanes))
        for lane in range(lanes):
            element = self.offset(pointer, self.mul(stride, lane), view.dtype)
            result = self.insert(result, self.load_at(element, view.dtype), lane)
        return result

    def store(
        self,
        view: View,
        indices: Sequence[Index],
        value: Operand,
        dim: int = -1,
        mask: Operand | None = None,
    ) -> None:
        """Writes the lanes of `value` to `indices`, `indices` + 1 along `dim`, ..."""
        pointer = self.address(view, indices)
        if value.lanes == 0:
            self.store_at(pointer, view.dtype, value)
            return
        stride = self.index(view.strides[dim])
        if stride.constant == 1:
            self.store_at(pointer, view.dtype, value, mask, view.align)
        elif mask is not None:
            self._scatter(pointer, view.dtype, stride, value, mask)
        else:
            for lane in range(value.lanes):
                element = self.offset(pointer, self.mul(stride, lane), view.dtype)
                self.store_at(element, view.dtype, self.extract(value, lane))

    # By pointer -----------------------------------------------------------------------------

    def load_at(
        self,
        pointer: Operand,
        dtype: str,
        lanes: int = 0,
        mask: Operand | None = None,
        align: int = 0,
        name: str = "v",
    ) -> Operand:
        """Adjacent elements from a pointer, a scalar for `lanes=0`; masked lanes are 0."""
        kind = memory_type(dtype, lanes)
        align = align or item_bytes(dtype)
        if mask is None:
            text = f"load {kind.text}, ptr {pointer.text}, align {align}"
            value = self.instruction(kind, text, name, pure=False)
        else:
            self.declare_masked("load", kind)
            text = (
                f"call {kind.text} @llvm.masked.load.{kind.mangled}.p0(ptr align {align} "
                f"{pointer.text}, {mask!r}, {kind.text} zeroinitializer)"
            )
            value = self.instruction(kind, text, name, pure=False)
        return self.compare("NE", value, 0) if dtype == "bool" else value

    def store_at(
        self,
        pointer: Operand,
        dtype: str,
        value: Operand,
        mask: Operand | None = None,
        align: int = 0,
    ) -> None:
        """Writes a scalar, or the lanes of a vector side by side."""
        kind = memory_type(dtype, value.lanes)
        if dtype == "bool":
            value = self.resize(value, "i8", False)
        if value.type is not kind:
            raise TypeError(f"store of {dtype}: expected {kind}, got {value}")
        align = align or item_bytes(dtype)
        if mask is None:
            self.statement(f"store {value!r}, ptr {pointer.text}, align {align}")
            return
        self.declare_masked("store", kind)
        self.statement(
            f"call void @llvm.masked.store.{kind.mangled}.p0({value!r}, ptr align {align} "
            f"{pointer.text}, {mask!r})"
        )

    def tail_mask(self, count: Index, lanes: int) -> Operand:
        """The mask whose first `count` lanes are on; `count` in 0 .. 2**31 - 1."""
        number = self.resize(self.index(count), "i32", True)
        lane = self.lane_numbers(I32.with_lanes(lanes))
        return self.compare("LT", lane, self.splat(number, lanes))

    def copy_bytes(self, to: Operand, source: Operand, count: Index) -> None:
        """memcpy: the two ranges must not overlap."""
        self._block("memcpy.p0.p0.i64", to, source, count)

    def fill_bytes(self, to: Operand, byte: Operand | int, count: Index) -> None:
        """memset with an i8."""
        value = constant(byte, _I8) if isinstance(byte, int) else byte
        self._block("memset.p0.i64", to, value, count)

    def prefetch(self, pointer: Operand, level: int = 1, write: bool = False) -> None:
        """Asks for the cache line that holds the address, into the cache of this level."""
        self._declarations.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        flags = f"i32 {int(write)}, i32 {4 - level}, i32 1"
        self.statement(f"call void @llvm.prefetch.p0(ptr {pointer.text}, {flags})")

    def declare_masked(self, kind: str, vector: Type) -> None:
        """Declares the masked load, store, gather or scatter of a vector type."""
        mask = vector.with_element("i1").text
        name, data = vector.mangled, vector.text
        pointers = f"<{vector.lanes} x ptr>"
        vectors = f"{name}.v{vector.lanes}p0"
        declaration = {
            "load": f"{data} @llvm.masked.load.{name}.p0(ptr, {mask}, {data})",
            "store": f"void @llvm.masked.store.{name}.p0({data}, ptr, {mask})",
            "gather": f"{data} @llvm.masked.gather.{vectors}({pointers}, {mask}, {data})",
            "scatter": f"void @llvm.masked.scatter.{vectors}({data}, {pointers}, {mask})",
        }
        self._declarations.add("declare " + declaration[kind])

    def _gather(
        self, pointer: Operand, dtype: str, stride: Operand, lanes: int, mask: Operand
    ) -> Operand:
        kind = memory_type(dtype, lanes)
        pointers = self._pointers(pointer, dtype, stride, lanes)
        self.declare_masked("gather", kind)
        text = (
            f"call {kind.text} @llvm.masked.gather.{kind.mangled}.v{lanes}p0(<{lanes} x ptr> "
            f"align {item_bytes(dtype)} {pointers.text}, {mask!r}, {kind.text} zeroinitializer)"
        )
        value = self.instruction(kind, text, pure=False)
        return self.compare("NE", value, 0) if dtype == "bool" else value

    def _scatter(
        self, pointer: Operand, dtype: str, stride: Operand, value: Operand, mask: Operand
    ) -> None:
        if dtype == "bool":
            value = self.resize(value, "i8", False)
        kind = value.type
        pointers = self._pointers(pointer, dtype, stride, kind.lanes)
        self.declare_masked("scatter", kind)
        self.statement(
            f"call void @llvm.masked.scatter.{kind.mangled}.v{kind.lanes}p0({value!r}, "
            f"<{kind.lanes} x ptr> align {item_bytes(dtype)} {pointers.text}, {mask!r})"
        )

    def _pointers(self, pointer: Operand, dtype: str, stride: Operand, lanes: int) -> Operand:
        numbers = self.lane_numbers(I64.with_lanes(lanes))
        indices = self.mul(numbers, self.splat(stride, lanes))
        text = f"getelementptr {memory_type(dtype).text}, ptr {pointer.text}, {indices!r}"
        return self.instruction(PTR.with_lanes(lanes), text)

    def _block(self, name: str, to: Operand, second: Operand, count: Index) -> None:
        kind = second.type.text
        self._declarations.add(f"declare void @llvm.{name}(ptr, {kind}, i64, i1)")
        self.statement(
            f"call void @llvm.{name}(ptr {to.text}, {second!r}, {self.index(count)!r}, i1 false)"
        )


_I8 = memory_type("uint8")
