"""Simplification by local rules that are exact."""

from __future__ import annotations

from typing import ClassVar

from kgraph.ir import Function
from kgraph.passes import (  # noqa: F401  # they fill the set
    exact_arithmetic,
    exact_convolution,
    exact_moves,
)
from kgraph.passes.base import Pass
from kgraph.passes.exact import exact
from kgraph.passes.rewrite import rewrite


class Simplify(Pass):
    """Fewer ops, same values. After it, no rule of `exact` applies.

    `limit` bounds the rewrites; 0 is a bound that grows with the graph. Beyond it an error names
    the last rules.
    """

    name: ClassVar[str] = "simplify"
    limit: int = 0

    def run(self, fn: Function) -> Function:
        """The simplified function."""
        return rewrite(fn, exact, self.limit)
