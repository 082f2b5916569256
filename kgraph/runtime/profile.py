"""Where a program's time goes: runs it, reads its probes, and shares the time among its ops.

Times are those of a person's clock. In a region several threads are at work, and their times add
up to more than that; its ops get shares of the region's time in proportion.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kgraph.codegen import Array, Probe, whole
from kgraph.ir import KGraphError, Size, bind_size
from kgraph.runtime.native import NativeRunner
from kgraph.runtime.program import Program


class ProfileError(KGraphError):
    """A program that cannot be measured."""


@dataclass(frozen=True)
class OpTime:
    """What an op took in one run of the program.

    Attributes:
        probe: which op.
        seconds: its time, without that of ops inside of it.
        calls: executions.
        flops: floating-point operations.
        nbytes: bytes that it reads and writes, each array once per execution.
    """

    probe: Probe
    seconds: float
    calls: int
    flops: int
    nbytes: int


@dataclass(frozen=True)
class Profile:
    """The quickest of several runs: its seconds, and the ops in the program's order.

    What is missing in the sum of the ops is the way in and out: arguments, results, Python.
    """

    seconds: float
    ops: tuple[OpTime, ...]


def profile(
    program: Program, run: Callable[[], object], sizes: Mapping[str, int], repeat: int = 5
) -> Profile:
    """Measures a program that was compiled with `Options.profile`.

    Args:
        program: the program.
        run: runs it once.
        sizes: the symbols' values in that run.
        repeat: so many runs are measured, after one that is not.

    Raises:
        ProfileError: the program has no probes.
    """
    runner = program.runner
    if not isinstance(runner, NativeRunner) or not runner.image.probes:
        raise ProfileError(
            "expected a program of the llvm backend, compiled with Options(profile=True) and of "
            f"at least one op; got {program.name or 'one'} of {program.options.backend}"
        )
    run()
    counters = runner.counters()
    best: tuple[float, Array] | None = None
    for _ in range(repeat):
        counters[:] = 0
        start = time.perf_counter()
        run()
        seconds = time.perf_counter() - start
        if best is None or seconds < best[0]:
            best = (seconds, counters.copy())
    assert best is not None, "repeat is at least 1"
    return Profile(best[0], tuple(shared_out(runner.image.probes, best[1], sizes)))


def shared_out(probes: Sequence[Probe], counters: Array, sizes: Mapping[str, int]) -> list[OpTime]:
    """What each op took, from what the probes counted."""
    own = [int(nanoseconds) for nanoseconds, _ in counters]
    scale = [1.0] * len(probes)  # from the probe's nanoseconds to a clock's
    tiles: list[Probe | None] = [None] * len(probes)  # the innermost region around
    for i, probe in enumerate(probes):
        if probe.parent < 0:
            continue
        above = probe.parent
        scale[i], tiles[i] = scale[above], tiles[above]
        if probe.block:  # the threads' times stand for all of the region's
            scale[i] *= int(counters[above][0]) / max(int(counters[i][0]), 1)
            tiles[i] = probe
            own[above] = 0
        else:
            own[above] -= int(counters[i][0])
    found = []
    for probe, nanoseconds, factor, region, (_, calls) in zip(
        probes, own, scale, tiles, counters, strict=True
    ):
        found.append(
            OpTime(
                probe,
                seconds=max(nanoseconds, 0) * factor * 1e-9,
                calls=int(calls),
                flops=_total(probe.flops, int(calls), region, sizes),
                nbytes=_total(probe.nbytes, int(calls), region, sizes),
            )
        )
    return found


def _total(size: Size, calls: int, region: Probe | None, sizes: Mapping[str, int]) -> int:
    if region is None:
        return calls * int(bind_size(size, sizes))
    total, blocks = whole(size, region, sizes)
    return total * calls // max(blocks, 1)
