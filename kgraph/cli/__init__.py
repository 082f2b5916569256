"""The `kgraph` command."""

from kgraph.cli.main import main

__all__ = ["main"]
