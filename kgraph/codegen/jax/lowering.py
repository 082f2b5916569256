"""What each op is in `jax.lax`: a line or a function per op, in one table.

`lower[name](op, *operands)` gives the result, or a tuple where the op has several. Sizes are
numbers by then. The families of lowerings fill the table when they are imported.
"""

from __future__ import annotations

from kgraph.codegen.jax import contractions, control, elementwise, moves, reductions  # noqa: F401
from kgraph.codegen.jax.contractions import contraction_precision
from kgraph.codegen.jax.table import NEVER, lower, lower_op, missing, run

__all__ = ["NEVER", "contraction_precision", "lower", "lower_op", "missing", "run"]
