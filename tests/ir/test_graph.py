"""Values, ops, functions and builders; long programs."""

from __future__ import annotations

import pickle
import time
from typing import Any

import numpy as np
import pytest

from kgraph.ir import (
    OPS,
    Builder,
    Fact,
    IRError,
    Location,
    Op,
    TensorType,
    bind,
    evaluate,
    parse,
    sizes_of,
    symbol,
    to_text,
    users,
    verify,
)

VECTOR = TensorType((2,), "float32")
LENGTH = 20_000


def test_types_are_interned() -> None:
    n = symbol("n")
    assert TensorType((n * 2, 3), "float32") is TensorType((n + n, 3), "float32")
    assert TensorType((2,), "float32") is not TensorType((2,), "float64")
    assert pickle.loads(pickle.dumps(TensorType((n,), "int8"))) is TensorType((n,), "int8")
    with pytest.raises(TypeError, match="expected one of the dtypes"):
        TensorType((2,), "float31")
    with pytest.raises(ValueError, match="at least 0"):
        TensorType((-1,), "int8")
    with pytest.raises(AttributeError, match="immutable"):
        VECTOR.dtype = "int8"


def test_equal_ops_are_made_once() -> None:
    b = Builder()
    x, y = b.param("x", VECTOR), b.param("y", VECTOR)
    assert b.add(x, y) is b.add(x, y)
    assert b.add(x, y) is not b.add(y, x)
    assert b.transpose(x, (0,)) is b.transpose(x, (0,))
    assert len(b.ops) == 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((0.0, "float32"), (-0.0, "float32")),
        ((1, "int32"), (1, "int64")),
        ((True, "bool"), (1, "uint8")),
    ],
)
def test_constants_differ_by_their_bits(first: Any, second: Any) -> None:
    b = Builder()
    assert b.constant(*first) is not b.constant(*second)
    assert b.constant(*first) is b.constant(*first)


def test_parameters_get_names_of_their_own() -> None:
    b = Builder()
    labels = [b.param("x", VECTOR).op.__dict__["label"] for _ in range(3)]
    assert labels == ["x", "x_1", "x_2"]


def test_reserved_names() -> None:
    b = Builder()
    p = b.param("p", TensorType((2,), "bool"))
    assert b.not_(p).op.name == "not"
    assert b.and_(p, p).op.name == "and"
    with pytest.raises(AttributeError, match="no op called 'nothing'"):
        b.nothing(p)
    with pytest.raises(AttributeError, match="negate_"):
        b.negate_(p)


def test_locations_stay_with_ops() -> None:
    b = Builder()
    x = b.param("x", VECTOR)
    with b.at(Location("layer", "file.py", 3)):
        y = b.negate(x)
        with b.at(Location("inner")):
            z = b.tanh(y)
        w = b.tanh(z)
    assert [v.op.location.path for v in (y, z, w)] == ["layer", "inner", "layer"]
    assert z.op.with_operands((x,)).location == Location("inner")
    assert str(y.op.location) == "layer file.py:3"


def test_an_op_is_immutable() -> None:
    op = Builder().constant(1.0, "float32").op
    with pytest.raises(AttributeError):
        op.value = 2  # type: ignore[attr-defined]


def test_other_operands() -> None:
    b = Builder()
    x, y = b.param("x", VECTOR), b.param("y", VECTOR)
    z = b.param("z", TensorType((2,), "float64"))
    with b.at(Location("layer", "file.py", 3)):
        op = b.concatenate((x, x), 0).op
    same = op.with_operands((y, x))
    assert same.operands == (y, x)
    assert same.__dict__["xs"] == (y, x)
    assert same.results[0].op is same
    assert same.results[0].type is op.results[0].type
    assert same.location == op.location
    assert op.operands == (x, x)
    assert op.with_operands((z, z)).results[0].type is TensorType((4,), "float64")
    with pytest.raises(IRError, match=r"concatenate\.C"):
        op.with_operands((x, z))


