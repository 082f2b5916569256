"""Native images written by hand, for tests of what runs them."""

from __future__ import annotations

import functools

from kgraph.codegen import NativeImage
from kgraph.codegen.llvm.assemble import compile_object
from kgraph.codegen.llvm.pool_text import pool_target
from kgraph.ir import TensorType, symbol

BATCH = symbol("batch")

# (w: f32[4], x: f32[batch,4]) -> (w + x.sum(0) by way of the arena, x + x by way of slabs)
STEP = """
define void @tile(ptr %a, i64 %row, i64 %thread, ptr %slab) nounwind {
entry:
  %x.p = getelementptr ptr, ptr %a, i64 1
  %x = load ptr, ptr %x.p
  %y.p = getelementptr ptr, ptr %a, i64 3
  %y = load ptr, ptr %y.p
  %offset = mul i64 %row, 16
  %from = getelementptr i8, ptr %x, i64 %offset
  %to = getelementptr i8, ptr %y, i64 %offset
  %v = load <4 x float>, ptr %from, align 4
  %w = fadd <4 x float> %v, %v
  store <4 x float> %w, ptr %slab, align 64
  %u = load <4 x float>, ptr %slab, align 64
  store <4 x float> %u, ptr %to, align 4
  ret void
}
define i32 @kgraph_run(ptr %buffers, ptr %sizes, ptr %arena, ptr %context) nounwind {
entry:
  %batch = load i64, ptr %sizes
  %w.p = load ptr, ptr %buffers
  %x.pp = getelementptr ptr, ptr %buffers, i64 1
  %x = load ptr, ptr %x.pp
  %r.pp = getelementptr ptr, ptr %buffers, i64 2
  %r = load ptr, ptr %r.pp
  %bad = icmp eq i64 %batch, 13
  br i1 %bad, label %fail, label %start
fail:
  ret i32 7
start:
  %parallel_for = load ptr, ptr %context
  call void %parallel_for(ptr %context, ptr @tile, ptr %buffers, i64 %batch)
  %w = load <4 x float>, ptr %w.p, align 4
  store <4 x float> %w, ptr %arena, align 64
  %none = icmp eq i64 %batch, 0
  br i1 %none, label %done, label %loop
loop:
  %i = phi i64 [ 0, %start ], [ %j, %loop ]
  %offset = mul i64 %i, 16
  %p = getelementptr i8, ptr %x, i64 %offset
  %v = load <4 x float>, ptr %p, align 4
  %old = load <4 x float>, ptr %arena, align 64
  %new = fadd <4 x float> %old, %v
  store <4 x float> %new, ptr %arena, align 64
  %j = add i64 %i, 1
  %m = icmp slt i64 %j, %batch
  br i1 %m, label %loop, label %done
done:
  %sum = load <4 x float>, ptr %arena, align 64
  store <4 x float> %sum, ptr %r, align 4
  ret i32 0
}
"""

# (w: f32[4]) -> (-w)
NEGATE = """
define i32 @kgraph_run(ptr %buffers, ptr %sizes, ptr %arena, ptr %context) nounwind {
  %w.p = load ptr, ptr %buffers
  %r.pp = getelementptr ptr, ptr %buffers, i64 1
  %r = load ptr, ptr %r.pp
  %w = load <4 x float>, ptr %w.p, align 4
  %n = fneg <4 x float> %w
  store <4 x float> %n, ptr %r, align 4
  ret i32 0
}
"""

WEIGHTS = TensorType((4,), "float32")
ROWS = TensorType((BATCH, 4), "float32")


@functools.cache
def step_image() -> NativeImage:
    """w + x.sum(0) and x + x; gives up with the code 7 for a batch of 13."""
    code = compile_object(STEP, pool_target())
    return NativeImage(code, (WEIGHTS, ROWS), (WEIGHTS, ROWS), ("batch",), 16 + 0 * BATCH, 16, True)


@functools.cache
def prepared_image() -> NativeImage:
    """As `step_image`, but of -w, which `prepare` computes."""
    prepare = NativeImage(compile_object(NEGATE, pool_target()), (WEIGHTS,), (WEIGHTS,))
    text = STEP.replace("load ptr, ptr %buffers\n", "load ptr, ptr %w.pp\n")
    text = text.replace(
        "entry:\n  %batch", "entry:\n  %w.pp = getelementptr ptr, ptr %buffers, i64 1\n  %batch"
    )
    # the parameters are (w, -w, x): x, results and so on stand one further
    for at in (3, 2, 1):
        text = text.replace(
            f"ptr %buffers, i64 {at}\n  %{'x' if at == 1 else 'r'} = ",
            f"ptr %buffers, i64 {at + 1}\n  %{'x' if at == 1 else 'r'} = ",
        )
        text = text.replace(f"ptr %a, i64 {at}\n", f"ptr %a, i64 {at + 1}\n")
    return NativeImage(
        compile_object(text, pool_target()), (WEIGHTS, WEIGHTS, ROWS), (WEIGHTS, ROWS), ("batch",),
        16, 16, prepare=prepare,
    )  # fmt: skip
