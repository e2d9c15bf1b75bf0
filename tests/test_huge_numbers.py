"""Numbers whose squares overflow: norms, softmax, clipping, running statistics, wide inputs."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.training.finite import check_samples

NORMS = {
    "rows": (lambda: L.BatchNorm(eps=1e-30), (300, 7)),
    "images": (lambda: L.BatchNorm(eps=1e-30), (5, 3, 9, 9)),
    "layer": (lambda: L.LayerNorm(eps=1e-30), (9, 77)),
    "group": (lambda: L.GroupNorm(2, eps=1e-30), (4, 6, 5, 5)),
    "instance": (lambda: L.InstanceNorm(eps=1e-30), (4, 6, 15, 5)),
}
HUGE = [(np.float32, 2.0**k) for k in (65, 100)] + [(np.float64, 2.0**k) for k in (600, 1000)]


@pytest.mark.parametrize(("dtype", "scale"), HUGE)
@pytest.mark.parametrize(("make", "shape"), NORMS.values(), ids=NORMS)
def test_norms_of_huge_numbers_are_those_of_small_ones(make, shape, dtype, scale, rng):
    """PyTorch 2.13 gives zeros: the variance overflows (pytorch/pytorch#178123)."""
    x, dy = rng.standard_normal((2, *shape)).astype(dtype)
    if dtype == np.float32:
        x = x.astype(np.float16).astype(dtype)  # a few bits, which no sum loses
    found = []
    for factor in (1, scale):
        layer = make()
        y, cache = layer.forward(x * dtype(factor), training=True)
        found.append((y, layer.backward(dy, cache) * dtype(factor)))
    (y, dx), (huge_y, huge_dx) = found
    tolerance = 2e-6 if dtype == np.float32 else 1e-13
    assert huge_y.std() == pytest.approx(1, abs=1e-3)
    assert_allclose(huge_y, y, rtol=0, atol=4 * tolerance)
    assert_allclose(huge_dx, dx, rtol=0, atol=4 * tolerance * abs(dx).max())


def test_a_huge_constant_channel_is_zero(dtype):
    x = np.full((300, 3), 2.0**100 if dtype == np.float32 else 2.0**900, dtype)
    x[:, 1] = np.arange(300) * x[0, 0]
    y, _ = L.BatchNorm().forward(x, training=True)
    assert not y[:, 0].any()
    assert y[:, 1].std() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_norms_of_what_is_not_finite_are_nan(wrong, dtype, rng):
    x = rng.standard_normal((50, 3)).astype(dtype)
    x[7, 1] = wrong
    y, _ = L.BatchNorm().forward(x, training=True)
    assert np.isnan(y[:, 1]).all()
    assert np.isfinite(y[:, [0, 2]]).all()
    assert np.isnan(L.LayerNorm().forward(x, training=True)[0][7]).all()


def test_a_running_variance_beyond_the_dtype_is_not_used_in_silence(rng):
    """Inference gave zeros."""
    norm, x = L.BatchNorm(), rng.standard_normal((50, 3)).astype(np.float32)
    x[:, 2] *= np.float32(1e30)
    norm.forward(x, training=True)
    with pytest.raises(ValueError, match="running variance: that of channel 2 is beyond float32"):
        norm(x)


def test_softmax_of_huge_logits(dtype):
    top = np.finfo(dtype).max
    x = np.array([[top, -top, 0], [top, top, top]], dtype)
    assert_array_equal(L.Softmax()(x)[0], [1, 0, 0])
    assert_allclose(L.Softmax()(x)[1], 1 / 3, rtol=1e-6)
    loss = dfs.losses.CrossEntropy()
    value, cache = loss.forward(x, np.array([0, 1]))
    assert value == pytest.approx(np.log(3) / 2)
    assert np.isfinite(loss.backward(cache)).all()


def test_clipping_of_huge_gradients():
    w, g = np.zeros(4, np.float32), np.full(4, 1e30, np.float32)
    optimizer = dfs.optimizers.SGD(1.0, clip_norm=1.0)
    assert optimizer.step(w, g, optimizer.init(w), t=1) == pytest.approx(2e30)
    assert_allclose(w, -0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (1e300, r"float32 can hold, at most 3.4e\+38, got 1e\+300 in sample 12"),
        (-4e38, r"float32 can hold, at most 3.4e\+38, got -4e\+38 in sample 12"),
        (np.nan, "needs finite inputs, got NaN or infinity in sample 12"),
        (np.inf, "needs finite inputs, got NaN or infinity in sample 12"),
    ],
)
def test_a_sample_that_is_not_finite_is_named(number, message):
    x = np.zeros((4, 2, 3))
    x[2, 1, 1] = number
    with pytest.raises(ValueError, match=message):
        check_samples(x, "float32", "inputs", 10)
    check_samples(np.full((3, 2), 3e38), "float32", "inputs", 0)
    check_samples(np.full((3, 2), 1e300), "float64", "inputs", 0)
    check_samples(np.ones((2, 0)), "float32", "inputs", 0)


@pytest.fixture
def no_winograd():
    before = dfs.config.winograd
    dfs.config.winograd = False
    yield
    dfs.config.winograd = before


def moved(conv, x, number):
    """Return where outputs change that do not see the pixel, if it becomes ``number``."""
    before = conv(x)
    x = x.copy()
    x[0, 0, 9, 9] = number
    with np.errstate(all="ignore"):
        changed = ~np.isclose(conv(x), before, rtol=0, atol=1e-5)
    changed[0, :, 8:11, 8:11] = False  # those that see it
    return changed


@pytest.mark.parametrize("number", [1e6, np.inf])
def test_a_pixel_reaches_its_tile_in_winograds_algorithm_alone(number, rng, no_winograd):
    x = rng.standard_normal((1, 16, 24, 24)).astype(np.float32)
    conv = L.Conv2D(16, 3, padding=1, algorithm="winograd")
    conv(x)
    reached = moved(conv, x, number).any(axis=(0, 1))
    assert reached.any()
    assert reached.sum() == reached[8:12, 8:12].sum()  # of the tile of 4x4
    conv.algorithm = "direct"
    assert not moved(conv, x, number).any()
    conv.algorithm = "auto"
    assert conv.algorithm_for((16, 24, 24)) != "winograd"
    assert not moved(conv, x, number).any()
    dfs.config.winograd = True
    assert conv.algorithm_for((16, 24, 24)) == "winograd"
