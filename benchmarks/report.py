"""The table, and the same as JSON."""

import json
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.driver import Measured, Row


def heading(peers: Sequence[str]) -> str:
    """Two lines above the rows."""
    about = "ms: least, error against float64; ratio: kgraph / best peer, of leasts and of medians"
    names = "".join(f"{name:>19}" for name in peers)
    return f"{about}\n{'':22}{'':10}{'batch':>5}{'thr':>4}{names}{'ratio':>8}{'median':>8}  best"


def line(row: Row) -> str:
    cells = "".join(cell(measured) for measured in row.peers.values())
    ratios = "".join(number(row.ratio(name)) for name in ("least", "median"))
    return (
        f"{row.name:22}{row.mode:10}{row.batch:5}{row.threads:4}{cells}{ratios}  {row.best() or ''}"
    )


def cell(measured: Measured) -> str:
    if not measured.times:
        return f"{'-' if measured.reason.startswith('does not') else 'failed':>19}"
    return f"{1e3 * measured.least:10.3f} {measured.error:8.1e}"


def number(ratio: float | None) -> str:
    return f"{'-' if ratio is None else format(ratio, '.2f'):>8}"


def notes(rows: Sequence[Row]) -> list[str]:
    """Why cells are empty, each reason once."""
    found = {
        f"{name}, {row.name} {row.mode}: {measured.reason}"
        for row in rows
        for name, measured in row.peers.items()
        if measured.reason and not measured.reason.startswith("does not")
    }
    idle = {
        f"{name} {measured.reason}"
        for row in rows
        for name, measured in row.peers.items()
        if measured.reason.startswith("does not")
    }
    return sorted(idle) + sorted(found)


def machine() -> dict[str, Any]:
    """The processor, and what was installed."""
    from importlib.metadata import PackageNotFoundError, version

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return ""

    names = "torch onnxruntime openvino keras jax numpy llvmlite".split()
    model = [
        text.split(":")[1].strip()
        for text in Path("/proc/cpuinfo").read_text().splitlines()
        if text.startswith("model name")
    ]
    return {
        "machine": model[0] if model else platform.machine(),
        "python": platform.python_version(),
        **{name: installed(name) for name in names},
    }


def as_json(row: Row) -> dict[str, Any]:
    work = {"name": row.name, "mode": row.mode, "batch": row.batch, "threads": row.threads}
    peers = {
        name: {"least": m.least, "median": m.median, "runs": len(m.times), "error": m.error}
        if m.times
        else {"reason": m.reason}
        for name, m in row.peers.items()
    }
    ratios = {"ratio": row.ratio(), "median_ratio": row.ratio("median"), "best": row.best()}
    return {**work, **ratios, "peers": peers}


def write(path: Path, found: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**machine(), **found}, indent=1) + "\n")


def pairs(
    what: str, peers: tuple[str, str], rows: Iterable[tuple[str, dict[str, float]]]
) -> list[dict[str, Any]]:
    """Prints rows of one number for kgraph and one for a peer."""
    print(f"{what:24}" + "".join(f"{name:>10}" for name in peers) + f"{'ratio':>8}")
    found = []
    for name, values in rows:
        ratio = values[peers[0]] / values[peers[1]]
        numbers = "".join(f"{values[peer]:10.3f}" for peer in peers)
        print(f"{name:24}{numbers}{ratio:8.2f}", flush=True)
        found.append({"name": name, "ratio": ratio, **values})
    return found
