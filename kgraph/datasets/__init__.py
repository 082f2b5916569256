"""Data sets that are fetched once and kept in a folder of the user's."""

from kgraph.datasets import mnist

__all__ = ["mnist"]
