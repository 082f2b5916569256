"""Fits the polynomials of kgraph/codegen/llvm/coefficients.py; prints that file. Wants mpmath.

Each is the polynomial of least maximal weighted error on an interval, by Remez's exchange in 50
digits, rounded to float64 in the end (float32 kernels round it again).
"""

from collections.abc import Callable
from typing import Any

from mpmath import cos, erf, erfc, erfinv, exp, log, lu_solve, matrix, mp, mpf, pi, sin, sqrt

Real = Any
mp.dps = 50

# Of the pieces of float32's erf: their distance, for which the last begins where erf is 1, and how
# many of the first are those of erf(x) - x.
PIECE, NEAR = 67 / 256, 4


def remez(
    function: Callable[[Real], Real],
    weight: Callable[[Real], Real],
    low: Real,
    high: Real,
    degree: int,
) -> tuple[list[float], float]:
    """Coefficients, lowest first, that minimise max |p - function| / weight on the interval."""
    low, high = mpf(low), mpf(high)
    count = degree + 2
    nodes = [(low + high) / 2 - (high - low) / 2 * cos(pi * k / (count - 1)) for k in range(count)]
    grid = [(low + high) / 2 - (high - low) / 2 * cos(pi * k / (24 * count))
            for k in range(24 * count + 1)]  # fmt: skip
    values = [(x, function(x), weight(x)) for x in grid]
    coefficients: list[Real] = []
    for _ in range(8):
        rows, right = [], []
        for k, x in enumerate(nodes):
            rows.append([x**power for power in range(degree + 1)] + [(-1) ** k * weight(x)])
            right.append(function(x))
        solution = lu_solve(matrix(rows), matrix(right))
        coefficients = [solution[k] for k in range(degree + 1)]
        errors = [(polynomial(coefficients, x) - y) / w for x, y, w in values]
        nodes = extremes(grid, errors, count)
    return [float(item) for item in coefficients], float(max(abs(item) for item in errors))


def polynomial(coefficients: list[Real], x: Real) -> Real:
    """Its value, by Horner's rule."""
    total = mpf(0)
    for item in reversed(coefficients):
        total = total * x + item
    return total


def extremes(grid: list[Real], errors: list[Real], count: int) -> list[Real]:
    """The largest error of each run of one sign; `count` neighbouring runs of them."""
    runs: list[int] = []
    for k, error in enumerate(errors):
        if runs and errors[runs[-1]] * error > 0:
            if abs(error) > abs(errors[runs[-1]]):
                runs[-1] = k
        else:
            runs.append(k)
    while len(runs) > count:
        runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
    if len(runs) != count:
        raise ArithmeticError("the exchange lost a node: try another degree or interval")
    return [grid[k] for k in runs]


def relative_below(threshold: Real, part: Callable[[Real], Real]) -> Callable[[Real], Real]:
    """A weight that stays away from zero."""
    return lambda x: max(abs(part(x)), mpf(threshold))


def expm1_tail(r: Real) -> Real:
    """(e^r - 1 - r) / r^2."""
    return (exp(r) - 1 - r) / r**2 if abs(r) > mpf(10) ** -15 else mpf(1) / 2 + r / 6


def log_tail(x: Real) -> Real:
    """(log(1 + x) - x + x^2 / 2) / x^3."""
    if abs(x) < mpf(10) ** -12:
        return mpf(1) / 3 - x / 4
    return (log(1 + x) - x + x**2 / 2) / x**3


def atanh_tail(z: Real) -> Real:
    """(log((1 + s) / (1 - s)) - 2s) / s for z = s^2."""
    s = sqrt(z)
    if z < mpf(10) ** -20:
        return z * 2 / 3
    return (log((1 + s) / (1 - s)) - 2 * s) / s


def over_z(part: Callable[[Real], Real], limit: Real) -> Callable[[Real], Real]:
    """part(z) / z with its limit at 0."""
    return lambda z: part(z) / z if z > mpf(10) ** -20 else mpf(limit)


