"""Programs from parts: shared functions, threads, and what is compiled only once."""

import ctypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from kgraph.codegen.llvm.assemble import Assembler, AssemblyError
from kgraph.codegen.llvm.emit import I64, Module
from kgraph.codegen.llvm.link import can_split
from kgraph.codegen.llvm.load import load
from kgraph.codegen.llvm.target import HASWELL, host
from tests.codegen.llvm.native import targets


class Kept(dict[str, bytes]):
    """A store of functions' code."""

    def put(self, items: Mapping[str, bytes]) -> None:
        self.update(items)


class Recorded(Assembler):
    """One that remembers the parts."""

    def add(self, ir_text: str) -> None:
        self.parts = [*getattr(self, "parts", []), ir_text]
        super().add(ir_text)


def turning(parts: Recorded, turns: int = 700, factors: Sequence[int] = range(3, 9)) -> bytes:
    """The code of `whole(n)`: the sum of the first and the last of many functions of n."""
    module = Module(parts.target, parts)
    table = module.global_variable("table", "internal constant [1 x i64] [i64 7]")
    names = [f"part{factor}" for factor in factors]
    for factor, name in zip(factors, names, strict=True):
        with module.function(name, [("n", I64)], I64, internal=True) as f:
            total = f.parameter("n")
            for turn in range(turns):
                total = f.mul(f.add(total, turn + 1), factor)
            f.ret(f.add(total, f.load_at(table, "int64")))
    with module.function("whole", [("n", I64)], I64) as f:
        f.ret(f.add(*[f.call(name, f.parameters) for name in (names[0], names[-1])]))
    parts.add(module.text())
    return parts.finish()


def turned(n: int, factor: int, turns: int = 700) -> int:
    for turn in range(turns):
        n = (n + turn + 1) * factor
    return n + 7


def whole(code: bytes, n: int) -> int:
    loaded = load(code, ("whole",))
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(loaded.address("whole"))(n)


def test_a_long_module_comes_in_parts():
    found = []
    for threads in (1, 3):
        with Recorded(targets()[0], threads) as assembler:
            found.append(turning(assembler))
    parts = assembler.parts
    assert [part.count("\ndefine") for part in parts] == [2, 2, 2, 1]
    assert len(re.findall(r"(?m)^declare hidden i64 @f\w{32}\(i64\) nounwind$", parts[-1])) == 2
    assert found[0] == found[1]
    assert (whole(found[0], 5) - turned(5, 3) - turned(5, 8)) % 2**64 == 0


@pytest.mark.skipif(not can_split(host()), reason="objects of another kind")
def test_functions_that_the_store_has_are_not_compiled_again():
    store = Kept()
    written = []
    for factors in ((3, 4, 5), (3, 4, 5), (4, 5, 6), (3,)):
        parts = Recorded(host(), 1, store)
        code = turning(parts, 9, factors)
        written.append(sum(part.count("\ndefine") for part in parts.parts))
        assert code == turning(Recorded(host(), 1), 9, factors)
        assert whole(code, 5) == turned(5, factors[0], 9) + turned(5, factors[-1], 9)
    assert written == [4, 1, 2, 1]
    assert len(store) == 4
    turning(Recorded(replace(host(), cpu="x86-64"), 1, store), 9, (3,))
    assert len(store) == 5, "another CPU has code of its own"


def test_equal_functions_of_parts_are_one():
    with Recorded(targets()[0], 1) as assembler:
        module = Module(assembler.target, assembler)
        for name in ("one", "two"):
            with module.function(name, [("n", I64)], I64, internal=True) as f:
                f.ret(f.mul(f.parameter("n"), 3))
        with module.function("whole", [("n", I64)], I64) as f:
            f.ret(f.add(*[f.call(name, f.parameters) for name in ("one", "two")]))
        assembler.add(module.text())
        assert assembler.parts[0].count("\ndefine") == 2
        assert whole(assembler.finish(), 7) == 42


def test_what_llvm_refuses_on_a_thread_is_an_error():
    with Assembler(HASWELL, 2) as assembler:
        assembler.add("define void @broken() { nonsense }")
        with pytest.raises(AssemblyError, match="nonsense"):
            assembler.finish()


def test_what_is_compiled_fast_has_a_part_of_its_own():
    """And calls the rest, whichever of the two is written first."""
    with Recorded(host(), 1) as assembler:
        module = Module(host(), assembler)
        for name, factor, cold in (("slow", 3, True), ("quick", 5, False), ("entry", 7, True)):
            with module.function(name, [("n", I64)], I64, name != "entry", cold=cold) as f:
                value = f.mul(f.parameter("n"), factor)
                if cold and name == "entry":
                    value = f.add(f.call("slow", [value]), f.call("quick", [value]))
                f.ret(value)
        assembler.add(module.last())
        code = assembler.finish()
    quick, fast = assembler.parts
    assert (quick.count("define "), quick.count(" #0 {")) == (1, 1)
    assert (fast.count("define "), fast.count(" #0 {")) == (2, 0)
    loaded = load(code, ("entry",))
    run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(loaded.address("entry"))
    assert run(2) == 2 * 7 * (3 + 5)
