"""Scales behind contractions: the text, and numbers within rounding."""

from pathlib import Path

import numpy as np
import pytest

from kgraph.ir import evaluate, parse
from kgraph.passes.specialize import FoldScales
from tests.harness import TextCase, check_pass, text_cases

CASES = text_cases(Path(__file__).with_name("specialize.kg"))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_text(case: TextCase) -> None:
    # infinities among the samples would meet in other orders
    check_pass(FoldScales(), case, tolerance=1e-5, special=False)


def test_numbers() -> None:
    before = parse(CASES[0].before)
    after = FoldScales().run(before)
    random = np.random.default_rng(1)
    args = [random.standard_normal(s).astype("f4") for s in ((5, 4, 4, 2), (3, 3, 2, 3), 3, 3, 3)]
    (a,), (b,) = evaluate(before, args), evaluate(after, args)
    np.testing.assert_allclose(a, b, atol=2e-6 * np.abs(a).max())
