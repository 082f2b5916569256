"""The wheel, built and installed in an environment of its own, works and holds only `kgraph`."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    run(*build, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it, and this one's libraries within its reach.

    `make demo` installs the libraries themselves, which takes a network. A path in a .pth file is
    searched, but .pth files there are not: an editable kgraph of this environment stays out.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    run(*pip, "--no-index", "--no-deps", wheel, cwd=folder)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    libraries = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (Path(site.strip()) / "libraries.pth").write_text("\n".join(sorted(libraries)))
    return folder


def test_it_holds_the_package_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    metadata = {name.split("/")[0] for name in names} - {"kgraph"}
    assert len(metadata) == 1
    assert metadata.pop().endswith(".dist-info")
    files = {path for path in (ROOT / "kgraph").rglob("*") if path.is_file()}
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in files
        if path.suffix != ".pyc" and path.name != "ruff.toml"
    }
    assert {name for name in names if name.startswith("kgraph/")} == expected
    assert "kgraph/datasets/mnist_embedded.npz" in expected
    assert {"LICENSE", "NOTICE"} <= {Path(name).name for name in names}


def test_the_package_comes_from_the_wheel(environment: Path) -> None:
    code = "import kgraph; print(kgraph.__file__)"
    path = Path(run(environment / "bin" / "python", "-c", code, cwd=environment).strip())
    assert environment in path.parents


def test_the_links_are_no_packages(environment: Path) -> None:
    code = (
        "import importlib.util as u; print([u.find_spec(n) for n in ('ir', 'passes', 'runtime')])"
    )
    printed = run(environment / "bin" / "python", "-c", code, cwd=environment)
    assert printed.strip() == "[None, None, None]"


def test_it_trains(environment: Path) -> None:
    code = """
import numpy as np
import kgraph as keras
(x, y), _ = keras.datasets.mnist.load_embedded()
x = x[:1000].astype("float32").reshape(-1, 784) / 255
model = keras.Sequential([
    keras.layers.Input(shape=(784,)),
    keras.layers.Dense(32, activation="relu"),
    keras.layers.Dense(10, activation="softmax"),
])
model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(x, y[:1000], batch_size=50, epochs=3, verbose=0).history
assert history["accuracy"][-1] > 0.7, history
"""
    run(environment / "bin" / "python", "-c", code, cwd=environment)


def test_its_command_is_there(environment: Path) -> None:
    printed = run(environment / "bin" / "kgraph", "--help", cwd=environment)
    assert "demo" in printed
    assert "dump" in printed
