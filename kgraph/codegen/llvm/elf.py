"""Loads x86-64 ELF objects without a compiler: map, copy, relocate, protect.

The objects come from `assemble.py` (large code model, static), so a few kinds of relocation are
all there is. Whatever else stands in a file is refused: it may be damaged.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import struct
import weakref
from collections.abc import Callable, Sequence

from kgraph.codegen.llvm.bundle import objects_of
from kgraph.codegen.llvm.elf_file import (
    R_64,
    R_PC32,
    R_PC64,
    R_PLT32,
    SHF_ALLOC,
    SHF_EXEC,
    SHF_WRITE,
    SHN_ABS,
    SHN_COMMON,
    SHT_NOBITS,
    ElfFile,
    ObjectError,
)

PAGE = mmap.PAGESIZE
PROT_READ, _PROT_WRITE, PROT_EXEC = 1, 2, 4
_MAP_PRIVATE, _MAP_ANONYMOUS = 2, 0x20
_FAILED = ctypes.c_void_p(-1).value


class LoadedObject:
    """An object in memory. Its code may be called as long as this lives."""

    def __init__(self, base: int, length: int, symbols: dict[str, int], keep: bool) -> None:
        self.symbols = symbols  # name -> address, of what the object defines
        if not keep:
            # At exit a thread may still be inside: what the process owned goes with the process.
            weakref.finalize(self, _system().munmap, base, length).atexit = False

    def address(self, name: str) -> int:
        """The address of a symbol that the object defines; ObjectError if it does not."""
        if name not in self.symbols:
            raise ObjectError(f"the object defines {', '.join(self.symbols)}, but not {name}")
        return self.symbols[name]


def load_elf(code: bytes, resolve: Callable[[str], int], keep: bool = False) -> LoadedObject:
    """Maps an object for execution; no page is ever both writable and executable.

    Args:
        code: the bytes of a relocatable object, or a bundle of several that call each other.
        resolve: gives the address of a symbol that no object defines.
        keep: never unmap it.

    Raises:
        ObjectError: the bytes are damaged or hold what `assemble.py` does not make.
        MemoryError: the system gives no memory.
    """
    try:
        objects, length = [], 0
        for part in objects_of(code):
            objects.append(_Object(part, length))
            length += objects[-1].length
        return _load(objects, length, resolve, keep)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ObjectError(f"a damaged object: {error}") from None


def _load(
    objects: Sequence[_Object], length: int, resolve: Callable[[str], int], keep: bool
) -> LoadedObject:
    def fill(view: memoryview, base: int) -> dict[str, int]:
        names: dict[str, int] = {}
        for item in objects:
            item.copy_to(view)
            names.update(item.names(base))
        for item in objects:
            item.relocate(view, base, lambda name: names.get(name) or resolve(name))
        return names

    return mapped(length, fill, [group for item in objects for group in item.groups], keep)


def mapped(
    length: int,
    fill: Callable[[memoryview, int], dict[str, int]],
    groups: Sequence[tuple[int, int, int]],
    keep: bool,
) -> LoadedObject:
    """Memory for code: filled while it is writable, then protected.

    Args:
        length: in bytes.
        fill: writes the memory at the given address; returns the addresses of names.
        groups: offset, length and protection of each run of pages.
        keep: never unmap it.
    """
    base = _system().mmap(
        None, length, PROT_READ | _PROT_WRITE, _MAP_PRIVATE | _MAP_ANONYMOUS, -1, 0
    )
    if base is None or base == _FAILED:
        raise MemoryError(f"no memory for {length} bytes of machine code")
    try:
        names = fill(memoryview((ctypes.c_char * length).from_address(base)).cast("B"), base)
        for start, size, protection in groups:
            if _system().mprotect(base + start, size, protection):
                raise MemoryError("the system does not let generated code be executed")
    except BaseException:
        _system().munmap(base, length)
        raise
    return LoadedObject(base, length, names, keep)


class _Object:
    """One object, and where its sections lie in a mapping: from `start` on."""

    def __init__(self, code: bytes, start: int) -> None:
        self.file = ElfFile(code)
        self.places: dict[int, int] = {}  # section -> offset in the mapping
        self.groups: list[tuple[int, int, int]] = []  # offset, length, protection
        self.length = self._lay_out(start) - start

    def copy_to(self, view: memoryview) -> None:
        """Writes the sections."""
        for number, place in self.places.items():
            section = self.file.sections[number]
            if section.kind != SHT_NOBITS:
                view[place : place + section.size] = self.file.bytes_of(section)

    def names(self, base: int) -> dict[str, int]:
        """The addresses of what the object defines for others."""
        return {
            item.label: base + self.places[item.home] + item.value
            for item in self.file.symbols
            if item.home in self.places and item.binding and item.label
        }

    def relocate(self, view: memoryview, base: int, resolve: Callable[[str], int]) -> None:
        """Writes addresses where the sections want them."""
        values: list[int | None] = []
        for item in self.file.symbols:
            if item.home in self.places:
                values.append(base + self.places[item.home] + item.value)
            elif item.home == 0 and item.label:
                values.append(resolve(item.label))
            elif item.home == SHN_COMMON:
                raise ObjectError(f"the object wants common storage for {item.label}")
            else:
                values.append(item.value if item.home == SHN_ABS else None)
        for number, found in self.file.relocations():
            if number in self.places:
                for offset, kind, symbol, addend in found:
                    self._relocate(number, view, base, offset, kind, values[symbol], addend)

    def _lay_out(self, end: int) -> int:
        """Places code, constants and variables on pages of their own; returns the new end."""
        first = end
        for rights in (SHF_EXEC, 0, SHF_WRITE):
            start = end
            for number, section in enumerate(self.file.sections):
                own = section.flags & (SHF_EXEC | SHF_WRITE)
                if not section.flags & SHF_ALLOC or not section.size or own != rights:
                    continue
                if section.align > PAGE or section.size > 1 << 31:
                    raise ObjectError("a section of odd size or alignment")
                align = max(section.align, 64)
                end = -(-end // align) * align
                self.places[number] = end
                end += section.size
            end = -(-end // PAGE) * PAGE
            if end > start:
                protection = {SHF_EXEC: PROT_EXEC, SHF_WRITE: _PROT_WRITE}.get(rights, 0)
                self.groups.append((start, end - start, PROT_READ | protection))
        if end == first:
            raise ObjectError("an object without code")
        return end

    def _relocate(
        self,
        number: int,
        view: memoryview,
        base: int,
        offset: int,
        kind: int,
        symbol: int | None,
        addend: int,
    ) -> None:
        form = {R_64: "<Q", R_PC64: "<q", R_PC32: "<i", R_PLT32: "<i"}.get(kind)
        if symbol is None or form is None:
            raise ObjectError(f"a relocation of kind {kind} that assemble.py does not make")
        if offset + struct.calcsize(form) > self.file.sections[number].size:
            raise ObjectError("a relocation behind the end of its section")
        place = self.places[number] + offset
        target = symbol + addend
        value = target % (1 << 64) if kind == R_64 else target - (base + place)
        struct.pack_into(form, view, place, value)


@functools.cache
def _system() -> ctypes.CDLL:
    system = ctypes.CDLL(None)
    system.mmap.restype = ctypes.c_void_p
    system.mmap.argtypes = [
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
    ]  # fmt: skip
    system.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    system.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return system
