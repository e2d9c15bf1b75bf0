"""The same operations in plain NumPy: slow, short, and obviously right.

Each is the twin of a layer, a loss or an optimizer step, and takes images as people read them,
``(n, c, h, w)``. Tests compare the kernels with them; step through them to see how one works.
A file here has the stem of the layers it explains: `deepfs.layers.pool`, ``reference/pool.py``.
"""

from .activation import relu, sigmoid, softmax, tanh
from .columns import col2im, im2col
from .conv import conv2d
from .dense import dense
from .dropout import dropout, philox
from .losses import cross_entropy, mean_squared_error
from .norm import batch_norm
from .optimizers import adam, momentum, sgd
from .pool import avg_pool2d, global_avg_pool2d, max_pool2d
from .shape import flatten

__all__ = [
    "adam",
    "avg_pool2d",
    "batch_norm",
    "col2im",
    "conv2d",
    "cross_entropy",
    "dense",
    "dropout",
    "flatten",
    "global_avg_pool2d",
    "im2col",
    "max_pool2d",
    "mean_squared_error",
    "momentum",
    "philox",
    "relu",
    "sgd",
    "sigmoid",
    "softmax",
    "tanh",
]
