"""The names of keras.config, their defaults and their errors."""

import json
from pathlib import Path

import pytest

from kgraph import config
from kgraph.config import limits, numbers, switches


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(numbers, "_settings", {})
    monkeypatch.setattr(limits, "_limits", {})
    monkeypatch.setattr(switches, "_switches", dict(switches._switches))
    monkeypatch.delenv("KGRAPH_HOME", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


def test_the_names_of_keras_are_there() -> None:
    keras = pytest.importorskip("keras")
    later = {"dtype_policy", "set_dtype_policy"}
    missing = {n for n in dir(keras.config) if not n.startswith("_")} - set(dir(config))
    assert missing <= later


def test_defaults() -> None:
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == (
        "float32", 1e-7, "channels_last",
    )  # fmt: skip
    assert config.is_traceback_filtering_enabled()
    assert config.is_interactive_logging_enabled()
    assert config.max_epochs() is None


def test_setters() -> None:
    config.set_floatx("float64")
    config.set_epsilon(1e-3)
    config.set_image_data_format("Channels_First")
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == (
        "float64", 1e-3, "channels_first",
    )  # fmt: skip
    assert config.standardize_data_format(None) == "channels_first"
    config.disable_traceback_filtering()
    config.disable_interactive_logging()
    config.disable_flash_attention()
    assert not config.is_traceback_filtering_enabled()
    assert not config.is_interactive_logging_enabled()
    assert not config.is_flash_attention_enabled()
    config.enable_unsafe_deserialization()
    assert config.is_unsafe_deserialization_enabled()


def test_wrong_values() -> None:
    with pytest.raises(ValueError, match=r"floatx: expected one of float16, .*; got 'int8'"):
        config.set_floatx("int8")
    with pytest.raises(
        ValueError, match=r"data_format: expected one of channels_last, .*; got 'nchw'"
    ):
        config.set_image_data_format("NCHW")


def test_the_users_file(fresh: Path) -> None:
    text = json.dumps(
        {
            "floatx": "float16",
            "epsilon": 1e-5,
            "image_data_format": "channels_first",
            "backend": "torch",
        }
    )
    (fresh / "keras.json").write_text(text)
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == (
        "float16", 1e-5, "channels_first",
    )  # fmt: skip
    config.set_floatx("float32")
    assert (config.floatx(), config.epsilon()) == ("float32", 1e-5)


@pytest.mark.parametrize("text", ["{", '{"floatx": "complex"}', '{"epsilon": []}', "[1]"])
def test_a_damaged_file_is_left_aside(
    fresh: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (fresh / "keras.json").write_text(text)
    assert config.floatx() == "float32"
    assert caplog.text.count("is left aside") == (0 if text == "[1]" else 1)


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "3")
    monkeypatch.setenv("KERAS_MAX_STEPS_PER_EPOCH", "many")
    assert config.max_epochs() == 3
    config.set_max_epochs(None)
    assert config.max_epochs() is None
    with pytest.raises(
        ValueError, match="KERAS_MAX_STEPS_PER_EPOCH: expected a number; got 'many'"
    ):
        config.max_steps_per_epoch()
    config.set_max_steps_per_epoch(2)
    assert config.max_steps_per_epoch() == 2
