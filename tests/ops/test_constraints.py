"""Every constraint in an op's docstring has a case that breaks it, with a message that names it."""

from __future__ import annotations

import re

import pytest

from kgraph.ir import OPS, Builder, IRError, Op
from tests.ops.negative import NEGATIVE


def _labels(cls: type[Op]) -> set[str]:
    """The labels of the op's docstring, or of the nearest base's that has some."""
    for base in cls.__mro__:
        doc = base.__dict__.get("__doc__") or ""
        found = re.findall(r"^\s+(C\d+)  \S.*$", doc, re.MULTILINE)
        if found:
            assert found == [f"C{i + 1}" for i in range(len(found))], f"{base.__name__}: {found}"
            return {f"{cls.name}.{label}" for label in found}
    return set()


WANTED = {label for name, cls in OPS.items() if name != "param" for label in _labels(cls)}


def test_every_constraint_has_a_case() -> None:
    assert set(NEGATIVE) == WANTED


@pytest.mark.parametrize("label", sorted(WANTED & set(NEGATIVE)))
def test_constraint(label: str) -> None:
    with pytest.raises(IRError, match=re.escape(f"({label})")) as caught:
        NEGATIVE[label](Builder())
    assert caught.value.label == label
    assert str(caught.value).startswith(label.split(".")[0] + ": ")
