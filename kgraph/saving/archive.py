"""The `.keras` file: a zip of `metadata.json`, `config.json` and `model.weights.h5`."""

import datetime
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

from kgraph.layers import Layer
from kgraph.registry import custom_object_scope, deserialize_keras_object, serialize_keras_object
from kgraph.saving.atomic import atomic_write
from kgraph.saving.state import load_state, save_state
from kgraph.saving.weights_store import DamagedFileError, WeightsReader, WeightsWriter

__all__ = ["load_model", "load_weights", "save_model", "save_weights"]

# The version of the format that we write, for readers that look at it.
_FORMAT = "3.15.1"
_LARGEST_CONFIG = 256 * 2**20


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, zipped: bool = True, **kwargs: Any
) -> None:
    """Writes the model: its config, its weights, and the optimizer with its state.

    Args:
        model: a model.
        filepath: a path that ends in `.keras`.
        overwrite: False raises an error where the file exists.

    Raises:
        ValueError: the path ends otherwise, or the file exists.
        OSError: the file cannot be written; what was there before is unchanged.
    """
    if kwargs:
        raise ValueError(f"save: unexpected arguments {sorted(kwargs)}.")
    if not zipped:
        raise ValueError("save: only the zipped form of `.keras` is supported.")
    path = Path(os.fspath(filepath))
    if path.suffix != ".keras":
        raise ValueError(
            f"The path of a model must end in `.keras`; got {str(filepath)!r}. For weights alone "
            "use `save_weights('....weights.h5')`."
        )
    _check_overwrite(path, overwrite)
    config = serialize_keras_object(model)
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = {"keras_version": _FORMAT, "date_saved": now}
    weights = _weights_bytes(model)
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", json.dumps(metadata))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights)


def load_model(
    filepath: Any,
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:  # Keras's name
    """Reads a model from a `.keras` file. No code in the file is run, and no other file is read.

    Args:
        filepath: a path that ends in `.keras`.
        custom_objects: classes and functions by the names under which they were saved.
        compile: compiles the model as it was, with the optimizer's state.
        safe_mode: kept for compatibility; lambdas in a file are never run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, is no `.keras` file, or names an unknown class; the message
            says which.
    """
    path = Path(os.fspath(filepath))
    if not path.exists():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    if path.suffix != ".keras":
        raise ValueError(f"The path of a model must end in `.keras`; got {str(path)!r}.")
    config, weights = _read_archive(path)
    compile_config = config.pop("compile_config", None)
    with custom_object_scope(custom_objects or {}):
        try:
            model = deserialize_keras_object(config, safe_mode=safe_mode)
        except RecursionError:
            raise ValueError(f"{path} is damaged: its config nests without end.") from None
        if not isinstance(model, Layer):
            raise ValueError(f"{path} is damaged: its config describes no model.")
        if compile and compile_config:
            model.compile_from_config(compile_config)
    _load_weights(model, io.BytesIO(weights), path)
    return model


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Writes the model's weights to a path that ends in `.weights.h5`."""
    path = _weights_path(filepath)
    _check_overwrite(path, overwrite)
    content = _weights_bytes(model)
    with atomic_write(path) as file:
        file.write(content)


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False) -> None:
    """Reads weights from a `.weights.h5` or `.keras` file into a built model.

    Args:
        skip_mismatch: leaves weights as they are where the file has none or others.
    """
    path = Path(os.fspath(filepath))
    if not path.exists():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    content = (
        _read_archive(path)[1] if path.suffix == ".keras" else _weights_path(path).read_bytes()
    )
    _load_weights(model, io.BytesIO(content), path, skip_mismatch)


def _weights_path(filepath: Any) -> Path:
    path = Path(os.fspath(filepath))
    if not path.name.endswith(".weights.h5"):
        raise ValueError(f"The path of weights must end in `.weights.h5`; got {str(path)!r}.")
    return path


def _check_overwrite(path: Path, overwrite: bool) -> None:
    if not overwrite and path.exists():
        raise ValueError(f"{path} exists; give `overwrite=True` to replace it.")


def _weights_bytes(model: Any) -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        save_state(model, WeightsWriter(file))
    return buffer.getvalue()


def _load_weights(model: Any, content: io.BytesIO, path: Path, skip_mismatch: bool = False) -> None:
    import h5py

    try:
        with h5py.File(content, "r") as file:
            problems = load_state(model, WeightsReader(file), skip_mismatch)
    except (OSError, RuntimeError, DamagedFileError) as e:
        raise ValueError(f"{path} is damaged: its weights cannot be read: {e}") from e
    if problems:
        raise ValueError(f"{path} does not fit the model:\n" + "\n".join(problems))


def _read_archive(path: Path) -> tuple[dict[str, Any], bytes]:
    """The config and the bytes of the weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(_read(archive, "config.json", _LARGEST_CONFIG))
            weights = _read(archive, "model.weights.h5", None)
    except zipfile.BadZipFile as e:
        raise ValueError(f"{path} is no `.keras` file, or is damaged: {e}.") from e
    except (
        KeyError,
        OSError,
        EOFError,
        RuntimeError,
        ValueError,
        NotImplementedError,
        RecursionError,
    ) as e:
        raise ValueError(f"{path} is damaged: {e}") from e
    if not isinstance(config, dict):
        raise ValueError(f"{path} is damaged: its config is a {type(config).__name__}, not a dict.")
    return config, weights


def _read(archive: zipfile.ZipFile, name: str, largest: int | None) -> bytes:
    """A member, unless it would unfold to far more than the file could hold."""
    info = archive.getinfo(name)
    bound = largest if largest is not None else 1000 * info.compress_size + 2**20
    if info.file_size > bound:
        raise ValueError(
            f"{name} claims {info.file_size} bytes in {info.compress_size} compressed ones"
        )
    return archive.read(name)
