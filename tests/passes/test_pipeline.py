"""Whole programs: each pass alone and each prefix of the pipeline keep the answers."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from kgraph.ir import Array, Function, evaluate, parse, to_text, verify
from kgraph.ir.ops.control import Batched
from kgraph.ir.ops.convolution import Convolution
from kgraph.passes.base import PASSES, Pass, run_passes
from kgraph.passes.outline import Outline
from kgraph.passes.pipeline import llvm_pipeline, simplification
from kgraph.passes.prepare import split
from tests.harness import assert_close
from tests.programs import MAKERS, Program, predict

BATCHES = (1, 3, 8, 37)
NAMES = [make.__name__ for make in MAKERS]


@cache
def program(name: str) -> Program:
    """In float64, so that a wrong term shows and another order of a sum does not."""
    return next(make for make in MAKERS if make.__name__ == name)("float64")


@cache
def answers(name: str, batch: int) -> list[Array]:
    return evaluate(program(name).fn, program(name).arguments(batch))


def assert_same(name: str, fn: Function, batches: tuple[int, ...] = (3,)) -> None:
    for batch in batches:
        found = evaluate(fn, program(name).arguments(batch))
        for a, b in zip(answers(name, batch), found, strict=True):
            assert_close(a, b, 1e-11)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pass_name", sorted(PASSES))
def test_a_pass_alone(name: str, pass_name: str) -> None:
    fn = program(name).fn
    pass_: Pass = PASSES[pass_name]()
    after = run_passes(fn, [pass_], check=True)
    assert_same(name, after)
    assert to_text(pass_.run(after)) == to_text(after), "a second run changes the function"


@pytest.mark.parametrize("name", NAMES)
def test_prefixes_of_the_pipeline(name: str) -> None:
    fn = program(name).fn
    for pass_ in llvm_pipeline():
        after = run_passes(fn, [pass_], check=True)
        if after is not fn:
            assert_same(name, after)
        fn = after
    assert to_text(parse(to_text(fn))) == to_text(fn)


@pytest.mark.parametrize("name", NAMES)
def test_any_batch_through_regions(name: str) -> None:
    fn = run_passes(program(name).fn, llvm_pipeline(), check=True)
    assert any(op.name == "batched" for op in fn.ops)
    assert_same(name, fn, BATCHES)


def test_blocks_fit_in_the_cache() -> None:
    """mlp has a few hundred bytes per sample in use at a time."""
    before = run_passes(program("mlp").fn, simplification())
    for size, block in [(1 << 23, 16), (4096, 8), (1, 1)]:
        fn = Outline(cache=size).run(before)
        found = {op.block for op in fn.ops if op.name == "batched"}  # type: ignore[attr-defined]
        assert found == {block}, size


def test_a_region_is_cut_between_large_samples_and_many_weights() -> None:
    """One block for all of it would read the weights as often as the first values want.

    The constant is wanted on both sides, and made on both.
    """
    before = parse(
        """fn(%x: f64[batch,256], %w: f64[4,4])
  %0: f64[] = constant value=f64(0.5)
  %1: f64[batch,4] = broadcast_in_dim %0, shape=(batch, 4), dims=()
  %2: f64[batch,256] = tanh %x
  %3: f64[batch,4,64] = reshape %2, shape=(batch, 4, 64)
  %4: f64[batch,4] = reduce %3, kind='max', dims=(2,)
  %5: f64[batch,4] = maximum %4, %1
  %6: f64[batch,4] = dot_general %5, %w, lhs_batch=(), rhs_batch=(), lhs_contract=(1,), rhs_contract=(0,)
  %7: f64[batch,4] = maximum %6, %1
  return %7
