"""The rewrite driver: local rules, dispatched by the op class, run to a fixed point.

A rule looks at an op and, through its operands, at what made them. The driver walks the graph once
in order and rebuilds it; an op is offered to its rules when it is appended, and so is every op that
a rule makes. As operands come first and are final by then, one walk ends in a fixed point: there is
no op left to which a rule applies. The cost is that of the graph and of the rewrites.
"""

from __future__ import annotations

import atexit
import inspect
import os
import sys
import time
import typing
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from kgraph.ir import Builder, Function, KGraphError, Op, Value
from kgraph.passes.base import in_regions
from kgraph.passes.dce import without_dead_ops

Replacement: TypeAlias = "Value | tuple[Value, ...] | None"
Rule: TypeAlias = "Callable[[Op, Builder], Replacement]"
AnyRule = TypeVar("AnyRule", bound="Callable[..., Replacement]")


def _is_timed() -> bool:
    return "rules" in os.environ.get("KGRAPH_DEBUG", "")


@dataclass
class _Count:
    hits: int = 0
    misses: int = 0
    seconds: float = 0.0


@dataclass
class RuleSet:
    """Rules by op class.

    As a decorator it takes a rule; the annotation of `op` says what the rule sees.
    """

    name: str
    rules: dict[type[Op], list[Rule]] = field(default_factory=dict)
    counts: dict[Rule, _Count] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if _is_timed():
            atexit.register(print_counts, self)

    def __call__(self, rule: AnyRule) -> AnyRule:
        """Adds the rule under each class that its first parameter may be."""
        first = next(iter(inspect.signature(rule).parameters))
        annotation = typing.get_type_hints(rule)[first]
        for cls in typing.get_args(annotation) or (annotation,):
            for leaf in (cls, *_below(cls)):
                self.rules.setdefault(leaf, []).append(rule)
        self.counts[rule] = _Count()
        return rule


def _below(cls: type[Op]) -> list[type[Op]]:
    found: list[type[Op]] = []
    for sub in cls.__subclasses__():
        found += [sub, *_below(sub)]
    return found


class _RewritingBuilder(Builder):
    """A builder that offers each op to the rules before it takes it."""

    def __init__(self, rules: RuleSet, limit: int) -> None:
        super().__init__()
        self._rules, self._left, self._limit = rules, limit, limit
        self._recent: deque[str] = deque(maxlen=3)
        self._timed = _is_timed()

    def append(self, op: Op) -> tuple[Value, ...]:
        op.located(self.location)
        for rule in self._rules.rules.get(type(op), ()):
            started = time.perf_counter() if self._timed else 0.0
            made = rule(op, self)
            if self._timed:
                self._note(rule, made, started)
            if made is not None:
                self._spend(rule)
                return made if isinstance(made, tuple) else (made,)
        return super().append(op)

    def _note(self, rule: Rule, made: Replacement, started: float) -> None:
        count = self._rules.counts[rule]
        count.seconds += time.perf_counter() - started
        count.hits += made is not None
        count.misses += made is None

    def _spend(self, rule: Rule) -> None:
        self._recent.append(rule.__name__)
        self._left -= 1
        if self._left < 0:
            raise KGraphError(
                f"{self._limit} rewrites by the rules of {self._rules.name} came to no end; "
                f"the last were {', '.join(self._recent)}"
            )


def rewrite(fn: Function, rules: RuleSet, limit: int = 0) -> Function:
    """`fn` after all rules, in regions too, without the ops that have become dead.

    `fn` itself where no rule applies.
    """
    fn = in_regions(fn, lambda region: rewrite(region, rules, limit))
    b = _RewritingBuilder(rules, limit or 10_000 + 20 * len(fn.ops))
    env: dict[Value, Value] = {p: p for p in fn.params}
    changed = False
    for op in fn.ops:
        operands = tuple([env[v] for v in op.operands])
        new = op if operands == op.operands else op.with_operands(operands)
        b.location = op.location
        results = b.append(new)
        changed |= results[0].op is not op if results else False
        env.update(zip(op.results, results, strict=True))
    if not changed:
        return fn
    return without_dead_ops(
        Function(fn.params, tuple(b.ops), tuple(env[v] for v in fn.results), fn.name)
    )


def print_counts(rules: RuleSet) -> None:
    """Hits, misses and time of each rule, with its place, on stderr; for `KGRAPH_DEBUG=rules`."""
    for rule, count in sorted(rules.counts.items(), key=lambda item: -item[1].seconds):
        code = rule.__code__
        place = f"{code.co_filename}:{code.co_firstlineno}"
        sys.stderr.write(
            f"{count.hits:8} hits {count.misses:8} misses {count.seconds * 1e3:8.2f} ms  "
            f"{rule.__name__}  {place}\n"
        )
