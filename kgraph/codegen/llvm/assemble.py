"""LLVM IR text to object code, through llvmlite, which is imported here and only when needed."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from kgraph.codegen.base import CodeStore
from kgraph.codegen.llvm.bundle import bundle
from kgraph.codegen.llvm.fingerprint import compiler_version
from kgraph.codegen.llvm.link import MARK, Piece, can_split, link, split
from kgraph.codegen.llvm.target import Target

if TYPE_CHECKING:
    import llvmlite.binding as llvm

# Loop strength reduction takes half of the code generator's time on unrolled kernels and gains
# nothing: addresses are already a moving pointer and constant displacements. The scheduler before
# register allocation is enough, and there is no address for codegenprepare to sink.
LLVM_OPTIONS = ("-disable-lsr", "-disable-post-ra", "-disable-cgp")
# 2 = the code generator's default optimisation: real register allocation and scheduling. 0, of cold
# functions, takes half the time of what it does for a function that is not to be optimised.
CODEGEN_LEVEL = 2
COLD_LEVEL = 0

_lock = threading.Lock()
_idle: dict[tuple[Target, int], list[llvm.TargetMachine]] = defaultdict(list)


class AssemblyError(RuntimeError):
    """LLVM refused text that kgraph wrote: a bug of kgraph, with the offending function."""


def compile_object(ir_text: str, target: Target) -> bytes:
    """Compiles a module to an ELF object with no LLVM IR passes.

    Large code model, static: the only relocations are 64-bit absolute ones, so that an object can
    be loaded anywhere. `ir_text` is what `Module.text()` gives; one of cold functions alone is
    compiled fast.

    Raises:
        AssemblyError: the text is not valid LLVM IR.
    """
    level = CODEGEN_LEVEL if " #0 {\n" in ir_text else COLD_LEVEL
    with _parsed(ir_text) as module, _machine(target, level) as machine:
        return _emit(machine, module)


def assembly(ir_text: str, target: Target) -> str:
    """The assembler's text of what `compile_object` makes, for people to read.

    Raises:
        AssemblyError: the text is not valid LLVM IR.
    """
    with _parsed(ir_text) as module, _machine(target, CODEGEN_LEVEL) as machine:
        return str(machine.emit_assembly(module))


class Assembler:
    """Compiles the parts of a program's module, each as soon as it is there, and links them.

    With several threads that happens beside whoever writes the next one. Functions that the store
    has are not compiled again, and new ones are put there. What `finish` gives depends on neither.
    """

    def __init__(self, target: Target, threads: int, store: CodeStore | None = None) -> None:
        self.target = target
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._objects: list[bytes | Future[bytes]] = []
        self._store = store if can_split(target) else None
        self._compiler = (
            f"{compiler_version()} {LLVM_OPTIONS} {CODEGEN_LEVEL} {COLD_LEVEL} {MARK!r} {target}"
        )
        self._found: dict[str, Piece | None] = {}  # those that others may use, in order

    def has(self, name: str) -> bool:
        """Whether a function that is named by what it does need not be compiled."""
        if name not in self._found:
            data = None if self._store is None else self._store.get(self._key(name))
            self._found[name] = None if data is None else Piece.from_bytes(data)
        return self._found[name] is not None

    def add(self, ir_text: str) -> None:
        """Compiles a part, or sees to it that it is compiled."""
        if self._pool is None:
            self._objects.append(compile_object(ir_text, self.target))
        else:
            self._objects.append(self._pool.submit(compile_object, ir_text, self.target))

    def finish(self) -> bytes:
        """Waits, and gives the code of all parts, as `load` takes it.

        Raises:
            AssemblyError: a text is not valid LLVM IR.
        """
        done = [item if isinstance(item, bytes) else item.result() for item in self._objects]
        if not self._found or not can_split(self.target):
            return bundle(done)
        new = {name: piece for code in done for name, piece in split(code).items()}
        if self._store is not None:
            kept = {self._key(name): new[name].to_bytes() for name in self._found if name in new}
            self._store.put(kept)
        pieces = {name: piece or new[name] for name, piece in self._found.items()}
        entries = [name for name in new if name not in pieces]
        return link({**pieces, **{name: new[name] for name in entries}}, entries)

    def _key(self, name: str) -> str:
        """Under which the store has a function: what it does, and all that makes its code."""
        return hashlib.sha256(f"{name} {self._compiler}".encode()).hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


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


def _llvm() -> llvm:
    with _lock:
        return _initialized()


@functools.cache
def _initialized() -> llvm:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # Inline assembly without its parser makes LLVM abort the process.
    llvm.initialize_native_asmparser()
    for option in LLVM_OPTIONS:
        llvm.set_option("kgraph", option)
    return llvm


@contextmanager
def _machine(target: Target, level: int) -> Iterator[llvm.TargetMachine]:
    """A target machine that no other thread uses meanwhile."""
    try:
        machine = _idle[target, level].pop()
    except IndexError:
        machine = (
            _llvm()
            .Target.from_triple(target.triple)
            .create_target_machine(
                cpu=target.cpu,
                features=target.features,
                opt=level,
                reloc="static",
                codemodel="large",
                jit=True,
            )
        )
    yield machine
    _idle[target, level].append(machine)


def _emit(machine: llvm.TargetMachine, module: llvm.ModuleRef) -> bytes:
    """What `machine.emit_object(module)` gives, while other threads may use LLVM.

    LLVM needs no lock between modules of different contexts, but llvmlite has one around each of
    its calls, and this one is long. So it is made past llvmlite where its library has the function.
    """
    library = _library()
    if library is None:
        return bytes(machine.emit_object(module))
    message = ctypes.c_char_p()
    buffer = library.LLVMPY_TargetMachineEmitToMemory(
        machine._as_parameter_, module._as_parameter_, 1, ctypes.byref(message)
    )
    if not buffer:
        raise AssemblyError(f"LLVM cannot emit a module: {message.value!r}")
    try:
        start = library.LLVMPY_GetBufferStart(buffer)
        return ctypes.string_at(start, library.LLVMPY_GetBufferSize(buffer))
    finally:
        library.LLVMPY_DisposeMemoryBuffer(buffer)


@functools.cache
def _library() -> ctypes.CDLL | None:
    """llvmlite's library without its lock, or None where it is not as we know it."""
    try:
        library = ctypes.CDLL(_llvm().ffi.lib._name)
        pointer = ctypes.c_void_p
        for name, result, *arguments in (
            ("TargetMachineEmitToMemory", pointer, pointer, pointer, ctypes.c_int, pointer),
            ("GetBufferStart", pointer, pointer),
            ("GetBufferSize", ctypes.c_size_t, pointer),
            ("DisposeMemoryBuffer", None, pointer),
        ):
            function = getattr(library, f"LLVMPY_{name}")
            function.restype, function.argtypes = result, arguments
    except (AttributeError, OSError):
        return None
    return library


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
