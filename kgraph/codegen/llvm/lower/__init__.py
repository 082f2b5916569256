"""From ops to code: a table of lowerings by op class. README.md beside this file is the way in."""

from kgraph.codegen.llvm.lower import (  # noqa: F401  # they fill the table
    arg_reduce,
    attention,
    batched,
    control,
    dynamic,
    fusion,
    gather,
    loop_ops,
    moments,
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
