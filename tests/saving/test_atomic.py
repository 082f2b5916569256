"""A file is the old one or the new one, whole, whatever happens while it is written."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kgraph
from kgraph.saving import atomic

pytestmark = pytest.mark.usefixtures("on_reference")


def net(value: float) -> Any:
    model = kgraph.Sequential([kgraph.layers.Input((3,)), kgraph.layers.Dense(2)])
    model.set_weights([np.full((3, 2), value), np.full(2, value)])
    return model


def value_of(path: Path) -> float:
    return float(kgraph.saving.load_model(path).get_weights()[0][0, 0])


@pytest.mark.parametrize("where", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, where, code):
    path = tmp_path / "m.keras"
    net(1.0).save(path)

    def full(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, where, full)
        with pytest.raises(OSError, match=r"m\.keras was not written.*unchanged") as found:
            net(2.0).save(path)
    assert found.value.errno == code
    assert value_of(path) == 1.0
    assert os.listdir(tmp_path) == ["m.keras"]
    net(2.0).save(path)
    assert value_of(path) == 2.0


def test_a_full_disk_for_weights(tmp_path, monkeypatch):
    path = tmp_path / "m.weights.h5"
    net(1.0).save_weights(path)
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        net(2.0).save_weights(path)
    assert path.read_bytes() == before


def test_a_real_full_device():
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(OSError, match="No space"), Path("/dev/full").open("wb", 0) as file:
        file.write(b"x")


def test_overwrite_false(tmp_path):
    path = tmp_path / "m.keras"
    net(1.0).save(path, overwrite=False)
    with pytest.raises(ValueError, match="overwrite=True"):
        net(2.0).save(path, overwrite=False)
    assert value_of(path) == 1.0
    net(1.0).save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match="overwrite=True"):
        net(2.0).save_weights(tmp_path / "m.weights.h5", overwrite=False)


def test_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder .*nowhere"):
        net(1.0).save(tmp_path / "nowhere" / "m.keras")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OSError, match=r"m\.keras was not written"):
            net(1.0).save(tmp_path / "m.keras")
    finally:
        tmp_path.chmod(0o700)


def test_a_refused_folder(tmp_path, monkeypatch):
    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(atomic.tempfile, "mkstemp", refuse)
    with pytest.raises(OSError, match=r"m\.keras was not written.*Permission denied"):
        net(1.0).save(tmp_path / "m.keras")


def test_modes_are_those_of_ordinary_files(tmp_path):
    net(1.0).save(tmp_path / "m.keras")
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "m.keras").stat().st_mode == (tmp_path / "plain").stat().st_mode


SAVING = """
import sys
import numpy as np
import kgraph
model = kgraph.Sequential([kgraph.layers.Input((3,)), kgraph.layers.Dense(2)])
value = 0.0
while True:
    value += 1
    model.set_weights([np.full((3, 2), value), np.full(2, value)])
    model.save(sys.argv[1])
    print(value, flush=True)
"""


def test_killed_while_writing(tmp_path):
    path = tmp_path / "m.keras"
    root = str(Path(kgraph.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    with subprocess.Popen(
        [sys.executable, "-c", SAVING, str(path)], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        found = []
        for _ in range(20):
            time.sleep(0.005)
            found.append(value_of(path))
        process.kill()
    assert found == sorted(found)
    assert value_of(path) >= found[-1]
    weights = kgraph.saving.load_model(path).get_weights()
    assert len({float(v) for w in weights for v in np.ravel(w)}) == 1
