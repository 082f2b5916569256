"""The kernels that `kgraph bench --kernels` measures: a small program for each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kgraph import ops, random
from kgraph.ir import Function
from kgraph.ops.transform import gradients, trace


@dataclass(frozen=True)
class Kernel:
    """A program of one kernel.

    Attributes:
        family: what it is.
        sizes: what tells it from others of the family.
        build: its function of tensors.
        specs: the types of its arguments.
        state: so many of them are weights, which may be packed before.
        work: multiply-adds times two, where they are what counts: else it is bound by memory.
    """

    family: str
    sizes: str
    build: Callable[..., Any]
    specs: tuple[str, ...]
    state: int = 0
    work: int = 0

    def function(self) -> Function:
        """The program."""
        return trace(self.build, *self.specs, name=f"{self.family} {self.sizes}")


def _gemm(m: int, n: int, k: int) -> Kernel:
    return Kernel(
        "matmul", f"{m}x{k} @ {k}x{n}", lambda w, x: ops.matmul(x, w),
        (f"f32[{k},{n}]", f"f32[{m},{k}]"), 1, 2 * m * n * k,
    )  # fmt: skip


def _transposed(m: int, n: int, k: int, left: bool) -> Kernel:
    """As in the two gradients of a dense layer."""
    build = (
        (lambda w, x: ops.matmul(ops.transpose(x), w))
        if left
        else (lambda w, x: ops.matmul(x, ops.transpose(w)))
    )
    specs = (f"f32[{k},{n}]", f"f32[{k},{m}]") if left else (f"f32[{n},{k}]", f"f32[{m},{k}]")
    which = "left" if left else "right"
    return Kernel(
        f"matmul, {which} transposed", f"{m}x{k} @ {k}x{n}", build, specs, 0, 2 * m * n * k
    )


def _batched(b: int, m: int, n: int, k: int) -> Kernel:
    return Kernel(
        "matmul, batched", f"{b} of {m}x{k} @ {k}x{n}", ops.matmul,
        (f"f32[{b},{m},{k}]", f"f32[{b},{k},{n}]"), 0, 2 * b * m * n * k,
    )  # fmt: skip


def _convolution(size: int, inner: int, outer: int, window: int = 3, stride: int = 1) -> Kernel:
    out = -(-size // stride)
    return Kernel(
        "convolution", f"{window}x{window}/{stride} {size}x{size}x{inner} to {outer}, 8 samples",
        lambda w, x: ops.conv(x, w, strides=stride, padding="same"),
        (f"f32[{window},{window},{inner},{outer}]", f"f32[8,{size},{size},{inner}]"), 1,
        2 * 8 * out * out * outer * inner * window**2,
    )  # fmt: skip


def _gradient(size: int, inner: int, outer: int, of: str) -> Kernel:
    def build(w: Any, x: Any, g: Any) -> Any:
        y = ops.sum(ops.conv(x, w, padding="same") * g)
        return gradients(y, [w if of == "weights" else x])

    return Kernel(
        f"convolution, gradient of {of}", f"3x3 {size}x{size}x{inner} to {outer}, 8 samples", build,
        (f"f32[3,3,{inner},{outer}]", f"f32[8,{size},{size},{inner}]",
         f"f32[8,{size},{size},{outer}]"), 0, 2 * 8 * size * size * outer * inner * 9,
    )  # fmt: skip


def _depthwise(size: int, channels: int, stride: int) -> Kernel:
    out = -(-size // stride)
    return Kernel(
        "depthwise convolution", f"3x3/{stride} {size}x{size}x{channels}, 8 samples",
        lambda w, x: ops.depthwise_conv(x, w, strides=stride, padding="same"),
        (f"f32[3,3,{channels},1]", f"f32[8,{size},{size},{channels}]"), 1,
        2 * 8 * out * out * channels * 9,
    )  # fmt: skip


def _map(name: str, *shapes: str, family: str = "elementwise") -> Kernel:
    function = getattr(ops, name, None) or getattr(ops.nn, name)
    return Kernel(family, name, function, shapes or ("f32[64,1024]",))


def _pool(build: Callable[[Any], Any], name: str) -> Kernel:
    return Kernel("pooling", name, build, ("f32[8,56,56,64]",))


def _loss(rows: int, classes: int) -> Kernel:
    """The loss of logits against classes, and its gradient."""

    def build(labels: Any, x: Any) -> Any:
        loss = ops.mean(ops.sparse_categorical_crossentropy(labels, x, from_logits=True))
        return loss, *gradients(loss, [x])

    specs = (f"i32[{rows}]", f"f32[{rows},{classes}]")
    return Kernel("loss and gradient", f"{rows} rows of {classes}", build, specs)


def kernels() -> list[Kernel]:
    """All of them."""
    x = "f32[2048,2048]"  # 16 MB: beyond the caches of a core
    return [
        *(_gemm(n, n, n) for n in (128, 256, 512, 1024)),
        _gemm(128, 512, 784), _gemm(128, 10, 512), _gemm(1, 1024, 1024), _gemm(2048, 256, 256),
        _transposed(512, 512, 512, True), _transposed(512, 512, 512, False),
        _batched(64, 128, 64, 32), _batched(64, 128, 32, 128),
        _convolution(56, 64, 64), _convolution(28, 128, 128), _convolution(14, 256, 256),
        _convolution(7, 512, 512), _convolution(28, 1, 64), _convolution(56, 64, 128, stride=2),
        _convolution(112, 3, 64, 7, 2), _convolution(56, 64, 256, 1),
        _convolution(14, 1024, 256, 1),
        _gradient(56, 64, 64, "weights"), _gradient(14, 256, 256, "weights"),
        _gradient(56, 64, 64, "input"), _gradient(14, 256, 256, "input"),
        _depthwise(56, 144, 1), _depthwise(56, 144, 2), _depthwise(14, 384, 1),
        _pool(lambda t: ops.max_pool(t, 2), "max 2x2"),
        _pool(lambda t: ops.max_pool(t, 3, 2, "same"), "max 3x3/2"),
        _pool(lambda t: ops.average_pool(t, 2), "average 2x2"),
        Kernel("reduction", "sum of all, 16 MB", ops.sum, (x,)),
        Kernel("reduction", "sum of rows, 16 MB", lambda t: ops.sum(t, 1), (x,)),
        Kernel("reduction", "sum of columns, 16 MB", lambda t: ops.sum(t, 0), (x,)),
        Kernel("reduction", "mean and variance of rows", lambda t: ops.moments(t, 1),
               ("f32[1024,256]",)),
        Kernel("transpose", "2048x2048, 16 MB", ops.transpose, (x,)),
        Kernel("transpose", "8x64x56x56 to channels last",
               lambda t: ops.transpose(t, (0, 2, 3, 1)), ("f32[8,64,56,56]",)),
        Kernel("elementwise", "add, 16 MB", ops.add, (x, x)),
        *(_map(name) for name in ("exp", "log", "tanh", "sigmoid", "erf", "sin", "cos", "sqrt",
                                  "expm1", "log1p", "gelu", "silu")),
        Kernel("elementwise", "power", ops.power, ("f32[64,1024]", "f32[64,1024]")),
        Kernel("softmax", "512 rows of 128", ops.softmax, ("f32[512,128]",)),
        Kernel("softmax", "64 rows of 10000", ops.softmax, ("f32[64,10000]",)),
        _loss(64, 10000),
        Kernel("sort", "1024 rows of 1024", ops.sort, ("f32[1024,1024]",)),
        Kernel("random", "uniform", lambda s: random.uniform((64, 1024), seed=s), ("u32[2]",)),
        Kernel("random", "normal", lambda s: random.normal((64, 1024), seed=s), ("u32[2]",)),
    ]  # fmt: skip
