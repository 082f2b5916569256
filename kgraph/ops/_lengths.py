"""Sizes other than the batch's: numbers until a second one comes, then symbols."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from kgraph.ir import Array, Shape, TensorType, symbol

__all__ = ["Lengths", "with_symbols"]

Place = tuple[int, int]  # an array and a dim of it


class Lengths:
    """The sizes that arguments of one kind (structure, dtypes, ranks) came with."""

    def __init__(self) -> None:
        self._first: list[Shape] | None = None
        self._varying: set[Place] = set()
        self._static = False

    def note(self, arrays: Sequence[Array]) -> None:
        """Remembers the sizes of arguments that a program was made for."""
        if self._first is None:
            self._first = [a.shape for a in arrays]
        self._varying = self._with(arrays)

    def stay_numbers(self) -> None:
        """From now on no size gets a symbol."""
        self._static = True

    def symbols(self, arrays: Sequence[Array]) -> dict[Place, str]:
        """A symbol for each size that varies; equal sizes have the same.

        Sizes of 0 and 1 have none: broadcasting and empty arrays are other programs.
        """
        if self._static:
            return {}
        found: dict[int, str] = {}
        names: dict[Place, str] = {}
        for i, k in sorted(self._with(arrays)):
            size = arrays[i].shape[k]
            if size > 1:
                names[i, k] = found.setdefault(size, f"size{len(found)}")
        return names

    def _with(self, arrays: Sequence[Array]) -> set[Place]:
        """The dims that vary, if these arrays count too."""
        found = set(self._varying)
        for i, (a, first) in enumerate(zip(arrays, self._first or (), strict=False)):
            found |= {(i, k) for k in range(1, a.ndim) if a.shape[k] != first[k]}
        return found

    def fixed(self, arrays: Sequence[Array], names: Mapping[Place, str]) -> tuple[Hashable, ...]:
        """The sizes that stay numbers."""
        return tuple(
            a.shape[k]
            for i, a in enumerate(arrays)
            for k in range(1, a.ndim)
            if (i, k) not in names
        )


def with_symbols(types: Sequence[TensorType], names: Mapping[Place, str]) -> list[TensorType]:
    """The types with symbols in place of some sizes."""
    return [
        TensorType(
            tuple(
                symbol(names[i, k]) if (i, k) in names else size for k, size in enumerate(t.shape)
            ),
            t.dtype,
        )
        for i, t in enumerate(types)
    ]
