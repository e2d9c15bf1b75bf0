"""Convolution: against NumPy, its three products, and what it refuses."""

import importlib

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import cnn_core
import deepfs as dfs
from cnn_core import conv, im2col
from deepfs import reference
from deepfs.layers import Conv2D, Epilogue
from deepfs.testing import any_work_on

# settings, shape of x
CASES = [
    pytest.param({"kernel_size": 3}, (2, 3, 6, 7), id="plain"),
    pytest.param({"kernel_size": (2, 4), "stride": (3, 2)}, (2, 3, 8, 9), id="strided"),
    pytest.param({"kernel_size": 3, "padding": (2, 1)}, (1, 2, 4, 4), id="padded"),
    pytest.param({"kernel_size": 3, "padding": (0, 2, 3, 1)}, (2, 1, 4, 5), id="four sides"),
    pytest.param({"kernel_size": 2, "dilation": (3, 2)}, (2, 2, 7, 6), id="dilated"),
    pytest.param({"kernel_size": 3, "groups": 2, "dilation": 2}, (2, 4, 9, 8), id="groups"),
    pytest.param({"kernel_size": 3, "groups": 6, "stride": 2}, (2, 6, 9, 8), id="depthwise"),
    pytest.param({"kernel_size": 3, "groups": 6}, (2, 12, 5, 6), id="a filter to two channels"),
    pytest.param({"kernel_size": 3, "groups": 6}, (16, 6, 14, 14), id="depthwise, two chains"),
    pytest.param({"kernel_size": (12, 11), "groups": 6}, (1, 6, 13, 14), id="132 taps, depthwise"),
    pytest.param({"kernel_size": 1}, (3, 70, 3, 3), id="1x1, many channels"),
    pytest.param({"kernel_size": 5, "padding": 4}, (1, 1, 3, 3), id="padding beyond the image"),
    pytest.param({"kernel_size": 3}, (0, 3, 6, 7), id="no images"),
    pytest.param({"kernel_size": 3}, (40, 20, 9, 9), id="several blocks and chains"),
    pytest.param({"kernel_size": 3}, (2, 30, 5, 6), id="several blocks of taps"),
    pytest.param({"kernel_size": 3}, (1, 3, 45, 43), id="a large image, few channels"),
]


@pytest.mark.parametrize(("settings", "shape"), CASES)
def test_matches_numpy(settings, shape, dtype, tolerance, threads, rng):
    x = rng.standard_normal(shape).astype(dtype)
    layer = Conv2D(6, **settings)
    layer.build(shape[1:], dtype)
    weight, bias = (layer.parameters()[k] for k in ("weight", "bias"))
    bias.value = rng.standard_normal(6)
    wanted = reference.conv2d(
        x, weight.value, bias.value, layer.stride, layer.padding, layer.dilation, layer.groups
    )
    y = layer(x)
    assert y.dtype == dtype
    assert_allclose(y, wanted, **tolerance)


@pytest.mark.parametrize("filters", [1, 2, 3, 4, 6, 7, 8])
@pytest.mark.parametrize(
    ("kernel_size", "settings", "shape"),
    [
        (5, {"padding": 2}, (3, 1, 28, 28)),
        (3, {"stride": (2, 1), "padding": (0, 2, 3, 1)}, (2, 1, 9, 37)),
        (3, {"padding": 1}, (16, 1, 12, 200)),  # more rows than are summed at a time
        ((2, 3), {"dilation": (1, 3)}, (1, 1, 5, 17)),
        ((1, 128), {}, (2, 1, 3, 300)),
        ((11, 12), {}, (1, 1, 14, 40)),  # more taps than a chain
    ],
)
def test_one_channel_and_few_filters(filters, kernel_size, settings, shape, dtype, threads, rng):
    """Neighbouring pixels fill the vectors: rows of any length, and nothing beyond their ends."""
    x = rng.standard_normal(shape).astype(dtype)
    layer = Conv2D(filters, kernel_size, **settings)
    y, cache = layer.forward(x)
    weight, bias = layer.parameters().values()
    windows = (layer.stride, layer.padding, layer.dilation)
    wanted = reference.conv2d(x, weight.value, bias.value, *windows)
    close = {"rtol": 0, "atol": 3e-5 if dtype == np.float32 else 1e-12}
    assert_allclose(y, wanted, **close)
    assert_array_equal(layer._infer(x, Epilogue(relu=True)), np.where(y < 0, 0, y))
    dy = rng.standard_normal(y.shape).astype(dtype)
    layer.backward(dy, cache)
    columns = reference.im2col(x.astype(float), layer.kernel_size, *windows)
    rows = dy.astype(float).transpose(0, 2, 3, 1).reshape(len(columns), filters)
    close["atol"] *= 20
    assert_allclose(weight.grad.reshape(filters, -1), (columns.T @ rows).T, **close)
    assert_allclose(bias.grad, rows.sum(0), **close)
    x[0, 0, 1, -1] = np.nan
    touched = reference.conv2d(np.isnan(x) * 1.0, np.abs(weight.value) + 1, bias.value, *windows)
    assert_array_equal(np.isnan(layer(x)), touched > 0)


