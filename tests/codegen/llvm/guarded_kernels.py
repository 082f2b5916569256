"""Kernels of odd sizes, forward and gradients, on guarded memory: bits as without, and no access
outside of a buffer, which would end this process.

    python -m tests.codegen.llvm.guarded_kernels [target]

It prints the name of each before it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from kgraph import ops, runtime
from kgraph.cli.inputs import made_up
from kgraph.codegen import Options
from kgraph.ir import Function
from kgraph.ops.transform import gradients, trace

Build = Callable[..., Any]


def conv(**options: Any) -> Build:
    return lambda x, w: ops.conv(x, w, **options)


def attention(**options: Any) -> Build:
    return lambda q, k, v: ops.dot_product_attention(q, k, v, **options)


KERNELS: list[tuple[Build, str]] = [
    (ops.matmul, "f32[37,53] f32[53,29]"),
    (ops.matmul, "f32[1,301] f32[301,67]"),
    (ops.matmul, "f32[131,65] f32[65,1]"),
    (ops.matmul, "f32[259,131] f32[131,97]"),
    (ops.matmul, "f32[3,17,9] f32[3,9,21]"),
    (lambda x, w: ops.matmul(ops.transpose(x), ops.transpose(w)), "f32[53,37] f32[29,53]"),
    (ops.matmul, "f64[37,53] f64[53,29]"),
    (ops.matmul, "bf16[37,53] bf16[53,29]"),
    *(
        (conv(padding=padding, strides=strides), f"f32[3,{size}] f32[3,3,{channels}]")
        for padding in ("same", "valid")
        for strides in (1, 2)
        for size, channels in (("13,11,5", "5,7"), ("19,17,33", "33,41"), ("15,14,1", "1,17"),
                               ("21,23,64", "64,67"))
    ),
    (conv(padding="same"), "f32[2,9,9,129] f32[1,1,129,65]"),
    (conv(padding="same", strides=2), "f32[2,31,29,3] f32[7,7,3,19]"),
    (conv(padding="same", dilation_rate=2), "f32[2,13,15,6] f32[3,3,6,7]"),
    (conv(padding="same"), "f32[2,13,15,6] f32[3,3,2,9]"),  # three groups
    (conv(padding="same"), "f32[2,13,15,24] f32[3,3,4,24]"),  # six of them, in vectors of several
    (conv(), "f32[2,13,11,35] f32[3,3,35,3]"),
    (conv(padding="same", strides=2), "f32[2,19,21,33] f32[5,5,33,2]"),
    (conv(padding="same"), "f32[2,45,7] f32[3,7,13]"),
    (conv(padding="same"), "f32[2,7,6,5,3] f32[3,3,3,3,5]"),
    (lambda x, w: ops.conv_transpose(x, w, 2, "same"), "f32[2,7,9,5] f32[3,3,11,5]"),
    (lambda x, w: ops.depthwise_conv(x, w, 1, "same"), "f32[2,15,13,19] f32[3,3,19,1]"),
    (lambda x, w: ops.depthwise_conv(x, w, 2, "same"), "f32[2,15,13,35] f32[5,5,35,1]"),
    (lambda x: ops.max_pool(x, 3, 2, "same"), "f32[2,15,13,19]"),
    (lambda x: ops.average_pool(x, 2), "f32[2,15,13,19]"),
    (ops.softmax, "f32[37,19]"),
    (lambda x: ops.sum(ops.exp(x), 0), "f32[1031,7]"),
    (lambda x: ops.transpose(x, (0, 3, 1, 2)), "f32[3,11,13,17]"),
    (lambda x: ops.transpose(x, (0, 2, 1)), "f32[2,3,77]"),
    (attention(), "f32[2,19,3,13] f32[2,23,3,13] f32[2,23,3,13]"),
    (attention(is_causal=True), "f32[2,131,2,17] f32[2,131,2,17] f32[2,131,2,17]"),
]  # fmt: skip


def programs(build: Build, specs: list[str]) -> list[Function]:
    """The kernel, and the gradients of the sum of its squares."""

    def backward(*args: Any) -> Any:
        return gradients(ops.sum(ops.square(build(*args))), args)

    return [trace(build, *specs), trace(backward, *specs)]


def main() -> None:
    target = sys.argv[1] if len(sys.argv) > 1 else ""
    runtime.set_threads(2)
    for build, text in KERNELS:
        for fn in programs(build, text.split()):
            print(text, fn.name, flush=True)
            arrays = made_up(fn, {})
            want: list[bytes] = []
            for guard in ("", "end", "start"):
                options = Options(guard=guard, poison=bool(guard), target=target)
                program = runtime.compile(fn, options=options)
                found = [np.asarray(r).tobytes() for r in program(*arrays)]
                want = want or found
                assert found == want, guard
    print("done", flush=True)


if __name__ == "__main__":
    main()