def test_fields_that_hide_attributes_are_refused() -> None:
    with pytest.raises(TypeError, match="results"):
        type("Bad", (Op,), {"__annotations__": {"results": "int"}})
    assert "bad" not in OPS


def test_users() -> None:
    b = Builder()
    x = b.param("x", VECTOR)
    y = b.multiply(x, x)
    z = b.add(y, x)
    assert users(b.function(z)) == {x: [y.op, z.op], y: [z.op]}


def test_binding_reaches_attributes_and_regions() -> None:
    b = Builder()
    n = symbol("n")
    x = b.param("x", TensorType((n, 2), "float32"))
    flat = b.reshape(x, (n * 2,))
    inner = Builder()
    p = inner.param("p", flat.type)
    body = inner.function(inner.slice(p, (1,), (n * 2,), (1,)))
    fn = bind(b.function(b.fusion((flat,), body)), {"n": 3})
    verify(fn)
    assert str(fn.results[0].type) == "f32[5]"
    assert "n" not in to_text(fn).replace("fn", "").replace("fusion", "").replace("return", "")
    assert str(bind(b.function(flat), {"n": n + 1}).results[0].type) == "f32[2*n+2]"


def test_sizes_are_read_off_the_arguments() -> None:
    b = Builder()
    n, m = symbol("n"), symbol("m")
    b.param("x", TensorType((n * 2 + 1, m), "float32"))
    b.param("y", TensorType((m * n,), "float32"))
    fn = b.function()
    assert sizes_of(fn, [(7, 2), (6,)]) == {"n": 3, "m": 2}
    for wrong, message in [
        ([(6, 2), (6,)], "has 6 where"),
        ([(7, 2), (5,)], r"has 5 where m\*n"),
        ([(7, 2, 1), (6,)], r"must be f32\[2\*n\+1,m\]"),
        ([(7, 2)], "expected 2 arguments"),
    ]:
        with pytest.raises(IRError, match=message):
            sizes_of(fn, wrong)  # type: ignore[arg-type]  # tuples of ints


def test_arguments_are_checked() -> None:
    b = Builder()
    fn = b.function(b.negate(b.param("x", VECTOR)))
    with pytest.raises(IRError, match=r"the argument x must be f32\[2\]"):
        evaluate(fn, [np.zeros(2, np.float64)])


@pytest.mark.parametrize("name", sorted(set(OPS) - {"param"}))
def test_every_op_has_a_docstring_and_sound_facts(name: str) -> None:
    cls = OPS[name]
    assert cls.__doc__
    assert cls.__doc__ != Op.__doc__
    assert isinstance(cls.facts, frozenset)
    assert all(isinstance(fact, Fact) for fact in cls.facts)
    assert cls.infer is not Op.infer
    assert cls.reference is not Op.reference


def test_a_long_chain_passes_everything() -> None:
    """No walk over a graph recurses or is quadratic."""
    start = time.process_time()
    b = Builder()
    x = b.param("x", TensorType((symbol("batch"),), "float32"))
    y = x
    for _ in range(LENGTH // 2):
        y = b.negate(b.add(y, x))
    fn = b.function(y)
    assert len(fn.ops) == LENGTH
    verify(fn)
    text = to_text(fn)
    back = parse(text)
    verify(back)
    assert to_text(back) == text
    (got,) = evaluate(back, [np.ones(3, np.float32)])
    np.testing.assert_array_equal(got, np.ones(3, np.float32))
    bound = bind(fn, {"batch": 3})
    assert len(users(bound)) == LENGTH
    del fn, back, bound, b, x, y  # freeing a deep graph must not recurse either
    assert time.process_time() - start < 20


def test_a_wide_function_is_built_in_linear_time() -> None:
    """Adding a parameter must not walk over all others."""
    b = Builder()
    start = time.process_time()
    for i in range(4000):
        b.param(f"w{i}" if i % 2 else "w", VECTOR)
    assert time.process_time() - start < 2
