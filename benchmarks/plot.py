"""The ratios as bars, below 1 where kgraph is faster."""

from pathlib import Path
from typing import Any

from matplotlib import pyplot


def draw(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """One panel for each mode, of those that compare networks with all peers."""
    figure, panels = pyplot.subplots(
        1, len(found), figsize=(5 * len(found), 4), layout="constrained", squeeze=False
    )
    for (mode, measured), panel in zip(found.items(), panels[0], strict=True):
        rows = [row for row in measured if row["ratio"]]
        threads = sorted({row["threads"] for row in rows})
        names = list(dict.fromkeys(row["name"] for row in rows))
        height = 0.8 / max(len(threads), 1)  # none where nobody was compared with
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
