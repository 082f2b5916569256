"""What tests of passes share: text cases, sample inputs, and what every pass has to prove."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kgraph.ir import (
    Array,
    Function,
    TensorType,
    bind_size,
    evaluate,
    numpy_dtype,
    parse,
    to_text,
    verify,
)
from kgraph.passes.base import Pass

SIZES = {"batch": 5, "n": 3, "m": 2, "time": 4}


@dataclass(frozen=True)
class TextCase:
    """A piece of a `.kg` file: a title, a function, and what a pass makes of it."""

    path: Path
    title: str
    before: str
    after: str

    def __str__(self) -> str:
        return self.title


def text_cases(path: Path) -> list[TextCase]:
    """The cases of a file: `// title`, a function, and after `// ->` the expected one.

    A line `// ----` parts cases.
    """
    cases = []
    for part in path.read_text().split("// ----\n"):
        title, _, rest = part.strip().partition("\n")
        before, _, after = rest.partition("// ->")
        cases.append(
            TextCase(
                path, title.removeprefix("//").strip(), before.strip() + "\n", after.strip() + "\n"
            )
        )
    return cases


def check_pass(
    pass_: Pass, case: TextCase, *, tolerance: float = 0.0, special: bool = True
) -> None:
    """Exact text, valid, complete text, idempotent, and the same numbers by the interpreter.

    `special=False` leaves the inputs with NaN and infinities out.
    """
    before = parse(case.before)
    verify(before)
    after = pass_.run(before)
    verify(after)
    if os.environ.get("KGRAPH_BLESS"):
        _bless(case, to_text(after))
    else:
        assert to_text(after) == case.after
    assert to_text(parse(to_text(after))) == to_text(after), "the text is not complete"
    assert to_text(pass_.run(after)) == to_text(after), "a second run changes the function"
    assert_same_answers(before, after, tolerance=tolerance, special=special)


def assert_same_answers(
    before: Function, after: Function, *, tolerance: float = 0.0, special: bool = True
) -> None:
    """Both give the same results on sample inputs: bits, or within `tolerance` of the largest."""
    for args in sample_inputs(before)[: 2 if special else 1]:
        for a, b in zip(evaluate(before, args), evaluate(after, args), strict=True):
            assert_close(a, b, tolerance)


def assert_close(a: Array, b: Array, tolerance: float = 0.0) -> None:
    """The same dtype and shape, and the same bits or a norm-wise error within `tolerance`."""
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    wide_a, wide_b = a.astype("f8"), b.astype("f8")
    if tolerance == 0:
        bits = np.dtype(f"u{a.dtype.itemsize}")
        same = np.ascontiguousarray(a).view(bits) == np.ascontiguousarray(b).view(bits)
        assert np.all(same | (np.isnan(wide_a) & np.isnan(wide_b))), (a, b)
        return
    assert np.array_equal(np.isnan(wide_a), np.isnan(wide_b))
    finite = np.isfinite(wide_a)
    assert np.array_equal(wide_a[~finite], wide_b[~finite], equal_nan=True)
    scale = np.max(np.abs(wide_a[finite]), initial=1e-30)
    assert np.max(np.abs(wide_a[finite] - wide_b[finite]), initial=0.0) <= tolerance * scale


def sample_inputs(fn: Function, seed: int = 0) -> list[list[Array]]:
    """Arguments for `fn`: ordinary numbers, and some with zeros, NaN and infinities among them."""
    random = np.random.default_rng(seed)
    types = [TensorType(tuple(_number(d) for d in p.shape), p.dtype) for p in fn.params]
    return [[sample(t, random, special) for t in types] for special in (False, True)]


def _number(d: object) -> int:
    size = bind_size(d, SIZES)  # type: ignore[arg-type]  # sizes of a type
    assert isinstance(size, int), f"tests have no number for the symbols of {size}"
    return size


def sample(type_: TensorType, random: np.random.Generator, special: bool) -> Array:
    """An array of the type; in floats of a special one every third element is odd."""
    shape: Sequence[int] = [int(d) for d in type_.shape]
    dtype = numpy_dtype(type_.dtype)
    if type_.dtype == "bool":
        return random.integers(0, 2, shape).astype(bool)
    if "int" in type_.dtype and special:
        limits = np.iinfo(dtype.name)
        return np.array([limits.min, limits.max, 0, 1, 2, 3], dtype)[random.integers(0, 6, shape)]
    if "int" in type_.dtype:
        return random.integers(0 if type_.dtype.startswith("u") else -5, 6, shape).astype(dtype)
    values = random.standard_normal(shape)
    if special:
        odd = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1.0])
        mask = random.random(shape) < 1 / 3
        values = np.where(mask, odd[random.integers(0, len(odd), shape)], values)
    return np.asarray(values).astype(dtype)


def _bless(case: TextCase, text: str) -> None:
    """Rewrites the expected text in the file; `KGRAPH_BLESS=1 pytest tests/passes`."""
    content = case.path.read_text()
    head = f"// {case.title}\n{case.before}// ->\n"
    start = content.index(head) + len(head)
    end = content.find("// ----\n", start)
    content = content[:start] + text + (content[end:] if end >= 0 else "")
    case.path.write_text(content)
