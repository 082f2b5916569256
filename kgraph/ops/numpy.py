"""The functions of `keras.ops.numpy`."""

# ruff: noqa: F403, PLE0604  # the public names are the `__all__` of each file

from kgraph.ops import (
    _arithmetic,
    _concrete,
    _contractions,
    _creation,
    _cumulative,
    _functions,
    _indexing,
    _joining,
    _logic,
    _nan,
    _numbers,
    _padding,
    _reductions,
    _shapes,
    _sorting,
    _windows,
)
from kgraph.ops._arithmetic import *
from kgraph.ops._concrete import *
from kgraph.ops._contractions import *
from kgraph.ops._core import ndim, size
from kgraph.ops._creation import *
from kgraph.ops._cumulative import *
from kgraph.ops._functions import *
from kgraph.ops._indexing import *
from kgraph.ops._joining import *
from kgraph.ops._logic import *
from kgraph.ops._nan import *
from kgraph.ops._norms import corrcoef, correlate
from kgraph.ops._numbers import *
from kgraph.ops._padding import *
from kgraph.ops._reductions import *
from kgraph.ops._shapes import *
from kgraph.ops._sorting import *
from kgraph.ops._windows import *

__all__ = [
    "corrcoef",
    "correlate",
    "ndim",
    "size",
    *_arithmetic.__all__,
    *_concrete.__all__,
    *_contractions.__all__,
    *_creation.__all__,
    *_cumulative.__all__,
    *_functions.__all__,
    *_indexing.__all__,
    *_joining.__all__,
    *_logic.__all__,
    *_nan.__all__,
    *_numbers.__all__,
    *_padding.__all__,
    *_reductions.__all__,
    *_shapes.__all__,
    *_sorting.__all__,
    *_windows.__all__,
]