def sine_tail(z: Real) -> Real:
    """(sin r - r) / r^3 for z = r^2."""
    r = sqrt(z)
    return (sin(r) - r) / r**3 if z > mpf(10) ** -20 else mpf(-1) / 6


def cosine_tail(z: Real) -> Real:
    """(cos r - 1 + z / 2) / z^2 for z = r^2."""
    return (cos(sqrt(z)) - 1 + z / 2) / z**2 if z > mpf(10) ** -16 else mpf(1) / 24


def atan_tail(z: Real) -> Real:
    """(atan r - r) / r^3 for z = r^2."""
    r = sqrt(z)
    return (mp.atan(r) - r) / r**3 if z > mpf(10) ** -20 else mpf(-1) / 3


def asin_tail(z: Real) -> Real:
    """(asin r - r) / r^3 for z = r^2."""
    r = sqrt(z)
    return (mp.asin(r) - r) / r**3 if z > mpf(10) ** -20 else mpf(1) / 6


def sinh_tail(z: Real) -> Real:
    """(sinh r - r) / r^3 for z = r^2."""
    r = sqrt(z)
    return (mp.sinh(r) - r) / r**3 if z > mpf(10) ** -20 else mpf(1) / 6


def asinh_tail(z: Real) -> Real:
    """(asinh r - r) / r^3 for z = r^2."""
    r = sqrt(z)
    return (mp.asinh(r) - r) / r**3 if z > mpf(10) ** -20 else mpf(-1) / 6


def erf_ratio(z: Real) -> Real:
    """erf(r) / r - 1 for z = r^2."""
    r = sqrt(z)
    return (erf(r) / r if z > mpf(10) ** -20 else 2 / sqrt(pi)) - 1


def erf_pieces() -> tuple[list[list[float]], float]:
    """By power, and for each piece: of erf(k PIECE + r), less its argument in the first `NEAR`."""
    pieces: list[list[float]] = []
    worst = 0.0
    half = mpf(PIECE) / 2
    for k in range(16):
        middle = k * mpf(PIECE)
        taken = 1 if k < NEAR else 0
        function = lambda r, c=middle, t=taken: erf(c + r) - t * (c + r)  # noqa: E731
        weight = lambda r, c=middle: erf(c + r)  # noqa: E731
        if k:
            found, error = remez(function, weight, -half, half, 5)
        else:
            found, error = remez(lambda r: erf_ratio(r * r), one, 0, half, 4)
            found = [0.0, *found]
        pieces.append(found)
        worst = max(worst, error)
    return [list(column) for column in zip(*pieces, strict=True)], worst


def log2_erfc(x: Real) -> Real:
    """The exponent of erfc."""
    return log(erfc(x)) / log(2)


def per_erfc(x: Real) -> Real:
    """Error of erfc's exponent as that of erfc."""
    return 1 / (erfc(x) * log(2))


def exp2_tail(r: Real) -> Real:
    """(2^r - 1) / r."""
    return (mpf(2) ** r - 1) / r if abs(r) > mpf(10) ** -20 else log(2)


def exp2_weight(r: Real) -> Real:
    """Error of r p(r) relative to 2^r."""
    return mpf(2) ** r / max(abs(r), mpf("1e-3"))


def erfcx_of(t: Real) -> Real:
    """exp(x^2) erfc(x) for t = (x - 3) / (x + 3)."""
    x = 3 * (1 + t) / (1 - t)
    return exp(x * x) * erfc(x)


def erfinv_ratio(w: Real) -> Real:
    """erf_inv(x) / x for w = -log(1 - x^2)."""
    x = sqrt(-mp.expm1(-w))
    return erfinv(x) / x if w > mpf(10) ** -18 else sqrt(pi) / 2


def one(_: Real) -> Real:
    """A constant weight: absolute error."""
    return mpf(1)


HALF = mpf("0.5") * mpf("1.0001")
HALF_LN2 = log(2) * HALF
QUARTER_PI = (pi / 4 * mpf("1.0001")) ** 2


def exp_weight(r: Real) -> Real:
    """Error of r^2 p(r) relative to expm1(r), the stricter of its two uses."""
    return abs(mp.expm1(r)) / r**2 if abs(r) > mpf("1e-3") else mpf(1000)


