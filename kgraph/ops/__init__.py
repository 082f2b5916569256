"""Tensors, variables, traces, and the functions of Keras 3's `keras.ops` over them.

Every function takes numpy arrays, numbers and lists (and runs at once), tensors of an open trace
(and adds ops to its program), or KerasTensors (and records a node of a Functional graph).
"""

# ruff: noqa: F403, PLE0604  # the public names are the `__all__` of each file

from kgraph.ops import (
    _activations,
    _adaptive,
    _arithmetic,
    _attention,
    _branches,
    _concrete,
    _contractions,
    _convolution,
    _core,
    _creation,
    _crossentropy,
    _ctc,
    _cumulative,
    _functions,
    _indexing,
    _joining,
    _layout,
    _logic,
    _loops,
    _nan,
    _normalization,
    _norms,
    _numbers,
    _padding,
    _rearrange,
    _reductions,
    _shapes,
    _sorting,
    _updates,
    _windows,
    linalg,
    nn,
    numpy,
)
from kgraph.ops._activations import *
from kgraph.ops._adaptive import *
from kgraph.ops._arithmetic import *
from kgraph.ops._attention import *
from kgraph.ops._branches import *
from kgraph.ops._concrete import *
from kgraph.ops._contractions import *
from kgraph.ops._convolution import *
from kgraph.ops._core import *
from kgraph.ops._creation import *
from kgraph.ops._crossentropy import *
from kgraph.ops._ctc import *
from kgraph.ops._cumulative import *
from kgraph.ops._dispatch import OPERATIONS
from kgraph.ops._dtypes import is_float_dtype, is_int_dtype, result_type, standardize_dtype
from kgraph.ops._functions import *
from kgraph.ops._indexing import *
from kgraph.ops._joining import *
from kgraph.ops._keras_tensor import (
    KerasHistory,
    KerasTensor,
    Node,
    any_symbolic_tensors,
    is_keras_tensor,
    standardize_shape,
)
from kgraph.ops._layout import *
from kgraph.ops._logic import *
from kgraph.ops._loops import *
from kgraph.ops._nan import *
from kgraph.ops._normalization import *
from kgraph.ops._norms import *
from kgraph.ops._numbers import *
from kgraph.ops._operation import Operation
from kgraph.ops._padding import *
from kgraph.ops._rearrange import *
from kgraph.ops._reductions import *
from kgraph.ops._scope import AutocastScope, current_path, current_trace, layer_scope, name_scope
from kgraph.ops._shapes import *
from kgraph.ops._sorting import *
from kgraph.ops._spec import compute_output_spec
from kgraph.ops._step import Specialization, Step
from kgraph.ops._tensor import Tensor, TraceError
from kgraph.ops._updates import *
from kgraph.ops._variable import Variable
from kgraph.ops._windows import *
from kgraph.ops.transform import grad, gradients, jit, jvp, value_and_grad

__all__ = [
    "OPERATIONS",
    "AutocastScope",
    "KerasHistory",
    "KerasTensor",
    "Node",
    "Operation",
    "Specialization",
    "Step",
    "Tensor",
    "TraceError",
    "Variable",
    "any_symbolic_tensors",
    "compute_output_spec",
    "current_path",
    "current_trace",
    "is_float_dtype",
    "is_int_dtype",
    "grad",
    "gradients",
    "is_keras_tensor",
    "jit",
    "jvp",
    "linalg",
    "nn",
    "numpy",
    "layer_scope",
    "name_scope",
    "result_type",
    "standardize_dtype",
    "standardize_shape",
    "value_and_grad",
    *_activations.__all__,
    *_arithmetic.__all__,
    *_branches.__all__,
    *_loops.__all__,
    *_sorting.__all__,
    *_cumulative.__all__,
    *_padding.__all__,
    *_updates.__all__,
    *_attention.__all__,
    *_concrete.__all__,
    *_numbers.__all__,
    *_nan.__all__,
    *_layout.__all__,
    *_windows.__all__,
    *_adaptive.__all__,
    *_ctc.__all__,
    *_norms.__all__,
    *_rearrange.__all__,
    *_contractions.__all__,
    *_convolution.__all__,
    *_core.__all__,
    *_creation.__all__,
    *_crossentropy.__all__,
    *_functions.__all__,
    *_indexing.__all__,
    *_joining.__all__,
    *_logic.__all__,
    *_normalization.__all__,
    *_reductions.__all__,
    *_shapes.__all__,
]
