"""Whitening filters: the first layer of a network, computed from patches of training images."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cnn_core import gemm

from .._check import array as array_of
from .._check import number, pair
from ..random import Random
from ._base import Array, Initializer

IMAGES = 64  # at a time: their patches are copied


class FixedFilters:
    """An initializer that returns filters which were computed before."""

    def __init__(self, filters: Array) -> None:
        self.filters = filters

    def __repr__(self) -> str:
        return f"<filters {self.filters.shape}>"

    def __call__(self, shape: tuple[int, ...], rng: Random) -> Array:
        if tuple(shape) != self.filters.shape:
            filters, channels, kh, kw = self.filters.shape
            raise ValueError(
                f"patch_whitening gives filters of shape {self.filters.shape}, got a weight "
                f"{tuple(shape)}: write Conv2D({filters}, ({kh}, {kw})) for {channels} channels"
            )
        return self.filters.copy()


def patch_whitening(
    x: ArrayLike, kernel_size: int | tuple[int, int] = 2, eps: float = 5e-4
) -> Initializer:
    r"""Return an initializer whose filters whiten the patches of training images.

    The second moments of all patches :math:`p` (windows of the images as columns of numbers) have
    eigenvectors :math:`e_k` and eigenvalues :math:`\lambda_k`, the largest first. Each gives two
    filters of opposite sign, so that a ReLU after them loses nothing:

    .. math:: \overline{p p^T} = \sum_k \lambda_k e_k e_k^T, \quad
        w_k = \frac{e_k}{\sqrt{\lambda_k + \epsilon}}, \quad w_{k + c_i k_h k_w} = -w_k

    Parameters
    ----------
    x : array (n, c, h, w)
        Training images as the network gets them, preprocessed; a few thousand are enough.
    kernel_size : int or pair of int
        Height and width of a patch, in pixels.
    eps : float
        Term :math:`\epsilon` of the eigenvalues, above 0: it limits how far weak directions, which
        are mostly noise, are amplified.

    Returns
    -------
    function
        An initializer for a `Conv2D` of 2 c kh kw filters of that size. It holds the filters, not
        the images. A file keeps the weights alone.

    Raises
    ------
    TypeError, ValueError
        If ``x`` are no finite images at least as large as a patch, or a setting is of the wrong
        kind or out of range; when the layer is built, if it has another number of filters.

    Notes
    -----
    Shapes: (2 c kh kw, c, kh, kw). Over the patches, the mean of :math:`(w_k \cdot p)^2` is
    :math:`\lambda_k / (\lambda_k + \epsilon)`, and products of two of the first half of outputs
    have mean 0. For images whose channels have mean 0, these are variances and covariances. Signs:
    the largest entry of each :math:`e_k` is positive. Usually the layer is frozen, but for its
    bias: ``groups=[Group("whiten.weight", frozen=True)]``, see ``docs/maths/initializers.md``.
    NumPy reference: `deepfs.reference.patch_whitening`.

    References
    ----------
    Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, arXiv:2404.00498;
    the layer is from Page, "How to train your ResNet 8: Bag of tricks", 2019.

    Examples
    --------
    >>> from deepfs import layers as L
    >>> x = np.random.default_rng(0).random((50, 3, 8, 8)) - 0.5
    >>> whiten = L.Conv2D(24, 2, initializer=patch_whitening(x), name="whiten")
    >>> y = whiten(x)[:, :12]  # the other half is its negative
    >>> moments = np.einsum("nchw,ndhw->cd", y, y) / y[:, 0].size
    >>> bool(abs(moments - np.eye(12)).max() < 0.01)
    True
    """
    kh, kw = pair(kernel_size, "kernel_size")
    eps = number(eps, "eps", "(0, inf)")
    x = array_of(x, "patch_whitening")
    if x.ndim != 4 or 0 in x.shape or x.shape[2] < kh or x.shape[3] < kw:
        raise ValueError(
            f"patch_whitening needs images (n, c, h, w) of at least {kh} x {kw} pixels, got "
            f"{x.shape}"
        )
    size = x.shape[1] * kh * kw
    sums = np.zeros((size, size))
    for first in range(0, len(x), IMAGES):  # by our own kernel: no thread changes the bits
        windows = np.lib.stride_tricks.sliding_window_view(
            x[first : first + IMAGES], (kh, kw), axis=(2, 3)
        )
        patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, size).astype(np.float64)
        gemm.gemm(patches, patches, sums, trans_a=True, accumulate=True)
    if not np.isfinite(sums).all():
        raise ValueError("patch_whitening needs finite images, got NaN or infinity")
    patches_seen = len(x) * (x.shape[2] - kh + 1) * (x.shape[3] - kw + 1)
    values, vectors = np.linalg.eigh((sums + sums.T) / (2 * patches_seen))
    values, rows = np.maximum(values[::-1], 0), vectors.T[::-1]
    largest = rows[np.arange(size), np.abs(rows).argmax(axis=1)]
    rows = rows * (np.sign(largest) / np.sqrt(values + eps))[:, None]
    return FixedFilters(np.concatenate([rows, -rows]).reshape(2 * size, x.shape[1], kh, kw))
