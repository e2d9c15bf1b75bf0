"""A layer after it was saved and loaded: made again from its settings, with the same arrays."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..layers import Layer
from ..saving.settings import SettingsReader, all_kinds, own_classes, to_config


def loaded_again(layer: Layer, in_shape: Any) -> Layer:
    """Return what `deepfs.load` makes of a layer that `Model.save` has written.

    Raises
    ------
    AssertionError
        If the file would not have all of the layer.
    TypeError
        If a setting or a class of the layer cannot be saved.
    """
    own = own_classes(layer)
    for kind, cls in own.items():
        assert kind not in all_kinds(), (
            f"a file has the name of {cls.__qualname__} alone, and deepfs has {kind} already: "
            "give the class another name"
        )
    config = json.loads(json.dumps(to_config(layer)))
    made: Layer = SettingsReader(all_kinds() | own).make(config)
    again = json.loads(json.dumps(to_config(made)))
    assert again == config, f"the settings are {again} then, and were {config}"
    vars(made)["dtype"] = None
    made.build(in_shape, np.float64 if layer.built_dtype is None else layer.built_dtype)
    for what, mine, theirs in (
        ("parameters", layer.parameters(), made.parameters()),
        ("buffers", layer.buffers(), made.buffers()),
    ):
        assert mine.keys() == theirs.keys(), (
            f"the {what} are {sorted(theirs)} then, and were {sorted(mine)}"
        )
    for name, parameter in made.parameters().items():
        parameter.value = layer.parameters()[name].value
    for name, buffer in made.buffers().items():
        buffer[...] = layer.buffers()[name]
    return made
