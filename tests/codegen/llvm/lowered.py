"""Running graph functions as native code, without the runtime's caches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kgraph.codegen.base import NativeImage
from kgraph.codegen.llvm.assemble import compile_object
from kgraph.codegen.llvm.image import lower
from kgraph.codegen.llvm.target import Target, host
from kgraph.ir import Array, Function, bind, evaluate, sizes_of
from kgraph.passes.fuse import Fuse
from kgraph.passes.rows import FuseRows
from kgraph.runtime.native import NativeRunner
from tests.codegen.llvm.native import aligned


class Shifted(NativeRunner):
    """A runner whose arguments and results lie `shift` elements behind a multiple of 64 bytes."""

    shift = 0

    def run(
        self,
        state: Sequence[Array],
        inputs: Sequence[Array],
        sizes: Mapping[str, int],
        in_place: bool,
    ) -> tuple[Array, ...]:
        copies = []
        for x in inputs:
            copies.append(self._result(x.shape, x.dtype)())
            copies[-1][...] = x
        return super().run(state, copies, sizes, in_place)

    def _result(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Callable[[], Array]:
        return lambda: aligned(shape, dtype, offset=self.shift * dtype.itemsize)


def native(fn: Function, target: Target | None = None, fuse: bool = False) -> NativeRunner:
    """The function's ops, as they are or fused, as loaded machine code; fresh memory is NaN."""
    return NativeRunner(image(fn, target, fuse), {}, poisoned=True)


def image(fn: Function, target: Target | None = None, fuse: bool = False) -> NativeImage:
    """The function's ops, as they are or fused, as machine code."""
    target = target or host()
    scheduled = FuseRows().run(Fuse().run(fn)) if fuse else fn
    lowered = lower(scheduled, target)
    return NativeImage(
        compile_object(lowered.text, target),
        tuple(p.type for p in fn.params),
        tuple(v.type for v in fn.results),
        fn.symbols,
        lowered.arena,
        lowered.slab,
    )


def run(runner: NativeRunner, fn: Function, arrays: Sequence[Array]) -> tuple[Array, ...]:
    """One call."""
    sizes = sizes_of(fn, [np.asarray(a).shape for a in arrays])
    return runner.run(
        (), [np.ascontiguousarray(a).reshape(np.shape(a)) for a in arrays], sizes, False
    )


def check(
    fn: Function, arrays: Sequence[Array], tolerance: float = 2e-6, **options: bool
) -> tuple[Array, ...]:
    """Native code gives what the interpreter gives; floats up to `tolerance` of the largest."""
    got = run(native(fn, **options), fn, arrays)  # type: ignore[arg-type]  # fuse
    assert_like(got, evaluate(fn, arrays), tolerance)
    return got


def assert_like(got: Sequence[Array], want: Sequence[Array], tolerance: float = 2e-6) -> None:
    """The same types, the same integers, the same special floats, close other floats."""
    for a, w in zip(got, want, strict=True):
        assert (a.dtype, a.shape) == (w.dtype, w.shape)
        if a.dtype.kind in "bui":
            np.testing.assert_array_equal(a, w)
            continue
        wide, other = w.astype("f8"), a.astype("f8")
        finite = np.isfinite(wide)
        np.testing.assert_array_equal(other[~finite], wide[~finite])
        scale = np.max(np.abs(wide[finite]), initial=0.0)
        error = np.max(np.abs(wide[finite] - other[finite]), initial=0.0)
        assert error <= tolerance * scale, (error, scale)


def bound(fn: Function, sizes: Mapping[str, int]) -> Function:
    """The function at these sizes."""
    return bind(fn, sizes)
