"""Classes have the methods of Keras's, which take the same arguments."""

import inspect
from typing import Any

import pytest

import kgraph
from tests.api.oracle import arguments

# What Keras has for its own backends, for quantisation, LoRA and export is not here.
OTHER = set(
    """
    add_metric backend call_signature_parameters compute_loss_and_updates enable_lora export
    get_monitor_value get_quantization_layer_structure get_state_tree jax_state_sync lora_alpha
    lora_enabled lora_rank make_predict_function make_test_function make_train_function monitor_op
    predict_function quantization_config quantization_mode quantize quantized_build quantized_call
    ragged ragged_rank rematerialized_call row_splits_dtype set_state_tree sparse
    stateless_compute_loss supports_jit test_function train_function variable_serialization_spec
    """.split()
)

# Where ours differ: why.
DIFFERENT = {
    "add_weight": "Keras takes positional arguments only to refuse them",
    "build": "models build without a shape where `Input` told it",
    "call": "models take no arguments that Keras's would ignore",
    "compile": "`backend` beside Keras's arguments",
    "compute_mask": "the mask may be left out",
    "compute_output_spec": "models take no arguments that Keras's would ignore",
    "evaluate": "Keras takes others only to refuse them",
    "predict_step": "state is that of the variables, whatever the backend",
    "save_weights": "files are not split",
    "test_step": "state is that of the variables, whatever the backend",
    "train_step": "state is that of the variables, whatever the backend",
}

CLASSES = """
    Model Sequential layers.Layer metrics.Metric losses.Loss optimizers.Optimizer
    callbacks.Callback Variable KerasTensor utils.PyDataset initializers.Initializer
    random.SeedGenerator regularizers.Regularizer constraints.Constraint
    optimizers.schedules.LearningRateSchedule
""".split()


def found(library: Any, name: str) -> Any:
    for part in name.split("."):
        library = getattr(library, part)
    return library


@pytest.mark.parametrize("name", CLASSES)
def test_methods(name: str) -> None:
    import keras

    ours, theirs = found(kgraph, name), found(keras, name)
    for method in dir(theirs):
        # attributes that instances get are no part of the class
        if method.startswith("_") or method in OTHER or not callable(getattr(theirs, method)):
            continue
        assert hasattr(ours, method), method
        mine, oracle = (inspect.unwrap(getattr(c, method)) for c in (ours, theirs))
        if method not in DIFFERENT and not inspect.isclass(mine):
            assert arguments(mine) == arguments(oracle), method


def made(k: Any) -> list[Any]:
    """An object of each kind."""
    layer = k.layers.Dense(2)
    model = k.Sequential([k.layers.Input((3,)), layer])
    model.compile("adam", "mse")
    x = k.layers.Input((3,))
    return [
        layer, model, k.Model(x, k.layers.Dense(1)(x)), model.optimizer, x, layer.kernel,
        k.losses.MeanSquaredError(), k.metrics.Mean(), k.utils.PyDataset(),
        k.callbacks.EarlyStopping(), k.random.SeedGenerator(1),
    ]  # fmt: skip


def test_attributes_of_objects() -> None:
    import keras

    for ours, theirs in zip(made(kgraph), made(keras), strict=True):
        names = {n for n in dir(theirs) if not n.startswith("_")} - OTHER
        assert not sorted(names - set(dir(ours))), type(ours)
