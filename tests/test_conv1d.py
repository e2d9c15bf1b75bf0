"""Conv1D: against NumPy, its weight of three axes, and what it refuses."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import reference
from windows import check_fused_relu, check_other_channels, compare


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


def test_the_algorithm_is_that_of_the_convolution_inside():
    for layer, wanted in [
        (L.Conv1D(8, 3), "indirect"),
        (L.Conv1D(16, 3, groups=16), "depthwise"),
    ]:
        layer.build((16, 20))
        assert layer.algorithm_for((16, 20)) == wanted
    layer = L.Conv1D(8, 3)
    layer.build((1, 20))
    assert layer.algorithm_for((1, 20), "backward_input") == "col2im"


def test_the_work_is_that_of_the_convolution_inside():
    layer = L.Conv1D(6, 3)
    layer.build((4, 7))
    assert layer.multiply_adds((4, 7)) == 5 * 6 * 4 * 3


def test_the_initializer_sees_the_shape_of_the_weight():
    shapes = []

    def zeros(shape, rng):
        shapes.append(shape)
        return np.zeros(shape)

    L.Conv1D(4, 3, groups=2, initializer=zeros)(np.zeros((1, 6, 5)))
    assert shapes == [(4, 3, 3)]


def test_a_relu_left_to_it_has_the_same_bits(rng):
    check_fused_relu(lambda: L.Conv1D(5, 3, padding=1), (2, 5, 9), rng)


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: L.Conv1D(3, 3), (2, 4, 2), "Conv1D window 3 exceeds the sequence, 2 entries"),
        (lambda: L.Conv1D(3, 3), (2, 4, 5, 5), "Conv1D takes 3 dimensional input, got"),
        (lambda: L.Conv1D(4, 3, groups=2), (2, 3, 5), "must cut 3 channels and 4 filters"),
    ],
)
def test_refuses_an_input(make, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()(np.zeros(shape))


def test_refuses_a_weight_beyond_memory_in_its_own_shape():
    with pytest.raises(MemoryError, match=r"^Conv1D: no memory for a weight of shape \(26"):
        L.Conv1D(2**28, 2**28).build((64, 2**29))


def test_refuses_other_channels_than_at_first():
    check_other_channels(L.Conv1D(2, 2), (4, 5), (3, 5))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.Conv1D(4, (3, 3)), TypeError, r"kernel_size must be an int, got \(3, 3\)"),
        (lambda: L.Conv1D(4, 2**31), ValueError, "kernel_size must be at most 1073741823"),
        (lambda: L.Conv1D(4, 3, padding="full"), ValueError, "padding must be one of 'same', 'val"),
        (lambda: L.Conv1D(4, 3, padding=(1, 2, 3)), ValueError, "padding must be an int of at"),
        (lambda: L.Conv1D(4, 3, algorithm="winograd"), ValueError, "must be one of 'auto', 'dire"),
    ],
)
def test_refuses_a_setting(make, error, message):
    with pytest.raises(error, match=message):
        make()
