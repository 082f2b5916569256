"""The state of programs: arrays that stay together until one of them is replaced."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import repeat
from weakref import WeakKeyDictionary

from kgraph.ir import Array


class State(list[Array]):
    """The arrays of a program's state. The list never changes, so that who knows it knows them.

    Attributes:
        version: equal for equal state.
        whole: what was prepared of the state, and the state with the prepared arrays behind it.
    """

    __slots__ = ("__weakref__", "version", "whole")

    def __init__(self, arrays: Iterable[Array], version: object = None) -> None:
        super().__init__(arrays)
        self.version = version
        self.whole: tuple[object, State] | None = None


class States:
    """The states of programs while no variable changes: a change lets go of all of them.

    Whoever changes a variable says so before and after. Before, so that an interrupt in between
    leaves no old state; after, so that none is left that another thread has found meanwhile.
    """

    def __init__(self) -> None:
        self.changed()

    def changed(self) -> None:
        """Forgets all states."""
        self.known: WeakKeyDictionary[object, State] = WeakKeyDictionary()


states = States()


def assign_all(owners: Iterable[object], name: str, values: Iterable[object]) -> None:
    """`setattr(owner, name, value)` for each pair, all or none.

    Python delivers a signal (Ctrl-C) between two of its own instructions. Here there is only one:
    the loop is C's, and so is the assignment, which goes past any `__setattr__` of the class.
    """
    deque(map(object.__setattr__, owners, repeat(name), values), maxlen=0)