def log_weight(x: Real) -> Real:
    """Error of x^3 p(x) relative to log(1 + x)."""
    return abs(log(1 + x) / x**3) if abs(x) > mpf("1e-3") else mpf(10) ** 6


def near(middle: float) -> Callable[[Real], Real]:
    """erf_inv(x) / x as a function of w - middle."""
    return lambda u: erfinv_ratio(u + middle)


def near_root(middle: float) -> Callable[[Real], Real]:
    """erf_inv(x) / x as a function of sqrt(w) - middle."""
    return lambda u: erfinv_ratio((u + middle) ** 2)


def main() -> None:
    """Prints the file."""
    t = lambda x: (mpf(x) - 3) / (mpf(x) + 3)  # noqa: E731
    root = lambda w: sqrt(mpf(w))  # noqa: E731
    fits = {
        "EXP_32": (expm1_tail, exp_weight, -HALF_LN2, HALF_LN2, 5),
        "EXP2_32": (exp2_tail, exp2_weight, -HALF, HALF, 5),
        "EXP_64": (expm1_tail, exp_weight, -HALF_LN2, HALF_LN2, 9),
        "LOG_32": (log_tail, log_weight, sqrt(mpf(1) / 2) - 1, sqrt(2) - 1, 8),
        "LOG_64": (over_z(atanh_tail, mpf(2) / 3), one, 0, mpf("0.02944"), 7),
        "SINE_32": (sine_tail, one, 0, QUARTER_PI, 2),
        "SINE_64": (sine_tail, one, 0, QUARTER_PI, 5),
        "COSINE_32": (cosine_tail, one, 0, QUARTER_PI, 2),
        "COSINE_64": (cosine_tail, one, 0, QUARTER_PI, 5),
        "ATAN_64": (atan_tail, one, 0, mpf("0.1716"), 10),
        "ASIN_64": (asin_tail, one, 0, mpf("0.25"), 12),
        "SINH_32": (sinh_tail, one, 0, 1, 3),
        "ASINH_32": (asinh_tail, one, 0, mpf("0.2809"), 4),
        "ERF_32": (erf_ratio, one, 0, 1, 6),
        "ERF_64": (erf_ratio, one, 0, 1, 12),
        "ERF_TAIL_32": (log2_erfc, per_erfc, mpf("0.99"), mpf("3.95"), 6),
        "ERF_TAIL_64": (erfcx_of, erfcx_of, t(1), t(6), 16),
        "ERF_INV_NEAR_32": (near(2.5), near(2.5), mpf("-2.5"), mpf("2.5"), 10),
        "ERF_INV_FAR_32": (near_root(3.25), near_root(3.25), root(5) - 3.25, root(18) - 3.25, 10),
        "ERF_INV_NEAR_64": (near(3.125), near(3.125), mpf("-3.125"), mpf("3.125"), 23),
        "ERF_INV_FAR_64": (near_root(3.25), near_root(3.25), mpf("-0.75"), mpf("0.75"), 19),
        "ERF_INV_END_64": (near_root(5.125), near_root(5.125), mpf("-1.125"), mpf("1.125"), 18),
    }
    print('"""Polynomial coefficients, lowest power first; made by tools/fit_polynomials.py."""')
    print()
    for name, arguments in fits.items():
        coefficients, error = remez(*arguments)
        print(f"# Largest weighted error {error:.1e}.")
        print(f"{name} = (")
        for item in coefficients:
            print(f"    {item!r},")
        print(")")
    columns, error = erf_pieces()
    print(
        "# Around multiples of the first number; by power, for each of 16: of erf(x), or erf(x) - x"
    )
    print(f"# in the first {NEAR}. Largest weighted error {error:.1e}.")
    print(f"ERF_PIECE_32, ERF_NEAR_32 = {PIECE!r}, {NEAR}")
    print("ERF_PIECES_32 = (")
    for column in columns:
        print("    (")
        for item in column:
            print(f"        {item!r},")
        print("    ),")
    print(")")


if __name__ == "__main__":
    main()
