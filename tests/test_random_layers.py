"""What all layers that are random in training have in common: keys, calls, a resume."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.layers import DropConnect, Dropout, GaussianNoise, SpatialDropout

MAKE = {
    "dropout": lambda: Dropout(0.5),
    "spatial": lambda: SpatialDropout(0.5),
    "connect": lambda: DropConnect(5, 0.5),
    "noise": lambda: GaussianNoise(1.0),
}


every_random_layer = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)


@every_random_layer
def test_a_seed_repeats_every_call_and_each_call_is_new(make, rng):
    x, runs = rng.standard_normal((4, 6, 5)), []
    for seed in (3, 3, 4):
        dfs.set_seed(seed)
        layer = make()
        runs.append([layer.forward(x, training=True)[0] for _ in range(3)])
    assert_array_equal(runs[0], runs[1])
    assert (runs[2][0] != runs[0][0]).any()
    assert (runs[0][0] != runs[0][1]).any()
    assert (runs[0][1] != runs[0][2]).any()


@every_random_layer
def test_buffers_resume_it(make, rng):
    layer, x = make(), rng.standard_normal((4, 6, 5))
    layer.forward(x, training=True)
    copied = copy.deepcopy(layer)
    assert int(copied.buffers()["calls"][0]) == 1
    wanted = layer.forward(x, training=True)[0]
    layer(x)  # inference draws nothing
    assert_array_equal(copied.forward(x, training=True)[0], wanted)
    assert int(layer.buffers()["calls"][0]) == 2


@every_random_layer
def test_two_layers_draw_different_numbers(make, rng):
    x = np.ones((4, 6, 5))
    a, b = make(), make()
    assert (a.forward(x, training=True)[0] != b.forward(x, training=True)[0]).any()


@every_random_layer
def test_calls_go_on_after_the_last_counter(make, rng):
    """The counter has 32 bits: call 2**32 draws what call 0 drew."""
    layer, x = make(), rng.standard_normal((4, 6, 5))
    first = layer.forward(x, training=True)[0]
    layer.buffers()["calls"][0] = 2**32
    assert_array_equal(layer.forward(x, training=True)[0], first)


def test_it_trains_and_evaluates_in_a_network(data):
    """Through `Sequential`, whose ReLU may be left to the layers beside it."""
    x, y = data
    net = L.Sequential(
        [L.GaussianNoise(0.05), L.Conv2D(8, 3), L.GroupNorm(2), L.ReLU(), L.SpatialDropout(0.1),
         L.DropConnect(16, 0.2), L.LayerNorm(), L.ReLU(), L.Dense(3)]
    )  # fmt: skip
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(0.01))
    model.fit(x, y, epochs=15, batch_size=30, verbose=0)
    assert model.evaluate(x, y)["accuracy"] > 0.9


@pytest.mark.parametrize("layer", [L.Dropout, L.SpatialDropout, lambda p: L.DropConnect(4, p),
                                   L.GaussianNoise])  # fmt: skip
def test_a_key_of_its_own(layer):
    """Whatever the seed of the process and the layers built before."""

    def drawn(seed, key):
        dfs.set_seed(seed)
        made = layer(0.5)
        made.build((4, 3, 3))
        for parameter in made.parameters().values():
            parameter.value = np.ones(parameter.value.shape)
        made.buffers()["key"][:] = key
        return made.forward(np.ones((2, 4, 3, 3), np.float32), training=True)[0]

    assert (drawn(1, (5, 7)) == drawn(2, (5, 7))).all()
    assert not (drawn(1, (5, 7)) == drawn(1, (5, 8))).all()
