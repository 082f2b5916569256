"""The examples run as they stand but for their size: fewer digits, and one epoch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
FEWER = "x_train, y_train, x_test, y_test = x_train[:64], y_train[:64], x_test[:32], y_test[:32]"
# What is replaced in each example; each text must be there.
SMALLER = {
    "custom_pass.py": {},
    "functional_and_subclassed.py": {"load_embedded()": f"load_embedded()\n{FEWER}"},
    "mnist_convnet.py": {
        "load_data()": f"load_embedded()\n{FEWER}",
        "Conv2D(64": "Conv2D(4",
        "Conv2D(128": "Conv2D(6",
        "batch_size = 128": "batch_size = 32",
        "epochs = 20": "epochs = 2",
    },
}
# What must be true in the end, and the files that must be there.
AFTER = {
    "mnist_convnet.py": """
assert len(score) == 2 and 0 <= score[1] <= 1, score
assert predictions.shape == (32, 10) and np.allclose(predictions.sum(-1), 1, atol=1e-5)
""",
}
FILES = {
    "mnist_convnet.py": {"final_model.keras", "model_at_epoch_1.keras", "model_at_epoch_2.keras"}
}


def run(source: str, folder: Path) -> str:
    """What a program prints, run in `folder` on the reference backend."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "KGRAPH_BACKEND": "reference",
        "KGRAPH_CACHE_DIR": str(folder / "cache"),
    }
    (folder / "program.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_example_is_run() -> None:
    assert sorted(SMALLER) == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str, tmp_path: Path) -> None:
    source = (ROOT / "examples" / name).read_text()
    for text, other in SMALLER[name].items():
        assert text in source, f"{name} no longer has {text!r}"
        source = source.replace(text, other)
    assert run(source + AFTER.get(name, ""), tmp_path)
    assert FILES.get(name, set()) <= {path.name for path in tmp_path.iterdir()}
