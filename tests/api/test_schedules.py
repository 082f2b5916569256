"""Learning rate schedules against Keras's."""

import keras
import pytest

from kgraph.optimizers import schedules
from tests.api.oracle import assert_close, assert_same_arguments, public_callables

CASES = [
    ("ExponentialDecay", (0.1, 10, 0.5), {}),
    ("ExponentialDecay", (0.1, 10, 0.5), {"staircase": True}),
    ("InverseTimeDecay", (0.1, 10, 0.5), {}),
    ("InverseTimeDecay", (0.1, 10, 0.5), {"staircase": True}),
    ("PolynomialDecay", (0.1, 20), {}),
    ("PolynomialDecay", (0.1, 7), {"power": 2.0, "end_learning_rate": 0.01, "cycle": True}),
    ("CosineDecay", (0.1, 20), {}),
    ("CosineDecay", (0.0, 20), {"alpha": 0.1, "warmup_target": 0.2, "warmup_steps": 5}),
    ("CosineDecay", (0.1, 20), {"warmup_target": 0.2}),
    ("CosineDecayRestarts", (0.1, 5), {}),
    ("CosineDecayRestarts", (0.1, 5), {"t_mul": 1.0, "m_mul": 0.8, "alpha": 0.05}),
    ("CosineDecayRestarts", (0.1, 5), {"t_mul": 1.5, "m_mul": 0.9}),
    ("PiecewiseConstantDecay", ([5, 9], [1.0, 0.5, 0.1]), {}),
]


@pytest.mark.parametrize("name", public_callables(keras.optimizers.schedules))
def test_arguments(name: str) -> None:
    assert_same_arguments(schedules, keras.optimizers.schedules, name)


@pytest.mark.parametrize(("name", "arguments", "options"), CASES, ids=str)
def test_values_and_configs(name: str, arguments: tuple, options: dict) -> None:
    ours = getattr(schedules, name)(*arguments, **options)
    theirs = getattr(keras.optimizers.schedules, name)(*arguments, **options)
    for step in (0, 1, 3, 5, 6, 7, 9, 10, 11, 14, 15, 20, 25, 40):
        assert_close(ours(step), theirs(step), rtol=3e-6, atol=1e-8)
    assert ours.get_config() == theirs.get_config()
    assert schedules.serialize(ours) == keras.optimizers.schedules.serialize(theirs)
    back = schedules.deserialize(keras.optimizers.schedules.serialize(theirs))
    assert type(back) is type(ours)
    assert back.get_config() == ours.get_config()
    again = keras.optimizers.schedules.deserialize(schedules.serialize(ours))
    assert again.get_config() == ours.get_config()


def test_errors() -> None:
    for make in (
        lambda: schedules.ExponentialDecay(0.1, 0, 0.5),
        lambda: schedules.InverseTimeDecay(0.1, 0, 0.5),
        lambda: schedules.PolynomialDecay(0.1, -1),
        lambda: schedules.CosineDecay(0.1, 0),
        lambda: schedules.CosineDecayRestarts(0.1, 0),
    ):
        with pytest.raises(ValueError, match="decay_steps` must be positive"):
            make()
    with pytest.raises(ValueError, match=r"2 boundaries .* 2 values"):
        schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2])
    with pytest.raises(NotImplementedError, match="__call__"):
        schedules.LearningRateSchedule()(0)
