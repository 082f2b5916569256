"""What is measured in code that was compiled with `Options.profile`: a probe around each op."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kgraph.ir import Size, bind_size, parse_size

PROBES = "kgraph_probes"  # the variable with two words per probe: nanoseconds and executions
BLOCK = "block"  # the symbol of a region's samples


@dataclass(frozen=True)
class Probe:
    """A stretch of code between two looks at the clock.

    Attributes:
        op: the op's name, of a fusion those of its parts; `tiles` for the tiles of a region, whose
            times add up over the threads.
        result: the types of its results.
        path: the layer, empty where none made the op.
        line: the user's source line.
        parent: the number of the probe that this one lies in, -1 at the top.
        flops, nbytes: of one execution; `block` in them is the samples of the block.
        over, block: of `tiles`: all samples, and those of a full block; else 0.
    """

    op: str
    result: str = ""
    path: str = ""
    line: str = ""
    parent: int = -1
    flops: Size = 0
    nbytes: Size = 0
    over: Size = 0
    block: int = 0

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        sizes = {name: str(self.__dict__[name]) for name in _SIZES}
        return {**self.__dict__, **sizes}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Probe:
        """The inverse of `to_dict`."""
        return Probe(**{**data, **{name: parse_size(data[name]) for name in _SIZES}})


_SIZES = ("flops", "nbytes", "over")


def whole(size: Size, tiles: Probe, sizes: Mapping[str, int]) -> tuple[int, int]:
    """A size of a block, summed over the blocks of a region, and how many blocks there are."""
    over = int(bind_size(tiles.over, sizes))
    full, rest = divmod(over, tiles.block)
    total = full * int(bind_size(size, {**sizes, BLOCK: tiles.block}))
    if rest:
        total += int(bind_size(size, {**sizes, BLOCK: rest}))
    return total, full + (rest > 0)
