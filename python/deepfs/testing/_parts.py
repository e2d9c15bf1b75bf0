"""What a layer and its parts hold besides gradients and buffers."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import numpy as np

from .._arrays import Array
from ..layers import Layer
from ..layers._container import Container, parts_in


def parts_of(layer: Layer, name: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield the parts of a layer by name, the innermost first, and at last the layer itself."""
    if isinstance(layer, Container):
        for part_name, part in layer.named_parts().items():
            yield from parts_of(part, f"{name}.{part_name}".lstrip("."))
    yield name, layer


def state_of(layer: Layer) -> dict[str, bytes]:
    """Return all attributes by name in a form to compare, without gradients and buffers."""
    copied = copy.deepcopy(layer)
    for parameter in copied.parameters().values():
        parameter.grad = np.zeros(parameter.value.shape)
    for buffer in copied.buffers().values():
        buffer[...] = 0
    return {
        f"{part.label}.{key}": pickle.dumps(value)
        for _, part in parts_of(copied)
        for key, value in part.__getstate__().items()
        if not parts_in(value)  # they have lines of their own
    }


def check_state(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """Raise AssertionError if an attribute has changed, and name it."""
    changed = [name for name in after if after[name] != before.get(name)]
    assert not changed, (
        f"forward or backward changed {changed[0]}, an attribute: what backward needs belongs into "
        "the cache, which `_forward` returns, and what training changes into a buffer"
    )


def check_memory(layer: Layer, made: dict[str, tuple[Array, Array]]) -> None:
    """Raise AssertionError if an attribute is the memory that a parameter had when it was made.

    Training moves parameters, and then the layer would read numbers that no step changes.
    """
    for _, part in parts_of(layer):
        for key, value in vars(part).items():
            for name, arrays in made.items() if isinstance(value, np.ndarray) else ():
                assert not any(np.may_share_memory(value, array) for array in arrays), (
                    f"{part.label}.{key} is the memory that {name} had when it was made; training "
                    f'moves it: read self.learned["{name}"].storage in each call'
                )
