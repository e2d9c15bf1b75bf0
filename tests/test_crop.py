"""Crop2D: against NumPy; what Crop2D and Crop1D refuse, and where messages name them."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from deepfs import layers as L
from deepfs import losses, reference
from deepfs.layers import channels_first, channels_last


@pytest.mark.parametrize(
    ("cropping", "sides"),
    [(0, (0, 0, 0, 0)), (1, (1, 1, 1, 1)), ((1, 2), (1, 1, 2, 2)), ((0, 1, 2, 3), (0, 1, 2, 3))],
)
@pytest.mark.parametrize("shape", [(2, 3, 4, 6), (0, 3, 4, 6), (2, 1, 7, 7)])
def test_an_image_without_its_border(cropping, sides, shape, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    layer = L.Crop2D(cropping)
    for seen in (x, channels_first(channels_last(x))):
        y, cache = layer.forward(seen)
        assert y.dtype == dtype
        assert_array_equal(y, reference.crop2d(x, sides))
        assert y.transpose(0, 2, 3, 1).flags.c_contiguous
        assert not np.may_share_memory(y, seen)
        dy = rng.standard_normal(y.shape).astype(dtype)
        dx = layer.backward(dy, cache)
        assert_array_equal(dx, reference.crop2d_backward(x, dy, sides))


def test_crop_takes_back_what_zero_pad_adds(rng):
    x, sides = rng.standard_normal((2, 3, 4, 5)), (1, 0, 2, 3)
    assert_array_equal(L.Crop2D(sides)(L.ZeroPad2D(sides)(x)), x)
    assert_array_equal(L.Crop1D((2, 1))(L.ZeroPad1D((2, 1))(x[:, 0])), x[:, 0])


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (L.Crop2D(1), (3, 4), "Crop2D takes 4 dimensional input, got shape (n, 3, 4): for sequences"
         ", use Crop1D"),
        (L.Crop2D((0, 1, 2, 3)), (3, 2, 5),
         "Crop2D takes images of more than 1 rows and 5 columns, which it cuts off, got 2x5"),
        (L.Crop2D((0, 2, 0, 0)), (3, 2, 5), "of more than 2 rows and 0 columns, which it"),
        (L.Crop1D(1), (3, 4, 5), "Crop1D takes 3 dimensional input, got shape (n, 3, 4, 5): for "
         "images, use Crop2D"),
        (L.Crop1D((1, 2)), (3, 3),
         "Crop1D takes sequences of more than 3 entries, which it cuts off, got 3"),
    ],
)  # fmt: skip
def test_refuses_an_input(layer, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(np.zeros((2, *shape)))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.Crop2D(-1), ValueError, "cropping must be an int of at least 0, two or four of "
         "them, got -1"),
        (lambda: L.Crop2D((1, 2, 3, -1)), ValueError, "cropping must be at least 0, got -1"),
        (lambda: L.Crop2D("same"), TypeError, "cropping must be an int of at least 0, two or four"),
        (lambda: L.Crop2D(((0, 1), (0, 1))), TypeError, "two or four of them, got"),
        (lambda: L.Crop1D((1, 2, 3)), ValueError, "cropping must be an int of at least 0 or two"),
        (lambda: L.Crop1D(1.0), TypeError, "cropping must be an int of at least 0 or two of them"),
    ],
)  # fmt: skip
def test_refuses_a_setting(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_settings_that_are_assigned():
    layer = L.Crop2D(1)
    layer(np.zeros((1, 1, 5, 5)))
    layer.cropping = (0, 2)
    assert layer.cropping == (0, 0, 2, 2)
    assert layer(np.zeros((1, 1, 5, 5))).shape == (1, 1, 5, 1)
    with pytest.raises(ValueError, match="takes images of more than 6 rows"):
        layer.cropping = 3
    assert layer.cropping == (0, 0, 2, 2)


TO_SEVEN = "Crop2D((0, 1, 0, 1)) cuts 8x8 to 7x7, Resize2D((8, 8)) enlarges 7x7 to 8x8"
TO_FIVE = "Crop1D((0, 2)) cuts 7 to 5, ZeroPad1D((0, 2)) fills 5 up to 7"
HALVED = L.Sequential([L.MaxPool2D(2, ceil_mode=True), L.Upsample2D(2)])  # 7 x 7 become 8 x 8


@pytest.mark.parametrize(
    ("act", "hint"),
    [
        (lambda: L.Residual(HALVED)(np.zeros((1, 2, 7, 7))), TO_SEVEN),
        (lambda: L.Branches([L.Identity(), HALVED])(np.zeros((1, 2, 7, 7))), TO_SEVEN),
        (lambda: L.Branches([HALVED, L.ReLU()], "add")(np.zeros((1, 2, 7, 7))), TO_SEVEN),
        (lambda: L.Residual(L.Conv1D(3, 3))(np.zeros((1, 3, 7))), TO_FIVE),
        (lambda: L.Branches([L.Conv2D(1, (1, 2)), L.Conv2D(1, (2, 1))])(np.zeros((1, 1, 3, 3))),
         "Resize2D gives images one size"),
        (lambda: losses.MeanSquaredError()(np.zeros((2, 1, 8, 8)), np.zeros((2, 1, 7, 7))),
         TO_SEVEN),
        (lambda: losses.BinaryCrossEntropy()(np.zeros((2, 1, 5)), np.zeros((2, 1, 7))), TO_FIVE),
        (lambda: losses.CrossEntropy()(np.zeros((2, 3, 8, 8)), np.zeros((2, 7, 7), int)), TO_SEVEN),
        (lambda: losses.CrossEntropy()(np.zeros((2, 3, 8, 8)), np.zeros((2, 3, 7, 7))), TO_SEVEN),
        (lambda: losses.NegativeLogLikelihood()(np.zeros((2, 3, 7)), np.zeros((2, 5), int)),
         TO_FIVE),
    ],
)  # fmt: skip
def test_sizes_that_differ_by_a_few_pixels_are_told_the_layer(act, hint):
    with pytest.raises(ValueError, match=re.escape(f"): {hint}") + "$"):
        act()


@pytest.mark.parametrize(
    "act",
    [
        lambda: L.Residual(L.Conv2D(2, 1, 2))(np.zeros((1, 2, 8, 8))),  # 4 x 4: a stride is missing
        lambda: L.Residual(L.Conv2D(3, 1))(np.zeros((1, 2, 8, 8))),  # channels alone
        lambda: L.Residual(L.Dense(3))(np.zeros((1, 2))),
        lambda: losses.MeanSquaredError()(np.zeros((2, 1)), np.zeros(2)),
        lambda: losses.MeanSquaredError()(np.zeros((2, 8)), np.zeros((2, 7))),
        lambda: losses.CrossEntropy()(np.zeros((2, 3)), np.zeros((2, 1), int)),
    ],
)
def test_other_shapes_that_differ_are_not(act):
    with pytest.raises(ValueError, match="shape") as refused:
        act()
    assert not re.search("Crop|Resize", str(refused.value))


def test_what_the_messages_say_works():
    x = np.random.default_rng(0).standard_normal((4, 1, 7, 7))
    for last in (L.Crop2D((0, 1, 0, 1)), L.Resize2D((7, 7))):
        net = L.Sequential([L.Residual(L.Sequential([HALVED, last]))])
        y, cache = net.forward(x)
        value, loss_cache = losses.MeanSquaredError().forward(y, x)
        assert net.backward(losses.MeanSquaredError().backward(loss_cache), cache).shape == x.shape
