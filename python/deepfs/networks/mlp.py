"""The multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence

from .. import layers as L


def mlp(
    hidden: Sequence[int] = (100, 100), classes: int = 10, dtype: str = "float32"
) -> L.Sequential:
    """Return a multi-layer perceptron with ReLU, 784-100-100-10 on MNIST.

    Parameters
    ----------
    hidden : sequence of int
        Number of units of each hidden layer.
    classes : int
        Number of outputs (logits).
    dtype : {"float32", "float64"}
        dtype of parameters and outputs.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Shapes: ``(n, ...)`` to ``(n, classes)``; inputs are flattened first. 89,610 parameters and
    89,400 MACs on MNIST.

    Examples
    --------
    >>> import numpy as np
    >>> mlp(hidden=(32,))(np.zeros((5, 1, 28, 28))).shape
    (5, 10)
    """
    parts: list[L.Layer] = [L.Flatten()]
    for units in hidden:
        parts += [L.Dense(units), L.ReLU()]
    return L.Sequential([*parts, L.Dense(classes)], dtype=dtype)
