"""The forward functions of ops with gradients of their own."""

from __future__ import annotations

from typing import ClassVar

from kgraph.ir import Builder, Function, Value
from kgraph.ir.ops.control import CustomVjp
from kgraph.passes.base import Pass, in_regions


class InlineCustomGradients(Pass):
    """Puts the forward function of each `custom_vjp` in its place. After it, no gradient can be taken as intended."""

    name: ClassVar[str] = "inline_custom_gradients"

    def run(self, fn: Function) -> Function:
        """The same results without `custom_vjp`."""
        fn = in_regions(fn, self.run)
        if not any(isinstance(op, CustomVjp) for op in fn.ops):
            return fn
        b = Builder()
        env: dict[Value, Value] = {p: p for p in fn.params}
        for op in fn.ops:
            operands = tuple([env[v] for v in op.operands])
            if isinstance(op, CustomVjp):
                results = b.inline(self.run(op.forward), operands)
            else:
                results = b.append(op.with_operands(operands))
            env.update(zip(op.results, results, strict=True))
        return Function(fn.params, tuple(b.ops), tuple(env[v] for v in fn.results), fn.name)
