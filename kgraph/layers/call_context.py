"""What a running call tells the layers that it calls: the mode and the compute dtype."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kgraph import ops
from kgraph.ir import FLOATS

if TYPE_CHECKING:
    from kgraph.layers.layer import Layer

__all__ = ["autocast", "context", "inside_call", "outside_of_calls"]


class _CallContext(threading.local):
    def __init__(self) -> None:
        self.depth = 0
        self.training: bool | None = None
        self.autocast: str | None = None


context = _CallContext()


@contextmanager
def inside_call(training: Any) -> Iterator[None]:
    """One call deeper; a mode of None leaves that of the surrounding call."""
    before = (context.depth, context.training, context.autocast)
    context.depth += 1
    if training is not None:
        context.training = training
    try:
        yield
    finally:
        context.depth, context.training, context.autocast = before


@contextmanager
def autocast(layer: Layer) -> Iterator[None]:
    """Inside, float variables are read in the layer's compute dtype, if that is another one."""
    dtype = layer.compute_dtype
    wanted = dtype if layer.autocast and dtype in FLOATS else None
    if wanted == context.autocast or (context.autocast is None and dtype == layer.variable_dtype):
        yield
        return
    context.autocast = wanted
    with ops.AutocastScope(wanted):
        yield


@contextmanager
def outside_of_calls() -> Iterator[None]:
    """Building is no part of the call that asks for it: layers called in it run by themselves."""
    before = context.training
    context.training = None
    try:
        yield
    finally:
        context.training = before
