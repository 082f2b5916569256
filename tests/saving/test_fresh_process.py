"""A file is read in a process that has used nothing of kgraph yet."""

import os
import subprocess
import sys
from pathlib import Path

import kgraph

ROOT = Path(__file__).parents[2]


def test_classes_are_found(tmp_path: Path) -> None:
    model = kgraph.Sequential([kgraph.layers.Input((3,)), kgraph.layers.Dense(2)])
    model.compile(loss="mse", optimizer="adam", metrics=["mae"])
    model.save(tmp_path / "m.keras")
    code = f"import kgraph; print(kgraph.saving.load_model({str(tmp_path / 'm.keras')!r}).name)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == model.name
