"""Shrink: the smaller network returns the same, and what cannot be removed is named."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.compress import shrink

NETWORKS = {
    "mlp": (1, 28, 28),
    "simple_convnet": (1, 28, 28),
    "deep_convnet": (1, 28, 28),
    "lenet5": (1, 28, 28),
    "mini_convnet": (1, 28, 28),
    "vgg_small": (3, 8, 8),
    "resnet20": (3, 8, 8),
    "densenet_small": (3, 8, 8),
    "mobilenet_small": (3, 16, 16),
    "unet_small": (1, 8, 8),
}


def filters_of(parameter):
    """Return a view of a weight with its filters or units first."""
    return parameter.value if parameter.value.ndim > 2 else parameter.value.T


def with_zero_filters(net, shape, rng, share=0.4, biases=True):
    """Build a network; set random filters to zero, biases and statistics to random numbers."""
    if net.built_dtype is None:
        net.build(shape)
    for name, parameter in net.parameters().items():
        if name.endswith("weight"):
            filters = filters_of(parameter)
            filters[rng.random(len(filters)) < share] = 0
        elif name.endswith("gamma") and parameter.value.ndim == 1:
            parameter.value[rng.random(parameter.size) < share / 4] = 0
        elif biases:
            parameter.value[...] = 0.3 * rng.standard_normal(parameter.shape)
    for name, buffer in net.buffers().items():
        if name.endswith("running_mean"):
            buffer[...] = 0.3 * rng.standard_normal(buffer.shape)
        elif name.endswith("running_var"):
            buffer[...] = rng.uniform(0.5, 2, buffer.shape)
    return net


def leaves(y):
    return list(y.values()) if isinstance(y, dict) else list(y) if isinstance(y, tuple) else [y]


def same(net, x, rounding=1e-5, **settings):
    """Shrink a network; check that nothing else has changed, and return the new one and report."""
    before = {name: a.copy() for name, a in net.get_weights().items()}
    small, report = shrink(net, samples=0, **settings)
    for name, array in net.get_weights().items():
        assert_array_equal(array, before[name])
    for y, z in zip(leaves(net(x)), leaves(small(x)), strict=True):
        assert y.shape == z.shape
        assert np.abs(y - z).max() <= rounding * np.abs(y).max()
    counted = {id(p): p.size for p in small.parameters().values()}
    assert report.total.parameters[1] == sum(counted.values())
    return small, report


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_with_random_zero_filters(name, rng):
    net = with_zero_filters(getattr(dfs.networks, name)(), NETWORKS[name], rng)
    x = rng.standard_normal((2, *NETWORKS[name])).astype(np.float32)
    small, report = same(net, x)
    assert report.total.parameters[1] < 0.9 * report.total.parameters[0]
    assert report.total.multiply_adds[1] < 0.9 * report.total.multiply_adds[0]
    report = shrink(small, samples=0)[1]
    assert report.total.parameters[0] == report.total.parameters[1]  # nothing was left to do


@pytest.mark.parametrize("name", ["vgg_small", "resnet20", "mobilenet_small"])
def test_all_zero_filters_go_where_nothing_is_added(name, rng):
    net = with_zero_filters(getattr(dfs.networks, name)(), NETWORKS[name], rng, biases=False)
    for buffer in (b for n, b in net.buffers().items() if n.endswith("running_mean")):
        buffer[...] = 0
    x = rng.standard_normal((2, *NETWORKS[name])).astype(np.float32)
    _, report = same(net, x)
    assert all("the network returns it" in line or "is added to" in line for line in report.kept)


def test_the_constant_of_a_zero_filter_is_folded(rng):
    net = L.Sequential([
        L.Conv2D(6, 3), L.BatchNorm(), L.Sigmoid(), L.AvgPool2D(2), L.Conv2D(5, 2, bias=False),
        L.BatchNorm(), L.Tanh(), L.Flatten(), L.Dense(4, bias=False), L.Softmax(),
    ])  # fmt: skip
    net = with_zero_filters(net, (2, 12, 12), rng, 0.0)
    for layer in ("conv2d_1", "conv2d_2"):
        net[layer].parameters()["weight"].value[1:3] = 0
    small, report = same(net, rng.standard_normal((3, 2, 12, 12)).astype(np.float32))
    assert (small["conv2d_1"].filters, small["conv2d_2"].filters) == (4, 3)
    assert small["conv2d_2"].bias  # the constants have gone there
    assert small["dense_1"].bias
    assert report.kept == []


def test_a_constant_beside_padding_stays(rng):
    net = L.Sequential(
        [L.Conv2D(4, 3), L.ReLU(), L.Conv2D(4, 3, padding=1), L.Flatten(), L.Dense(2)]
    )
    net.build((1, 8, 8))
    first = net["conv2d_1"].parameters()
    first["weight"].value[:3] = 0
    first["bias"].value[...] = [0.5, -0.5, 0.0, 0.1]
    small, report = same(net, rng.standard_normal((2, 1, 8, 8)).astype(np.float32))
    assert small["conv2d_1"].filters == 2
    assert report.kept == [
        "conv2d_1: 1 constant filter stays: conv2d_2 puts zeros beside its constant, which is not 0"
    ]
    assert "conv2d_1: 1 constant filter" in repr(report)
    assert report["conv2d_1"].outputs == (4, 2)
    with pytest.raises(KeyError, match="no row 'conv2d_9'"):
        report["conv2d_9"]


def test_equal_constants_of_a_layer_used_twice_are_folded(rng):
    shared = L.Dense(4, bias=False)
    net = L.Sequential([L.Dense(6), L.Tanh(), shared, L.Dense(6), L.Tanh(), shared])
    net.build((3,))
    for layer in (net.layers[0], net.layers[3]):
        layer.parameters()["weight"].value[:, :2] = 0
        layer.parameters()["bias"].value[...] = [0.5, layer is net.layers[0], 0, 0, 0, 0]
    small, report = same(net, rng.standard_normal((4, 3)).astype(np.float32))
    assert small.layers[0].units == small.layers[3].units == 5
    assert "dense_2 is used 2 times, with other constants" in repr(report)
    assert "nan" not in repr(shrink(net, samples=1)[1])


def test_separable_and_transposed_convolutions_and_constants(rng):
    parts = {
        "valid": (L.SeparableConv2D(4, 3), 2, None),
        "padded": (L.SeparableConv2D(4, 3, padding=1), 4, "puts zeros beside its constant"),
        "transposed": (L.ConvTranspose2D(4, 3), 4, "gives pixels different shares of its"),
        "dropped": (L.DropConnect(4, 0.5), 4, "drops weights of its constant"),
    }
    for name, (part, filters, why) in parts.items():
        net = L.Sequential([L.Conv2D(4, 1), part, L.Flatten(), L.Dense(2)])
        net.build((2, 6, 6))
        net["conv2d_1"].parameters()["weight"].value[:2] = 0
        net["conv2d_1"].parameters()["bias"].value[...] = 0.5
        small, report = same(net, rng.standard_normal((2, 2, 6, 6)).astype(np.float32))
        assert small["conv2d_1"].filters == filters, name
        assert (report.kept == []) if why is None else any(why in line for line in report.kept)


def test_what_nothing_reads_goes_and_what_feeds_it(rng):
    net = L.Sequential([L.Dense(8), L.Tanh(), L.Dense(6), L.Tanh(), L.Dense(3)])
    net.build((5,))
    net["dense_3"].parameters()["weight"].value[2:] = 0  # units 2 to 5 are read by nothing
    net["dense_2"].parameters()["weight"].value[4:, :2] = 0  # and 4 to 7 of dense_1 by no other
    small, _ = same(net, rng.standard_normal((4, 5)).astype(np.float32))
    assert [layer.units for layer in small.layers[::2]] == [4, 2, 3]


def test_a_layer_of_zeros_keeps_one_filter(rng):
    net = L.Sequential([L.Conv2D(4, 3), L.ReLU(), L.Conv2D(4, 3), L.Flatten(), L.Dense(2)])
    net.build((1, 8, 8))
    for layer in ("conv2d_1", "conv2d_2"):
        net[layer].parameters()["weight"].value[...] = 0
        net[layer].parameters()["bias"].value[...] = [0.5, -0.5, 0.0, 0.1]
    small, report = same(net, rng.standard_normal((2, 1, 8, 8)).astype(np.float32))
    assert (small["conv2d_1"].filters, small["conv2d_2"].filters) == (1, 1)
    assert report.kept == [
        "conv2d_1: 1 constant filter stays: conv2d_1 keeps one channel",
        "conv2d_2: 1 constant filter stays: conv2d_2 keeps one channel",
        "dense_1: 2 constant units stay: the network returns it",
    ]


def test_residual_sums_go_together(rng):
    def conv():
        return L.Conv2D(6, 3, padding=1, bias=False)

    net = L.Sequential([
        conv(), L.Residual([conv(), L.BatchNorm(), L.ReLU(), conv()]),
        L.Residual([conv()], [conv()]), L.GlobalAvgPool2D(), L.Dense(2),
    ])  # fmt: skip
    net.build((2, 6, 6))
    net["conv2d_1"].parameters()["weight"].value[:3] = 0
    block = net["residual_1"]
    block["body.conv2d_2"].parameters()["weight"].value[1:4] = 0
    net["residual_2"]["body.conv2d_1"].parameters()["weight"].value[0] = 0
    net["residual_2"]["shortcut.conv2d_1"].parameters()["weight"].value[0] = 0
    small, report = same(net, rng.standard_normal((2, 2, 6, 6)).astype(np.float32))
    assert small["conv2d_1"].filters == small["residual_1"]["body.conv2d_2"].filters == 4
    assert small["residual_2"]["shortcut.conv2d_1"].filters == 5
    why = "it is added to a channel that residual_2.body.conv2d_1 reads"
    assert f"conv2d_1: 1 constant filter stays: {why}" in report.kept


class Square(L.Layer):
    """A layer of one's own."""

    def _out_shape(self, in_shape):
        return in_shape

    def _forward(self, x, training):
        return x * x, x

    def _backward(self, dy, cache, need_dx):
        return 2 * dy * cache


