"""The exact rules, by text."""

from pathlib import Path

import pytest

from kgraph.passes.simplify import Simplify
from tests.harness import TextCase, check_pass, text_cases

CASES = text_cases(Path(__file__).with_name("simplify.kg"))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_simplify(case: TextCase) -> None:
    check_pass(Simplify(), case)
