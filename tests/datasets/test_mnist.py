"""datasets.mnist, against a small stand-in for the complete set: no test needs the network."""

import hashlib
import io
import os
import runpy
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from kgraph.datasets import _files, mnist

ROOT = Path(__file__).parents[2]


def stand_in() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "x_train": generator.integers(0, 256, (60, 28, 28), np.uint8),
        "y_train": np.arange(60, dtype=np.uint8) % 10,
        "x_test": generator.integers(0, 256, (20, 28, 28), np.uint8),
        "y_test": np.arange(20, dtype=np.uint8) % 10,
    }


def container(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


class Server(HTTPServer):
    """Serves `body`, and claims that it has `missing` bytes more."""

    body = b""
    missing = 0
    requests = 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.requests += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.body) + self.server.missing))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.body = container(stand_in())
        monkeypatch.setattr(mnist, "_URL", f"http://127.0.0.1:{server.server_port}/mnist.npz")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, where the stand-in counts as the complete set."""
    digests = {
        name: (array.shape, hashlib.sha256(array.tobytes()).hexdigest())
        for name, array in stand_in().items()
    }
    monkeypatch.setattr(mnist, "_COMPLETE", digests)
    # Nothing listens on the discard port of this machine: "offline", whatever the machine has.
    monkeypatch.setattr(mnist, "_URL", "http://127.0.0.1:9/mnist.npz")
    monkeypatch.setenv("KGRAPH_HOME", str(tmp_path / "kgraph"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "kgraph" / "datasets"


def put(folder: Path, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mnist.npz"
    path.write_bytes(data)
    return path


def assert_stand_in(result: mnist.Arrays) -> None:
    (x_train, y_train), (x_test, y_test) = result
    for got, expected in zip((x_train, y_train, x_test, y_test), stand_in().values(), strict=True):
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == np.uint8


def test_homes_are_looked_at_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _files.datasets_folder() == tmp_path / "kgraph" / "datasets"
    monkeypatch.delenv("KGRAPH_HOME")
    assert _files.datasets_folder() == tmp_path / "keras" / "datasets"
    monkeypatch.delenv("KERAS_HOME")
    assert _files.datasets_folder() == tmp_path / ".keras" / "datasets"


def test_a_file_in_place_is_read_without_the_network(folder: Path) -> None:
    put(folder, container(stand_in()))
    assert_stand_in(mnist.load_data())


def test_the_arrays_count_and_not_their_container(folder: Path) -> None:
    folder.mkdir(parents=True)
    arrays = {name: np.asfortranarray(array) for name, array in stand_in().items()}
    np.savez(folder / "other.npz", extra=np.zeros(3), **arrays)
    assert_stand_in(mnist.load_data("other.npz"))
    assert_stand_in(mnist.load_data(str(folder / "other.npz")))


def test_a_missing_file_is_downloaded_once(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_stand_in(mnist.load_data())
    assert_stand_in(mnist.load_data())
    assert server.requests == 1
    assert os.listdir(folder) == ["mnist.npz"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("Downloading mnist.npz") == 1


def test_a_terminal_gets_a_progress_bar(
    folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    mnist.load_data()
    assert "Downloading mnist.npz" in terminal.getvalue()
    assert "━" in terminal.getvalue()


def test_offline_says_where_to_put_the_file(folder: Path) -> None:
    with pytest.raises(ConnectionError) as caught:
        mnist.load_data()
    message = str(caught.value)
    assert message.endswith(f"put it at {folder / 'mnist.npz'}")
    assert "127.0.0.1:9/mnist.npz could not be downloaded (Connection refused)" in message
    assert "\n" not in message
    assert os.listdir(folder) == []


def test_a_cut_download_leaves_nothing(folder: Path, server: Server) -> None:
    server.missing = 1000
    with pytest.raises(ConnectionError, match=r"only \d+ of \d+ bytes came"):
        mnist.load_data()
    assert os.listdir(folder) == []


def test_a_wrong_download_leaves_nothing(folder: Path, server: Server) -> None:
    server.body = b"<html>please log in to this network</html>"
    with pytest.raises(ValueError, match="is damaged or no"):
        mnist.load_data()
    assert os.listdir(folder) == []


def test_an_interrupted_download_leaves_nothing(
    folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_files, "_copy", interrupt)
    with pytest.raises(KeyboardInterrupt):
        mnist.load_data()
    assert os.listdir(folder) == []


def test_a_home_that_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KGRAPH_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match="set KGRAPH_HOME to a folder that can be written"):
        mnist.load_data()


def changed(name: str, array: np.ndarray) -> bytes:
    return container(stand_in() | {name: array})


def one_pixel_off() -> bytes:
    array = stand_in()["x_train"]
    array[3, 14, 15] ^= 1
    return changed("x_train", array)


def without_labels() -> bytes:
    arrays = stand_in()
    del arrays["y_test"]
    return container(arrays)


def middle_byte_off() -> bytes:
    data = bytearray(container(stand_in()))
    data[len(data) // 3] ^= 0xFF
    return bytes(data)


def pickled() -> bytes:
    hostile = np.array([Hostile()], dtype=object)
    return changed("x_train", hostile)


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.putenv, ("a", "b")


def huge_header() -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 60,)}
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x_train.npy", header.getvalue())
    return buffer.getvalue()


DAMAGED = {
    "empty": (b"", "no .npz file"),
    "text": (b"not a file of arrays", "no .npz file"),
    "cut": (container(stand_in())[:-5000], "no .npz file"),
    "middle byte": (middle_byte_off(), "damaged"),
    "one pixel": (one_pixel_off(), "expected sha256 [0-9a-f]{64} for x_train, got"),
    "no labels": (without_labels(), "is not MNIST: .*y_test"),
    "int64 labels": (changed("y_train", np.zeros(60, np.int64)), "expected y_train .*got int64"),
    "int8 labels": (changed("y_train", stand_in()["y_train"].view(np.int8)), "got int8 of shape"),
    "flat": (changed("x_test", np.zeros((20, 784), np.uint8)), r"got uint8 of shape \(20, 784\)"),
    "pickle": (pickled(), "allow_pickle=False"),
    "huge": (huge_header(), "no .npz file"),
}


@pytest.mark.parametrize(("data", "says"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_named(folder: Path, data: bytes, says: str) -> None:
    path = put(folder, data)
    with pytest.raises(ValueError, match=says) as caught:
        mnist.load_data()
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).endswith(f"delete {path} and load again to download a fresh copy")
    assert path.read_bytes() == data


@pytest.fixture(scope="module")
def digits() -> mnist.Arrays:
    return mnist.load_embedded()


class TestEmbedded:
    def test_size(self) -> None:
        path = Path(mnist.__file__).with_name("mnist_embedded.npz")
        assert path.stat().st_size < 2_000_000

    def test_shapes_and_balance(self, digits: mnist.Arrays) -> None:
        for (images, labels), count in zip(digits, (6000, 1000), strict=True):
            assert images.shape == (count, 28, 28)
            assert images.dtype == labels.dtype == np.uint8
            np.testing.assert_array_equal(labels, np.arange(count) % 10)

    def test_no_image_twice(self, digits: mnist.Arrays) -> None:
        rows = np.concatenate([images.reshape(-1, 784) for images, _ in digits])
        assert len(np.unique(rows, axis=0)) == 7000

    def test_labels_belong_to_images(self, digits: mnist.Arrays) -> None:
        """The nearest of ten mean images gives 0.82 of MNIST's test labels."""
        (x_train, y_train), (x_test, y_test) = digits
        means = np.stack([x_train[y_train == digit].mean(axis=0) for digit in range(10)])
        distances = ((x_test[:, None] - means) ** 2).sum(axis=(2, 3))
        assert (distances.argmin(axis=1) == y_test).mean() > 0.75


def test_the_script_is_deterministic(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = put(folder, container(stand_in())), tmp_path / "embedded.npz"
    made = []
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", ["embed_mnist.py", str(source), "--target", str(target)])
        runpy.run_path(str(ROOT / "tools" / "embed_mnist.py"), run_name="__main__")
        made.append(target.read_bytes())
    assert made[0] == made[1]
    with np.load(target) as arrays:
        np.testing.assert_array_equal(arrays["y_train"], stand_in()["y_train"])
        np.testing.assert_array_equal(arrays["x_train"], stand_in()["x_train"])
