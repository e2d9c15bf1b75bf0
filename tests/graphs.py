"""Graphs of the literature, in small, for the tests."""

import numpy as np
import pytest

from deepfs import layers as L
from deepfs._trees import map_tree


def through(layers, x):
    for layer in layers:
        x = layer(x)
    return x


def unet(depth=2, filters=3):
    x = L.Input((2, 8, 8), name="image")
    skips, h = [], x
    for level in range(depth):
        h = through([L.Conv2D(filters << level, 3, padding=1), L.BatchNorm(), L.Tanh()], h)
        skips.append(h)
        h = L.AvgPool2D(2)(h)
    h = L.Tanh()(L.Conv2D(filters << depth, 3, padding=1)(h))
    for level in reversed(range(depth)):
        h = L.Concat()([L.Upsample2D(2)(h), skips[level]])
        h = L.Tanh()(L.Conv2D(filters << level, 3, padding=1)(h))
    return L.Graph(x, L.Conv2D(2, 1)(h))


def siamese():
    tower = L.Sequential([L.Conv2D(3, 3), L.Tanh(), L.Flatten(), L.Dense(4)], name="tower")
    a, b = L.Input((1, 5, 5), name="a"), L.Input((1, 5, 5), name="b")
    d = tower(a) - tower(b)
    return L.Graph((a, b), d * d)


def two_heads():
    image, age = L.Input((1, 5, 5)), L.Input((2,))
    h = L.Flatten()(L.Sigmoid()(L.Conv2D(3, 3)(image)))
    h = L.Tanh()(L.Dense(6)(L.Concat()([h, age])))
    return L.Graph(
        {"image": image, "age": age}, {"digit": L.Dense(3, name="digit")(h), "size": L.Dense(1)(h)}
    )


NETWORKS = {
    "unet": (unet, (2, 2, 8, 8)),
    "siamese": (siamese, ((2, 1, 5, 5), (2, 1, 5, 5))),
    "two heads": (two_heads, {"image": (2, 1, 5, 5), "age": (2, 2)}),
}
every_network = pytest.mark.parametrize(("make", "shapes"), NETWORKS.values(), ids=NETWORKS)


def inputs_of(shapes, rng, dtype=np.float64):
    if isinstance(shapes[0] if isinstance(shapes, tuple) else shapes, int):
        return rng.standard_normal(shapes).astype(dtype)
    return map_tree(lambda shape: rng.standard_normal(shape).astype(dtype), shapes)
