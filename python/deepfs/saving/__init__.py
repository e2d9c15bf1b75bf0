"""Saving and loading of models and checkpoints."""

from .tensors import CheckpointError

__all__ = ["CheckpointError"]
