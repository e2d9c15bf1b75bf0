"""Autoencoders: networks that return their input, through a narrow layer."""

from __future__ import annotations

from .. import layers as L
from .._check import one_of, whole


def autoencoder(form: str = "dense", code: int = 32, dtype: str = "float32") -> L.Sequential:
    """Return an autoencoder of 28x28 images: 128 units, a code of 32, and back.

    Parameters
    ----------
    form : {"dense", "conv"}
        "dense": 784-128-code-128-784; "conv": convolutions of 16 and 32 filters, stride 2, a dense
        code, and transposed convolutions back.
    code : int
        Number of units of the narrow layer, which is called ``code``.
    dtype : {"float32", "float64"}
        dtype of parameters and outputs.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Shapes: ``(n, 1, 28, 28)``, unchanged. Train it with `losses.MeanSquaredError` on ``fit(x, x)``;
    ``model.outputs_of(x, ["code"])`` are the codes. Dense: 209,968 parameters and 208,896 MACs for
    a code of 32; conv: 108,881 and 467,264.

    References
    ----------
    Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006.

    Examples
    --------
    >>> import numpy as np
    >>> autoencoder("conv", code=8)(np.zeros((5, 1, 28, 28))).shape
    (5, 1, 28, 28)
    """
    code = whole(code, "code")
    if one_of(form, "form", ("dense", "conv")) == "dense":
        layers: list[L.Layer] = [
            L.Flatten(),
            L.Dense(128),
            L.ReLU(),
            L.Dense(code, name="code"),
            L.Dense(128),
            L.ReLU(),
            L.Dense(784),
            L.Reshape((1, 28, 28)),
        ]
    else:
        layers = [
            L.Conv2D(16, 3, 2, padding=1),
            L.ReLU(),
            L.Conv2D(32, 3, 2, padding=1),
            L.ReLU(),
            L.Flatten(),
            L.Dense(code, name="code"),
            L.Dense(32 * 7 * 7),
            L.ReLU(),
            L.Reshape((32, 7, 7)),
            L.ConvTranspose2D(16, 2, 2),
            L.ReLU(),
            L.ConvTranspose2D(1, 2, 2),
        ]
    return L.Sequential(layers, dtype=dtype)
