"""Pictures of what a class depends on: saliency and Grad-CAM."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arrays import Array
from .._check import array, number
from ..inspection import attribution as numbers
from ._answers import checked_model, class_names, class_number, first_of, network_inputs
from ._figure import bare, grid, need_matplotlib, short
from .images import NAME, as_pictures, draw

FIRST = 8  # images of a data set


def grad_cam(
    model: Any,
    image: Any,
    target: Any = None,
    layer: str | None = None,
    *,
    alpha: float = 0.5,
    ax: Any = None,
) -> Any:
    """Show which places of an image speak for a class: Grad-CAM, laid over the image.

    Parameters
    ----------
    model : Model
        The model. It does not change.
    image : array (c, h, w) or (n, c, h, w), or data set
        One image, or several; of a data set, such as a `data.Loader`, the first 8.
    target : int, str or sequence of int, optional
        Number or name of the class. By default the predicted one.
    layer : str, optional
        Name of the layer that is looked at. By default the last one whose output has the height and
        width of the last convolution's.
    alpha : float
        Opacity of the map, from 0 to 1.
    ax : Axes or array of Axes, optional
        Where to draw: one Axes is divided for several images. By default, in a new figure.

    Returns
    -------
    Axes, or array (n,) of Axes

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    KeyError
        If the network has no such layer.
    RuntimeError
        If the network has no weights yet.
    TypeError, ValueError
        If the image does not fit, there is no such class, or the layer's output is no image.

    Notes
    -----
    The map is stretched to the size of the image (bilinear), and each has its largest value in the
    brightest colour. If no place speaks for the class, the title says so.
    `deepfs.inspection.attribution.grad_cam` returns the numbers.

    References
    ----------
    Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based
    localization", 2017, arXiv:1610.02391.

    Examples
    --------
    >>> import deepfs as dfs
    >>> net = dfs.networks.simple_convnet()
    >>> model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    >>> image = dfs.datasets.mnist_mini()[0][0][0]
    >>> _ = model.predict(image[None])
    >>> dfs.plots.grad_cam(model, image, target=3).get_title()
    '3'
    """
    need_matplotlib("plots.grad_cam")
    alpha = number(alpha, "alpha", "[0, 1]")
    x, one = several(image, "grad_cam")
    target = class_number(checked_model(model, "grad_cam"), target)
    maps, classes = numbers.grad_cam(model.network, network_inputs(model, x), target, layer)
    axes = titled(model, classes, grid(ax, "grad_cam", len(x), panel=(1.7, 1.9)))
    for panel, picture, heat in zip(axes, backgrounds(x), maps, strict=True):
        draw(panel, picture)
        h, w = picture.shape[:2]
        if not heat.any():
            panel.set_title(f"{panel.get_title()}: no place speaks for it", fontsize=7, pad=3)
        panel.imshow(
            heat, "inferno", alpha=alpha, vmin=0, vmax=float(heat.max()) or 1.0,
            extent=(-0.5, w - 0.5, h - 0.5, -0.5), interpolation="bilinear",
        )  # fmt: skip
    return axes[0] if one else axes


def saliency(model: Any, image: Any, target: Any = None, *, ax: Any = None) -> Any:
    """Show how strongly the score of a class depends on each pixel.

    Parameters
    ----------
    model : Model
        The model. It does not change.
    image : array (c, h, w) or (n, c, h, w), or data set
        One image, or several; of a data set, such as a `data.Loader`, the first 8.
    target : int, str or sequence of int, optional
        Number or name of the class. By default the predicted one.
    ax : Axes or array of Axes, optional
        Where to draw: one Axes is divided for several images. By default, in a new figure.

    Returns
    -------
    Axes, or array (n,) of Axes

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    RuntimeError
        If the network has no weights yet.
    TypeError, ValueError
        If the image does not fit, or there is no such class.

    Notes
    -----
    The largest magnitude, over the channels, of the gradient of the score with respect to the
    inputs of the network. `deepfs.inspection.attribution.saliency` returns the numbers.

    References
    ----------
    Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks: visualising image
    classification models and saliency maps", 2013, arXiv:1312.6034.

    Examples
    --------
    >>> import deepfs as dfs
    >>> net = dfs.networks.simple_convnet()
    >>> model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    >>> image = dfs.datasets.mnist_mini()[0][0][0]
    >>> _ = model.predict(image[None])
    >>> dfs.plots.saliency(model, image).images[0].get_array().shape
    (28, 28)
    """
    need_matplotlib("plots.saliency")
    x, one = several(image, "saliency")
    target = class_number(checked_model(model, "saliency"), target)
    maps, classes = numbers.saliency(model.network, network_inputs(model, x), target)
    axes = titled(model, classes, grid(ax, "saliency", len(x), panel=(1.7, 1.9)))
    for panel, heat in zip(axes, maps, strict=True):
        panel.imshow(heat, "inferno", vmin=0, vmax=float(heat.max()) or 1.0)
        bare(panel)
    return axes[0] if one else axes


def several(image: Any, who: str) -> tuple[Array, bool]:
    """Return images (n, c, h, w), and whether one was given without the first axis."""
    x = array(first_of(image, FIRST)[0], who)
    one = x.ndim == 3
    x = x[None] if one else x
    if x.ndim != 4 or not x.size:
        raise ValueError(f"plots.{who} takes an image (c, h, w) or several, got {np.shape(image)}")
    return x, one


def backgrounds(x: Array) -> Array:
    """Return the pictures of images; of neither 1 nor 3 channels, the mean of the channels."""
    x = x if x.shape[1] in (1, 3) else x.mean(axis=1, keepdims=True)
    return as_pictures(x, "grad_cam")


def titled(model: Any, classes: Array, axes: Any) -> Any:
    """Write the classes above the Axes."""
    names = class_names(model, None, int(classes.max()) + 1)
    for ax, k in zip(axes, classes, strict=True):
        ax.set_title(short(names[int(k)], NAME + 4), fontsize=9, pad=3)
    return axes
