"""What the page shows of a network: filters, the outputs of its layers as pictures, dead units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import deepfs as dfs

TILES = 16  # feature maps or filters that are shown of a layer
UNITS = 128  # outputs of a dense layer that are shown
SIDE = 28  # pixels of a digit
WITHOUT_PICTURE = (dfs.layers.Flatten, dfs.layers.Dropout)  # they change nothing that one sees


def tiles(values: np.ndarray) -> dict[str, Any]:
    """Return arrays (n, h, w) as pictures of one scale: bytes, where 128 is 0."""
    largest = float(np.abs(values).max(initial=0.0))
    scaled = values * (127 / largest if largest > 0 else 0.0) + 128
    return {"shape": list(values.shape), "pixels": scaled.astype(np.uint8).ravel()}


def filters(network: dfs.layers.Layer) -> dict[str, Any] | None:
    """Return the weights of the first layer as pictures; None if they are no pictures."""
    for name, parameter in network.parameters().items():
        weight = np.asarray(parameter.value)
        if weight.ndim == 4:
            return {"name": name, **tiles(weight[:TILES].mean(1))}
        if weight.ndim == 2 and weight.shape[0] == SIDE * SIDE:  # units on the pixels
            return {"name": name, **tiles(weight[:, :TILES].T.reshape(-1, SIDE, SIDE))}
        if weight.ndim > 1:
            return None
    return None


def outputs(model: dfs.Model, image: np.ndarray) -> list[dict[str, Any]]:
    """Return what each layer makes of an image (1, c, h, w), as pictures."""
    named = {
        name: layer
        for name, layer in parts(model.network, inner=False)
        if not isinstance(layer, WITHOUT_PICTURE)
    }
    found = []
    for name, output in model.outputs_of(image, list(named)).items() if named else ():
        if not isinstance(output, np.ndarray) or output.ndim not in (2, 4):
            continue
        shape = list(output.shape[1:])
        shown = output[0, :TILES] if output.ndim == 4 else output[0, :UNITS].reshape(-1, 1, 1)
        found.append({"name": name, "of": shape, **tiles(shown)})
    return found


def dead(model: dfs.Model, images: np.ndarray) -> dict[str, list[int]]:
    """Count the units of each ReLU that are above 0 for none of the images: [dead, all] by name.

    A unit is a feature, or a channel of a feature map, as for `deepfs.diagnose`.
    """
    names = [name for name, part in parts(model.network) if isinstance(part, dfs.layers.ReLU)]
    found = {}
    for name, output in model.outputs_of(images, names).items() if names else ():
        axes = (0, *range(2, output.ndim))
        alive = (output > 0).any(axis=axes)
        found[name] = [int(alive.size - alive.sum()), int(alive.size)]
    return found


def parts(
    layer: dfs.layers.Layer, before: str = "", inner: bool = True
) -> Iterator[tuple[str, dfs.layers.Layer]]:
    """Yield the parts of a network by name, and those of its parts."""
    if isinstance(layer, dfs.layers.Container):
        for name, part in layer.named_parts().items():
            yield before + name, part
            if inner:
                yield from parts(part, f"{before}{name}.")
