"""NumPy reference of `deepfs.augment`, of one image ``(c, h, w)``; a batch for `mix`."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair
from .random import philox


def flip(x: Array, rows: bool, columns: bool) -> Array:
    """Return an image mirrored top to bottom, left to right."""
    return x[:, :: -1 if rows else 1, :: -1 if columns else 1]


def shift(x: Array, rows: int, columns: int, fill: Array | None = None) -> Array:
    """Return pixel i + rows, j + columns as i, j; without a fill per channel, edges reflect."""
    h, w = x.shape[1:]
    high, wide = abs(rows), abs(columns)
    sides = (high, high), (wide, wide)
    if fill is None:
        padded = np.pad(x, ((0, 0), *sides), mode="reflect")
    else:
        each = zip(x, fill, strict=True)
        padded = np.stack([np.pad(channel, sides, constant_values=v) for channel, v in each])
    return padded[:, high + rows : high + rows + h, wide + columns : wide + columns + w]


def shrink(x: Array, size: Pair) -> Array:
    """Return images (n, c, h, w) of a smaller size; triangular weights as wide as two pixels."""
    weights = []
    for extent, out in zip(x.shape[2:], size, strict=True):
        scale = extent / out
        centres = (np.arange(out) + 0.5) * scale - 0.5
        each = np.maximum(0, 1 - abs(centres[:, None] - np.arange(extent)) / scale)
        weights.append(each / each.sum(axis=1, keepdims=True))
    return weights[0] @ x @ weights[1].T


def views(x: Array, mirror: bool, pixels: int) -> list[tuple[float, Array]]:
    """Return weight and image of each view of an image, for the mean of their outputs."""
    moved = [(1.0, x)]
    if pixels:
        moved = [(0.5, x), (0.25, shift(x, pixels, pixels)), (0.25, shift(x, -pixels, -pixels))]
    if not mirror:
        return moved
    return [(weight / 2, flip(y, False, each)) for weight, y in moved for each in (False, True)]


def affine(x: Array, matrix: Array, fill: Array) -> Array:
    """Return pixel ``matrix @ (i, j, 1)`` as i, j: bilinear, with ``fill`` around the image."""
    c, h, w = x.shape
    around = np.empty((c, h + 2, w + 2), x.dtype)
    around[:] = np.asarray(fill)[:, None, None]
    around[:, 1:-1, 1:-1] = x
    y = np.empty_like(x)
    for i, j in np.ndindex(h, w):
        row, column = matrix @ (i, j, 1) + 1  # in the image with a frame
        if not (0 < row < h + 1 and 0 < column < w + 1):
            y[:, i, j] = fill
            continue
        r, s = int(row), int(column)
        down, right = np.array([1 - row + r, row - r]), np.array([1 - column + s, column - s])
        y[:, i, j] = down @ around[:, r : r + 2, s : s + 2] @ right
    return y


def affine_matrix(shape: Pair, degrees: float, right: float, down: float, scale: float) -> Array:
    """Return the matrix of `affine` that rotates clockwise and scales about the centre, then moves.

    It is the inverse of the way that a pixel goes, as a product of matrices of rows and columns.
    """
    middle, centre = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), np.sin(a), 0], [-np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn[:2] *= scale
    to = np.array([[1, 0, middle + down], [0, 1, centre + right], [0, 0, 1]])
    back = np.array([[1, 0, -middle], [0, 1, -centre], [0, 0, 1]])
    inverse: Array = np.linalg.inv(to @ turn @ back)
    return inverse[:2]


def jitter(x: Array, brightness: float, contrast: float, low: float, high: float) -> Array:
    """Return an image with other brightness, then other contrast, each step limited."""
    x = np.clip(brightness * x, low, high)
    grey = np.array([0.2989, 0.587, 0.114]) if len(x) == 3 else np.full(len(x), 1 / len(x))
    mean = grey @ x.mean(axis=(1, 2))
    return np.clip(mean + contrast * (x - mean), low, high)


def cutout(x: Array, box: tuple[int, int, int, int], fill: Array) -> Array:
    """Return an image with a box of top, bottom, left, right filled, as far as it has the box."""
    top, bottom, left, right = (max(0, edge) for edge in box)
    y = x.copy()
    y[:, top:bottom, left:right] = np.asarray(fill)[:, None, None]
    return y


def mix(x: Array, share: Array, boxes: Array) -> Array:
    """Return images mixed with the ones before them, inside their boxes."""
    y = x.copy()
    for i, (top, bottom, left, right) in enumerate(boxes):
        own, other = (image[:, top:bottom, left:right] for image in (x[i], x[i - 1]))
        y[i, :, top:bottom, left:right] = share[i] * own + (1 - share[i]) * other
    return y


def draws(number: int, count: int, seed: int, epoch: int, position: int) -> Array:
    """Return uniform numbers of a sample for the transform at a position, ``(count,)``."""
    calls = 2**31 + 16 * position + np.arange(-(-count // 2), dtype=np.uint64)
    same = np.ones_like(calls)
    counter = np.stack([same * (number % 2**32), same * (number >> 32), same * epoch, calls], 1)
    words = philox(counter, (seed % 2**32, seed >> 32)).astype(np.uint64).reshape(-1, 2)
    return ((words[:, 0] << 32 | words[:, 1]) >> 11)[:count] * 2.0**-53
