"""Layers made of layers: names, shared weights, what they skip, and what they refuse."""

import copy
import weakref
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import reference
from deepfs.layers import Container, Layer
from deepfs.testing import check_layer


def test_matches_the_reference(rng):
    net = L.Sequential([L.Dense(4), L.Tanh(), L.Dense(2)])
    x, dy = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    y, cache = net.forward(x)
    assert_array_equal(y, reference.sequential(x, net.layers))
    caches = [layer.forward(reference.sequential(x, net.layers[:i]))[1]
              for i, layer in enumerate(net.layers)]  # fmt: skip
    ways = [partial(layer.backward, cache=c) for layer, c in zip(net.layers, caches, strict=True)]
    assert_array_equal(net.backward(dy, cache), reference.sequential_backward(dy, ways))


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
        """Fuse nothing."""
        vars(part).update(fuses_forward=frozenset(), fuses_backward=frozenset())
        for inner in part.named_parts().values() if isinstance(part, Container) else ():
            separate(inner)

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

    def spy(self, dy, cache, need_dx, *end):
        asked.append(need_dx)
        return inner(self, dy, cache, need_dx, *end)

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


def conv_bn_relu(filters, size=3, stride=1):
    return L.Sequential(
        [L.Conv2D(filters, size, stride, padding="same", bias=False), L.BatchNorm(), L.ReLU()]
    )


def resnet_block(filters, stride):
    body = [conv_bn_relu(filters, 3, stride), L.Conv2D(filters, 3, padding=1), L.BatchNorm()]
    return L.Sequential([L.Residual(L.Sequential(body), L.Conv2D(filters, 1, stride)), L.ReLU()])


def inception_block(one, three, five, pooled):
    return L.Branches(
        [
            conv_bn_relu(one, 1),
            L.Sequential([conv_bn_relu(three // 2, 1), conv_bn_relu(three, 3)]),
            L.Sequential([conv_bn_relu(five // 2, 1), conv_bn_relu(five, 5)]),
            L.Sequential([L.MaxPool2D(3, 1, padding=1), conv_bn_relu(pooled, 1)]),
        ]
    )


def densenet_block(growth, layers):
    """Each layer sees the channels of all before it, and adds some."""

    def layer():
        grow = L.Sequential([L.BatchNorm(), L.ReLU(), L.Conv2D(growth, 3, padding=1)])
        return L.Branches([L.Identity(), grow])

    return L.Sequential([layer() for _ in range(layers)])


@pytest.mark.parametrize(
    ("make", "out_shape"),
    [
        pytest.param(lambda: resnet_block(8, 2), (8, 4, 4), id="ResNet"),
        pytest.param(lambda: inception_block(3, 6, 4, 2), (15, 8, 8), id="Inception"),
        pytest.param(lambda: densenet_block(3, 4), (16, 8, 8), id="DenseNet"),
    ],
)
def test_blocks_of_the_literature_are_a_few_lines(make, out_shape, rng):
    """They have the shapes of the papers, the gradients of their definition, and learn."""
    check_layer(make(), rng.standard_normal((3, 4, 8, 8)))
    block = make()
    assert block.out_shape((4, 8, 8)) == out_shape
    model = dfs.Model(
        L.Sequential([block, L.GlobalAvgPool2D(), L.Dense(3)]),
        dfs.losses.CrossEntropy(),
        dfs.optimizers.Adam(0.01),
    )
    x, labels = rng.standard_normal((12, 4, 8, 8)).astype(np.float32), np.arange(12) % 3
    losses = [model.train_on_batch(x, labels)["loss"] for _ in range(40)]
    assert losses[-1] < losses[0] / 2


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
    ],
)
def test_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()


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


@pytest.mark.parametrize("residual", [False, True])
def test_a_training_step_drops_what_backward_has_used(residual, rng):
    """Else the activations of all layers would lie there beside the gradients of the first."""
    watched, alive = [], []

    class First(L.Identity):
        def _backward(self, dy, cache, need_dx):
            alive.append(sum(activation() is not None for activation in watched))
            return dy

    class Watched(L.Tanh):
        def _forward(self, x, training):
            y, cache = super()._forward(x, training)
            watched.append(weakref.ref(y))
            return y, cache

    chain = [Watched(), L.Tanh(), Watched(), L.Tanh()]
    later = [L.Residual(L.Sequential(chain))] if residual else chain
    net = L.Sequential([L.Dense(4), First(), *later, L.Dense(2)])
    model = dfs.Model(net, "mse", "sgd")
    x, y = rng.normal(size=(3, 5)), np.zeros((3, 2))
    model.train_on_batch(x, y)
    assert len(watched) == 2
    assert alive == [0]
    out, cache = net.forward(x, training=True)  # by hand, backward may run again
    one, two = (net.backward(np.ones_like(out), cache) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert alive[1:] == [2, 2]


def test_a_container_of_ones_own_may_use_a_cache_twice(rng):
    class Twice(L.Sequential):
        def _backward(self, dy, cache, need_dx):
            super()._backward(dy, cache, need_dx)
            return super()._backward(dy, cache, need_dx)

    net = L.Sequential([Twice([L.Dense(3), L.Tanh()]), L.Dense(2)])
    for network, wide in ((net, 2), (Twice([L.Dense(3), L.Tanh()]), 3)):
        model = dfs.Model(network, "mse", "sgd")
        model.train_on_batch(rng.normal(size=(3, 5)), np.zeros((3, wide)))
