"""Models."""

from kgraph.models.cloning import clone_model
from kgraph.models.functional import Functional
from kgraph.models.model import Model, model_from_json
from kgraph.models.sequential import Sequential
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
