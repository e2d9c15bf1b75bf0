"""Grids of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arrays import Array
from .._check import array, whole
from ._answers import class_names, first_of, labels_of
from ._figure import bare, font_for, grid, need_matplotlib, short

NAME = 16  # most characters of a name above an image


def images(
    x: Any,
    y: Any = None,
    *,
    names: Sequence[str] | None = None,
    titles: Sequence[Any] | None = None,
    count: int = 25,
    columns: int | None = None,
    ax: Any = None,
) -> Any:
    """Show images side by side.

    Parameters
    ----------
    x : array (n, c, h, w)
        Grey (1 channel) or RGB (3 channels) images: integers from 0 to 255, bools, or floats.
        Floats from 0 to 1 are shown as they are, others with the smallest black and the largest
        white. Or a data set, such as a `data.Loader`, which has labels and names, too.
    y : array (n,) or (n, classes), optional
        Classes to write above the images.
    names : sequence of str, optional
        Names of the classes.
    titles : sequence of str, optional
        Texts to write above the images, instead of classes.
    count : int
        Largest number of images: the first ones are shown.
    columns : int, optional
        Images side by side.
    ax : Axes or array of Axes, optional
        Where to draw: one Axes is divided. By default, in a new figure.

    Returns
    -------
    array (n,) of Axes

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    TypeError, ValueError
        If these are no images, or there are fewer texts than images.

    Examples
    --------
    >>> import deepfs as dfs
    >>> (x, y), _ = dfs.datasets.mnist_mini()
    >>> axes = dfs.plots.images(x[:8], y[:8])
    >>> len(axes), axes[0].get_title() == str(y[0])
    (8, True)
    """
    need_matplotlib("plots.images")
    count = whole(count, "count")
    x, theirs, known_names = first_of(x, count)
    y, names = theirs if y is None else y, known_names if names is None else names
    pictures = as_pictures(x, "images")[:count]
    texts: list[str] | None = None
    if titles is not None:
        texts = [str(title) for title in titles]
    elif y is not None:
        labels = labels_of(None, y, "images")
        known = class_names(None, names, int(labels.max(initial=0)) + 1)
        texts = [short(known[int(k)], NAME) for k in labels.reshape(-1)]
    if texts is not None and len(texts) < len(pictures):
        raise ValueError(f"plots.images needs a text for each image, got {len(texts)}")
    return show(pictures, texts, "images", columns, ax)


def show(
    pictures: Array, titles: Sequence[str] | None, who: str, columns: int | None, ax: Any
) -> Any:
    """Draw pictures (n, h, w, c) of numbers from 0 to 1 in a grid; return its Axes."""
    lines = max((title.count("\n") + 1 for title in titles or ()), default=0)
    columns = None if columns is None else whole(columns, "columns")
    wide = max((len(line) for title in titles or () for line in title.split("\n")), default=0)
    panel = max(1.1, 0.068 * wide + 0.1)
    axes = grid(ax, who, len(pictures), columns, (panel, 1.1 + 0.15 * lines), lines=lines)
    font = font_for(ax, len(pictures), columns, wide, 8)
    for i, (panel_axes, picture) in enumerate(zip(axes, pictures, strict=True)):
        draw(panel_axes, picture)
        if titles is not None:
            panel_axes.set_title(titles[i], fontsize=font, pad=3)
    return axes


def draw(ax: Any, picture: Array) -> None:
    """Draw one picture (h, w, c)."""
    if picture.shape[2] == 1:
        ax.imshow(picture[:, :, 0], cmap="gray", vmin=0, vmax=1)
    else:
        ax.imshow(picture)
    bare(ax)


def as_pictures(x: Any, who: str) -> Array:
    """Return images as an array (n, h, w, c) of numbers from 0 to 1."""
    x = array(x, who)
    if x.ndim == 3:
        one = f"x[None] for one image, x[:, None] for {len(x)} grey ones"
        raise ValueError(f"plots.{who} takes images (n, c, h, w), got {x.shape}: write {one}")
    if x.ndim != 4 or not x.size:
        raise ValueError(f"plots.{who} takes images (n, c, h, w), got {x.shape}")
    if x.shape[1] not in (1, 3):
        last = x.shape[3] in (1, 3, 4)
        way = "x.transpose(0, 3, 1, 2)" if last else "x[:, :1] or x[:, :3]"
        raise ValueError(
            f"plots.{who} takes images of 1 (grey) or 3 (RGB) channels, got {x.shape[1]} in "
            f"{x.shape}: write {way}"
        )
    x = x.transpose(0, 2, 3, 1)
    if x.dtype.kind in "iu" and x.min() >= 0 and x.max() <= 255:
        return x.astype(np.float32) / 255
    if x.dtype.kind not in "biuf":
        raise TypeError(f"plots.{who} takes images of numbers, got {x.dtype}")
    return in_range(x.astype(np.float64 if x.dtype == np.float64 else np.float32))


def in_range(x: Array) -> Array:
    """Return numbers from 0 to 1: as they are, or stretched; NaN becomes 0."""
    good = np.isfinite(x)
    low, high = (float(f(x[good])) if good.any() else 0.0 for f in (np.min, np.max))
    if low < 0 or high > 1:
        span = high / 2 - low / 2  # twice that may be no float
        x = (x / 2 - low / 2) / (span or 1)
    return np.clip(np.nan_to_num(x, posinf=1, neginf=0), 0, 1)
