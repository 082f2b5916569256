"""Optimizers against Keras's: steps, state, clipping, averages, accumulation, configs, errors."""

import keras
import numpy as np
import pytest

import kgraph
from kgraph import optimizers
from kgraph.optimizers import schedules
from tests.api.oracle import assert_close, assert_same_arguments, numbers, public_callables

NAMES = [
    name
    for name in public_callables(optimizers)
    if name not in ("Optimizer", "deserialize", "get", "serialize")
]
SHAPES = [("kernel", (4, 3)), ("bias", (3,)), ("scale", ()), ("filters", (2, 3, 2))]

CASES = [
    *((name, {}) for name in NAMES),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("Adam", {"amsgrad": True, "learning_rate": 0.1}),
    ("Adam", {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3, "weight_decay": 0.1}),
    ("AdamW", {"weight_decay": 0.1, "amsgrad": True}),
    ("RMSprop", {"momentum": 0.5, "centered": True}),
    ("RMSprop", {"centered": True, "rho": 0.5}),
    ("Adagrad", {"initial_accumulator_value": 0.5, "learning_rate": 0.3}),
    ("Adafactor", {"learning_rate": 0.5, "relative_step": False, "clip_threshold": 0.5}),
    (
        "Ftrl",
        {
            "learning_rate": 0.1,
            "l1_regularization_strength": 0.1,
            "l2_regularization_strength": 0.2,
            "l2_shrinkage_regularization_strength": 0.1,
            "beta": 0.1,
        },
    ),
    ("Lion", {"weight_decay": 0.1}),
    ("SGD", {"clipnorm": 0.5}),
    ("SGD", {"clipvalue": 0.1}),
    ("SGD", {"global_clipnorm": 0.5}),
    ("Adam", {"loss_scale_factor": 4.0}),
    ("Adam", {"use_ema": True, "ema_momentum": 0.5}),
    ("SGD", {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2}),
    ("Adam", {"gradient_accumulation_steps": 2}),
    ("SGD", {"gradient_accumulation_steps": 3, "momentum": 0.9, "clipnorm": 0.5}),
    (
        "SGD",
        {
            "gradient_accumulation_steps": 2,
            "use_ema": True,
            "ema_overwrite_frequency": 2,
            "weight_decay": 0.1,
        },
    ),
]


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs run op by op: what is tested here is what was traced."""
    monkeypatch.setenv("KGRAPH_BACKEND", "reference")


def weights(library) -> list:
    """The same weights in both libraries."""
    rng = np.random.default_rng(0)
    return [
        library.Variable(rng.normal(size=shape).astype("float32"), name=name)
        for name, shape in SHAPES
    ]


def gradients(step: int) -> list[np.ndarray]:
    rng = np.random.default_rng(step + 1)
    return [np.asarray(rng.normal(size=shape), "float32") for _, shape in SHAPES]


def run(optimizer, variables: list, steps: int) -> None:
    for step in range(steps):
        optimizer.apply(gradients(step), variables)


@pytest.mark.parametrize("name", [*NAMES, "Optimizer", "deserialize", "get", "serialize"])
def test_arguments(name: str) -> None:
    assert_same_arguments(optimizers, keras.optimizers, name)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_steps_and_state(name: str, arguments: dict) -> None:
    ours = getattr(optimizers, name)(**arguments, name="mine")
    theirs = getattr(keras.optimizers, name)(**arguments, name="mine")
    mine, oracle = weights(kgraph), weights(keras)
    run(ours, mine, 5)
    run(theirs, oracle, 5)
    for a, b in zip(mine, oracle, strict=True):
        assert_close(a, b, rtol=1e-5, atol=2e-6)
    assert [tuple(v.shape) for v in ours.variables] == [tuple(v.shape) for v in theirs.variables]
    for a, b in zip(ours.variables, theirs.variables, strict=True):
        assert_close(a, b, rtol=1e-5, atol=2e-6)
        assert str(a.dtype) == str(b.dtype)
    if name not in ("Nadam", "Adafactor"):  # these have variables with a running number
        assert [v.path for v in ours.variables] == [v.path for v in theirs.variables]
    assert_close(ours.iterations, theirs.iterations)
    ours.finalize_variable_values(mine)
    theirs.finalize_variable_values(oracle)
    assert_close(mine[0], oracle[0], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_state_goes_both_ways(name: str, arguments: dict) -> None:
    """Either library continues, from the other's state, with the same next step."""
    ours = getattr(optimizers, name)(**arguments)
    theirs = getattr(keras.optimizers, name)(**arguments)
    mine, oracle = weights(kgraph), weights(keras)
    run(theirs, oracle, 3)
    store: dict = {}
    theirs.save_own_variables(store)
    ours.build(mine)
    ours.load_own_variables({key: np.asarray(value) for key, value in store.items()})
    for a, b in zip(mine, oracle, strict=True):
        a.assign(numbers(b))
    again: dict = {}
    ours.save_own_variables(again)
    assert list(again) == list(store)
    for key, value in store.items():
        assert_close(again[key], value, rtol=0, atol=0)
    ours.apply(gradients(3))
    theirs.apply(gradients(3))
    for a, b in zip(mine, oracle, strict=True):
        assert_close(a, b, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_one_program(name: str, arguments: dict, reference: None) -> None:
    """A traced step is the step that runs at once."""
    once, compiled = (getattr(optimizers, name)(**arguments) for _ in range(2))
    mine, theirs = weights(kgraph), weights(kgraph)
    compiled.build(theirs)

    def update(*values):
        compiled.apply(list(values), theirs)
        return compiled.iterations

    step = kgraph.ops.Step(update, symbolic_batch=False)
    run(once, mine, 4)
    for number in range(4):
        step(*gradients(number))
    for a, b in zip([*mine, *once.variables], [*theirs, *compiled.variables], strict=True):
        assert_close(b, a, rtol=2e-6, atol=1e-7)


def test_few_operations_per_weight() -> None:
    """What all weights share is computed once: a weight adds its elementwise ops only."""

    def count(number: int) -> int:
        optimizer = optimizers.Adam()
        variables = [kgraph.Variable(np.ones(3, "float32")) for _ in range(number)]
        optimizer.build(variables)
        function = kgraph.trace(
            lambda *values: optimizer.apply(list(values), variables),
            *[np.ones(3, "float32")] * number,
        )
        return sum(len(op.operands) > 0 for op in function.ops)

    # Twelve, and the broadcasts of the scalars, which the passes make once.
    assert count(3) - count(2) == count(2) - count(1) <= 18


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_configs_go_both_ways(name: str, arguments: dict) -> None:
    ours = getattr(optimizers, name)(**arguments, name="mine")
    theirs = getattr(keras.optimizers, name)(**arguments, name="mine")
    assert ours.get_config() == pytest.approx(theirs.get_config())
    assert optimizers.serialize(ours).keys() == keras.optimizers.serialize(theirs).keys()
    for key in ("module", "class_name", "registered_name"):
        assert optimizers.serialize(ours)[key] == keras.optimizers.serialize(theirs)[key]
    back = optimizers.deserialize(keras.optimizers.serialize(theirs))
    assert type(back) is type(ours)
    assert back.get_config() == ours.get_config()
    again = keras.saving.deserialize_keras_object(optimizers.serialize(ours))
    assert again.get_config() == theirs.get_config()


def test_schedule_in_a_program(reference: None) -> None:
    optimizer = optimizers.SGD(schedules.CosineDecay(0.0, 4, warmup_target=0.5, warmup_steps=2))
    variable = kgraph.Variable(np.float32([1.0]), name="w")
    optimizer.build([variable])
    step = kgraph.ops.Step(lambda g: optimizer.apply([g], [variable]), symbolic_batch=False)
    for _ in range(4):
        step(np.float32([1.0]))
    spent = sum(float(optimizer._learning_rate(number)) for number in range(4))
    assert_close(variable, np.float32([1.0 - spent]))


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_schedule(name: str) -> None:
    ours = getattr(optimizers, name)(schedules.ExponentialDecay(0.1, 2, 0.5))
    theirs = getattr(keras.optimizers, name)(
        keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    )
    mine, oracle = weights(kgraph), weights(keras)
    run(ours, mine, 4)
    run(theirs, oracle, 4)
    assert_close(mine[0], oracle[0], rtol=1e-5, atol=2e-6)
    assert len(ours.variables) == len(theirs.variables)
    assert_close(ours.learning_rate, np.float32(0.1 * 0.25))
    back = optimizers.deserialize(keras.optimizers.serialize(theirs))
    assert_close(back.learning_rate, np.float32(0.1))
    assert keras.optimizers.deserialize(optimizers.serialize(ours)).get_config()["learning_rate"]
    with pytest.raises(TypeError, match="function of the step"):
        ours.learning_rate = 0.5


def test_learning_rate() -> None:
    optimizer = optimizers.SGD(0.5)
    variable = kgraph.Variable(np.ones(2, "float32"), name="w")
    optimizer.apply([np.ones(2, "float32")], [variable])
    assert_close(variable, np.float32([0.5, 0.5]))
    optimizer.learning_rate = 0.25
    assert float(numbers(optimizer.learning_rate)) == 0.25
    optimizer.learning_rate.assign(0.125)
    assert optimizer.get_config()["learning_rate"] == 0.125
    optimizer.apply_gradients([(np.ones(2, "float32"), variable)])
    assert_close(variable, np.float32([0.375, 0.375]))
    optimizer.learning_rate = schedules.CosineDecay(0.5, 10)
    assert [v.name for v in optimizer.variables] == ["iteration"]
    called = optimizers.SGD(lambda: 0.5)
    called.apply([np.ones(2, "float32")], [variable])
    assert_close(variable, np.float32([-0.125, -0.125]))


@pytest.mark.parametrize("by", ["list", "names"])
def test_exclude_from_weight_decay(by: str) -> None:
    ours, theirs = (library.optimizers.AdamW(0.1, weight_decay=0.5) for library in (kgraph, keras))
    mine, oracle = weights(kgraph), weights(keras)
    for optimizer, variables in ((ours, mine), (theirs, oracle)):
        if by == "list":
            optimizer.exclude_from_weight_decay(var_list=[variables[0]])
        else:
            optimizer.exclude_from_weight_decay(var_names=["bias", "^ker"])
        run(optimizer, variables, 2)
    for a, b in zip(mine, oracle, strict=True):
        assert_close(a, b)
    with pytest.raises(ValueError, match=r"before .* is built"):
        ours.exclude_from_weight_decay(var_names=["kernel"])


def test_constraint_after_the_step() -> None:
    variable = kgraph.Variable(np.float32([0.1, 1.0]), name="w")
    variable.constraint = kgraph.constraints.NonNeg()
    optimizers.SGD(0.5).apply([np.float32([1.0, 1.0])], [variable])
    assert_close(variable, np.float32([0.0, 0.5]))


def test_missing_gradients() -> None:
    mine = weights(kgraph)
    before = numbers(mine[1]).copy()
    optimizer = optimizers.Adam()
    first, _, *rest = gradients(0)
    with pytest.warns(UserWarning, match=r"\['bias'\]"):
        optimizer.apply([first, None, *rest], mine)
    assert_close(mine[1], before, rtol=0, atol=0)
    with pytest.raises(ValueError, match="None of the 4 weights has a gradient"):
        optimizer.apply([None] * 4)
    optimizer.apply([])
    assert int(numbers(optimizer.iterations)) == 1


def test_overwrite_with_gradient() -> None:
    mine, oracle = weights(kgraph), weights(keras)
    ours, theirs = optimizers.Adam(), keras.optimizers.Adam()
    for variables, optimizer in ((mine, ours), (oracle, theirs)):
        variables[1].overwrite_with_gradient = True
        run(optimizer, variables, 2)
    assert_close(mine[1], gradients(1)[1])
    assert len(ours.variables) == len(theirs.variables)
    for a, b in zip(mine, oracle, strict=True):
        assert_close(a, b, rtol=1e-5)


def test_stateless_apply() -> None:
    mine = weights(kgraph)
    optimizer = optimizers.Adam(0.1)
    optimizer.build(mine)
    before = [numbers(v).copy() for v in [*mine, *optimizer.variables]]
    values = [v.value for v in mine], [v.value for v in optimizer.variables]
    for step in range(2):
        values = optimizer.stateless_apply(values[1], gradients(step), values[0])
    for variable, old in zip([*mine, *optimizer.variables], before, strict=True):
        assert_close(variable, old, rtol=0, atol=0)
    run(optimizer, mine, 2)
    for variable, value in zip(mine, values[0], strict=True):
        assert_close(variable, value)
    with pytest.raises(ValueError, match="`optimizer_variables` of stateless_apply needs 10"):
        optimizer.stateless_apply([], gradients(0), values[0])


def test_own_optimizer() -> None:
    class Signs(optimizers.Optimizer):
        def __init__(self, learning_rate=0.5, **kwargs):
            super().__init__(learning_rate=learning_rate, **kwargs)
            self.calls = kgraph.Variable(0.0, name="calls")

        def build(self, variables):
            super().build(variables)
            self.seen = self.add_optimizer_variables(variables, "seen")

        def update_step(self, gradient, variable, learning_rate):
            self.assign_add(self.calls, 1.0)
            self.assign(self.seen[self._get_variable_index(variable)], gradient)
            self.assign_sub(variable, np.sign(gradient) * np.asarray(learning_rate))

    optimizer = Signs()
    variable = kgraph.Variable(np.float32([1.0, 2.0]), name="w")
    optimizer.apply([np.float32([3.0, -3.0])], [variable])
    assert_close(variable, np.float32([0.5, 2.5]))
    assert [v.name for v in optimizer.variables] == [
        "iteration",
        "learning_rate",
        "calls",
        "w_seen",
    ]


def test_set_weights_and_load() -> None:
    optimizer = optimizers.SGD(momentum=0.9)
    with pytest.raises(ValueError, match="not built"):
        optimizer.set_weights([])
    with pytest.raises(ValueError, match="not built"):
        optimizer.apply(gradients(0))
    with pytest.warns(
        UserWarning, match="has 2 variables and the file has 1. It has not been built"
    ):
        optimizer.load_own_variables({"0": 1})
    optimizer.build(weights(kgraph))
    values = [numbers(v) + 1 for v in optimizer.variables]
    optimizer.set_weights(values)
    for variable, value in zip(optimizer.variables, values, strict=True):
        assert_close(variable, value)
    with pytest.raises(ValueError, match=r"variable 2 .* \(4, 3\); got a value of shape \(1,\)"):
        optimizer.set_weights([values[0], values[1], np.zeros(1)])


@pytest.mark.parametrize("name", ["adam", "ADAM", "Adam", "sgd", "rmsprop", "AdamW"])
def test_names(name: str) -> None:
    assert type(optimizers.get(name)).__name__ == type(keras.optimizers.get(name)).__name__


def test_get() -> None:
    assert optimizers.get(None) is None
    optimizer = optimizers.Adam()
    assert optimizers.get(optimizer) is optimizer
    assert optimizers.get({"class_name": "sgd", "config": {"learning_rate": 0.25}}).get_config()[
        "learning_rate"
    ] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: optimizers.get("adm"), "Did you mean .*'adam'"),
        (lambda: optimizers.get(3), "type int"),
        (lambda: optimizers.Adam(learning_rate="x"), "`learning_rate` of Adam must be a float"),
        (lambda: optimizers.Adam(rate=1.0), r"\['rate'\]. It has: self, learning_rate"),
        (lambda: optimizers.Adam(clipnorm=1.0, clipvalue=1.0), "Only one of `clipnorm`"),
        (lambda: optimizers.Adam(use_ema=True, ema_momentum=2.0), "`ema_momentum` must lie"),
        (lambda: optimizers.Adam(use_ema=True, ema_overwrite_frequency=-1), "integer of 1"),
        (lambda: optimizers.Adam(gradient_accumulation_steps=1), "integer of 2 or more"),
        (lambda: optimizers.SGD(momentum=2.0), "`momentum` of SGD"),
        (lambda: optimizers.AdamW(weight_decay=None), "`weight_decay` of AdamW"),
        (lambda: optimizers.Lion(beta_1=0.0), "`beta_1` of Lion"),
        (lambda: optimizers.Ftrl(learning_rate_power=1.0), "`learning_rate_power` of Ftrl"),
        (lambda: optimizers.Ftrl(l1_regularization_strength=-1.0), "`l1_regularization_strength`"),
        (lambda: optimizers.Optimizer(0.1).update_step(None, None, None), "must implement"),
    ],
)
def test_errors(make_it, message: str) -> None:
    with pytest.raises((ValueError, NotImplementedError), match=message):
        make_it()


def test_unknown_variable() -> None:
    optimizer = optimizers.SGD()
    optimizer.build(weights(kgraph))
    with pytest.raises(ValueError, match="no state for 'other'"):
        optimizer.apply([np.ones(2)], [kgraph.Variable(np.ones(2, "float32"), name="other")])
    with pytest.raises(ValueError, match="expected 4; got 1"):
        optimizer.apply([np.ones(2)])
