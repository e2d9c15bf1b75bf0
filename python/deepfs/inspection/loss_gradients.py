"""Gradients of the loss with respect to outputs and weights of layers, of one batch."""

from __future__ import annotations

import copy

from .._arrays import Array
from ..data.batches import Batch
from ..trainer import Trainer
from .attribution import Traced
from .inner import parts_of


def loss_gradients(
    trainer: Trainer, batch: Batch, names: list[str], of: str = "weights"
) -> dict[str, list[Array]]:
    """Return the gradients of the loss in layers, in training mode.

    A copy runs, so neither the model, its buffers and gradients, nor random numbers change.

    Parameters
    ----------
    trainer : Trainer
        Network and loss.
    batch : Batch
        One batch.
    names : list of str
        Names of layers.
    of : {"weights", "outputs"}
        The gradients with respect to the parameters of a layer, or to its output.

    Returns
    -------
    dict of list of array
        By name, an entry per parameter, or per call of the layer.
    """
    copied = copy.deepcopy(trainer)
    traced = Traced(copied.network, names)
    network = traced.network
    for parameter in network.parameters().values():
        parameter.dstorage[...] = 0
    outputs, cache = network.forward(batch.x, training=True)
    loss_cache = copied.loss.forward(outputs, batch.y, batch.weight)[1]
    network.backward(copied.loss.backward(loss_cache), cache, need_dx=True)
    if of == "outputs":
        return traced.gradients
    parts = parts_of(network)
    return {
        name: [parameter.grad.copy() for parameter in parts[name].parameters().values()]
        for name in names
    }
