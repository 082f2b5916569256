"""Probes: what they count, how time is shared out, and that code without them has none."""

from __future__ import annotations

import numpy as np
import pytest

from kgraph import runtime
from kgraph.codegen import NativeImage, Options, Probe
from kgraph.codegen.llvm.fingerprint import target_of
from kgraph.codegen.llvm.image import lower
from kgraph.ir import Function, parse, parse_size, symbol
from kgraph.passes.base import run_passes
from kgraph.passes.pipeline import llvm_pipeline
from kgraph.runtime import digest
from kgraph.runtime.profile import OpTime, ProfileError, profile, shared_out

BATCH, BLOCK = symbol("batch"), symbol("block")
CONTRACT = "lhs_batch=(), rhs_batch=(), lhs_contract=(1,), rhs_contract=(0,)"
TEXT = f"""fn net(%w: f32[64,32], %x: f32[batch,64])
  %0: f32[batch,32] = dot_general %x, %w, {CONTRACT} @ "net/dense" "model.py":7
  %1: f32[batch,32] = tanh %0 @ "net/act" "model.py":8
  %2: f32[32,64] = transpose %w, perm=(1, 0) @ "net/back" "model.py":9
  %3: f32[batch,64] = dot_general %1, %2, {CONTRACT} @ "net/back" "model.py":9
  %4: f32[64] = reduce %3, dims=(0,), kind='sum' @ "net/sum" "model.py":10
  return %3, %4
"""
PROFILED = Options(profile=True)


def program() -> Function:
    return parse(TEXT)


def measured(batch: int) -> tuple[float, list[OpTime]]:
    compiled = runtime.compile(program(), state=1, options=PROFILED)
    w = np.ones((64, 32), np.float32)
    x = np.ones((batch, 64), np.float32)
    found = profile(compiled, lambda: compiled.run([w], [x], 0), {"batch": batch}, repeat=3)
    return found.seconds, list(found.ops)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [1, 5, 300])
def test_time_and_work_of_ops(threads: int, batch: int) -> None:
    try:
        runtime.set_threads(threads)
        seconds, ops = measured(batch)
    finally:
        runtime.set_threads(None)
    assert 0 < sum(item.seconds for item in ops) <= seconds
    layers = {item.probe.path: item for item in ops if item.flops}
    product = layers["net/dense"]
    # exact also where the last block is not full
    assert product.flops >= 2 * batch * 64 * 32
    assert product.flops <= 2 * batch * 64 * 32 + 2 * batch * 32
    assert product.probe.line == "model.py:7"
    assert product.calls >= 1
    assert product.nbytes >= 4 * batch * (64 + 32)


def probe(**fields: object) -> Probe:
    return Probe(op="x", **fields)  # type: ignore[arg-type]


def test_a_regions_time_is_shared_among_its_ops() -> None:
    probes = [
        probe(),  # the region: 100 ns of a clock
        probe(parent=0, over=BATCH, block=4),  # its tiles: 160 ns of two threads
        probe(parent=1, flops=10 * BLOCK, nbytes=BLOCK + 2),
        probe(parent=1),
        probe(),  # a loop of 50 ns, of which 20 are those of
        probe(parent=4, flops=7 + 0 * BATCH),
    ]
    counters = np.array([[100, 1], [160, 2], [80, 3], [48, 3], [50, 1], [20, 5]], np.int64)
    found = shared_out(probes, counters, {"batch": 10})
    nanoseconds = [round(item.seconds * 1e9, 3) for item in found]
    assert nanoseconds == [0, 20, 50, 30, 30, 20]
    assert sum(nanoseconds) == 150
    # three blocks, of 4, 4 and 2 samples
    assert (found[2].flops, found[2].nbytes) == (100, 16)
    assert found[5].flops == 35


def test_an_ops_code_has_no_probe_unless_asked() -> None:
    fn = run_passes(program(), llvm_pipeline())
    target = target_of(Options())
    plain, with_probes = lower(fn, target), lower(fn, target, options=PROFILED)
    assert "kgraph_probes" not in plain.text
    assert "clock_gettime" not in plain.text
    assert plain.probes == ()
    assert len(with_probes.probes) >= len(fn.ops)


def test_results_are_the_same() -> None:
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(64, 32)).astype("f4"), rng.normal(size=(50, 64)).astype("f4")
    plain = runtime.compile(program())(w, x)
    other = runtime.compile(program(), options=PROFILED)(w, x)
    for a, b in zip(plain, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_layers_are_part_of_the_key() -> None:
    other = parse(TEXT.replace("net/dense", "net/other"))

    def key(fn: Function, options: Options) -> str:
        return digest.key_of(fn, 0, {}, options, {}).digest

    assert key(program(), Options()) == key(other, Options())
    assert key(program(), PROFILED) != key(other, PROFILED)
    assert key(program(), PROFILED) != key(program(), Options())


def test_probes_are_stored() -> None:
    probes = (probe(), probe(parent=0, over=BATCH, block=8), probe(flops=parse_size("2*block")))
    image = NativeImage(b"code", (), (), probes=probes)
    assert NativeImage.from_bytes(image.to_bytes()) == image
    runtime.compile(program(), options=PROFILED)
    runtime.clear_memory_cache()
    _, ops = measured(3)  # from disk
    assert any(item.probe.path == "net/act" or "tanh" in item.probe.op for item in ops)


@pytest.mark.parametrize("options", [Options(), Options(backend="reference", profile=True)])
def test_a_program_without_probes(options: Options) -> None:
    compiled = runtime.compile(program(), options=options)
    with pytest.raises(ProfileError, match=r"Options\(profile=True\)"):
        profile(compiled, lambda: None, {"batch": 1})
