"""Sizes: an int, or a polynomial of named symbols in a normal form.

A symbol stands for a size that is known when a program runs (the batch, a time, a height). Two
sizes that are equal for every value of their symbols usually have one normal form, so `==` answers
"provably equal". Every symbol is at least 0; `floordiv`, `mod`, `min` and `max` of sizes are atoms
where they do not simplify.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TypeAlias

from kgraph.ir.errors import SizeNeededError


@dataclass(frozen=True, slots=True)
class Call:
    """An atom that is no symbol: `floordiv`, `mod`, `min` or `max` of two sizes."""

    kind: str
    a: Size
    b: Size

    def __str__(self) -> str:
        if self.kind in ("min", "max"):
            return f"{self.kind}({self.a},{self.b})"
        sign = {"floordiv": "//", "mod": "%"}[self.kind]
        return f"({_wrapped(self.a)}{sign}{_wrapped(self.b)})"


Atom: TypeAlias = "str | Call"
Monomial: TypeAlias = (
    "tuple[tuple[Atom, int], ...]"  # atoms with their powers, sorted; () is the constant 1
)


class Dim:
    """A size that names symbols: `sum(coefficient * monomial)`, terms sorted, none zero."""

    __slots__ = ("_hash", "terms")
    terms: tuple[tuple[Monomial, int], ...]

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms = terms
        self._hash = hash(terms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type[Dim], tuple[object]]:
        return Dim, (self.terms,)

    def __str__(self) -> str:
        return "+".join(_term_text(m, k) for m, k in self.terms).replace("+-", "-")

    __repr__ = __str__

    def _takes(self, other: object) -> bool:
        """Is `other` a size? A fraction asks for the number; tensors answer themselves."""
        if isinstance(other, int | Dim | Integral):
            return True
        if isinstance(other, Real):
            self.__int__()
        return False

    def __add__(self, other: Size) -> Size:
        if not self._takes(other):
            return NotImplemented
        return _sum_of(self, other)

    def __mul__(self, other: Size) -> Size:
        if not self._takes(other):
            return NotImplemented
        return _product_of(self, other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + -1 * other if self._takes(other) else NotImplemented

    def __rsub__(self, other: Size) -> Size:
        return -1 * self + other if self._takes(other) else NotImplemented

    def __floordiv__(self, other: Size) -> Size:
        return floordiv(self, other) if self._takes(other) else NotImplemented

    def __rfloordiv__(self, other: Size) -> Size:
        return floordiv(other, self) if self._takes(other) else NotImplemented

    def __mod__(self, other: Size) -> Size:
        return mod(self, other) if self._takes(other) else NotImplemented

    def __rmod__(self, other: Size) -> Size:
        return mod(other, self) if self._takes(other) else NotImplemented

    def __truediv__(self, other: object) -> float:
        return self.__int__() if isinstance(other, Real | Dim) else NotImplemented

    def __pow__(self, other: object) -> float:
        return self.__int__() if isinstance(other, Real | Dim) else NotImplemented

    __rtruediv__ = __truediv__
    __rpow__ = __pow__

    def __float__(self) -> float:
        return float(self.__int__())

    def __int__(self) -> int:
        raise SizeNeededError(
            f"the size {self} is known only when the program runs, and Python asked for its number",
            symbols_of(self),
        )

    __index__ = __int__

    def __bool__(self) -> bool:
        return True if is_positive(self) else bool(self.__int__())

    def _order(self, other: Size, strict: bool) -> bool:
        """Is `self - other` positive (or not negative)? Raises where no bound decides it."""
        difference = self - other
        if isinstance(difference, int):
            return difference > 0 if strict else difference >= 0
        if is_positive(difference) if strict else is_nonnegative(difference):
            return True
        if is_nonnegative(-difference) if strict else is_positive(-difference):
            return False
        return bool(self.__int__())

    def __gt__(self, other: Size) -> bool:
        return self._order(other, strict=True)

    def __ge__(self, other: Size) -> bool:
        return self._order(other, strict=False)

    def __lt__(self, other: Size) -> bool:
        return not self._order(other, strict=False)

    def __le__(self, other: Size) -> bool:
        return not self._order(other, strict=True)


Size: TypeAlias = "int | Dim"
Shape: TypeAlias = "tuple[Size, ...]"
Sizes: TypeAlias = "Mapping[str, Size]"


def symbol(name: str) -> Dim:
    """The size called `name`, an identifier."""
    if not name.isidentifier() or name in ("min", "max", "inf", "nan"):
        raise ValueError(
            f"a symbol must be an identifier other than min, max, inf, nan; got {name!r}"
        )
    return Dim(((((name, 1),), 1),))


def floordiv(a: Size, b: Size) -> Size:
    """`a // b`, rounded down; `b` must not be 0."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    if b == 1:
        return a
    if isinstance(b, int):
        whole, rest = _divisible(a, b)
        left = _polynomial(rest)
        if isinstance(left, int):
            return whole + left // b
        return whole + _atom(Call("floordiv", left, b))
    quotient = _exact_quotient(a, b)
    return quotient if quotient is not None else _atom(Call("floordiv", a, b))


