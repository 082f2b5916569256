"""The jax backend as the runtime uses it: symbolic sizes, 64-bit types, an untouched process."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgraph.codegen import jax as backend
from kgraph.codegen.jax import lowering
from kgraph.codegen.jax.executable import JaxExecutable
from kgraph.codegen.options import Options
from kgraph.ir import Array, Builder, Function, TensorType, evaluate, parse
from tests.programs import MAKERS, Program, lstm, mlp

OPTIONS = Options(backend="jax", verify=True)


def compiled(fn: Function, state: int = 0) -> JaxExecutable:
    found = backend.compile(fn, state=state, donate={}, options=OPTIONS)
    assert isinstance(found, JaxExecutable)
    return found


def check(program: Program, batches: tuple[int, ...], tolerance: float) -> None:
    run = compiled(program.fn, program.state)
    for batch in batches:
        args = program.arguments(batch)
        wanted = evaluate(program.fn, args)
        for a, b in zip(run.run(args, {"batch": batch}), wanted, strict=True):
            assert a.dtype == b.dtype
            scale = np.max(np.abs(b), initial=1e-30)
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * float(scale))


def test_any_batch_of_a_training_step() -> None:
    check(mlp("float64"), (1, 5), 1e-12)


def test_scans_and_their_gradients() -> None:
    check(lstm("float32"), (3,), 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKERS, ids=lambda make: str(make.__name__))
def test_programs(make: object) -> None:
    check(make("float32"), (1, 3), 1e-4)  # type: ignore[operator]
    check(make("float64"), (3,), 1e-11)  # type: ignore[operator]


def test_wide_types_are_real_and_the_process_is_as_before() -> None:
    before = (jax.config.jax_enable_x64, jnp.ones(2).dtype, jnp.arange(2).dtype)
    fn = parse("""
        fn(%x: f64[2], %n: i64[2])
          %0: f64[2] = exponential %x
          %1: i64[2] = multiply %n, %n
          return %0, %1
    """)
    x, n = np.array([1.0, 2.0]), np.array([2**31, 3])
    doubled, square = compiled(fn).run([x, n], {})
    np.testing.assert_allclose(doubled, np.exp(x), rtol=1e-15)
    np.testing.assert_array_equal(square, [2**62, 9])
    assert (jax.config.jax_enable_x64, jnp.ones(2).dtype, jnp.arange(2).dtype) == before


def test_a_program_is_compiled_once_for_each_size() -> None:
    fn = parse("fn(%x: f32[batch])\n  %0: f32[batch] = negate %x\n  return %0")
    run = compiled(fn)
    for batch in (2, 3, 2):
        assert (
            np.asarray(run.run([np.ones(batch, np.float32)], {"batch": batch})[0]).sum() == -batch
        )
    assert len(run._compiled) == 2


def test_arguments() -> None:
    fn = parse("fn(%x: f32[2])\n  return %x")
    run = compiled(fn)
    kind = TensorType((2,), "float32")
    mine = jnp.ones(2)
    assert run.accept(mine, kind, "x") is mine
    assert run.accept([1, 2], kind, "x").dtype == np.float32
    with pytest.raises(TypeError, match=r"the argument x must be f32\[2\]; got the dtype float64"):
        run.accept(np.ones(2), kind, "x")
    half = jnp.ones(2, jnp.bfloat16)
    assert run.accept(half, TensorType((2,), "bfloat16"), "x") is half
    with pytest.raises(TypeError, match=r"must be bf16\[2\]; got the dtype float32"):
        run.accept(mine, TensorType((2,), "bfloat16"), "x")


def aligned(count: int) -> Array:
    """An array that XLA would read where it lies."""
    raw = np.empty(4 * count + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + 4 * count].view(np.float32)


def test_what_the_caller_writes_later_changes_nothing() -> None:
    fn = parse("""
        fn(%x: f32[100000])
          %0: f32[100000] = negate %x
          return %x, %0
    """)
    run = compiled(fn)
    for _ in range(5):
        x = aligned(100000)
        x[:] = 1
        found = run.run([run.accept(x, fn.params[0].type, "x")], {})
        x[:] = 2
        assert [float(np.asarray(a).max()) for a in found] == [1, -1]


def test_contractions_are_exact_unless_tf32_is_asked_for() -> None:
    b = Builder()
    x, w = (b.param(label, TensorType((2, 2), "float32")) for label in "xw")
    fn = b.function(b.dot_general(x, w, (), (), (1,), (0,)))
    for tf32, precision in ((False, "HIGHEST"), (True, "DEFAULT")):
        run = JaxExecutable(fn, tf32)
        text = str(jax.make_jaxpr(run._jitted({}))(np.ones((2, 2), "f4"), np.ones((2, 2), "f4")))
        assert f"Precision.{precision}" in text
    assert lowering.contraction_precision.get() is jax.lax.Precision.HIGHEST


def test_layers_name_the_parts_of_the_program() -> None:
    fn = parse('fn(%x: f32[2])\n  %0: f32[2] = tanh %x @ "encoder/dense"\n  return %0')
    lowered = JaxExecutable(fn, False)._jitted({}).lower(np.ones(2, np.float32))
    assert "encoder.dense" in lowered.as_text(debug_info=True)


def test_the_fingerprint_names_the_versions() -> None:
    assert backend.fingerprint(OPTIONS)["jax"] == jax.__version__
