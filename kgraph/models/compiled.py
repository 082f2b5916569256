"""What `compile` says about a model's training, and the metrics that follow from it.

Losses, metrics and optimizers are imported when `compile` needs them: a process that only predicts
starts without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kgraph.registry import deserialize_keras_object, serialize_keras_object
from kgraph.runtime import default_options

if TYPE_CHECKING:
    from kgraph.metrics import Mean, Metric
    from kgraph.models.compile_loss import CompileLoss
    from kgraph.models.compile_metrics import CompileMetrics

__all__ = ["Compiled"]


class Compiled:
    """`compile`, its configuration, and the metrics."""

    def __init__(self) -> None:
        self.compiled = False
        self.stop_training = False
        self.optimizer: Any = None
        self.loss: Any = None
        self.loss_weights: Any = None
        self.run_eagerly = False
        self.steps_per_execution = 1
        self.jit_compile: Any = "auto"
        self.history: Any = None
        self._compile_config: dict[str, Any] | None = None
        self._compile_loss: CompileLoss | None = None
        self._compile_metrics: CompileMetrics | None = None
        self._loss_tracker: Mean | None = None
        self._backend: str | None = None
        self._steps: dict[str, Any] = {}

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        backend: str | None = None,
    ) -> None:
        """Says how to train.

        Args:
            optimizer: a name or an optimizer.
            loss: a loss (name, function, object), or a list or dict of them, one per output.
            loss_weights: None, or a list or dict of factors, one per output.
            metrics, weighted_metrics: lists of metrics (names, functions, objects), or lists or
                dicts of lists, one per output; the second are weighted with `sample_weight` and
                `class_weight`.
            run_eagerly: runs the model's Python code for every batch, op by op, on the reference
                backend.
            steps_per_execution: so many batches between two calls of the callbacks.
            jit_compile: kept for compatibility; every step is compiled unless `run_eagerly`.
            auto_scale_loss: kept for compatibility; losses are scaled by what the optimizer's
                `loss_scale_factor` says.
            backend: "llvm", "jax" or "reference"; None: the one of the environment or
                `config.set_backend`.
        """
        from kgraph import losses, optimizers
        from kgraph.metrics import Mean
        from kgraph.models.compile_loss import CompileLoss
        from kgraph.models.compile_metrics import CompileMetrics

        if not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise ValueError(
                f"`steps_per_execution` must be an int of at least 1; got {steps_per_execution!r}."
            )
        if backend is not None:
            default_options(backend)  # what is unknown is an error here, not at the first batch
        if isinstance(loss, str):
            losses.get(loss)
        self.optimizer = optimizers.get(optimizer)
        self.loss, self.loss_weights = loss, loss_weights
        self.run_eagerly, self.steps_per_execution = run_eagerly, steps_per_execution
        self.jit_compile, self._backend = jit_compile, backend
        names = getattr(self, "output_names", None)
        self._compile_loss = None if loss is None else CompileLoss(loss, loss_weights, names)
        self._compile_metrics = CompileMetrics(metrics, weighted_metrics, names)
        self._loss_tracker = Mean(name="loss")
        self._steps = {}
        self.stop_training = False
        self.compiled = True
        self._compile_config = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile`, fit for JSON; empty for a model that was not compiled."""
        if self._compile_config is None:
            return {}
        config = {key: serialize_keras_object(value) for key, value in self._compile_config.items()}
        config["optimizer"] = serialize_keras_object(self.optimizer)
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as `get_compile_config` said; builds the optimizer's state of a built model."""
        self.compile(**deserialize_keras_object(config))
        if self.optimizer is not None and self.built:  # type: ignore[attr-defined]  # Layer
            self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]  # Layer

    @property
    def metrics(self) -> list[Metric]:
        """The loss, the metrics of `compile`, and those that the model's layers hold."""
        found = [self._loss_tracker] if self._loss_tracker is not None else []
        for part in (self._compile_metrics, self._compile_loss):
            found += [] if part is None else part.metrics
        known = {id(metric) for metric in found}
        return found + [metric for metric in self._own_metrics() if id(metric) not in known]

    @property
    def metrics_names(self) -> list[str]:
        """The names of `metrics`."""
        return [metric.name for metric in self.metrics]

    @property
    def metrics_variables(self) -> list[Any]:
        """The state of all metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def _own_metrics(self) -> list[Metric]:
        # those of models inside this one count in their own training only
        layers: list[Any] = self._flatten_layers(include_self=True, recursive=True)  # type: ignore[attr-defined]  # Layer
        outer = [layer for layer in layers if layer is self or not isinstance(layer, Compiled)]
        return [metric for layer in outer for metric in getattr(layer, "_metrics", ())]

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of all metrics by name."""
        shown = {
            id(metric): name
            for name, metric in (self._compile_metrics.named() if self._compile_metrics else ())
        }
        results: dict[str, Any] = {}
        for metric in self.metrics:
            result = metric.result()
            if isinstance(result, dict):
                results.update(result)
            else:
                results[shown.get(id(metric), metric.name)] = result
        return results

    def reset_metrics(self) -> None:
        """Forgets what the metrics have counted."""
        for metric in self.metrics:
            metric.reset_state()
