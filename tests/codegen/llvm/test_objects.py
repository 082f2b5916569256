"""What the objects of all kernels ask of a loader: few symbols, one kind of relocation."""

import ctypes

import pytest

from kgraph.codegen.llvm import math
from kgraph.codegen.llvm.assemble import compile_object
from kgraph.codegen.llvm.conv import ConvSpec, emit_conv, emit_pack_weights
from kgraph.codegen.llvm.conv_weights import WeightsSpec, emit_weights
from kgraph.codegen.llvm.elf import load_elf
from kgraph.codegen.llvm.emit import ALLOWED_SYMBOLS, I64, PTR, Module, View, is_floating
from kgraph.codegen.llvm.gemm import GemmSpec, emit_gemm, emit_pack_b
from kgraph.codegen.llvm.target import GENERIC, HASWELL, SKYLAKE512, Target
from tests.codegen.llvm.test_conv import make_dim
from tests.codegen.llvm.test_emit import DTYPES

all_targets = pytest.mark.parametrize(
    "target", [GENERIC, HASWELL, SKYLAKE512], ids=lambda item: item.name
)


def symbols(module: Module) -> set[str]:
    """The symbols that the module's object lacks; the loader refuses relocations it cannot do."""
    asked: set[str] = set()
    place = ctypes.create_string_buffer(8)

    def resolve(name: str) -> int:
        asked.add(name)
        return ctypes.addressof(place)

    load_elf(compile_object(module.text(), module.target), resolve)
    return asked


@all_targets
def test_mathematics(target: Target):
    module = Module(target)
    for dtype in ("float32", "float64"):
        for lanes in (0, target.lanes(4)):
            for name in (*math.UNARY, *math.BINARY):
                head = [("x", PTR), ("y", PTR), ("i", I64)]
                with module.function(f"{name}.{dtype}.{lanes}", head) as f:
                    x, y, i = f.parameters
                    values = [f.load(View(p, dtype, (1,)), [i], lanes) for p in (x, y)]
                    if name in math.UNARY:
                        result = math.UNARY[name](f, values[0])
                    else:
                        result = math.BINARY[name](f, *values)
                    f.store(View(y, dtype, (1,)), [i], result)
    libm = {"sin", "cos", "tan", "sinf", "cosf", "pow", "fmod", "fmodf"}
    assert symbols(module) == libm


@all_targets
def test_conversions(target: Target):
    module = Module(target)
    for source in DTYPES:
        for result in DTYPES:
            for lanes in (0, 8):
                name = f"{source}.{result}.{lanes}"
                with module.function(name, [("x", PTR), ("y", PTR)]) as f:
                    x, y = f.parameters
                    value = f.convert(f.load_at(x, source, lanes), source, result)
                    f.store_at(y, result, value)
    assert symbols(module) == set()


@all_targets
@pytest.mark.parametrize("dtype", [item for item in DTYPES if item != "bool"])
def test_contractions(target: Target, dtype: str):
    module = Module(target)
    gemm = GemmSpec(None, 40, 50, dtype, a_strides=(None, None), b_strides=(None, None))
    emit_gemm(module, "gemm", gemm)
    emit_pack_b(module, "pack_b", gemm)
    dims = (make_dim(8, 3, low=1, high=1), make_dim(9, 3, 2))
    for groups in (1, 8):
        conv = ConvSpec(dims, 8, 8, groups, dtype)
        emit_conv(module, f"conv{groups}", conv)
        emit_pack_weights(module, f"pack{groups}", conv)
        if is_floating(dtype):
            emit_weights(module, f"weights{groups}", WeightsSpec(conv))
    assert symbols(module) <= {"memset", "memcpy"} <= ALLOWED_SYMBOLS
