"""Intersection over union of predicted and true regions."""

import warnings
from collections.abc import Sequence
from typing import Any

from kgraph import config, ops
from kgraph.metrics.metric import Metric
from kgraph.registry import keras_export

__all__ = ["BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"]


@keras_export("keras.metrics.IoU")
class IoU(Metric):
    """The mean intersection over union of some classes.

    Args:
        num_classes: the number of classes.
        target_class_ids: the classes that count in the mean.
        name: a name; None: the class's.
        dtype: that of the counts; None: "int".
        ignore_class: None, or a target to leave out.
        sparse_y_true: targets are class numbers, not scores.
        sparse_y_pred: predictions are class numbers, not scores.
        axis: the classes' axis of scores.
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name=name, dtype=dtype or "int")
        if max(target_class_ids) >= num_classes:
            raise ValueError(
                f"`target_class_ids` must lie below num_classes={num_classes}; got "
                f"{list(target_class_ids)}."
            )
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_cm = self.add_variable(
            (num_classes, num_classes), "zeros", dtype=self.dtype, name="total_confusion_matrix"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account; classes out of range count nowhere.

        Args:
            y_true: class numbers, any shape, or scores.
            y_pred: class numbers of the same shape, or scores.
            sample_weight: None, or weights of the shape of the class numbers.
        """
        if not self.sparse_y_true:
            y_true = ops.argmax(y_true, axis=self.axis)
        if not self.sparse_y_pred:
            y_pred = ops.argmax(y_pred, axis=self.axis)
        y_true = ops.reshape(ops.convert_to_tensor(y_true, dtype=self.dtype), (-1,))
        y_pred = ops.reshape(ops.convert_to_tensor(y_pred, dtype=self.dtype), (-1,))
        weight = self._weight(sample_weight, y_true)
        valid = ops.logical_and(self._in_range(y_true), self._in_range(y_pred))
        if self.ignore_class is not None:
            valid = ops.logical_and(valid, ops.not_equal(y_true, self.ignore_class))
        weight = ops.where(valid, weight, ops.zeros_like(weight))
        row = ops.cast(ops.where(valid, y_true, 0), "int32")
        column = ops.cast(ops.where(valid, y_pred, 0), "int32")
        matrix = ops.segment_sum(
            weight, row * self.num_classes + column, num_segments=self.num_classes**2
        )
        matrix = ops.reshape(matrix, (self.num_classes, self.num_classes))
        self.total_cm.assign(self.total_cm.value + ops.cast(matrix, self.dtype))

    def _in_range(self, classes: Any) -> Any:
        return ops.logical_and(classes >= 0, classes < self.num_classes)

    def _weight(self, sample_weight: Any, like: Any) -> Any:
        if sample_weight is None:
            return ops.ones_like(like)
        if "float" in str(getattr(sample_weight, "dtype", "")) and "int" in self.dtype:
            warnings.warn(
                f"{self.name} counts in {self.dtype}: float weights are rounded towards 0. Pass "
                "integer weights, or a float `dtype`.",
                stacklevel=3,
            )
        weight = ops.convert_to_tensor(sample_weight, dtype=self.dtype)
        if len(weight.shape) > 1:
            weight = ops.reshape(weight, (-1,))
        return ops.broadcast_to(weight, ops.shape(like))

    def result(self) -> Any:
        matrix = self.total_cm.value
        diagonal = ops.diagonal(matrix)
        union = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - diagonal
        shape = (len(self.target_class_ids),)
        classes = ops.convert_to_tensor(self.target_class_ids, dtype="int32")
        shared = ops.reshape(ops.cast(ops.take(diagonal, classes), "float32"), shape)
        union = ops.reshape(ops.cast(ops.take(union, classes), "float32"), shape)
        present = union > 1e-9
        ratio = ops.where(present, shared / (union + config.epsilon()), 0.0)
        number = ops.sum(ops.cast(present, "float32"))
        return ops.sum(ratio) / (number + config.epsilon())

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }

    def _config_without(self, *names: str) -> dict[str, Any]:
        config = IoU.get_config(self)
        return {key: value for key, value in config.items() if key not in names}


@keras_export("keras.metrics.BinaryIoU")
class BinaryIoU(IoU):
    """The mean intersection over union of yes-or-no predictions.

    Args:
        target_class_ids: the classes that count, of 0 and 1.
        threshold: a prediction of at least this is class 1.
        name: a name; None: the class's.
        dtype: that of the counts; None: "int".
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account; the arguments are those of `IoU`, `y_pred` scores."""
        positive = ops.convert_to_tensor(y_pred, dtype="float32") >= self.threshold
        super().update_state(y_true, ops.cast(positive, self.dtype), sample_weight)

    def get_config(self) -> dict[str, Any]:
        config = self._config_without(
            "num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis"
        )
        return {**config, "threshold": self.threshold}


@keras_export("keras.metrics.MeanIoU")
class MeanIoU(IoU):
    """The mean intersection over union of all classes; the arguments are those of `IoU`."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            range(num_classes),
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=sparse_y_true,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict[str, Any]:
        return self._config_without("target_class_ids")


@keras_export("keras.metrics.OneHotIoU")
class OneHotIoU(IoU):
    """`IoU` for one-hot targets and, unless `sparse_y_pred`, scores as predictions."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            target_class_ids,
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict[str, Any]:
        return self._config_without("sparse_y_true")


@keras_export("keras.metrics.OneHotMeanIoU")
class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` for one-hot targets and, unless `sparse_y_pred`, scores as predictions."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict[str, Any]:
        return self._config_without("target_class_ids", "sparse_y_true")
