"""The ratios as bars, below 1 where kgraph is faster."""

from pathlib import Path
from typing import Any

from matplotlib import pyplot


def draw(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """One panel for each mode that compares networks with all peers."""
    modes = [mode for mode in ("infer", "train", "latency") if found.get(mode)]
    figure, panels = pyplot.subplots(
        1, len(modes), figsize=(5 * len(modes), 4), layout="constrained", squeeze=False
    )
    for mode, panel in zip(modes, panels[0], strict=True):
        rows = [row for row in found[mode] if row["ratio"]]
        threads = sorted({row["threads"] for row in rows})
        names = list(dict.fromkeys(row["name"] for row in rows))
        height = 0.8 / len(threads)
        for i, count in enumerate(threads):
            mine = [row for row in rows if row["threads"] == count]
            places = [names.index(row["name"]) + i * height for row in mine]
            label = f"{count} thread{'s' * (count > 1)}"
            bars = panel.barh(places, [row["ratio"] for row in mine], height, label=label)
            panel.bar_label(bars, [f" {row['ratio']:.2f}" for row in mine], fontsize=7)
        panel.axvline(1, color="black", linewidth=0.8)
        panel.set_yticks([n + height * (len(threads) - 1) / 2 for n in range(len(names))], names)
        panel.invert_yaxis()
        panel.set(title=mode, xlabel="time / best peer's")
        panel.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
