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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.bundle import objects_of

PAGE = mmap.PAGESIZE
_PROT_READ, _PROT_WRITE, _PROT_EXEC = 1, 2, 4
_MAP_PRIVATE, _MAP_ANONYMOUS = 2, 0x20
_FAILED = ctypes.c_void_p(-1).value

_SHT_SYMTAB, _SHT_RELA, _SHT_NOBITS, _SHT_REL = 2, 4, 8, 9
_SHF_WRITE, _SHF_ALLOC, _SHF_EXEC = 1, 2, 4
_SHN_COMMON, _SHN_ABS = 0xFFF2, 0xFFF1
_R_64, _R_PC32, _R_PLT32, _R_PC64 = 1, 2, 4, 24


class ObjectError(ValueError):
    """Bytes that are no object which this loader takes."""


@dataclass(frozen=True)
class _Section:
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int


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
    base = _system().mmap(
        None, length, _PROT_READ | _PROT_WRITE, _MAP_PRIVATE | _MAP_ANONYMOUS, -1, 0
    )
    if base is None or base == _FAILED:
        raise MemoryError(f"no memory for {length} bytes of machine code")
    try:
        view = memoryview((ctypes.c_char * length).from_address(base)).cast("B")
        names: dict[str, int] = {}
        for item in objects:
            item.copy_to(view)
            names.update(item.names(base))
        for item in objects:
            item.relocate(view, base, lambda name: names.get(name) or resolve(name))
        for start, size, protection in (group for item in objects for group in item.groups):
            if _system().mprotect(base + start, size, protection):
                raise MemoryError("the system does not let generated code be executed")
    except BaseException:
        _system().munmap(base, length)
        raise
    return LoadedObject(base, length, names, keep)


class _Object:
    """One object, and where its sections lie in a mapping: from `start` on."""

    def __init__(self, code: bytes, start: int) -> None:
        self.code = code
        self.sections = self._read_sections()
        self.places: dict[int, int] = {}  # section -> offset in the mapping
        self.groups: list[tuple[int, int, int]] = []  # offset, length, protection
        self.length = self._lay_out(start) - start

    def copy_to(self, view: memoryview) -> None:
        """Writes the sections."""
        for number, place in self.places.items():
            section = self.sections[number]
            if section.kind != _SHT_NOBITS:
                view[place : place + section.size] = self._bytes(section)

    def names(self, base: int) -> dict[str, int]:
        """The addresses of what the object defines for others."""
        return {
            label: base + self.places[home] + value
            for label, binding, home, value in self._symbols()
            if home in self.places and binding and label
        }

    def relocate(self, view: memoryview, base: int, resolve: Callable[[str], int]) -> None:
        """Writes addresses where the sections want them."""
        values: list[int | None] = []
        for label, _, home, value in self._symbols():
            if home in self.places:
                values.append(base + self.places[home] + value)
            elif home == 0 and label:
                values.append(resolve(label))
            elif home == _SHN_COMMON:
                raise ObjectError(f"the object wants common storage for {label}")
            else:
                values.append(value if home == _SHN_ABS else None)
        for section in self.sections:
            if section.kind == _SHT_RELA and section.info in self.places:
                self._relocate(section, view, base, values)

    def _read_sections(self) -> list[_Section]:
        code = self.code
        if code[:6] != b"\x7fELF\x02\x01" or len(code) < 64:
            raise ObjectError("not a little-endian 64-bit ELF file")
        kind, machine = struct.unpack_from("<HH", code, 16)
        if (kind, machine) != (1, 62):
            raise ObjectError(f"not a relocatable x86-64 object (type {kind}, machine {machine})")
        (table,) = struct.unpack_from("<Q", code, 40)
        size, count = struct.unpack_from("<HH", code, 58)
        if size != 64:
            raise ObjectError(f"section headers of {size} bytes")
        found = []
        for i in range(count):
            _, kind, flags, _, offset, length, link, info, align, _ = struct.unpack_from(
                "<IIQQQQIIQQ", code, table + i * size
            )
            if kind != _SHT_NOBITS and offset + length > len(code):
                raise ObjectError("a section reaches behind the end of the file")
            found.append(_Section(kind, flags, offset, length, link, info, align))
        return found

    def _lay_out(self, end: int) -> int:
        """Places code, constants and variables on pages of their own; returns the new end."""
        first = end
        for rights in (_SHF_EXEC, 0, _SHF_WRITE):
            start = end
            for number, section in enumerate(self.sections):
                own = section.flags & (_SHF_EXEC | _SHF_WRITE)
                if not section.flags & _SHF_ALLOC or not section.size or own != rights:
                    continue
                if section.align > PAGE or section.size > 1 << 31:
                    raise ObjectError("a section of odd size or alignment")
                align = max(section.align, 64)
                end = -(-end // align) * align
                self.places[number] = end
                end += section.size
            end = -(-end // PAGE) * PAGE
            if end > start:
                protection = {_SHF_EXEC: _PROT_EXEC, _SHF_WRITE: _PROT_WRITE}.get(rights, 0)
                self.groups.append((start, end - start, _PROT_READ | protection))
        if end == first:
            raise ObjectError("an object without code")
        return end

    def _symbols(self) -> Iterator[tuple[str, int, int, int]]:
        """Label, binding, section and value of each entry of the symbol table."""
        for table in (s for s in self.sections if s.kind == _SHT_SYMTAB):
            text = self._bytes(self.sections[table.link])
            for name, info, _, home, value, _ in struct.iter_unpack("<IBBHQQ", self._bytes(table)):
                yield text[name : text.index(b"\0", name)].decode(), info >> 4, home, value

    def _relocate(
        self, section: _Section, view: memoryview, base: int, values: list[int | None]
    ) -> None:
        home, limit = self.places[section.info], self.sections[section.info].size
        for offset, info, addend in struct.iter_unpack("<QQq", self._bytes(section)):
            symbol, kind = values[info >> 32], info & 0xFFFFFFFF
            form = {_R_64: "<Q", _R_PC64: "<q", _R_PC32: "<i", _R_PLT32: "<i"}.get(kind)
            if symbol is None or form is None:
                raise ObjectError(f"a relocation of kind {kind} that assemble.py does not make")
            if offset + struct.calcsize(form) > limit:
                raise ObjectError("a relocation behind the end of its section")
            place = home + offset
            target = symbol + addend
            value = target % (1 << 64) if kind == _R_64 else target - (base + place)
            struct.pack_into(form, view, place, value)

    def _bytes(self, section: _Section) -> bytes:
        return self.code[section.offset : section.offset + section.size]


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
