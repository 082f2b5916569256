"""Sizes from shapes, and errors that name the parameter."""

import re

import numpy as np
import pytest

from kgraph.codegen.arrays import accept_array
from kgraph.ir import Builder, Dim, IRError, Location, TensorType, symbol
from kgraph.runtime import ArgumentError, Signature
from kgraph.runtime.signature import SizeCheck

B, T = symbol("batch"), symbol("time")


def signature(*shapes: tuple[int | Dim, ...], checks: tuple[SizeCheck, ...] = ()) -> Signature:
    params = tuple(TensorType(shape, "float32") for shape in shapes)
    symbols = tuple(sorted({s for p in params for s in p.symbols}))
    return Signature(tuple("xyz")[: len(shapes)], params, (), symbols, checks)


def test_lone_symbols() -> None:
    assert signature((B, 3), (B, T)).sizes([(5, 3), (5, 7)]) == {"batch": 5, "time": 7}
    assert signature((B,)).sizes([(0,)]) == {"batch": 0}


def test_symbols_that_stand_only_in_expressions() -> None:
    assert signature((2 * B + 1,)).sizes([(9,)]) == {"batch": 4}
    assert signature((B * T,), (B,)).sizes([(12,), (4,)]) == {"batch": 4, "time": 3}
    with pytest.raises(
        ArgumentError, match=re.escape("the argument x must be f32[2*batch+1]; got the shape [8]")
    ):
        signature((2 * B + 1,)).sizes([(8,)])
    with pytest.raises(
        ArgumentError, match="the sizes batch, time cannot be told from the argument x"
    ):
        signature((B * T,)).sizes([(12,)])


@pytest.mark.parametrize(
    ("shapes", "got", "says"),
    [
        ([(B, 3)], [(5,)], "the argument x must be f32[batch,3]; got the shape [5]"),
        ([(B, 3)], [(5, 4)], "got the shape [5, 4]: dim 1 must be 3"),
        ([(B, 3), (B,)], [(5, 3), (6,)],
         "the argument y must be f32[batch]; got the shape [6]: dim 0 is batch, "
         "which dim 0 of x (shape [5, 3]) set to 5"),
        ([(B,), (B // 2,)], [(5,), (3,)],
         "the argument y must be f32[(batch//2)]; got the shape [3]: dim 0 must be (batch//2) = 2"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit(
    shapes: list[tuple[int | Dim, ...]], got: list[tuple[int, ...]], says: str
) -> None:
    with pytest.raises(ArgumentError, match=re.escape(says)):
        signature(*shapes).sizes(got)


def test_what_the_trace_assumed_is_checked() -> None:
    check = SizeCheck(B, T, 0, Location("model/add", "model.py", 12))
    assert signature((B,), (T,), checks=(check,)).sizes([(4,), (4,)]) == {"batch": 4, "time": 4}
    says = "model/add model.py:12: dim 0 must be time = 5; got batch = 4 (with batch=4, time=5)"
    with pytest.raises(ArgumentError, match=re.escape(says)):
        signature((B,), (T,), checks=(check,)).sizes([(4,), (5,)])


def test_a_result_of_unknown_size_is_refused() -> None:
    b = Builder()
    b.param("x", TensorType((3,), "float32"))
    fn = b.function(b.iota((B,), 0, "int32"))
    with pytest.raises(IRError, match="the sizes batch stand in no parameter's shape"):
        Signature.of(fn)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (np.zeros(3), "float32"), (np.zeros(3, np.int32), "float32"),
        (np.zeros(3, np.float32), "bfloat16"), (np.float64(1), "float32"),
        (np.zeros(3, object), "float32"), (np.zeros(3, ">f8"), "float32"),
        ([1.5, 2], "int32"), ("text", "float32"), ([[1], [1, 2]], "float32"), (None, "float32"),
        ([1, 0], "bool"), ([300], "uint8"), (object(), "float32"),
    ],
)  # fmt: skip
def test_other_dtypes_are_refused(value: object, dtype: str) -> None:
    type_ = TensorType((3,), dtype)
    with pytest.raises(TypeError, match=re.escape("the argument x must be ")):
        accept_array(value, type_, "x")


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1, 2], "float32"),
        ([1.5], "bfloat16"),
        (True, "bool"),
        (3, "int8"),
        ([True, False], "int32"),
        ([], "float64"),
    ],
)
def test_python_numbers_take_the_dtype(value: object, dtype: str) -> None:
    found = accept_array(value, TensorType((1,), dtype), "x")
    assert str(found.dtype) == dtype


def test_a_dense_array_is_taken_as_it_is() -> None:
    x = np.zeros((3, 4), np.float32)
    assert accept_array(x, TensorType((3, 4), "float32"), "x") is x
    x.flags.writeable = False
    assert accept_array(x, TensorType((3, 4), "float32"), "x") is x
