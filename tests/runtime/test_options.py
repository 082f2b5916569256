"""Which backend and options the environment and the process ask for."""

import logging

import pytest

from kgraph import config, runtime
from kgraph.codegen import Options
from kgraph.runtime import options


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KGRAPH_BACKEND", "KERAS_BACKEND", "KGRAPH_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(options, "_chosen", None)
    monkeypatch.setattr(options, "_noticed", set())


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "llvm"),
        ({"KERAS_BACKEND": "jax"}, "jax"),
        ({"KERAS_BACKEND": "numpy"}, "reference"),
        ({"KERAS_BACKEND": "reference"}, "reference"),
        ({"KGRAPH_BACKEND": "reference", "KERAS_BACKEND": "jax"}, "reference"),
        ({"KGRAPH_BACKEND": " jax ", "KERAS_BACKEND": "nonsense"}, "jax"),
        ({"KGRAPH_BACKEND": ""}, "llvm"),
    ],
)
def test_backend_of_the_environment(environment: dict[str, str], expected: str) -> None:
    assert options.backend_of_environment(environment) == expected
    assert runtime.default_options(environment=environment).backend == expected


@pytest.mark.parametrize("name", ["tensorflow", "torch"])
def test_other_libraries_get_one_notice_and_llvm(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "kgraph"):
        assert [options.backend_of_environment({"KERAS_BACKEND": name}) for _ in range(3)] == [
            "llvm"
        ] * 3
    (record,) = caplog.records
    assert f"KERAS_BACKEND={name}" in record.message
    assert "llvm" in record.message


@pytest.mark.parametrize("variable", ["KGRAPH_BACKEND", "KERAS_BACKEND"])
def test_an_unknown_backend(variable: str) -> None:
    with pytest.raises(ValueError, match=f"{variable}: expected one of .*jax.*; got 'xla'"):
        options.backend_of_environment({variable: "xla"})


def test_set_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.backend() == "llvm"
    config.set_backend("reference")
    assert config.backend() == "reference"
    assert runtime.default_options().backend == "reference"
    assert runtime.default_options(backend="jax").backend == "jax"
    with pytest.raises(ValueError, match="expected one of llvm, jax, reference; got 'torch'"):
        config.set_backend("torch")
    monkeypatch.setenv("KGRAPH_BACKEND", "jax")
    assert runtime.default_options(backend="llvm").backend == "jax"


def test_the_environment_wins_over_set_backend(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KGRAPH_BACKEND", "jax")
    with caplog.at_level(logging.WARNING, "kgraph"):
        config.set_backend("reference")
    assert config.backend() == "jax"
    assert "KGRAPH_BACKEND=jax is set and wins" in caplog.text


def test_switches() -> None:
    found = runtime.default_options(
        environment={
            "KGRAPH_EXACT": "1", "KGRAPH_FAST_MATH": "true", "KGRAPH_TF32": "1",
            "KGRAPH_VERIFY": "0", "KGRAPH_POISON": "1", "KGRAPH_TARGET": "avx2",
            "KGRAPH_DISABLE": "fuse, cse",
        }
    )  # fmt: skip
    assert found == Options(
        exact=True, fast_math=True, tf32=True, poison=True, target="avx2", disabled=("cse", "fuse")
    )
    with pytest.raises(ValueError, match="KGRAPH_POISON: expected 0 or 1; got 'yes'"):
        runtime.default_options(environment={"KGRAPH_POISON": "yes"})


def test_every_option_is_in_the_key() -> None:
    changed = [
        Options(backend="jax"), Options(target="avx2"), Options(exact=True),
        Options(fast_math=True), Options(tf32=True), Options(verify=True), Options(poison=True),
        Options(guard="end"), Options(profile=True), Options(find_nan=True),
        Options(disabled=("cse",)),
    ]  # fmt: skip
    assert len({o.text() for o in [*changed, Options()]}) == len(changed) + 1
    assert len(Options.__dataclass_fields__) == len(changed)
    with pytest.raises(ValueError, match="backend: expected one of"):
        Options(backend="torch")
    with pytest.raises(ValueError, match="guard: expected 'end', 'start' or ''; got 'front'"):
        Options(guard="front")


@pytest.mark.parametrize(
    ("value", "expected"), [("1", "end"), ("start", "start"), ("0", ""), ("", "")]
)
def test_guard(value: str, expected: str) -> None:
    assert runtime.default_options(environment={"KGRAPH_GUARD": value}).guard == expected
