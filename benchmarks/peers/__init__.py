"""Who is measured. Each module says how its library runs a network; none is imported here."""

import os
from importlib import import_module

from benchmarks.jobs import Job
from benchmarks.peers.peer import Peer, Run

NAMES = ("kgraph", "torch", "onnxruntime", "openvino", "keras")
MODULES = {
    "kgraph": "kgraph_llvm",
    "torch": "pytorch",
    "onnxruntime": "onnx_runtime",
    "openvino": "open_vino",
    "keras": "keras_jax",
}


def peer(name: str) -> Peer:
    found: Peer = import_module(f"benchmarks.peers.{MODULES[name]}").PEER
    return found


def environment(threads: int) -> dict[str, str]:
    """For a process of any peer: what each library reads before it starts its threads."""
    names = "KGRAPH_NUM_THREADS OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS".split()
    eigen = "true" if threads > 1 else "false"
    return {
        **os.environ,
        **dict.fromkeys(names, str(threads)),
        "PYTHONDONTWRITEBYTECODE": "",  # an installed library is compiled to bytecode once
        "KGRAPH_BACKEND": "llvm",
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={eigen}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


__all__ = ["NAMES", "Job", "Peer", "Run", "environment", "peer"]
