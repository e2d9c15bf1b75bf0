"""Batch normalization. Kernels: ``src/cnn_core/batch_norm.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from cnn_core import batch_norm

from .._arrays import Array, Shape, channels_first, channels_last, empty, ignore_overflow
from .._check import flag, number, one_of
from ._base import Layer
from ._fusion import PLAIN, Epilogue
from ._joint_moments import gradient, moments


@dataclass(eq=False)
class BatchNorm(Layer):
    r"""Batch normalization: normalize each channel by the mean and variance of the batch.

    .. math::
        y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    In training, :math:`\mu` and :math:`\sigma^2` are the mean and the biased variance of the batch;
    in inference, they are running statistics, which each forward pass in training updates:
    running = momentum * running + (1 - momentum) * batch.

    Parameters
    ----------
    momentum : float
        Share of the old value in the new running statistics, in [0, 1]. This is Keras's convention;
        PyTorch's momentum is 1 minus this.
    eps : float
        Term :math:`\epsilon` under the root, above 0.
    affine : bool
        Learn gamma and beta; otherwise they are 1 and 0.
    running_variance : {"unbiased", "biased"}
        Divide the variance that enters the running statistics by m - 1 (as PyTorch) or by m (as
        Keras and ONNX), where m is the number of values per channel.
    statistics : {"moving", "cumulative", "fixed"}
        "moving" is the formula above. "cumulative" is the plain average over all training batches.
        "fixed" uses the running statistics in training too and does not change them, as for
        fine-tuning; a frozen batch norm (`freeze`, or a `deepfs.optimizers.Group`) does the same.

    Raises
    ------
    ValueError
        If a setting is out of range, or, on call, if the number of channels is not that of the
        first input, or a training batch has one value per channel.

    Notes
    -----
    Shapes: ``(n, c)``, ``(n, c, l)`` or ``(n, c, h, w)``, unchanged; statistics over all axes
    but c. Parameters ``gamma``, ``beta`` (c,); buffers ``running_mean``, ``running_var`` (c,), and
    ``batches``, the number of training batches. NumPy reference: `deepfs.reference.batch_norm`.

    References
    ----------
    Ioffe and Szegedy, "Batch normalization", 2015, arXiv:1502.03167.

    Examples
    --------
    >>> from deepfs.layers import BatchNorm
    >>> y, cache = BatchNorm().forward(np.array([[1.0], [3.0]]), training=True)
    >>> y.round(3)
    array([[-1.],
           [ 1.]])
    """

    momentum: float = 0.9
    eps: float = 1e-5
    affine: bool = True
    running_variance: str = "unbiased"
    statistics: str = "moving"

    input_rank = (2, 3, 4)
    fuses_forward, fuses_backward = frozenset({"residual", "relu"}), frozenset({"drelu"})
    across: ClassVar[Any] = None  # in a step whose shards have joint statistics: their exchange

    changeable = frozenset({"momentum", "eps", "running_variance", "statistics"})

    def __post_init__(self) -> None:
        self.momentum = number(self.momentum, "momentum", "[0, 1]")
        self.eps = number(self.eps, "eps", "(0, inf)")
        self.affine = flag(self.affine, "affine")
        one_of(self.running_variance, "running_variance", ("unbiased", "biased"))
        one_of(self.statistics, "statistics", ("moving", "cumulative", "fixed"))

    def _out_shape(self, in_shape: Shape) -> Shape:
        takes = self.in_shape[0] if self.in_shape else in_shape[0]
        if in_shape[0] != takes or takes < 1:
            kind = "features" if len(in_shape) == 1 else "channels"
            raise ValueError(f"{self.label} takes {max(takes, 1)} {kind}, got shape {in_shape}")
        return in_shape

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        c = in_shape[0]
        if self.affine:
            self.add_parameter("gamma", (c,), dtype, 1.0)
            self.add_parameter("beta", (c,), dtype)
        self.add_buffer("running_mean", (c,), dtype)
        self.add_buffer("running_var", (c,), dtype, 1)
        self.add_buffer("batches", (1,), np.int64)

    @property
    def fixed(self) -> bool:
        """Whether training uses the running statistics and leaves them unchanged."""
        return self.statistics == "fixed" or self._frozen or self.held

    def check_training(self, shape: Shape) -> None:
        if prod(shape) == shape[1] and not self.fixed:
            raise ValueError(
                f"{self.label} needs more than 1 value per channel in training, got shape {shape}"
            )

    def _forward(self, x: Array, training: bool, end: Epilogue = PLAIN) -> tuple[Array, Any]:
        self.check_shape(x)
        training = training and not self.fixed
        if training and x.size == x.shape[1] and self.across is None:
            self.check_training(x.shape)
        x = channels_last(x)
        rows = x.reshape(-1, x.shape[-1])
        mean, inv_std = self._batch_statistics(rows) if training else self._running_statistics()
        gamma, beta = self._affine(x.dtype)
        y = empty(x.shape, x.dtype)
        batch_norm.batch_norm_forward(
            rows, mean, inv_std, gamma, beta, y.reshape(rows.shape), end.relu,
            None if end.residual is None else channels_last(end.residual).reshape(rows.shape),
        )  # fmt: skip
        return channels_first(y), (x, mean, inv_std, training)

    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, end: Epilogue = PLAIN
    ) -> Array | None:
        x, mean, inv_std, training = cache
        learns = self._learns()
        if not (need_dx or learns):
            return None
        rows, drows = x.reshape(-1, x.shape[-1]), channels_last(dy).reshape(-1, x.shape[-1])
        dx = empty(x.shape, x.dtype) if need_dx else None
        dgamma: Array | None = None
        dbeta: Array | None = None
        if learns:
            dgamma, dbeta = (self.learned[k].dstorage for k in ("gamma", "beta"))
        elif training:
            dgamma, dbeta = np.zeros_like(mean), np.zeros_like(mean)
        gamma, out = self._affine(x.dtype)[0], None if dx is None else dx.reshape(rows.shape)
        across = self.across if training else None
        if across is not None and dgamma is not None and dbeta is not None:
            gradient(
                rows, drows, mean, inv_std, gamma, out, dgamma, dbeta, end.drelu, across
            )  # fmt: skip
        else:
            batch_norm.batch_norm_backward(
                rows, drows, mean, inv_std, gamma, out, dgamma, dbeta, training, end.drelu
            )
        return None if dx is None else channels_first(dx)

    def _affine(self, dtype: np.dtype[Any]) -> tuple[Array, Array]:
        """Return gamma and beta."""
        if self.affine:
            return self.learned["gamma"].storage, self.learned["beta"].storage
        c = len(self.buffered["running_mean"])
        return np.ones(c, dtype), np.zeros(c, dtype)

    def _running_statistics(self) -> tuple[Array, Array]:
        """Return the running mean, and 1 / the standard deviation."""
        var = self.buffered["running_var"]
        with ignore_overflow():
            inv_std = 1 / np.sqrt(var + var.dtype.type(self.eps))
        if not inv_std.all():
            raise ValueError(
                f"{self.label} cannot use its running variance: that of channel "
                f"{int(inv_std.argmin())} is beyond {var.dtype}; scale the inputs down"
            )
        return self.buffered["running_mean"].copy(), inv_std

    def _batch_statistics(self, rows: Array) -> tuple[Array, Array]:
        """Return mean and 1 / standard deviation of the batch; update the running statistics."""
        m, c = rows.shape
        mean, inv_std = np.zeros(c, rows.dtype), np.ones(c, rows.dtype)
        if m == 0:  # an empty batch has no statistics
            return mean, inv_std
        buffers = self.buffered
        batches = buffers["batches"]
        batches += 1
        keep = self.momentum if self.statistics == "moving" else 1 - 1 / int(batches[0])
        if self.across is not None:
            return self._joint_statistics(rows, keep)
        batch_norm.batch_moments(
            rows, mean, inv_std, buffers["running_mean"], buffers["running_var"], keep,
            self.running_variance == "unbiased", self.eps,
        )  # fmt: skip
        return mean, inv_std

    def _joint_statistics(self, rows: Array, keep: float) -> tuple[Array, Array]:
        """Do the same for the batch of which ``rows`` are one shard."""
        m, mean, var = moments(rows, self.across)
        running = var * m / (m - 1) if m > 1 and self.running_variance == "unbiased" else var
        for name, found in {"running_mean": mean, "running_var": running}.items():
            buffer = self.buffered[name]
            buffer[...] = keep * buffer.astype(np.float64) + (1 - keep) * found
        return mean.astype(rows.dtype), (1 / np.sqrt(var + self.eps)).astype(rows.dtype)
