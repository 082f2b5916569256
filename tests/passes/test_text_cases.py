"""Passes by text: what each makes of small functions, with the proof that the answers stay."""

from pathlib import Path

import pytest

from kgraph.passes.algorithm import ChooseAlgorithm
from kgraph.passes.base import Pass
from kgraph.passes.crop import CropConvolutions
from kgraph.passes.cse import CommonSubexpressions
from kgraph.passes.custom import InlineCustomGradients
from kgraph.passes.dce import DeadCode
from kgraph.passes.decompose import Decompose
from kgraph.passes.dilated import SplitDilated
from kgraph.passes.exact import exact
from kgraph.passes.fold import Fold
from kgraph.passes.fuse import Fuse
from kgraph.passes.gates import FuseGates
from kgraph.passes.hoist import HoistSteps
from kgraph.passes.layout import ChannelsLast
from kgraph.passes.outline import Outline
from kgraph.passes.prologues import FusePrologues
from kgraph.passes.rows import FuseRows
from kgraph.passes.scans import MergeScans
from kgraph.passes.share import ShareSteps
from kgraph.passes.simplify import Simplify
from kgraph.passes.sink import SinkSteps
from kgraph.passes.specialize import FoldScales
from kgraph.passes.trim import TrimRegions
from kgraph.passes.windows import SliceWindows
from tests.harness import TextCase, check_pass, text_cases

HERE = Path(__file__).parent

# file -> (pass, tolerance): 0 asks for the same bits
FILES: dict[str, tuple[Pass, float]] = {
    "simplify.kg": (Simplify(), 0),
    "fold.kg": (Fold(), 0),
    "cse.kg": (CommonSubexpressions(), 0),
    "dce.kg": (DeadCode(), 0),
    "decompose.kg": (Decompose(), 1e-6),
    "custom.kg": (InlineCustomGradients(), 0),
    "scans.kg": (MergeScans(), 0),
    "trim.kg": (TrimRegions(), 0),
    "share.kg": (ShareSteps(), 0),
    "hoist.kg": (HoistSteps(), 1e-6),
    "sink.kg": (SinkSteps(), 1e-5),
    "layout.kg": (ChannelsLast(), 1e-6),
    "windows.kg": (SliceWindows(), 1e-6),
    "dilated.kg": (SplitDilated(), 1e-5),
    "algorithm.kg": (ChooseAlgorithm(), 0),
    "algorithm_single.kg": (ChooseAlgorithm(single=True), 0),
    "fuse.kg": (Fuse(), 0),
    "rows.kg": (FuseRows(), 0),
    "gates.kg": (FuseGates(), 0),
    "crop.kg": (CropConvolutions(), 1e-6),
    "prologues.kg": (FusePrologues(), 0),
    "outline.kg": (Outline(), 1e-6),
    "pixels.kg": (Outline(), 1e-5),
    "specialize.kg": (FoldScales(), 1e-5),
}
# infinities meet in another order there
FINITE = {"specialize.kg"}

CASES = [
    pytest.param(*FILES[name], case, id=f"{name}-{case}")
    for name in FILES
    for case in text_cases(HERE / name)
]


@pytest.mark.parametrize(("pass_", "tolerance", "case"), CASES)
def test_text(pass_: Pass, tolerance: float, case: TextCase) -> None:
    check_pass(pass_, case, tolerance=tolerance, special=case.path.name not in FINITE)


def test_every_file_is_read() -> None:
    assert {path.name for path in HERE.glob("*.kg")} == set(FILES)


def test_every_rule_has_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGRAPH_DEBUG", "rules")
    for count in exact.counts.values():
        count.hits = 0
    for case in text_cases(HERE / "simplify.kg"):
        check_pass(Simplify(), case)
    assert [rule.__name__ for rule, count in exact.counts.items() if not count.hits] == []
