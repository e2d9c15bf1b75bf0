"""Layers made of layers: names, shared weights, what they skip, and what they refuse."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import layers as L
from deepfs.layers._base import Layer
from deepfs.layers.combine import Container


def test_names_of_parameters():
    net = L.Sequential(
        [
            L.Conv2D(4, 3, name="stem"),
            L.Residual(L.Sequential([L.Conv2D(4, 3, padding=1), L.BatchNorm()])),
            L.Residual(L.Conv2D(4, 1), shortcut=L.Conv2D(4, 1, bias=False)),
            L.Dense(2),
            L.Dense(2, bias=False),
        ]
    )
    net(np.zeros((1, 1, 8, 8)))
    assert list(net.parameters()) == [
        "stem.weight",
        "stem.bias",
        "residual_1.body.conv2d_1.weight",
        "residual_1.body.conv2d_1.bias",
        "residual_1.body.batchnorm_1.gamma",
        "residual_1.body.batchnorm_1.beta",
        "residual_2.body.weight",
        "residual_2.body.bias",
        "residual_2.shortcut.weight",
        "dense_1.weight",
        "dense_1.bias",
        "dense_2.weight",
    ]
    assert "residual_1.body.batchnorm_1.running_mean" in net.buffers()


def test_a_layer_in_two_places_has_one_gradient(rng):
    shared = L.Dense(3, bias=False)
    net = L.Sequential([shared, L.Tanh(), shared])
    x, dy = rng.standard_normal((2, 4, 3))
    y, cache = net.forward(x)
    net.backward(dy, cache)
    w, h = shared.parameters()["weight"].value, np.tanh(x @ shared.parameters()["weight"].value)
    wanted = h.T @ dy + x.T @ ((dy @ w.T) * (1 - h * h))
    assert_allclose(shared.parameters()["weight"].grad, wanted, rtol=1e-10, atol=1e-12)


def test_a_named_layer_in_two_places():
    shared = L.Dense(5, name="a")
    net = L.Sequential([shared, L.Tanh(), shared])
    net(np.zeros((1, 5)))
    assert list(net.named_parts()) == ["a", "tanh_1", "a_2"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("need_dx", [False, True])
def test_what_is_left_to_a_neighbour_has_the_same_bits(dtype, need_dx, rng):
    """The reference runs every layer by itself: each ReLU and each sum in a pass of its own."""

    def block(filters, *behind):
        return [L.Conv2D(filters, 3, padding=1), L.BatchNorm(), L.ReLU(), *behind]

    body = L.Sequential([*block(16), L.Conv2D(16, 3, padding=1), L.ReLU(), L.ReLU(), L.BatchNorm()])
    nested = L.Sequential([L.Sequential([L.Conv2D(16, 3, padding=1)]), L.ReLU(), L.Dropout(0.1)])
    layers = [
        L.ReLU(), L.Conv2D(16, 3, padding=1), L.ReLU(), L.MaxPool2D(3, 2, padding=1),
        L.Residual(body), L.ReLU(), L.Residual(L.Conv2D(16, 1), L.BatchNorm()), L.ReLU(),
        L.Residual(nested), L.Residual(L.BatchNorm()), L.ReLU(), L.BatchNorm(), L.ReLU(),
        L.AvgPool2D(2), L.ReLU(), L.Conv2D(8, 3, stride=2), L.ReLU(),
        L.Dense(12), L.ReLU(), L.Dropout(0.2), L.Dense(9), L.ReLU(), L.Dense(4), L.ReLU(),
    ]  # fmt: skip
    net = L.Sequential(layers, dtype=dtype)
    x = rng.standard_normal((5, 3, 13, 14)).astype(dtype)
    net.build(x.shape[1:])
    alone = copy.deepcopy(net)
    y, cache = net.forward(x, training=True)
    dy = rng.standard_normal(y.shape)
    dx = net.backward(dy, cache, need_dx)

    def separate(part):
        """Leave nothing to anybody."""
        vars(part).update(forward_ends=frozenset(), backward_ends=frozenset())
        for inner in part.named_parts().values() if isinstance(part, Container) else ():
            separate(inner)
        if isinstance(part, L.Sequential):
            part.__post_init__()

    separate(alone)
    wanted, cache = alone.forward(x, training=True)
    assert_array_equal(y, wanted)
    wanted = alone.backward(dy, cache, need_dx)
    assert (dx is None) == (wanted is None) == (not need_dx)
    assert_array_equal(0 if dx is None else dx, 0 if wanted is None else wanted)
    grads = [[p.grad for p in n.parameters().values()] for n in (net, alone)]
    assert len(grads[0]) == len(grads[1]) == 28
    for ours, theirs in zip(*grads, strict=True):
        assert ours.any()
        assert_array_equal(ours, theirs)
    assert_array_equal(net(x), alone(x))


def test_nothing_below_the_first_parameters_is_asked_for_a_gradient(monkeypatch, rng):
    """A first convolution never computes the gradient of the images."""
    asked = []
    inner = L.Conv2D._backward

    def spy(self, dy, cache, need_dx, **settings):
        asked.append(need_dx)
        return inner(self, dy, cache, need_dx, **settings)

    monkeypatch.setattr(L.Conv2D, "_backward", spy)
    monkeypatch.setattr(L.MaxPool2D, "_backward", lambda *_: pytest.fail("asked"))
    net = L.Sequential([L.MaxPool2D(2), L.Conv2D(2, 3), L.ReLU(), L.Conv2D(2, 3)])
    y, cache = net.forward(rng.standard_normal((2, 1, 14, 14)))
    assert net.backward(np.ones_like(y), cache, need_dx=False) is None
    assert asked == [True, False]
    assert all(p.grad.any() for p in net.parameters().values())


def test_inference_keeps_no_caches():
    class Probe(Layer):
        def _out_shape(self, in_shape):
            return in_shape

        def _forward(self, x, training):
            pytest.fail("inference asked for a cache")

        def _infer(self, x):
            return x + 1

        def _backward(self, dy, cache, need_dx):
            return dy

    net = L.Sequential([Probe(), L.Residual(Probe())])
    assert_array_equal(net(np.zeros((1, 2))), [[3, 3]])


def test_residual_adds_channels_last(rng):
    layer = L.Residual(L.Conv2D(3, 3, padding=1, initializer="zeros"))
    x = rng.standard_normal((2, 3, 5, 5))
    y = layer(x)
    assert_array_equal(y, x)
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.Sequential([]), ValueError, "Sequential needs at least one layer, got none"),
        (lambda: L.Sequential(L.ReLU()), TypeError, "Sequential takes a list of layers"),
        (lambda: L.Sequential([L.ReLU]), TypeError, "Sequential takes layers, got <class"),
        (lambda: L.Sequential([np.tanh]), TypeError, "Sequential takes layers, got <ufunc"),
        (
            lambda: L.Sequential([L.ReLU(name="a"), L.Tanh(name="a")]),
            ValueError,
            "parts of different names, got 'a' twice",
        ),
        (lambda: L.Sequential([L.ReLU(name="a.b")]), ValueError, "without '.' in their name"),
        (lambda: L.Residual(None), TypeError, "Residual takes layers, got None"),
        (lambda: L.Residual(L.ReLU(), np.tanh), TypeError, "Residual takes layers, got <ufunc"),
    ],
)
def test_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_residual_refuses_unequal_shapes():
    message = r"Residual must add equal shapes, got body \(4, 6, 6\), shortcut \(3, 6, 6\)"
    with pytest.raises(ValueError, match=message):
        L.Residual(L.Conv2D(4, 1))(np.zeros((1, 3, 6, 6)))


def test_messages_name_the_part():
    net = L.Sequential([L.Conv2D(4, 3), L.Conv2D(4, 3), L.MaxPool2D(4)])
    with pytest.raises(ValueError, match='MaxPool2D "maxpool2d_1" window 4x4 exceeds the image'):
        net(np.zeros((1, 1, 6, 6)))
    net(np.zeros((1, 1, 9, 9)))  # and the refused input has left nothing behind
    with pytest.raises(ValueError, match='Conv2D "conv2d_1" takes 1 channels, got an image'):
        net(np.zeros((1, 2, 9, 9)))
    with pytest.raises(ValueError, match='Conv2D "conv2d_1" takes 4 dimensional input'):
        net(np.zeros((1, 81)))


def test_a_network_has_one_dtype():
    net = L.Sequential([L.Dense(2), L.Dense(2, dtype="float64")])
    message = 'Sequential of float32 must have parts of it, got Dense "dense_2" of float64'
    with pytest.raises(ValueError, match=message):
        net(np.zeros((1, 3), np.float32))
