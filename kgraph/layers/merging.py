"""Layers that make one tensor of several."""

from typing import Any

from kgraph import ops
from kgraph.layers.layer import Layer
from kgraph.registry import keras_export

__all__ = [
    "Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract",
    "add", "average", "concatenate", "dot",
    "maximum", "minimum", "multiply", "subtract",
]  # fmt: skip


class _Merge(Layer):
    """Base of the layers that combine a list of tensors element by element; shapes broadcast."""

    least = 1

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)

    def _check(self, shapes: Any) -> None:
        name = type(self).__name__
        if (
            not isinstance(shapes, list | tuple)
            or not shapes
            or not isinstance(shapes[0], list | tuple)
        ):
            raise ValueError(
                "A merge layer should be called on a list of inputs. Received: "
                f"input_shape={shapes} (not a list of shapes)"
            )
        if len(shapes) < self.least:
            raise ValueError(
                f"A `{name}` layer should be called on a list of at least {self.least} inputs. Got "
                f"{len(shapes)} inputs."
            )
        _broadcast_shape(shapes)

    def combine(self, a: Any, b: Any) -> Any:
        """The result for two tensors."""
        raise NotImplementedError

    def call(self, inputs: Any) -> Any:
        """All inputs combined, from the first to the last."""
        if not isinstance(inputs, list | tuple):
            raise ValueError(
                f"A merge layer should be called on a list of inputs. Received: inputs={inputs} "
                "(not a list of tensors)"
            )
        result = inputs[0]
        for x in inputs[1:]:
            result = self.combine(*_aligned(result, x))
        return result

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check(input_shape)
        return _broadcast_shape(input_shape)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        masks = [m for m in previous_mask or () if m is not None]
        if not masks or len(masks) < len(inputs):
            return None
        result = masks[0]
        for m in masks[1:]:
            result = ops.logical_and(result, m)
        return result


def _aligned(a: Any, b: Any) -> tuple[Any, Any]:
    """Tensors of one rank: the smaller one gets dims of size 1 behind the batch."""
    while len(a.shape) < len(b.shape):
        a = ops.expand_dims(a, 1)
    while len(b.shape) < len(a.shape):
        b = ops.expand_dims(b, 1)
    return a, b


def _broadcast_shape(shapes: Any) -> tuple[int | None, ...]:
    rank = max(map(len, shapes))
    padded = [(s[0], *[1] * (rank - len(s)), *s[1:]) if s else (1,) * rank for s in shapes]
    result = []
    for sizes in zip(*padded, strict=True):
        known = {n for n in sizes if n not in (None, 1)}
        if len(known) > 1:
            raise ValueError(
                "Inputs have incompatible shapes. Received shapes "
                f"{' and '.join(str(tuple(s[1:])) for s in shapes)}"
            )
        result.append(known.pop() if known else None if None in sizes else 1)
    return tuple(result)


@keras_export("keras.layers.Add")
class Add(_Merge):
    """The sum of a list of tensors."""

    def combine(self, a: Any, b: Any) -> Any:
        return ops.add(a, b)


@keras_export("keras.layers.Subtract")
class Subtract(_Merge):
    """The first of two tensors minus the second."""

    least = 2

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if len(input_shape) != 2:
            raise ValueError(
                "A `Subtract` layer should be called on exactly 2 inputs. Received: "
                f"input_shape={input_shape}"
            )

    def combine(self, a: Any, b: Any) -> Any:
        return ops.subtract(a, b)


@keras_export("keras.layers.Multiply")
class Multiply(_Merge):
    """The product of a list of tensors."""

    def combine(self, a: Any, b: Any) -> Any:
        return ops.multiply(a, b)


@keras_export("keras.layers.Maximum")
class Maximum(_Merge):
    """The greatest of a list of tensors."""

    def combine(self, a: Any, b: Any) -> Any:
        return ops.maximum(a, b)


@keras_export("keras.layers.Minimum")
class Minimum(_Merge):
    """The smallest of a list of tensors."""

    def combine(self, a: Any, b: Any) -> Any:
        return ops.minimum(a, b)


@keras_export("keras.layers.Average")
class Average(_Merge):
    """The mean of a list of tensors."""

    def combine(self, a: Any, b: Any) -> Any:
        return ops.add(a, b)

    def call(self, inputs: Any) -> Any:
        """The sum over the number of inputs."""
        return super().call(inputs) / len(inputs)


