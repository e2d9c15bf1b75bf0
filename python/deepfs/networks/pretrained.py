"""Networks that come with their weights."""

from __future__ import annotations

from pathlib import Path

from .. import layers as L
from .._check import one_of
from .._safetensors import load_arrays
from .mini_convnet import mini_convnet

NAMES = ("mnist_0_to_4",)


def pretrained(name: str = "mnist_0_to_4", dtype: str = "float32") -> L.Sequential:
    """Return a trained network, for transfer learning: the digits 0 to 4 of MNIST.

    Parameters
    ----------
    name : {"mnist_0_to_4"}
        `mini_convnet` of 5 classes, trained on the 30,596 images of the digits 0 to 4.
    dtype : {"float32", "float64"}
        dtype of parameters and outputs.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Shapes: ``(n, 1, 28, 28)``, grey values from 0 (background) to 1, to ``(n, 5)``. Of the 5,139
    test images of these digits it names 99.86 %. ``tools/make_pretrained.py`` trained it; the
    file has 80 kB. Each call returns a new network.

    References
    ----------
    MNIST, see `deepfs.datasets.mnist`.

    Examples
    --------
    >>> net = pretrained()
    >>> head = net.replace("dense_1", L.Dense(3))
    >>> net.freeze(until="dense_1")
    >>> net.out_shape((1, 28, 28))
    (3,)
    """
    one_of(name, "name", NAMES)
    net = mini_convnet(5, dtype)
    net.build((1, 28, 28))
    net.set_weights(load_arrays(Path(__file__).with_name(f"{name}.safetensors")))
    return net
