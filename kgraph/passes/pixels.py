"""Regions that compute each pixel alone: the same body over rows that are pixels.

Most of an image network does: normalisation, activations, sums per channel, and convolutions of one
tap, which are products. Where a region holds nothing else, its blocks need not be whole samples:
they can be as few pixels as a core keeps next to it, however large the image is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from kgraph.ir import Builder, Fact, Function, Op, Shape, TensorType, Value, symbols_of, users
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.convolution import Convolution
from kgraph.ir.ops.neural import Moments
from kgraph.ir.ops.reduce import Reduce
from kgraph.ir.ops.shape import BroadcastInDim
from kgraph.passes.carried import carrier
from kgraph.passes.pointwise import as_product


@dataclass(frozen=True)
class Pixels:
    """A region's body whose `block` is pixels; its values have the elements that they had.

    Attributes:
        body: of rank 2 are what was images, and kernels.
        each: the pixels of a sample.
    """

    body: Function
    each: int


def has_one_image(ops: Iterable[Op], batch: str) -> bool:
    """Do all results that have samples have the same pixels? Those of a body by pixels do."""
    images = {v.shape[:-1] for op in ops for v in op.results if carrier(v.type, batch) is not None}
    return len(images) == 1 and len(images.pop()) > 1


def by_pixels(body: Function, block: str) -> Pixels | None:
    """The body over its pixels; None where it does more than compute each alone."""
    start, *params = body.params
    values = [*params, *(v for op in body.ops for v in op.results)]
    images = {v.shape[:-1] for v in values if _names(v.shape, block)}
    if len(images) != 1 or any(start in op.operands for op in body.ops):
        return None
    (image,) = images
    sizes = [size for size in image[1:] if isinstance(size, int)]
    if not sizes or len(sizes) < len(image) - 1 or any(_names(v.shape[1:], block) for v in values):
        return None
    flat = _Rows(image, users(body)).function(body)
    return None if flat is None else Pixels(flat, prod(sizes))


def _names(shape: Shape, block: str) -> bool:
    return any(block in symbols_of(size) for size in shape)


class _Rows:
    """Writes ops over rows."""

    def __init__(self, image: Shape, readers: dict[Value, list[Op]]) -> None:
        self._image, self._readers = image, readers
        self._b = Builder()
        self._env: dict[Value, Value] = {}

    def function(self, body: Function) -> Function | None:
        """The body, if all its ops can be written."""
        for p in body.params:
            self._env[p] = self._b.param(str(p.op.__dict__["label"]), self._param_type(p))
        for op in body.ops:
            with self._b.at(op.location):
                made = self._written(op)
            if made is None:
                return None
            self._env.update(zip(op.results, self._b.append(made), strict=True))
        return self._b.function(*[self._env[v] for v in body.results])

    def _is_image(self, v: Value) -> bool:
        return v.shape[:-1] == self._image

    def _rows(self, shape: Shape) -> Shape:
        return (self._image[0], shape[-1])

    def _param_type(self, p: Value) -> TensorType:
        """Rows of an image, and a kernel without its taps."""
        if self._is_image(p):
            return p.type.with_shape(self._rows(p.shape))
        readers = self._readers.get(p, [])
        kept = {
            _channels(op) if isinstance(op, Convolution) and op.rhs is p else () for op in readers
        }
        dims = kept.pop() if len(kept) == 1 else ()
        return p.type.with_shape(tuple([p.shape[d] for d in dims])) if dims else p.type

    def _written(self, op: Op) -> Op | None:
        operands = tuple([self._env[v] for v in op.operands])
        if not any(map(self._is_image, (*op.operands, *op.results))):
            return op.with_operands(operands) if _types(operands) == _types(op.operands) else None
        match op:
            case Convolution():
                return self._product(op)
            case BroadcastInDim(shape=shape, dims=dims) if set(dims) <= {len(shape) - 1}:
                return op.with_fields(x=operands[0], shape=self._rows(shape), dims=(1,) * len(dims))
            case Reduce(dims=dims) | Moments(dims=dims) if dims == tuple(range(len(self._image))):
                return op.with_fields(x=operands[0], dims=(0,))
            case _ if Fact.ELEMENTWISE in op.facts and all(map(self._is_image, op.operands)):
                return op.with_operands(operands)
        return None

    def _product(self, op: Convolution) -> Op | None:
        """Of rows and a kernel, or of rows and rows, which is the gradient of a kernel."""
        found = as_product(op)
        if found is None or not self._is_image(op.lhs):
            return None
        lhs, rhs = self._env[op.lhs], self._env[op.rhs]
        pixels = tuple(range(len(self._image)))
        if found.lhs_contract == found.rhs_contract == pixels and self._is_image(op.rhs):
            return DotGeneral(lhs, rhs, (), (), (0,), (0,)).located(op.location)
        if (
            found.lhs_contract == (len(pixels),)
            and self._is_image(op.result)
            and rhs.type.rank == 2
        ):
            inputs = [op.roles.rhs[d] for d in _channels(op)].index("i")
            return DotGeneral(lhs, rhs, (), (), (1,), (inputs,)).located(op.location)
        return None


def _channels(op: Convolution) -> tuple[int, ...]:
    """The dims of a kernel that are no taps."""
    return tuple([d for d, role in enumerate(op.roles.rhs) if role in "io"])


def _types(values: tuple[Value, ...]) -> list[TensorType]:
    return [v.type for v in values]
