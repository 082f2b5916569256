"""Functions of float64 arrays that numpy lacks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x: NDArray[Any]) -> NDArray[Any]:
    """The error function, by the C library's."""
    return np.asarray(_erf(x)).astype(np.float64)


def erf_inv(x: NDArray[Any]) -> NDArray[Any]:
    """The inverse of erf, to about 1e-15 of itself.

    M. J. Wichura, Algorithm AS 241: The Percentage Points of the Normal Distribution (Applied
    Statistics 37, 1988), for the percentage (1 + x) / 2, divided by the square root of two.
    """
    size = np.abs(x)
    tail = 0.5 - 0.5 * size  # the percentage that is left, exact where it matters
    r = np.sqrt(-np.log(np.where(size < 1, tail, 0.5)))
    middle = 0.180625 - 0.25 * x * x
    near = 0.5 * size * _ratio(middle, _MIDDLE)
    far = np.where(r <= 5, _ratio(r - 1.6, _TAIL), _ratio(r - 5, _FAR_TAIL))
    inside = np.where(size <= 0.85, near, far) * math.sqrt(0.5)
    edge = np.where(size == 1, np.inf, np.nan)
    y: NDArray[Any] = np.copysign(np.where(size < 1, inside, edge), x)
    return y


def _ratio(r: NDArray[Any], tables: tuple[Sequence[float], Sequence[float]]) -> NDArray[Any]:
    ratio: NDArray[Any] = _polynomial(r, tables[0]) / _polynomial(r, tables[1])
    return ratio


def _polynomial(r: NDArray[Any], coefficients: Sequence[float]) -> NDArray[Any]:
    """The lowest power first."""
    total: NDArray[Any] = np.full_like(r, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * r + c
    return total


# numerators and denominators of the paper: a and b, c and d, e and f
_MIDDLE = (
    (
        3.387132872796366608, 133.14166789178437745,
        1971.5909503065514427, 13731.693765509461125,
        45921.953931549871457, 67265.770927008700853,
        33430.575583588128105, 2509.0809287301226727,
    ),
    (
        1.0, 42.313330701600911252,
        687.18700749205790830, 5394.1960214247511077,
        21213.794301586595867, 39307.895800092710610,
        28729.085735721942674, 5226.4952788528545610,
    ),
)  # fmt: skip
_TAIL = (
    (
        1.42343711074968357734, 4.63033784615654529590,
        5.76949722146069140550, 3.64784832476320460504,
        1.27045825245236838258, 0.241780725177450611770,
        0.0227238449892691845833, 7.74545014278341407640e-4,
    ),
    (
        1.0, 2.05319162663775882187,
        1.67638483018380384940, 0.689767334985100004550,
        0.148103976427480074590, 0.0151986665636164571966,
        5.47593808499534494600e-4, 1.05075007164441684324e-9,
    ),
)  # fmt: skip
_FAR_TAIL = (
    (
        6.65790464350110377720, 5.46378491116411436990,
        1.78482653991729133580, 0.296560571828504891230,
        0.0265321895265761230930, 1.24266094738807843860e-3,
        2.71155556874348757815e-5, 2.01033439929228813265e-7,
    ),
    (
        1.0, 0.599832206555887937690,
        0.136929880922735805310, 0.0148753612908506148525,
        7.86869131145613259100e-4, 1.84631831751005468180e-5,
        1.42151175831644588870e-7, 2.04426310338993978564e-15,
    ),
)  # fmt: skip