def mod(a: Size, b: Size) -> Size:
    """`a - a // b * b`: the sign of `b`, as in Python."""
    if isinstance(a, int) and isinstance(b, int):
        return a % b
    if isinstance(b, int):
        left = _polynomial(_divisible(a, b)[1])
        return left % b if isinstance(left, int) else _atom(Call("mod", left, b))
    return 0 if _exact_quotient(a, b) is not None else _atom(Call("mod", a, b))


def minimum(a: Size, b: Size) -> Size:
    """The smaller size."""
    return _choose("min", a, b)


def maximum(a: Size, b: Size) -> Size:
    """The larger size."""
    return _choose("max", a, b)


def largest(sizes: Iterable[Size]) -> Size:
    """The largest of sizes of at least 0, and 0 of none: a balanced nest, as many may differ."""
    left = list(dict.fromkeys(sizes))
    while len(left) > 1:
        pairs = [maximum(a, b) for a, b in zip(left[::2], left[1::2], strict=False)]
        left = list(dict.fromkeys(pairs + left[len(pairs) * 2 :]))
    return left[0] if left else 0


def product(sizes: Iterable[Size]) -> Size:
    """The product of all sizes, 1 of none."""
    total: Size = 1
    for size in sizes:
        total = total * size
    return total


def symbols_of(size: Size) -> tuple[str, ...]:
    """The names of the symbols in `size`, sorted."""
    return () if isinstance(size, int) else _symbols_of(size)


@functools.lru_cache(4096)
def _symbols_of(size: Dim) -> tuple[str, ...]:
    found: set[str] = set()
    pending: list[Size] = [size]
    while pending:
        part = pending.pop()
        if isinstance(part, int):
            continue
        for monomial, _ in part.terms:
            for atom, _ in monomial:
                if isinstance(atom, str):
                    found.add(atom)
                else:
                    pending += [atom.a, atom.b]
    return tuple(sorted(found))


def bind_size(size: Size, sizes: Sizes) -> Size:
    """`size` with symbols replaced; symbols that `sizes` does not name stay."""
    if isinstance(size, int):
        return size
    total: Size = 0
    for monomial, coefficient in size.terms:
        part: Size = coefficient
        for atom, power in monomial:
            part = part * product([_bind_atom(atom, sizes)] * power)
        total = total + part
    return total


def is_nonnegative(size: Size) -> bool:
    """Is `size >= 0` for all values of its symbols? False where that cannot be told."""
    if isinstance(size, int):
        return size >= 0
    return all(k > 0 and _monomial_nonnegative(m) for m, k in size.terms)


def is_positive(size: Size) -> bool:
    """Is `size >= 1` for all values of its symbols? False where that cannot be told."""
    return is_nonnegative(size - 1)


def _terms(size: Size) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(size, Dim):
        return size.terms
    return (((), int(size)),)


# A graph has few sizes, and passes compute with them again and again.
@functools.lru_cache(4096)
def _sum_of(a: Dim, b: Size) -> Size:
    return _polynomial([*a.terms, *_terms(b)])


@functools.lru_cache(4096)
def _product_of(a: Dim, b: Size) -> Size:
    return _polynomial([(_times(m, n), j * k) for m, j in a.terms for n, k in _terms(b)])