"""  # noqa: E501
    )
    random = np.random.default_rng(0)
    args = [random.standard_normal(shape) for shape in ((19, 256), (4, 4))]
    for size, blocks in ((1 << 23, [16]), (4096, [1, 16])):
        after = Outline(cache=size).run(before)
        verify(after)
        assert [op.block for op in after.ops if isinstance(op, Batched)] == blocks
        assert_close(evaluate(before, args)[0], evaluate(after, args)[0], 1e-14)


@pytest.mark.parametrize(
    ("name", "uses", "block"), [("mlp", 64, 64), ("attention", 64, 32), ("convnet", 2, 16)]
)
def test_blocks_make_use_of_weights_beyond_the_cache(name: str, uses: int, block: int) -> None:
    """A sample of mlp uses each once a product, the others some for each of its items or places."""
    before = run_passes(program(name).fn, simplification())
    for limit, expected in ((1 << 20, 16), (64, block)):
        fn = Outline(weights=limit, uses=uses).run(before)
        found = {op.block for op in fn.ops if op.name == "batched"}  # type: ignore[attr-defined]
        assert found == {expected}


def test_blocks_of_samples_that_need_no_others_fit_next_to_a_core() -> None:
    """A sample of attention uses each weight some times, once for each of its items."""
    before = run_passes(program("attention").fn, simplification())
    for alone, expected in ((1, 1), (1_000, 32)):
        fn = Outline(weights=64, alone=alone, near=1).run(before)
        found = {op.block for op in fn.ops if op.name == "batched"}  # type: ignore[attr-defined]
        assert found == {expected}


@pytest.mark.parametrize("block", [1, 4])
def test_any_block(block: int) -> None:
    for name in ("mlp", "convnet", "lstm", "batch_norm"):
        before = run_passes(program(name).fn, simplification())
        fn = Outline(block=block).run(before)
        verify(fn)
        assert_same(name, fn, (3, 11))


@pytest.mark.parametrize("name", ["mlp", "convnet", "lstm", "attention"])
def test_a_step_is_one_region(name: str) -> None:
    """What the outlining is for: nothing but sums leaves the region of a plain training step."""
    (region,) = regions(name)
    assert {kind for kind, _ in region.gives} == {"sum"}


def test_sums_that_outgrow_the_cache_are_made_outside() -> None:
    """A weight gradient of more bytes than a block's rows is then one product over all samples."""
    before = run_passes(program("mlp").fn, simplification())
    kept, moved = (Outline(cache=cache).run(before) for cache in (1 << 23, 64))
    assert sum_count(kept) > sum_count(moved) > 0
    assert_same("mlp", moved)


def sum_count(fn: Function) -> int:
    return sum(kind == "sum" for op in fn.ops if isinstance(op, Batched) for kind, _ in op.gives)


def test_n_batch_norms_are_2n_plus_1_regions() -> None:
    """One for each sum that holds something up: the moments forward, the two sums backward."""
    assert len(regions("batch_norm")) == 5


def regions(name: str) -> list[Batched]:
    fn = run_passes(program(name).fn, llvm_pipeline())
    return [op for op in fn.ops if isinstance(op, Batched)]


def test_disabled_passes_are_left_out() -> None:
    fn = run_passes(
        program("mlp").fn, llvm_pipeline(), disabled=["outline", "fuse", "fuse_rows"], check=True
    )
    assert not any(op.region_fields for op in fn.ops)


def test_an_unknown_pass_is_an_error() -> None:
    with pytest.raises(Exception, match="there is no pass called outlin; expected"):
        run_passes(program("mlp").fn, llvm_pipeline(), disabled=["outlin"])


def test_inference() -> None:
    """The scales of the batch norm are in the weights, which `prepare` makes from the state."""
    program = predict("float64")
    fn = run_passes(program.fn, llvm_pipeline(inference=True), check=True)
    early, main = split(fn, program.state)
    verify(main)
    assert early is not None
    assert not any(op.name == "rsqrt" for op in main.ops)
    for batch in BATCHES:
        args = program.arguments(batch)
        state, inputs = args[: program.state], args[program.state :]
        prepared = evaluate(early, state)
        for a, b in zip(
            evaluate(main, [*state, *prepared, *inputs]), evaluate(program.fn, args), strict=True
        ):
            assert_close(a, b, 1e-12)


def test_channels_go_last_and_stay_there() -> None:
    fn = run_passes(program("channels_first").fn, llvm_pipeline(), disabled=["outline", "fuse"])
    assert {op.dims[:4] for op in fn.ops if isinstance(op, Convolution)} <= {"b01f", "f01b"}
    assert sum(op.name == "transpose" for op in fn.ops) == 1, "that of the images"
