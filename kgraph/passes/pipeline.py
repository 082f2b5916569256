"""The one order of passes, each step with its reason."""

from __future__ import annotations

from kgraph.ir import Op, product
from kgraph.ir.ops.neural import Moments
from kgraph.passes.algorithm import ChooseAlgorithm
from kgraph.passes.base import Pass
from kgraph.passes.crop import CropConvolutions
from kgraph.passes.cse import CommonSubexpressions
from kgraph.passes.custom import InlineCustomGradients
from kgraph.passes.dce import DeadCode
from kgraph.passes.decompose import Decompose, Keep
from kgraph.passes.dilated import SplitDilated
from kgraph.passes.fold import Fold
from kgraph.passes.fuse import Fuse
from kgraph.passes.gates import FuseGates
from kgraph.passes.hoist import HoistSteps
from kgraph.passes.layout import ChannelsLast
from kgraph.passes.outline import Outline
from kgraph.passes.prologues import FusePrologues
from kgraph.passes.rows import FuseRows
from kgraph.passes.scans import MergeScans
from kgraph.passes.share import ShareSteps
from kgraph.passes.simplify import Simplify
from kgraph.passes.sink import SinkSteps
from kgraph.passes.specialize import FoldScales
from kgraph.passes.trim import TrimRegions
from kgraph.passes.windows import SliceWindows

# what the regions know better than its parts: blocks have moments that combine, in one region
# instead of the two of a sum behind a sum
REGIONS_KEEP: tuple[str, ...] = ("moments",)


def moments_of_columns(op: Op) -> bool:
    """Are these the moments along the first dims, of several columns?

    Then vectors run along the columns, and one pass over memory is enough. Others are two
    reductions, which have vectors along what is reduced.
    """
    if not isinstance(op, Moments):
        return False
    count = len(op.dims)
    return op.dims == tuple(range(count)) and count > 0 and product(op.x.shape[count:]) != 1


# what the llvm backend has kernels for, of the ops that could be decomposed
LLVM_KEEPS: tuple[Keep, ...] = ("attention", "attention_grad", moments_of_columns)


def simplification() -> tuple[Pass, ...]:
    """What every backend but the reference begins with: exact, and smaller in the end."""
    return (
        InlineCustomGradients(),  # gradients are taken by now; what is left is the forward function
        DeadCode(),  # first, so that nothing is spent on what nobody reads
        Simplify(),  # the rules see one op and its operands
        Fold(),  # after the rules, which expose constants
        CommonSubexpressions(),  # after folding: equal constants are one, so more ops are equal
        MergeScans(),  # needs equal operands to be one value
        TrimRegions(),  # after merging, for which operands have to be equal
        Simplify(),  # constants and merged values expose more
        DeadCode(),  # leaves no op behind that the steps above made useless
    )


def llvm_pipeline(
    inference: bool = False, exact: bool = False, near: int = 1 << 19
) -> tuple[Pass, ...]:
    """From a traced function to kernels; `inference` where the state stays as it is.

    `exact`: without what rounds otherwise than direct sums do. `near`: bytes a core has room for.
    """
    return (
        *simplification(),
        ShareSteps(),  # gradients recompute; here it is known what the forward scan has anyway
        HoistSteps(),  # after sharing, which leaves less of the forward steps in backward scans
        SinkSteps(),  # after hoisting, so that weights are captures
        TrimRegions(),  # of the rows that the three passes have made needless
        ChannelsLast(),  # what moves through cancels there; it has to see whole windows
        *(
            (FoldScales(),) if inference and not exact else ()
        ),  # the weights that it makes are made once
        *(
            () if exact else (SplitDilated(),)
        ),  # for Winograd's algorithm; Simplify joins neighbours
        Decompose(keep=LLVM_KEEPS + REGIONS_KEEP),  # before regions, which see through basic ops
        SliceWindows(),  # before simplification, which clears up what its slices leave
        Simplify(),  # decompositions are written to be read, not to be short
        CommonSubexpressions(),  # and share much (the maximum of a softmax and of its gradient)
        DeadCode(),
        CropConvolutions(),  # after dead code, which may read more of them; before algorithms
        *(
            () if exact else (ChooseAlgorithm(single=inference),)
        ),  # before regions: it weighs whole images
        Outline(near=near),  # before fusion, which treats a region's body as any function
        Decompose(keep=LLVM_KEEPS),  # other moments of a block, and those outside of regions
        Fuse(),  # it makes kernels of what is left
        FuseRows(),  # it joins some of these kernels
        FusePrologues(),  # of loops that no other kernel took in
        FuseGates(),  # last: it joins two of these kernels, none of them of rows
    )
