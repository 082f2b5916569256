"""A pass of one's own: a rule, a class that applies it, and a program in text to try it on.

python examples/custom_pass.py
"""

from typing import ClassVar

import numpy as np

from kgraph.ir import Builder, Function, Value, evaluate, parse, to_text, verify
from kgraph.ir.ops.elementwise import Multiply
from kgraph.passes.base import Pass
from kgraph.passes.rewrite import RuleSet, rewrite

PROGRAM = """\
fn(%x: f32[batch,3], %y: f32[batch,3])
  %0: f32[batch,3] = negate %x
  %1: f32[batch,3] = negate %y
  %2: f32[batch,3] = multiply %0, %1
  return %2
"""

signs = RuleSet("signs")


@signs
def product_of_negatives(op: Multiply, b: Builder) -> Value | None:
    """multiply(negate(x), negate(y)) -> multiply(x, y)"""
    if op.x.op.name == op.y.op.name == "negate":
        return b.multiply(op.x.op.operands[0], op.y.op.operands[0])
    return None


class CancelSigns(Pass):
    """Multiplies without the signs that cancel; the same bits."""

    name: ClassVar[str] = "cancel_signs"

    def run(self, fn: Function) -> Function:
        return rewrite(fn, signs)


if __name__ == "__main__":
    before = parse(PROGRAM)
    after = CancelSigns().run(before)
    verify(after)
    print(to_text(before), to_text(after), sep="// ->\n")
    arrays = [np.arange(6, dtype="float32").reshape(2, 3), np.full((2, 3), -2, "float32")]
    assert np.array_equal(evaluate(before, arrays)[0], evaluate(after, arrays)[0])
    print("the same numbers")
