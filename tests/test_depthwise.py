"""DepthwiseConv2D: against NumPy, the order of its filters, and what it refuses."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from deepfs import layers as L
from deepfs import reference
from windows import WINDOWS, check_fused_relu, check_other_channels, compare


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


def test_the_algorithm_is_that_of_the_convolution_inside():
    for layer, wanted in [
        (L.DepthwiseConv2D(3), "depthwise"),
        (L.DepthwiseConv2D(3, multiplier=2), "depthwise"),
    ]:
        layer.build((16, 12, 12))
        assert layer.algorithm_for((16, 12, 12)) == wanted
        for name in ("backward_input", "backward_weight"):
            assert layer.algorithm_for((16, 12, 12), name) == wanted
        with pytest.raises(ValueError, match="no such pass of a convolution"):
            layer.algorithm_for((16, 12, 12), "backward")


def test_the_work_is_that_of_the_convolution_inside():
    layer = L.DepthwiseConv2D(3, multiplier=2)
    layer.build((4, 7, 8))
    assert layer.multiply_adds((4, 7, 8)) == 2 * 4 * 5 * 6 * 9


def test_the_initializer_sees_the_shape_of_the_weight():
    shapes = []

    def zeros(shape, rng):
        shapes.append(shape)
        return np.zeros(shape)

    L.DepthwiseConv2D((3, 2), multiplier=2, initializer=zeros)(np.zeros((1, 6, 5, 5)))
    assert shapes == [(12, 1, 3, 2)]


def test_a_relu_left_to_it_has_the_same_bits(rng):
    check_fused_relu(lambda: L.DepthwiseConv2D(3, padding=1), (2, 5, 6, 7), rng)


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: L.DepthwiseConv2D(3), (2, 4, 2, 5), "DepthwiseConv2D window 3x3 exceeds"),
        (lambda: L.DepthwiseConv2D(3), (2, 0, 5, 5), "DepthwiseConv2D takes 1 channels, got"),
        (lambda: L.DepthwiseConv2D(3, name="d"), (4, 5), 'DepthwiseConv2D "d" takes 4 dimensional'),
    ],
)
def test_refuses_an_input(make, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()(np.zeros(shape))


def test_refuses_other_channels_than_at_first():
    check_other_channels(L.DepthwiseConv2D(2), (4, 5, 5), (3, 5, 5))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.DepthwiseConv2D(0), ValueError, "kernel_size must be a positive int or two"),
        (lambda: L.DepthwiseConv2D(3, multiplier=0), ValueError, "multiplier must be at least 1"),
        (lambda: L.DepthwiseConv2D(3, multiplier=1.0), TypeError, "multiplier must be an int"),
        (lambda: L.DepthwiseConv2D(3, padding=-1), ValueError, "padding must be an int of at"),
    ],
)
def test_refuses_a_setting(make, error, message):
    with pytest.raises(error, match=message):
        make()
