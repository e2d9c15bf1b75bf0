"""A copy of a model that may take steps: the model, and random numbers to come, stay as they are.

`Model.plan` and `deepfs.diagnose` measure steps on it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import random
from .._arrays import Array, Shape, ignore_overflow
from .._trees import Tree, map_shapes
from ..data.batches import Batch
from ..layers import Graph
from ..losses import CLASS_LOGITS, Combined, Loss
from ..random import Random
from ..trainer import Trainer

STREAM = 2**32 - 2  # random stream that no layer and no fit uses


@contextmanager
def copy_of(trainer: Trainer) -> Iterator[Trainer]:
    """Yield a copy of a trainer; afterwards, the next random numbers are those of before."""
    state = random.get_state()
    try:
        yield copy.deepcopy(trainer)
    finally:
        random.set_state(state)


def shape_for(trainer: Trainer, in_shape: Any, who: str) -> Any:
    """Return the shape of an input without the batch axis, or the tree of these.

    Raises
    ------
    RuntimeError
        If the network is not built, and the shape not given.
    """
    network = trainer.network
    if in_shape is None:
        in_shape = network.in_shape
    if in_shape is None and isinstance(network, Graph):
        in_shape = network._declared
    if in_shape is None:
        raise RuntimeError(f"{who} needs in_shape, such as (1, 28, 28), before the first data")
    return map_shapes(tuple, in_shape)


def random_batch(trainer: Trainer, in_shape: Any, samples: int) -> Batch:
    """Return a batch of normal numbers that a network takes, and targets that its loss takes."""
    numbers = Random(0, STREAM)
    dtype = trainer.network.built_dtype or trainer.network.dtype or np.float32

    def draw(shape: Shape) -> Array:
        return numbers.normal((samples, *shape)).astype(dtype)

    x = map_shapes(draw, in_shape)
    trainer.build(x)
    shapes = trainer.network.out_shape(in_shape)
    return Batch(x, targets_for(trainer.loss, shapes, samples, draw))


def targets_for(loss: Loss, shapes: Any, samples: int, draw: Callable[[Shape], Array]) -> Tree:
    """Return targets for outputs of these shapes."""
    if isinstance(loss, Combined):
        parts = dict(loss.parts())
        named = isinstance(shapes, dict)
        found = {key: targets_for(part, shapes[key], samples, draw) for key, part in parts.items()}
        return found if named else tuple(found.values())
    labels = None
    if isinstance(shapes, tuple) and shapes and not isinstance(shapes[0], (tuple, list)):
        count = samples * int(np.prod(shapes[1:]))
        labels = (np.arange(count) % shapes[0]).reshape(samples, *shapes[1:])
    numbers = map_shapes(draw, shapes)
    of_classes = labels is not None and isinstance(loss.output_kind, type(CLASS_LOGITS))
    candidates = [labels, numbers] if of_classes else [numbers, labels]
    candidates.append(map_shapes(lambda shape: np.zeros((samples, *shape), np.int64), shapes))
    outputs = map_shapes(draw, shapes)
    problem: Exception | None = None
    for candidate in candidates:
        if candidate is None:
            continue
        try:
            with ignore_overflow():
                loss.forward(outputs, candidate)
        except Exception as error:  # a function of the user's raises what it likes
            problem = problem or error
        else:
            return candidate
    raise ValueError(
        f"{type(loss).__name__} takes neither labels nor numbers of the outputs' shape, of which "
        f"random targets could be made: {problem}"
    )
