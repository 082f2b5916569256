"""Convolution, with its gradients as convolutions under other dimension numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.dims import Size
from kgraph.ir.graph import Array, Op, Value
from kgraph.ir.locality import Combine, Locality, Rows
from kgraph.ir.ops.common import accumulator, ints, is_empty, pad_array, positions, span, zeros
from kgraph.ir.types import TensorType, is_float

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


ALGORITHMS = (
    "direct", *(f"winograd_{m}{form}" for form in ("", "_adjoint") for m in (2, 4, 5, 6)),
    *(f"winograd_{m}_or_2" for m in (4, 5, 6)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Roles:
    """The three parts of `b01f_01io->b01f`: a letter for the role of each dim, digits for the
    spatial ones.
    """

    lhs: str
    rhs: str
    out: str

    @property
    def spatial(self) -> str:
        """The digits."""
        return "".join(sorted(set(self.out) - {"b", "f"}))

    def __str__(self) -> str:
        return f"{self.lhs}_{self.rhs}->{self.out}"


@lru_cache(maxsize=256)
def parse_roles(dims: str) -> Roles | None:
    """The roles that `dims` spells; None where it is malformed."""
    operands, _, out = dims.partition("->")
    lhs, _, rhs = operands.partition("_")
    digits = "".join(str(i) for i in range(len(out) - 2))
    good = sorted(lhs) == sorted(out) == sorted(digits + "bf") and sorted(rhs) == sorted(
        digits + "io"
    )
    return Roles(lhs, rhs, out) if good else None


class Convolution(Op):
    """Slides rhs (the kernel) over lhs and sums the products, over taps and input features.

    `dims` names the role of each dim: b batch, f feature, i and o input and output feature, digits
    are spatial dims; the tuples have an entry for each digit. lhs gets `lhs_dilation - 1` zeros
    between neighbours, then `padding` (negative: it is cropped); the taps lie `rhs_dilation` apart;
    a `reversal` reads the kernel backwards. With `feature_groups`, group g of the input features
    meets group g of the output features only; with `batch_groups`, group g of the batch makes group
    g of the output features. 16-bit floats accumulate in float32 and are rounded once. A symbolic
    spatial size is taken to be at least 1 where it is dilated.

    `algorithm` says how a backend computes it, and with which rounding: `winograd_m` has tiles of
    m x m outputs, or of m x m inputs with `_adjoint`; with `_or_2`, a batch of one has tiles of
    2 x 2.

    C1  `dims` is well-formed and has the ranks of lhs and rhs.
    C2  lhs and rhs have one dtype, of numbers.
    C3  `strides`, `padding`, `lhs_dilation`, `rhs_dilation` and `reversal` have an entry for each
        spatial dim.
    C4  Strides, dilations and group counts are at least 1.
    C5  The features of lhs are `feature_groups` times the input features of rhs.
    C6  The output features are a multiple of both group counts, the batch of `batch_groups`.
    C7  At most one of `feature_groups` and `batch_groups` exceeds 1.
    C8  `algorithm` is one of `ALGORITHMS`; another than `direct` wants strides, dilations and group
        counts of 1, of floats.
    """

    lhs: Value
    rhs: Value
    dims: str
    strides: tuple[int, ...]
    padding: tuple[tuple[Size, Size], ...]
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    reversal: tuple[bool, ...]
    feature_groups: int
    batch_groups: int
    algorithm: str = "direct"

    @property
    def roles(self) -> Roles:
        """The parts of `dims`."""
        roles = parse_roles(self.dims)
        if (
            roles is None
            or len(roles.lhs) != self.lhs.type.rank
            or len(roles.rhs) != self.rhs.type.rank
        ):
            raise self.error(
                "C1",
                f"`dims` must name the dims of {self._types()}; got {self.dims!r}",
            )
        return roles

    def infer(self) -> TensorType:
        roles = self.roles
        if self.lhs.dtype != self.rhs.dtype or self.lhs.dtype == "bool":
            raise self.error(
                "C2",
                f"lhs and rhs must have one dtype of numbers; got {self._types()}",
            )
        per_dim = (self.strides, self.padding, self.lhs_dilation, self.rhs_dilation, self.reversal)
        if any(len(entries) != len(roles.spatial) for entries in per_dim):
            raise self.error(
                "C3", f"each tuple must have {len(roles.spatial)} entries; got {per_dim}"
            )
        if (
            min(
                *self.strides,
                *self.lhs_dilation,
                *self.rhs_dilation,
                self.feature_groups,
                self.batch_groups,
                1,
            )
            < 1
        ):
            raise self.error("C4", "strides, dilations and group counts must be at least 1")
        sizes = self._features(roles)
        self._check_algorithm()
        for i, s in enumerate(roles.spatial):
            sizes[s] = positions(self._padded(i), self._window(i), self.strides[i])
        return TensorType(tuple([sizes[r] for r in roles.out]), self.lhs.dtype)

    def _features(self, roles: Roles) -> dict[str, Size]:
        x = dict(zip(roles.lhs, self.lhs.shape, strict=True))
        w = dict(zip(roles.rhs, self.rhs.shape, strict=True))
        if x["f"] != w["i"] * self.feature_groups:
            raise self.error(
                "C5",
                f"lhs: {self.lhs.type} must have {self.feature_groups} times the input features of "
                f"rhs: {self.rhs.type} under {self.dims}; got {x['f']} and {w['i']}",
            )
        groups = max(self.feature_groups, self.batch_groups)
        if w["o"] % groups != 0 or x["b"] % self.batch_groups != 0:
            raise self.error(
                "C6",
                f"{w['o']} output features or a batch of {x['b']} are no {groups} groups",
            )
        if self.feature_groups > 1 and self.batch_groups > 1:
            raise self.error(
                "C7",
                f"got feature_groups={self.feature_groups} and batch_groups={self.batch_groups}",
            )
        return {"b": x["b"] // self.batch_groups, "f": w["o"]}

    def _check_algorithm(self) -> None:
        if self.algorithm == "direct":
            return
        ones = (*self.strides, *self.lhs_dilation, *self.rhs_dilation)
        plain = {*ones, self.feature_groups, self.batch_groups} == {1} and is_float(self.lhs.dtype)
        if self.algorithm not in ALGORITHMS or not plain:
            raise self.error(
                "C8",
                f"`algorithm` must be one of {', '.join(ALGORITHMS)}, the latter without strides, "
                f"dilations and groups, of floats; got {self.algorithm!r}",
            )

    def _types(self) -> str:
        return f"{self.lhs.type} and {self.rhs.type}"

    def _sizes(self, i: int) -> tuple[Size, Size]:
        """The sizes of lhs and rhs in spatial dim i."""
        roles = self.roles
        return self.lhs.shape[roles.lhs.index(str(i))], self.rhs.shape[roles.rhs.index(str(i))]

    def _padded(self, i: int) -> Size:
        low, high = self.padding[i]
        return span(self._sizes(i)[0], self.lhs_dilation[i]) + low + high

    def _window(self, i: int) -> Size:
        return span(self._sizes(i)[1], self.rhs_dilation[i])

    def reference(self, lhs: Array, rhs: Array) -> Array:
        roles, wide = self.roles, accumulator(self.lhs.dtype)
        spatial, groups = roles.spatial, max(self.feature_groups, self.batch_groups)
        x = np.transpose(lhs, [roles.lhs.index(r) for r in "b" + spatial + "f"]).astype(
            wide, copy=False
        )
        w = np.transpose(rhs, [roles.rhs.index(r) for r in spatial + "io"]).astype(wide, copy=False)
        w = np.flip(w, tuple(i for i, reverse in enumerate(self.reversal) if reverse))
        low, high = [0, *[lo for lo, _ in self.padding], 0], [0, *[hi for _, hi in self.padding], 0]
        x = pad_array(x, 0, ints(low), ints(high), (1, *self.lhs_dilation, 1))
        # the group comes first: x [group, batch, spatial, feature], w [spatial, group, feature,
        # output feature]
        n = x.shape[0] // self.batch_groups
        x = x.reshape(
            self.batch_groups,
            n,
            *x.shape[1:-1],
            self.feature_groups,
            x.shape[-1] // self.feature_groups,
        )
        x = np.moveaxis(x, -2, 0).reshape(groups, n, *x.shape[2:-2], x.shape[-1])
        w = np.moveaxis(w.reshape(*w.shape[:-1], groups, w.shape[-1] // groups), -2, -3)
        out = [self.result.shape[roles.out.index(s)] for s in spatial]
        y = _correlate(x, w, ints(out), self.strides, self.rhs_dilation)
        y = np.moveaxis(y, 0, -2).reshape(*y.shape[1:-1], groups * y.shape[-1])
        y = np.transpose(y, [("b" + spatial + "f").index(r) for r in roles.out])
        return y.astype(lhs.dtype, copy=False)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """Both gradients are convolutions: of g and the reversed kernel, and of lhs and g with the
        batch contracted.
        """
        (g,) = grads
        assert g is not None
        if is_empty(g) or is_empty(self.lhs) or is_empty(self.rhs):
            return zeros(b, self.lhs), zeros(b, self.rhs)
        return self._vjp_lhs(b, g), self._vjp_rhs(b, g)

    def _vjp_lhs(self, b: Builder, g: Value) -> Value:
        roles, groups = self.roles, max(self.feature_groups, self.batch_groups)
        w, spatial = self.rhs, Roles(roles.out, roles.rhs.translate(_SWAP), roles.lhs)
        if (
            groups > 1
        ):  # [i, o = group * each] becomes [group * i, each], for the groups of g's features
            w = _regroup(b, w, roles.rhs.index("o"), roles.rhs.index("i"), groups)
        x: Value = b.convolution(
            g, w, str(spatial), self.lhs_dilation, self._padding_of(g), self.strides,
            self.rhs_dilation, tuple(not r for r in self.reversal), groups, 1,
        )  # fmt: skip
        if self.batch_groups > 1:
            x = _regroup(b, x, roles.lhs.index("f"), roles.lhs.index("b"), groups)
        return x

    def _vjp_rhs(self, b: Builder, g: Value) -> Value:
        """lhs slides over g where lhs is the dilated one, else g over lhs: no inserted zero is met.

        Either way finds the taps in an order, the former from the last one on.
        """
        roles, reversal = self.roles, self.reversal
        single = self.feature_groups == self.batch_groups == 1
        if single and max(self.lhs_dilation, default=1) > max(self.strides, default=1):
            turned = Roles(
                roles.out.translate(_CONTRACTED), roles.lhs.translate(_TO_KERNEL),
                roles.rhs.translate(str.maketrans("io", "fb")),
            )  # fmt: skip
            w: Value = b.convolution(
                g, self.lhs, str(turned), self.rhs_dilation, self._padding_of(g), self.strides,
                self.lhs_dilation, (False,) * len(self.strides), 1, 1,
            )  # fmt: skip
            reversal = tuple(not r for r in reversal)
        else:
            padding = []
            for i in range(len(self.strides)):
                n, k = span(self._sizes(i)[0], self.lhs_dilation[i]), self._window(i)
                low = self.padding[i][0]
                padding.append((low, k - 1 + self._moved(i, g) - n - low))
            turned = Roles(
                roles.lhs.translate(_CONTRACTED), roles.out.translate(_TO_KERNEL),
                roles.rhs.translate(str.maketrans("io", "bf")),
            )  # fmt: skip
            w = b.convolution(
                self.lhs, g, str(turned), self.rhs_dilation, tuple(padding), self.lhs_dilation,
                self.strides, (False,) * len(self.strides), self.batch_groups, self.feature_groups,
            )  # fmt: skip
        backwards = tuple(sorted(roles.rhs.index(str(i)) for i, r in enumerate(reversal) if r))
        return b.reverse(w, backwards) if backwards else w

    def _padding_of(self, g: Value) -> tuple[tuple[Size, Size], ...]:
        """Of g, so that each place of lhs meets all taps."""
        padding = []
        for i in range(len(self.strides)):
            n, k = span(self._sizes(i)[0], self.lhs_dilation[i]), self._window(i)
            low = k - 1 - self.padding[i][0]
            padding.append((low, n + k - 1 - self._moved(i, g) - low))
        return tuple(padding)

    def _moved(self, i: int, g: Value) -> Size:
        """The size of g's spatial dim i with the strides between its elements."""
        return span(g.shape[self.roles.out.index(str(i))], self.strides[i])

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        (x, w), roles = carried, self.roles
        lhs = "" if x is None else roles.lhs[x]
        rhs = "" if w is None else roles.rhs[w]
        single = self.feature_groups == self.batch_groups == 1
        if (lhs, rhs) == ("b", "") and self.batch_groups == 1:
            return (Rows(roles.out.index("b")),)
        if (lhs, rhs) == ("", "o") and single:
            return (Rows(roles.out.index("f")),)
        return (Combine("sum"),) if (lhs, rhs) == ("f", "i") and self.feature_groups == 1 else None


