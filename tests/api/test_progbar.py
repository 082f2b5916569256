"""What `fit` and `evaluate` print: a bar on a terminal, a plain line per epoch elsewhere."""

import io
import re
import sys

import numpy as np
import pytest

import kgraph
from kgraph.utils import Progbar

pytestmark = pytest.mark.usefixtures("on_reference")


class Terminal(io.StringIO):
    """A text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def model():
    found = kgraph.Sequential([kgraph.layers.Input((2,)), kgraph.layers.Dense(1)])
    found.compile("sgd", "mse", metrics=["mae"])
    return found


DATA = (np.ones((10, 2), "float32"), np.ones((10, 1), "float32"))


def test_a_line_per_epoch_when_the_output_is_no_terminal(model, capsys):
    model.fit(*DATA, batch_size=4, epochs=2, validation_split=0.2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    pattern = (
        r"Epoch 1/2 - 2/2 - \d+s - \S+/step - loss: \S+ - mae: \S+ - val_loss: \S+ - val_mae: \S+"
    )
    assert re.fullmatch(pattern, lines[0])
    assert "\033" not in "".join(lines)
    assert "\r" not in "".join(lines)


def test_a_bar_on_a_terminal(model, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    model.fit(*DATA, batch_size=4, epochs=2)
    text = terminal.getvalue()
    assert text.count("Epoch ") == 2
    assert "Epoch 1/2\n" in text
    assert "\r" in text
    assert "━" * 20 in text
    assert re.search(r"3/3.*loss: \d+\.\d{4}.*mae", text)
    assert text.endswith("\n")


@pytest.mark.parametrize("run", ["fit", "evaluate", "predict"])
def test_silence(model, capsys, run):
    getattr(model, run)(*DATA[: 1 if run == "predict" else 2], verbose=0)
    assert capsys.readouterr() == ("", "")


def test_evaluate_and_predict_print_one_line(model, capsys):
    model.evaluate(*DATA, batch_size=5)
    assert re.fullmatch(r"2/2 - \d+s - \S+/step - loss: \S+ - mae: \S+\n", capsys.readouterr().out)
    model.predict(DATA[0], batch_size=5)
    assert re.fullmatch(r"2/2 - \d+s - \S+/step\n", capsys.readouterr().out)


def test_steps_of_a_generator_are_known_at_the_end(model, capsys):
    model.fit(iter([DATA, DATA, DATA]))
    assert capsys.readouterr().out.startswith("Epoch 1/1 - 3/3 - ")


def test_numbers(capsys):
    bar = Progbar(2, verbose=2)
    bar.update(2, [("a", 0.12345678), ("b", 1.5e-7), ("c", 0.0), ("d", float("nan"))])
    text = capsys.readouterr().out
    assert " - a: 0.1235 - b: 1.5000e-07 - c: 0.0000 - d: nan\n" in text


def test_a_bar_does_not_redraw_each_step(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    bar = Progbar(10_000)
    for step in range(1, 10_001):
        bar.update(step)
    assert terminal.getvalue().count("\r") < 100
    assert "10000/10000" in terminal.getvalue()


def test_add_counts(capsys):
    bar = Progbar(4, verbose=2)
    for _ in range(4):
        bar.add(1)
    assert capsys.readouterr().out.startswith("4/4 - ")
