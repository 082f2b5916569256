"""The optimised graphs of a few programs, as text: a refactoring changes none of them.

An optimisation that changes them shows in review as a diff; `KGRAPH_BLESS=1 pytest tests/golden`
writes the files anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kgraph.ir import parse, to_text
from kgraph.passes.base import run_passes
from kgraph.passes.pipeline import llvm_pipeline
from tests.programs import attention, batch_norm, convnet, lstm, mlp, predict

HERE = Path(__file__).parent
PROGRAMS = [mlp(), convnet(), batch_norm(), lstm(), attention(), predict()]


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_golden(program: object) -> None:
    name, fn = program.name, program.fn  # type: ignore[attr-defined]
    passes = llvm_pipeline(inference=name == "predict")
    text = to_text(run_passes(fn, passes, check=True))
    path = HERE / f"{name}.kg"
    if os.environ.get("KGRAPH_BLESS"):
        path.write_text(text)
    assert to_text(parse(text)) == text
    assert text == path.read_text(), f"the optimised {name} has changed"


def test_every_file_is_compared() -> None:
    assert {path.stem for path in HERE.glob("*.kg")} == {program.name for program in PROGRAMS}
