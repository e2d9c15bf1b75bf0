"""Shrink: a smaller network that returns the same, without filters and units that do nothing."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

from .._check import number, shown, whole
from .._fields import is_built_in
from ..layers import Layer
from ..model import Model
from ._cut import Cut
from ._needed import Needed
from ._trace import Trace
from .report import ShrinkReport, report_of

T = TypeVar("T", Model, Layer)


def shrink(
    model: T,
    tolerance: float = 0.0,
    *,
    samples: int = 32,
    elementwise: Sequence[type[Layer]] = (),
) -> tuple[T, ShrinkReport]:
    """Remove filters and units that do nothing; return a smaller model with the same outputs.

    A filter or unit goes if its weights are zero, or those of the batch norm after it, or if
    nothing reads what it returns. The layers before and after it are cut with it: through batch
    norms, activations, pooling, `Flatten`, sums of `Residual`, concatenations and `Graph`. What a
    filter of zeros still returns, a constant, is added to the bias of the next layer.

    Parameters
    ----------
    model : Model or Layer
        A model or a network that has seen data. It is not changed.
    tolerance : float
        Weights of at most this absolute value are taken for 0, at least 0. Above 0, outputs are
        only nearly the same.
    samples : int
        Measure the time of inference on so many random samples, before and after; 0 does not.
    elementwise : sequence of type
        Layers of your own that compute each output from the entry of the input at the same place,
        as activations do. Other layers of your own keep all their channels.

    Returns
    -------
    Model or Layer
        The smaller one; names of parameters stay. In inference, outputs are equal to 1e-5 of the
        largest. A model has the same loss, metrics and preprocessing, and training goes on: its
        counts of steps and epochs are those of the old one, and the state of the optimizer is cut
        as the weights are.
    ShrinkReport
        Parameters, MACs and time of each layer before and after, and which constant filters stay,
        and why. Print it.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range.
    RuntimeError
        If the network has not seen data.

    Notes
    -----
    Zero filters stay where they are added to channels that are not zero; where the next convolution
    pads their constant with zeros; in layers with ``groups``; before layers that take all channels
    together (`LayerNorm`, `GroupNorm`, `Softmax`, `Maxout`, `Reshape`, layers of one's own); and
    one filter of each layer. `deepfs.regularizers.GroupLasso` and `prune` make filters of zeros.

    Training goes on, but not with the bits of the old model: dropout draws for fewer units.

    Examples
    --------
    >>> import numpy as np
    >>> from deepfs import layers as L
    >>> net = L.Sequential([L.Conv2D(8, 3), L.ReLU(), L.Flatten(), L.Dense(2)])
    >>> x = np.ones((1, 1, 6, 6))
    >>> y = net(x)
    >>> net["conv2d_1"].parameters()["weight"].value[2:] = 0
    >>> small, report = shrink(net, samples=0)
    >>> small["conv2d_1"].filters, bool(np.allclose(small(x), net(x)))
    (2, True)
    >>> report["dense_1"].parameters
    (258, 66)
    """
    tolerance, samples = number(tolerance, "tolerance", "[0, inf)"), whole(samples, "samples", 0)
    own = checked_kinds(elementwise)
    if not isinstance(model, (Model, Layer)):
        raise TypeError(f"shrink takes a Model or a network, got {shown(model)}")
    network = model.network if isinstance(model, Model) else model
    if network.built_dtype is None:
        raise RuntimeError(
            "shrink needs a network that has seen data, got one without weights: call fit, or "
            "network.build(in_shape)"
        )
    needed = Needed(Trace(network, tolerance, own))
    cut = Cut(needed)
    report = report_of(network, cut.network, needed, samples)
    made: Any = with_network(model, cut) if isinstance(model, Model) else cut.network
    return made, report


def with_network(model: Model, cut: Cut) -> Model:
    """Return a copy of a model with the smaller network, and its training state cut."""
    trainer = model.trainer
    old = trainer.prepare()
    new = cut.arena(old)
    memo = {
        id(trainer.network): cut.network,
        id(old): new,
        id(trainer.state): cut.state(trainer.state, old, new),
        id(trainer._buffers): [],  # `prepare` finds those of the new network
        id(trainer._held): [],
    }
    made = copy.deepcopy(model, memo)
    vars(made.trainer)["_ends"] = None  # of the old network
    return made


def checked_kinds(elementwise: Sequence[type[Layer]]) -> tuple[type[Layer], ...]:
    """Return classes of layers as a tuple; raise TypeError for anything else."""
    several = isinstance(elementwise, (list, tuple, set))
    given: tuple[Any, ...] = tuple(elementwise) if several else (elementwise,)
    for kind in given:
        if not isinstance(kind, type) or not issubclass(kind, Layer) or is_built_in(kind):
            raise TypeError(f"elementwise takes classes of layers of your own, got {shown(kind)}")
    return given
