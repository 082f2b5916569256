"""Combining partial results that lie one behind the other."""

from __future__ import annotations

from kgraph.codegen.llvm.emit import Operand
from kgraph.codegen.llvm.lower.elementwise import combine
from kgraph.codegen.llvm.lower.frame import Frame, Kernel
from kgraph.codegen.llvm.lower.index import Axis, Guard
from kgraph.codegen.llvm.lower.loops import compute_bytes
from kgraph.codegen.llvm.lower.tiling import Tiling, strips

_ELEMENTS = 4096  # of a tile


def launch_combine(
    frame: Frame,
    kind: str,
    dtypes: tuple[str, str],
    places: tuple[Operand, Operand],
    size: Operand,
    chunks: Operand,
) -> None:
    """Combines partial results, chunk after chunk, for each of `size` elements.

    `dtypes` are those of the partial results and of the result, `places` their memory.
    """
    dtype, result = dtypes
    lanes = frame.target.lanes(compute_bytes(dtype))

    def write(k: Kernel) -> None:
        f = k.f
        source, target, elements, count = k.arguments

        def column(c: Axis, guard: Guard) -> None:
            def part(chunk: Operand | int) -> Operand:
                place = f.offset(f.offset(source, f.mul(chunk, elements), dtype), c.base, dtype)
                return f.load_at(place, dtype, lanes, guard.lanes)

            with f.carried_loop(1, count, [part(0)], name="chunk") as loop:
                loop.next(combine(f, kind, dtype, loop.values[0], part(loop.index)))
            value = f.convert(loop.results[0], dtype, result)
            f.store_at(f.offset(target, c.base, result), result, value, guard.lanes)

        tiling = Tiling.of(k, [elements], _ELEMENTS)
        strips(k, tiling.bounds(k.index)[1], lanes, column)

    key = ("combine", kind, dtype, result)
    count = Tiling.of(frame, [size], _ELEMENTS).count()
    frame.launch(key, f"combine_{kind}", [*places, size, chunks], count, write)
