"""The one table of op cases. `CASES` is all of it; `params(...)` marks the slow ones for pytest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.ops.row import Case, Row
from tests.ops.rows import contract, control, elementwise, indexed, neural, shape

FAMILIES = (elementwise, shape, indexed, contract, control, neural)
ROWS: list[Row] = [r for family in FAMILIES for r in family.ROWS]
CASES: list[Case] = [case for r in ROWS for case in r.cases()]


def params(wanted: Callable[[Case], bool] = lambda case: True, *, cheap: bool = False) -> list[Any]:
    """The cases that are `wanted`, as parameters of a test; in a `cheap` test none is slow."""
    return [
        pytest.param(
            case, id=str(case), marks=[pytest.mark.slow] if case.slow and not cheap else []
        )
        for case in CASES
        if wanted(case)
    ]
