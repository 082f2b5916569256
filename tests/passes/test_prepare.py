"""What depends on the state alone, split off."""

from __future__ import annotations

import pytest

from kgraph.ir import Function, evaluate, parse, to_text, verify
from kgraph.passes.prepare import split
from tests.harness import assert_close, sample_inputs


def parts(text: str, state: int) -> tuple[Function | None, Function]:
    """Both functions, verified; together they give what the whole one gives."""
    fn = parse(text)
    prepare, main = split(fn, state)
    verify(main)
    for args in sample_inputs(fn):
        early = [] if prepare is None else evaluate(prepare, args[:state])
        found = evaluate(main, [*args[:state], *early, *args[state:]])
        for a, b in zip(evaluate(fn, args), found, strict=True):
            assert_close(a, b)
    return prepare, main


def test_weights_that_are_rearranged() -> None:
    prepare, main = parts(
        """
        fn predict(%w: f32[3,4], %s: f32[4], %x: f32[batch,3])
          %0: f32[4] = rsqrt %s
          %1: f32[3,4] = broadcast_in_dim %0, shape=(3, 4), dims=(1,)
          %2: f32[3,4] = multiply %w, %1
          %3: f32[batch,4] = dot_general %x, %2, lhs_batch=(), rhs_batch=(), lhs_contract=(1,), rhs_contract=(0,)
          return %3
        """,  # noqa: E501
        2,
    )
    assert prepare is not None
    assert [op.name for op in prepare.ops] == ["rsqrt", "broadcast_in_dim", "multiply"]
    assert [op.name for op in main.ops] == ["dot_general"]
    assert main.param_names == ("w", "s", "prepared_0", "x")


def test_what_only_repeats_is_made_again() -> None:
    prepare, main = parts(
        """
        fn(%s: f32[4], %x: f32[batch,4])
          %0: f32[4] = rsqrt %s
          %1: f32[3,4] = broadcast_in_dim %0, shape=(3, 4), dims=(1,)
          %2: f32[2,2] = reshape %0, shape=(2, 2)
          %3: f32[batch,4] = broadcast_in_dim %0, shape=(batch, 4), dims=(1,)
          %4: f32[batch,4] = multiply %x, %3
          return %1, %2, %4
        """,
        1,
    )
    assert prepare is not None
    assert [op.name for op in prepare.ops] == ["rsqrt"]
    assert sorted(op.name for op in main.ops) == [
        "broadcast_in_dim", "broadcast_in_dim", "multiply", "reshape",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "fn(%w: f32[3], %x: f32[3])\n  %0: f32[3] = add %w, %x\n  return %0",
        "fn(%w: f32[4])\n  %0: f32[2,2] = reshape %w, shape=(2, 2)\n  return %0, %w",
        "fn(%w: f32[4])\n  %0: f32[] = constant value=f32(1.0)\n  return %0",
    ],
)
def test_nothing_worth_it(text: str) -> None:
    prepare, main = parts(text, 1)
    assert prepare is None
    assert to_text(main) == to_text(parse(text))


def test_a_size_of_the_inputs_is_not_known_early() -> None:
    prepare, _ = parts(
        """
        fn(%w: f32[], %x: f32[batch])
          %0: f32[] = dim_size size=batch, dtype='float32'
          %1: f32[] = divide %w, %0
          %2: f32[] = negate %w
          %3: f32[] = scan [%2], [], [%w], length=batch, reverse=False {
            body =
              fn(%c: f32[], %w: f32[])
                %0: f32[] = add %c, %w
                return %0
          }
          return %1, %3
        """,
        1,
    )
    assert prepare is not None
    assert [op.name for op in prepare.ops] == ["negate"]


def test_a_parameter_may_have_any_name() -> None:
    prepare, main = parts(
        """
        fn(%w: f32[3], %prepared_0: f32[3])
          %0: f32[3] = negate %w
          %1: f32[3] = add %0, %prepared_0
          return %1
        """,
        1,
    )
    assert prepare is not None
    assert len(set(main.param_names)) == 3
