"""Random tensors. The same key gives the same numbers as Keras on JAX, on every backend."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kgraph import config, ops
from kgraph.ir import FLOATS, INTEGERS, Shape, TensorType, Value, numpy_dtype
from kgraph.ops import standardize_dtype
from kgraph.ops._creation import shape_of
from kgraph.ops._promote import broadcast_value, common_dtype
from kgraph.ops._trace import context_of
from kgraph.random.bits import Key, bits, drawn_bits, key_words, split
from kgraph.random.seed import draw_seed

__all__ = [
    "categorical",
    "dropout",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]

# float dtype -> bits of the number, bits of its mantissa, random bits that are drawn for it
_LAYOUT = {
    "float16": (16, 10, 16),
    "bfloat16": (16, 7, 8),
    "float32": (32, 23, 32),
    "float64": (64, 52, 64),
}


def float_dtype(dtype: Any, function: str) -> str:
    name = config.floatx() if dtype is None else standardize_dtype(dtype)
    if name not in FLOATS:
        raise ValueError(
            f"`random.{function}` requires a floating point dtype; got dtype={dtype!r}"
        )
    return name


def _entered(shape: Any, seed: Any, *more: Any) -> tuple[Any, Shape, Key]:
    sizes, key = shape_of(shape), draw_seed(seed)
    context = context_of((key, *sizes, *more))
    return context, sizes, key_words(context.b, context.lift(key, "uint32"))


def unit_floats(b: Any, key: Key, shape: Shape, dtype: str) -> Value:
    """Floats of [0, 1), one for each element of the shape."""
    return _unit(b, bits(b, key, shape, _LAYOUT[dtype][2]), dtype)


def floats_of_words(b: Any, word0: Value, word1: Value, dtype: str) -> Value:
    """Floats of [0, 1), made of given random words."""
    return _unit(b, drawn_bits(b, word0, word1, _LAYOUT[dtype][2]), dtype)


def _unit(b: Any, words: Value, dtype: str) -> Value:
    """Random mantissas under the exponent of 1, less 1."""
    width, mantissa, drawn = _LAYOUT[dtype]
    words = b.cast(words, f"uint{width}")
    words = b.shift_right_logical(words, b.splat(drawn - mantissa, words.type))
    one = int(np.ones((), numpy_dtype(dtype)).view(f"u{width // 8}"))
    floats = b.bitcast_convert(b.or_(words, b.splat(one, words.type)), dtype)
    found: Value = b.subtract(floats, b.splat(1, floats.type))
    return found


def _uniform(
    b: Any, key: Key, shape: Shape, low: Value, high: Value, doubled: bool = False
) -> Value:
    """Floats of [low, high); the bounds are scalars, or of the shape.

    `doubled`: high - low is 2, by which products are exact.
    """
    dtype = low.type.dtype
    floats, span = unit_floats(b, key, shape, dtype), b.subtract(high, low)
    low, span = broadcast_value(b, low, shape), broadcast_value(b, span, shape)
    if dtype == "float32" and not doubled:
        # One rounding, like the fused multiply-add that XLA makes of it.
        wide = [b.convert(v, "float64") for v in (floats, span, low)]
        scaled = b.convert(b.add(b.multiply(wide[0], wide[1]), wide[2]), dtype)
    else:
        scaled = b.add(b.multiply(floats, span), low)
    found: Value = b.maximum(low, scaled)
    return found


def uniform(
    shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Numbers of [minval, maxval), all as likely; of an integer dtype, as `randint`.

    Args:
        shape: the shape.
        minval, maxval: the bounds.
        dtype: a float dtype, by default the configured one; or an integer dtype.
        seed: an int, a SeedGenerator, or None for the global generator.
    """
    if dtype is not None and standardize_dtype(dtype) in INTEGERS:
        return randint(shape, minval, maxval, dtype, seed)
    name = float_dtype(dtype, "uniform")
    context, sizes, key = _entered(shape, seed, minval, maxval)
    if (
        isinstance(minval, int | float)
        and isinstance(maxval, int | float)
        and (minval, maxval) == (0, 1)
    ):
        return context.wrap(unit_floats(context.b, key, sizes, name))
    low, high = context.lift(minval, name), context.lift(maxval, name)
    return context.wrap(_uniform(context.b, key, sizes, low, high))


