"""Connectionist temporal classification.

A. Graves, S. Fernández, F. Gomez and J. Schmidhuber, Connectionist Temporal Classification (ICML
2006): the probability of a label sequence is the sum over all paths that give it once repeated
labels are merged and blanks removed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kgraph.ops._activations import log_softmax
from kgraph.ops._arithmetic import add, negative
from kgraph.ops._core import cast
from kgraph.ops._creation import arange, full_like, zeros_like
from kgraph.ops._dispatch import op
from kgraph.ops._functions import logaddexp
from kgraph.ops._indexing import take_along_axis
from kgraph.ops._joining import concatenate
from kgraph.ops._logic import equal, less, logical_and, logical_not, logical_or, where
from kgraph.ops._loops import scan
from kgraph.ops._padding import pad
from kgraph.ops._promote import common_dtype
from kgraph.ops._reductions import argmax
from kgraph.ops._reductions import max as largest
from kgraph.ops._reductions import sum as total
from kgraph.ops._shapes import broadcast_to, expand_dims, reshape, transpose
from kgraph.ops._sorting import argsort

__all__ = ["ctc_decode", "ctc_loss"]

_NEVER = -1e5  # the logarithm of the probability of what cannot be


@op("nn.CTCLoss", 4)
def ctc_loss(
    target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0
) -> Any:
    """`-log` of the probability of each target sequence.

    Args:
        target: (batch, longest target) of labels.
        output: (batch, time, classes) of logits.
        target_length: (batch,) of how many labels count.
        output_length: (batch,) of how many steps count.
        mask_index: the class that is the blank.

    Returns:
        (batch,) of floats.
    """
    target, target_length = cast(target, "int32"), cast(target_length, "int32")
    output_length = cast(output_length, "int32")
    scores = log_softmax(cast(output, common_dtype(output, at_least="float32")))
    labels, skips = _with_blanks(target, mask_index)
    steps = int(scores.shape[1])
    # of each state, the score of its label at each step: (time, batch, states)
    index = expand_dims(labels, 1)
    index = broadcast_to(index, (index.shape[0], steps, index.shape[2]))
    chosen = transpose(take_along_axis(scores, index, 2), (1, 0, 2))
    state = cast(arange(labels.shape[1]), "int32")
    start = where(less(state, 2), chosen[0], full_like(chosen[0], _NEVER))

    def advance(alpha: Any, inputs: Any) -> Any:
        score, running = inputs
        before = pad(alpha[:, :-1], ((0, 0), (1, 0)), constant_values=_NEVER)
        skipped = pad(alpha[:, :-2], ((0, 0), (2, 0)), constant_values=_NEVER)
        found = logaddexp(alpha, before)
        found = where(skips, logaddexp(found, skipped), found)
        return where(expand_dims(running, -1), add(found, score), alpha), None

    later = cast(np.arange(1, steps), "int32")
    running = less(expand_dims(later, 1), expand_dims(output_length, 0))
    alpha, _ = scan(advance, start, (chosen[1:], running))
    last = expand_dims(target_length * 2, 1)
    final = take_along_axis(alpha, last, 1)
    label = take_along_axis(alpha, where(equal(last, 0), 0, last - 1), 1)
    label = where(equal(last, 0), full_like(label, _NEVER), label)
    return negative(reshape(logaddexp(final, label), (-1,)))


def _with_blanks(target: Any, mask_index: int) -> tuple[Any, Any]:
    """The labels with a blank around each, and the states that may be entered past a blank."""
    batch, n = target.shape
    blank = full_like(target, mask_index)
    pairs = concatenate([expand_dims(blank, 2), expand_dims(target, 2)], 2)
    labels = concatenate([reshape(pairs, (batch, 2 * n)), blank[:, :1]], 1)
    is_label = logical_not(equal(labels, mask_index))
    differs = pad(logical_not(equal(labels[:, 2:], labels[:, :-2])), ((0, 0), (2, 0)))
    return labels, logical_and(is_label, differs)


@op("nn.CTCDecode", 2)
def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> Any:
    """The labels of the likeliest path.

    Args:
        inputs: (batch, time, classes) of logits.
        sequence_lengths: (batch,) of how many steps count.
        strategy: "greedy".
        beam_width, top_paths: of the strategy "beam_search", which there is not.
        merge_repeated: merges equal labels that follow each other.
        mask_index: the class that is the blank.

    Returns:
        (1, batch, time) of labels, -1 behind the last one; (batch, 1) of scores.

    Raises:
        ValueError: the strategy is another than "greedy".
    """
    if strategy != "greedy":
        raise ValueError(f"Invalid strategy {strategy!r}. The only one is 'greedy'.")
    steps = inputs.shape[1]
    labels, best = argmax(inputs, -1), largest(inputs, -1)
    place = expand_dims(cast(arange(steps), "int32"), 0)
    done = logical_not(less(place, expand_dims(cast(sequence_lengths, "int32"), 1)))
    labels = where(done, mask_index, labels)
    best = where(done, zeros_like(best), best)
    dropped = equal(labels, mask_index)
    if merge_repeated:
        repeated = pad(equal(labels[:, 1:], labels[:, :-1]), ((0, 0), (1, 0)))
        dropped = logical_or(dropped, repeated)
    labels = where(dropped, -1, labels)
    order = argsort(where(dropped, steps, broadcast_to(place, labels.shape)), -1)
    labels = take_along_axis(labels, order, -1)
    return expand_dims(labels, 0), expand_dims(negative(total(best, 1)), 1)
