"""The harness of the benchmarks, without any peer."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import kgraph
from benchmarks import models, report
from benchmarks.driver import Effort, Measured, Row, Workers, measure_job
from benchmarks.jobs import Job, relative_error
from benchmarks.peers import environment
from benchmarks.weights import drawn, load

SMALL = sorted(set(models.NAMES) - {"mobilenet", "resnet"})  # those cost seconds to draw


@pytest.mark.parametrize("name", SMALL)
def test_networks(name: str) -> None:
    """Each builds with kgraph, of the shapes that it states."""
    found = models.network(name)
    model = found.build(kgraph)
    assert model.input_shape == (None, *found.shape)
    assert model.output_shape == (None, *found.targets, found.classes)
    load(model, drawn(model))


def files(folder: Path, job: Job) -> Job:
    """What `benchmarks.prepare` makes with PyTorch, by the reference backend."""
    job = replace(job, folder=str(folder / "3"))
    job.path.mkdir()
    model = job.network.build(kgraph)
    weights = drawn(model)
    load(model, weights)
    np.savez(folder / "weights.npz", **weights)
    x = np.random.default_rng(0).random((job.batch, *job.network.shape), "float32")
    np.save(job.path / "x.npy", x)
    model.compile(backend="reference")
    np.savez(job.path / "infer.npz", output=model.predict_on_batch(x))
    return job


def test_a_row(tmp_path: Path) -> None:
    """A process of kgraph's is started, checked and timed."""
    job = files(tmp_path, Job("mlp", "infer", 3, 1))
    with Workers() as workers:
        row = measure_job(workers, job, ["kgraph"], Effort(turns=2, seconds=0.0))
    found = row.peers["kgraph"]
    assert not found.reason
    assert len(found.times) == 2
    assert found.error < 1e-5
    assert "mlp" in report.line(row)


def test_processes_keep_their_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source tree would else be compiled in each process, an installed library in none."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    command = [sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)"]
    assert subprocess.check_output(command, env=environment(1)).strip() == b"False"


def test_ratios_and_reasons() -> None:
    peers = {
        "kgraph": Measured([2.0, 3.0, 4.0], 1e-7),
        "torch": Measured([4.0, 4.0, 4.0], 1e-7),
        "keras": Measured([8.0, 3.5, 9.0], 1e-7),
        "openvino": Measured(reason="does not train"),
    }
    row = Row("mlp", "train", 128, 1, peers)
    assert row.best() == "keras"
    assert row.ratio() == 2.0 / 3.5
    assert row.ratio("median") == 3.0 / 4.0
    assert report.line(row).split()[-3:] == ["0.57", "0.75", "keras"]
    assert report.notes([row]) == ["openvino does not train"]
    assert report.as_json(row)["peers"]["torch"]["least"] == 4.0


def test_errors_are_relative() -> None:
    wanted = {"a": np.array([1.0, -4.0]), "rounding": np.array([1e-12])}
    found = {"a": np.array([1.0, -4.4]), "rounding": np.array([0.0])}
    assert relative_error(found, wanted) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="differ in"):
        relative_error({}, wanted)


def test_a_plot_without_ratios_is_refused_before_anything_is_measured() -> None:
    command = [sys.executable, "-m", "benchmarks", "--modes", "batches", "--plot", "table.svg"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert "--plot draws the ratios of infer, train, latency" in done.stderr
