"""Keras on JAX: the jitted steps of its trainer, on arrays that JAX already has."""

from typing import Any

import jax
import keras

from benchmarks.jobs import Job
from benchmarks.peers.keras_like import first_gradients, ready
from benchmarks.peers.peer import Run


class KerasOnJax:
    def infer(self, job: Job) -> Run:
        model, x = ready(keras, job), jax.numpy.asarray(job.inputs())
        state = model._get_jax_state(trainable_variables=True, non_trainable_variables=True)

        # the trainer's own donates the weights and returns them; plain arguments are as fast
        @jax.jit
        def predict(state: Any, x: Any) -> Any:
            return model.stateless_call(*state, x, training=False)[0]

        def step() -> Any:
            return predict(state, x).block_until_ready()

        return Run(step, lambda: {"output": step()})

    def train(self, job: Job) -> Run:
        checked = Training(job, dropout=False)
        timed = Training(job).step if job.network.dropout else None
        return Run(checked.step, checked.gradients, timed)


class Training:
    """The step that `fit` jits; the state goes in donated and comes out new."""

    def __init__(self, job: Job, dropout: bool = True) -> None:
        self.model = ready(keras, job, dropout)
        self.data = (jax.numpy.asarray(job.inputs()), jax.numpy.asarray(job.targets()))
        self.model._symbolic_build(data_batch=self.data)
        self.model.make_train_function()
        self.state = self.model._get_jax_state(True, True, True, True)
        self.model._jax_state_synced = False

    def step(self) -> None:
        logs, self.state = self.model.train_function(self.state, iter([self.data]))
        jax.block_until_ready((logs, self.state))

    def gradients(self) -> Any:
        optimizer = self.model.optimizer
        places = {id(variable): i for i, variable in enumerate(optimizer.variables)}
        moments = [self.state[2][places[id(momentum)]] for momentum in optimizer._momentums]
        return first_gradients(self.model, moments)


PEER = KerasOnJax()
