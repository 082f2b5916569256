"""The interface of learning rate schedules."""

from typing import Any, Self

from kgraph.registry import keras_export

__all__ = ["LearningRateSchedule"]


@keras_export("keras.optimizers.schedules.LearningRateSchedule")
class LearningRateSchedule:
    """A function from the step to the learning rate.

    Subclasses write `__call__(step)` with `keras.ops`, so that it becomes part of the training
    step, and `get_config`, to be saved with a model.
    """

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate, a float scalar, of `step`, an integer from 0."""
        raise NotImplementedError(f"{type(self).__name__} must implement `__call__(step)`.")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement `get_config()` to be saved."
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Builds the schedule that `get_config` described."""
        return cls(**config)


def check_decay_steps(decay_steps: float, argument: str = "decay_steps") -> None:
    """Refuses a length that is not positive."""
    if decay_steps <= 0:
        raise ValueError(f"`{argument}` must be positive; got {decay_steps!r}.")
