"""Layers made of layers: names, shared weights, what they skip, and what they refuse."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from cnn_core import add
from deepfs import layers as L
from deepfs import reference
from deepfs.layers import Container, Layer
from deepfs.testing import check_layer


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


def test_residual_adds_channels_last(rng):
    layer = L.Residual(L.Conv2D(3, 3, padding=1, initializer="zeros"))
    x = rng.standard_normal((2, 3, 5, 5))
    y = layer(x)
    assert_array_equal(y, x)
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous


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
    assert [row.split()[0] for row in rows[1:-1]] == [
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


def test_branches_of_single_numbers_can_be_added():
    net = L.Branches([L.ReLU(), L.ReLU()], merge="add")
    y, cache = net.forward(np.array([3.0, -1.0]))
    assert_array_equal(y, [6, 0])
    assert_array_equal(net.backward(np.ones(2), cache), [2, 0])
    with pytest.raises(ValueError, match="must join shapes"):
        L.Branches([L.ReLU(), L.ReLU()])(np.ones(2))


@pytest.mark.parametrize("n", [0, 1, 8192, 20_001])
def test_kernel_of_a_sum(n, dtype, threads, rng):
    """More than a block; and gates of exactly 0, as a ReLU leaves them."""
    a, b, gate = rng.standard_normal((3, n)).astype(dtype)
    gate[rng.random(n) < 0.3] = 0
    y = np.full(n, np.nan, dtype)
    add.add(a, b, y)
    assert_array_equal(y, a + b)
    add.add(a, b, y, True)
    assert_array_equal(y, np.maximum(a + b, 0))
    add.add(a, b, y, False, gate)
    assert_array_equal(y, np.where(gate > 0, a + b, 0))
    with pytest.raises(ValueError, match="do not belong to one sum"):
        add.add(a, b, y, True, gate)