class Twice(L.Container):
    """A container of one's own."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def named_parts(self):
        return {"part": self.part}

    def _out_shape(self, in_shape):
        return self.part.out_shape(in_shape)

    def _forward(self, x, training):
        y, cache = self.part._forward(x, training)
        return 2 * y, cache

    def _backward(self, dy, cache, need_dx):
        return self.part._backward(2 * dy, cache, need_dx)


def graph_of_heads():
    image, age = L.Input((2, 8, 8), "image"), L.Input((3,), "age")
    h = L.ReLU()(L.Conv2D(6, 3)(image))
    gate = L.Sigmoid()(L.Dense(6)(L.GlobalAvgPool2D()(h)))
    h = L.Multiply()([h, L.Reshape((6, 1, 1))(gate)])
    shared = L.Dense(5)
    a = L.Flatten()(h)
    b = L.Concat()([L.Dense(4)(age), L.Dense(7)(a)])
    low = L.Subtract()([L.ReLU()(L.Dense(8)(b)), L.Dense(8)(b)])
    high = L.Add()([L.Dense(8)(b), low])
    return L.Graph(
        {"image": image, "age": age},
        {"one": L.Dense(2)(shared(low)), "two": L.LogSoftmax()(shared(high))},
    )


def shared_conv():
    conv, act = L.Conv2D(5, 3, padding=1), L.ReLU()
    return L.Sequential([
        L.Conv2D(5, 3, padding=1), act, conv, act, conv, act, L.Conv2D(6, 3), act, L.Flatten(),
        L.Dense(2),
    ])  # fmt: skip


def graph_in_graph():
    x = L.Input((4,))
    a, b = L.Dense(6)(x), L.Dense(5)(x)
    inner = L.Graph(x, (L.ReLU()(a), L.Tanh()(b)))
    y = L.Input((4,))
    p, q = inner(y)
    return L.Graph(y, (L.Dense(2)(p), L.Dense(3)(L.Concat()([p, q]))))


HOSTILE = {
    "several heads": (graph_of_heads, {"image": (2, 8, 8), "age": (3,)}, None),
    "a shared convolution": (shared_conv, (2, 8, 8), None),
    "a graph in a graph": (graph_in_graph, (4,), None),
    "grouped": (
        lambda: L.Sequential([
            L.Conv2D(6, 1), L.Conv2D(6, 3, groups=2), L.Conv2D(4, 1), L.Flatten(), L.Dense(2),
        ]),
        (2, 8, 8), "has groups=2",
    ),
    "depthwise": (
        lambda: L.Sequential([
            L.Conv2D(6, 1), L.DepthwiseConv2D(3, multiplier=2), L.PReLU(), L.InstanceNorm(),
            L.Upsample2D(2), L.ZeroPad2D(1), L.Crop2D(1), L.SeparableConv2D(5, 3), L.ReLU(),
            L.SeparableConv2D(4, 3, multiplier=2), L.MaxPool2D(2), L.DropConnect(4, 0.5),
            L.Dense(2),
        ]),
        (2, 8, 8), None,
    ),
    "transposed": (
        lambda: L.Sequential([
            L.Conv2D(6, 3, bias=False), L.ReLU(), L.ConvTranspose2D(5, 3, 2), L.ReLU(),
            L.ConvTranspose2D(4, 2), L.Resize2D((6, 6)), L.Conv2D(2, 1),
        ]),
        (2, 8, 8), None,
    ),
    "sequences": (
        lambda: L.Sequential([
            L.Conv1D(6, 3), L.BatchNorm(), L.GELU(), L.MaxPool1D(2), L.Conv1D(5, 3), L.ReLU(),
            L.GlobalAvgPool1D(), L.Dropout(0.5, scaling="test"), L.Dense(2),
        ]),
        (3, 16), None,
    ),
    "norms of all channels": (
        lambda: L.Sequential([
            L.Conv2D(6, 3), L.GroupNorm(2), L.Conv2D(6, 3), L.LayerNorm(3), L.Conv2D(4, 1),
            L.Maxout(2), L.Dense(4), L.Reshape((2, 2)), L.Dense(3),
        ]),
        (2, 8, 8), "takes all: it normalizes channels in groups",
    ),
    "layers of one's own": (
        lambda: L.Sequential([
            L.Conv2D(6, 3), Square(), L.Conv2D(5, 3), Twice(L.Conv2D(4, 3)), L.Flatten(),
            L.Dense(6), Square(), L.Dense(2),
        ]),
        (2, 8, 8), "how a layer of your own connects channels is not known",
    ),
    "joined along another axis": (
        lambda: L.Graph(image := L.Input((2, 4, 4)), L.Dense(2)(
            L.Concat(axis=2)([L.Conv2D(5, 1)(image), L.Conv2D(5, 1)(image)]))),
        (2, 4, 4), None,
    ),
    "branches": (
        lambda: L.Sequential([
            L.Branches([L.Conv2D(5, 1), L.Identity(), [L.Conv2D(4, 1), L.ReLU()]]),
            L.Branches([L.Conv2D(5, 1), L.Conv2D(5, 1)], merge="add"), L.Flatten(), L.Dense(2),
        ]),
        (2, 4, 4), None,
    ),
}  # fmt: skip


# different constants are joined; all filters stand before layers that take all channels
NOTHING_GOES = {"joined along another axis", "layers of one's own", "norms of all channels"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_networks(case, dtype, rng):
    make, shape, reason = HOSTILE[case]
    net = make()
    net.build(shape, dtype)
    x = {name: rng.standard_normal((3, *s)) for name, s in shape.items()} if isinstance(
        shape, dict) else rng.standard_normal((3, *shape))  # fmt: skip
    for share in (0.0, 0.5, 1.0):
        net = with_zero_filters(net, shape, rng, share) if share else net
        small, report = same(net, x, 1e-5 if dtype == np.float32 else 1e-12)
        before, after = report.total.parameters
        if share < 1:
            assert (after < before) == (share > 0 and case not in NOTHING_GOES)
        if reason is not None and share:
            assert any(reason in line for line in report.kept), report
        learned = small.forward(x, training=True)
        small.backward(copy.deepcopy(learned[0]), learned[1])


def test_equal_constants_joined_along_another_axis_go(rng):
    image = L.Input((2, 4, 4))
    parts = [L.Conv2D(5, 1)(image), L.Conv2D(5, 1)(image)]
    net = L.Graph(image, L.Dense(2)(L.Concat(axis=-1)(parts)))
    net.build((2, 4, 4))
    for layer, gone in (("conv2d_1", [0, 1, 2]), ("conv2d_2", [0, 1, 3])):
        net.layers[list(net.named_parts()).index(layer)].parameters()["weight"].value[gone] = 0
        net.layers[list(net.named_parts()).index(layer)].parameters()["bias"].value[1] = 0.7
    small, report = same(net, rng.standard_normal((2, 2, 4, 4)).astype(np.float32))
    assert report["conv2d_1"].outputs == report["conv2d_2"].outputs == (5, 3)


def test_a_network_of_ones_own_is_copied(rng):
    net = Twice(L.Sequential([L.Dense(4), L.Dense(2)]))
    x = rng.standard_normal((3, 5)).astype(np.float32)
    net(x)
    net.part["dense_1"].parameters()["weight"].value[...] = 0
    small, _ = same(net, x)
    assert small is not net
    assert small.part["dense_1"].units == 4


class Scaled(L.Layer):
    """An activation of one's own with a constructor of its own."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    _out_shape = Square._out_shape

    def _forward(self, x, training):
        return self.factor * x, None

    def _backward(self, dy, cache, need_dx):
        return self.factor * dy