_SWAP = str.maketrans("io", "oi")
_CONTRACTED = str.maketrans("bf", "fb")
_TO_KERNEL = str.maketrans("bf", "io")


def _regroup(b: Builder, v: Value, split: int, into: int, groups: int) -> Value:
    """Makes the groups, the outer part of dim `split`, the outer part of dim `into`."""
    shape = list(v.shape)
    each = shape[split] // groups
    apart = [*shape[:split], groups, each, *shape[split + 1 :]]
    order = [d for d in range(len(apart)) if d != split]
    order.insert(order.index(into + (into > split)), split)
    shape[split], shape[into] = each, shape[into] * groups
    merged: Value = b.reshape(b.transpose(b.reshape(v, tuple(apart)), tuple(order)), tuple(shape))
    return merged


def _correlate(
    x: Array, w: Array, out: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> Array:
    """x [group, batch, spatial, feature] with w [taps, group, feature, output feature], a matrix
    product per step.

    A step is a tap or a place of the window, whichever there are fewer of.
    """
    groups, n, features, taps = x.shape[0], x.shape[1], x.shape[-1], w.shape[: len(out)]
    y = np.zeros((groups, n, *out, w.shape[-1]), x.dtype)
    if 0 in y.shape or 0 in w.shape:
        return y
    if math.prod(out) < math.prod(taps):
        kernel = np.moveaxis(w, -3, 0).reshape(groups, -1, w.shape[-1])
        for place in np.ndindex(*out):
            start = [p * s for p, s in zip(place, strides, strict=True)]
            window = x[:, :, *_steps(start, taps, dilation)]
            y[:, :, *place] = np.matmul(window.reshape(groups, n, -1), kernel)
        return y
    for tap in np.ndindex(*taps):
        part = x[:, :, *_steps([t * d for t, d in zip(tap, dilation, strict=True)], out, strides)]
        if features == 1:
            y += part * w[tap].reshape(groups, 1, *[1] * len(out), -1)
        else:
            y += np.matmul(part.reshape(groups, -1, features), w[tap]).reshape(y.shape)
    return y


def _steps(start: list[int], count: tuple[int, ...], step: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(
        slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(start, count, step, strict=True)
    )
