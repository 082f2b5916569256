"""A line while a compilation takes long, on terminals only."""

from __future__ import annotations

import io
import re
import sys
import threading
import time

import pytest

from kgraph import runtime
from kgraph.ir import parse
from kgraph.runtime import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def stderr_is_one(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """In the test itself: pytest sets stderr anew between a fixture and its test."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    return found


def wait_for(condition: object) -> None:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.005)


def test_what_takes_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = stderr_is_one(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE", 0.01)

    def think() -> None:
        with progress.told_if_slow("thinking"):
            wait_for(terminal.getvalue)
            assert terminal.getvalue() == "kgraph: thinking ..."
            raise KeyError

    with pytest.raises(KeyError):
        think()
    assert re.fullmatch(r"kgraph: thinking \.\.\. \d+\.\d s\n", terminal.getvalue())


def test_what_is_quick_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = stderr_is_one(monkeypatch)
    before = threading.active_count()
    with progress.told_if_slow("thinking"):
        pass
    wait_for(lambda: threading.active_count() <= before)
    assert threading.active_count() <= before
    assert terminal.getvalue() == ""


def test_logs_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with progress.told_if_slow("thinking"):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_a_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = stderr_is_one(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    fn = parse("fn net(%x: f32[batch,3])\n  %0: f32[batch,3] = tanh %x\n  return %0\n")
    runtime.compile(fn)
    assert re.fullmatch(r"kgraph: compiling net, 1 op \.\.\. \d+\.\d s\n", terminal.getvalue())
    runtime.compile(fn)
    assert terminal.getvalue().count("\n") == 1
