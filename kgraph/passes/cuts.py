"""Where a region is cut in two: large samples want small blocks, many weights want large ones.

A region reads its weights once per block, and the block follows from the most that a sample has in
use at a time. An image network has its largest values at one end and most of its weights at the
other, so that one block for all reads megabytes of weights for every image. A cut costs a store and
a load of what crosses it; it is made where that is less than the bytes of weights that it saves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import accumulate

from kgraph.ir import Fact, Op, Value
from kgraph.ir.ops.convolution import Convolution
from kgraph.passes.algorithm import weights_read
from kgraph.passes.carried import bytes_per_sample, carrier, passing_by


class Cuts:
    """The parts of a region.

    Attributes:
        parts: its ops in order, cut; an op of `copied` may stand in several.
        crossing: what a part makes for later ones.
    """

    def __init__(
        self,
        ops: Sequence[Op],
        gives: set[Value],
        copied: Collection[Op],
        batch: str,
        block: Callable[[int], int],
    ) -> None:
        """`block(n)` is the samples of a block if each has n bytes in use at a time."""
        self.crossing: set[Value] = set()
        self._ops, self._batch, self._block = ops, batch, block
        self._copied = {op for op in ops if op in copied and not any(map(self._bytes, op.operands))}
        self._weigh(gives)
        self.parts = [list(ops[lo:hi]) for lo, hi in self._ranges()]
        for at in range(len(self.parts) - 1, 0, -1):
            self._complete(at)

    def _bytes(self, v: Value) -> int:
        """Those of a sample; 0 for what all samples share."""
        if carrier(v.type, self._batch) is None:
            return 0
        return bytes_per_sample(v.type, self._batch)

    def _weigh(self, gives: set[Value]) -> None:
        """Per op: bytes of a sample in use, bytes that cross in front of it, bytes of weights."""
        n = len(self._ops)
        last = {v: at for at, op in enumerate(self._ops) for v in op.operands}
        last.update(dict.fromkeys(gives, n - 1))
        used, cross, self._weights = [0] * (n + 1), [0] * (n + 2), [0]
        passing = passing_by(self._ops, gives)
        made: set[Value] = set()
        for at, op in enumerate(self._ops):
            for v in op.results:
                size, end = self._bytes(v), last.get(v, at)
                if v not in passing:
                    used[at] += size
                    used[end + 1] -= size
                if op not in self._copied and v not in gives:
                    cross[at + 1] += size
                    cross[end + 1] -= size
            shared = {v for v in op.operands if v not in made and not self._bytes(v)}
            grown = weights_read(op) if isinstance(op, Convolution) else 1
            weights = int(grown * sum(bytes_per_sample(v.type, self._batch) for v in shared))
            self._weights.append(self._weights[-1] + weights)
            made.update(op.results)
        self._used, self._cross = list(accumulate(used))[:n], list(accumulate(cross))

    def _ranges(self) -> list[tuple[int, int]]:
        done: list[tuple[int, int]] = []
        waiting = [(0, len(self._ops))]
        while waiting:
            lo, hi = waiting.pop()
            at = self._best(lo, hi)
            if at is None:
                done.append((lo, hi))
            else:
                waiting += [(at, hi), (lo, at)]
        return done

    def _best(self, lo: int, hi: int) -> int | None:
        """Where a cut of a range saves the most bytes per sample; None if it saves nothing."""
        before = list(accumulate(self._used[lo:hi], max))
        behind = list(accumulate(reversed(self._used[lo:hi]), max))[::-1]
        whole = 1 / self._block(before[-1])
        best: tuple[float, int | None] = (0.0, None)
        for at in range(lo + 1, hi):
            if Fact.CHEAP in self._ops[at].facts:
                continue  # it belongs to what it follows
            crossing = self._cross[at]  # stored there, even if it was passing by
            left = whole - 1 / self._block(max(before[at - lo - 1], crossing))
            right = whole - 1 / self._block(max(behind[at - lo], crossing))
            saved = left * (self._weights[at] - self._weights[lo])
            saved += right * (self._weights[hi] - self._weights[at])
            best = max(best, (saved - 2 * crossing, at), key=lambda found: found[0])
        return best[1]

    def _complete(self, at: int) -> None:
        """Gives a part what earlier ones make: by a copy of the op, or by what crosses the cut."""
        maker = {v: op for part in self.parts[:at] for op in part for v in op.results}
        here = {v for op in self.parts[at] for v in op.results}
        copies: dict[Op, None] = {}
        reads = [v for op in self.parts[at] for v in op.operands]
        while reads:
            v = reads.pop()
            op = maker.get(v)
            if op is None or v in here:
                continue
            if op in self._copied:
                if op not in copies:
                    copies[op] = None
                    reads += op.operands
            else:
                self.crossing.add(v)
        self.parts[at][:0] = [op for op in self._ops if op in copies]


__all__ = ["Cuts"]
