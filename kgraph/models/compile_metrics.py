"""The metrics of `compile`, matched to the model's outputs."""

from typing import Any

from kgraph import metrics as metrics_module
from kgraph.metrics import Metric
from kgraph.models.compile_loss import match, output_names
from kgraph.utils import tree

__all__ = ["CompileMetrics"]

_BY_KIND = {
    "accuracy": ("BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy"),
    "crossentropy": (
        "BinaryCrossentropy",
        "CategoricalCrossentropy",
        "SparseCategoricalCrossentropy",
    ),
}
_SHORT = {
    "acc": "accuracy",
    "accuracy": "accuracy",
    "ce": "crossentropy",
    "crossentropy": "crossentropy",
}


class CompileMetrics:
    """Metrics without and with sample weights, per output.

    Args:
        metrics, weighted_metrics: None, a list of metrics for every output, or a list of lists or
            dict of them that follows the outputs.
        names: names of the outputs, in order; None where they are not known before the first call.
    """

    def __init__(self, metrics: Any, weighted_metrics: Any, names: list[str] | None) -> None:
        self._given = (metrics, weighted_metrics)
        for item in tree.flatten(self._given):
            if isinstance(item, str) and item.lower() not in _SHORT:
                metrics_module.get(item)  # an unknown name is an error here, not at the first batch
        self._names = names
        self._built: list[tuple[int, bool, str, Metric]] | None = (
            None  # output, weighted, shown name
        )

    @property
    def metrics(self) -> list[Metric]:
        """All metrics; empty before the first update."""
        return [metric for _, _, _, metric in self._built or ()]

    def named(self) -> list[tuple[str, Metric]]:
        """The metrics with the names under which they show."""
        return [(name, metric) for _, _, name, metric in self._built or ()]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts one batch in."""
        targets, predictions = match(y_true, y_pred, self._names, "y")
        if self._built is None:
            self._built = self._build(targets, predictions, y_pred)
        weights = (
            match(sample_weight, y_pred, self._names, "sample_weight")[0]
            if tree.is_nested(sample_weight)
            else [sample_weight] * len(predictions)
        )
        for output, weighted, _, metric in self._built:
            weight = weights[output] if weighted else None
            metric.update_state(targets[output], predictions[output], sample_weight=weight)

    def _build(
        self, targets: list[Any], predictions: list[Any], y_pred: Any
    ) -> list[tuple[int, bool, str, Metric]]:
        count = len(predictions)
        names = (
            self._names
            if self._names is not None and len(self._names) == count
            else output_names(y_pred, count)
        )
        built = []
        for weighted, given in enumerate(self._given):
            for output, found in enumerate(_per_output(given, count, names)):
                for item in found:
                    if item is None:
                        continue
                    metric = _as_metric(item, targets[output], predictions[output])
                    shown = _unused(
                        metric.name, names[output] if count > 1 else "", weighted, built
                    )
                    built.append((output, bool(weighted), shown, metric))
        return built


def _unused(
    name: str, output: str, weighted: int, built: list[tuple[int, bool, str, Metric]]
) -> str:
    """The name under which a metric shows: with its output's, `weighted`, or a number if taken."""
    used = {shown for _, _, shown, _ in built}
    prefix = f"{output}_" if output else ""
    candidates = [f"{prefix}{name}"]
    if weighted:
        candidates.append(f"{prefix}weighted_{name}")
    numbered = (f"{candidates[-1]}_{i}" for i in range(1, len(used) + 2))
    return next(c for c in [*candidates, *numbered] if c not in used)


def _per_output(given: Any, count: int, names: list[str]) -> list[list[Any]]:
    if given is None:
        return [[] for _ in range(count)]
    if isinstance(given, dict):
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise ValueError(
                f"`metrics` names the outputs {unknown}; the model's outputs are {names}."
            )
        return [_listed(given.get(name)) for name in names]
    if not isinstance(given, list | tuple):
        raise ValueError(f"`metrics` must be a list or dict of metrics; got {given!r}.")
    if any(isinstance(item, list | tuple) for item in given) or (count > 1 and len(given) == count):
        if len(given) != count:
            raise ValueError(
                f"`metrics` must have one list for each of the {count} outputs {names}; got "
                f"{len(given)}."
            )
        return [_listed(item) for item in given]
    if count > 1 and given:
        raise ValueError(
            f"`metrics` must have one list for each of the {count} outputs {names}; got {given!r}."
        )
    return [list(given) for _ in range(count)]


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [given]


def _as_metric(item: Any, target: Any, prediction: Any) -> Metric:
    if isinstance(item, Metric):
        return item
    kind = _SHORT.get(str(item).lower()) if isinstance(item, str) else None
    if kind is not None:
        cls = getattr(metrics_module, _BY_KIND[kind][_coding(target, prediction)])
        return cls(name=item)
    found = metrics_module.get(item)
    name = item if isinstance(item, str) else getattr(found, "__name__", type(found).__name__)
    if not isinstance(found, Metric):
        return metrics_module.MeanMetricWrapper(found, name=name)
    if isinstance(item, str):
        found.name = name  # it shows under the name that the user wrote
    return found


def _coding(target: Any, prediction: Any) -> int:
    """How targets say the class: 0 binary, 1 one-hot, 2 by index."""
    if (len(target.shape) == len(prediction.shape) and prediction.shape[-1] == 1) or len(
        prediction.shape
    ) == 1:
        return 0
    same = len(target.shape) == len(prediction.shape) and target.shape[-1] == prediction.shape[-1]
    return 1 if same else 2
