"""Where an op comes from: the layer and the user's source line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """A layer's path (`model/dense_1`, of a gradient `:grad` behind it) and perhaps a line."""

    path: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file else ""
        return " ".join(part for part in (self.path, place) if part)


NOWHERE = Location()
