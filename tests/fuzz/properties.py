"""What holds for every graph."""

from __future__ import annotations

import numpy as np

from kgraph.ir import Array, Builder, Function, Value, evaluate, is_float, parse, to_text, verify
from kgraph.passes.autodiff import gradients
from kgraph.passes.base import Pass, run_passes
from kgraph.passes.outline import Outline
from kgraph.passes.pipeline import llvm_pipeline
from tests.fuzz.generate import arguments

BATCHES = (1, 3, 9)
TOLERANCE = 1e-9


def text_is_complete(fn: Function) -> bool:
    verify(fn)
    return to_text(parse(to_text(fn))) == to_text(fn)


def close(found: list[Array], wanted: list[Array], tolerance: float = TOLERANCE) -> bool:
    """The same up to the order of sums, norm-wise."""
    for a, b in zip(found, wanted, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        if a.dtype.kind != "f":
            if not np.array_equal(a, b):
                return False
            continue
        scale = max(1.0, float(np.max(np.abs(b), initial=0)))
        if not np.all(np.abs(a - b) <= tolerance * scale):
            return False
    return True


def steps() -> list[Pass]:
    """The pipeline with small blocks, so that few samples make several of them."""
    return [Outline(block=4) if isinstance(p, Outline) else p for p in llvm_pipeline()]


def broken_step(fn: Function) -> str:
    """The name of the first pass of the pipeline that changes an answer; empty where none does."""
    wanted = {n: evaluate(fn, arguments(fn, n)) for n in BATCHES}
    for pass_ in steps():
        after = run_passes(fn, [pass_], check=True)
        if after is not fn:
            for n in BATCHES:
                if not close(evaluate(after, arguments(fn, n)), wanted[n]):
                    return pass_.name
        fn = after
    return ""


def with_gradients(fn: Function) -> Function:
    """A loss of all results, and its gradients with respect to all parameters of floats."""
    b = Builder()
    params = [b.param(label, p.type) for label, p in zip(fn.param_names, fn.params, strict=True)]
    floats = [v for v in b.inline(fn, params) if is_float(v.dtype)]
    loss: Value = b.constant(0.0, floats[0].dtype if floats else "float64")
    for v in floats:
        wave = b.sine(v)
        loss = b.add(
            loss, b.reduce(wave, "sum", tuple(range(v.type.rank))) if v.type.rank else wave
        )
    return b.function(loss, *gradients(b, loss, [p for p in params if is_float(p.dtype)]))


def gradients_are_slopes(fn: Function) -> bool:
    """Along a direction; a kink between the two points is given a second and a third chance."""
    both = with_gradients(fn)
    return any(_slope_fits(fn, both, seed) for seed in range(3))


def _slope_fits(fn: Function, both: Function, seed: int) -> bool:
    random = np.random.default_rng(seed)
    args = arguments(fn, 3, seed)
    ways = [random.standard_normal(a.shape) if a.dtype == np.float64 else None for a in args]
    loss, *found = evaluate(both, args)

    def difference(step: float) -> float:
        ahead, behind = (
            evaluate(both, [a if w is None else a + s * w for a, w in zip(args, ways, strict=True)])
            for s in (step, -step)
        )
        return float((ahead[0] - behind[0]) / (2 * step))

    slopes = [np.sum(g * w) for g, w in zip(found, [w for w in ways if w is not None], strict=True)]
    want = difference(1e-5)
    tolerance = 1e-5 * (1.0 + sum(abs(float(s)) for s in slopes) + abs(float(loss)))
    if abs(want - sum(slopes)) <= tolerance:
        return True
    # Where it jumps or turns between the points, their difference says nothing.
    return abs(difference(5e-6) - want) > tolerance
