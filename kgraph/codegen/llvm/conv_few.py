"""Tiles of convolutions with few features: vectors run over the channels that are summed.

Features side by side would leave most lanes of a vector empty, as in the input gradient of a
network's first layer. Here a tile is a few neighbouring pixels times all features, with a vector of
partial sums each; every step takes a vector of channels of each pixel and of each feature's
weights, which are packed as [phase][feature][tap][channel]. In the end a tree of additions turns
the lanes of all vectors into vectors of sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from kgraph.codegen.llvm.conv_input import Input, over_taps
from kgraph.codegen.llvm.conv_spec import ConvSpec, Phases, each_tap
from kgraph.codegen.llvm.emit import Function, Operand, View, item_bytes
from kgraph.codegen.llvm.gemm_tile import compute_dtype, multiply_add, zeros


def emit_pack_few(f: Function, spec: ConvSpec) -> None:
    """The body of the packing function; a unit is a group."""
    compute, steps, channels = compute_dtype(spec.dtype), spec.w_steps(), spec.within
    each, lanes = spec.features // spec.groups, f.target.lanes(item_bytes(compute))
    size = channels * each
    with f.loop(f.parameter("lo"), f.parameter("hi"), name="group") as group:
        at = f.mul(group, spec.packed_taps() * size)
        w = f.offset(f.parameter("w"), f.mul(group, each * steps[4]), spec.dtype)
        for phase in spec.phases():
            taps = prod(part.taps for part in phase)
            with each_tap(f, spec, phase) as tap, f.loop(0, each, name="feature") as feature:
                place = f.add(tap.place, f.mul(feature, steps[4]))
                source = View(f.offset(w, place, spec.dtype), spec.dtype, (steps[3],))
                row = f.add(f.mul(feature, taps), tap.number)
                to = f.offset(f.parameter("packed"), f.add(at, f.mul(row, channels)), compute)
                _copy(f, source, View(to, compute, (1,)), channels, lanes)
            at = f.add(at, taps * size)


def _copy(f: Function, source: View, to: View, count: int, lanes: int) -> None:
    def body(i: Operand, mask: Operand | None) -> None:
        value = f.convert(f.load(source, [i], lanes, mask=mask), source.dtype, to.dtype)
        f.store(to, [i], value, mask=mask)

    f.strips(count, lanes, body, "channel")


def few_sums(
    f: Function, spec: ConvSpec, phase: Phases, source: Input, pixels: int
) -> list[Operand]:
    """A vector of `few_lanes` sums for each pixel of the tile whose input and weights are a and b.

    What its lanes beyond the features hold is of no meaning.
    """
    compute, each = compute_dtype(spec.dtype), spec.features // spec.groups
    lanes, distance = f.target.lanes(item_bytes(compute)), phase[2].stride * source.column
    weights_of_feature = prod(part.taps for part in phase) * spec.within

    def step(
        a: Operand, b: Operand, mask: Operand | None, totals: Sequence[Operand]
    ) -> list[Operand]:
        weights = [
            f.load_at(f.offset(b, j * weights_of_feature, compute), compute, lanes, mask)
            for j in range(each)
        ]
        found = list(totals)
        for m in range(pixels):
            x = f.load_at(f.offset(a, m * distance, compute), compute, lanes, mask)
            for j in range(each):
                found[m * each + j] = multiply_add(f, x, weights[j], found[m * each + j])
        return found

    def add(a: Operand, b: Operand, run: int, totals: Sequence[Operand]) -> Sequence[Operand]:
        whole = run // lanes * lanes
        with f.carried_loop(0, whole, totals, step=lanes, name="k") as loop:
            moved = [f.offset(p, loop.index, compute) for p in (a, b)]
            loop.next(*step(moved[0], moved[1], None, loop.values))
        if run == whole:
            return loop.results
        mask = f.tail_mask(f.index(run - whole), lanes)
        rest = [f.offset(p, whole, compute) for p in (a, b)]
        return step(rest[0], rest[1], mask, loop.results)

    start = zeros(compute, pixels * each, lanes)
    sums = over_taps(f, spec, phase, source, 1, start, add)
    room = few_lanes(each)
    slots: list[Operand | None] = []
    for m in range(pixels):
        slots += [*sums[m * each : (m + 1) * each], *[None] * (room - each)]
    vectors = lane_sums(f, slots, lanes)
    per = lanes // room
    return [
        f.shuffle(vectors[m // per], range(m % per * room, (m % per + 1) * room))
        for m in range(pixels)
    ]


def few_lanes(features: int) -> int:
    """Lanes of a vector with a pixel's features."""
    return 1 << (features - 1).bit_length()


def lane_sums(f: Function, slots: Sequence[Operand | None], lanes: int) -> list[Operand]:
    """The sums of the lanes of each vector, side by side in vectors of as many lanes.

    In each turn two vectors become one: lanes whose number has the bit `distance` add what is the
    second's, the others what is the first's. Where there is no vector the sums mean nothing.
    """
    level = list(slots)
    distance = 1
    while distance < lanes:
        level += [None] * (len(level) % 2)
        level = [
            _merged(f, a, b, distance, lanes) for a, b in zip(level[::2], level[1::2], strict=True)
        ]
        distance *= 2
    return [vector for vector in level if vector is not None]


def _merged(
    f: Function, a: Operand | None, b: Operand | None, distance: int, lanes: int
) -> Operand | None:
    if a is None:
        return None  # what is missing is at the end
    across = [lane ^ distance for lane in range(lanes)]
    if b is None:
        return f.add(a, f.shuffle(a, across))
    second = [lane & distance > 0 for lane in range(lanes)]
    own = f.shuffle(a, [lane + lanes * of_b for lane, of_b in enumerate(second)], b)
    other = f.shuffle(
        a, [lane + lanes * of_b for lane, of_b in zip(across, second, strict=True)], b
    )
    return f.add(own, other)
