"""State: arrays with a name that programs read and replace."""

from __future__ import annotations

from typing import Any

import numpy as np

from kgraph import config
from kgraph.ir import FLOATS, Array, Value, numpy_dtype
from kgraph.ops._convert import as_array
from kgraph.ops._dtypes import standardize_dtype
from kgraph.ops._keras_tensor import KerasTensor, standardize_shape
from kgraph.ops._operators import FUNCTIONS, Operators
from kgraph.ops._scope import autocast_dtype, current_path, current_trace
from kgraph.ops._tensor import Tensor, TraceError
from kgraph.ops._trace import Trace
from kgraph.runtime.state import states
from kgraph.utils.naming import auto_name

__all__ = ["Variable"]

_AGGREGATIONS = (None, "none", "mean", "sum", "only_first_replica")
_SYNCHRONIZATIONS = (None, "none", "on_read", "on_write", "auto")
# What is lent to user code up to this size is a copy; a larger array is lent as it is, read-only,
# and the next program that would have updated it in place makes a new one. jax's arrays cannot be
# made read-only: of them a copy is lent in any case.
_COPIED_BYTES = 1 << 14


class Variable(Operators):
    """An array that can be replaced by another of its shape and dtype.

    In a traced function, reading a variable makes its value an input of the program, and assigning
    to it makes the new value an output that the variable has after the program's run.

    Args:
        initializer: the first value, or a function of shape and dtype that gives it.
        shape: the shape; needed with a function.
        dtype: the dtype; that of the value, or the default float type.
        trainable: whether optimizers change it.
        autocast: whether layers of a lower precision read it in that precision.
        aggregation, synchronization: kept for compatibility.
        name: one part of a path; made up by default.
        layout: kept for compatibility.
    """

    def __init__(
        self,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = "none",
        synchronization: str | None = "auto",
        name: str | None = None,
        layout: Any = None,
    ) -> None:
        name = name or auto_name(type(self).__name__)
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f"Argument `name` must be a string without '/'; got name={name!r}.")
        _check_choice("aggregation", aggregation, _AGGREGATIONS)
        _check_choice("synchronization", synchronization, _SYNCHRONIZATIONS)
        parent = current_path()
        self._name = name
        self._path = f"{parent}/{name}" if parent else name
        self._trainable = bool(trainable)
        self._autocast = bool(autocast)
        self._aggregation = aggregation or "none"
        self._synchronization = synchronization or "none"
        self._layout = layout
        self._overwrite_with_gradient = False
        self._regularizer: Any = None
        self._constraint: Any = None
        self._version = 0
        self._value = self._first_value(initializer, shape, dtype)
        self._shape = self._value.shape
        self._dtype = standardize_dtype(self._value.dtype)

    def _first_value(self, initializer: Any, shape: Any, dtype: Any) -> Array:
        if not callable(initializer):
            value = _concrete(initializer, self._path)
            if dtype is None:  # numpy's 64 bits are a habit, not a wish
                dtype = {"float64": config.floatx(), "int64": "int32", "uint64": "uint32"}.get(
                    str(value.dtype), value.dtype
                )
            return _own(value, standardize_dtype(dtype))
        if shape is None:
            raise ValueError(
                "A Variable made from an initializer needs the argument `shape`; got "
                f"initializer={initializer!r} and shape=None."
            )
        sizes = standardize_shape(shape)
        if None in sizes:
            raise ValueError(
                f"The shape of the variable '{self._path}' must be fully known; got {shape}."
            )
        name = standardize_dtype(dtype)
        value = _concrete(initializer(sizes, dtype=name), self._path)
        if value.shape != sizes:
            raise ValueError(
                f"The initializer of the variable '{self._path}' must give the shape {sizes}; got "
                f"{value.shape}."
            )
        return _own(value, name)

    # ---- value ----

    @property
    def value(self) -> Any:
        """The value: an array, or the Tensor that stands for it while a program is traced.

        Inside an AutocastScope a float value comes in the scope's type.
        """
        trace = current_trace()
        if trace is not None:
            return Tensor(self._trace_read(trace), trace)
        wanted = self.dtype
        return self._lend() if wanted == self._dtype else FUNCTIONS["cast"](self._array(), wanted)

    def numpy(self) -> Array:
        """The value, as an array of the caller's own.

        Raises:
            TraceError: a program is being traced, in which the variable has no number yet.
        """
        trace = current_trace()
        if trace is None:
            return np.array(self._value)
        return Tensor(trace.read(self), trace).numpy()

    def assign(self, value: Any) -> Any:
        """Replaces the value; returns the new one.

        Raises:
            ValueError: the shape is another.
        """
        trace = current_trace()
        if trace is not None:
            new = trace.lift(value, self._dtype)
            self._check_shape(new.type.shape)
            if new.type.shape != self._shape:
                new = trace.b.assume_shape(new, self._shape)
            trace.assign(self, new)
            return Tensor(new, trace)
        array = _concrete(value, self._path)
        self._check_shape(array.shape)
        self._store(_own(array, self._dtype))
        return value

    def assign_add(self, value: Any) -> Any:
        """Adds to the value; returns the new one."""
        return self.assign(self._full_precision() + value)

    def assign_sub(self, value: Any) -> Any:
        """Subtracts from the value; returns the new one."""
        return self.assign(self._full_precision() - value)

    def _full_precision(self) -> Any:
        trace = current_trace()
        return self if trace is None else Tensor(trace.read(self), trace)

    def _trace_read(self, trace: Trace) -> Value:
        value, wanted = trace.read(self), self.dtype
        return trace.b.cast(value, wanted)

    def _check_shape(self, shape: Any) -> None:
        fits = len(shape) == len(self._shape) and all(
            n == m or not isinstance(n, int) for n, m in zip(shape, self._shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"The variable '{self._path}' has the shape {self._shape}; a value of the shape "
                f"{tuple(shape)} cannot be assigned to it."
            )

    def _lend(self) -> Array:
        """The array for user code, which may keep it: nobody writes to it any more."""
        array = self._array()
        if array is not self._value or array.nbytes <= _COPIED_BYTES:
            return array.copy()
        array.flags.writeable = False
        return array

    def _array(self) -> Array:
        """The array as numpy's: programs of the jax backend leave one of jax's."""
        return self._value if type(self._value) is np.ndarray else np.asarray(self._value)

    def _store(self, array: Array) -> None:
        """Takes over an array that nobody else writes to."""
        states.changed()
        self._value = array
        self._version += 1
        states.changed()

    # ---- what it is ----

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return self._shape

    @property
    def ndim(self) -> int:
        """The number of dims."""
        return len(self._shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(self._value.size)

    @property
    def dtype(self) -> str:
        """The dtype in which the value is read here: an AutocastScope changes it."""
        scope = autocast_dtype()
        return scope if scope and self._autocast and self._dtype in FLOATS else self._dtype

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self._name

    @property
    def path(self) -> str:
        """The name with those of the scopes around it: `model/dense/kernel`."""
        return self._path

    @property
    def trainable(self) -> bool:
        """Whether optimizers change it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)

    @property
    def autocast(self) -> bool:
        """Whether layers of a lower precision read it in that precision."""
        return self._autocast

    @property
    def aggregation(self) -> str:
        """How copies on several devices are brought together."""
        return self._aggregation

    @property
    def synchronization(self) -> str:
        """When copies on several devices are brought together."""
        return self._synchronization

    @property
    def overwrite_with_gradient(self) -> bool:
        """Whether an optimizer assigns the gradient itself."""
        return self._overwrite_with_gradient

    @overwrite_with_gradient.setter
    def overwrite_with_gradient(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise TypeError(f"`overwrite_with_gradient` must be a bool; got {value!r}.")
        self._overwrite_with_gradient = value

    @property
    def regularizer(self) -> Any:
        """A function of the value that is added to the loss, or None."""
        return self._regularizer

    @regularizer.setter
    def regularizer(self, value: Any) -> None:
        self._regularizer = _callable_or_none("regularizer", value)

    @property
    def constraint(self) -> Any:
        """A function that each new value goes through after an optimizer's step, or None."""
        return self._constraint

    @constraint.setter
    def constraint(self, value: Any) -> None:
        self._constraint = _callable_or_none("constraint", value)

    # ---- as an array ----

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        value = self.numpy()
        return value if dtype is None else value.astype(dtype)

    def __int__(self) -> int:
        return int(self._only_element())

    def __float__(self) -> float:
        return float(self._only_element())

    def _only_element(self) -> Any:
        if self._shape:
            raise TypeError(
                f"Only a scalar can become a Python number; '{self._path}' has the shape "
                f"{self._shape}."
            )
        return self.numpy()

    def __bool__(self) -> bool:
        raise TypeError(f"The variable '{self._path}' cannot be used as a bool.")

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError(f"The variable '{self._path}' is a scalar: it has no length.")
        return self._shape[0]

    def __pos__(self) -> Any:
        return self.value

    def __repr__(self) -> str:
        shown = f"<Variable path={self._path}, shape={self._shape}, dtype={self._dtype}"
        return f"{shown}>" if current_trace() else f"{shown}, value={self._array()}>"


def _check_choice(argument: str, value: Any, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        raise ValueError(
            f"`{argument}` must be one of {', '.join(map(repr, choices))}; got {value!r}."
        )


def _callable_or_none(argument: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise ValueError(f"`{argument}` must be None or callable; got {value!r}.")
    return value


def _concrete(value: Any, path: str) -> Array:
    if isinstance(value, Variable):
        return value._array()
    if isinstance(value, Tensor):
        found = value.trace.array_of(value.value)
        if found is None:
            raise TraceError(
                f"The variable '{path}' was given a tensor of a program that is being traced, or "
                "was. Outside of the traced function only arrays can be assigned; inside, make "
                "variables from arrays and assign tensors to them."
            )
        return found
    if isinstance(value, KerasTensor):
        raise TypeError(f"The variable '{path}' cannot take a KerasTensor: {value!r}")
    return as_array(value)


def _own(array: Array, dtype: str) -> Array:
    """A dense copy of the dtype."""
    if array.dtype != numpy_dtype(dtype):
        array = FUNCTIONS["cast"](array, dtype)
    return np.array(array, order="C", copy=True)
