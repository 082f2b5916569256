"""Models."""

from kgraph.models.functional import Functional
from kgraph.models.model import Model, model_from_json
from kgraph.models.sequential import Sequential
from kgraph.saving import load_model, save_model

__all__ = ["Functional", "Model", "Sequential", "load_model", "model_from_json", "save_model"]
