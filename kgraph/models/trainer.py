"""Training, evaluation and prediction: what `Model` inherits besides being a layer.

A step (`train_step`, `test_step`, `predict_step`) is ordinary code on variables. `ops.Step` traces
it into one program of state and batch, so that forward, loss, gradients, optimizer and metrics
run as one call.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kgraph import ops
from kgraph.models.compiled import Compiled
from kgraph.models.data_batches import (
    as_array,
    make_source,
    train_validation_split,
    unpack,
    weights_of_classes,
)
from kgraph.models.epochs import BatchGroups, check_counts, check_split, in_order, plain, validates
from kgraph.utils import tree
from kgraph.utils.py_dataset import PyDataset

__all__ = ["Trainer"]


class Trainer(Compiled):
    """`fit`, `evaluate`, `predict` and their steps, of what `compile` configured."""

    # ---- the steps, to be overridden ----

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The scalar to be minimised: the losses of `compile` and those that layers added."""
        parts = []
        if self._compile_loss is not None and y is not None:
            parts.append(self._compile_loss(y, y_pred, sample_weight))
        parts += [ops.sum(extra) for extra in self.losses]  # type: ignore[attr-defined]  # Layer
        if not parts:
            raise ValueError(
                f"The model {self.name!r} has no loss to minimise. "  # type: ignore[attr-defined]  # Layer
                "Give `compile(loss=...)` and targets `y`, or call "
                "`add_loss` in a layer."
            )
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Updates the metrics of `compile` and returns the results of all metrics by name."""
        if self._compile_metrics is not None and y is not None:
            self._compile_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of training on `(x, y, sample_weight)`; returns the metrics' results.

        Runs inside a trace: `ops.gradients` differentiates what was computed so far.
        """
        x, y, sample_weight = unpack(data)
        y_pred = self._call_on(x, training=True)
        loss = self.compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
        )
        self._track_loss(loss, x)
        trainable = self.trainable_variables  # type: ignore[attr-defined]  # Layer
        if trainable:
            scaled = self.optimizer.scale_loss(loss)
            self.optimizer.apply(ops.gradients(scaled, [v.value for v in trainable]), trainable)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """One step of evaluation on `(x, y, sample_weight)`; returns the metrics' results."""
        x, y, sample_weight = unpack(data)
        y_pred = self._call_on(x, training=False)
        loss = self.compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False
        )
        self._track_loss(loss, x)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The outputs for one batch."""
        return self._call_on(unpack(data)[0], training=False)

    def _call_on(self, x: Any, training: bool) -> Any:
        if self._call_has_training_arg:  # type: ignore[attr-defined]  # Layer
            return self(x, training=training)  # type: ignore[operator]  # Layer
        return self(x)  # type: ignore[operator]  # Layer

    def _track_loss(self, loss: Any, x: Any) -> None:
        if self._loss_tracker is not None:
            self._loss_tracker.update_state(loss, sample_weight=ops.shape(tree.flatten(x)[0])[0])

    def _step_program(self, kind: str) -> Callable[..., Any]:
        """The compiled step; made anew after `compile` and when layers are frozen or thawed."""
        found = self._steps.get(kind)
        if found is None or (found[0] and [v.trainable for v in found[0]] != found[1]):
            function = {
                "train": self.train_step,
                "test": self.test_step,
                "predict": self.predict_step,
            }[kind]
            step = ops.Step(
                lambda x, y, sample_weight: function(
                    x if kind == "predict" else (x, y, sample_weight)
                ),
                name=f"{self.name}.{kind}_step",  # type: ignore[attr-defined]  # Layer
                backend=self._backend,
                run_eagerly=self.run_eagerly,
                convert=as_array,
            )
            variables = self.variables if kind == "train" and self.built else []  # type: ignore[attr-defined]  # Layer
            found = (variables, [v.trainable for v in variables], step)
            if variables or kind != "train":  # else the first step makes the variables
                self._steps[kind] = found
        return found[2]

    # ---- fit, evaluate, predict ----

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> Any:
        """Trains for `epochs` epochs and returns the `History`.

        Args:
            x, y, sample_weight: arrays, or lists or dicts of arrays, one per input and output; or
                `x` is a PyDataset, or a generator of `(x, y)` or `(x, y, sample_weight)`.
            batch_size: samples of a batch, for arrays; by default 32, or what makes an epoch of
                `steps_per_epoch` batches.
            epochs: the index of the last epoch, counted from 1; training begins at `initial_epoch`.
            verbose: 0 silent, 1 a progress bar, 2 a line per epoch; "auto": 1 on a terminal, else
                2.
            callbacks: a list of callbacks.
            validation_split: the last part of the arrays to validate on, between 0 and 1.
            validation_data: `(x, y)` or `(x, y, sample_weight)`, a PyDataset or a generator; before
                `validation_split`.
            shuffle: draws a new order for each epoch; "batch" shuffles batches.
            class_weight: a dict of the weights of classes.
            steps_per_epoch, validation_steps: so many batches, for sources that do not end by
                themselves.
            validation_batch_size: of validation arrays; `batch_size` by default.
            validation_freq: validates every so many epochs, or in the epochs of a list, counted
                from 1.
        """
        self._assert_compiled("fit")
        check_counts(epochs=epochs, initial_epoch=initial_epoch)
        if validation_split and validation_data is None:
            check_split(x, validation_split)
            (x, y, sample_weight), validation_data = train_validation_split(
                (x, y, sample_weight), validation_split
            )
        source = make_source(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            steps=steps_per_epoch,
            shuffle=shuffle,
            class_weight=class_weight,
        )
        steps = steps_per_epoch if steps_per_epoch is not None else source.num_batches
        callback_list = self._callbacks(callbacks, verbose, epochs=epochs, steps=steps)
        validation = (
            None
            if validation_data is None
            else self._validation_source(
                validation_data, validation_batch_size or batch_size, validation_steps
            )
        )
        self.stop_training = False
        callback_list.on_train_begin()
        batches = BatchGroups(source, steps_per_epoch)
        step = self._step_program("train")
        logs: dict[str, Any] = {}
        for epoch in range(initial_epoch, epochs):
            self.reset_metrics()
            callback_list.on_epoch_begin(epoch)
            logs = {}
            for index, group in batches.epoch(self.steps_per_execution):
                callback_list.on_train_batch_begin(index)
                for batch in group:
                    results = step(*batch)
                logs = plain(results)
                callback_list.on_train_batch_end(index + len(group) - 1, logs)
                if self.stop_training:
                    break
            if not logs:
                self._no_batch("training", epoch > initial_epoch)
                break
            source.end()
            if validation is not None and validates(epoch, validation_freq):
                found = self._run_evaluation(validation, validation_steps, callback_list)
                logs.update({f"val_{name}": value for name, value in found.items()})
            callback_list.on_epoch_end(epoch, logs)
            step = self._step_program("train")  # a callback may have frozen layers
            if self.stop_training:
                break
        callback_list.on_train_end(logs)
        return self.history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and metrics on data: a list in the order of the names, a number, or a dict."""
        self._assert_compiled("evaluate")
        source = make_source(x, y, sample_weight, batch_size=batch_size, steps=steps)
        callback_list = self._callbacks(
            callbacks, verbose, history=False, steps=steps or source.num_batches
        )
        results = self._run_evaluation(source, steps, callback_list)
        if return_dict:
            return results
        return in_order(results, self._result_names())

    def _run_evaluation(self, source: Any, steps: int | None, callback_list: Any) -> dict[str, Any]:
        callback_list.on_test_begin()
        self.reset_metrics()
        step = self._step_program("test")
        logs: dict[str, Any] = {}
        for index, group in BatchGroups(source, steps).epoch(self.steps_per_execution):
            callback_list.on_test_batch_begin(index)
            for batch in group:
                results = step(*batch)
            logs = plain(results)
            callback_list.on_test_batch_end(index + len(group) - 1, logs)
        if not logs:
            self._no_batch("evaluation")
        source.end()
        callback_list.on_test_end(logs)
        return logs

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for all samples, as arrays in the structure of the model's outputs."""
        source = make_source(x, batch_size=batch_size, steps=steps)
        callback_list = self._callbacks(
            callbacks, verbose, history=False, steps=steps or source.num_batches
        )
        callback_list.on_predict_begin()
        step = self._step_program("predict")
        parts: list[Any] = []
        for index, group in BatchGroups(source, steps).epoch(self.steps_per_execution):
            callback_list.on_predict_batch_begin(index)
            for batch_x, _, _ in group:
                parts.append(step(batch_x, None, None))
            callback_list.on_predict_batch_end(index + len(group) - 1, {"outputs": parts[-1]})
        callback_list.on_predict_end()
        if not parts:
            self._no_batch("prediction")
        return tree.map_structure(
            lambda *arrays: np.concatenate([np.asarray(a) for a in arrays]), *parts
        )

    # ---- single batches ----

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """One training step on one batch; returns the loss and metrics of that batch."""
        self._assert_compiled("train_on_batch")
        x, y, sample_weight = tree.map_structure(as_array, (x, y, sample_weight))
        self.reset_metrics()
        results = plain(
            self._step_program("train")(x, y, weights_of_classes(y, sample_weight, class_weight))
        )
        return results if return_dict else in_order(results, self._result_names())

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics of one batch."""
        self._assert_compiled("test_on_batch")
        self.reset_metrics()
        results = plain(self._step_program("test")(x, y, sample_weight))
        return results if return_dict else in_order(results, self._result_names())

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as arrays."""
        return self._step_program("predict")(x, None, None)

    # ---- helpers ----

    def _result_names(self) -> list[str]:
        """The names by which lists of results are ordered: the loss and the metrics as they are."""
        return [metric.name for metric in self.metrics]

    def _no_batch(self, what: str, later: bool = False) -> None:
        message = (
            f"The {what} data gave no batch: `x` is empty, or a generator had come to its end."
        )
        if not later:
            raise ValueError(message)
        warnings.warn(f"{message} Training stops.", stacklevel=3)

    def _assert_compiled(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(f"Call `compile()` on the model {self.name!r} before `{method}()`.")  # type: ignore[attr-defined]  # Layer

    def _callbacks(
        self,
        callbacks: Any,
        verbose: Any,
        *,
        history: bool = True,
        epochs: int = 1,
        steps: int | None = None,
    ) -> Any:
        from kgraph.callbacks import CallbackList, History  # only these loops need them

        if isinstance(callbacks, CallbackList):
            return callbacks
        made = CallbackList(
            callbacks,
            add_history=history,
            add_progbar=verbose != 0,
            verbose=verbose,
            epochs=epochs,
            steps=steps,
            model=self,
        )
        if history:
            self.history = next(c for c in made.callbacks if isinstance(c, History))
        return made

    def _validation_source(self, data: Any, batch_size: int | None, steps: int | None) -> Any:
        if isinstance(data, PyDataset) or (
            isinstance(data, Iterator) or not isinstance(data, tuple | list)
        ):
            return make_source(data)
        if len(data) not in (2, 3):
            raise ValueError(
                f"`validation_data` must be (x, y) or (x, y, sample_weight); got {len(data)} items."
            )
        return make_source(*data, batch_size=batch_size, steps=steps)
