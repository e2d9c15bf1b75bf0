"""Histograms of what layers return, and of gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arrays import Array
from .._check import one_of
from .._names import hint
from ..data.batches import Batch
from ..inspection.inner import parts_of
from ..inspection.loss_gradients import loss_gradients
from ._answers import checked_model, first_of, network_inputs
from ._figure import font_for, grid, need_matplotlib, rounded, short

ACTIVATIONS = (
    "ReLU", "LeakyReLU", "PReLU", "ELU", "SELU", "GELU", "SiLU", "HardSwish", "Sigmoid", "Tanh",
    "Softplus", "Clip", "Maxout", "Step",
)  # fmt: skip
BINS = 40
BATCH = 32  # samples of a data set that has no batch size


def activations(
    model: Any,
    x: Any,
    layers: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    ax: Any = None,
) -> Any:
    r"""Plot histograms of the outputs of layers.

    Parameters
    ----------
    model : Model
        The model.
    x : array (n, ...)
        Inputs.
    layers : sequence of str, optional
        Names of layers. By default those of activations, such as ReLU; if there are none, those
        with weights.
    columns : int, optional
        Histograms side by side.
    ax : Axes or array of Axes, optional
        Where to draw: one Axes is divided. By default, in a new figure.

    Returns
    -------
    array (layers,) of Axes

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    KeyError
        If the network has no such layer.
    TypeError, ValueError
        If the inputs do not fit.

    Notes
    -----
    Each title has the mean, the standard deviation and, if there are any, the share of zeros: most
    numbers at 0 or at the ends of a sigmoid mean that little is learned there.

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    2010.

    Examples
    --------
    >>> import deepfs as dfs
    >>> net = dfs.networks.mlp((32, 32))
    >>> model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    >>> axes = dfs.plots.activations(model, np.ones((4, 1, 28, 28)))
    >>> [ax.get_title().split("\n")[0] for ax in axes]
    ['relu_1', 'relu_2']
    """
    need_matplotlib("plots.activations")
    checked_model(model, "activations")
    names = layer_names(model.network, layers, ACTIVATIONS)
    found = model.outputs_of(x, names)
    values = {name: flat(found[name]) for name in names}
    return draw(values, "activations", columns, ax, "output")


def gradients(
    model: Any,
    x: Any,
    y: Any = None,
    layers: Sequence[str] | None = None,
    *,
    of: str = "weights",
    columns: int | None = None,
    ax: Any = None,
) -> Any:
    r"""Plot histograms of the gradients of the loss in each layer.

    Parameters
    ----------
    model : Model
        The model. It does not change.
    x, y : array (n, ...)
        One batch of inputs and targets; or a data set, such as a `data.Loader`, for its first one.
    layers : sequence of str, optional
        Names of layers. By default those with a parameter ``weight``, such as convolutions.
    of : {"weights", "outputs"}
        Gradients with respect to the parameters of a layer, or to its output.
    columns : int, optional
        Histograms side by side.
    ax : Axes or array of Axes, optional
        Where to draw: one Axes is divided. By default, in a new figure.

    Returns
    -------
    array (layers,) of Axes

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    KeyError
        If the network has no such layer.
    TypeError, ValueError
        If the data do not fit the network.

    Notes
    -----
    Gradients that are smaller from layer to layer towards the input vanish, growing ones explode.
    The pass is that of a training step: with dropout, and batch norm of this batch.

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    2010.

    Examples
    --------
    >>> import deepfs as dfs
    >>> net = dfs.networks.mlp((32, 32))
    >>> model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    >>> axes = dfs.plots.gradients(model, np.ones((4, 1, 28, 28)), np.arange(4))
    >>> [ax.get_title().split("\n")[0] for ax in axes]
    ['dense_1', 'dense_2', 'dense_3']
    """
    need_matplotlib("plots.gradients")
    one_of(of, "of", ("weights", "outputs"))
    x, theirs, _ = first_of(x, getattr(x, "batch_size", BATCH))
    y = theirs if y is None else y
    if y is None:
        raise TypeError("plots.gradients needs targets beside the inputs, got y=None")
    checked_model(model, "gradients").predict(x[:1])  # checks the inputs, builds the network
    names = layer_names(model.network, layers, ())
    batch = Batch(network_inputs(model, x), np.asarray(y))
    found = loss_gradients(model.trainer, batch, names, of)
    values = {name: flat(tuple(arrays)) for name, arrays in found.items()}
    return draw(values, "gradients", columns, ax, f"gradient of the {of}")


def layer_names(network: Any, given: Any, kinds: Sequence[str]) -> list[str]:
    """Return the given names of layers, or those of some kinds, or those with weights."""
    parts = parts_of(network)
    if given is not None:
        names = [given] if isinstance(given, str) else list(given)
        for name in names:
            if name not in parts:
                has = hint(str(name), parts) or f": it has {', '.join(parts)}"
                raise KeyError(f"the network has no layer {name!r}{has}")
        if not names:
            raise ValueError("layers must have at least 1 name, got none")
        return names
    leaves = {name: part for name, part in parts.items() if not hasattr(part, "named_parts")}
    found = [name for name, part in leaves.items() if type(part).__name__ in kinds]
    found = found or [name for name, part in leaves.items() if "weight" in part.parameters()]
    found = found or [name for name, part in leaves.items() if part.parameters()]
    if not found:
        raise ValueError("the network has no such layers: give their names as layers=")
    return found


def flat(found: Any) -> Array:
    """Return all numbers of an array, or of several, in one row."""
    arrays = found.values() if isinstance(found, dict) else found
    arrays = [found] if isinstance(found, np.ndarray) else list(arrays)
    rows = [np.asarray(part, np.float64).reshape(-1) for part in arrays]
    return np.concatenate(rows) if rows else np.zeros(0)


def draw(values: dict[str, Array], who: str, columns: int | None, ax: Any, what: str) -> Any:
    """Draw a histogram per layer."""
    columns = columns or min(len(values), 5)
    axes = grid(ax, who, len(values), columns, (2.1, 1.9), True, 4)
    longest = max(16, *(len(short(name, 30)) for name in values))
    font = font_for(ax, len(values), columns, longest, 7)
    wide = font_for(ax, len(values), columns, 32, 7) == 7
    ticks, between = (4, ", ") if wide else (2, "\n")
    for panel, (name, numbers) in zip(axes, values.items(), strict=True):
        good = numbers[np.isfinite(numbers)]
        lines = [short(name, 30)]
        if len(good):
            low, high = float(good.min()), float(good.max())
            if not high - low > 1e-9 * max(abs(low), abs(high)):
                low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
            share = np.full(len(good), 100 / len(good))
            panel.hist(good, bins=BINS, range=(low, high), weights=share, color="C0")
            lines.append(f"mean {rounded(good.mean())}{between}sd {rounded(good.std())}")
            zeros = 100 * float((good == 0).mean())
            if zeros:
                lines[-1] += f"\n{rounded(zeros)} % are 0"
        if len(good) < len(numbers):
            lines.append(f"{len(numbers) - len(good):,} NaN or infinite")
        panel.set_title("\n".join(lines), fontsize=font, pad=3)
        panel.tick_params(labelsize=font)
        panel.locator_params(axis="x", nbins=4 if wide else 1)
        panel.locator_params(axis="y", nbins=ticks)
    axes[0].set_ylabel("% of numbers", fontsize=font)
    axes[-1].set_xlabel(what, fontsize=font)
    return axes
