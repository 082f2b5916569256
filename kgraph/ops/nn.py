"""The functions of `keras.ops.nn`."""

# ruff: noqa: F403, PLE0604  # the public names are the `__all__` of each file

from kgraph.ops import (
    _activations,
    _adaptive,
    _attention,
    _convolution,
    _crossentropy,
    _ctc,
    _normalization,
)
from kgraph.ops._activations import *
from kgraph.ops._adaptive import *
from kgraph.ops._attention import *
from kgraph.ops._convolution import *
from kgraph.ops._crossentropy import *
from kgraph.ops._ctc import *
from kgraph.ops._layout import depth_to_space, fold, space_to_depth, unfold
from kgraph.ops._normalization import *
from kgraph.ops._norms import psnr
from kgraph.ops._reductions import moments

__all__ = [
    "depth_to_space",
    "fold",
    "moments",
    "psnr",
    "space_to_depth",
    "unfold",
    *_activations.__all__,
    *_adaptive.__all__,
    *_attention.__all__,
    *_convolution.__all__,
    *_crossentropy.__all__,
    *_ctc.__all__,
    *_normalization.__all__,
]
