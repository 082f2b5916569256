"""Functions of one float that take tens of instructions: exponentials, logarithms, angles, erf."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.graph import Array, Value
from kgraph.ir.ops.pointwise import UnaryFunction
from kgraph.ir.ops.special import erf, erf_inv

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


class Exponential(UnaryFunction):
    """e to the x.

    C1  x is of floats.
    """

    compute = np.exp

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.multiply(grads[0], self.result),)


class ExponentialMinusOne(UnaryFunction):
    """`exp(x) - 1`, accurate near 0.

    C1  x is of floats.
    """

    compute = np.expm1

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        y = self.result
        return (b.multiply(grads[0], b.add(y, b.splat(1, y.type))),)


class Log(UnaryFunction):
    """The natural logarithm; -inf of 0, NaN below 0.

    C1  x is of floats.
    """

    compute = np.log

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.divide(grads[0], self.x),)


class LogPlusOne(UnaryFunction):
    """`log(1 + x)`, accurate near 0; -inf of -1, NaN below.

    C1  x is of floats.
    """

    compute = np.log1p

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.divide(grads[0], b.add(self.x, b.splat(1, self.x.type))),)


def _logistic(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    y: Array = np.where(x < 0, e, 1) / (1 + e)
    return y


class Logistic(UnaryFunction):
    """`1 / (1 + exp(-x))`, the sigmoid.

    C1  x is of floats.
    """

    compute = _logistic

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        y = self.result
        slope = b.multiply(y, b.subtract(b.splat(1, y.type), y))
        return (b.multiply(grads[0], slope),)


class Tanh(UnaryFunction):
    """The hyperbolic tangent.

    C1  x is of floats.
    """

    compute = np.tanh

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        y = self.result
        slope = b.subtract(b.splat(1, y.type), b.multiply(y, y))
        return (b.multiply(grads[0], slope),)


# ---- angles, in radians ----


class Tan(UnaryFunction):
    """The tangent; NaN of inf.

    C1  x is of floats.
    """

    compute = np.tan

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        y = self.result
        slope = b.add(b.splat(1, y.type), b.multiply(y, y))
        return (b.multiply(grads[0], slope),)


class Sine(UnaryFunction):
    """The sine; NaN of inf.

    C1  x is of floats.
    """

    compute = np.sin

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.multiply(grads[0], b.cosine(self.x)),)


class Cosine(UnaryFunction):
    """The cosine; NaN of inf.

    C1  x is of floats.
    """

    compute = np.cos

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.negate(b.multiply(grads[0], b.sine(self.x))),)


def _one_minus_square(b: Builder, x: Value) -> Value:
    """`(1 - x)(1 + x)`, which keeps its digits where x is near 1."""
    one = b.splat(1, x.type)
    square: Value = b.multiply(b.subtract(one, x), b.add(one, x))
    return square


class Asin(UnaryFunction):
    """The angle whose sine is x; NaN outside of -1 .. 1.

    C1  x is of floats.
    """

    compute = np.arcsin

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.multiply(grads[0], b.rsqrt(_one_minus_square(b, self.x))),)


class Acos(UnaryFunction):
    """The angle whose cosine is x; NaN outside of -1 .. 1.

    C1  x is of floats.
    """

    compute = np.arccos

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.negate(b.multiply(grads[0], b.rsqrt(_one_minus_square(b, self.x)))),)


class Atan(UnaryFunction):
    """The angle whose tangent is x.

    C1  x is of floats.
    """

    compute = np.arctan

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        one = b.splat(1, self.x.type)
        return (b.divide(grads[0], b.add(one, b.multiply(self.x, self.x))),)


# ---- hyperbolic functions ----


class Sinh(UnaryFunction):
    """The hyperbolic sine.

    C1  x is of floats.
    """

    compute = np.sinh

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.multiply(grads[0], b.cosh(self.x)),)


class Cosh(UnaryFunction):
    """The hyperbolic cosine.

    C1  x is of floats.
    """

    compute = np.cosh

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.multiply(grads[0], b.sinh(self.x)),)


class Asinh(UnaryFunction):
    """The inverse of sinh.

    C1  x is of floats.
    """

    compute = np.arcsinh

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        one = b.splat(1, self.x.type)
        square = b.add(b.multiply(self.x, self.x), one)
        return (b.multiply(grads[0], b.rsqrt(square)),)


class Acosh(UnaryFunction):
    """The inverse of cosh; NaN below 1.

    C1  x is of floats.
    """

    compute = np.arccosh

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        one = b.splat(1, self.x.type)
        roots = b.multiply(b.rsqrt(b.subtract(self.x, one)), b.rsqrt(b.add(self.x, one)))
        return (b.multiply(grads[0], roots),)


class Atanh(UnaryFunction):
    """The inverse of tanh; infinite at -1 and 1, NaN beyond.

    C1  x is of floats.
    """

    compute = np.arctanh

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.divide(grads[0], _one_minus_square(b, self.x)),)


# ---- the error function ----


class Erf(UnaryFunction):
    """The error function: `2 / sqrt(pi)` times the integral of `exp(-t * t)` from 0 to x.

    C1  x is of floats.
    """

    compute = erf

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        x = self.x
        bell = b.exponential(b.negate(b.multiply(x, x)))
        slope = b.multiply(b.splat(2 / math.sqrt(math.pi), x.type), bell)
        return (b.multiply(grads[0], slope),)


class ErfInv(UnaryFunction):
    """The inverse of erf; infinite at -1 and 1, NaN beyond.

    C1  x is of floats.
    """

    compute = erf_inv

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        y = self.result
        bell = b.exponential(b.multiply(y, y))
        slope = b.multiply(b.splat(math.sqrt(math.pi) / 2, y.type), bell)
        return (b.multiply(grads[0], slope),)
