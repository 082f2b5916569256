"""The `kgraph` command: what each command prints, and errors of one line with an exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kgraph
from kgraph.cli.main import run
from kgraph.ir import OPS, parse, to_text
from kgraph.passes.base import PASSES

pytestmark = pytest.mark.usefixtures("on_reference")

CONTRACT = "lhs_batch=(), rhs_batch=(), lhs_contract=(1,), rhs_contract=(0,)"
PROGRAM = f"""fn(%x: f32[batch,3], %w: f32[3,2])
  %0: f32[2,3] = transpose %w, perm=(1, 0)
  %1: f32[3,2] = transpose %0, perm=(1, 0)
  %2: f32[batch,2] = dot_general %x, %1, {CONTRACT}
  %3: f32[batch,2] = tanh %2
  %4: f32[batch,2] = tanh %2
  %5: f32[batch,2] = add %3, %4
  return %5
"""


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: Any) -> Path:
    path = tmp_path_factory.mktemp("cli") / "m.keras"
    model = kgraph.Sequential(
        [
            kgraph.layers.Input((4,)),
            kgraph.layers.Dense(3, activation="relu", name="hidden"),
            kgraph.layers.Dense(2, activation="softmax", name="head"),
        ],
        name="net",
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.save(path)
    return path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "p.kg"
    path.write_text(PROGRAM)
    return path


def output(capsys: Any, *arguments: Any) -> str:
    """What a command prints; it must end well and say nothing on stderr."""
    code = run([str(a) for a in arguments])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return str(out)


def failure(capsys: Any, *arguments: Any, code: int = 1) -> str:
    """The one line of an error."""
    assert run([str(a) for a in arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("kgraph: ")
    assert err.count("\n") == 1
    return str(err)


def test_dump_stages(capsys, model_file):
    traced = output(capsys, "dump", model_file, "--stage", "traced")
    optimized = output(capsys, "dump", model_file)
    for text in (traced, optimized):
        assert to_text(parse(text)) == text
    assert traced.startswith("fn net.train_step(")
    assert "fusion" in optimized
    assert "fusion" not in traced


@pytest.mark.parametrize("step", ["train", "evaluate", "predict"])
def test_dump_steps(capsys, model_file, step):
    text = output(capsys, "dump", model_file, "--step", step, "--stage", "traced")
    assert f".{'test' if step == 'evaluate' else step}_step(" in text


def test_dump_after_changed_layer(capsys, model_file):
    after = output(capsys, "dump", model_file, "--after", "cse")
    assert "fusion" not in after
    parse(after)
    changed = output(capsys, "dump", model_file, "--changed")
    assert "==== dce (" in changed
    assert "\n-  %" in changed
    layer = output(capsys, "dump", model_file, "--layer", "hidden", "--stage", "traced")
    assert layer
    assert all("hidden" in line for line in layer.splitlines())


def test_dump_of_lengths_that_vary(capsys, tmp_path):
    x = kgraph.Input((None, 3))
    y = kgraph.layers.LayerNormalization()(kgraph.layers.Dense(4)(x))
    model = kgraph.Model(x, y)
    model.compile("sgd", "mse")
    model.save(tmp_path / "m.keras")
    text = output(capsys, "dump", tmp_path / "m.keras", "--stage", "traced")
    assert "%x0: f32[batch,length,3], %x1: f32[batch,length,4])" in text
    x = kgraph.Input((None, None, 3))
    kgraph.Model(x, kgraph.layers.Conv2D(2, 3)(x)).save(tmp_path / "m.keras")
    assert "f32[batch,6,6,2]" in output(capsys, "dump", tmp_path / "m.keras")


def test_locations_are_the_users_own(model_file):
    done = subprocess.run(
        [sys.executable, "-m", "kgraph.cli", "dump", str(model_file), "--locations"],
        env={**os.environ, "PYTHONPATH": str(Path(kgraph.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert '@ "net/hidden"' in done.stdout or '@ "hidden"' in done.stdout
    assert ".py" not in done.stdout


def test_dump_stats_and_dot(capsys, model_file):
    stats = output(capsys, "dump", model_file, "--stats")
    for word in ("ops: ", "FLOPs: ", "bytes read", "arena: ", "critical path: ", "passes:"):
        assert word in stats
    dot = output(capsys, "dump", model_file, "--dot")
    assert dot.startswith("digraph")
    assert dot.count("->") > 10


def test_dump_native(capsys, model_file):
    text = output(capsys, "dump", model_file, "--step", "predict", "--stage", "llvm")
    assert "define" in text
    assert "kgraph_run" in text
    text = output(capsys, "dump", model_file, "--step", "predict", "--stage", "asm")
    assert "kgraph_run:" in text
    assert "ret" in text


def test_dump_of_what_depends_on_the_weights_alone(capsys, tmp_path):
    path = tmp_path / "m.keras"
    layers = [kgraph.layers.Dense(3, name="hidden"), kgraph.layers.BatchNormalization()]
    kgraph.Sequential([kgraph.layers.Input((4,)), *layers]).save(path)
    early = output(capsys, "dump", path, "--stage", "prepare")
    assert "prepare(" in early
    assert "sqrt" in early  # of the moving variance
    assert "sqrt" not in output(capsys, "dump", path)
    assert "arena of prepare: " in output(capsys, "dump", path, "--stats")
    text = output(capsys, "dump", path, "--stage", "llvm")
    assert text.count("@kgraph_run") == 2


def test_a_training_step_has_nothing_that_depends_on_the_weights_alone(capsys, model_file):
    assert "weights alone" in failure(capsys, "dump", model_file, "--stage", "prepare")


def test_weights_that_are_only_packed_are_no_graph(capsys, model_file):
    text = failure(capsys, "dump", model_file, "--step", "predict", "--stage", "prepare")
    assert "--stage llvm" in text


def test_dump_of_a_program_and_of_a_script(capsys, program, tmp_path):
    assert "tanh" in output(capsys, "dump", program, "--stage", "traced")
    script = tmp_path / "made.py"
    script.write_text(
        "import kgraph\n"
        "net = kgraph.Sequential([kgraph.layers.Input((2,)), kgraph.layers.Dense(1)])\n"
    )
    assert "predict_step" in output(capsys, "dump", f"{script}:net")


def test_opt(capsys, program):
    assert output(capsys, "opt", program) == to_text(parse(PROGRAM))
    text = output(capsys, "opt", program, "--passes", "cse,dce")
    assert text.count("tanh") == 1
    assert "fusion" in output(capsys, "opt", program, "--passes", "all")


def test_opt_reads_standard_input(capsys, monkeypatch):
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO(PROGRAM))
    assert output(capsys, "opt", "-") == to_text(parse(PROGRAM))


def test_run(capsys, program, tmp_path):
    x, w = np.arange(6.0, dtype="float32").reshape(2, 3), np.full((3, 2), 0.1, "float32")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "w.npy", w)
    arguments = ["--input", tmp_path / "x.npy", "--input", tmp_path / "w.npy"]
    text = output(capsys, "run", program, "--backend", "reference", *arguments)
    assert text.startswith("result 0: f32[batch,2]\n")
    numbers = [
        float(n) for n in text.partition("\n")[2].replace("[", " ").replace("]", " ").split()
    ]
    np.testing.assert_allclose(numbers, (2 * np.tanh(x @ w)).ravel(), rtol=1e-6)
    text = output(capsys, "run", program, "--backend", "jax", "--compare", *arguments)
    assert float(text.split()[-1]) < 1e-6


def test_ops_and_passes(capsys):
    listed = output(capsys, "ops").splitlines()
    assert {line.split()[0] for line in listed} == set(OPS) - {"param"}
    assert all(len(line.split()) > 1 for line in listed)
    one = output(capsys, "ops", "transpose")
    assert one.startswith("transpose(x: Value, perm: tuple[int, ...])")
    assert "C1" in one
    listed = output(capsys, "passes").splitlines()
    assert {line.split()[0] for line in listed} == set(PASSES)
    assert output(capsys, "passes", "cse").startswith("cse(")


def test_cache(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("KGRAPH_CACHE_DIR", str(tmp_path))
    listed = output(capsys, "cache", "list")
    assert "0  of 0 functions that programs share\n0 programs in" in listed
    assert output(capsys, "cache", "explain")
    assert output(capsys, "cache", "clear") == "0 programs removed\n"


def test_version_and_help(capsys):
    assert output(capsys) == output(capsys, "--help")
    assert output(capsys, "--version") == f"kgraph {kgraph.__version__}\n"
    text = output(capsys, "--help")
    for name in ("dump", "opt", "run", "ops", "passes", "cache", "demo"):
        assert name in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dump", "nothing.keras"], "nothing.keras"),
        (["dump", "nothing.py:m"], "nothing.py"),
        (["dump", "nothing.py"], "nothing.py:model"),
        (["dump", "nothing.kg"], "nothing.kg"),
        (["opt", "nothing.kg"], "nothing.kg"),
        (["ops", "nothing"], "no op called 'nothing'"),
        (["passes", "nothing"], "no pass called 'nothing'"),
    ],
)
def test_errors_of_names(capsys, arguments, words):
    assert words in failure(capsys, *arguments)


def test_errors_of_options(capsys, model_file, program, tmp_path):
    assert "stage" in failure(capsys, "dump", model_file, "--stage", "wasm")
    assert "step" in failure(capsys, "dump", model_file, "--step", "fly")
    assert "nothing" in failure(capsys, "dump", model_file, "--after", "nothing")
    assert "nothing" in failure(capsys, "dump", model_file, "--layer", "nothing")
    assert "nothing" in failure(capsys, "opt", program, "--passes", "cse,nothing")
    assert "backend" in failure(capsys, "run", program, "--backend", "tpu")
    assert "--colour" in failure(capsys, "dump", model_file, "--colour", code=2)
    assert "fly" in failure(capsys, "fly", code=2)
    np.save(tmp_path / "bad.npy", np.zeros((2, 5), "float32"))
    assert failure(
        capsys, "run", program, "--backend", "reference", "--input", tmp_path / "bad.npy"
    )
    many = ["--input", tmp_path / "bad.npy"] * 3
    assert "at most 2 inputs" in failure(capsys, "run", program, *many)


def test_errors_of_files(capsys, tmp_path):
    broken = tmp_path / "b.kg"
    broken.write_text("fn(%x: f32[3])\n  %0: f32[3] = fly %x\n  return %0\n")
    assert "fly" in failure(capsys, "opt", broken)
    damaged = tmp_path / "d.keras"
    damaged.write_bytes(b"PK")
    assert "d.keras" in failure(capsys, "dump", damaged)
    script = tmp_path / "s.py"
    script.write_text("import kgraph\nother = kgraph.Sequential([])\n")
    assert "other" in failure(capsys, "dump", f"{script}:model")
    for line, words in (("1 / 0", "ZeroDivisionError"), ("raise SystemExit(3)", "SystemExit: 3")):
        script.write_text(f"{line}\n")
        assert f"s.py raised {words}" in failure(capsys, "dump", f"{script}:model")
    assert f"kgraph: {tmp_path}/none.kg: No such file" in failure(
        capsys, "opt", tmp_path / "none.kg"
    )


def test_a_process(program):
    root = str(Path(kgraph.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, "-m", "kgraph.cli"]
    found = subprocess.run(
        [*command, "opt", str(program), "--passes", "nothing"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr.count("\n") == 1
    assert "Traceback" not in found.stderr
    assert json.dumps(found.stderr)
