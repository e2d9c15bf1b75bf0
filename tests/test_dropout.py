"""Layers that are random in training: against the twins, their statistics, and what they refuse."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import reference
from deepfs.layers import DropConnect, Dropout, GaussianNoise, SpatialDropout


def first_draw(layer):
    """Return seed, stream and call of the first random numbers of a layer."""
    return *map(int, layer.buffers()["key"]), 0


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout_matches_its_twin(p, dtype, threads):
    layer = Dropout(p)
    x = np.arange(1, 9001, dtype=dtype).reshape(60, 150)  # more than two blocks
    y, cache = layer.forward(x, training=True)
    seed, stream = map(int, layer.buffers()["key"])
    wanted = reference.dropout(x.reshape(-1), p, seed, stream, 0)
    assert np.allclose(y.reshape(-1), wanted, rtol=1e-6)
    assert (y == 0).mean() == pytest.approx(p, abs=0.03)
    again, _ = layer.forward(x, training=True)
    assert p in (0.0, 1.0) or (again != y).any()
    assert_array_equal(layer(x), x)


def test_dropout_of_the_textbook():
    layer, x = Dropout(0.25, scaling="test"), np.ones((100, 100))
    y, _ = layer.forward(x, training=True)
    assert set(np.unique(y)) == {0.0, 1.0}
    assert_array_equal(layer(x), 0.75 * x)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(20, 30, 4, 3), (20, 33, 5)])
def test_spatial_dropout_matches_its_twin(p, shape, dtype, threads, rng):
    layer, (x, dy) = SpatialDropout(p), rng.standard_normal((2, *shape)).astype(dtype)
    y, cache = layer.forward(x, training=True)
    draw = first_draw(layer)
    assert_allclose(y, reference.spatial_dropout(x, p, *draw), rtol=1e-6)
    assert_allclose(layer.backward(dy, cache), reference.spatial_dropout(dy, p, *draw), rtol=1e-6)
    kept = (y != 0).reshape(*shape[:2], -1)
    assert_array_equal(kept.any(axis=2), kept.all(axis=2))  # whole channels
    assert kept.mean() == pytest.approx(1 - p, abs=0.05)
    assert_array_equal(layer(x), x)


def test_spatial_dropout_gives_each_sample_its_own_channels():
    y, _ = SpatialDropout(0.5).forward(np.ones((50, 40, 1, 1)), training=True)
    assert len(np.unique(y.reshape(50, 40), axis=0)) == 50


def test_spatial_dropout_keeps_the_memory_order(rng):
    x = np.ascontiguousarray(rng.standard_normal((2, 4, 5, 3))).transpose(0, 3, 1, 2)
    y, cache = SpatialDropout(0.5).forward(x, training=True)
    assert y.strides == x.strides


def test_a_dropped_channel_is_zero_whatever_it_was():
    x = np.full((2, 30, 2, 2), np.nan)
    x[1] = np.inf
    y, _ = SpatialDropout(0.5).forward(x, training=True)
    assert (y == 0).any(axis=(1, 2, 3)).all()
    assert np.isnan(y[0]).any()
    assert (y[1] == np.inf).any()
    assert_array_equal(SpatialDropout(1).forward(x, training=True)[0], np.zeros(x.shape))


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_drop_connect_matches_its_twin(p, dtype, threads, rng):
    layer = DropConnect(7, p)
    x, dy = rng.standard_normal((9, 4, 5)).astype(dtype), rng.standard_normal((9, 7)).astype(dtype)
    layer.build(x.shape[1:], dtype)
    weight, bias = layer.parameters().values()
    bias.value = rng.standard_normal(7)
    draw, before = first_draw(layer), weight.value.copy()
    close = {"rtol": 0, "atol": 1e-5 if dtype == np.float32 else 1e-13}
    y, cache = layer.forward(x, training=True)
    assert_allclose(y, reference.drop_connect(x, before, bias.value, p, *draw), **close)
    got = layer.backward(dy, cache), weight.grad, bias.grad
    wanted = reference.drop_connect_backward(x, before, dy, p, *draw)
    for a, b in zip(got, wanted, strict=True):
        assert_allclose(a, b, **close)
    assert_array_equal(weight.value, before)
    assert_allclose(layer(x), reference.dense(x, before, bias.value), **close)


def test_drop_connect_is_dense_on_average(rng):
    layer, x = DropConnect(3, 0.4), rng.standard_normal((5, 40))
    wanted = layer(x)
    draws = [layer.forward(x, training=True)[0] for _ in range(4000)]
    assert np.std(draws, axis=0).min() > 0.3
    assert_allclose(np.mean(draws, axis=0), wanted, atol=0.15)


@pytest.mark.parametrize("shape", [(7,), (60, 51), (2, 3, 5, 7)])
def test_gaussian_noise_matches_its_twin(shape, dtype, threads, rng):
    layer, x = GaussianNoise(0.5), rng.standard_normal(shape).astype(dtype)
    y, cache = layer.forward(x, training=True)
    memory = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x
    wanted = reference.gaussian_noise(memory.reshape(-1), 0.5, *first_draw(layer))
    got = y.transpose(0, 2, 3, 1) if x.ndim == 4 else y
    assert_allclose(got.reshape(-1), wanted, rtol=0, atol=1e-6)
    assert_array_equal(layer.backward(x, cache), x)
    assert_array_equal(layer(x), x)


def test_gaussian_noise_is_normal():
    y, _ = GaussianNoise(2.0).forward(np.zeros((1000, 1000), np.float32), training=True)
    y = y.astype(float)
    assert y.mean() == pytest.approx(0, abs=0.01)
    assert y.std() == pytest.approx(2, rel=0.005)
    assert (y**4).mean() == pytest.approx(3 * 2**4, rel=0.02)  # the kurtosis of a normal number
    assert (np.abs(y) < 2).mean() == pytest.approx(0.6827, abs=0.002)


def test_no_noise_changes_nothing(rng):
    x = rng.standard_normal((3, 4))
    y, _ = GaussianNoise(0).forward(x, training=True)
    assert_array_equal(y, x)


def test_huge_noise_is_infinite_in_single_precision():
    y, _ = GaussianNoise(1e300).forward(np.zeros((3, 4), np.float32), training=True)
    assert np.isinf(y).all()


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
    twin = copy.deepcopy(layer)
    assert int(twin.buffers()["calls"][0]) == 1
    wanted = layer.forward(x, training=True)[0]
    layer(x)  # inference draws nothing
    assert_array_equal(twin.forward(x, training=True)[0], wanted)
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


@pytest.mark.parametrize("kind", [Dropout, SpatialDropout, lambda p: DropConnect(2, p)])
def test_refuses_a_p_that_is_no_probability(kind):
    for p in (-0.1, 1.1, float("nan"), 2**63):
        with pytest.raises(ValueError, match=r"p must be in \[0, 1\], got"):
            kind(p)
    for p in ("0.5", None, True, [0.5]):
        with pytest.raises(TypeError, match=r"p must be a number in \[0, 1\], got"):
            kind(p)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: GaussianNoise(-1), ValueError, r"std must be in \[0, inf\), got -1"),
        (lambda: GaussianNoise(float("inf")), ValueError, r"std must be in \[0, inf\), got inf"),
        (lambda: GaussianNoise(None), TypeError, r"std must be a number in \[0, inf\), got None"),
        (lambda: DropConnect(0, 0.5), ValueError, "units must be at least 1, got 0"),
        (lambda: DropConnect(2.0, 0.5), TypeError, "units must be an int, got 2.0"),
        (lambda: DropConnect(2, 0.5, bias=1), TypeError, "bias must be True or False, got 1"),
        (lambda: DropConnect(2, 0.5, initializer="x"), ValueError, "initializer must be one of"),
        (lambda: SpatialDropout(0.5)(np.zeros((2, 3))), ValueError, "takes 3 or 4 dimensional inp"),
        (lambda: DropConnect(2, 0.5)(np.zeros(3)), ValueError, r"takes inputs of 1 numbers, got"),
    ],
)
def test_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_drop_connect_refuses_other_lengths():
    layer = DropConnect(2, 0.5, name="d")
    layer(np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r'DropConnect "d" takes inputs of 3 numbers, got shape'):
        layer(np.zeros((1, 4)))


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
