"""Saving and loading of models and checkpoints."""

from .model import arrays_of
from .tensors import CheckpointError

__all__ = ["CheckpointError", "arrays_of"]
