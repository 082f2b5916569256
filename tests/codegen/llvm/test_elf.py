"""The ELF loader: objects run, and what is no sound object is refused."""

import ctypes
import platform
import struct
import subprocess
import sys
from collections.abc import Callable

import pytest

from kgraph.codegen.llvm.assemble import compile_object
from kgraph.codegen.llvm.bundle import bundle, objects_of
from kgraph.codegen.llvm.elf import load_elf
from kgraph.codegen.llvm.elf_file import ObjectError
from kgraph.codegen.llvm.load import NativeCode, load, load_by_llvm, resolve
from kgraph.codegen.llvm.pool_text import pool_target

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="x86-64 ELF"
)

TEXT = """
target triple = "x86_64-unknown-linux-gnu"
@table = internal constant [4 x i64] [i64 3, i64 5, i64 7, i64 11], align 64
@count = internal global i64 40
@zeros = internal global [600 x i64] zeroinitializer
@pointer = internal constant ptr @helper
declare double @exp(double)
declare ptr @memset(ptr, i32, i64)
define internal i64 @helper(i64 %i) nounwind {
  %p = getelementptr i64, ptr @table, i64 %i
  %v = load i64, ptr %p
  ret i64 %v
}
define i64 @lookup(i64 %i) nounwind {
  %f = load ptr, ptr @pointer
  %v = call i64 %f(i64 %i)
  ret i64 %v
}
define i64 @next() nounwind {
  %a = load i64, ptr @count
  %b = add i64 %a, 1
  store i64 %b, ptr @count
  %p = getelementptr i64, ptr @zeros, i64 599
  %z = load i64, ptr %p
  %c = add i64 %b, %z
  ret i64 %c
}
define double @raise(double %x) nounwind {
  %y = call double @exp(double %x)
  ret double %y
}
"""


@pytest.fixture(scope="module")
def code() -> bytes:
    return compile_object(TEXT, pool_target())


def integer(loaded: NativeCode, name: str, *arguments: int) -> int:
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * len(arguments))
    return kind(loaded.address(name))(*arguments)


def test_code_constants_variables_and_libm(code: bytes) -> None:
    loaded = load_elf(code, resolve)
    assert [integer(loaded, "lookup", i) for i in range(4)] == [3, 5, 7, 11]
    assert [integer(loaded, "next") for _ in range(3)] == [41, 42, 43]
    raised = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(loaded.address("raise"))
    assert raised(1.0) == pytest.approx(2.718281828459045)


def test_each_load_has_its_own_variables(code: bytes) -> None:
    first, second = load_elf(code, resolve), load_elf(code, resolve)
    assert (integer(first, "next"), integer(second, "next")) == (41, 41)


def test_no_page_is_writable_and_executable(code: bytes) -> None:
    loaded = load_elf(code, resolve)
    address = loaded.address("lookup")
    with open("/proc/self/maps") as file:
        maps = [line.split() for line in file]
    ranges = [([int(n, 16) for n in m[0].split("-")], m[1]) for m in maps]
    (rights,) = [r for (low, high), r in ranges if low <= address < high]
    assert rights.startswith("r-x")


def test_unloading_gives_the_memory_back(code: bytes) -> None:
    def mappings() -> int:
        with open("/proc/self/maps") as file:
            return sum(1 for _ in file)

    load_elf(code, resolve)
    before = mappings()
    for _ in range(50):
        load_elf(code, resolve)
    assert mappings() <= before + 2


def test_symbols_that_are_missing_or_forbidden(code: bytes) -> None:
    with pytest.raises(ObjectError, match=r"defines .*lookup.*, but not kgraph_run"):
        load_elf(code, resolve).address("kgraph_run")
    text = "declare i32 @abs(i32)\ndefine i32 @f() {\n%r = call i32 @abs(i32 1)\nret i32 %r\n}"
    forbidden = compile_object(text, pool_target())
    with pytest.raises(ObjectError, match="'abs', which is not in ALLOWED_SYMBOLS"):
        load(forbidden, ("f",))


CALLER = """
target triple = "x86_64-unknown-linux-gnu"
declare i64 @lookup(i64)
define i64 @twice(i64 %i) {
  %v = call i64 @lookup(i64 %i)
  %w = add i64 %v, %v
  ret i64 %w
}
"""


@pytest.mark.parametrize("loader", [load, load_by_llvm])
def test_objects_of_a_bundle_call_each_other(
    code: bytes, loader: Callable[..., NativeCode]
) -> None:
    parts = [compile_object(CALLER, pool_target()), code]
    assert objects_of(bundle(parts)) == parts
    assert objects_of(bundle([code])) == [code]
    loaded = loader(bundle(parts), ("twice", "next"))
    assert [integer(loaded, "twice", i) for i in range(4)] == [6, 10, 14, 22]
    assert integer(loaded, "next") == 41


def test_a_damaged_bundle_is_refused(code: bytes) -> None:
    caller = compile_object(CALLER, pool_target())
    with pytest.raises(ObjectError, match="'lookup', which is not in ALLOWED_SYMBOLS"):
        load_elf(bundle([caller, caller]), resolve)
    whole = bundle([caller, code])
    for length in range(0, len(whole), 97):
        with pytest.raises(ObjectError):
            load_elf(whole[:length], resolve)


def test_every_truncation_is_an_error_or_harmless(code: bytes) -> None:
    for length in range(0, len(code), 7):
        with pytest.raises(ObjectError):
            load_elf(code[:length], resolve)


@pytest.mark.parametrize(
    ("offset", "value", "says"),
    [
        (0, b"\x7fELG", "not a little-endian"),
        (4, b"\x01", "not a little-endian"),
        (16, struct.pack("<H", 3), "not a relocatable x86-64 object"),
        (18, struct.pack("<H", 183), "not a relocatable x86-64 object"),
        (58, struct.pack("<H", 40), "section headers of 40 bytes"),
        (40, struct.pack("<Q", 1 << 40), "damaged"),
    ],
)
def test_damaged_headers(code: bytes, offset: int, value: bytes, says: str) -> None:
    broken = code[:offset] + value + code[offset + len(value) :]
    with pytest.raises(ObjectError, match=says):
        load_elf(broken, resolve)


def test_llvms_linker_gives_the_same(code: bytes) -> None:
    loaded = load_by_llvm(code, ("lookup", "raise"))
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(loaded.address("lookup"))
    assert [function(i) for i in range(4)] == [3, 5, 7, 11]
    with pytest.raises(ObjectError):
        loaded.address("next_but_one")


def test_loading_imports_no_llvmlite(code: bytes, tmp_path) -> None:
    path = tmp_path / "code.o"
    path.write_bytes(code)
    program = (
        "import sys\nfrom kgraph.codegen.llvm.load import load\n"
        f"load(open({str(path)!r}, 'rb').read(), ('lookup',))\n"
        "assert 'llvmlite' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
