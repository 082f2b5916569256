"""Each op's `locality`: block by block an op gives what it gives at once, and it is local where
regions need it.
"""

from __future__ import annotations

import pytest

from kgraph.ir import Combine, Locality, Op, Rows, evaluate, verify
from kgraph.ir.ops.control import Batched
from kgraph.passes.carried import locality
from kgraph.passes.outline import Outline
from tests.ops.cases import params
from tests.ops.row import Case

OUTLINE = Outline(block=2, expected=1_000_000, least=0)


def _outlined(case: Case) -> bool:
    return case.symbolic and not case.special and case.op != "batched"


@pytest.mark.parametrize("case", params(_outlined, cheap=True))
def test_by_blocks_and_at_once(case: Case) -> None:
    fn = case.function()
    after = OUTLINE.run(fn)
    verify(after)
    for batch in (1, 5):
        arrays = case.arrays(batch=batch)
        case.assert_close(evaluate(after, arrays), evaluate(fn, arrays), factor=4)


def test_sums_are_combined_in_many_chunks() -> None:
    """21 blocks in 8 chunks, the last block of one sample."""
    local = [case for case in _cases() if case.op in ("dot_general", "reduce", "convolution")]
    assert local
    for case in local:
        fn = case.function()
        arrays = case.arrays(batch=41)
        case.assert_close(evaluate(OUTLINE.run(fn), arrays), evaluate(fn, arrays), factor=8)


def _cases() -> list[Case]:
    found = [p.values[0] for p in params(_outlined)]
    return [case for case in found if case.dtype == "float64"]


# what a training step needs in its regions: (op, label) of a row -> the locality of its last op
EXPECTED: dict[tuple[str, str], Locality] = {
    ("dot_general", ""): Rows(0),
    ("dot_general", "heads"): Rows(0),
    ("dot_general", "weights"): Combine("sum"),
    ("convolution", "strided"): Rows(0),
    ("convolution", "groups"): Rows(0),
    ("convolution", "weights"): Combine("sum"),
    ("convolution", "channels_first"): Rows(0),
    ("reduce_window", "max"): Rows(0),
    ("select_and_scatter", ""): Rows(0),
    ("gather", "columns"): Rows(0),
    ("scatter", "columns"): Rows(0),
    ("scatter", "max"): Combine("max"),
    ("broadcast_in_dim", "batch"): Rows(1),
    ("broadcast_in_dim", "to_batch"): Rows(0),
    ("transpose", "batch"): Rows(1),
    ("iota", "batch"): Rows(1),
    ("pad", "batch"): Rows(0),
    ("concatenate", "batch"): Rows(0),
    ("reverse", "batch"): Rows(0),
    ("dynamic_slice", "batch"): Rows(0),
    ("sort", ""): Rows(0),
    ("top_k", ""): Rows(0),
    ("add", ""): Rows(0),
    ("reduce", "sum-0"): Combine("sum"),
    ("reduce", "max-0"): Combine("max"),
    ("reduce", "sum-2"): Rows(0),
}


@pytest.mark.parametrize(("op", "label"), EXPECTED)
def test_is_local(op: str, label: str) -> None:
    found = [
        locality(_last(case, op), "batch")
        for case in _cases_of(op, label)
        if case.symbols == {"batch"}
    ]
    assert found
    for how in found:
        assert how is not None
        assert set(how) == {EXPECTED[op, label]}


def _cases_of(op: str, label: str) -> list[Case]:
    return [
        p.values[0]
        for p in params(lambda case: case.op == op and case.row.label == label and not case.special)
    ]


def _last(case: Case, op: str) -> Op:
    return next(o for o in reversed(case.function().ops) if o.name == op)


@pytest.mark.parametrize(
    ("op", "label"),
    [
        ("reshape", "merged"),
        ("gather", "of_samples"),
        ("sort", "of_samples"),
        ("slice", "of_samples"),
    ],
)
def test_is_not_local(op: str, label: str) -> None:
    found = _cases_of(op, label)
    assert found
    for case in found:
        assert locality(_last(case, op), "batch") is None


def test_a_region_is_made() -> None:
    (case, *_) = _cases_of("dot_general", "weights")
    assert any(isinstance(op, Batched) for op in OUTLINE.run(case.function()).ops)
