"""PCA, PCA whitening and ZCA whitening: along the principal axes of the training data."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import ClassVar

import numpy as np

from cnn_core import gemm

from .._arrays import Array, Shape
from .._check import number, shown, whole
from ._base import Passes, Preprocess
from ._statistics import covariance

MAX_FEATURES = 2**14  # their covariance takes 2 GB


@dataclass(eq=False)
class PCA(Preprocess):
    """Principal component analysis: the coordinates of samples along the axes of most variance.

    A sample becomes a vector of ``components`` numbers that are not correlated: ``(x - mean) U``,
    where the columns of U are eigenvectors of the covariance, of the largest eigenvalues.

    Parameters
    ----------
    components : int, float or None
        Number of axes; or, in (0, 1), the least share of the variance that they must have; None:
        all, as many as there are features or samples.

    Attributes
    ----------
    mean : array or None
        Of the shape of a sample.
    axes : array (features, components) or None
        U. In each column the entry of the largest magnitude is positive.
    variance : array (components,) or None
        Eigenvalues of the covariance, which divides by n (CS231n; scikit-learn divides by n - 1).
    total : array () or None
        Variance of all features together.

    Raises
    ------
    TypeError, ValueError
        If ``components`` is out of range; in `fit`, if there are fewer samples or features.

    References
    ----------
    CS231n, "Data preprocessing": PCA and whitening. scikit-learn: ``PCA``.

    Examples
    --------
    >>> from deepfs.preprocessing import PCA
    >>> x = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    >>> PCA(1).fit(x)(x).round(3)
    array([[-1.414],
           [ 0.   ],
           [ 1.414]])
    """

    components: int | float | None = None
    mean: Array | None = field(default=None, init=False, repr=False)
    axes: Array | None = field(default=None, init=False, repr=False)
    variance: Array | None = field(default=None, init=False, repr=False)
    total: Array | None = field(default=None, init=False, repr=False)

    learned: ClassVar[tuple[str, ...]] = ("mean", "axes", "variance", "total")

    def __post_init__(self) -> None:
        if isinstance(self.components, float):
            self.components = number(self.components, "components", "(0, 1)")
        elif self.components is not None:
            self.components = whole(self.components, "components")

    @property
    def variance_ratio(self) -> Array:
        """The share of each axis in the variance, ``(components,)``."""
        self._check_fitted()
        assert self.variance is not None
        assert self.total is not None
        return np.asarray(self.variance / (self.total if self.total > 0 else 1))

    def out_shape(self, in_shape: Shape) -> Shape:
        """Return ``(components,)``."""
        self._check_fitted()
        assert self.variance is not None
        return (len(self.variance),)

    def _fit(self, passes: Passes) -> dict[str, Array]:
        who = type(self).__name__
        features = next((prod(x.shape[1:]) for x in passes()), 0)
        if features > MAX_FEATURES:
            raise ValueError(
                f"{who} takes at most {MAX_FEATURES} features, got {features}, whose covariance "
                f"would take {8e-9 * features**2:.0f} GB: Standardize(per='channel') takes any"
            )
        mean, matrix, samples = covariance(passes)
        if samples < 2:
            raise ValueError(f"{who} needs at least 2 samples, got {samples}")
        variance, axes = np.linalg.eigh(matrix)
        variance, axes = np.maximum(variance[::-1], 0), axes[:, ::-1]
        rows = np.abs(axes).argmax(axis=0)  # signs are arbitrary: fix them
        axes = axes * np.where(axes[rows, np.arange(len(rows))] < 0, -1, 1)
        total = np.asarray(variance.sum())
        kept = self._number_of_axes(variance, samples)
        return {
            "mean": mean,
            "axes": np.ascontiguousarray(axes[:, :kept]),
            "variance": np.ascontiguousarray(variance[:kept]),
            "total": total,
        }

    def _number_of_axes(self, variance: Array, samples: int) -> int:
        most = min(len(variance), samples)
        if self.components is None:
            return most
        if isinstance(self.components, float):
            shares = np.cumsum(variance) / max(variance.sum(), np.finfo(np.float64).tiny)
            return min(int(np.searchsorted(shares, self.components)) + 1, most)
        if self.components > most:
            raise ValueError(
                f"{type(self).__name__} of {shown(self.components)} components needs as many "
                f"samples and features, got {samples} samples of {len(variance)}"
            )
        return self.components

    def _check_arrays(self) -> None:
        mean, axes, variance, total = self.mean, self.axes, self.variance, self.total
        assert mean is not None
        assert axes is not None
        assert variance is not None
        assert total is not None
        shapes = variance.ndim == 1 and total.shape == ()
        if not shapes or axes.shape != (mean.size, len(variance)) or (variance < 0).any():
            raise ValueError(
                f"axes of {mean.size} features and variances of at least 0 must be as many, got "
                f"{axes.shape} and {variance.shape}"
            )

    def _check_shape(self, shape: Shape) -> None:
        assert self.mean is not None
        if shape != self.mean.shape:
            raise ValueError(
                f"{type(self).__name__} was fitted to samples of shape {self.mean.shape}, "
                f"got {shape}"
            )

    def _apply(self, x: Array) -> Array:
        assert self.mean is not None
        assert self.axes is not None
        return product((x - self.mean).reshape(len(x), -1), self.axes)


@dataclass(eq=False)
class PCAWhitening(PCA):
    """PCA whose coordinates are divided by their standard deviation.

    ``(x - mean) U / sqrt(variance + eps)``: all directions have variance 1, except those with
    less variance than about ``eps``, which are mostly noise.

    Parameters
    ----------
    components : int, float or None
        See `PCA`.
    eps : float
        Added to the variances, above 0.

    Raises
    ------
    TypeError, ValueError
        As `PCA`, and if ``eps`` is not above 0.

    References
    ----------
    CS231n, "Data preprocessing": PCA and whitening, with 1e-5.

    Examples
    --------
    >>> from deepfs.preprocessing import PCAWhitening
    >>> x = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 4.0], [10.0, 4.0]])
    >>> PCAWhitening().fit(x)(x).round(3)
    array([[-1., -1.],
           [ 1., -1.],
           [-1.,  1.],
           [ 1.,  1.]])
    """

    eps: float = field(default=1e-5, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.eps = number(self.eps, "eps", "(0, inf)")

    def _apply(self, x: Array) -> Array:
        assert self.variance is not None
        y = super()._apply(x)
        y /= np.sqrt(self.variance + self.eps)
        return y


@dataclass(eq=False)
class ZCAWhitening(PCAWhitening):
    """PCA whitening turned back into the space of the samples: whitened images are images still.

    ``(x - mean) U / sqrt(variance + eps) U^T``. The shape of a sample stays. With ``components``,
    only these axes are kept.

    Parameters
    ----------
    components : int, float or None
        See `PCA`.
    eps : float
        Added to the variances, above 0. 0.1 or 0.01 is usual for images of values near 1.

    Raises
    ------
    TypeError, ValueError
        As `PCAWhitening`.

    References
    ----------
    Krizhevsky, "Learning multiple layers of features from tiny images", 2009, appendix A.
    CS231n, "Data preprocessing".

    Examples
    --------
    >>> from deepfs.preprocessing import ZCAWhitening
    >>> x = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 4.0], [10.0, 4.0]])
    >>> ZCAWhitening().fit(x)(x[1:2]).round(3)
    array([[ 1., -1.]])
    """

    def out_shape(self, in_shape: Shape) -> Shape:
        """Return the shape of a sample."""
        return tuple(in_shape)

    def _apply(self, x: Array) -> Array:
        assert self.axes is not None
        return product(super()._apply(x), np.ascontiguousarray(self.axes.T)).reshape(x.shape)


def product(a: Array, b: Array) -> Array:
    """Return a b by the kernel, whose bits do not depend on the number of threads."""
    c = np.empty((a.shape[0], b.shape[1]))
    gemm.gemm(np.ascontiguousarray(a), b, c)
    return c
