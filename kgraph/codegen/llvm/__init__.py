"""Native code for CPUs: kernels written through one builder, as LLVM IR text."""

from kgraph.codegen.llvm.fingerprint import fingerprint

__all__ = ["fingerprint"]