@pytest.mark.parametrize(("settings", "shape"), CASES)
def test_gradients_match_numpy(settings, shape, rng):
    x = rng.standard_normal(shape)
    layer = Conv2D(6, **settings)
    y, cache = layer.forward(x)
    weight, bias = (layer.parameters()[k] for k in ("weight", "bias"))
    dy = rng.standard_normal(y.shape)
    dx = layer.backward(dy, cache)
    window = (layer.stride, layer.padding, layer.dilation, layer.groups)
    wanted = reference.conv2d_backward(x, weight.value, dy, *window)
    for got, expected in zip((dx, weight.grad, bias.grad), wanted, strict=True):
        assert_allclose(got, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("co", [1, 4, 8, 15, 16, 17, 31, 32, 33, 48, 50, 65])
@pytest.mark.parametrize("pixels", [1, 2, 3, 5, 6, 7, 13, 14, 15, 29, 113])
def test_every_tile_of_the_product(co, pixels, dtype, tolerance, rng):
    x = rng.standard_normal((1, 3, 1, pixels)).astype(dtype)
    layer = Conv2D(co, 1)
    y, cache = layer.forward(x)
    weight, bias = layer.parameters().values()
    assert_allclose(y, np.einsum("ncij,ocab->noij", x, weight.value), **tolerance)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx = layer.backward(dy, cache)
    scale = {"rtol": 0, "atol": tolerance["atol"] * 20}
    assert_allclose(dx, np.einsum("noij,ocab->ncij", dy, weight.value), **scale)
    assert_allclose(weight.grad[:, :, 0, 0], np.einsum("noij,ncij->oc", dy, x), **scale)
    assert_allclose(bias.grad, dy.sum((0, 2, 3)), **scale)


@pytest.mark.parametrize("depthwise", [False, True])
def test_relu_and_drelu_of_a_grouped_convolution(depthwise, rng):
    c, groups = 18, 18 if depthwise else 3
    x, w = rng.standard_normal((2, 7, 8, c)), rng.standard_normal((3, 3, c // groups, c))
    x[rng.random(x.shape) < 0.3] = 0  # as a ReLU leaves it: no gradient passes at 0
    window, (plain, fused) = (2, 1, 1, 1, 1, 1, groups), np.empty((2, 2, 4, 8, c))
    conv.conv2d_forward(x, w, None, plain, *window)
    conv.conv2d_forward(x, w, None, fused, *window, relu=True)
    assert_array_equal(fused, np.maximum(plain, 0))
    dx, fused = np.empty((2, *x.shape))
    conv.conv2d_backward_input(plain, w, dx, *window)
    conv.conv2d_backward_input(plain, w, fused, *window, drelu=x)
    assert_array_equal(fused, np.where(x > 0, dx, 0))


@pytest.mark.parametrize("request_", ["direct", "winograd"])
@pytest.mark.parametrize("channels", [1, 5, 16, 30])
def test_epilogues_have_the_bits_of_a_pass_of_their_own(channels, request_, rng):
    x, w = rng.standard_normal((2, 9, 10, channels)), rng.standard_normal((3, 3, channels, 18))
    x, w, bias = x.astype("f"), w.astype("f"), rng.standard_normal(18).astype("f")
    x[rng.random(x.shape) < 0.3] = 0  # as a ReLU leaves it: no gradient passes at 0
    window = (1, 1, 1, 1, 1, 1, 1, request_)
    plain, fused = np.empty((2, 2, 9, 10, 18), "f")
    conv.conv2d_forward(x, w, bias, plain, *window)
    conv.conv2d_forward(x, w, bias, fused, *window, relu=True)
    assert_array_equal(fused, np.where(plain < 0, 0, plain))
    dx, fused = np.empty((2, *x.shape), "f")
    conv.conv2d_backward_input(plain, w, dx, *window)
    conv.conv2d_backward_input(plain, w, fused, *window, drelu=x)
    assert_array_equal(fused, np.where(x > 0, dx, 0))
    residual = rng.standard_normal(x.shape).astype("f")
    conv.conv2d_backward_input(plain, w, fused, *window, residual=residual)
    assert_array_equal(fused, dx + residual)
    conv.conv2d_backward_input(plain, w, fused, *window, drelu=x, residual=residual)
    assert_array_equal(fused, np.where(x > 0, dx + residual, 0))
    fused[...] = np.where(x > 0, residual, 0)  # dx may lie where the residual does
    conv.conv2d_backward_input(plain, w, fused, *window, drelu=x, residual=fused)
    assert_array_equal(fused, np.where(x > 0, dx + residual, 0))
    for wrong in ({"drelu": x[:1]}, {"residual": residual[:1]}):
        with pytest.raises(ValueError, match="drelu, residual and the window do not belong"):
            conv.conv2d_backward_input(plain, w, fused, *window, **wrong)


@pytest.mark.parametrize("channels", [2, 16, 21])
def test_depthwise_is_a_convolution_of_each_channel(channels, dtype, tolerance, rng):
    settings = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)}
    layer = Conv2D(channels, 3, groups=channels, **settings)
    x = rng.standard_normal((3, channels, 9, 10)).astype(dtype)
    y, cache = layer.forward(x)
    assert layer.algorithm_for(x.shape[1:]) == "depthwise"
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx, weight = layer.backward(dy, cache), layer.parameters()["weight"]
    close = {"rtol": 0, "atol": 20 * tolerance["atol"]}
    for i in range(channels):
        one = Conv2D(1, 3, **settings)
        one.build((1, 9, 10), dtype)
        one.parameters()["weight"].value = weight.value[i : i + 1]
        wanted, cache = one.forward(x[:, i : i + 1])
        assert_allclose(y[:, i : i + 1], wanted, **close)
        assert_allclose(dx[:, i : i + 1], one.backward(dy[:, i : i + 1], cache), **close)
        assert_allclose(weight.grad[i], one.parameters()["weight"].grad[0], **close)
        assert_allclose(
            layer.parameters()["bias"].grad[i], one.parameters()["bias"].grad[0], **close
        )


@pytest.mark.parametrize("stride", [2, 3, (1, 4), (5, 2)])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_every_phase_of_a_strided_gradient(stride, dilation, rng):
    """The gradient of x is the adjoint: <conv x, dy> = <x, dx>, also where no window reaches."""
    layer = Conv2D(4, (2, 3), stride, padding=(1, 0), dilation=dilation, groups=2, bias=False)
    x = rng.standard_normal((2, 6, 11, 13))
    y, cache = layer.forward(x)
    dy = rng.standard_normal(y.shape)
    dx = layer.backward(dy, cache)
    for _ in range(3):
        other = rng.standard_normal(x.shape)
        assert_allclose((layer(other) * dy).sum(), (other * dx).sum(), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("groups", [1, 4, 8])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_every_pixel_of_a_gradient_is_written(stride, groups, rng):
    """Those that no window reaches as well: at stride 3, two taps leave every third pixel."""
    x, w = np.empty((2, 9, 11, 8)), rng.standard_normal((2, 2, 8 // groups, 8))
    dy = rng.standard_normal((2, (9 - 2) // stride + 1, (11 - 2) // stride + 1, 8))
    dx = np.full(x.shape, np.nan)
    conv.conv2d_backward_input(dy, w, dx, stride, stride, 0, 0, 1, 1, groups)
    reached = np.zeros(x.shape[1:3], bool)
    for a in (0, 1):
        for b in (0, 1):
            rows, columns = (np.arange(size) * stride for size in dy.shape[1:3])
            reached[np.ix_(rows + a, columns + b)] = True
    assert not np.isnan(dx).any()
    assert_array_equal((dx != 0).all((0, 3)), reached)


@pytest.mark.parametrize(
    ("kernel_size", "settings"),
    [
        (5, {"padding": 2, "groups": 2}),
        ((3, 5), {"stride": (2, 1), "padding": (0, 3)}),
        (3, {"dilation": (5, 2)}),
        ((4, 3), {"stride": (4, 2), "dilation": (2, 4), "padding": 1}),
        (2, {"stride": (3, 1)}),
    ],
)
def test_gradient_of_a_large_image_of_few_channels(kernel_size, settings, dtype, rng):
    """It is computed a few rows of windows at a time, and pixels may be in several, or in none."""
    layer = Conv2D(4, kernel_size, bias=False, **settings)
    x = rng.standard_normal((2, layer.groups, 250, 110)).astype(dtype)
    y, cache = layer.forward(x)
    dy = rng.standard_normal(y.shape).astype(dtype)
    np.full(x.shape, np.nan, dtype)  # leaves NaN in memory that dx may get
    dx = layer.backward(dy, cache)
    window = (layer.stride, layer.padding, layer.dilation, layer.groups)
    weight = layer.parameters()["weight"].value
    wanted = reference.conv2d_backward(
        x.astype(float), weight.astype(float), dy.astype(float), *window
    )[0]
    assert_allclose(dx, wanted, rtol=0, atol=2e-5 if dtype == np.float32 else 1e-12)


def test_an_enormous_border_is_refused():
    x, w, y = np.zeros((1, 3, 3, 1)), np.zeros((1, 1, 1, 1)), np.zeros((1, 2, 3000, 1))
    with pytest.raises(MemoryError, match="reaches that far"):
        conv.conv2d_forward(x, w, None, y, 2**29, 2**29, 1, 1, 1, 1, 1)


def test_same_padding_puts_the_odd_pixel_last():
    x = np.arange(4.0).reshape(1, 1, 1, 4) + 1
    y = Conv2D(1, (1, 3), stride=2, padding="same", initializer="ones")(x)
    assert_array_equal(y[0, 0, 0], [6, 7])  # 1+2+3, 3+4+0


@pytest.mark.parametrize("size", range(1, 10))
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_same_padding_has_a_window_for_every_step_begun(stride, size):
    layer = Conv2D(1, (2, 3), stride, "same")
    assert layer.out_shape((1, size, 7)) == (1, -(-size // stride), -(-7 // stride))


# channels, filters, height, width, padding
WINOGRAD = [
    (16, 16, 28, 28, 1),
    (3, 5, 6, 7, 1),
    (1, 1, 4, 4, 1),
    (17, 33, 9, 11, 2),
    (40, 20, 5, 3, 0),
    (140, 130, 13, 6, (0, 2, 1, 0)),
    (4, 4, 80, 78, 1),  # so many tiles that a partial sum of the weights is that of two blocks
]


@pytest.mark.parametrize(("c", "filters", "h", "w", "padding"), WINOGRAD)
def test_winograd_is_close_to_the_direct_sum(c, filters, h, w, padding, threads, rng):
    """Within 1.5e-5 of the largest value, 2e-5 for weights; tails of every kind."""
    x = rng.standard_normal((3, c, h, w)).astype(np.float32)
    results = []
    for algorithm in ("direct", "winograd"):
        dfs.set_seed(1)
        layer = Conv2D(filters, 3, padding=padding, algorithm=algorithm)
        dtype = np.float64 if algorithm == "direct" else np.float32
        layer.build(x.shape[1:], dtype)
        layer.parameters()["bias"].value = 1 + np.arange(filters)
        y, cache = layer.forward(x.astype(dtype))
        dy = 0.5 + np.cos(np.arange(y.size)).reshape(y.shape)  # sums do not cancel
        layer.backward(dy, cache)  # twice: gradients of weights are added up
        dx = layer.backward(dy, cache)
        results.append([y, dx, layer.parameters()["weight"].grad, layer.parameters()["bias"].grad])
    for wanted, got, bound in zip(*results, (1.5e-5, 1.5e-5, 2e-5, 1e-5), strict=True):
        assert np.abs(wanted - got).max() <= bound * np.abs(wanted).max()


def test_winograd_gives_the_same_bits_for_any_number_of_threads(rng):
    x = rng.standard_normal((9, 20, 15, 14)).astype(np.float32)
    layer = Conv2D(36, 3, padding=1, algorithm="winograd")
    layer(x)
    first = None
    for n in (1, 2, 3, 4, 8):
        with any_work_on(n):
            layer.parameters()["weight"].grad = np.zeros((36, 20, 3, 3))
            y, cache = layer.forward(x)
            dx = layer.backward(np.sin(y), cache)
        state = [y, dx, layer.parameters()["weight"].grad.copy()]
        first = first or state
        for wanted, got in zip(first, state, strict=True):
            assert_array_equal(got, wanted)


def test_who_chooses_winograd(monkeypatch, rng):
    x = rng.standard_normal((2, 8, 10, 10)).astype(np.float32)

    def outputs(filters=8, **settings):
        dfs.set_seed(2)
        return Conv2D(filters, 3, **settings)(x)

    direct, winograd = outputs(algorithm="direct"), outputs(algorithm="winograd")
    assert (direct != winograd).any()
    assert_array_equal(outputs(), winograd)
    assert_array_equal(outputs(7), outputs(7, algorithm="direct"))  # too few filters
    x = x[..., :5, :5].copy()  # 3x3 outputs are 9 of 16 pixels of a tile, 5x5 only 25 of 64
    assert_array_equal(outputs(), outputs(algorithm="winograd"))
    assert_array_equal(outputs(padding=1), outputs(padding=1, algorithm="direct"))
    direct, winograd = outputs(algorithm="direct"), outputs(algorithm="winograd")
    monkeypatch.setattr("deepfs.config.winograd", False)
    assert_array_equal(outputs(), direct)
    assert_array_equal(outputs(algorithm="winograd"), winograd)
    x = x.astype(np.float64)  # float64 is always direct
    assert_array_equal(outputs(algorithm="winograd"), outputs(algorithm="direct"))


FORWARD, BACKWARD_INPUT, BACKWARD_WEIGHT = conv.PASSES
PLAIN = (1, 1, 1, 1, 1, 1, 1)  # stride, padding, dilation, groups
CHOICES = [  # name, passes; c, co, oh, ow, kh, kw; window, request; bytes of a number
    ("depthwise", conv.PASSES, (8, 8, 9, 9, 3, 3), (2, 2, 1, 1, 1, 1, 8, "auto"), 4),
    ("depthwise", conv.PASSES, (8, 8, 9, 9, 3, 3), (1, 1, 1, 1, 2, 2, 8, "direct"), 8),
    ("winograd", conv.PASSES, (8, 8, 9, 9, 3, 3), (*PLAIN, "auto"), 4),
    ("winograd", conv.PASSES, (1, 1, 5, 5, 3, 3), (*PLAIN, "winograd"), 4),
    ("one_channel", (FORWARD, BACKWARD_WEIGHT), (1, 2, 9, 9, 3, 3), (*PLAIN, "auto"), 4),
    ("one_channel", (FORWARD, BACKWARD_WEIGHT), (1, 1, 9, 9, 3, 3), (*PLAIN, "winograd"), 8),
    ("col2im", (BACKWARD_INPUT,), (1, 2, 9, 9, 3, 3), (*PLAIN, "auto"), 4),
    ("col2im", (BACKWARD_INPUT,), (2, 64, 9, 9, 5, 5), (2, 2, 0, 0, 1, 1, 1, "auto"), 4),
    ("indirect", conv.PASSES, (32, 8, 9, 9, 3, 3), (*PLAIN, "direct"), 4),
    ("indirect", conv.PASSES, (32, 8, 9, 9, 3, 3), (*PLAIN, "winograd"), 8),
    ("indirect", conv.PASSES, (32, 7, 9, 9, 3, 3), (*PLAIN, "auto"), 4),
    ("indirect", (FORWARD, BACKWARD_WEIGHT), (7, 8, 9, 9, 3, 3), (*PLAIN, "auto"), 4),
    ("indirect", (FORWARD, BACKWARD_WEIGHT), (16, 8, 9, 9, 3, 3), (1, 1, 1, 1, 1, 1, 8, "auto"), 4),
    ("indirect", conv.PASSES, (32, 8, 5, 5, 3, 3), (*PLAIN, "auto"), 4),
    ("indirect", conv.PASSES, (32, 8, 9, 9, 3, 3), (1, 2, 1, 1, 1, 1, 1, "auto"), 4),
    ("indirect", conv.PASSES, (32, 8, 9, 9, 1, 1), (*PLAIN, "auto"), 4),
    ("indirect", conv.PASSES, (64, 8, 9, 9, 3, 3), (1, 1, 1, 1, 1, 1, 2, "auto"), 4),
    ("indirect", (BACKWARD_INPUT,), (1, 2, 9, 9, 1, 1), (*PLAIN, "auto"), 4),
    ("indirect", (FORWARD,), (1, 9, 9, 9, 3, 3), (*PLAIN, "auto"), 4),
    ("indirect", (FORWARD,), (1, 1, 9, 9, 3, 3), (1, 2, 1, 1, 1, 1, 1, "auto"), 4),
    ("indirect", (FORWARD,), (1, 1, 9, 9, 13, 5), (*PLAIN, "auto"), 4),
    ("indirect", (FORWARD,), (2, 1, 9, 9, 3, 3), (*PLAIN, "auto"), 4),
]


def test_the_algorithm_follows_from_the_shapes():
    """Two filters are half a vector of 16 bytes, the least there is: so at every level."""
    for name, passes, shapes, window, itemsize in CHOICES:
        for pass_name in passes:
            assert conv.algorithm(pass_name, *shapes, *window, itemsize) == name, (shapes, window)
    assert {name for name, *_ in CHOICES} == set(conv.ALGORITHMS)


@pytest.mark.skipif(cnn_core.level not in ("v2", "v3", "v4"), reason="vectors of another length")
@pytest.mark.parametrize(
    ("c", "co", "groups", "itemsize", "levels"),
    [
        (6, 12, 1, 4, ("v3", "v4")),
        (8, 16, 1, 4, ("v3", "v4")),
        (6, 11, 1, 4, ("v4",)),
        (12, 24, 2, 4, ("v3", "v4")),
        (12, 22, 2, 4, ("v4",)),
        (4, 4, 1, 4, ("v3", "v4")),
        (9, 18, 1, 4, ()),
        (3, 6, 1, 8, ("v4",)),
    ],
)
def test_how_many_channels_col2im_takes(c, co, groups, itemsize, levels):
    given = (BACKWARD_INPUT, c, co, 9, 9, 5, 5, *PLAIN[:-1], groups, "auto", itemsize)
    assert (conv.algorithm(*given) == "col2im") == (cnn_core.level in levels)


@pytest.mark.skipif(cnn_core.level not in ("v2", "v3", "v4"), reason="vectors of another length")
@pytest.mark.parametrize(
    ("co", "itemsize", "levels"),
    [
        (2, 4, ("v2", "v3", "v4")),
        (5, 4, ("v3", "v4")),
        (8, 4, ("v3", "v4")),
        (9, 4, ()),
        (4, 8, ("v4",)),
    ],
)
def test_how_many_filters_one_channel_takes(co, itemsize, levels):
    for pass_name in (FORWARD, BACKWARD_WEIGHT):
        taken = conv.algorithm(pass_name, 1, co, 9, 9, 5, 5, *PLAIN, "auto", itemsize)
        assert (taken == "one_channel") == (cnn_core.level in levels)


@pytest.mark.parametrize("name", conv.ALGORITHMS)
def test_every_algorithm_has_a_module(name):
    importlib.import_module(f"cnn_core.conv_{name}")


@pytest.mark.parametrize(
    "wrong",
    [
        {"pass_name": "backward"},
        {"request": "fft"},
        {"request": "winograd", "sw": 2},
        {"groups": 0},
        {"kh": 0},
        {"dw": -1},
    ],
)
def test_an_algorithm_for_nothing_is_refused(wrong):
    names = ["c", "co", "oh", "ow", "kh", "kw", "sh", "sw", "top", "left", "dh", "dw", "groups"]
    given = {"pass_name": "forward"} | dict.fromkeys(names, 1) | {"kh": 3, "kw": 3}
    with pytest.raises(ValueError, match="no such pass of a convolution"):
        conv.algorithm(**(given | wrong))


@pytest.mark.parametrize(
    "settings",
    [{"kernel_size": 5}, {"stride": 2}, {"dilation": 2}, {"groups": 2}, {"algorithm": "fft"}],
)
def test_winograd_refuses(settings):
    with pytest.raises(ValueError, match=r"must have 3x3 windows|algorithm must be one"):
        Conv2D(**({"filters": 4, "kernel_size": 3, "algorithm": "winograd"} | settings))


def transformed(weight):
    """Return a weight (3, 3, c, co) as `conv2d_transformed` takes it."""
    made = np.empty(conv.transformed_length(*weight.shape[2:]), np.float32)
    conv.transform_weight(weight, made)
    return made


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(
    ("n", "h", "w", "c", "co", "padding"),
    [(1, 8, 8, 64, 64, 1), (3, 9, 6, 8, 17, 0), (2, 1, 5, 1, 1, 2), (0, 8, 8, 8, 8, 1)],
)
def test_weights_transformed_before_give_the_same_bits(n, h, w, c, co, padding, relu, threads, rng):
    x, weight = rng.standard_normal((n, h, w, c)), rng.standard_normal((3, 3, c, co))
    x, weight, bias = (a.astype(np.float32) for a in (x, weight, rng.standard_normal(co)))
    oh, ow = h + 2 * padding - 2, w + 2 * padding - 2
    for b in (bias, None):
        wanted, found = np.empty((2, n, oh, ow, co), np.float32)
        window = (1, 1, padding, padding, 1, 1, 1, "winograd")
        conv.conv2d_forward(x, weight, b, wanted, *window, relu=relu)
        conv.conv2d_transformed(x, transformed(weight), b, found, padding, padding, relu)
        assert_array_equal(found, wanted)


def test_transformed_weights_of_another_convolution_are_refused():
    def zeros(*shape):
        return np.zeros(shape, np.float32)

    known = transformed(zeros(3, 3, 4, 8))
    right = {"x": zeros(1, 5, 5, 4), "transformed": known, "bias": None,
             "y": zeros(1, 5, 5, 8), "top": 1, "left": 1}  # fmt: skip
    conv.conv2d_transformed(**right)
    for wrong in (
        {"x": zeros(1, 5, 5, 5)}, {"transformed": known[:-1]}, {"bias": zeros(7)},
        {"y": zeros(2, 5, 5, 8)}, {"y": zeros(1, 5, 5, 80)}, {"top": 2**40},
        {"x": zeros(1, 0, 5, 4)},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="do not belong to one convolution"):
            conv.conv2d_transformed(**(right | wrong))
    for weight in (zeros(3, 2, 4, 8), zeros(3, 3, 5, 8), zeros(3, 3, 0, 8)):
        with pytest.raises(ValueError, match="do not belong to one convolution"):
            conv.transform_weight(weight, known)


@pytest.mark.parametrize("dilation", [(1, 2), (2, 1)])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 2, 2, 1)])
def test_im2col_and_its_adjoint(padding, dilation, dtype, threads, rng):
    x = rng.standard_normal((2, 3, 6, 5)).astype(dtype)
    window = (3, 2), (2, 1), padding, dilation
    col = dfs.im2col(x, *window)
    assert_array_equal(col, reference.im2col(x, *window))
    other = rng.standard_normal(col.shape).astype(dtype)
    back = dfs.col2im(other, x.shape, *window)
    wanted = reference.col2im(other, x.shape, *window)
    assert_allclose(back, wanted, rtol=0, atol=1e-6 if dtype == np.float32 else 1e-14)
    product = np.vdot(col.astype(float), other)
    assert product == pytest.approx(np.vdot(x.astype(float), back), rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "shape", "error", "message"),
    [
        ({"filters": 0}, None, ValueError, "filters must be at least 1, got 0"),
        ({"filters": 2.5}, None, TypeError, "filters must be an int, got 2.5"),
        ({"kernel_size": 0}, None, ValueError, "kernel_size must be a positive int or two"),
        ({"kernel_size": (3, 3, 3)}, None, ValueError, "or two of them, got (3, 3, 3)"),
        ({"kernel_size": "3"}, None, TypeError, "kernel_size must be a positive int or two"),
        ({"stride": -1}, None, ValueError, "stride must be a positive int or two of them, got -1"),
        ({"stride": 2**63}, None, ValueError, "stride must be a positive int or two of them"),
        ({"padding": -1}, None, ValueError, "padding must be an int of at least 0"),
        ({"padding": "full"}, None, ValueError, 'padding must be "same", "valid" or ints'),
        ({"padding": (1, 2, 3)}, None, ValueError, "two or four of them"),
        ({"dilation": 0}, None, ValueError, "dilation must be a positive int"),
        ({"groups": 0}, None, ValueError, "groups must be at least 1, got 0"),
        ({"bias": 1}, None, TypeError, "bias must be True or False, got 1"),
        ({"initializer": "he"}, None, ValueError, "initializer must be one of"),
        ({"groups": 3}, (1, 4, 5, 5), ValueError, "4 channels and 4 filters into equal groups"),
        ({}, (1, 4, 2, 5), ValueError, 'Conv2D "c" window 3x3 exceeds the image, 2x5'),
        ({"dilation": 3}, (1, 4, 5, 7), ValueError, "dilated by 3x3 exceeds the image, 5x7"),
        ({}, (4, 5), ValueError, 'Conv2D "c" takes 4 dimensional input, got shape (n, 5)'),
        ({}, (1, 0, 5, 5), ValueError, 'Conv2D "c" takes 1 channels, got an image of shape'),
    ],
)
def test_refuses(settings, shape, error, message):
    import re

    with pytest.raises(error, match=re.escape(message)):
        Conv2D(**({"filters": 4, "kernel_size": 3, "name": "c"} | settings))(np.zeros(shape))


def test_refuses_other_channels_than_before():
    layer = Conv2D(16, 3, name="conv3")
    layer(np.zeros((1, 16, 5, 5)))
    message = r'Conv2D "conv3" takes 16 channels, got an image of shape \(3, 32, 32\)'
    with pytest.raises(ValueError, match=message):
        layer(np.zeros((8, 3, 32, 32)))


def test_a_refused_first_input_leaves_the_layer_as_new():
    layer = Conv2D(4, 3)
    with pytest.raises(ValueError, match="exceeds the image"):
        layer(np.zeros((1, 1, 2, 2)))
    assert layer(np.zeros((1, 3, 5, 5))).shape == (1, 4, 3, 3)


def test_im2col_refuses_products_that_wrap_around():
    """1 * 103787598 * 192981035 * 921 is 267914 modulo 2**64."""
    col, x = np.ones((1, 267914), np.float32), np.zeros((1, 1, 70000, 921), np.float32)
    window = (1, 1, 103787598, 192981035, 1, 1, 0, 0, 1, 1)
    with pytest.raises(ValueError, match="do not belong to one im2col"):
        im2col.col2im(col, x, *window)
    with pytest.raises(ValueError, match="do not belong to one im2col"):
        im2col.im2col(x, col, *window)


def test_im2col_of_other_numbers():
    x = np.arange(9).reshape(1, 1, 3, 3)
    assert dfs.im2col(x.astype(">f8"), 2).dtype == np.float64
    assert dfs.im2col(x, 2).dtype == np.float32
    assert dfs.im2col(np.zeros((0, 1, 3, 3)), 2).shape == (0, 4)
    with pytest.raises(TypeError, match="im2col takes real numbers, got an array of complex128"):
        dfs.im2col(x + 1j, 2)


def test_kernels_refuse_what_would_crash():
    """Nothing callable from Python may read or write out of bounds."""
    x, y = np.zeros((2, 5, 5, 4)), np.zeros((2, 3, 3, 6))
    w, b = np.zeros((3, 3, 4, 6)), np.zeros(6)
    window = (1, 1, 0, 0, 1, 1, 1)
    bad = [
        (x[:1], w, b, y, window),
        (x, w[:, :, :3].copy(), b, y, window),
        (x, w, b[:5].copy(), y, window),
        (x, w, b, y[..., :5].copy(), window),
        (x, w, b, y, (0, 1, 0, 0, 1, 1, 1)),
        (x, w, b, y, (1, -1, 0, 0, 1, 1, 1)),
        (x, w, b, y, (1, 1, 2**62, 0, 1, 1, 1)),
        (x, w, b, y, (1, 1, 0, 0, 2**62, 1, 1)),
        (x, w, b, y, (1, 1, 0, 0, 1, 1, 0)),
        (x, w, b, y, (1, 1, 0, 0, 1, 1, 4)),
        (x, w, b, y, (1, 2, 0, 0, 1, 1, 1, "winograd")),
        (x, np.zeros((2, 3, 4, 6)), b, y, (1, 1, 0, 0, 1, 1, 1, "winograd")),
        (x, w, b, y, (1, 1, 0, 0, 1, 1, 1, "fft")),
        (x, w, b, y, (1, 1, 0, 0, 1, 1, 1, None)),
    ]
    for *arrays, numbers in bad:
        with pytest.raises(ValueError, match="do not belong to one convolution"):
            conv.conv2d_forward(*arrays, *numbers)
    with pytest.raises(ValueError, match="do not belong"):
        conv.conv2d_backward_input(y[:1], w, x, *window)
    with pytest.raises(ValueError, match="do not belong"):
        conv.conv2d_backward_weight(x, y, np.zeros((3, 3, 4, 5)), None, *window)
    with pytest.raises(ValueError, match="no pixels"):
        conv.conv2d_forward(np.zeros((2, 0, 5, 4)), w, b, y, *window)
    # a window that stands outside the image reads zeros, not memory
    conv.conv2d_forward(x, w, b, y, 7, 7, 100, -100, 50, 1, 1)
    assert not y.any()
