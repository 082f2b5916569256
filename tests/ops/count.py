"""Counts of the table of op cases: `python -m tests.ops.count`."""

from kgraph.codegen.jax.lowering import missing as missing_on_jax
from kgraph.codegen.llvm.lower import missing as missing_on_llvm
from kgraph.ir import DTYPES, OPS, Op
from tests.ops.cases import CASES, ROWS
from tests.ops.negative import NEGATIVE


def counts() -> dict[str, int]:
    """What is counted, and how many there are."""
    ops = OPS.keys() - {"param"}
    twice = [case for case in CASES if case.differentiable and case.row.second]
    return {
        "ops": len(ops),
        "of them made of others (decompose)": sum(
            OPS[name].decompose is not Op.decompose for name in ops
        ),
        "ops that llvm runs": len(ops) - len(missing_on_llvm()),
        "ops that jax runs": len(ops) - len(missing_on_jax()),
        "rows": len(ROWS),
        "cases": len(CASES),
        "dtypes": len(DTYPES),
        "cases with a symbolic batch": sum(case.symbolic for case in CASES),
        "cases with NaN, infinities, extremes": sum(case.special for case in CASES),
        "first gradients by differences": sum(case.differentiable for case in CASES),
        "second gradients by differences": len(twice),
        "broken constraints": len(NEGATIVE),
    }


if __name__ == "__main__":
    for what, number in counts().items():
        print(f"{number:6,}  {what}")
