"""Vector mathematics over the builder: a function per op, for any lanes of float32 and float64.

`UNARY` and `BINARY` map the names of the graph's ops to `fn(f, x)` and `fn(f, x, y)`. 16-bit floats
are converted to float32 by the caller. No LLVM intrinsic for exp, log, sin, ... is used: on vectors
LLVM turns those into one libm call per lane.
"""

from __future__ import annotations

from collections.abc import Callable

from kgraph.codegen.llvm.angles import acos, asin, atan, atan2, cos, sin, tan
from kgraph.codegen.llvm.emit import Function, Operand
from kgraph.codegen.llvm.error_function import erf, erf_inv
from kgraph.codegen.llvm.exponential import (
    exp,
    expm1,
    log,
    log1p,
    logistic,
    power,
    tanh,
)
from kgraph.codegen.llvm.floats import Unary, ceil, floor, round_away, round_even, truncate
from kgraph.codegen.llvm.hyperbolic import acosh, asinh, atanh, cosh, sinh
from kgraph.codegen.llvm.remainder import remainder
from kgraph.codegen.llvm.roots import cbrt, rsqrt

__all__ = [
    "BINARY", "UNARY", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil",
    "cos", "cosh", "erf", "erf_inv", "exp", "expm1", "floor", "log", "log1p", "logistic", "power",
    "remainder", "round_away", "round_even", "rsqrt", "sin", "sinh", "sqrt", "tan", "tanh",
    "truncate",
]  # fmt: skip


def sqrt(f: Function, x: Operand) -> Operand:
    """Correctly rounded square root; NaN below zero."""
    return f.sqrt(x)


UNARY: dict[str, Unary] = {
    "acos": acos,
    "acosh": acosh,
    "asin": asin,
    "asinh": asinh,
    "atan": atan,
    "atanh": atanh,
    "cbrt": cbrt,
    "ceil": ceil,
    "cosh": cosh,
    "cosine": cos,
    "erf": erf,
    "erf_inv": erf_inv,
    "exponential": exp,
    "exponential_minus_one": expm1,
    "floor": floor,
    "log": log,
    "log_plus_one": log1p,
    "logistic": logistic,
    "round_nearest_afz": round_away,
    "round_nearest_even": round_even,
    "rsqrt": rsqrt,
    "sine": sin,
    "sinh": sinh,
    "sqrt": sqrt,
    "tan": tan,
    "tanh": tanh,
}

BINARY: dict[str, Callable[[Function, Operand, Operand], Operand]] = {
    "atan2": atan2,
    "power": power,
    "remainder": remainder,
}
