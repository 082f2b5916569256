"""Objects into memory: the ELF loader where it applies, LLVM's linker elsewhere."""

from __future__ import annotations

import ctypes
import functools
import itertools
import platform
import sys
from collections.abc import Sequence
from typing import Protocol

from kgraph.codegen.llvm.block import ALLOWED_SYMBOLS
from kgraph.codegen.llvm.bundle import objects_of
from kgraph.codegen.llvm.elf import load_elf
from kgraph.codegen.llvm.elf_file import ObjectError
from kgraph.codegen.llvm.link import MARK, load_linked

_numbers = itertools.count()


class NativeCode(Protocol):
    """Machine code in memory. It may be called as long as this lives."""

    def address(self, name: str) -> int:
        """The address of a function that the object defines; ObjectError if it does not."""


def load(code: bytes, names: Sequence[str], keep: bool = False) -> NativeCode:
    """Loads code for this machine.

    Args:
        code: what `compile_object` or an `Assembler` gave, now or in another process.
        names: the functions that will be asked for.
        keep: the code stays for the life of the process.

    Raises:
        ObjectError: the object is damaged, or it calls what is not on `ALLOWED_SYMBOLS`.
    """
    if code.startswith(MARK):
        return load_linked(code, resolve, keep)
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return load_elf(code, resolve, keep)
    return load_by_llvm(code, names, keep)


@functools.cache
def resolve(name: str) -> int:
    """The address of a function of the C library that generated code may call.

    Raises:
        ObjectError: it may not, or this system has none.
    """
    if name not in ALLOWED_SYMBOLS:
        raise ObjectError(f"generated code wants {name!r}, which is not in ALLOWED_SYMBOLS")
    for library in _libraries():
        if hasattr(library, name):
            return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
    raise ObjectError(f"this system's C library has no {name}")


def load_by_llvm(code: bytes, names: Sequence[str], keep: bool = False) -> NativeCode:
    """Loads an object of any format that LLVM knows; imports llvmlite."""
    return _LinkedByLLVM(code, names, keep)


class _LinkedByLLVM:
    def __init__(self, code: bytes, names: Sequence[str], keep: bool) -> None:
        import llvmlite.binding as llvm

        builder = llvm.JITLibraryBuilder()
        for part in objects_of(code):
            builder.add_object_img(part)
        for name in ALLOWED_SYMBOLS:
            builder.import_symbol(name, resolve(name))
        for name in names:
            builder.export_symbol(name)
        try:
            self._library = builder.link(_linker(), f"kgraph{next(_numbers)}")
        except RuntimeError as error:
            raise ObjectError(f"LLVM cannot link an object: {error}") from None
        if keep:
            _kept.append(self)

    def address(self, name: str) -> int:
        try:
            return int(self._library[name])
        except KeyError:
            raise ObjectError(f"the object was not loaded for {name}") from None


_kept: list[NativeCode] = []


@functools.cache
def _linker() -> object:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(
        reloc="static", codemodel="large", jit=True
    )
    return llvm.create_lljit_compiler(machine, use_jit_link=False, suppress_errors=True)


@functools.cache
def _libraries() -> tuple[ctypes.CDLL, ...]:
    process = ctypes.CDLL(None)
    if hasattr(process, "expm1f"):
        return (process,)
    return (process, ctypes.CDLL("libm.so.6" if sys.platform == "linux" else "libm.dylib"))
