"""Defaults of layers: the float type, the small constant, the order of image dims.

Where the program sets none, they come from Keras's own file `keras.json`, if the user has one in
`$KGRAPH_HOME`, else `$KERAS_HOME`, else `~/.keras`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import cast

from kgraph.ir import FLOATS
from kgraph.runtime import notice

_DATA_FORMATS = ("channels_last", "channels_first")
_settings: dict[str, object] = {}


def floatx() -> str:
    """The float type of weights and layers that name none; `float32` at first."""
    return str(_setting("floatx"))


def set_floatx(value: str) -> None:
    """Sets the default float type.

    Raises:
        ValueError: it is not one of float16, bfloat16, float32, float64.
    """
    _setting("floatx")
    _settings["floatx"] = _one_of(value, FLOATS, "floatx")


def epsilon() -> float:
    """The small number that keeps divisions and logarithms away from 0; 1e-7 at first."""
    return cast("float", _setting("epsilon"))


def set_epsilon(value: float) -> None:
    """Sets the small number."""
    _setting("epsilon")
    _settings["epsilon"] = float(value)


def image_data_format() -> str:
    """`channels_last` (the default) or `channels_first`."""
    return str(_setting("image_data_format"))


def set_image_data_format(data_format: str) -> None:
    """Sets the order of image dims for layers that name none.

    Raises:
        ValueError: it is neither `channels_last` nor `channels_first`.
    """
    _setting("image_data_format")
    _settings["image_data_format"] = standardize_data_format(data_format)


def standardize_data_format(data_format: str | None) -> str:
    """A layer's `data_format` argument, in lower case; the default for None.

    Raises:
        ValueError: it is neither `channels_last` nor `channels_first`.
    """
    if data_format is None:
        return image_data_format()
    return _one_of(str(data_format).lower(), _DATA_FORMATS, "data_format")


def _one_of(value: str, values: tuple[str, ...], name: str) -> str:
    if value not in values:
        raise ValueError(f"{name}: expected one of {', '.join(values)}; got {value!r}")
    return value


def _setting(name: str) -> object:
    if not _settings:
        _settings.update(
            {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}
        )
        _settings.update(_from_file())
    return _settings[name]


def _from_file() -> dict[str, object]:
    folder = os.environ.get("KGRAPH_HOME") or os.environ.get("KERAS_HOME") or "~/.keras"
    path = Path(folder).expanduser() / "keras.json"
    found: dict[str, object] = {}
    try:
        data = json.loads(path.read_text())
        if "floatx" in data:
            found["floatx"] = _one_of(data["floatx"], FLOATS, "floatx")
        if "epsilon" in data:
            found["epsilon"] = float(data["epsilon"])
        if "image_data_format" in data:
            found["image_data_format"] = _one_of(
                data["image_data_format"], _DATA_FORMATS, "image_data_format"
            )
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        notice(f"kgraph: {path} is left aside: {error}")
        return {}
    return found
