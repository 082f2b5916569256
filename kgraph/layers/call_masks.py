"""Masks that travel with tensors: into the arguments of a call, and on to its outputs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from kgraph.layers.call_spec import CallSpec, is_tensor_like, signature_of
from kgraph.utils import tree
from kgraph.utils.masking import get_keras_mask, set_keras_mask

if TYPE_CHECKING:
    from kgraph.layers.layer import Layer

__all__ = ["carry", "fill_in"]


def fill_in(layer: Layer, spec: CallSpec, kwargs: dict[str, Any]) -> None:
    """Masks of the inputs become the argument `mask`, or `<name>_mask`, where `call` has it."""
    parameters = signature_of(type(layer).call).parameters
    single = len(spec.tensor_names) == 1
    for name in spec.tensor_names:
        target = "mask" if single else f"{name}_mask"
        if target in parameters and spec.arguments.get(target) is None:
            masks = tree.map_structure(get_keras_mask, spec.arguments[name])
            kwargs[target] = spec.arguments[target] = masks


def carry(layer: Layer, inputs: Any, outputs: Any, previous_mask: Any) -> None:
    """Gives the outputs the masks that the layer computes; warns where a mask ends."""
    leaves = tree.flatten(outputs)
    if not layer.supports_masking:
        if any(m is not None for m in tree.flatten(previous_mask)):
            warnings.warn(
                f"Layer '{layer.name}' ({type(layer).__name__}) was called on a tensor with a "
                "mask but does not support masks: later layers will not see it.",
                stacklevel=4,
            )
        return
    if all(get_keras_mask(leaf) is not None for leaf in leaves):
        return
    found = layer.compute_mask(inputs, previous_mask)
    if found is None:
        return
    for leaf, mask in zip(leaves, tree.flatten(found), strict=False):
        if mask is not None and is_tensor_like(leaf) and get_keras_mask(leaf) is None:
            set_keras_mask(leaf, mask)
