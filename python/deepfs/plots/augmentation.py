"""A look at augmented images."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from .._arrays import Array
from .._check import array, whole
from ..data.loader import Loader
from ._answers import first_of
from ._figure import need_matplotlib
from .images import as_pictures, show

ROWS = 4  # images of a data set


def augmentation(
    augment: Any,
    x: Any = None,
    *,
    count: int = 6,
    seed: int = 0,
    columns: int | None = None,
    ax: Any = None,
) -> Any:
    """Show what augmentation makes of images.

    Parameters
    ----------
    augment : transform, function, list of these, or Pipeline
        What a `data.Loader` takes as ``augment``, see `deepfs.augment`. Or the `data.Loader`, whose
        own augmentation and first images are shown.
    x : array (n, c, h, w), or data set
        Images: a row for each; of a data set the first 4.
    count : int
        Versions of each image: those of so many epochs.
    seed : int
        Seed of the random numbers.
    columns : int, optional
        Images side by side; by default one and ``count`` more.
    ax : Axes or array of Axes, optional
        Where to draw: one Axes is divided. By default, in a new figure.

    Returns
    -------
    array (n * (1 + count),) of Axes
        For each image, itself and its versions.

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    TypeError, ValueError
        If these are no images, or the augmentation is none.

    Notes
    -----
    MixUp and CutMix mix the images that are given, as if they were one batch.

    Examples
    --------
    >>> import deepfs as dfs
    >>> class Flip:  # what the library's own pipelines have
    ...     def images(self, source, index, numbers, epoch, seed, scale, shift, dtype):
    ...         return source[index][..., :: (-1) ** epoch].astype(dtype)
    >>> (x, y), _ = dfs.datasets.mnist_mini()
    >>> axes = dfs.plots.augmentation(Flip(), x[:2], count=3)
    >>> len(axes)
    8
    """
    need_matplotlib("plots.augmentation")
    count, seed = whole(count, "count"), whole(seed, "seed", 0)
    if isinstance(augment, Loader):
        augment, x = augment.pipeline, augment if x is None else x
    if x is None:
        raise TypeError("plots.augmentation needs images beside the augmentation, or a Loader")
    given = array(first_of(x, ROWS)[0], "augmentation")
    as_pictures(given, "augmentation")  # raises for what is no images
    if given.dtype.kind != "f" or given.dtype.itemsize > 8:
        given = given.astype(np.uint8 if given.dtype.kind in "iub" else np.float32)
    source = np.ascontiguousarray(given, np.float32 if given.dtype == np.float16 else None)
    pipeline = augment
    if not hasattr(augment, "images"):
        pipeline = importlib.import_module("deepfs.augment").pipeline(augment)
    index = np.arange(len(source))
    versions: list[Array] = [source.astype(np.float32)]
    for epoch in range(count):
        made = pipeline.images(source, index, index, epoch, seed, None, None, np.dtype(np.float32))
        if getattr(pipeline, "mixes", False):
            labels = np.zeros(len(source), np.int64)
            made = pipeline.mix(made, labels, None, index, epoch, seed, 2)[0]
        versions.append(np.asarray(made, np.float32))
    stacked: Array = np.stack(versions, axis=1).reshape(-1, *source.shape[1:])
    # one scale of grey for all versions: brightness is to be seen
    if source.dtype == np.uint8 or source.max() > 1 or source.min() < 0:
        low, high = (0.0, 255.0) if source.dtype == np.uint8 else (source.min(), source.max())
        stacked = (stacked - low) / (high - low or 1)
    titles = [
        "original" if version == 0 else f"epoch {version}"
        for _ in source
        for version in range(count + 1)
    ]
    pictures = as_pictures(np.clip(stacked, 0, 1), "augmentation")
    return show(pictures, titles, "augmentation", columns or count + 1, ax)
