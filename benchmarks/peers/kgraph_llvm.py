"""kgraph: the compiled steps, called as `fit` and `predict` call them."""

from typing import Any

import kgraph
from benchmarks.jobs import Job
from benchmarks.peers.keras_like import first_gradients, ready
from benchmarks.peers.peer import Run


class Kgraph:
    def infer(self, job: Job) -> Run:
        model, x = ready(kgraph, job), job.inputs()
        return Run(lambda: model.predict_on_batch(x), lambda: {"output": model.predict_on_batch(x)})

    def train(self, job: Job) -> Run:
        model, step = training(job, dropout=False)
        timed = training(job)[1] if job.network.dropout else None
        return Run(step, lambda: first_gradients(model, momentums(model)), timed)


def training(job: Job, dropout: bool = True) -> tuple[Any, Any]:
    model, x, y = ready(kgraph, job, dropout), job.inputs(), job.targets()
    model.optimizer.build(model.trainable_variables)
    program = model._step_program("train")  # what `fit` calls for each batch
    return model, lambda: program(x, y, None)


def momentums(model: Any) -> list[Any]:
    return [momentum.numpy() for momentum in model.optimizer._momentums]


PEER = Kgraph()
