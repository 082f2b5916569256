"""What kgraph and Keras share: the model, its weights, its gradients."""

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.jobs import Job
from benchmarks.models import compiled
from benchmarks.weights import Weights, keys_of_variables, load


def ready(keras: ModuleType, job: Job, dropout: bool = True) -> Any:
    """The compiled model with the weights of the job."""
    model = job.network.build(keras)
    if job.network.dropout and not dropout:
        model.get_layer(job.network.dropout).rate = 0.0
    compiled(keras, model)
    load(model, job.weights())
    return model


def first_gradients(model: Any, momentums: list[np.ndarray]) -> Weights:
    """Adam's first moments after one step are the gradients times 1 - beta_1."""
    names = keys_of_variables(model)
    scale = 1 / (1 - model.optimizer.beta_1)
    return {
        names[id(variable)]: np.asarray(momentum, "float64") * scale
        for variable, momentum in zip(model.trainable_variables, momentums, strict=True)
    }
