"""Writing a step's new state back, so that an interrupt finds the old state or the new one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import repeat


def assign_all(owners: Iterable[object], name: str, values: Iterable[object]) -> None:
    """`setattr(owner, name, value)` for each pair, all or none.

    Python delivers a signal (Ctrl-C) between two of its own instructions. Here there is only one:
    the loop is C's, and so is the assignment, which goes past any `__setattr__` of the class.
    """
    deque(map(object.__setattr__, owners, repeat(name), values), maxlen=0)
