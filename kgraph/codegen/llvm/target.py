"""What the emitters must know about a CPU: one frozen record, found without llvmlite."""

from __future__ import annotations

import functools
import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path

X86_LAYOUT = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
ARM_LAYOUT = (
    "e-m:e-p270:32:32-p271:32:32-p272:64:64-i8:8:32-i16:16:32-i64:64-i128:128-n32:64-S128-Fn32"
)

# LLVM's name of a feature and the kernel's name of it in /proc/cpuinfo.
FEATURES = {
    "sse3": "pni",
    "ssse3": "ssse3",
    "sse4.1": "sse4_1",
    "sse4.2": "sse4_2",
    "popcnt": "popcnt",
    "avx": "avx",
    "avx2": "avx2",
    "fma": "fma",
    "f16c": "f16c",
    "bmi": "bmi1",
    "bmi2": "bmi2",
    "lzcnt": "abm",
    "movbe": "movbe",
    "avx512f": "avx512f",
    "avx512bw": "avx512bw",
    "avx512cd": "avx512cd",
    "avx512dq": "avx512dq",
    "avx512vl": "avx512vl",
    "avx512vnni": "avx512_vnni",
    "avx512bf16": "avx512_bf16",
}
AVX512 = ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
AVX2 = ("avx", "avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "popcnt", "movbe")

# (vendor, family) -> ((lowest model, LLVM's CPU name), ...) in rising order: instruction timings
# for the scheduler. A CPU that is not here is scheduled as the generic one of its level.
CPU_NAMES = {
    ("AuthenticAMD", 0x17): ((0x00, "znver1"), (0x30, "znver2")),
    ("AuthenticAMD", 0x19): ((0x00, "znver3"), (0x10, "znver4"), (0x20, "znver3"),
                             (0x60, "znver4")),
    ("AuthenticAMD", 0x1A): ((0x00, "znver5"),),
    ("GenuineIntel", 0x06): ((0x3C, "haswell"), (0x55, "skylake-avx512"), (0x5E, "skylake"),
                             (0x6A, "icelake-server"), (0x8C, "tigerlake"),
                             (0x8F, "sapphirerapids"), (0x97, "alderlake"),
                             (0xAD, "sapphirerapids"), (0xB7, "alderlake"),
                             (0xCF, "sapphirerapids")),
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A CPU as the emitters see it; part of every cache key.

    `features` is LLVM's comma-separated list, complete for what kgraph cares about: it also says
    which features of `cpu` this machine lacks. Cache sizes are bytes per core (`l3`: shared).
    """

    name: str
    cpu: str
    features: str
    vector_bytes: int
    vector_registers: int
    l1: int = 32 * 1024
    l2: int = 512 * 1024
    l3: int = 8 * 1024 * 1024
    triple: str = "x86_64-unknown-linux-gnu"
    layout: str = X86_LAYOUT

    def has(self, feature: str) -> bool:
        """Whether the target has the LLVM feature."""
        return "+" + feature in self.features.split(",")

    @property
    def fused(self) -> bool:
        """Whether a fused multiply-add is one instruction."""
        return self.triple.startswith("aarch64") or self.has("fma")

    @property
    def half_conversion(self) -> bool:
        """Whether float16 converts to and from float32 in hardware."""
        return self.triple.startswith("aarch64") or self.has("f16c")

    def lanes(self, element_bytes: int) -> int:
        """Elements of this size in one vector register."""
        return max(1, self.vector_bytes // element_bytes)


def _flags(present: tuple[str, ...]) -> str:
    return ",".join(("+" if name in present else "-") + name for name in FEATURES)


_BASE = ("sse3", "ssse3", "sse4.1", "sse4.2")
GENERIC = Target("generic", "x86-64", _flags(()), 16, 16)
HASWELL = Target("avx2", "haswell", _flags(_BASE + AVX2), 32, 16)
SKYLAKE512 = Target(
    "avx512", "skylake-avx512", _flags(_BASE + AVX2 + AVX512), 64, 32, l2=1024 * 1024
)
NEON = Target("neon", "generic", "", 16, 32, triple="aarch64-unknown-linux-gnu", layout=ARM_LAYOUT)


@functools.cache
def host() -> Target:
    """The target of this machine, narrowed by `KGRAPH_TARGET` (avx512, avx2, generic).

    Raises:
        ValueError: `KGRAPH_TARGET` names no target, or one that this CPU cannot run.
    """
    return detect(_read("/proc/cpuinfo"), platform.machine(), os.environ.get("KGRAPH_TARGET", ""))


def detect(cpuinfo: str, machine: str, wanted: str = "") -> Target:
    """The target that the text of /proc/cpuinfo describes; a pure function but for cache sizes."""
    names = ("avx512", "avx2", "generic")
    if wanted and wanted not in names:
        raise ValueError(f"KGRAPH_TARGET: expected one of {', '.join(names)}; got {wanted!r}")
    if machine in ("aarch64", "arm64"):
        return _with_caches(NEON)
    fields = _fields(cpuinfo)
    flags = set(fields.get("flags", "").split())
    present = tuple(name for name, flag in FEATURES.items() if flag in flags)
    best = "generic"
    if set(AVX2) <= set(present):
        best = "avx512" if set(AVX512) <= set(present) else "avx2"
    name = wanted or best
    if names.index(name) < names.index(best):
        raise ValueError(f"KGRAPH_TARGET={name}: this CPU has only {best}; unset the variable")
    if name == "generic":
        return _with_caches(GENERIC)
    vendor = fields.get("vendor_id", "")
    if name == "avx512":
        cpu = _cpu_name(fields) or "x86-64-v4"
        return _with_caches(replace(SKYLAKE512, cpu=cpu, features=_flags(present)))
    narrow = tuple(item for item in present if not item.startswith("avx512"))
    # A CPU with AVX-512 that must do without it is scheduled as its last ancestor that lacked it.
    ancestor = "znver2" if vendor == "AuthenticAMD" else "haswell"
    cpu = ancestor if best == "avx512" else _cpu_name(fields) or "x86-64-v3"
    return _with_caches(replace(HASWELL, cpu=cpu, features=_flags(narrow)))


def _fields(cpuinfo: str) -> dict[str, str]:
    """The first processor's entries."""
    lines = cpuinfo.split("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _cpu_name(fields: dict[str, str]) -> str | None:
    family, model = int(fields.get("cpu family", "0")), int(fields.get("model", "0"))
    found = None
    for lowest, name in CPU_NAMES.get((fields.get("vendor_id", ""), family), ()):
        if model >= lowest:
            found = name
    return found


def _with_caches(target: Target) -> Target:
    sizes: dict[str, int] = {}
    for index in range(5):
        folder = f"/sys/devices/system/cpu/cpu0/cache/index{index}/"
        level, kind = _read(folder + "level").strip(), _read(folder + "type").strip()
        text = _read(folder + "size").strip()
        if kind in ("Data", "Unified") and text.endswith("K") and level in ("1", "2", "3"):
            sizes["l" + level] = int(text[:-1]) * 1024
    return replace(
        target,
        l1=sizes.get("l1", target.l1),
        l2=sizes.get("l2", target.l2),
        l3=sizes.get("l3", target.l3),
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
