"""Reads relocatable x86-64 ELF objects: sections, symbols, relocations."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SHT_NOBITS = 8
SHF_WRITE, SHF_ALLOC, SHF_EXEC = 1, 2, 4
SHN_COMMON, SHN_ABS = 0xFFF2, 0xFFF1
R_64, R_PC32, R_PLT32, R_PC64 = 1, 2, 4, 24
STT_OBJECT, STT_FUNC = 1, 2
_SHT_SYMTAB, _SHT_RELA = 2, 4


class ObjectError(ValueError):
    """Bytes that are no object which kgraph takes."""


@dataclass(frozen=True)
class Section:
    """A header of a section; `unit` is the size of its entries, where it has such."""

    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    unit: int


@dataclass(frozen=True)
class Symbol:
    """An entry of the symbol table; `home` is its section, 0 where the object lacks it."""

    label: str
    kind: int
    binding: int
    home: int
    value: int
    size: int


class ElfFile:
    """An object, of which every read is checked.

    Raises:
        ObjectError: not a relocatable x86-64 object. Damaged ones also raise struct.error,
            IndexError or UnicodeDecodeError.
    """

    def __init__(self, code: bytes) -> None:
        self.code = code
        self.sections = self._read_sections()
        self.symbols = list(self._symbols())

    def bytes_of(self, section: Section) -> bytes:
        """What a section holds."""
        return self.code[section.offset : section.offset + section.size]

    def relocations(self) -> Iterator[tuple[int, list[tuple[int, int, int, int]]]]:
        """Of each section that has some: offset, kind, number of the symbol, addend."""
        for section in self.sections:
            if section.kind == _SHT_RELA:
                found = struct.iter_unpack("<QQq", self.bytes_of(section))
                yield section.info, [(o, i & 0xFFFFFFFF, i >> 32, a) for o, i, a in found]

    def _read_sections(self) -> list[Section]:
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
            _, kind, flags, _, offset, length, link, info, align, unit = struct.unpack_from(
                "<IIQQQQIIQQ", code, table + i * size
            )
            if kind != SHT_NOBITS and offset + length > len(code):
                raise ObjectError("a section reaches behind the end of the file")
            found.append(Section(kind, flags, offset, length, link, info, align, unit))
        return found

    def _symbols(self) -> Iterator[Symbol]:
        for table in (s for s in self.sections if s.kind == _SHT_SYMTAB):
            text = self.bytes_of(self.sections[table.link])
            entries = struct.iter_unpack("<IBBHQQ", self.bytes_of(table))
            for name, info, _, home, value, size in entries:
                label = text[name : text.index(b"\0", name)].decode()
                yield Symbol(label, info & 15, info >> 4, home, value, size)
