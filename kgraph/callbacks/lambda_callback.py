"""A callback from functions."""

from collections.abc import Callable
from typing import Any

from kgraph.callbacks.callback import Callback
from kgraph.registry import keras_export

__all__ = ["LambdaCallback"]


@keras_export("keras.callbacks.LambdaCallback")
class LambdaCallback(Callback):
    """Calls the given functions at their points; other keyword arguments name other hooks."""

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Callable[..., Any],
    ) -> None:
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in hooks.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise TypeError(f"LambdaCallback: there is no hook called {name!r}.")
            if function is not None:
                setattr(self, name, function)
