"""What a pass is, and the pass manager."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, dataclass_transform

from kgraph.ir import Function, KGraphError, Op, to_text, verify

PASSES: dict[str, type[Pass]] = {}  # every pass by name; `kgraph passes` lists it


@dataclass_transform(frozen_default=True)
class Pass:
    """A function from graphs to graphs: valid in, valid out, the old graph untouched.

    The first line of a pass's docstring says what it does, the rest what holds after it. Fields are
    its options.
    """

    name: ClassVar[str]

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)
        PASSES[cls.name] = cls

    @abstractmethod
    def run(self, fn: Function) -> Function:
        """The function that takes the place of `fn`."""


class PassError(KGraphError):
    """A pass that broke the graph: its name, what is wrong, and the graph before and after."""


@dataclass(frozen=True)
class Step:
    """One application of a pass."""

    name: str
    seconds: float
    before: Function
    after: Function

    @property
    def changed(self) -> bool:
        """Did the text change?"""
        return self.before is not self.after and to_text(self.before) != to_text(self.after)


@dataclass
class Trail:
    """What a pipeline did, step by step; kept where somebody wants to look."""

    steps: list[Step] = field(default_factory=list)


def run_passes(
    fn: Function,
    passes: Iterable[Pass],
    *,
    disabled: Iterable[str] = (),
    check: bool = False,
    trail: Trail | None = None,
) -> Function:
    """Runs the passes in order; `check` verifies after each, `trail` collects the steps."""
    skipped = frozenset(disabled)
    unknown = skipped - PASSES.keys()
    if unknown:
        raise KGraphError(
            f"there is no pass called {', '.join(sorted(unknown))}; "
            f"expected some of {', '.join(sorted(PASSES))}"
        )
    for step in passes:
        if step.name in skipped:
            continue
        started = time.perf_counter()
        after = step.run(fn)
        seconds = time.perf_counter() - started
        if check:
            _check(step.name, fn, after)
        if trail is not None:
            trail.steps.append(Step(step.name, seconds, fn, after))
        fn = after
    return fn


def _check(name: str, before: Function, after: Function) -> None:
    try:
        verify(after)
        same = [p.type for p in before.params] == [p.type for p in after.params]
        if not same or [v.type for v in before.results] != [v.type for v in after.results]:
            raise KGraphError(f"the signature changed from {before!r} to {after!r}")
    except KGraphError as e:
        raise PassError(
            f"the pass {name} broke the graph: {e}\n"
            f"before:\n{to_text(before)}\nafter:\n{to_text(after)}"
        ) from e


def in_regions(fn: Function, change: Callable[[Function], Function]) -> Function:
    """`fn` with `change` applied to the regions of its ops; `fn` itself where nothing changes."""
    if not any(op.region_fields for op in fn.ops):
        return fn
    return replace_ops(fn, lambda op: with_regions(op, change) if op.region_fields else op)


def replace_ops(fn: Function, replace: Callable[[Op], Op]) -> Function:
    """`fn` with each op replaced by one with the same results."""
    env = {p: p for p in fn.params}
    ops, changed = [], False
    for op in fn.ops:
        operands = tuple([env[v] for v in op.operands])
        new = replace(op if operands == op.operands else op.with_operands(operands))
        changed |= new is not op
        env.update(zip(op.results, new.results, strict=True))
        ops.append(new)
    if not changed:
        return fn
    return Function(fn.params, tuple(ops), tuple(env[v] for v in fn.results), fn.name)


def exchanged(fn: Function, made: Mapping[Op, Op]) -> Function:
    """`fn` with ops exchanged for others with the same results, over any values of `fn`.

    What the others do not read is left behind, dead.
    """
    env = {p: p for p in fn.params}
    ops = []
    for op in fn.ops:
        new = made.get(op, op)
        operands = tuple([env[v] for v in new.operands])
        new = new if operands == new.operands else new.with_operands(operands)
        env.update(zip(op.results, new.results, strict=True))
        ops.append(new)
    return Function(fn.params, tuple(ops), tuple([env[v] for v in fn.results]), fn.name)


def with_regions(op: Op, change: Callable[[Function], Function]) -> Op:
    """`op` with `change` applied to its regions; `op` itself where nothing changes."""
    changes: dict[str, object] = {}
    for name, many in op.region_fields:
        old = op.__dict__[name]
        new = tuple(map(change, old)) if many else change(old)
        if new != old:
            changes[name] = new
    return op.with_fields(**changes) if changes else op