def _polynomial(terms: Iterable[tuple[Monomial, int]]) -> Size:
    total: dict[Monomial, int] = {}
    for monomial, coefficient in terms:
        total[monomial] = total.get(monomial, 0) + coefficient
    kept = [(m, k) for m, k in total.items() if k]
    if all(not m for m, _ in kept):
        return sum(k for _, k in kept)
    # the constant comes last, so that sizes read as `2*batch+1`
    return Dim(tuple(sorted(kept, key=lambda term: (not term[0], _monomial_text(term[0])))))


def _times(m: Monomial, n: Monomial) -> Monomial:
    if not m or not n:
        return m or n
    powers: dict[Atom, int] = dict(m)
    for atom, power in n:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: str(item[0])))


def _atom(call: Call) -> Size:
    return Dim(((((call, 1),), 1),))


def _divisible(size: Size, divisor: int) -> tuple[Size, list[tuple[Monomial, int]]]:
    """`size` as `divisor * quotient + rest`: the quotient and the terms of the rest."""
    quotient: list[tuple[Monomial, int]] = []
    rest: list[tuple[Monomial, int]] = []
    for monomial, coefficient in _terms(size):
        if coefficient % divisor == 0:
            quotient.append((monomial, coefficient // divisor))
        elif not monomial:
            quotient.append((monomial, coefficient // divisor))
            rest.append((monomial, coefficient % divisor))
        else:
            rest.append((monomial, coefficient))
    return _polynomial(quotient), rest


def _exact_quotient(a: Size, b: Dim) -> Size | None:
    """`a / b` where that is a polynomial and `b` a single term, or `a` a multiple of `b`."""
    if len(b.terms) == 1:
        (divisor, k), quotient = b.terms[0], []
        for monomial, coefficient in _terms(a):
            powers = dict(monomial)
            for atom, power in divisor:
                powers[atom] = powers.get(atom, 0) - power
            if coefficient % k or min(powers.values()) < 0:
                return None
            left = tuple((atom, power) for atom, power in powers.items() if power)
            quotient.append((left, coefficient // k))
        return _polynomial(quotient)
    if isinstance(a, Dim) and len(a.terms) == len(b.terms):
        ratio = a.terms[0][1] // b.terms[0][1]
        if ratio * b == a:
            return ratio
    return None


def _choose(kind: str, a: Size, b: Size) -> Size:
    if isinstance(a, int) and isinstance(b, int):
        return min(a, b) if kind == "min" else max(a, b)
    if is_nonnegative(a - b):
        return b if kind == "min" else a
    if is_nonnegative(b - a):
        return a if kind == "min" else b
    a, b = sorted((a, b), key=str)
    return _atom(Call(kind, a, b))


def _bind_atom(atom: Atom, sizes: Sizes) -> Size:
    if isinstance(atom, str):
        return sizes[atom] if atom in sizes else symbol(atom)
    a, b = bind_size(atom.a, sizes), bind_size(atom.b, sizes)
    if atom.kind in ("min", "max"):
        return _choose(atom.kind, a, b)
    return floordiv(a, b) if atom.kind == "floordiv" else mod(a, b)


def _monomial_nonnegative(monomial: Monomial) -> bool:
    return all(power % 2 == 0 or _atom_nonnegative(atom) for atom, power in monomial)


def _atom_nonnegative(atom: Atom) -> bool:
    if isinstance(atom, str):
        return True
    a, b = is_nonnegative(atom.a), is_nonnegative(atom.b)
    match atom.kind:
        case "floordiv":
            return a and b
        case "mod":
            return b
        case "min":
            return a and b
    return a or b


def _monomial_text(monomial: Monomial) -> str:
    return "*".join(str(atom) for atom, power in monomial for _ in range(power))


def _term_text(monomial: Monomial, coefficient: int) -> str:
    if not monomial:
        return str(coefficient)
    text = _monomial_text(monomial)
    return {1: text, -1: f"-{text}"}.get(coefficient, f"{coefficient}*{text}")


def _wrapped(size: Size) -> str:
    plain = isinstance(size, int) and size >= 0
    plain |= (
        isinstance(size, Dim)
        and len(size.terms) == 1
        and size.terms[0][1] == 1
        and sum(p for _, p in size.terms[0][0]) == 1
    )
    return str(size) if plain else f"({size})"


def size_gcd(size: Size) -> int:
    """The largest int that divides `size` whatever its symbols are; 0 for the size 0."""
    return math.gcd(*(k for _, k in _terms(size)))