def _standard_normal(b: Any, key: Key, shape: Shape, dtype: str) -> Value:
    kind = numpy_dtype(dtype).type
    low = b.constant(np.nextafter(kind(-1), kind(0)), dtype)
    u = _uniform(b, key, shape, low, b.constant(1, dtype), doubled=True)
    found: Value = b.multiply(b.splat(math.sqrt(2), u.type), b.erf_inv(u))
    return found


def normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Numbers of the normal distribution.

    Args:
        shape: the shape.
        mean, stddev: of the distribution.
        dtype: a float dtype, by default the configured one.
        seed: an int, a SeedGenerator, or None for the global generator.
    """
    name = float_dtype(dtype, "normal")
    context, sizes, key = _entered(shape, seed)
    return _scaled(context.wrap(_standard_normal(context.b, key, sizes, name)), mean, stddev)


def _scaled(sample: Any, mean: Any, stddev: Any) -> Any:
    return ops.add(ops.multiply(sample, stddev), mean)


def truncated_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Numbers of the normal distribution, none further from the mean than two `stddev`.

    The arguments are those of `normal`.
    """
    name = float_dtype(dtype, "truncated_normal")
    context, sizes, key = _entered(shape, seed)
    b, kind = context.b, numpy_dtype(name).type
    root = b.constant(math.sqrt(2), name)
    low, high = (b.erf(b.divide(b.constant(bound, name), root)) for bound in (-2, 2))
    u = _uniform(b, key, sizes, low, high)
    sample = b.multiply(b.broadcast(root, sizes), b.erf_inv(u))
    least, most = np.nextafter(kind(-2), kind(np.inf)), np.nextafter(kind(2), kind(-np.inf))
    sample = b.clamp(b.constant(least, name), sample, b.constant(most, name))
    return _scaled(context.wrap(sample), mean, stddev)


