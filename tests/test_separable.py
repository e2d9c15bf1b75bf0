"""SeparableConv2D: against NumPy, and what it refuses."""

import re

import numpy as np
import pytest

from deepfs import layers as L
from deepfs import reference
from windows import WINDOWS, check_fused_relu, check_other_channels, compare


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


def test_the_algorithm_is_that_of_the_convolution_inside():
    for layer, wanted in [
        (L.SeparableConv2D(8, 3), "depthwise + indirect"),
    ]:
        layer.build((16, 12, 12))
        assert layer.algorithm_for((16, 12, 12)) == wanted
        for name in ("backward_input", "backward_weight"):
            assert layer.algorithm_for((16, 12, 12), name) == wanted
        with pytest.raises(ValueError, match="no such pass of a convolution"):
            layer.algorithm_for((16, 12, 12), "backward")


def test_the_work_is_that_of_the_convolution_inside():
    layer = L.SeparableConv2D(6, 3)
    layer.build((4, 7, 8))
    assert layer.multiply_adds((4, 7, 8)) == 5 * 6 * 4 * (9 + 6)


def test_the_initializer_sees_the_shape_of_the_weight():
    shapes = []

    def zeros(shape, rng):
        shapes.append(shape)
        return np.zeros(shape)

    L.SeparableConv2D(4, (3, 2), initializer=zeros)(np.zeros((1, 6, 5, 5)))
    assert shapes == [(6, 1, 3, 2), (4, 6, 1, 1)]


def test_a_relu_left_to_it_has_the_same_bits(rng):
    check_fused_relu(lambda: L.SeparableConv2D(5, 3, padding=1), (2, 5, 6, 7), rng)


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: L.SeparableConv2D(3, 3), (2, 4, 2, 5), "SeparableConv2D window 3x3 exceeds"),
        (lambda: L.SeparableConv2D(3, 3), (4, 5, 5), "SeparableConv2D takes 4 dimensional input"),
    ],
)
def test_refuses_an_input(make, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()(np.zeros(shape))


def test_refuses_other_channels_than_at_first():
    check_other_channels(L.SeparableConv2D(2, 2), (4, 5, 5), (3, 5, 5))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.SeparableConv2D(-1, 3), ValueError, "filters must be at least 1, got -1"),
        (lambda: L.SeparableConv2D(4, 3, bias=1), TypeError, "bias must be True or False, got 1"),
        (lambda: L.SeparableConv2D(4, "3"), TypeError, "kernel_size must be a positive int or two"),
        (lambda: L.SeparableConv2D(4, 3, initializer="x"), ValueError, "initializer"),
    ],
)
def test_refuses_a_setting(make, error, message):
    with pytest.raises(error, match=message):
        make()
