"""ZeroCenter and Standardize: means and standard deviations of the training data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from .._arrays import Array, Shape
from .._check import one_of
from ._base import Affine, Passes, Preprocess
from ._statistics import PER, mean_of, moments, spread


@dataclass(eq=False)
class ZeroCenter(Preprocess):
    """Subtract the mean of the training data.

    Parameters
    ----------
    per : {"feature", "channel", "all"}
        What has a mean of its own: each entry of a sample (the mean image), each channel (axis 1),
        or all entries together.

    Attributes
    ----------
    mean : array or None
        In float64, of the shape of a sample, ``(c,)`` or ``()``; None before `fit`.

    Raises
    ------
    ValueError
        If ``per`` is none of these.

    References
    ----------
    CS231n, "Data preprocessing": mean subtraction.

    Examples
    --------
    >>> from deepfs.preprocessing import ZeroCenter
    >>> x = np.array([[1.0, 10.0], [3.0, 20.0]])
    >>> ZeroCenter().fit(x)(x)
    array([[-1., -5.],
           [ 1.,  5.]])
    """

    per: str = "feature"
    mean: Array | None = field(default=None, init=False, repr=False)

    learned: ClassVar[tuple[str, ...]] = ("mean",)

    def __post_init__(self) -> None:
        self.per = one_of(self.per, "per", PER)

    def _fit(self, passes: Passes) -> dict[str, Array]:
        return {"mean": mean_of(passes, self.per)[0]}

    def affine(self, sample_shape: Shape) -> Affine:
        """Return scale and shift, per entry with ``per="feature"``, else per channel."""
        mean = self._for(sample_shape, self.mean)
        return np.ones_like(mean), -mean

    def _for(self, sample_shape: Shape, value: Array | None) -> Array:
        """Return a statistic per entry, or per channel."""
        self._check_fitted()
        self._check_shape(tuple(sample_shape))
        assert value is not None
        return value if self.per == "feature" else np.broadcast_to(value, sample_shape[:1]).copy()

    def _check_shape(self, shape: Shape) -> None:
        assert self.mean is not None
        mine = self.mean.shape
        if self.per == "feature" and shape != mine:
            raise ValueError(
                f"{type(self).__name__} was fitted to samples of shape {mine}, got {shape}"
            )
        if self.per == "channel" and shape[:1] != mine:
            raise ValueError(
                f"{type(self).__name__} was fitted to samples of {mine[0] if mine else 1} "
                f"channels, got shape {shape}"
            )

    def _check_arrays(self) -> None:
        assert self.mean is not None
        if self.mean.ndim != {"channel": 1, "all": 0}.get(self.per, self.mean.ndim):
            raise ValueError(f"mean per {self.per} must not have the shape {self.mean.shape}")

    def _apply(self, x: Array) -> Array:
        assert self.mean is not None
        return x - spread(self.mean, self.per, x.ndim)


@dataclass(eq=False)
class Standardize(ZeroCenter):
    """Subtract the mean of the training data and divide by its standard deviation.

    Parameters
    ----------
    per : {"feature", "channel", "all"}
        See `ZeroCenter`: "channel" for images, "feature" for columns of a table.

    Attributes
    ----------
    mean, std : array or None
        In float64, of the shape of a sample, ``(c,)`` or ``()``; None before `fit`. The deviation
        divides by n, as in scikit-learn.

    Raises
    ------
    ValueError
        If ``per`` is none of these.

    Notes
    -----
    What is constant in the training data is divided by 1, so it becomes 0; `constant` tells where.

    References
    ----------
    scikit-learn: ``StandardScaler``. Keras: ``Normalization``.

    Examples
    --------
    >>> from deepfs.preprocessing import Standardize
    >>> scaler = Standardize().fit(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> scaler(np.array([[5.0, 6.0]])), scaler.constant
    (array([[3., 1.]]), array([False,  True]))
    """

    std: Array | None = field(default=None, init=False, repr=False)

    learned: ClassVar[tuple[str, ...]] = ("mean", "std")

    @property
    def constant(self) -> Array:
        """Where the training data is constant: an array of bool of the shape of ``std``."""
        self._check_fitted()
        assert self.std is not None
        return np.asarray(self.std == 0)

    def _fit(self, passes: Passes) -> dict[str, Array]:
        found = moments(passes, self.per)
        return {"mean": found.mean, "std": found.std}

    def affine(self, sample_shape: Shape) -> Affine:
        """Return scale and shift, per entry with ``per="feature"``, else per channel."""
        scale = 1 / self._divisor(self._for(sample_shape, self.std))
        return scale, -self._for(sample_shape, self.mean) * scale

    def _check_arrays(self) -> None:
        super()._check_arrays()
        assert self.mean is not None
        assert self.std is not None
        if self.std.shape != self.mean.shape or (self.std < 0).any():
            raise ValueError(
                f"std must be at least 0, of the shape {self.mean.shape}, got {self.std.shape}"
            )

    @staticmethod
    def _divisor(std: Array) -> Array:
        return np.where(std == 0, 1, std)

    def _apply(self, x: Array) -> Array:
        assert self.std is not None
        y = super()._apply(x)
        y /= spread(self._divisor(self.std), self.per, x.ndim)
        return y
