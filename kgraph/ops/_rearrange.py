"""Shapes by pattern: `"b h w c -> b (h w) c"`."""

from __future__ import annotations

import re
from typing import Any

from kgraph.ir import Size, product
from kgraph.ops._dispatch import op
from kgraph.ops._shapes import reshape, transpose

__all__ = ["rearrange"]


@op("einops.Rearrange", 2)
def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Any:
    """Dims split, reordered and merged by a pattern.

    Args:
        tensor: a tensor.
        pattern: names for the dims of the tensor, "->", names for those of the result; a group in
            parentheses is one dim made of several.
        **axes_lengths: the sizes of named dims; of each group all but one must be known.

    Raises:
        ValueError: the pattern does not fit the tensor.
    """
    sides = pattern.split("->")
    if len(sides) != 2:
        raise ValueError(f"the pattern must have one '->'; got {pattern!r}")
    given, wanted = (_groups(side) for side in sides)
    names = [name for group in given for name in group]
    if sorted(names) != sorted(n for group in wanted for n in group) or len(set(names)) < len(
        names
    ):
        raise ValueError(f"both sides of {pattern!r} must name the same dims, each once")
    shape = tuple(tensor.shape)
    if len(given) != len(shape):
        raise ValueError(f"{pattern!r} names {len(given)} dims; the tensor has {len(shape)}")
    sizes: dict[str, Size] = dict(axes_lengths)
    for group, size in zip(given, shape, strict=True):
        unknown = [name for name in group if name not in sizes]
        if len(unknown) > 1:
            raise ValueError(f"the sizes of {unknown} in {pattern!r} are needed")
        if unknown:
            sizes[unknown[0]] = size // product([sizes[n] for n in group if n in sizes])
    tensor = reshape(tensor, tuple(sizes[name] for name in names))
    order = [names.index(name) for group in wanted for name in group]
    tensor = transpose(tensor, order)
    return reshape(tensor, tuple(product([sizes[n] for n in group]) for group in wanted))


def _groups(side: str) -> list[list[str]]:
    found = re.findall(r"\([^()]*\)|\S+", side)
    return [item.strip("()").split() for item in found]
