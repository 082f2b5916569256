"""PyTorch on the CPU, as its users write it: eager modules, channels last, fused Adam."""

from collections.abc import Callable
from importlib import import_module

import torch
from torch.nn import functional

from benchmarks.jobs import Job
from benchmarks.peers.peer import Run
from benchmarks.twins import weights
from benchmarks.twins.layout import from_channels_first, to_channels_first
from benchmarks.weights import Weights


class PyTorch:
    def infer(self, job: Job) -> Run:
        twin, x = ready(job)
        twin.eval()

        def step() -> torch.Tensor:
            with torch.inference_mode():
                return twin(x)

        return Run(step, lambda: {"output": from_channels_first(step().numpy(), job.network)})

    def train(self, job: Job) -> Run:
        twin, step = training(job, dropout=False)
        timed = training(job)[1] if job.network.dropout else None
        return Run(step, lambda: weights.gradients(twin, job.weights()), timed)


def ready(job: Job) -> tuple[torch.nn.Module, torch.Tensor]:
    """The twin with the weights of the job, and the input."""
    torch.set_num_threads(job.threads)
    twin = import_module(f"benchmarks.twins.{job.name}").Twin()
    weights.load(twin, job.weights())
    x = torch.from_numpy(to_channels_first(job.inputs(), job.network))
    if x.ndim == 4:
        twin = twin.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    return twin, x


def training(job: Job, dropout: bool = True) -> tuple[torch.nn.Module, Callable[[], Weights]]:
    twin, x = ready(job)
    if job.network.dropout and not dropout:
        getattr(twin, job.network.dropout).p = 0.0
    y = torch.from_numpy(job.targets())
    optimizer = torch.optim.Adam(twin.parameters(), lr=1e-3, eps=1e-7, fused=True)
    twin.train()

    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(twin(x), y).backward()
        optimizer.step()

    return twin, step


PEER = PyTorch()
