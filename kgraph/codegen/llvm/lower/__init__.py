"""From ops to code: a table of lowerings by op class, over one evaluator of elements.

Reading order: `index.py`, `element.py` (values at an index), `elementwise.py` and `moves.py` (its
tables), `space.py` and `tiling.py` (loops), `loops.py`, `reduce.py`; then `frame.py` (kernels and
launches), `table.py`, `body.py`. Ops with loops of their own have a file each;
`grid.py` is for those that visit every index of a shape.
"""

from kgraph.codegen.llvm.lower import (  # noqa: F401  # they fill the table
    arg_reduce,
    batched,
    control,
    dynamic,
    fusion,
    gather,
    loop_ops,
    moves,
    scatter,
    sort,
    windows,
)
from kgraph.codegen.llvm.lower.body import LoweringError, lower_body, lower_op, plan_body, slab_of
from kgraph.codegen.llvm.lower.frame import Code, Frame, Kernel, Kernels
from kgraph.codegen.llvm.lower.table import LOWERINGS, lowers, missing, wants_scratch

__all__ = [
    "LOWERINGS", "Code", "Frame", "Kernel", "Kernels", "LoweringError", "lower_body", "lower_op",
    "lowers", "missing", "plan_body", "slab_of", "wants_scratch",
]  # fmt: skip
