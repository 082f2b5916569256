"""Threefry against jax's generator, bit for bit."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from kgraph.ir import Builder, TensorType
from tests.ir.ops.oracle import run


@pytest.mark.parametrize("key", [(0, 0), (0, 42), (0xFFFFFFFF, 0x80000001), (1337, 3)])
def test_bits_are_those_of_jax(key: tuple[int, int]) -> None:
    shape = (5, 7)
    index = np.arange(35, dtype=np.uint64).reshape(shape)
    words = [np.full(shape, k, np.uint32) for k in key]
    words += [(index >> 32).astype(np.uint32), index.astype(np.uint32)]
    found = run(lambda b, *x: b.threefry(*x), *words)
    with jax.threefry_partitionable(True):
        want = jax.random.bits(jax.random.wrap_key_data(np.array(key, np.uint32)), shape, "uint32")
    np.testing.assert_array_equal(found[0] ^ found[1], want)


def test_known_answer() -> None:
    """The vector of the paper's own code for the key 13198a2e 03707344."""
    words = [np.array(w, np.uint32) for w in (0x13198A2E, 0x03707344, 0x243F6A88, 0x85A308D3)]
    found = run(lambda b, *x: b.threefry(*x), *words)
    assert [int(w) for w in found] == [0xC4923A9C, 0x483DF7A0]


def test_bits_have_no_gradient() -> None:
    b = Builder()
    x = b.param("x", TensorType((3,), "uint32"))
    word, _ = b.threefry(x, x, x, x)
    assert word.op.vjp(b, None, None) == (None, None, None, None)
