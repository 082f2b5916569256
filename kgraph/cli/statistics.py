"""The figures of `kgraph dump --stats`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kgraph.ir import Function, Op, Size, bind_size, flops, total_flops, traffic
from kgraph.passes.base import Trail

if TYPE_CHECKING:
    from kgraph.codegen.llvm.image import Lowered

_BATCH = 128


def print_statistics(
    traced: Function, shown: Function, trail: Trail, modules: Sequence[Lowered]
) -> None:
    """Ops by kind, work, memory, the longest chain of ops, and the time of each pass."""
    write = sys.stdout.write
    write(
        f"ops: {len(traced.ops)} as traced, {_count(shown)} here with those in regions "
        f"({len(shown.ops)} at the top)\n"
    )
    for name, count in Counter(op.name for op in _all_ops(shown)).most_common(12):
        write(f"  {name:24} {count}\n")
    bytes_moved: Size = 0
    for op in traced.ops:
        bytes_moved = bytes_moved + traffic(op)
    write(f"FLOPs: {total_flops(traced)}  ({_at(total_flops(traced))})\n")
    write(f"bytes read and written op by op: {bytes_moved}  ({_at(bytes_moved)})\n")
    for name, module in zip(("", " of prepare"), modules, strict=False):
        write(f"arena{name}: {module.arena} bytes  ({_at(module.arena)})\n")
        write(f"memory of a thread{name}: {module.slab} bytes  ({_at(module.slab)})\n")
    length, work = _critical_path(traced)
    write(f"critical path: {length} ops, {_at(work)} FLOPs\n")
    write("passes:\n")
    for step in trail.steps:
        write(
            f"  {step.name:24} {step.seconds * 1e3:8.2f} ms{'  changed' if step.changed else ''}\n"
        )
    write(f"  {'all':24} {sum(s.seconds for s in trail.steps) * 1e3:8.2f} ms\n")


def _all_ops(fn: Function) -> list[Op]:
    found: list[Op] = []
    pending = [fn]
    while pending:
        function = pending.pop()
        found += function.ops
        pending += [region for op in function.ops for region in op.regions]
    return found


def _count(fn: Function) -> int:
    return len(_all_ops(fn))


def _at(size: Size) -> str:
    number = bind_size(size, dict.fromkeys(("batch",), _BATCH))
    return f"{number:,} for a batch of {_BATCH}" if isinstance(number, int) else str(number)


def _critical_path(fn: Function) -> tuple[int, Size]:
    """The longest chain of ops, and the work on it."""
    depth: dict[object, tuple[int, Size]] = {}
    best: tuple[int, Size] = (0, 0)
    for op in fn.ops:
        before = max(
            (depth.get(v.op, (0, 0)) for v in op.operands),
            key=lambda found: found[0],
            default=(0, 0),
        )
        depth[op] = found = (before[0] + 1, before[1] + flops(op))
        if found[0] > best[0]:
            best = found
    return best
