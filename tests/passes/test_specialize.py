"""Scales behind contractions: numbers within rounding. The text is in `specialize.kg`."""

from pathlib import Path

import numpy as np

from kgraph.ir import evaluate, parse
from kgraph.passes.specialize import FoldScales
from tests.harness import text_cases


def test_numbers() -> None:
    before = parse(text_cases(Path(__file__).with_name("specialize.kg"))[0].before)
    after = FoldScales().run(before)
    random = np.random.default_rng(1)
    args = [random.standard_normal(s).astype("f4") for s in ((5, 4, 4, 2), (3, 3, 2, 3), 3, 3, 3)]
    (a,), (b,) = evaluate(before, args), evaluate(after, args)
    np.testing.assert_allclose(a, b, atol=2e-6 * np.abs(a).max())
