"""`import kgraph` is fast and light, and every name it lists is there when asked for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import kgraph

ROOT = Path(__file__).parents[1]
HEAVY = {"jax", "llvmlite", "h5py", "networkx", "rich", "typer"}


def run(code: str) -> str:
    """What `code` prints in a fresh interpreter."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light() -> None:
    loaded = run("import sys, kgraph; print(*sys.modules)").split()
    assert "kgraph" in loaded
    assert HEAVY.isdisjoint(loaded)


def test_the_api_is_light() -> None:
    """Whatever a user's program names, it pays for a heavy library when it first needs it."""
    names = "layers models losses metrics optimizers callbacks datasets saving ops ir Sequential"
    code = f"import sys, kgraph\nfor n in {names.split()}: getattr(kgraph, n)\nprint(*sys.modules)"
    assert HEAVY.isdisjoint(run(code).split())


def test_a_prediction_needs_no_training() -> None:
    """What only `compile`, `fit` and files need is not there before."""
    code = """
import sys, kgraph
import numpy as np
model = kgraph.Sequential([kgraph.Input((2,)), kgraph.layers.Dense(1)])
model.predict_on_batch(np.ones((1, 2), "float32"))
print(*sys.modules)
"""
    unused = {f"kgraph.{name}" for name in "callbacks losses metrics optimizers saving".split()}
    assert unused.isdisjoint(run(code).split())


def test_names_of_models() -> None:
    """Those that are loaded later are listed before."""
    code = (
        "from kgraph import models as m; print('load_model' in vars(m), {*m.__all__} <= {*dir(m)})"
    )
    assert run(code) == "False True\n"
    assert kgraph.models.load_model is kgraph.saving.load_model
    with pytest.raises(AttributeError, match=r"module 'kgraph\.models' has no attribute 'load'"):
        kgraph.models.load  # noqa: B018


def test_import_is_fast() -> None:
    """The least of several runs: a busy machine only ever adds time."""
    code = "import time; t = time.perf_counter(); import kgraph; print(time.perf_counter() - t)"
    assert min(float(run(code)) for _ in range(3)) < 0.5


@pytest.mark.parametrize("name", kgraph.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(kgraph, name) is not None
    assert name in dir(kgraph)


def test_names_of_modules_and_classes() -> None:
    code = """
import json, kgraph, kgraph.version
before = "Sequential" in vars(kgraph)
kgraph.Sequential
print(json.dumps({
    "before": before,
    "after": "Sequential" in vars(kgraph),
    "same": kgraph.Sequential is kgraph.models.Sequential,
    "version": kgraph.version() == kgraph.__version__,
}))
"""
    expected = {"before": False, "after": True, "same": True, "version": True}
    assert json.loads(run(code)) == expected


def test_a_misspelt_name() -> None:
    with pytest.raises(AttributeError, match="module 'kgraph' has no attribute 'Sequentail'"):
        kgraph.Sequentail  # noqa: B018
    assert not hasattr(kgraph, "Sequentail")
    done = subprocess.run(
        [sys.executable, "-c", "import kgraph\nkgraph.layrs"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.endswith("has no attribute 'layrs'. Did you mean: 'layers'?\n")