@keras_export("keras.layers.Concatenate")
class Concatenate(_Merge):
    """A list of tensors one behind the other.

    Args:
        axis: along which.
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def _check(self, shapes: Any) -> None:
        if (
            not isinstance(shapes, list | tuple)
            or len(shapes) < 1
            or not isinstance(shapes[0], list | tuple)
        ):
            raise ValueError(
                "A `Concatenate` layer should be called on a list of at least 1 input. Received: "
                f"input_shape={shapes}"
            )
        ranks = {len(s) for s in shapes}
        others = (
            {tuple(n for i, n in enumerate(s) if i != self.axis % len(s)) for s in shapes}
            if len(ranks) == 1
            else set()
        )
        fits = len(ranks) == 1 and all(
            len({n for n in sizes if n is not None}) <= 1 for sizes in zip(*others, strict=True)
        )
        if not fits:
            raise ValueError(
                "A `Concatenate` layer requires inputs with matching shapes except for the "
                "concatenation axis. "
                f"Received: input_shape={[tuple(s) for s in shapes]}"
            )

    def call(self, inputs: Any) -> Any:
        """The tensors joined."""
        return ops.concatenate(list(inputs), axis=self.axis)

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check(input_shape)
        result = list(input_shape[0])
        sizes = [s[self.axis] for s in input_shape]
        result[self.axis] = None if None in sizes else sum(sizes)
        return tuple(result)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        if not previous_mask or all(m is None for m in previous_mask):
            return None
        masks = [
            ops.ones(x.shape, dtype="bool")
            if m is None
            else (ops.expand_dims(m, -1) if len(m.shape) < len(x.shape) else m)
            for x, m in zip(inputs, previous_mask, strict=True)
        ]
        full = [
            ops.broadcast_to(m, x.shape) if tuple(m.shape) != tuple(x.shape) else m
            for m, x in zip(masks, inputs, strict=True)
        ]
        return ops.all(ops.concatenate(full, axis=self.axis), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


@keras_export("keras.layers.Dot")
class Dot(_Merge):
    """Dot products of two tensors, sample by sample.

    Args:
        axes: the axis of each to sum over, an int or a pair.
        normalize: gives the cosine of the angle.
    """

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axes, int) and (not isinstance(axes, list | tuple) or len(axes) != 2):
            raise ValueError(
                "Invalid format for argument `axes`: it should be an int or a list of two ints. "
                f"Received: axes={axes}"
            )
        self.axes = axes
        self.normalize = normalize

    def _check(self, shapes: Any) -> None:
        if not isinstance(shapes, list | tuple) or len(shapes) != 2:
            raise ValueError(
                "A `Dot` layer should be called on a list of 2 inputs. Received: "
                f"input_shape={shapes}"
            )
        a, b = self._pair(*map(len, shapes))
        if shapes[0][a] != shapes[1][b] and None not in (shapes[0][a], shapes[1][b]):
            raise ValueError(
                f"Incompatible input shapes: axis values {shapes[0][a]} (at axis {a}) != "
                f"{shapes[1][b]} (at axis {b}). Full input shapes: {shapes[0]}, {shapes[1]}"
            )

    def _pair(self, rank_a: int, rank_b: int) -> tuple[int, int]:
        axes = (self.axes, self.axes) if isinstance(self.axes, int) else tuple(self.axes)
        return axes[0] % rank_a, axes[1] % rank_b

    def call(self, inputs: Any) -> Any:
        """The products, summed over the axes."""
        x, y = inputs
        a, b = self._pair(len(x.shape), len(y.shape))
        if self.normalize:
            x, y = ops.normalize(x, axis=a), ops.normalize(y, axis=b)
        left = "".join(
            "z" if i == a else "a" if i == 0 else chr(ord("b") + i) for i in range(len(x.shape))
        )
        right = "".join(
            "z" if i == b else "a" if i == 0 else chr(ord("k") + i) for i in range(len(y.shape))
        )
        out = "a" + left.replace("z", "")[1:] + right.replace("z", "")[1:]
        result = ops.einsum(f"{left},{right}->{out}", x, y)
        return ops.expand_dims(result, 1) if len(result.shape) == 1 else result

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check(input_shape)
        x, y = (list(s) for s in input_shape)
        a, b = self._pair(len(x), len(y))
        shape = [
            x[0],
            *[n for i, n in enumerate(x) if i not in (0, a)],
            *[n for i, n in enumerate(y) if i not in (0, b)],
        ]
        return tuple(shape) if len(shape) > 1 else (shape[0], 1)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


@keras_export("keras.layers.add")
def add(inputs: Any, **kwargs: Any) -> Any:
    """`Add` as a function."""
    return Add(**kwargs)(inputs)


@keras_export("keras.layers.subtract")
def subtract(inputs: Any, **kwargs: Any) -> Any:
    """`Subtract` as a function."""
    return Subtract(**kwargs)(inputs)


@keras_export("keras.layers.multiply")
def multiply(inputs: Any, **kwargs: Any) -> Any:
    """`Multiply` as a function."""
    return Multiply(**kwargs)(inputs)


@keras_export("keras.layers.average")
def average(inputs: Any, **kwargs: Any) -> Any:
    """`Average` as a function."""
    return Average(**kwargs)(inputs)


@keras_export("keras.layers.maximum")
def maximum(inputs: Any, **kwargs: Any) -> Any:
    """`Maximum` as a function."""
    return Maximum(**kwargs)(inputs)


@keras_export("keras.layers.minimum")
def minimum(inputs: Any, **kwargs: Any) -> Any:
    """`Minimum` as a function."""
    return Minimum(**kwargs)(inputs)


@keras_export("keras.layers.concatenate")
def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate` as a function."""
    return Concatenate(axis=axis, **kwargs)(inputs)


@keras_export("keras.layers.dot")
def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """`Dot` as a function."""
    return Dot(axes=axes, **kwargs)(inputs)
