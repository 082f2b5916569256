"""Native code for CPUs: kernels written through one builder, as LLVM IR text."""
