"""A convolution by kgraph."""

from collections.abc import Callable
from typing import Any

import kgraph
from benchmarks.convolutions.cases import Case
from kgraph import ops


def start(case: Case, mode: str) -> tuple[Callable[[], object], Callable[[], list]]:
    def forward(x: Any, kernel: Any) -> Any:
        padding = "same" if case.same else "valid"
        if case.transposed:
            return ops.conv_transpose(x, kernel, case.strides, padding)
        return ops.conv(x, kernel, case.strides, padding, dilation_rate=case.dilation)

    x, kernel = case.arrays()
    if mode == "infer":
        program = kgraph.jit(forward)
        return lambda: program(x, kernel), lambda: [program(x, kernel)]

    def pulled(x: Any, kernel: Any, cotangent: Any) -> Any:
        return ops.sum(forward(x, kernel) * cotangent)

    cotangent = case.cotangent(case.output_shape())
    gradients = kgraph.jit(kgraph.grad(pulled, argnums=(0, 1)))
    return (
        lambda: gradients(x, kernel, cotangent),
        lambda: list(gradients(x, kernel, cotangent)),
    )