def test_activations_of_ones_own_can_be_named(rng):
    net = L.Sequential([L.Conv2D(6, 3), Square(), L.Conv2D(5, 3), L.Flatten(), L.Dense(2)])
    net.build((2, 8, 8))
    net["conv2d_1"].parameters()["weight"].value[:4] = 0
    x = rng.standard_normal((2, 2, 8, 8)).astype(np.float32)
    assert same(net, x)[0]["conv2d_1"].filters == 6
    assert same(net, x, elementwise=[Square])[0]["conv2d_1"].filters == 2
    net = L.Sequential([L.Dense(6), Scaled(3.0), L.Dense(2)])
    net.build((4,))
    net["dense_1"].parameters()["weight"].value[:, :4] = 0
    assert same(net, x[:, 0, 0, :4], elementwise=Scaled)[0]["dense_1"].units == 2


def test_weights_below_the_tolerance(rng):
    net = L.Sequential([L.Dense(6), L.BatchNorm(), L.ReLU(), L.Dense(2)])
    net.build((3,))
    net["dense_1"].parameters()["weight"].value[:, :2] = 1e-6
    net["batchnorm_1"].parameters()["gamma"].value[2] = -1e-6
    net["batchnorm_1"].buffers()["running_mean"][...] = 0.5
    net["batchnorm_1"].parameters()["beta"].value[2] = 2.0
    x = rng.standard_normal((4, 3)).astype(np.float32)
    assert same(net, x)[0]["dense_1"].units == 6
    assert same(net, x, tolerance=1e-5)[0]["dense_1"].units == 3
    net["dense_1"].parameters()["weight"].value[0, 0] = np.nan
    assert shrink(net, 1e-5, samples=0)[0]["dense_1"].units == 4
