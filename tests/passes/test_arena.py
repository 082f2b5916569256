"""Pieces of an arena: none over another that is wanted with it, and little between them."""

import numpy as np

from kgraph.ir import Size, bind_size, floordiv, symbol
from kgraph.passes.arena import ALIGNMENT, Piece, place_pieces

batch = symbol("batch")


def number(size: Size, samples: int) -> int:
    found = bind_size(size, {"batch": samples})
    assert isinstance(found, int)
    return found


def check(pieces: list[Piece], total: Size) -> None:
    for samples in (1, 3, 200):
        spans = [(number(p.offset, samples), number(p.nbytes, samples)) for p in pieces]
        for i, (p, (start, size)) in enumerate(zip(pieces, spans, strict=True)):
            assert start % ALIGNMENT == 0
            assert start + size <= number(total, samples)
            for q, (other, length) in zip(pieces[:i], spans[:i], strict=True):
                apart = p.first > q.last or q.first > p.last
                assert apart or start + size <= other or other + length <= start


def test_lives_and_places_do_not_both_overlap() -> None:
    random = np.random.default_rng(0)
    sizes: list[Size] = [4, 100, 4096, 4 * batch, 1000 * batch, 256 * batch, 100 * batch + 12,
                         floordiv(batch, 8) * 64 + 64, batch * batch, 0]  # fmt: skip
    for _ in range(50):
        pieces = []
        for _ in range(40):
            first = int(random.integers(30))
            last = first + int(random.integers(10))
            pieces.append(Piece(sizes[random.integers(len(sizes))], first, last))
        check(pieces, place_pieces(pieces))


def test_small_pieces_lie_in_the_place_of_a_large_one() -> None:
    large = [Piece(1 << 20, at, at) for at in (0, 10, 20)]
    small = [Piece(1 << 18, first, 30) for first in (1, 11, 15)]
    assert place_pieces([*large, *small]) == (1 << 20) + 2 * (1 << 18) + (1 << 18)
    samples = [Piece(1024 * batch, 0, 1), Piece(512 * batch, 2, 3), Piece(512 * batch, 2, 3)]
    assert place_pieces(samples) == 1024 * batch


def test_a_few_bytes_per_sample_are_not_rounded_up_for_each() -> None:
    mask = Piece(batch * batch, 0, 1)
    total = place_pieces([mask, Piece(batch * batch, 2, 3)])
    assert number(total, 1000) == -(-(10**6) // ALIGNMENT) * ALIGNMENT
