"""`kgraph ops` and `kgraph passes`: what there is, from the docstrings."""

import inspect
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from kgraph.ir import OPS
from kgraph.passes import pipeline  # noqa: F401  # loads every pass
from kgraph.passes.base import PASSES

Name = Annotated[str | None, typer.Argument(help="Show one in full.")]


def ops(name: Name = None) -> None:
    """List the ops, or show one: its fields, meaning and constraints."""
    table = {key: cls for key, cls in OPS.items() if key != "param"}
    _show(table, name, "op", lambda cls: f"{cls.name}({', '.join(_fields(cls))})")


def passes(name: Name = None) -> None:
    """List the passes, or show one: what it does and its options."""
    _show(PASSES, name, "pass", lambda cls: f"{cls.name}({', '.join(_fields(cls))})")


def _fields(cls: Any) -> list[str]:
    return [
        f"{f.name}: {f.type}"
        for f in cls.__dataclass_fields__.values()
        if "ClassVar" not in str(f.type)
    ]


def _show(table: Mapping[str, Any], name: str | None, kind: str, signature: Any) -> None:
    if name is None:
        width = max(map(len, table))
        for key in sorted(table):
            first = inspect.getdoc(table[key]) or ""
            sys.stdout.write(f"{key:<{width}}  {first.splitlines()[0] if first else ''}\n")
        return
    if name not in table:
        raise ValueError(f"there is no {kind} called {name!r}; without a name all are listed")
    sys.stdout.write(f"{signature(table[name])}\n\n{inspect.getdoc(table[name])}\n")
