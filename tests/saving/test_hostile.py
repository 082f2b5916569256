"""Damaged and hostile files: each is refused with one clear error, and nothing in them is run."""

import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import kgraph

pytestmark = pytest.mark.usefixtures("on_reference")


@pytest.fixture
def model() -> Any:
    found = kgraph.Sequential(
        [kgraph.layers.Input((3,)), kgraph.layers.Dense(4, name="d"), kgraph.layers.Dense(2)]
    )
    found.compile("adam", "mse")
    return found


@pytest.fixture
def saved(model: Any, tmp_path: Path) -> Path:
    path = tmp_path / "m.keras"
    model.save(path)
    return path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, **changes: Any) -> None:
    """The file with other members: `config` as JSON, `weights` as a function of the h5 file."""
    found = members(path)
    if "config" in changes:
        found["config.json"] = json.dumps(changes["config"]).encode()
    if "raw" in changes:
        found["config.json"] = changes["raw"]
    if "weights" in changes:
        buffer = io.BytesIO(found["model.weights.h5"])
        with h5py.File(buffer, "r+") as file:
            changes["weights"](file)
        found["model.weights.h5"] = buffer.getvalue()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in found.items():
            archive.writestr(name, content)


def refused(path: Path, match: str = ".", error: Any = (ValueError, TypeError)) -> str:
    with pytest.raises(error, match=match) as found:
        kgraph.saving.load_model(path)
    return str(found.value)


def test_truncated_anywhere(saved):
    whole = saved.read_bytes()
    offsets = {0, 1, 21, 22, len(whole) - 1, *range(0, len(whole), len(whole) // 40)}
    for n in sorted(offsets):
        saved.write_bytes(whole[:n])
        refused(saved, "damaged|no `.keras` file")


def test_flipped_bytes_never_crash(saved):
    whole = saved.read_bytes()
    reference = kgraph.saving.load_model(saved).get_weights()
    random = np.random.default_rng(5)
    for place in random.integers(0, len(whole), 60):
        broken = bytearray(whole)
        broken[place] ^= 0x41
        saved.write_bytes(bytes(broken))
        try:
            loaded = kgraph.saving.load_model(saved)
        except (ValueError, TypeError):
            continue
        # zip's checksum guards the members; elsewhere a byte may not matter
        for a, b in zip(reference, loaded.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_flipped_bytes_of_weights_never_crash(model, tmp_path):
    path = tmp_path / "m.weights.h5"
    model.save_weights(path)
    whole = path.read_bytes()
    random = np.random.default_rng(6)
    for place in random.integers(0, len(whole), 60):
        broken = bytearray(whole)
        broken[place] ^= 0xFF
        path.write_bytes(bytes(broken))
        try:
            model.load_weights(path)
        except ValueError:
            continue


def test_no_zip_at_all(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(b"hello")
    refused(path, "no `.keras` file")


def test_a_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "m.keras").mkdir()
    refused(tmp_path / "m.keras", "m.keras", (ValueError, OSError))


def test_missing_members(saved):
    found = members(saved)
    for name in ("config.json", "model.weights.h5"):
        with zipfile.ZipFile(saved, "w") as archive:
            for other, content in found.items():
                if other != name:
                    archive.writestr(other, content)
        refused(saved, name)


def test_a_zip_bomb(saved):
    found = members(saved)
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", found["config.json"])
        archive.writestr("model.weights.h5", b"\0" * (200 * 2**20))
    refused(saved, "claims 209715200 bytes")


def test_a_config_bomb(saved):
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (300 * 2**20))
        archive.writestr("model.weights.h5", b"")
    refused(saved, "config.json claims")


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b'{"a": 1}', b'{"class_name": 3}'],
)
def test_configs_that_are_none(saved, raw):
    rewrite(saved, raw=raw)
    refused(saved)


def test_deep_json(saved):
    rewrite(saved, raw=b"[" * 100_000 + b"]" * 100_000)
    refused(saved, "damaged")
    deep = b'{"class_name": "Sequential", "module": "keras", "config": {"layers": '
    rewrite(saved, raw=deep * 20_000 + b"[]" + b"}}" * 20_000)
    refused(saved, "damaged|nests")


def layer_config(path: Path, **changes: Any) -> dict[str, Any]:
    config = json.loads(members(path)["config.json"])
    layer = config["config"]["layers"][1]
    layer.update(changes)
    return config


