"""A convolution by PyTorch, and the reference: PyTorch in float64."""

import os
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.convolutions.cases import CASES, Case, folder


def convolve(case: Case, x: Tensor, kernel: Tensor) -> Tensor:
    rank = len(case.window)
    if case.transposed:
        return getattr(functional, f"conv_transpose{rank}d")(x, kernel, stride=case.strides)
    return getattr(functional, f"conv{rank}d")(
        x,
        kernel,
        stride=case.strides,
        padding=case.padding,
        dilation=case.dilation,
        groups=case.groups,
    )


def tensors(case: Case) -> tuple[Tensor, Tensor]:
    """Input and kernel, channels in dim 1, stored last where PyTorch has a layout for that."""
    rank = len(case.window)
    x, kernel = (torch.from_numpy(array) for array in case.arrays())
    x = x.movedim(-1, 1).contiguous()
    kernel = kernel.permute(rank + 1, rank, *range(rank)).contiguous()
    if rank == 2:
        x = x.contiguous(memory_format=torch.channels_last)
        kernel = kernel.contiguous(memory_format=torch.channels_last)
    return x, kernel


def channels_last(x: Tensor) -> np.ndarray:
    return x.detach().movedim(1, -1).numpy()


def gradients(case: Case, x: Tensor, kernel: Tensor) -> Callable[[], tuple[Tensor, ...]]:
    """Both gradients alone: the result is computed once."""
    x, kernel = x.requires_grad_(), kernel.requires_grad_()
    y = convolve(case, x, kernel)
    cotangent = torch.from_numpy(case.cotangent(channels_last(y).shape)).to(y.dtype)
    cotangent = cotangent.movedim(-1, 1).contiguous()
    if y.ndim == 4:
        cotangent = cotangent.contiguous(memory_format=torch.channels_last)
    return lambda: torch.autograd.grad(y, (x, kernel), cotangent, retain_graph=True)


def as_keras(case: Case, of_input: Tensor, of_kernel: Tensor) -> list[np.ndarray]:
    rank = len(case.window)
    return [channels_last(of_input), of_kernel.permute(*range(2, rank + 2), 1, 0).numpy()]


def start(case: Case, mode: str) -> tuple[Callable[[], object], Callable[[], list]]:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    x, kernel = tensors(case)
    if mode == "infer":

        def step() -> Tensor:
            with torch.inference_mode():
                return convolve(case, x, kernel)

        return step, lambda: [channels_last(step())]
    pull = gradients(case, x, kernel)
    return pull, lambda: as_keras(case, *pull())


def main() -> None:
    for case in CASES.values():
        x, kernel = (t.double() for t in tensors(case))
        output = channels_last(convolve(case, x, kernel))
        of_input, of_kernel = as_keras(case, *gradients(case, x, kernel)())
        np.savez(folder() / f"{case.name}.npz", output=output, input=of_input, kernel=of_kernel)


if __name__ == "__main__":
    main()
