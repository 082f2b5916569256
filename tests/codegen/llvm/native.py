"""Runs modules in this process, and lists the targets that this machine can run."""

import ctypes
import functools

import llvmlite.binding as llvm
import numpy as np

from kgraph.codegen.llvm.assemble import compile_object
from kgraph.codegen.llvm.emit import Module
from kgraph.codegen.llvm.target import Target, detect

Argument = int | float | np.ndarray


def targets() -> list[Target]:
    """Every width this CPU runs, widest first."""
    found = []
    with open("/proc/cpuinfo") as file:
        text = file.read()
    for name in ("avx512", "avx2", "generic"):
        try:
            found.append(detect(text, "x86_64", name))
        except ValueError:
            continue
    return found


class Loaded:
    """The functions of a compiled module, callable with numpy arrays, ints and floats."""

    def __init__(self, module: Module) -> None:
        self.data, self._engine = _compile(module.text(), module.target)

    def pointer(self, name: str, *kinds: type, returns: type | None = None):
        return ctypes.CFUNCTYPE(returns, *kinds)(self._engine.get_function_address(name))

    def __call__(self, name: str, *arguments: Argument) -> None:
        kinds, values = [], []
        for item in arguments:
            if isinstance(item, np.ndarray):
                kinds.append(ctypes.c_void_p)
                values.append(item.ctypes.data)
            else:
                kinds.append(ctypes.c_double if isinstance(item, float) else ctypes.c_int64)
                values.append(item)
        self.pointer(name, *kinds)(*values)


@functools.lru_cache(maxsize=64)
def _compile(text: str, target: Target):
    data = compile_object(text, target)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # An engine owns its machine, so each needs a new one.
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(data))
    engine.finalize_object()
    return data, engine


def aligned(shape, dtype="float32", align: int = 64, offset: int = 0) -> np.ndarray:
    """An uninitialised array at `offset` bytes after an aligned address."""
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(count + align + offset, np.uint8)
    start = -raw.ctypes.data % align + offset
    return raw[start : start + count].view(dtype).reshape(shape)
