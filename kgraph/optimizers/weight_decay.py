"""Which weights decay."""

import re
from collections.abc import Iterable
from typing import Any

__all__ = ["DecayFilter"]


class DecayFilter:
    """Says of each variable whether weight decay applies to it.

    Args:
        variables: these do not decay.
        names: neither do those whose name matches one of these regular expressions.
    """

    def __init__(self, variables: Iterable[Any] = (), names: Iterable[str] = ()) -> None:
        # The variables themselves are kept: an id alone could be given to another object.
        self._variables = {id(variable): variable for variable in variables}
        names = sorted(set(names))
        self._pattern = re.compile("|".join(names)) if names else None

    def includes(self, variable: Any) -> bool:
        """Tells whether `variable` decays."""
        if id(variable) in self._variables:
            return False
        return self._pattern is None or self._pattern.search(variable.name) is None
