"""The losses of `compile`, matched to the model's outputs."""

from typing import Any

from kgraph import losses, ops
from kgraph.metrics import Mean
from kgraph.models.label_checks import check_labels
from kgraph.utils import tree

__all__ = ["CompileLoss"]


class CompileLoss:
    """The weighted sum of one loss per output.

    Args:
        loss: a loss (name, function, object), or a list or dict of them that follows the outputs;
            None where an output has no loss.
        loss_weights: None, a number, or a list or dict that follows the outputs.
        output_names: names of the outputs, in order; None where they are not known before the first
            call.
    """

    def __init__(self, loss: Any, loss_weights: Any, output_names: list[str] | None) -> None:
        self._loss, self._weights, self._names = loss, loss_weights, output_names
        self._parts: list[tuple[Any, float | None]] | None = None
        self.metrics: list[Mean] = []

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The total loss, a scalar."""
        targets, predictions = match(y_true, y_pred, self._names, "y")
        if self._parts is None:
            self._parts = self._build(len(predictions), y_pred)
        weights = _spread(sample_weight, len(predictions), y_pred, self._names)
        total = None
        trackers = iter(self.metrics)
        names = self._names_of(len(predictions), y_pred)
        for (function, factor), name, target, prediction, weight in zip(
            self._parts, names, targets, predictions, weights, strict=True
        ):
            if function is None:
                continue
            if target is None:
                raise ValueError(
                    f"The model has a loss for the output {name!r}, but `y` has no target for it."
                )
            value = ops.cast(_loss_of(function, name, target, prediction, weight), "float32")
            if self.metrics:
                next(trackers).update_state(
                    value, sample_weight=ops.shape(tree.flatten(prediction)[0])[0]
                )
            if factor is not None:
                value = value * factor
            total = value if total is None else total + value
        if total is None:
            raise ValueError("All outputs have the loss None; at least one needs a loss.")
        return total

    def _build(self, count: int, y_pred: Any) -> list[tuple[Any, float | None]]:
        names = self._names_of(count, y_pred)
        functions = [
            None if f is None else _as_loss(f)
            for f in self._per_output(self._loss, count, names, "loss")
        ]
        factors = self._per_output(self._weights, count, names, "loss_weights")
        if sum(f is not None for f in functions) > 1:
            self.metrics = [
                Mean(name=f"{name}_loss")
                for f, name in zip(functions, names, strict=True)
                if f is not None
            ]
        return list(zip(functions, factors, strict=True))

    def _names_of(self, count: int, y_pred: Any) -> list[str]:
        known = self._names is not None and len(self._names) == count
        return self._names if known else output_names(y_pred, count)  # type: ignore[return-value]  # known

    def _per_output(self, given: Any, count: int, names: list[str], argument: str) -> list[Any]:
        if isinstance(given, dict):
            if self._names is None and count == len(given) == 1:
                return list(given.values())  # the name of the only output is not known here
            unknown = sorted(set(given) - set(names))
            if unknown:
                raise ValueError(
                    f"`{argument}` names the outputs {unknown}; the model's outputs are {names}."
                )
            return [given.get(name) for name in names]
        if isinstance(given, list | tuple):
            if len(given) != count:
                raise ValueError(
                    f"`{argument}` must have one item for each of the {count} outputs {names}; got "
                    f"{len(given)}."
                )
            return list(given)
        return [given] * count


def _loss_of(function: Any, name: str, target: Any, prediction: Any, weight: Any) -> Any:
    """The loss of one output; errors say which, and what met there."""
    check_labels(function, name, target, prediction, weight)
    try:
        return function(target, prediction, weight)
    except (TypeError, ValueError) as error:
        met = {"y": target, "the output": prediction, "sample_weight": weight}
        shapes = ", ".join(
            f"{what} has the shape {x.shape}" for what, x in met.items() if hasattr(x, "shape")
        )
        error.add_note(f"In the loss {function.name!r} of the output {name!r}: {shapes}.")
        raise


def _as_loss(loss: Any) -> Any:
    if isinstance(loss, losses.Loss):
        return loss
    found = losses.get(loss)
    if isinstance(found, losses.Loss):
        return found
    name = getattr(found, "__name__", "loss")
    return losses.LossFunctionWrapper(found, name=name)


def match(
    y_true: Any, y_pred: Any, names: list[str] | None, argument: str
) -> tuple[list[Any], list[Any]]:
    """Targets and predictions as lists, one item per output."""
    predictions = tree.flatten(y_pred)
    if isinstance(y_pred, dict) and isinstance(y_true, dict):
        missing = sorted(set(y_pred) - set(y_true))
        extra = sorted(set(y_true) - set(y_pred))
        if extra:
            raise ValueError(
                f"`{argument}` has entries {extra} that are no outputs; the outputs are "
                f"{sorted(y_pred)}."
            )
        full = {**dict.fromkeys(missing), **y_true}
        return [full[key] for key in sorted(y_pred)], predictions
    if isinstance(y_true, dict) and names is not None:
        unknown = sorted(set(y_true) - set(names))
        if unknown:
            raise ValueError(
                f"`{argument}` has entries {unknown} that are no outputs; the outputs are {names}."
            )
        return [y_true.get(name) for name in names], predictions
    targets = tree.flatten(y_true)
    if len(targets) != len(predictions):
        raise ValueError(
            f"`{argument}` must have one array for each of the {len(predictions)} outputs; got "
            f"{len(targets)}."
        )
    return targets, predictions


def _spread(weight: Any, count: int, y_pred: Any, names: list[str] | None) -> list[Any]:
    if tree.is_nested(weight):
        return match(weight, y_pred, names, "sample_weight")[0]
    return [weight] * count


def output_names(y_pred: Any, count: int) -> list[str]:
    """Names for outputs that the model does not name: a dict's keys, or `output_0`, ..."""
    if isinstance(y_pred, dict) and not any(tree.is_nested(v) for v in y_pred.values()):
        return sorted(y_pred)
    return [f"output_{i}" for i in range(count)]
