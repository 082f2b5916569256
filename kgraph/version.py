"""The version, in the one place that the package and its metadata read."""

__version__ = "0.1.0"


def version() -> str:
    """Returns kgraph's version, such as `"0.1.0"`."""
    return __version__
