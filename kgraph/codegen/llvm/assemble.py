"""LLVM IR text to object code, through llvmlite, which is imported here and only when needed."""

from __future__ import annotations

import functools
import re
import threading
from typing import TYPE_CHECKING

from kgraph.codegen.llvm.target import Target

if TYPE_CHECKING:
    import llvmlite.binding as llvm

# Loop strength reduction takes half of the code generator's time on unrolled kernels and gains
# nothing: addresses are already a moving pointer and constant displacements. The scheduler before
# register allocation is enough, and there is no address for codegenprepare to sink.
LLVM_OPTIONS = ("-disable-lsr", "-disable-post-ra", "-disable-cgp")
# 2 = the code generator's default optimisation: real register allocation and scheduling.
CODEGEN_LEVEL = 2

_lock = threading.Lock()


class AssemblyError(RuntimeError):
    """LLVM refused text that kgraph wrote: a bug of kgraph, with the offending function."""


def compile_object(ir_text: str, target: Target) -> bytes:
    """Compiles a module to an ELF object with no LLVM IR passes.

    Large code model, static: the only relocations are 64-bit absolute ones, so that an object can
    be loaded anywhere. `ir_text` is what `Module.text()` gives.

    Raises:
        AssemblyError: the text is not valid LLVM IR.
    """
    with _lock, _parsed(ir_text) as module:
        return bytes(_machine(target).emit_object(module))


def assembly(ir_text: str, target: Target) -> str:
    """The assembler's text of what `compile_object` makes, for people to read.

    Raises:
        AssemblyError: the text is not valid LLVM IR.
    """
    with _lock, _parsed(ir_text) as module:
        return str(_machine(target).emit_assembly(module))


def _parsed(ir_text: str) -> llvm.ModuleRef:
    """The verified module of a text, in a context of its own."""
    llvm = _llvm()
    try:
        module = llvm.parse_assembly(ir_text, context=llvm.create_context())
        module.verify()
    except RuntimeError as error:
        raise AssemblyError(_explain(str(error), ir_text)) from None
    return module


def llvm_version() -> str:
    """llvmlite's and LLVM's version, part of cache entries made with them."""
    import llvmlite

    numbers = ".".join(str(part) for part in _llvm().llvm_version_info)
    return f"llvmlite {llvmlite.__version__}, LLVM {numbers}"


@functools.cache
def _llvm() -> llvm:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # Inline assembly without its parser makes LLVM abort the process.
    llvm.initialize_native_asmparser()
    for option in LLVM_OPTIONS:
        llvm.set_option("kgraph", option)
    return llvm


@functools.cache
def _machine(target: Target) -> llvm.TargetMachine:
    llvm = _llvm()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu,
        features=target.features,
        opt=CODEGEN_LEVEL,
        reloc="static",
        codemodel="large",
        jit=True,
    )


def _explain(message: str, text: str) -> str:
    """LLVM's message and the function that it is about, with line numbers."""
    lines = text.splitlines()
    found = re.search(r"<string>:(\d+):(\d+): error: (.*)", message)
    if not found:
        return f"LLVM refused a module: {message.strip()}\n{text}"
    line = int(found[1]) - 1
    starts = [i for i in range(min(line + 1, len(lines))) if lines[i].startswith("define ")]
    first = starts[-1] if starts else max(0, line - 10)
    last = next((i for i in range(line, len(lines)) if lines[i] == "}"), len(lines) - 1)
    body = "\n".join(
        f"{'>' if i == line else ' '} {i + 1:5} {lines[i]}" for i in range(first, last + 1)
    )
    return f"LLVM refused line {line + 1}: {found[3]}\n{body}"
