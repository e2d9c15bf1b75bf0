"""Inference without training: `InferenceModel`, what `Model.predictor` returns.

It imports layers and losses, but neither optimizers nor the training loop, so a process that only
predicts starts fast.
"""

from .._public import public_names as _public_names
from ._model import InferenceModel

__all__ = ["InferenceModel"]


def __dir__() -> list[str]:
    return _public_names(globals())
