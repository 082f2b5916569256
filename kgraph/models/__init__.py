"""Models. What reads and writes their files is loaded when it is first used."""

from typing import TYPE_CHECKING

from kgraph.lazy import lazy as _lazy
from kgraph.models.cloning import clone_model
from kgraph.models.functional import Functional
from kgraph.models.model import Model, model_from_json
from kgraph.models.sequential import Sequential

if TYPE_CHECKING:
    from kgraph.saving import load_model, save_model

__all__ = [
    "Functional",
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]

__getattr__, __dir__ = _lazy(__name__, dict.fromkeys(("load_model", "save_model"), "kgraph.saving"))
