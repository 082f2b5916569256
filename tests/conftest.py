"""What all tests share: the environment, set before kgraph, Keras or JAX is imported."""

import os
import signal

import pytest
from hypothesis import settings

# Keras is the oracle, on JAX, on the CPU; kgraph reads KERAS_BACKEND too, but KGRAPH_BACKEND wins.
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("KGRAPH_BACKEND", "llvm")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("KGRAPH_VERIFY", "1")

# A failure must come again in the next run, and a busy machine must not be one.
settings.register_profile("kgraph", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("kgraph")

# A shell has its background jobs ignore Ctrl-C, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest.register_assert_rewrite("tests.harness")


@pytest.fixture
def on_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models run on the reference backend, which compiles nothing: for tests of the API."""
    monkeypatch.setenv("KGRAPH_BACKEND", "reference")
