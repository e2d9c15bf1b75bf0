"""What the outputs of a network mean to a loss: logits, log-probabilities, scores or numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .._arrays import Array
from ..layers import Sigmoid, Softmax

if TYPE_CHECKING:
    from ..layers import Layer
    from ._base import Loss


class OutputKind:
    """What outputs mean, and what follows from it.

    Attributes
    ----------
    metrics : tuple of str
        Names of the metrics that a model has by default.
    no_probabilities, no_classes : str
        Why there are none, and what to do; "" if there are.
    """

    metrics: tuple[str, ...] = ()
    no_probabilities = no_classes = ""

    def probabilities(self, outputs: Array) -> Array:
        """Return the probabilities that outputs stand for; raise ValueError if there are none."""
        raise ValueError(self.no_probabilities)

    def classes(self, outputs: Array) -> Array:
        """Return the most probable class of each sample; raise ValueError if there are none."""
        raise ValueError(self.no_classes)

    def check(self, loss: Loss, network: Layer, warn_only: bool = False) -> None:
        """Raise ValueError, or warn, if a network cannot give outputs of this kind."""


class _ClassLogits(OutputKind):
    metrics = ("accuracy",)

    def probabilities(self, outputs: Array) -> Array:
        return Softmax()(outputs)  # along axis 1, also of pixels

    def classes(self, outputs: Array) -> Array:
        return largest(outputs)


class _LogProbabilities(_ClassLogits):
    def probabilities(self, outputs: Array) -> Array:
        return np.exp(outputs)


class _Scores(_ClassLogits):
    no_probabilities = (
        "the outputs are scores of a margin, which are no logarithms of probabilities: train with "
        "CrossEntropy for probabilities, or use predict_classes"
    )

    def probabilities(self, outputs: Array) -> Array:
        raise ValueError(self.no_probabilities)


class _BinaryLogits(OutputKind):
    metrics = ("binary_accuracy",)

    def probabilities(self, outputs: Array) -> Array:
        return Sigmoid()(outputs)

    def classes(self, outputs: Array) -> Array:
        found = (outputs > 0).astype(np.int64)
        return found.reshape(-1) if found.shape[1:] == (1,) else found


class _Numbers(OutputKind):
    no_probabilities = "the outputs are numbers, not logits: use predict"
    no_classes = no_probabilities + ", and a rule of your own for classes"


class _Unknown(OutputKind):
    no_probabilities = (
        "a loss of one's own says nothing of outputs: use predict, and a rule of your own, or a "
        "class of a loss with output_kind = losses.CLASS_LOGITS"
    )
    no_classes = no_probabilities


class SeveralOutputs(OutputKind):
    """The kinds of several outputs, by name or number."""

    def __init__(self, kinds: Mapping[Any, OutputKind]) -> None:
        self.kinds = kinds

    def _of_each(self, what: str, outputs: Any) -> Any:
        found = {key: getattr(kind, what)(outputs[key]) for key, kind in self.kinds.items()}
        return found if isinstance(outputs, dict) else tuple(found.values())

    def probabilities(self, outputs: Any) -> Any:
        return self._of_each("probabilities", outputs)

    def classes(self, outputs: Any) -> Any:
        return self._of_each("classes", outputs)


def largest(outputs: Array) -> Array:
    """Return the index of the largest output along axis 1."""
    if outputs.ndim < 2 or outputs.shape[1] < 2:
        raise ValueError(f"classes need outputs (n, classes, ...), got {outputs.shape}")
    return outputs.argmax(axis=1)


CLASS_LOGITS = _ClassLogits()
BINARY_LOGITS = _BinaryLogits()
LOG_PROBABILITIES = _LogProbabilities()
SCORES = _Scores()
NUMBERS = _Numbers()
UNKNOWN = _Unknown()
