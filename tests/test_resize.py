"""Resize2D: against NumPy, by hand, special values, its kernel, and what it refuses."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import resize
from deepfs import layers as L
from deepfs import reference

SIZES = [
    pytest.param((4, 6), (9, 3), id="larger and smaller"),
    pytest.param((7, 7), (8, 8), id="one pixel more"),
    pytest.param((8, 8), (7, 7), id="one pixel less"),
    pytest.param((1, 1), (5, 6), id="of one pixel"),
    pytest.param((13, 10), (1, 2), id="to one row"),
    pytest.param((5, 5), (5, 5), id="as it is"),
    pytest.param((3, 2), (9, 8), id="whole factors"),
]


@pytest.mark.parametrize(("image", "size"), SIZES)
@pytest.mark.parametrize("method", ["bilinear", "nearest"])
@pytest.mark.parametrize("channels", [1, 3, 5, 21])
def test_matches_numpy(image, size, method, channels, dtype, tolerance, threads, rng):
    x = rng.standard_normal((2, channels, *image)).astype(dtype)
    layer = L.Resize2D(size, method)
    y, cache = layer.forward(x)
    assert y.dtype == dtype
    assert_allclose(y, reference.resize2d(x, size, method), **tolerance)
    dy = rng.standard_normal(y.shape).astype(dtype)
    wanted = reference.resize2d_backward(x, dy, method)
    assert_allclose(layer.backward(dy, cache), wanted, rtol=0, atol=10 * tolerance["atol"])


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_any_size_from_any_other(method, rng):
    """The gradient is the adjoint: the products <y, dy> and <x, dx> are equal."""
    for h, w, oh, ow in rng.integers(1, 30, (100, 4)).tolist():
        x, dy = rng.standard_normal((1, 2, h, w)), rng.standard_normal((1, 2, oh, ow))
        layer = L.Resize2D((oh, ow), method)
        y, cache = layer.forward(x)
        assert_allclose(y, reference.resize2d(x, (oh, ow), method), rtol=0, atol=1e-13)
        dx = layer.backward(dy, cache)
        assert_allclose((y * dy).sum(), (x * dx).sum(), rtol=1e-9, atol=1e-11)


def test_rows_by_hand():
    """Numbers of PyTorch, with align_corners=False, and with nearest-exact."""
    x = np.array([0.0, 10, 20, 30]).reshape(1, 1, 4, 1)
    column = L.Resize2D((6, 1))(x).ravel()
    assert_allclose(column, [0, 5, 35 / 3, 55 / 3, 25, 30], rtol=1e-15)
    assert_allclose(L.Resize2D((3, 1))(x).ravel(), [5 / 3, 15, 85 / 3], rtol=1e-15)
    assert_array_equal(L.Resize2D((6, 1), "nearest")(x).ravel(), [0, 10, 10, 20, 30, 30])
    assert_array_equal(L.Resize2D((2, 1), "nearest")(x).ravel(), [10, 30])  # on a line: the later


def test_whole_factors_are_those_of_upsampling(dtype, rng):
    x = rng.standard_normal((2, 3, 4, 5)).astype(dtype)
    up, layer = L.Upsample2D((3, 2)), L.Resize2D((12, 10), "nearest")
    y, cache = layer.forward(x)
    assert_array_equal(y, up(x))
    dy = rng.standard_normal(y.shape).astype(dtype)
    assert_allclose(layer.backward(dy, cache), up.backward(dy, up.forward(x)[1]), rtol=1e-5)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_the_size_it_has_changes_no_bit(method, rng):
    x = rng.standard_normal((2, 3, 4, 5))
    x[0, 0, 0, :4] = np.nan, np.inf, -0.0, -np.inf
    y = L.Resize2D((4, 5), method)(x)
    assert_array_equal(y, x)
    assert_array_equal(np.signbit(y), np.signbit(x))


def test_a_pixel_of_weight_0_is_not_read():
    """The middle of three rows is the middle of nine: neither NaN nor infinity comes near it."""
    x = np.array([np.nan, 1.0, np.inf]).reshape(1, 1, 3, 1)
    y = L.Resize2D((9, 1))(x).ravel()
    assert_array_equal(y[[4, 7, 8]], [1, np.inf, np.inf])
    assert np.isnan(y[:4]).all()


def test_the_gradient_of_skipped_pixels_is_0():
    layer = L.Resize2D((2, 1), "nearest")
    _, cache = layer.forward(np.zeros((1, 1, 7, 1)))
    dx = layer.backward(np.array([-1.0, -2.0]).reshape(1, 1, 2, 1), cache).ravel()
    assert_array_equal(dx, [0, -1, 0, 0, 0, -2, 0])
    assert not np.signbit(dx[dx == 0]).any()


def test_constants_stay_constants(dtype):
    x = np.full((1, 3, 7, 5), 0.1, dtype)
    assert_allclose(L.Resize2D((31, 33))(x), 0.1, rtol=3 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (L.Resize2D(2), (3, 4), "Resize2D takes 4 dimensional input, got shape (n, 3, 4): for "
         "sequences, use Upsample1D, ZeroPad1D or Crop1D; for images of one channel, x[:, None]"),
        (L.Resize2D(2), (3, 0, 4), "Resize2D needs an image with pixels, got shape (3, 0, 4)"),
    ],
)  # fmt: skip
def test_refuses_an_input(layer, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(np.zeros((2, *shape)))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"size": 0}, ValueError, "size must be a positive int or two of them, got 0"),
        ({"size": (2, 3, 4)}, ValueError, "size must be a positive int or two of them"),
        ({"size": 1.5}, TypeError, "size must be a positive int or two of them, got 1.5"),
        ({"size": 2, "method": "cubic"}, ValueError, "method must be one of 'bilinear', 'nearest'"),
        ({"size": 2, "mode": "nearest"}, TypeError, "'mode': it is called 'method' here"),
        ({"size": 2, "align_corners": False}, TypeError, "centres in the middle, as with"),
        ({"height": 2}, TypeError, "no argument 'height': it is called 'size' here"),
        ({"size": 2, "interpolation": "nearest"}, TypeError, "it is called 'method' here"),
    ],
)
def test_refuses_a_setting(settings, error, message):
    with pytest.raises(error, match=message):
        L.Resize2D(**settings)


def test_settings_that_are_assigned():
    layer, x = L.Resize2D(2), np.arange(3.0).reshape(1, 1, 1, 3)
    assert layer.size == (2, 2)
    layer(x)
    layer.size, layer.method = (1, 1), "nearest"
    assert_array_equal(layer(x), [[[[1]]]])
    with pytest.raises(ValueError, match="method must be one of"):
        layer.method = "area"
    assert layer.method == "nearest"


def test_the_kernel_refuses_what_would_crash():
    x, y = np.zeros((1, 2, 3, 4)), np.zeros((1, 2, 2, 4))
    rows, columns = np.array([[0, 1], [1, 2]]), np.array([[0, 2], [1, 3]])
    one, two = np.ones((2, 1)), np.ones((2, 2))
    resize.resample(x, y, rows, one, columns, two)
    wrong = [
        (x, y, rows + 1, one, columns, two),  # beyond the last row
        (x, y, rows - 1, one, columns, two),
        (x, y, rows[:, ::-1].copy(), one, columns, two),
        (x, y, rows, one, columns, one),  # more taps than weights
        (x, y, rows[:1], one, columns, two),
        (x, y, rows, one[:1], columns, two),
        (x, y, rows, one, columns[:, :1].copy(), two),
        (x, y[..., :3].copy(), rows, one, columns, two),
        (x, y[:0], rows, one, columns, two),
    ]
    for arguments in wrong:
        with pytest.raises(ValueError, match="do not belong to one resizing"):
            resize.resample(*arguments)
    none = np.zeros((2, 2), np.intp)
    with pytest.raises(ValueError, match="x has no pixels, or the tables no weights"):
        resize.resample(x[:, :0], y, none, one, columns, two)
    with pytest.raises(ValueError, match="x has no pixels, or the tables no weights"):
        resize.resample(x, y, none, one[:, :0], columns, two)
    resize.resample(x, y, none, one, columns, two)
    assert not y.any()
