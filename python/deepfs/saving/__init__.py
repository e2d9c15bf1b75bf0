"""Models and training runs as files."""

from .model import arrays_of
from .tensors import CheckpointError

__all__ = ["CheckpointError", "arrays_of"]
