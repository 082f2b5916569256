"""Functions cut out of an object and linked again."""

import ctypes
import platform
import sys

import pytest

from kgraph.codegen.llvm.assemble import compile_object
from kgraph.codegen.llvm.elf_file import ObjectError
from kgraph.codegen.llvm.link import MARK, Piece, link, load_linked, split
from kgraph.codegen.llvm.load import load, resolve
from kgraph.codegen.llvm.pool_text import pool_target

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="x86-64 ELF"
)

TEXT = """
target triple = "x86_64-unknown-linux-gnu"
@first = internal constant [3 x i64] [i64 3, i64 5, i64 7], align 64
@second = internal constant [100 x i64] zeroinitializer, align 64
@third = internal unnamed_addr constant [2 x i64] [i64 9, i64 2], align 64
declare double @exp(double)
define hidden i64 @shared(i64 %i) nounwind {
  %p = getelementptr i64, ptr @first, i64 %i
  %v = load i64, ptr %p
  %q = getelementptr i64, ptr @third, i64 1
  %w = load i64, ptr %q
  %x = mul i64 %v, %w
  ret i64 %x
}
define i64 @lookup(i64 %i) nounwind {
  %v = call i64 @shared(i64 %i)
  %p = getelementptr i64, ptr @second, i64 99
  %w = load i64, ptr %p
  %x = add i64 %v, %w
  ret i64 %x
}
define double @raise(double %x) nounwind {
  %y = call double @exp(double %x)
  %z = fmul double %y, 0x3FF8000000000000
  ret double %z
}
define void @vector(ptr %p) nounwind {
  %x = load <4 x float>, ptr %p, align 4
  %y = fadd <4 x float> %x, <float 1.0, float 2.0, float 3.0, float 4.0>
  %z = fmul <4 x float> %y, <float 2.0, float 2.0, float 2.0, float -2.0>
  store <4 x float> %z, ptr %p, align 4
  ret void
}
"""
ENTRIES = ("lookup", "raise", "vector")


@pytest.fixture(scope="module")
def pieces() -> dict[str, Piece]:
    return split(compile_object(TEXT, pool_target()))


def test_linked_functions_run(pieces: dict[str, Piece]) -> None:
    loaded = load(link(pieces, ENTRIES), ENTRIES)
    lookup = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(loaded.address("lookup"))
    assert [lookup(i) for i in range(3)] == [6, 10, 14]
    raised = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(loaded.address("raise"))
    assert raised(1.0) == pytest.approx(1.5 * 2.718281828459045)
    values = (ctypes.c_float * 4)(1, 1, 1, 1)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(loaded.address("vector"))(ctypes.addressof(values))
    assert list(values) == [4, 6, 8, -10]
    with pytest.raises(ObjectError, match="but not shared"):
        loaded.address("shared")


def test_a_function_has_its_own_constants_only(pieces: dict[str, Piece]) -> None:
    assert set(pieces) == {"shared", *ENTRIES}
    assert sorted(name for _, name, _ in pieces["lookup"].references) == ["", "shared"]
    assert len(pieces["lookup"].constants) == 800
    assert len(pieces["raise"].constants) == 8
    assert len(pieces["vector"].constants) == 32


def test_what_else_is_in_the_object_changes_no_function(pieces: dict[str, Piece]) -> None:
    alone = TEXT[: TEXT.index("define double @raise")].replace("[i64 3,", "[i64 4,")
    alone = alone.replace(
        "@first = internal", "@zeroth = internal constant i8 7\n@first = internal"
    )
    others = split(compile_object(alone, pool_target()))
    assert others["lookup"] == pieces["lookup"]
    assert others["shared"].code == pieces["shared"].code
    assert others["shared"].constants != pieces["shared"].constants


def test_pieces_as_bytes(pieces: dict[str, Piece]) -> None:
    for piece in pieces.values():
        data = piece.to_bytes()
        assert Piece.from_bytes(data) == piece
        for length in range(0, len(data), 5):
            with pytest.raises(ObjectError):
                Piece.from_bytes(data[:length])


def test_every_truncation_is_an_error(pieces: dict[str, Piece]) -> None:
    code = link(pieces, ENTRIES)
    assert code.startswith(MARK)
    for length in range(len(MARK), len(code), 7):
        with pytest.raises(ObjectError):
            load_linked(code[:length], resolve)


def test_names_that_nothing_defines_are_asked_for(pieces: dict[str, Piece]) -> None:
    code = link({"lookup": pieces["lookup"]}, ["lookup"])
    with pytest.raises(ObjectError, match="'shared', which is not in ALLOWED_SYMBOLS"):
        load(code, ["lookup"])


@pytest.mark.parametrize(
    ("global_", "says"),
    [("global i64 40", "variables"), ("constant ptr @f", "constants that hold addresses")],
)
def test_what_cannot_be_split(global_: str, says: str) -> None:
    text = (
        f'target triple = "x86_64-unknown-linux-gnu"\n@g = internal {global_}\n'
        "define i64 @f() {\n  %v = load i64, ptr @g\n  ret i64 %v\n}"
    )
    with pytest.raises(ObjectError, match=says):
        split(compile_object(text, pool_target()))
