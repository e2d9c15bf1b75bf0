"""Helpers with the names of the book's ``common/util.py``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _im2col
from ..._arrays import Array
from .._settings import Settings

__all__ = ["col2im", "conv_output_size", "im2col", "np", "shuffle_dataset", "smooth_curve"]

WINDOW = 11  # points of the Kaiser window that smooths a curve


def smooth_curve(x: Any) -> Array:
    """Return a curve smoothed by a Kaiser window of 11 points, with as many points as ``x``."""
    x = np.asarray(x, np.float64)
    if not x.size:
        return x
    reach = WINDOW - 1
    left = np.pad(x, (reach, 0), "reflect")[:reach]  # mirrored: without and with the end point
    right = np.pad(x, (0, reach), "symmetric")[len(x) :]
    window = np.kaiser(WINDOW, 2)
    y = np.convolve(window / window.sum(), np.r_[left, x, right], mode="valid")
    return y[5 : len(y) - 5]


def shuffle_dataset(x: Array, t: Array) -> tuple[Array, Array]:
    """Return samples and targets in one random order, by ``np.random``."""
    order = np.random.permutation(x.shape[0])
    return x[order], t[order]


def conv_output_size(input_size: int, filter_size: int, stride: int = 1, pad: int = 0) -> float:
    """Return (input_size + 2 pad - filter_size) / stride + 1, a float as in the book."""
    return (input_size + 2 * pad - filter_size) / stride + 1


def im2col(input_data: Array, filter_h: int, filter_w: int, stride: int = 1, pad: int = 0) -> Array:
    """Return the pixels under each window as rows (n oh ow, c filter_h filter_w)."""
    x = np.asarray(input_data, Settings.dtype)
    return _im2col.im2col(x, (filter_h, filter_w), stride, pad)


def col2im(
    col: Array,
    input_shape: tuple[int, int, int, int],
    filter_h: int,
    filter_w: int,
    stride: int = 1,
    pad: int = 0,
) -> Array:
    """Add each entry of ``col`` to the pixel that `im2col` copied it from; return the images."""
    col = np.asarray(col, Settings.dtype)
    return _im2col.col2im(col, input_shape, (filter_h, filter_w), stride, pad)
