"""Sizes: arithmetic agrees with that of numbers, equal sizes have one form, text is complete."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraph.ir import (
    Size,
    SizeNeededError,
    bind_size,
    floordiv,
    is_nonnegative,
    is_positive,
    largest,
    maximum,
    minimum,
    mod,
    parse_size,
    product,
    size_gcd,
    symbol,
    symbols_of,
)

batch, time = symbol("batch"), symbol("time")
SMALL = st.integers(-5, 5)


def _sizes() -> st.SearchStrategy[Size]:
    def larger(inner: st.SearchStrategy[Size]) -> st.SearchStrategy[Size]:
        pair = st.tuples(inner, inner)
        return st.one_of(
            pair.map(lambda p: p[0] + p[1]),
            pair.map(lambda p: p[0] - p[1]),
            pair.map(lambda p: p[0] * p[1]),
            pair.map(lambda p: minimum(*p)),
            pair.map(lambda p: maximum(*p)),
            st.tuples(inner, st.integers(1, 6)).map(lambda p: floordiv(*p)),
            st.tuples(inner, st.integers(1, 6)).map(lambda p: mod(*p)),
        )

    leaves: st.SearchStrategy[Size] = st.one_of(SMALL, st.sampled_from([batch, time]))
    return st.recursive(leaves, larger, max_leaves=8)


VALUES = st.fixed_dictionaries({"batch": st.integers(0, 9), "time": st.integers(0, 9)})


@given(_sizes(), _sizes(), VALUES)
def test_arithmetic_is_that_of_numbers(a: Size, b: Size, values: dict[str, int]) -> None:
    x, y = bind_size(a, values), bind_size(b, values)
    assert isinstance(x, int)
    assert isinstance(y, int)
    assert bind_size(a + b, values) == x + y
    assert bind_size(a - b, values) == x - y
    assert bind_size(a * b, values) == x * y
    assert bind_size(minimum(a, b), values) == min(x, y)
    assert bind_size(maximum(a, b), values) == max(x, y)
    assert bind_size(floordiv(a, 3), values) == x // 3
    assert bind_size(mod(a, 3), values) == x % 3
    if y != 0 and b != 0:
        assert bind_size(floordiv(a, b), values) == x // y
        assert bind_size(mod(a, b), values) == x % y


@given(_sizes(), VALUES)
def test_bounds_hold(a: Size, values: dict[str, int]) -> None:
    x = bind_size(a, values)
    assert isinstance(x, int)
    assert not is_nonnegative(a) or x >= 0
    assert not is_positive(a) or x >= 1
    assert x % (size_gcd(a) or 1) == 0


@given(_sizes())
def test_text_is_complete(a: Size) -> None:
    assert parse_size(str(a)) == a
    assert pickle.loads(pickle.dumps(a)) == a
    assert copy.deepcopy(a) == a


@given(_sizes(), _sizes(), _sizes())
def test_normal_form(a: Size, b: Size, c: Size) -> None:
    assert a + b == b + a
    assert a * b == b * a
    assert (a + b) + c == a + (b + c)
    assert (a + b) * c == a * c + b * c
    assert a - a == 0
    assert hash(a + b) == hash(b + a)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (batch * 2 + 1, "2*batch+1"),
        (batch - time, "batch-time"),
        (batch * batch * time, "batch*batch*time"),
        (floordiv(batch + 1, 2), "((batch+1)//2)"),
        (maximum(batch, 3), "max(3,batch)"),
        (-1 * batch, "-batch"),
    ],
)
def test_text(size: Size, text: str) -> None:
    assert str(size) == text


def test_what_is_known_simplifies() -> None:
    assert floordiv(batch * 6, 3) == batch * 2
    assert floordiv(batch * time, batch) == time
    assert floordiv(batch * 4 + 6, 4) == batch + 1 + floordiv(2, 4)
    assert mod(batch * 6, 3) == 0
    assert maximum(batch, 0) == batch
    assert maximum(batch + 2, batch) == batch + 2
    assert minimum(batch + 2, batch) == batch
    assert floordiv(7, 2) == 3
    assert product([]) == 1
    assert product([2, batch, 3]) == batch * 6
    assert symbols_of(floordiv(batch + 1, 2) * time) == ("batch", "time")


def test_binding_by_other_sizes() -> None:
    assert bind_size(batch * 2, {"batch": symbol("block") + 1}) == symbol("block") * 2 + 2
    assert bind_size(batch + time, {"batch": 3}) == time + 3


def test_comparisons_know_that_sizes_are_not_negative() -> None:
    assert batch >= 0
    assert batch + 1 > 0
    assert batch + time + 1 > time
    assert not batch < 0
    assert bool(batch + 1)
    for undecided in (lambda: batch > 3, lambda: bool(batch), lambda: int(batch)):
        with pytest.raises(SizeNeededError, match="batch") as caught:
            undecided()
        assert caught.value.symbols == ("batch",)


def test_an_int_is_no_symbol() -> None:
    assert batch != 3
    assert batch + 0 == batch
    assert isinstance(batch - batch + 3, int)


@pytest.mark.parametrize("name", ["", "2n", "min", "a b", "nan"])
def test_names(name: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        symbol(name)


@pytest.mark.parametrize("text", ["batch + 'x'", "f(2)", "batch / 2", "2.5"])
def test_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)


def test_the_largest_of_many() -> None:
    """Of more than a chain of `maximum` could hold, nested as deep as it is long."""
    batch = symbol("batch")
    sizes = [minimum(batch * k, 9000 - k) for k in range(1, 200)]
    assert bind_size(largest(sizes), {"batch": 3}) == 3 * 199
    assert bind_size(largest(sizes), {"batch": 10000}) == 8999
    assert largest([]) == 0
