"""What only differentiation looks at."""

from __future__ import annotations

from typing import ClassVar

from kgraph.ir import Builder, Function, Value
from kgraph.ir.ops.control import CustomVjp
from kgraph.ir.ops.elementwise import StopGradient
from kgraph.passes.base import Pass, in_regions


class InlineCustomGradients(Pass):
    """Replaces each `custom_vjp` by its forward function, and `stop_gradient(x)` by x.

    After it, no gradient can be taken as it was meant.
    """

    name: ClassVar[str] = "inline_custom_gradients"

    def run(self, fn: Function) -> Function:
        """The same results without `custom_vjp` and `stop_gradient`."""
        fn = in_regions(fn, self.run)
        if not any(isinstance(op, CustomVjp | StopGradient) for op in fn.ops):
            return fn
        b = Builder()
        env: dict[Value, Value] = {p: p for p in fn.params}
        for op in fn.ops:
            operands = tuple([env[v] for v in op.operands])
            if isinstance(op, CustomVjp):
                results = b.inline(op.forward, operands)
            elif isinstance(op, StopGradient):
                results = operands
            else:
                results = b.append(op if operands == op.operands else op.with_operands(operands))
            env.update(zip(op.results, results, strict=True))
        return Function(fn.params, tuple(b.ops), tuple(env[v] for v in fn.results), fn.name)
