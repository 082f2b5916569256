"""Running stateful code on given values: the stateless forms of metrics and optimizers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["borrowed_values"]


@contextmanager
def borrowed_values(variables: Sequence[Any], values: Sequence[Any]) -> Iterator[None]:
    """Lends `values` to `variables` (objects with `value` and `assign`) for the block's duration.

    Afterwards every variable has its own value again, whatever the block assigned.
    """
    own = [variable.value for variable in variables]
    try:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        yield
    finally:
        for variable, value in zip(variables, own, strict=True):
            variable.assign(value)
