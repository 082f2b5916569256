"""Keras's weights in PyTorch's modules, and gradients back."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.twins.transformer import Attention
from benchmarks.weights import Weights, key


@dataclass(frozen=True)
class Place:
    """Where an array of Keras lies: in rows of a tensor, its dims joined and then permuted."""

    tensor: Tensor
    order: tuple[int, ...] = (0,)
    rows: tuple[int | None, int | None] = (None, None)

    def store(self, array: np.ndarray) -> None:
        target = self.tensor.detach()[slice(*self.rows)]
        sizes = [0] * target.ndim
        for dim, source in enumerate(self.order):
            sizes[source] = target.shape[dim]
        target.copy_(torch.from_numpy(array.reshape(sizes).transpose(self.order)))

    def gradient(self, shape: tuple[int, ...]) -> np.ndarray:
        """In the shape that Keras gives it."""
        back = tuple(int(i) for i in np.argsort(self.order))
        return self.tensor.grad[slice(*self.rows)].permute(back).numpy().reshape(shape)


def of_convolution(module: nn.Module) -> list[Place]:
    rank = module.weight.ndim - 2
    spatial = tuple(range(rank))
    depthwise = not module.transposed and module.groups > 1
    order = (rank, rank + 1, *spatial) if depthwise else (rank + 1, rank, *spatial)
    return [Place(module.weight, order), *of_bias(module)]


def of_linear(module: nn.Linear) -> list[Place]:
    return [Place(module.weight, (1, 0)), *of_bias(module)]


def of_bias(module: nn.Module) -> list[Place]:
    return [] if module.bias is None else [Place(module.bias)]


def of_batch_norm(module: nn.BatchNorm2d) -> list[Place]:
    return [Place(t) for t in (module.weight, module.bias, module.running_mean, module.running_var)]


def of_lstm(module: nn.LSTM) -> list[Place]:
    """PyTorch has a second bias, which stays zero."""
    nn.init.zeros_(module.bias_hh_l0)
    return [
        Place(module.weight_ih_l0, (1, 0)),
        Place(module.weight_hh_l0, (1, 0)),
        Place(module.bias_ih_l0),
    ]


def of_attention(module: Attention) -> list[Place]:
    width = module.out.in_features
    rows = [(i * width, (i + 1) * width) for i in range(3)]
    inputs = [
        Place(tensor, order, part)
        for part in rows
        for tensor, order in ((module.qkv.weight, (1, 0)), (module.qkv.bias, (0,)))
    ]
    return inputs + of_linear(module.out)


PLACES: dict[type[nn.Module], Callable[..., list[Place]]] = {
    nn.Conv1d: of_convolution,
    nn.Conv2d: of_convolution,
    nn.ConvTranspose2d: of_convolution,
    nn.Linear: of_linear,
    nn.BatchNorm2d: of_batch_norm,
    nn.LSTM: of_lstm,
    nn.LayerNorm: lambda module: [Place(module.weight), Place(module.bias)],
    nn.Embedding: lambda module: [Place(module.weight, (0, 1))],
    Attention: of_attention,
}


def places(twin: nn.Module) -> Iterator[tuple[str, Place]]:
    """The name of each array of Keras's, and where it lies."""

    def walk(module: nn.Module, name: str) -> Iterator[tuple[str, Place]]:
        if type(module) in PLACES:
            for i, place in enumerate(PLACES[type(module)](module)):
                yield key(name, i), place
            return
        for child, inner in module.named_children():
            yield from walk(inner, f"{name}_{child}" if name else child)

    yield from walk(twin, "")


def load(twin: nn.Module, weights: Weights) -> None:
    """Sets all weights of the twin; none may be left over on either side."""
    found = dict(places(twin))
    if found.keys() != weights.keys():
        raise ValueError(f"the twin differs in {sorted(found.keys() ^ weights.keys())}")
    for name, place in found.items():
        place.store(weights[name])


def gradients(twin: nn.Module, weights: Weights) -> Weights:
    """The gradients of the trainable ones, after a backward pass, in Keras's layout."""
    return {
        name: place.gradient(weights[name].shape)
        for name, place in places(twin)
        if place.tensor.grad is not None
    }
