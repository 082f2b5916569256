"""Every test here has a cache folder of its own."""

from pathlib import Path

import pytest

from kgraph import runtime


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("KGRAPH_CACHE_DIR", str(folder))
    runtime.clear_memory_cache()
    return folder
