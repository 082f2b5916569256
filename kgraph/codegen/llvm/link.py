"""Functions cut out of objects, kept apart, and put together as the code of one program.

A `Piece` is a function with the constants that it reads, and what it refers to by name. `split`
makes pieces of an object from `assemble.py`, `link` one run of bytes of the pieces of a program, in
which references between them are distances, and `load_linked` puts that into memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.elf import PAGE, PROT_EXEC, PROT_READ, LoadedObject, mapped
from kgraph.codegen.llvm.elf_file import (
    R_64,
    SHF_ALLOC,
    SHF_EXEC,
    SHF_WRITE,
    SHT_NOBITS,
    STT_FUNC,
    STT_OBJECT,
    ElfFile,
    ObjectError,
    Symbol,
)
from kgraph.codegen.llvm.target import Target

MARK = b"kgraph linked 1\n"
_ALIGN = 64  # of each function's code and constants: where a piece lies changes nothing
_HEAD, _REFERENCE = struct.Struct("<4Q"), struct.Struct("<QqQ")
_LINKED = struct.Struct("<5Q")
_CONSTANTS = ""  # the name by which a piece refers to its own constants


@dataclass(frozen=True)
class Piece:
    """A function.

    Attributes:
        code: its instructions.
        constants: what it reads.
        references: where the code has the address of something: offset in the code, name, addend.
    """

    code: bytes
    constants: bytes
    references: tuple[tuple[int, str, int], ...]

    def to_bytes(self) -> bytes:
        """The whole as bytes."""
        names = list(dict.fromkeys(name for _, name, _ in self.references))
        text = "\0".join(names).encode()
        numbers = {name: i for i, name in enumerate(names)}
        sizes = (len(self.code), len(self.constants), len(self.references), len(text))
        references = [_REFERENCE.pack(o, a, numbers[name]) for o, name, a in self.references]
        return b"".join([_HEAD.pack(*sizes), *references, text, self.code, self.constants])

    @staticmethod
    def from_bytes(data: bytes) -> Piece:
        """The inverse of `to_bytes`. Raises ObjectError for other bytes."""
        try:
            code, constants, count, text = _HEAD.unpack_from(data)
            at = _HEAD.size + count * _REFERENCE.size
            if at + text + code + constants != len(data):
                raise ObjectError("a function that is not as long as it says")
            names = data[at : at + text].decode().split("\0")
            found = _REFERENCE.iter_unpack(data[_HEAD.size : at])
            at += text
            return Piece(
                data[at : at + code],
                data[at + code :],
                tuple((offset, names[number], addend) for offset, addend, number in found),
            )
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise ObjectError(f"a damaged function: {error}") from None


def can_split(target: Target) -> bool:
    """Whether objects for this CPU are of the kind that `split` takes."""
    return target.triple == Target.triple


def split(code: bytes) -> dict[str, Piece]:
    """The functions of an object, by name.

    Raises:
        ObjectError: the object has variables, or other things that `Module` writes in no part.
    """
    file = ElfFile(code)
    if any(s.flags & SHF_WRITE and s.flags & SHF_ALLOC and s.size for s in file.sections):
        raise ObjectError("an object with variables cannot be split")
    references: dict[int, list[tuple[int, int, int, int]]] = {}
    for number, found in file.relocations():
        references.setdefault(number, []).extend(found)
    for number in references:
        if not file.sections[number].flags & SHF_EXEC and file.sections[number].flags & SHF_ALLOC:
            raise ObjectError("constants that hold addresses cannot be split")
    return {
        item.label: _cut(file, item, references.get(item.home, ()))
        for item in file.symbols
        if item.kind == STT_FUNC and item.home
    }


def _cut(file: ElfFile, function: Symbol, references: Sequence[tuple[int, int, int, int]]) -> Piece:
    start, end = function.value, function.value + function.size
    constants = bytearray()
    places: dict[tuple[int, int], int] = {}

    def constant(home: int, at: int) -> int:
        """Where a constant lies among those of the function."""
        first, size, align = _extent(file, home, at)
        if (home, first) not in places:
            found = file.bytes_of(file.sections[home])[first : first + size]
            constants.extend(bytes(-len(constants) % align))
            places[home, first] = len(constants)
            constants.extend(found.ljust(size, b"\0"))
        return places[home, first] + at - first

    found = []
    for offset, kind, number, addend in references:
        if not start <= offset < end:
            continue
        symbol = file.symbols[number]
        if kind != R_64:
            raise ObjectError(f"a relocation of kind {kind} that assemble.py does not make")
        if symbol.label and (symbol.home == 0 or symbol.kind == STT_FUNC):
            found.append((offset - start, symbol.label, addend))
        else:
            at = constant(symbol.home, symbol.value + addend)
            found.append((offset - start, _CONSTANTS, at))
    code = file.bytes_of(file.sections[function.home])[start:end]
    return Piece(code, bytes(constants), tuple(found))


def _extent(file: ElfFile, home: int, at: int) -> tuple[int, int, int]:
    """The first byte of a constant, how many there are, and their alignment.

    Variables have symbols. Of what the compiler puts there itself, sections of equal entries tell
    their size; the others have vectors of up to 64 bytes, none of which is aligned to less than it
    has.
    """
    section = file.sections[home]
    if section.flags & SHF_EXEC or section.kind == SHT_NOBITS or not 0 <= at < section.size:
        raise ObjectError("a reference to what is no constant")
    for item in file.symbols:
        if item.kind == STT_OBJECT and item.home == home and 0 <= at - item.value < item.size:
            return item.value, item.size, _ALIGN
    size = section.unit or _ALIGN
    return at - at % size, size, size


def link(pieces: Mapping[str, Piece], entries: Sequence[str]) -> bytes:
    """The code of a program, as `load_linked` takes it; `entries` are called from outside."""
    code, constants = bytearray(), bytearray()
    places: dict[str, int] = {}
    data: dict[str, int] = {}
    for name, piece in pieces.items():
        places[name], data[name] = _append(code, piece.code), _append(constants, piece.constants)
    _append(code, b"")
    outside: dict[str, int] = {}
    references = [(places[name], 0, 0) for name in entries]
    for name, piece in pieces.items():
        for offset, to, addend in piece.references:
            at = places[name] + offset
            if to == _CONSTANTS:
                references.append((at, data[name] + addend, 1))
            elif to in places:
                references.append((at, places[to] + addend, 0))
            else:
                references.append((at, addend, outside.setdefault(to, 2 + len(outside))))
    names = "\0".join([*entries, *outside]).encode()
    head = _LINKED.pack(len(code), len(constants), len(entries), len(references), len(names))
    packed = [_REFERENCE.pack(*item) for item in references]
    return b"".join([MARK, head, *packed, names, bytes(code), bytes(constants)])


def _append(whole: bytearray, part: bytes) -> int:
    """Where the part begins: aligned."""
    whole.extend(bytes(-len(whole) % _ALIGN))
    start = len(whole)
    whole.extend(part)
    return start


def load_linked(data: bytes, resolve: Callable[[str], int], keep: bool = False) -> LoadedObject:
    """Maps the code of a program for execution; no page is ever both writable and executable.

    Args:
        data: what `link` gave.
        resolve: gives the address of a name that no piece defines.
        keep: never unmap it.

    Raises:
        ObjectError: the bytes are damaged.
        MemoryError: the system gives no memory.
    """
    try:
        code, constants, entries, count, text = _LINKED.unpack_from(data, len(MARK))
        at = len(MARK) + _LINKED.size
        references = data[at : at + count * _REFERENCE.size]
        at += len(references)
        names = data[at : at + text].decode().split("\0")
        at += text
        if at + code + constants != len(data) or not code:
            raise ObjectError("code that is not as long as it says")
        second = -(-code // PAGE) * PAGE
        length = second + -(-constants // PAGE) * PAGE

        def fill(view: memoryview, base: int) -> dict[str, int]:
            view[:code] = data[at : at + code]
            view[second : second + constants] = data[at + code :]
            bases = [base, base + second, *map(resolve, names[entries:])]
            found = list(_REFERENCE.iter_unpack(references))
            for offset, addend, number in found[entries:]:
                if offset + 8 > code:
                    raise ObjectError("an address behind the end of the code")
                struct.pack_into("<Q", view, offset, bases[number] + addend)
            return {
                name: base + offset
                for name, (offset, _, _) in zip(names, found[:entries], strict=False)
            }

        groups = [(0, second, PROT_READ | PROT_EXEC)]
        if constants:
            groups.append((second, length - second, PROT_READ))
        return mapped(length, fill, groups, keep)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ObjectError(f"damaged code: {error}") from None
