"""The layer SqueezeExcite. Kernel: ``squeeze_excite_kernel.pyx``."""

from dataclasses import dataclass

import numpy as np

from deepfs.layers import Layer, channels_first, channels_last, empty, whole

from . import squeeze_excite_kernel as kernel


@dataclass(eq=False)
class SqueezeExcite(Layer):
    """Multiply each channel by a factor in (0, 1), which depends on the means of all channels.

    Parameters
    ----------
    units : int
        Outputs of the first of the two dense layers that make the factors, at least 1.

    Notes
    -----
    Shapes: ``(n, c, h, w)``, unchanged. Parameters: ``w1`` (c, units), ``b1``, ``w2`` (units, c),
    ``b2``.

    References
    ----------
    Hu, Shen and Sun, "Squeeze-and-excitation networks", 2018, arXiv:1709.01507.
    """

    units: int

    input_rank = (4,)

    def __post_init__(self):
        self.units = whole(self.units, "units", 1)

    def _out_shape(self, in_shape):
        if self.in_shape is not None and in_shape[0] != self.in_shape[0]:
            raise ValueError(f"{self.label} takes {self.in_shape[0]} channels, got {in_shape}")
        return in_shape

    def _build(self, in_shape, dtype):
        c, r = in_shape[0], self.units
        self.add_parameter("w1", (c, r), dtype, "he_normal")
        self.add_parameter("b1", (r,), dtype, 0.0)
        self.add_parameter("w2", (r, c), dtype, "glorot_normal")
        self.add_parameter("b2", (c,), dtype, 0.0)

    def multiply_adds(self, in_shape):
        return 2 * in_shape[0] * self.units

    def _forward(self, x, training):
        self.check_shape(x)
        x = channels_last(x)
        n, h, w, c = x.shape
        y, rows = empty(x.shape, x.dtype), (n, h * w, c)
        s, z, g = (np.empty((n, k), x.dtype) for k in (c, self.units, c))
        p = {name: parameter.storage for name, parameter in self.learned.items()}
        kernel.forward(
            x.reshape(rows), p["w1"], p["b1"], p["w2"], p["b2"], s, z, g, y.reshape(rows)
        )
        return channels_first(y), (x, s, z, g)

    def _backward(self, dy, cache, need_dx):
        (x, s, z, g), dy = cache, channels_last(dy)
        n, h, w, c = x.shape
        rows = (n, h * w, c)
        dx = empty(x.shape, x.dtype) if need_dx else None
        p = {name: parameter.storage for name, parameter in self.learned.items()}
        d = {name: parameter.dstorage for name, parameter in self.learned.items()}
        kernel.backward(
            *(x.reshape(rows), dy.reshape(rows), p["w1"], p["w2"], s, z, g),
            *(d["w1"], d["b1"], d["w2"], d["b2"]),
            *(np.empty_like(g), np.empty_like(z), np.empty_like(s)),
            None if dx is None else dx.reshape(rows),
        )
        return None if dx is None else channels_first(dx)
