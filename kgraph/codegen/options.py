"""What a program is compiled with: one frozen record that is part of every cache key."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

BACKENDS = ("llvm", "jax", "reference")
GUARDS = ("", "end", "start")


@dataclass(frozen=True)
class Options:
    """How to compile. Everything here may change the code, so all of it enters the cache key.

    Thread counts are no option: results do not depend on them, and a program runs with any.

    Attributes:
        backend: one of `BACKENDS`.
        target: the CPU of the llvm backend by name (`avx512`, `avx2`, `generic`); "" is this one.
        exact: only algorithms whose error is that of the direct sum (no Winograd).
        fast_math: the opt-in rules that reassociate or ignore NaN and signed zeros.
        tf32: the jax backend may round contractions' operands to TF32.
        verify: run the verifier after every pass.
        poison: fill fresh results and dead arena bytes with NaN, to find reads of either.
        guard: "end" or "start": each buffer of native code ends, or begins, at a page that nobody
            may touch, to find accesses outside of it.
        profile: measure the time of each op (llvm): `kgraph profile`.
        find_nan: stop at the first op that gives a NaN (llvm); each op is then a kernel.
        disabled: names of passes that are left out.
    """

    backend: str = "llvm"
    target: str = ""
    exact: bool = False
    fast_math: bool = False
    tf32: bool = False
    verify: bool = False
    poison: bool = False
    guard: str = ""
    profile: bool = False
    find_nan: bool = False
    disabled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(
                f"backend: expected one of {', '.join(BACKENDS)}; got {self.backend!r}"
            )
        if self.profile and self.find_nan:
            raise ValueError("profile and find_nan: expected one of them at most")
        if self.guard not in GUARDS:
            raise ValueError(f"guard: expected 'end', 'start' or ''; got {self.guard!r}")

    def text(self) -> str:
        """All fields as one line, for cache keys."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)
