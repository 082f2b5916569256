"""The form of the case table: a row of an op expands to a case per dtype and group of operand
types.

A row is written once and drives type inference, the interpreter, both backends, gradients, the text
form and symbolic batches. Operand types are text: `T` is the case's dtype, `batch` and `time` are
symbolic.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kgraph.ir import (
    FLOATS,
    INTEGERS,
    SIGNED,
    Array,
    Builder,
    Function,
    TensorType,
    Value,
    bind,
    numpy_dtype,
    parse,
    short_dtype,
)

__all__ = ["FLOATS", "INTEGERS", "NUMBERS", "SIGNED", "Case", "Row", "row"]

NUMBERS = FLOATS + INTEGERS
SIZES = {"batch": 3, "time": 4}
TOLERANCE = {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 2e-6, "float64": 4e-15}

Build = Callable[..., "Value | tuple[Value, ...]"]
Domain = str | tuple[float, float]


@dataclass(frozen=True)
class Row:
    """One way to write an op. `operands` has groups of types, space-separated: each group makes a
    case per dtype.
    """

    op: str
    build: Build  # (builder, *operands) -> results
    operands: tuple[str, ...]
    dtypes: Sequence[str] = ("float32",)
    label: str = ""
    domain: Domain | tuple[Domain, ...] = "any"  # of each operand, or one for all
    gradient: bool = True  # where the dtype is a float: is it differentiable, twice?
    second: bool = True
    special: bool = False  # a case more with NaN, infinities, signed zeros and extremes
    loose: float = 1.0  # backends may differ by so many times TOLERANCE
    normwise: bool = True  # is the tolerance relative to the largest element, or to each?

    def cases(self) -> list[Case]:
        """One case per dtype and group; those with another than the first of both are slow."""
        found = []
        for d, dtype in enumerate(self.dtypes):
            found += [
                Case(self, dtype, i, False, d > 0 and i > 0) for i in range(len(self.operands))
            ]
            if self.special:
                found.append(Case(self, dtype, 0, True, False))
        return found


def row(op: str, build: Build, *operands: str, **options: Any) -> Row:
    """A row of the table."""
    return Row(op, build, operands or ("",), **options)


def read_types(text: str, dtype: str) -> tuple[TensorType, ...]:
    """The types of `T[batch,3] i32[]`, with T replaced by `dtype`."""
    named = [
        f"%x{i}: {t.replace('T[', short_dtype(dtype) + '[')}" for i, t in enumerate(text.split())
    ]
    return tuple(p.type for p in parse(f"fn({', '.join(named)})\n  return").params)


@dataclass(frozen=True)
class Case:
    """An op with operand types and data; `str` is its id."""

    row: Row
    dtype: str
    group: int
    special: bool
    slow: bool
    types: tuple[TensorType, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "types", read_types(self.row.operands[self.group], self.dtype))

    def __str__(self) -> str:
        parts = [self.row.op, self.row.label, self.dtype, f"{self.group}" if self.group else ""]
        return "-".join([p for p in [*parts, "special" if self.special else ""] if p])

    @property
    def op(self) -> str:
        """The name of the op."""
        return self.row.op

    @property
    def differentiable(self) -> bool:
        """Can the gradients of the float operands be checked?"""
        return self.row.gradient and self.dtype == "float64" and not self.special

    @property
    def symbols(self) -> set[str]:
        """The symbols in the types."""
        return {s for t in self.types for s in t.symbols}

    @property
    def symbolic(self) -> bool:
        """Does a type name a symbol?"""
        return bool(self.symbols)

    def function(self, **sizes: int) -> Function:
        """The op over parameters, with the symbols in `sizes` bound."""
        b = Builder()
        params = [b.param(f"x{i}", t) for i, t in enumerate(self.types)]
        results = self.row.build(b, *params)
        fn = b.function(*(results if isinstance(results, tuple) else (results,)))
        return bind(fn, sizes) if sizes else fn

    def arrays(self, **sizes: int) -> list[Array]:
        """An array for each operand, the same in every run."""
        random = np.random.default_rng(zlib.crc32(str(self).encode()))
        sizes = {**SIZES, **sizes}
        domains = self.row.domain
        found = []
        for i, t in enumerate(self.types):
            shape = [int(n) for n in bind(_identity(t), sizes).params[0].shape]
            one = isinstance(domains, str) or isinstance(domains[0], int | float)
            domain = domains if one else domains[i]
            found.append(_array(random, shape, t.dtype, domain, self.special))  # type: ignore[arg-type]  # of one
        return found

    def assert_close(
        self, got: Sequence[Array], want: Sequence[Array], factor: float = 1.0
    ) -> None:
        """Both have the types of the results; bits of integers, `loose` times the tolerance of
        floats, equal.
        """
        assert len(got) == len(want)
        for a, w in zip(got, want, strict=True):
            a, w = np.asarray(a), np.asarray(w)
            assert (a.dtype, a.shape) == (w.dtype, w.shape), (
                f"{self}: {a.dtype}{a.shape}, not {w.dtype}{w.shape}"
            )
            if str(w.dtype) not in TOLERANCE:
                np.testing.assert_array_equal(a, w, err_msg=str(self))
                continue
            tolerance = TOLERANCE[str(w.dtype)] * self.row.loose * factor
            wide, other = w.astype(np.float64), a.astype(np.float64)
            finite = np.isfinite(wide)
            np.testing.assert_array_equal(other[~finite], wide[~finite], err_msg=str(self))
            scale = (
                np.max(np.abs(wide[finite]), initial=0.0)
                if self.row.normwise
                else np.abs(wide[finite])
            )
            error = np.abs(other[finite] - wide[finite])
            smallest = float(np.finfo(np.float32).tiny if str(w.dtype) != "float64" else 0)
            assert (error <= tolerance * scale + smallest).all(), (
                f"{self}: {np.max(error):.3g} off, allowed {tolerance:.3g} of {np.max(scale):.3g}"
            )


def _identity(t: TensorType) -> Function:
    b = Builder()
    return b.function(b.param("x", t))


def _array(
    random: np.random.Generator, shape: list[int], dtype: str, domain: Domain, special: bool
) -> Array:
    numpy = numpy_dtype(dtype)
    if dtype == "bool":
        return random.integers(0, 2, shape).astype(np.bool_)
    if special:
        return _special(random, shape, dtype)
    if "int" in dtype:
        low, high = domain if isinstance(domain, tuple) else (0 if dtype[0] == "u" else -9, 10)
        if domain == "distinct":
            return random.permutation(int(np.prod(shape, dtype=int))).reshape(shape).astype(numpy)
        return random.integers(int(low), int(high), shape, endpoint=False).astype(numpy)
    if domain == "distinct":  # far apart, so that no finite difference changes the order
        count = int(np.prod(shape, dtype=int))
        return (
            ((random.permutation(count) - count / 2 + 0.3) / max(4, count / 8))
            .reshape(shape)
            .astype(numpy)
        )
    if isinstance(domain, tuple):
        return np.asarray(random.uniform(*domain, shape)).astype(numpy)
    values = random.uniform(0.3, 2.0, shape)  # of "positive"
    if domain != "positive":  # "any" keeps away from zero, where much has a kink
        values = values * random.choice([-1.0, 1.0], shape)
    return np.asarray(values).astype(numpy)


def _special(random: np.random.Generator, shape: list[int], dtype: str) -> Array:
    numpy = numpy_dtype(dtype)
    count = int(np.prod(shape, dtype=int))
    if "int" in dtype:
        limits = np.iinfo(numpy)
        odd = np.array(
            [limits.min, limits.max, 0, 1, limits.max - 1, limits.max // 2, limits.min + 1, 3],
            numpy,
        )
    else:
        largest = {"float16": 65504.0, "float64": 1.7e308}.get(dtype, 3.3e38)
        odd = np.array(
            [
                np.nan,
                np.inf,
                -np.inf,
                0.0,
                -0.0,
                1.0,
                -1.0,
                largest,
                -largest,
                1 / largest,
                -0.5,
                2.5,
            ],
            numpy,
        )
    return odd[random.integers(0, len(odd), count)].reshape(shape)
