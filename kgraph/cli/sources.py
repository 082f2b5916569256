"""Where programs and models come from."""

import runpy
import sys
from pathlib import Path
from typing import Any

from kgraph.ir import Function, parse


def read_program(file: Path) -> Function:
    """The function of a `.kg` file, or of standard input for `-`."""
    return parse(sys.stdin.read() if str(file) == "-" else file.read_text())


def read_model(source: str) -> Any:
    """The model of `model.keras`, or of `script.py:name`, which runs the script."""
    path, _, name = source.rpartition(":")
    if path.endswith(".py"):
        if not Path(path).exists():
            raise FileNotFoundError(f"there is no file {path!r}")
        try:
            namespace = runpy.run_path(path, run_name="__kgraph__")
        except (Exception, SystemExit) as error:
            raise ValueError(f"{path} raised {type(error).__name__}: {error}") from error
        if name not in namespace:
            models = [key for key, value in namespace.items() if hasattr(value, "predict")]
            raise ValueError(
                f"{path} has no {name!r}; its models are {', '.join(models) or 'none'}"
            )
        return namespace[name]
    if source.endswith(".py"):
        raise ValueError(f"name the model of the script as well, as in {source}:model")
    from kgraph.saving import load_model

    return load_model(source)
