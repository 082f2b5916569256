"""All ops on single elements, from the files that have them."""

from __future__ import annotations

from kgraph.ir.ops.binary import (
    Add,
    And,
    Atan2,
    Compare,
    Divide,
    Maximum,
    Minimum,
    Multiply,
    Or,
    Power,
    Remainder,
    ShiftLeft,
    ShiftRightArithmetic,
    ShiftRightLogical,
    Subtract,
    Xor,
)
from kgraph.ir.ops.choice import Clamp, Select
from kgraph.ir.ops.pointwise import Binary, Elementwise, Unary, UnaryFunction
from kgraph.ir.ops.transcendental import (
    Acos,
    Acosh,
    Asin,
    Asinh,
    Atan,
    Atanh,
    Cosh,
    Cosine,
    Erf,
    ErfInv,
    Exponential,
    ExponentialMinusOne,
    Log,
    Logistic,
    LogPlusOne,
    Sine,
    Sinh,
    Tan,
    Tanh,
)
from kgraph.ir.ops.unary import (
    Abs,
    BitcastConvert,
    Cbrt,
    Ceil,
    Convert,
    CountLeadingZeros,
    Floor,
    IsFinite,
    Negate,
    Not,
    Popcnt,
    RoundNearestAfz,
    RoundNearestEven,
    Rsqrt,
    Sign,
    Sqrt,
    StopGradient,
)

__all__ = [
    "Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atan2", "Atanh", "Binary",
    "BitcastConvert", "Cbrt", "Ceil", "Clamp", "Compare", "Convert", "Cosh", "Cosine",
    "CountLeadingZeros", "Divide", "Elementwise", "Erf", "ErfInv", "Exponential",
    "ExponentialMinusOne", "Floor", "IsFinite", "Log", "LogPlusOne", "Logistic", "Maximum",
    "Minimum", "Multiply", "Negate", "Not", "Or", "Popcnt", "Power", "Remainder",
    "RoundNearestAfz", "RoundNearestEven", "Rsqrt", "Select", "ShiftLeft", "ShiftRightArithmetic",
    "ShiftRightLogical", "Sign", "Sine", "Sinh", "Sqrt", "StopGradient", "Subtract", "Tan",
    "Tanh", "Unary", "UnaryFunction", "Xor",
]  # fmt: skip
