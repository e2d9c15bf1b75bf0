"""Weights of a layer as images, and the channels of its output."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arrays import Array
from .._check import array, whole
from .._names import hint
from ..inspection.attribution import built
from ..inspection.inner import parts_of
from ._answers import checked_model
from ._figure import bare, grid, need_matplotlib


def filters(
    model: Any,
    layer: str | None = None,
    *,
    channel: int = 0,
    count: int = 64,
    columns: int | None = None,
    ax: Any = None,
) -> Any:
    """Show the weights of a layer as images, as a rule those of the first convolution.

    Parameters
    ----------
    model : Model
        The model.
    layer : str, optional
        Name of a convolution, or of a dense layer that gets an image. By default the first layer
        with weights.
    channel : int
        Input channel that is shown, if the layer does not have 3. Three are shown as colours.
    count : int
        Largest number of filters: the first ones are shown.
    columns : int, optional
        Filters side by side.
    ax : Axes or array of Axes, optional
        Where to draw: one Axes is divided. By default, in a new figure.

    Returns
    -------
    array (filters,) of Axes

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    KeyError
        If the network has no such layer.
    RuntimeError
        If the network has no weights yet.
    TypeError, ValueError
        If the weights of the layer are no images, or there is no such channel.

    Notes
    -----
    All filters have one scale: black is the most negative weight, grey is 0, white the most
    positive.

    Examples
    --------
    >>> import deepfs as dfs
    >>> net = dfs.networks.simple_convnet()
    >>> model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    >>> _ = model.predict(np.zeros((1, 1, 28, 28)))
    >>> axes = dfs.plots.filters(model)
    >>> axes[0].images[0].get_array().shape
    (5, 5)
    """
    need_matplotlib("plots.filters")
    count, channel = whole(count, "count"), whole(channel, "channel", 0)
    network = built(checked_model(model, "filters").network)
    name, weight = weights_of(network, layer)
    if channel >= weight.shape[1]:
        raise ValueError(f"channel must be below {weight.shape[1]} in {name!r}, got {channel}")
    shown = weight[:count]
    largest = float(np.abs(shown).max()) or 1.0
    axes = grid(ax, "filters", len(shown), columns, (0.8, 0.8))
    for panel, one in zip(axes, shown, strict=True):
        if len(one) == 3:
            panel.imshow((one.transpose(1, 2, 0) / largest + 1) / 2)
        else:
            panel.imshow(one[channel], "gray", vmin=-largest, vmax=largest)
        bare(panel)
    return axes


def weights_of(network: Any, name: str | None) -> tuple[str, Array]:
    """Return the name of a layer and its weights, (filters, channels, h, w)."""
    parts = parts_of(network) or {"": network}
    if name is None:
        leaves = [n for n, p in parts.items() if not hasattr(p, "named_parts") and p.learned]
        if not leaves:
            raise ValueError("the network has no layer with weights")
        name = leaves[0]
    if name not in parts:
        has = hint(str(name), parts) or f": it has {', '.join(parts)}"
        raise KeyError(f"the network has no layer {name!r}{has}")
    part = parts[name]
    parameter = part.parameters().get("weight")
    if parameter is None:
        raise ValueError(f"the layer {name!r} has no weights that are images")
    weight = np.asarray(parameter.value)
    if weight.ndim == 2:  # of a dense layer, (in, units)
        shape = image_shape(network, len(weight))
        if shape is not None:
            return name, weight.T.reshape(-1, *shape)
    if weight.ndim == 3 and type(part).__name__ != "Conv1D":
        weight = weight[:, None]
    if weight.ndim != 4:
        raise ValueError(f"the layer {name!r} has weights {weight.shape}, which are no images")
    return name, weight


def image_shape(network: Any, size: int) -> tuple[int, int, int] | None:
    """Return the shape of an image that the network gets, if it has this size."""
    shape = network.in_shape
    if isinstance(shape, tuple) and len(shape) == 3 and int(np.prod(shape)) == size:
        return shape
    return None


def feature_maps(
    model: Any,
    x: Any,
    layer: str,
    *,
    count: int = 16,
    columns: int | None = None,
    ax: Any = None,
) -> Any:
    """Show the channels of a layer's output for an image.

    Parameters
    ----------
    model : Model
        The model.
    x : array (c, h, w) or (1, c, h, w)
        One image.
    layer : str
        Name of a layer whose output is an image, as in the summary.
    count : int
        Largest number of channels: the first ones are shown.
    columns : int, optional
        Channels side by side.
    ax : Axes or array of Axes, optional
        Where to draw: one Axes is divided. By default, in a new figure.

    Returns
    -------
    array (channels,) of Axes

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    KeyError
        If the network has no such layer.
    TypeError, ValueError
        If it is not one image, or the layer's output is no image.

    Notes
    -----
    All channels have one scale of colours, from the smallest to the largest number.

    Examples
    --------
    >>> import deepfs as dfs
    >>> net = dfs.networks.simple_convnet()
    >>> model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    >>> axes = dfs.plots.feature_maps(model, np.ones((1, 28, 28)), "relu_1", count=9)
    >>> axes[0].images[0].get_array().shape
    (24, 24)
    """
    need_matplotlib("plots.feature_maps")
    count = whole(count, "count")
    x = array(x, "feature_maps")
    x = x[None] if x.ndim == 3 else x
    if x.ndim != 4 or len(x) != 1:
        raise ValueError(f"plots.feature_maps takes one image (1, c, h, w), got {x.shape}")
    if not isinstance(layer, str):
        raise TypeError(f"plots.feature_maps takes the name of a layer, got {layer!r}")
    maps = checked_model(model, "feature_maps").outputs_of(x, layer)
    if not isinstance(maps, np.ndarray) or maps.ndim != 4:
        raise ValueError(
            f"plots.feature_maps needs a layer whose output is (n, c, h, w), got {layer!r} with "
            f"{getattr(maps, 'shape', 'several outputs')}"
        )
    shown = maps[0, :count]
    low, high = float(shown.min()), float(shown.max())
    axes = grid(ax, "feature_maps", len(shown), columns, (1.1, 1.25))
    for k, (panel, one) in enumerate(zip(axes, shown, strict=True)):
        panel.imshow(one, "viridis", vmin=low, vmax=high if high > low else low + 1)
        panel.set_title(str(k), fontsize=8, pad=2)
        bare(panel)
    return axes
