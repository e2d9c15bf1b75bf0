"""ConvTranspose2D: against NumPy, as the adjoint of Conv2D, sizes, and what it refuses."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import layers as L
from deepfs import reference
from deepfs.testing import any_work_on
from windows import WINDOWS, check_other_channels, compare


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


def test_the_algorithm_is_that_of_the_convolution_inside():
    for layer, wanted in [
        (L.ConvTranspose2D(8, 3), "winograd"),
        (L.ConvTranspose2D(16, 3, algorithm="direct"), "indirect"),
        (L.ConvTranspose2D(2, 3, stride=2), "col2im"),  # it runs the input gradient
    ]:
        layer.build((16, 12, 12))
        assert layer.algorithm_for((16, 12, 12)) == wanted
    assert layer.algorithm_for((16, 12, 12), "backward_input") == "indirect"  # the convolution
    assert layer.algorithm_for((16, 12, 12), "backward_weight") == "indirect"


def test_the_work_is_that_of_the_convolution_inside():
    layer = L.ConvTranspose2D(6, 3, stride=2, groups=2)
    layer.build((4, 7, 8))
    assert layer.multiply_adds((4, 7, 8)) == 7 * 8 * 4 * 3 * 9


def test_the_initializer_sees_the_shape_of_the_weight():
    shapes = []

    def zeros(shape, rng):
        shapes.append(shape)
        return np.zeros(shape)

    L.ConvTranspose2D(4, (3, 2), groups=2, initializer=zeros)(np.zeros((1, 6, 5, 5)))
    assert shapes == [(6, 2, 3, 2)]


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
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
)
def test_refuses_an_input(make, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()(np.zeros(shape))


def test_refuses_other_channels_than_at_first():
    check_other_channels(L.ConvTranspose2D(2, 2), (4, 5, 5), (3, 5, 5))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
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
)
def test_refuses_a_setting(make, error, message):
    with pytest.raises(error, match=message):
        make()


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
