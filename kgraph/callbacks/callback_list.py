"""All callbacks of a run as one."""

from typing import Any

from kgraph.callbacks.callback import Callback
from kgraph.callbacks.history import History
from kgraph.callbacks.progbar_logger import ProgbarLogger
from kgraph.registry import keras_export
from kgraph.utils import tree

__all__ = ["CallbackList"]


@keras_export("keras.callbacks.CallbackList")
class CallbackList(Callback):
    """Passes each call on to its callbacks, in order.

    Args:
        callbacks: a callback, or a nested list of them; None for none.
        add_history: adds a `History` unless there is one.
        add_progbar: adds a `ProgbarLogger` unless there is one.
        model: given to each callback.
        **params: given to each callback: `verbose`, `epochs`, `steps`.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self.callbacks: list[Callback] = [c for c in tree.flatten(callbacks) if c is not None]
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"`callbacks` must hold kgraph.callbacks.Callback objects; got {callback!r}."
                )
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        if add_history and not any(isinstance(c, History) for c in self.callbacks):
            self.callbacks.append(History())
        self.set_params(params)
        if model is not None:
            self.set_model(model)
        self._on_batch = {hook: self._readers(hook) for hook in _BATCH_HOOKS}

    def _readers(self, hook: str) -> list[Callback]:
        """The callbacks that override a hook: the others cost nothing for each batch."""
        names = (hook, hook.replace("train_", "")) if "train" in hook else (hook,)
        return [
            c
            for c in self.callbacks
            if any(
                getattr(type(c), name) is not getattr(Callback, name) or name in vars(c)
                for name in names
            )
        ]

    def append(self, callback: Callback) -> None:
        """Adds a callback at the end."""
        self.callbacks.append(callback)
        self._on_batch = {hook: self._readers(hook) for hook in _BATCH_HOOKS}

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_begin(logs or {})

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_end(logs or {})

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs if logs is not None else {})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs if logs is not None else {})

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self._on_batch["on_train_batch_begin"]:
            callback.on_train_batch_begin(batch, logs or {})
            callback.on_batch_begin(batch, logs or {})

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self._on_batch["on_train_batch_end"]:
            callback.on_train_batch_end(batch, logs or {})
            callback.on_batch_end(batch, logs or {})

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        for callback in self.callbacks:
            callback.on_test_begin(logs or {})

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        for callback in self.callbacks:
            callback.on_test_end(logs or {})

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self._on_batch["on_test_batch_begin"]:
            callback.on_test_batch_begin(batch, logs or {})

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self._on_batch["on_test_batch_end"]:
            callback.on_test_batch_end(batch, logs or {})

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        for callback in self.callbacks:
            callback.on_predict_begin(logs or {})

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        for callback in self.callbacks:
            callback.on_predict_end(logs or {})

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self._on_batch["on_predict_batch_begin"]:
            callback.on_predict_batch_begin(batch, logs or {})

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self._on_batch["on_predict_batch_end"]:
            callback.on_predict_batch_end(batch, logs or {})


_BATCH_HOOKS = tuple(
    f"on_{mode}_batch_{end}" for mode in ("train", "test", "predict") for end in ("begin", "end")
)
