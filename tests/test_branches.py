"""Branches: against the NumPy reference, shared weights, files, and what it refuses."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import reference


@pytest.mark.parametrize("merge", ["concat", "add"])
def test_matches_the_reference(merge, rng):
    x = rng.standard_normal((3, 4, 5))
    layer = L.Branches([L.Sigmoid(), L.Tanh(), L.ReLU()], merge)
    y, cache = layer.forward(x)
    dy = rng.standard_normal(y.shape)
    parts = [reference.sigmoid, reference.tanh, reference.relu]
    assert_allclose(y, reference.branches(x, parts, merge), rtol=1e-14)
    ways = [partial(getattr(reference, f"{part.__name__}_backward"), x) for part in parts]
    wanted = reference.branches_backward(dy, ways, [4, 4, 4], merge)
    assert_allclose(layer.backward(dy, cache), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [(3, 4, 7, 6), (3, 4, 7), (3, 4)])
def test_concat_joins_channels(shape, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    layer = L.Branches([L.Sigmoid(), L.Tanh(), L.ReLU()])
    y, cache = layer.forward(x)
    wanted = [reference.sigmoid(x), reference.tanh(x), reference.relu(x)]
    assert y.dtype == dtype
    assert_allclose(y, np.concatenate(wanted, axis=1), rtol=1e-5)
    assert_array_equal(layer(x), y)
    dy = rng.standard_normal(y.shape).astype(dtype)
    a, b, c = np.split(dy, 3, axis=1)
    s, t, r = wanted
    wanted = a * s * (1 - s) + b * (1 - t * t) + c * (r > 0)
    assert_allclose(layer.backward(dy, cache), wanted, rtol=1e-5, atol=1e-5)
    assert layer.backward(dy, cache, need_dx=False) is None


def test_concat_is_channels_last(rng):
    y = L.Branches([L.Conv2D(3, 1), L.MaxPool2D(1)])(rng.standard_normal((2, 4, 5, 6)))
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous


def test_adding_branches_is_a_residual(rng, dtype):
    """The same bits, whichever layer adds on the way."""
    body = L.Sequential([L.Conv2D(4, 3, padding=1), L.BatchNorm()])
    x, dy = rng.standard_normal((2, 3, 4, 8, 8)).astype(dtype)
    way = L.Conv2D(4, 1)
    results = []
    for layer in (L.Branches([way, body], merge="add"), L.Residual(body, way)):
        layer.build(x.shape[1:], dtype)
        for parameter in layer.parameters().values():
            parameter.grad = np.zeros(parameter.value.shape)
        y, cache = layer.forward(x, training=True)
        dx = layer.backward(dy, cache)
        parts = [body.layers[0], way]
        results.append([y, dx, *(p.parameters()["weight"].grad.copy() for p in parts)])
    for ours, theirs in zip(*results, strict=True):
        assert ours.any()
        assert_array_equal(ours, theirs)


def test_names_of_branches():
    net = L.Branches([L.Dense(2), L.Dense(3, bias=False), L.Dense(1, bias=False, name="out")])
    net(np.zeros((1, 4)))
    assert list(net.parameters()) == [
        "dense_1.weight", "dense_1.bias", "dense_2.weight", "out.weight",
    ]  # fmt: skip


def test_a_layer_in_two_branches_has_one_gradient(rng):
    shared = L.Dense(3, bias=False)
    x, dy = rng.standard_normal((4, 3)), rng.standard_normal((4, 6))
    net = L.Branches([shared, L.Sequential([L.Tanh(), shared])])
    y, cache = net.forward(x)
    dx = net.backward(dy, cache)
    w, t = shared.parameters()["weight"], np.tanh(x)
    assert_allclose(w.grad, x.T @ dy[:, :3] + t.T @ dy[:, 3:], rtol=1e-10, atol=1e-12)
    wanted = dy[:, :3] @ w.value.T + (dy[:, 3:] @ w.value.T) * (1 - t * t)
    assert_allclose(dx, wanted, rtol=1e-10, atol=1e-12)


def test_branches_are_summarised_and_saved(tmp_path, capsys, rng):
    net = L.Sequential([L.Branches([L.Conv2D(3, 1), L.MaxPool2D(1)], "concat"), L.Dense(2)])
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    x = rng.standard_normal((4, 2, 5, 5)).astype(np.float32)
    model.train_on_batch(x, np.arange(4) % 2)
    model.summary()
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows[1:5]] == [
        "branches_1", "branches_1.conv2d_1", "branches_1.maxpool2d_1", "dense_1",
    ]  # fmt: skip
    model.save(tmp_path / "m.safetensors")
    assert_array_equal(dfs.load(tmp_path / "m.safetensors").predict(x), model.predict(x))


@pytest.mark.parametrize(
    ("parts", "merge", "message"),
    [
        ([L.Conv2D(3, 1), L.Conv2D(3, 2)], "concat", "join shapes equal but for the channels, got"),
        ([L.Conv2D(3, 1), L.Flatten()], "concat", r"for the channels, got \(3, 5, 5\), \(50,\)"),
        ([L.Conv2D(3, 1), L.Conv2D(4, 1)], "add", r"must add equal shapes, got \(3, 5, 5\), "),
    ],
)  # fmt: skip
def test_branches_refuse_unequal_shapes(parts, merge, message):
    with pytest.raises(ValueError, match=message):
        L.Branches(parts, merge)(np.zeros((1, 2, 5, 5)))


def test_branches_check_every_input():
    """The parts are built: what they take is still asked."""
    net = L.Branches([L.Conv2D(3, 1), L.AvgPool2D(1)])
    net(np.zeros((1, 2, 5, 5)))
    for again in (net, net.forward):
        with pytest.raises(ValueError, match='Conv2D "conv2d_1" takes 2 channels, got an image'):
            again(np.zeros((1, 3, 5, 5)))


def test_branches_of_single_numbers_can_be_added():
    net = L.Branches([L.ReLU(), L.ReLU()], merge="add")
    y, cache = net.forward(np.array([3.0, -1.0]))
    assert_array_equal(y, [6, 0])
    assert_array_equal(net.backward(np.ones(2), cache), [2, 0])
    with pytest.raises(ValueError, match="must join shapes"):
        L.Branches([L.ReLU(), L.ReLU()])(np.ones(2))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.Branches([]), ValueError, "Branches needs at least one layer, got none"),
        (lambda: L.Branches(L.ReLU()), TypeError, "Branches takes a list of layers"),
        (lambda: L.Branches([L.ReLU]), TypeError, "Branches takes layers, got <class"),
        (
            lambda: L.Branches([L.ReLU()], "sum"),
            ValueError,
            "merge must be one of 'concat', 'add', got 'sum'",
        ),
    ],
)
def test_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()
