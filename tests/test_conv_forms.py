"""The forms of convolution built on Conv2D: against NumPy, known values, and what they refuse."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import reference
from deepfs.testing import any_work_on


def compare(layer, x, forward, backward, tolerance, rng):
    """Check output and all gradients; the twins take x, the weights, and bias or dy."""
    layer.build(x.shape[1:], x.dtype)
    weights = layer.parameters()
    for parameter in weights.values():
        parameter.value = rng.standard_normal(parameter.value.shape) / 2
    y, cache = layer.forward(x)
    *values, bias = (p.value for p in weights.values())
    assert y.dtype == x.dtype
    dy = rng.standard_normal(y.shape).astype(x.dtype)
    got = [y, layer.backward(dy, cache), *(p.grad for p in weights.values())]
    twins = [forward(x, *values, bias), *backward(x, *values, dy)]
    for name, mine, wanted in zip(["y", "x", *weights], got, twins, strict=True):
        scale = max(1.0, np.abs(wanted).max(initial=0))
        assert_allclose(mine / scale, wanted / scale, **tolerance, err_msg=name)


WINDOWS = [
    pytest.param({}, id="plain"),
    pytest.param({"stride": (2, 3)}, id="strided"),
    pytest.param({"padding": (1, 2, 3, 0)}, id="padded"),
    pytest.param({"stride": (3, 1), "padding": 2, "dilation": (1, 2)}, id="everything"),
]


@pytest.mark.parametrize("settings", WINDOWS)
@pytest.mark.parametrize(("channels", "multiplier"), [(1, 3), (5, 1), (20, 1), (6, 2)])
def test_depthwise_matches_numpy(settings, channels, multiplier, dtype, tolerance, threads, rng):
    x = rng.standard_normal((3, channels, 9, 8)).astype(dtype)
    layer = L.DepthwiseConv2D((3, 2), **settings, multiplier=multiplier)
    window = (layer.stride, layer.padding, layer.dilation)
    compare(
        layer, x,
        lambda *args: reference.depthwise_conv2d(*args, *window),
        lambda *args: reference.depthwise_conv2d_backward(*args, *window),
        tolerance, rng,
    )  # fmt: skip


def test_depthwise_orders_the_filters_by_channel():
    layer = L.DepthwiseConv2D(1, multiplier=2, bias=False)
    x = np.array([10.0, 100]).reshape(1, 2, 1, 1)
    layer(x)
    layer.parameters()["weight"].value = np.array([1.0, 2, 3, 4]).reshape(4, 1, 1, 1)
    assert_array_equal(layer(x).ravel(), [10, 20, 300, 400])


@pytest.mark.parametrize("settings", WINDOWS)
@pytest.mark.parametrize("multiplier", [1, 3])
def test_separable_matches_numpy(settings, multiplier, dtype, tolerance, threads, rng):
    x = rng.standard_normal((3, 5, 9, 8)).astype(dtype)
    layer = L.SeparableConv2D(7, (3, 2), **settings, multiplier=multiplier)
    window = (layer.stride, layer.padding, layer.dilation)
    compare(
        layer, x,
        lambda *args: reference.separable_conv2d(*args, *window),
        lambda *args: reference.separable_conv2d_backward(*args, *window),
        tolerance, rng,
    )  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [
        *WINDOWS,
        pytest.param({"stride": (2, 3), "output_padding": (1, 2)}, id="with room"),
        pytest.param({"dilation": 3, "output_padding": 2}, id="room beyond the stride"),
        pytest.param({"stride": 5, "padding": 1, "output_padding": 4}, id="gaps"),
        pytest.param({"groups": 2, "stride": 2}, id="groups"),
        pytest.param({"algorithm": "winograd"}, id="winograd"),
    ],
)
def test_transposed_matches_numpy(settings, dtype, tolerance, threads, rng):
    x = rng.standard_normal((3, 4, 5, 6)).astype(dtype)
    kernel_size = 3 if "algorithm" in settings else (3, 2)
    layer = L.ConvTranspose2D(10, kernel_size, **settings)
    window = (layer.stride, layer.padding, layer.dilation, layer.groups)
    compare(
        layer, x,
        lambda *args: reference.conv_transpose2d(*args, *window, layer.output_padding),
        lambda *args: reference.conv_transpose2d_backward(*args, *window),
        tolerance, rng,
    )  # fmt: skip


@pytest.mark.parametrize("padding", [0, 2, "same"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_transposed_is_the_adjoint_of_convolution(size, stride, padding, rng):
    """<conv x, y> = <x, transposed y> with one weight, whichever way it is seen."""
    down = L.Conv2D(6, size, stride, padding, bias=False)
    up = L.ConvTranspose2D(4, size, stride, padding, bias=False)
    x = rng.standard_normal((2, 4, 12, 6))
    y, cache = down.forward(x)
    up.build(y.shape[1:], np.float64)
    room = tuple(h - oh for h, oh in zip(x.shape[2:], up.out_shape(y.shape[1:])[1:], strict=True))
    up = L.ConvTranspose2D(4, size, stride, padding, bias=False, output_padding=room)
    up.build(y.shape[1:], np.float64)
    up.parameters()["weight"].value = down.parameters()["weight"].value
    dy = rng.standard_normal(y.shape)
    assert_allclose((y * dy).sum(), (x * up(dy)).sum(), rtol=1e-10)
    assert_allclose(up(dy), down.backward(dy, cache), rtol=1e-10, atol=1e-12)


def test_transposed_spreads_a_pixel_over_a_window():
    layer = L.ConvTranspose2D(1, 3, stride=2, initializer=lambda s, _: np.arange(9.0).reshape(s))
    y = layer(np.array([1.0, 0, 0, 10]).reshape(1, 1, 2, 2))[0, 0]
    wanted = np.zeros((5, 5))
    wanted[:3, :3] += np.arange(9).reshape(3, 3)
    wanted[2:, 2:] += 10 * np.arange(9).reshape(3, 3)
    assert_array_equal(y, wanted)


def test_transposed_leaves_the_bias_where_no_window_reaches():
    layer = L.ConvTranspose2D(2, 1, stride=3, output_padding=1)
    y, cache = layer.forward(np.ones((1, 1, 2, 1)))
    layer.parameters()["bias"].value = [5, 7]
    y, cache = layer.forward(np.zeros((1, 1, 2, 1)))
    assert_array_equal(y, np.broadcast_to(np.array([5, 7])[:, None, None], (1, 2, 5, 2)))
    layer.backward(np.ones_like(y), cache)
    assert_array_equal(layer.parameters()["bias"].grad, [10, 10])


@pytest.mark.parametrize("kernel_size", [1, 2, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_transposed_same_multiplies_the_size(kernel_size, stride):
    layer = L.ConvTranspose2D(3, kernel_size, stride, padding="same")
    assert layer(np.zeros((1, 2, 5, 4))).shape == (1, 3, 5 * stride, 4 * stride)


@pytest.mark.parametrize(
    ("settings", "image", "size"),
    [
        ({"kernel_size": 3}, (4, 5), (6, 7)),
        ({"kernel_size": 3, "padding": "valid"}, (4, 5), (6, 7)),
        ({"kernel_size": 4, "stride": 2, "padding": 1}, (4, 5), (8, 10)),
        ({"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}, (4, 5), (8, 10)),
        ({"kernel_size": (2, 3), "dilation": 2, "padding": (1, 0)}, (4, 5), (4, 9)),
    ],
)
def test_sizes_of_a_transposed_convolution(settings, image, size):
    layer = L.ConvTranspose2D(1, **settings)
    assert layer.out_shape((1, *image)) == (1, *size)
    assert layer(np.zeros((1, 1, *image))).shape[2:] == size


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="plain"),
        pytest.param({"stride": 3, "padding": (2, 1)}, id="strided"),
        pytest.param({"dilation": 2, "padding": 4}, id="dilated"),
        pytest.param({"groups": 2}, id="groups"),
        pytest.param({"groups": 6}, id="depthwise"),
    ],
)
def test_conv1d_matches_numpy(settings, dtype, tolerance, threads, rng):
    x = rng.standard_normal((3, 6, 11)).astype(dtype)
    layer = L.Conv1D(6, 3, **settings)
    window = (layer.stride, np.broadcast_to(layer.padding, 2), layer.dilation, layer.groups)
    compare(
        layer, x,
        lambda *args: reference.conv1d(*args, *window),
        lambda *args: reference.conv1d_backward(*args, *window),
        tolerance, rng,
    )  # fmt: skip


def test_conv1d_same_puts_the_odd_zero_last():
    x = np.arange(4.0).reshape(1, 1, 4) + 1
    assert_array_equal(L.Conv1D(1, 3, 2, "same", initializer="ones")(x)[0, 0], [6, 7])  # 1+2+3, 3+4


def test_the_weight_of_a_sequence_has_three_axes(rng, tmp_path):
    """Seen, assigned, moved into an arena, saved: without the height of 1 the kernels see."""
    net = L.Sequential([L.Conv1D(4, 3, groups=2, bias=False), L.Dense(3)])
    x = rng.standard_normal((8, 2, 6)).astype(np.float32)
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.1))
    labels = np.arange(8) % 3
    before = [model.train_on_batch(x, labels) for _ in range(30)]
    assert before[-1]["loss"] < before[0]["loss"]
    weight = net.parameters()["conv1d_1.weight"]
    assert weight.value.shape == weight.grad.shape == (4, 1, 3)
    weight.value = np.arange(12.0).reshape(4, 1, 3)
    window = x[:1, :1, :3].ravel()
    assert_allclose(net.layers[0](x)[0, 1, 0], window @ [3, 4, 5], rtol=1e-5)
    model.save(tmp_path / "m.safetensors")
    assert_array_equal(dfs.load(tmp_path / "m.safetensors").predict(x), model.predict(x))
    with pytest.raises(ValueError, match=r"shape \(4, 1, 3\) cannot take \(4, 1, 1, 3\)"):
        weight.value = np.zeros((4, 1, 1, 3))


def test_initializers_see_the_shape_of_the_weight():
    shapes = []

    def zeros(shape, rng):
        shapes.append(shape)
        return np.zeros(shape)

    L.Conv1D(4, 3, groups=2, initializer=zeros)(np.zeros((1, 6, 5)))
    L.ConvTranspose2D(4, (3, 2), groups=2, initializer=zeros)(np.zeros((1, 6, 5, 5)))
    L.DepthwiseConv2D((3, 2), multiplier=2, initializer=zeros)(np.zeros((1, 6, 5, 5)))
    L.SeparableConv2D(4, (3, 2), initializer=zeros)(np.zeros((1, 6, 5, 5)))
    assert shapes == [(4, 3, 3), (6, 2, 3, 2), (12, 1, 3, 2), (6, 1, 3, 2), (4, 6, 1, 1)]


def test_the_algorithm_is_that_of_the_convolutions_inside():
    images, sequence = (16, 12, 12), (16, 20)
    for layer, shape, wanted in [
        (L.DepthwiseConv2D(3), images, "depthwise"),
        (L.DepthwiseConv2D(3, multiplier=2), images, "depthwise"),
        (L.SeparableConv2D(8, 3), images, "depthwise + indirect"),
        (L.ConvTranspose2D(8, 3), images, "winograd"),
        (L.ConvTranspose2D(16, 3, algorithm="direct"), images, "indirect"),
        (L.ConvTranspose2D(2, 3, stride=2), images, "col2im"),  # it runs the input gradient
        (L.Conv1D(8, 3), sequence, "indirect"),
        (L.Conv1D(16, 3, groups=16), sequence, "depthwise"),
    ]:
        layer.build(shape)
        assert layer.algorithm_for(shape) == wanted


def test_the_work_is_that_of_the_convolutions_inside():
    for layer, shape, wanted in [
        (L.DepthwiseConv2D(3, multiplier=2), (4, 7, 8), 2 * 4 * 5 * 6 * 9),
        (L.SeparableConv2D(6, 3), (4, 7, 8), 5 * 6 * 4 * (9 + 6)),
        (L.ConvTranspose2D(6, 3, stride=2, groups=2), (4, 7, 8), 7 * 8 * 4 * 3 * 9),
        (L.Conv1D(6, 3), (4, 7), 5 * 6 * 4 * 3),
    ]:
        layer.build(shape)
        assert layer.multiply_adds(shape) == wanted


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: L.DepthwiseConv2D(3, padding=1), (2, 5, 6, 7)),
        (lambda: L.SeparableConv2D(5, 3, padding=1), (2, 5, 6, 7)),
        (lambda: L.Conv1D(5, 3, padding=1), (2, 5, 9)),
    ],
)
def test_a_relu_left_to_them_has_the_same_bits(make, shape, rng):
    net = L.Sequential([L.ReLU(), make(), L.ReLU()])
    x = rng.standard_normal(shape)
    y, cache = net.forward(x)
    dy = rng.standard_normal(y.shape)
    dx, inner = net.backward(dy, cache), net.layers[1]
    grads = [p.grad.copy() for p in net.parameters().values()]
    for parameter in net.parameters().values():
        parameter.grad = np.zeros(parameter.value.shape)
    plain, cache = inner.forward(np.maximum(x, 0))
    assert_array_equal(y, np.maximum(plain, 0))
    assert_array_equal(net(x), y)
    assert_array_equal(dx, np.where(x > 0, inner.backward(np.where(plain > 0, dy, 0), cache), 0))
    for parameter, grad in zip(net.parameters().values(), grads, strict=True):
        assert_array_equal(parameter.grad, grad)


def test_the_bits_do_not_depend_on_the_number_of_threads(rng, dtype):
    net = L.Sequential(
        [
            L.SeparableConv2D(12, 3, stride=2),
            L.DepthwiseConv2D(3, multiplier=2),
            L.ConvTranspose2D(8, 4, stride=2, padding=1),
            L.ConvTranspose2D(9, 3),
        ]
    )
    x = rng.standard_normal((9, 5, 23, 22)).astype(dtype)
    first = None
    for n in (1, 2, 3, 4, 8):
        with any_work_on(n):
            y, cache = net.forward(x)
            for parameter in net.parameters().values():
                parameter.grad = np.zeros(parameter.value.shape)
            dx = net.backward(np.cos(np.arange(y.size, dtype=dtype)).reshape(y.shape), cache)
        state = [y, dx, *(p.grad.copy() for p in net.parameters().values())]
        first = first or state
        for wanted, got in zip(first, state, strict=True):
            assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: L.DepthwiseConv2D(3), (2, 4, 2, 5), "DepthwiseConv2D window 3x3 exceeds"),
        (lambda: L.DepthwiseConv2D(3), (2, 0, 5, 5), "DepthwiseConv2D takes 1 channels, got"),
        (lambda: L.DepthwiseConv2D(3, name="d"), (4, 5), 'DepthwiseConv2D "d" takes 4 dimensional'),
        (lambda: L.SeparableConv2D(3, 3), (2, 4, 2, 5), "SeparableConv2D window 3x3 exceeds"),
        (lambda: L.SeparableConv2D(3, 3), (4, 5, 5), "SeparableConv2D takes 4 dimensional input"),
        (lambda: L.Conv1D(3, 3), (2, 4, 2), "Conv1D window 1x3 exceeds the image, 1x2"),
        (lambda: L.Conv1D(3, 3), (2, 4, 5, 5), "Conv1D takes 3 dimensional input, got"),
        (lambda: L.Conv1D(4, 3, groups=2), (2, 3, 5), "must cut 3 channels and 4 filters"),
        (lambda: L.ConvTranspose2D(3, 3), (2, 4), "ConvTranspose2D takes 4 dimensional input"),
        (
            lambda: L.ConvTranspose2D(3, 3, padding=2),
            (2, 4, 2, 3),
            "must give an image of 1 to 1073741823 pixels a side, got 0x1 from 2x3",
        ),
        (lambda: L.ConvTranspose2D(3, 3), (2, 4, 0, 3), "a side, got 2x5 from 0x3"),
        (lambda: L.ConvTranspose2D(1, 1, 2**30 - 1), (1, 1, 3, 3), "got 2147483647x2147483647"),
        (lambda: L.ConvTranspose2D(4, 3, groups=2), (2, 3, 5, 5), "must cut 3 channels and"),
    ],
)  # fmt: skip
def test_refuses_an_input(make, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()(np.zeros(shape))


def test_refuses_other_channels_than_at_first():
    for layer, shape, other in [
        (L.DepthwiseConv2D(2), (4, 5, 5), (3, 5, 5)),
        (L.SeparableConv2D(2, 2), (4, 5, 5), (3, 5, 5)),
        (L.ConvTranspose2D(2, 2), (4, 5, 5), (3, 5, 5)),
        (L.Conv1D(2, 2), (4, 5), (3, 5)),
    ]:
        layer(np.zeros((1, *shape)))
        message = f"{layer.label} takes 4 channels, got an"
        with pytest.raises(ValueError, match=re.escape(message)):
            layer(np.zeros((1, *other)))
        layer(np.zeros((1, 4, *(9 for _ in shape[1:]))))  # another size it takes


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.DepthwiseConv2D(0), ValueError, "kernel_size must be a positive int or two"),
        (lambda: L.DepthwiseConv2D(3, multiplier=0), ValueError, "multiplier must be at least 1"),
        (lambda: L.DepthwiseConv2D(3, multiplier=1.0), TypeError, "multiplier must be an int"),
        (lambda: L.DepthwiseConv2D(3, padding=-1), ValueError, "padding must be an int of at"),
        (lambda: L.SeparableConv2D(-1, 3), ValueError, "filters must be at least 1, got -1"),
        (lambda: L.SeparableConv2D(4, 3, bias=1), TypeError, "bias must be True or False, got 1"),
        (lambda: L.SeparableConv2D(4, "3"), TypeError, "kernel_size must be a positive int or two"),
        (lambda: L.SeparableConv2D(4, 3, initializer="x"), ValueError, "initializer"),
        (lambda: L.Conv1D(4, (3, 3)), TypeError, r"kernel_size must be an int, got \(3, 3\)"),
        (lambda: L.Conv1D(4, 2**31), ValueError, "kernel_size must be at most 1073741823"),
        (lambda: L.Conv1D(4, 3, padding="full"), ValueError, "padding must be one of 'same', 'val"),
        (lambda: L.Conv1D(4, 3, padding=(1, 2, 3)), ValueError, "padding must be an int of at"),
        (lambda: L.Conv1D(4, 3, algorithm="winograd"), ValueError, "must be one of 'auto', 'dire"),
        (lambda: L.ConvTranspose2D(4, 3, output_padding=1), ValueError, "output_padding below the"),
        (
            lambda: L.ConvTranspose2D(4, 3, 2, "same", output_padding=1, name="up"),
            ValueError,
            r'ConvTranspose2D "up" must have an output_padding below .* got \(1, 1\)',
        ),
        (lambda: L.ConvTranspose2D(4, 3, 2, output_padding=-1), ValueError, "output_padding must"),
        (lambda: L.ConvTranspose2D(4, 3, 2, output_padding=0.5), TypeError, "output_padding must"),
        (
            lambda: L.ConvTranspose2D(4, 3, 2, algorithm="winograd"),
            ValueError,
            'ConvTranspose2D with algorithm="winograd" must have 3x3 windows at stride 1',
        ),
    ],
)  # fmt: skip
def test_refuses_a_setting(make, error, message):
    with pytest.raises(error, match=message):
        make()
