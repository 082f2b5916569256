"""The errors of the toolkit: one family, each message says what was expected and what came."""

from __future__ import annotations


class KGraphError(Exception):
    """Base of every error that kgraph raises on purpose."""


class IRError(KGraphError, ValueError):
    """A graph that breaks a rule of the IR; `label` names the constraint, as `transpose.C1`."""

    def __init__(self, message: str, label: str = "") -> None:
        super().__init__(f"{message} ({label})" if label else message)
        self.label = label


class ParseError(KGraphError, ValueError):
    """Text that is no graph; `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


class SizeNeededError(KGraphError, TypeError):
    """Python asked for the number behind a symbolic size; a tracer answers by binding `symbols`."""

    def __init__(self, message: str, symbols: tuple[str, ...]) -> None:
        super().__init__(message)
        self.symbols = symbols


class NotDifferentiableError(KGraphError, ValueError):
    """A gradient was asked of an op that has none."""
