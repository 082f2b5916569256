"""`kgraph profile`: a table or JSON of each layer's share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kgraph.cli.main import run

SCRIPT = """
import kgraph
from kgraph import layers
model = kgraph.Sequential([
    layers.Input((8, 8, 1)),
    layers.Conv2D(8, 3, activation="relu", name="eyes"),
    layers.Flatten(),
    layers.Dense(3, activation="softmax", name="head"),
], name="net")
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
"""
PROGRAM = """fn(%x: f32[batch,3])
  %0: f32[batch,3] = tanh %x
  return %0
"""


def output(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    code = run(["profile", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "m.py").write_text(SCRIPT)
    return f"{tmp_path / 'm.py'}:model"


@pytest.mark.parametrize("step", ["predict", "evaluate", "train"])
def test_steps(capsys: pytest.CaptureFixture[str], model: str, step: str) -> None:
    text = output(capsys, model, "--step", step, "--batch-size", 6, "--repeat", 2)
    head, columns, *rows = text.splitlines()
    assert "batch 6" in head
    assert columns.split()[-1] == "layer"
    names = [row.split()[-1] for row in rows]
    assert "net/eyes" in names
    assert ("net/eyes:grad" in names) == (step == "train")
    shares = [float(row.split()[1].rstrip("%")) for row in rows]
    assert sum(shares) == pytest.approx(100, abs=0.1 * len(rows))


def test_json(capsys: pytest.CaptureFixture[str], model: str) -> None:
    data = json.loads(output(capsys, model, "--step", "predict", "--json", "--repeat", 1))
    assert data["batch_size"] == 32
    eyes = next(row for row in data["rows"] if row["name"] == "net/eyes")
    assert eyes["flops"] >= 2 * 32 * 6 * 6 * 9 * 8
    assert 0 < eyes["share"] < 1
    assert any("convolution" in op["op"] and op["layer"] == "net/eyes" for op in data["ops"])


def test_a_program_by_op(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "p.kg"
    path.write_text(PROGRAM)
    text = output(capsys, path, "--ops")
    assert any(row.split()[-2:] == ["tanh", "f32[batch,3]"] for row in text.splitlines())


def test_errors(
    capsys: pytest.CaptureFixture[str], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["profile", model, "--repeat", "0"]) == 1
    assert "repeat=0" in capsys.readouterr().err
    monkeypatch.setenv("KGRAPH_BACKEND", "reference")
    assert run(["profile", model]) == 1
    assert "llvm backend" in capsys.readouterr().err