def randint(shape: Any, minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None) -> Any:
    """Integers of [minval, maxval), all as likely.

    Args:
        shape: the shape.
        minval, maxval: the bounds; the upper one may be one more than the dtype holds.
        dtype: an integer dtype.
        seed: an int, a SeedGenerator, or None for the global generator.

    Raises:
        ValueError: the dtype is no integer type.
    """
    name = standardize_dtype(dtype)
    if name not in INTEGERS:
        raise ValueError(f"`random.randint` requires an integer dtype; got dtype={dtype!r}")
    context, sizes, key = _entered(shape, seed, minval, maxval)
    b, info = context.b, np.iinfo(name)
    inner = name if info.bits >= 32 else "int32"
    most = info.max + (inner != name)
    beyond = _is_number(maxval) and int(maxval) > most
    low, high = (
        broadcast_value(b, context.lift(_clipped(v, info.min, most), inner), sizes)
        for v in (minval, maxval)
    )
    width = np.iinfo(inner).bits
    unsigned = f"uint{width}"
    first, second = split(b, key)
    more, less = bits(b, first, sizes, width), bits(b, second, sizes, width)
    span = b.cast(b.subtract(high, low), unsigned)
    one = b.splat(1, span.type)
    empty = b.compare(high, low, "LE")
    span = b.select(empty, one, b.add(span, one) if beyond else span)
    # twice as many bits as the dtype has, modulo the span: less bias
    factor = b.remainder(b.splat(2 ** (width // 2), span.type), span)
    factor = b.remainder(b.multiply(factor, factor), span)
    offset = b.add(b.multiply(b.remainder(more, span), factor), b.remainder(less, span))
    offset = b.cast(b.remainder(offset, span), inner)
    return context.wrap(b.cast(b.add(low, offset), name))


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float | np.number)


def _clipped(bound: Any, least: int, most: int) -> Any:
    return min(max(int(bound), least), most) if _is_number(bound) else bound


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Indices of classes, drawn with the probabilities `softmax(logits)`.

    Args:
        logits: (batch, classes).
        num_samples: how many to draw for each row.
        dtype: an integer dtype.
        seed: an int, a SeedGenerator, or None for the global generator.

    Returns:
        (batch, num_samples) of the dtype.

    Raises:
        ValueError: the logits have another rank than 2.
    """
    if len(logits.shape) != 2:
        raise ValueError(
            "`logits` should be a 2-D tensor with shape [batch_size, num_classes]. "
            f"Received: logits={logits!r}"
        )
    name = common_dtype(logits, at_least="float")
    key = draw_seed(seed)
    context = context_of((logits, key))
    b = context.b
    value = context.lift(logits, name)
    batch, classes = value.type.shape
    shape = (batch, classes, num_samples)
    words = key_words(b, context.lift(key, "uint32"))
    tiny = b.constant(float(_smallest_normal(name)), name)
    u = _uniform(b, words, shape, tiny, b.constant(1, name))
    gumbel = b.negate(b.log(b.negate(b.log(u))))
    scores = b.add(gumbel, b.broadcast_in_dim(value, shape, (0, 1)))
    return context.wrap(b.cast(b.arg_reduce(scores, "max", 1, "int32"), standardize_dtype(dtype)))


def _smallest_normal(dtype: str) -> float:
    return 2.0 ** {"float16": -14, "bfloat16": -126, "float32": -126, "float64": -1022}[dtype]


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Each element 0 with the probability `rate`; the others grow by `1 / (1 - rate)`.

    Args:
        inputs: a tensor.
        rate: between 0 and 1.
        noise_shape: the shape of what is drawn; it broadcasts to that of the inputs, whose sizes
            stand for None.
        seed: an int, a SeedGenerator, or None for the global generator.
    """
    if rate == 1.0:
        return ops.zeros_like(inputs)
    if rate == 0.0:
        return inputs
    key = draw_seed(seed)
    context = context_of((inputs, key))
    b = context.b
    value = context.lift(inputs, common_dtype(inputs, at_least="float"))
    shape = value.type.shape
    if noise_shape is not None:
        given = tuple(noise_shape)
        if len(given) != len(shape):
            raise ValueError(
                f"`noise_shape` must have {len(shape)} entries, as the inputs; got {given}"
            )
        drawn = shape_of([n if m is None else m for n, m in zip(shape, given, strict=True)])
    else:
        drawn = shape
    words = key_words(b, context.lift(key, "uint32"))
    keep = 1.0 - rate
    name = config.floatx()  # of the probability, as in Keras
    floats = unit_floats(b, words, drawn, name)
    mask = b.compare(floats, b.splat(keep, floats.type), "LT")
    scaled = b.divide(value, b.splat(keep, value.type))
    zeros = b.splat(0, TensorType(shape, value.type.dtype))
    return context.wrap(b.select(broadcast_value(b, mask, shape), scaled, zeros))


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """The elements along a dim in random order, each row of the other dims in an order of its own.

    Args:
        x: a tensor.
        axis: the dim.
        seed: an int, a SeedGenerator, or None for the global generator.
    """
    key = draw_seed(seed)
    context = context_of((x, key))
    b = context.b
    value = context.lift(x)
    shape = value.type.shape
    dim = range(len(shape))[axis]
    words = key_words(b, context.lift(key, "uint32"))
    # ties of 32-bit keys are broken by sorting again, with a probability that is small enough
    rounds = math.ceil(3 * math.log(max(1, int(value.type.size))) / math.log(2**32 - 1))
    for _ in range(rounds):
        words, sub = split(b, words)
        value = b.sort((bits(b, sub, shape, 32), value), dim, 1, False)[1]
    return context.wrap(value)