def test_an_unknown_class(saved):
    rewrite(saved, config=layer_config(saved, class_name="Nonsense"))
    message = refused(saved, "Nonsense")
    assert "\n" not in message.strip() or "custom_objects" in message


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("subprocess", "Popen"),
        ("kgraph.saving.atomic", "atomic_write"),
        ("marshalling", "Nothing"),
        ("keras.src.utils.file_utils", "copy"),
    ],
)
def test_nothing_is_imported_by_a_name_from_a_file(saved, module, name, monkeypatch, tmp_path):
    (tmp_path / "marshalling.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    for registered in (None, name, f"package>{name}"):
        rewrite(
            saved,
            config=layer_config(
                saved, module=module, class_name=name, registered_name=registered, config={}
            ),
        )
        refused(saved, name)
    assert "marshalling" not in sys.modules


def test_functions_are_not_imported_either(saved):
    bad = {
        "module": "os",
        "class_name": "function",
        "config": "system",
        "registered_name": "function",
    }
    config = layer_config(saved)
    config["config"]["layers"][1]["config"]["activation"] = bad
    rewrite(saved, config=config)
    refused(saved, "system")


def test_a_lambda_is_not_run(saved):
    config = layer_config(
        saved,
        module="keras.layers",
        class_name="Lambda",
        config={
            "name": "l",
            "function": {
                "class_name": "__lambda__",
                "config": {"code": "4wEAAAA=", "defaults": None, "closure": None},
            },
        },
    )
    rewrite(saved, config=config)
    refused(saved, "[Ll]ambda")


def test_mutated_configs(saved):
    for key, value in (
        ("units", "many"),
        ("units", -3),
        ("units", None),
        ("activation", "nonsense"),
        ("kernel_initializer", {"class_name": "Nothing"}),
        ("surplus", 1),
        ("dtype", "float33"),
    ):
        config = layer_config(saved)
        original = json.dumps(config)
        config["config"]["layers"][1]["config"][key] = value
        rewrite(saved, config=config)
        message = refused(saved)
        assert "d" in message
        rewrite(saved, raw=original.encode())


def first_weights(file: Any) -> Any:
    return file["layers/dense/vars"]


def test_an_external_link(saved, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["v"] = np.ones((3, 4), "float32")

    def change(file):
        del first_weights(file)["0"]
        first_weights(file)["0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "v")

    rewrite(saved, weights=change)
    refused(saved, "link")


def test_a_soft_link(saved):
    def change(file):
        del first_weights(file)["0"]
        first_weights(file)["0"] = h5py.SoftLink("/layers/dense_1/vars/0")

    rewrite(saved, weights=change)
    refused(saved, "link")


def test_a_linked_group(saved, tmp_path):
    def change(file):
        del file["layers/dense"]
        file["layers/dense"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/")

    rewrite(saved, weights=change)
    refused(saved, "link")


def test_a_virtual_dataset(saved, tmp_path):
    def change(file):
        del first_weights(file)["0"]
        layout = h5py.VirtualLayout((3, 4), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "v", shape=(3, 4))
        first_weights(file).create_virtual_dataset("0", layout)

    rewrite(saved, weights=change)
    refused(saved, "another file")


def test_external_storage(saved, tmp_path):
    (tmp_path / "secret.bin").write_bytes(b"\1" * 48)

    def change(file):
        del first_weights(file)["0"]
        first_weights(file).create_dataset(
            "0", (3, 4), "f4", external=[(str(tmp_path / "secret.bin"), 0, 48)]
        )

    rewrite(saved, weights=change)
    refused(saved, "another file")


def test_wrong_shapes_and_types(saved):
    def shape(file):
        del first_weights(file)["0"]
        first_weights(file)["0"] = np.ones((4, 3), "float32")

    def text(file):
        del first_weights(file)["0"]
        first_weights(file)["0"] = np.full((3, 4), b"abc")

    def group(file):
        del first_weights(file)["0"]
        first_weights(file).create_group("0")

    def missing(file):
        del first_weights(file)["1"]

    whole = saved.read_bytes()
    for change, words in (
        (shape, r"\(3, 4\).*\(4, 3\)|\(4, 3\).*\(3, 4\)"),
        (text, "numbers"),
        (group, "array"),
        (missing, "Dense"),
    ):
        saved.write_bytes(whole)
        rewrite(saved, weights=change)
        assert "d" in refused(saved, words)


def test_a_dataset_that_claims_to_be_huge(saved):
    def change(file):
        del first_weights(file)["0"]
        first_weights(file).create_dataset("0", (2**40,), "f4", chunks=(2**20,))

    rewrite(saved, weights=change)
    refused(saved)


def test_a_failed_load_leaves_the_model(model, saved, tmp_path):
    other = kgraph.Sequential([kgraph.layers.Input((3,)), kgraph.layers.Dense(5)])
    other.save_weights(tmp_path / "o.weights.h5")
    before = [np.array(w) for w in model.get_weights()]
    with pytest.raises(ValueError, match="Dense"):
        model.load_weights(tmp_path / "o.weights.h5")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.load_weights(saved)


def test_skip_mismatch(model, tmp_path):
    other = kgraph.Sequential(
        [kgraph.layers.Input((3,)), kgraph.layers.Dense(4), kgraph.layers.Dense(7)]
    )
    other.save_weights(tmp_path / "o.weights.h5")
    last = np.array(model.layers[-1].get_weights()[0])
    model.load_weights(tmp_path / "o.weights.h5", skip_mismatch=True)
    np.testing.assert_array_equal(
        model.layers[0].get_weights()[0], other.layers[0].get_weights()[0]
    )
    np.testing.assert_array_equal(model.layers[-1].get_weights()[0], last)


def test_paths(model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.keras"):
        kgraph.saving.load_model(tmp_path / "nothing.keras")
    with pytest.raises(FileNotFoundError, match=r"nothing\.weights\.h5"):
        model.load_weights(tmp_path / "nothing.weights.h5")
    with pytest.raises(ValueError, match=r"end in `\.keras`"):
        model.save(tmp_path / "m.h5")
    with pytest.raises(ValueError, match=r"end in `\.weights\.h5`"):
        model.save_weights(tmp_path / "m.h5")
    (tmp_path / "m.txt").write_text("x")
    with pytest.raises(ValueError, match=r"end in `\.keras`"):
        kgraph.saving.load_model(tmp_path / "m.txt")
    assert os.listdir(tmp_path) == ["m.txt"]
