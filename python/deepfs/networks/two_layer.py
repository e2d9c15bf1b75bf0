"""TwoLayerNet, the first network of Saitoh's textbook."""

from __future__ import annotations

from .. import layers as L
from .._check import one_of
from ..initializers import Normal


def two_layer(
    classes: int = 10, dtype: str = "float32", hidden: int = 50, activation: str = "sigmoid"
) -> L.Sequential:
    """Return TwoLayerNet: one hidden layer of 50 units, sigmoid or ReLU, classes.

    Parameters
    ----------
    classes : int
        Number of outputs (logits).
    dtype : {"float32", "float64"}
        dtype of parameters and outputs.
    hidden : int
        Number of hidden units.
    activation : {"sigmoid", "relu"}
        "sigmoid" as in chapter 4 of the textbook, "relu" as in chapter 5.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Shapes: ``(n, ...)`` to ``(n, classes)``; inputs are flattened first. On MNIST 39,760 parameters
    and 39,700 MACs. Weights start as normal numbers of standard deviation 0.01, as in the textbook.

    References
    ----------
    Saitoh, "Deep Learning from Scratch", 2016, chapters 4 and 5.

    Examples
    --------
    >>> import numpy as np
    >>> two_layer()(np.zeros((5, 1, 28, 28))).shape
    (5, 10)
    """
    relu, small = one_of(activation, "activation", ("sigmoid", "relu")) == "relu", Normal(0.01)
    return L.Sequential(
        [
            L.Flatten(),
            L.Dense(hidden, initializer=small),
            L.ReLU() if relu else L.Sigmoid(),
            L.Dense(classes, initializer=small),
        ],
        dtype=dtype,
    )
