"""The verifier refuses what is no program."""

from __future__ import annotations

import pytest

from kgraph.ir import Builder, Function, IRError, TensorType, Value, parse, verify

VECTOR = TensorType((2,), "float32")


def _chain() -> tuple[Value, Value, Value]:
    b = Builder()
    x = b.param("x", VECTOR)
    y = b.negate(x)
    return x, y, b.tanh(y)


def test_a_program() -> None:
    x, y, z = _chain()
    verify(Function((x,), (y.op, z.op), (z, x, z)))


def test_order() -> None:
    x, y, z = _chain()
    with pytest.raises(IRError, match="not defined before it"):
        verify(Function((x,), (z.op, y.op), (z,)))


def test_missing_op() -> None:
    x, _y, z = _chain()
    with pytest.raises(IRError, match="not defined before it"):
        verify(Function((x,), (z.op,), (z,)))


def test_op_twice() -> None:
    x, y, z = _chain()
    with pytest.raises(IRError, match="listed twice"):
        verify(Function((x,), (y.op, y.op, z.op), (z,)))


def test_parameter_among_the_ops() -> None:
    x, y, _z = _chain()
    with pytest.raises(IRError, match="parameter among the ops"):
        verify(Function((x,), (x.op, y.op), (y,)))


def test_no_parameter() -> None:
    x, y, z = _chain()
    with pytest.raises(IRError, match="no parameter"):
        verify(Function((x, y), (z.op,), (z,)))


def test_parameter_twice() -> None:
    x, y, _z = _chain()
    with pytest.raises(IRError, match="listed twice"):
        verify(Function((x, x), (y.op,), (y,)))


def test_one_name_for_two_parameters() -> None:
    first, second = Builder().param("x", VECTOR), Builder().param("x", VECTOR)
    with pytest.raises(IRError, match="have one name"):
        verify(Function((first, second), (), (first,)))


def test_unknown_result() -> None:
    x, y, z = _chain()
    with pytest.raises(IRError, match="does not define"):
        verify(Function((x,), (y.op,), (z,)))


def test_wrong_type() -> None:
    x, y, _z = _chain()
    y.type = TensorType((3,), "float32")
    with pytest.raises(IRError, match="infers"):
        verify(Function((x,), (y.op,), (y,)))


def test_a_region_is_closed() -> None:
    text = """
    fn(%p: bool[], %x: f32[2])
      %0: f32[2] = if %p, [%x] {
        then =
          fn(%a: f32[2])
            return %a
        orelse =
          fn(%a: f32[2])
            return %a
      }
      return %0
    """
    fn = parse(text)
    verify(fn)
    op = fn.ops[0]
    (then, _) = op.regions
    inner = Builder()
    a = inner.param("a", VECTOR)
    leaking = Function((a,), (), (fn.params[1],))
    bad = op.with_fields(then=leaking, orelse=then)
    with pytest.raises(IRError, match="does not define"):
        verify(Function(fn.params, (bad,), bad.results))
