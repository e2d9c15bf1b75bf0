"""Group normalization: against the NumPy reference, known values, edges, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import group_norm
from deepfs import reference
from deepfs.layers import GroupNorm, InstanceNorm, LayerNorm
from deepfs.testing import any_work_on
from norms import assert_near, run


@pytest.mark.parametrize(
    ("groups", "shape"),
    [
        (1, (4, 3)),
        (2, (70, 6)),
        (1, (2, 3, 5)),
        (2, (3, 4, 7)),
        (1, (2, 5, 4, 3)),
        (4, (40, 8, 2, 3)),
        (3, (2, 51, 9, 8)),
        (32, (2, 64, 5, 5)),
        (2, (1, 4, 40, 41)),
    ],
)
def test_group_norm_matches_the_reference(groups, shape, dtype, threads, rng):
    x, dy = (2 + rng.standard_normal((2, *shape))).astype(dtype)
    gamma, beta, got = run(GroupNorm(groups), x, dy, rng)
    x, dy, gamma = (a.astype(float) for a in (x, dy, gamma))
    wanted = reference.group_norm_backward(x, groups, gamma, dy)
    assert_near(got, (reference.group_norm(x, groups, gamma, beta), *wanted), dtype)


def test_known_values():
    """The four values 1, 3, 5, 7 have mean 4 and biased variance 5; with eps = 4 the std is 3."""
    x = np.array([1.0, 3.0, 5.0, 7.0])
    normal = np.array([-1.0, -1 / 3, 1 / 3, 1.0])
    assert_allclose(LayerNorm(eps=4)(x[None]), normal[None], rtol=1e-15)
    assert_allclose(LayerNorm(3, eps=4)(x.reshape(1, 2, 2, 1)).reshape(-1), normal, rtol=1e-15)
    assert_allclose(GroupNorm(1, eps=4)(x.reshape(1, 2, 2)).reshape(-1), normal, rtol=1e-15)
    pairs = np.array([-1.0, 1.0]) / np.sqrt(5)  # mean 2 or 6, variance 1
    assert_allclose(GroupNorm(2, eps=4)(x[None]), [[*pairs, *pairs]], rtol=1e-15)
    assert_allclose(InstanceNorm(eps=4)(x.reshape(1, 2, 2))[0], [pairs, pairs], rtol=1e-15)


def test_they_meet_where_their_definitions_do(rng):
    """One group is layer norm over c, h, w; a group per channel is instance norm."""
    x = rng.standard_normal((3, 6, 4, 5))
    same = {"rtol": 0, "atol": 1e-13}
    assert_allclose(GroupNorm(1)(x), LayerNorm(3)(x), **same)
    assert_array_equal(GroupNorm(6)(x), InstanceNorm()(x))
    assert_allclose(InstanceNorm()(x), LayerNorm(2)(x), **same)


def test_a_sample_does_not_see_the_others(rng):
    x = rng.standard_normal((70, 6, 3, 3)).astype(np.float32)
    for layer in (LayerNorm(3), LayerNorm(1), GroupNorm(2), InstanceNorm()):
        y = layer(x)
        x[3] = np.nan
        again = layer(x)
        assert np.isnan(again[3]).all()
        assert_array_equal(np.delete(again, 3, 0), np.delete(y, 3, 0))
        assert_array_equal(layer(x[5:6]), y[5:6])  # whatever the size of the batch
        x[3] = 0


def test_a_nan_stays_in_its_group(rng):
    x = rng.standard_normal((2, 4, 3, 3))
    x[1, 2, 0, 0] = np.nan
    y = GroupNorm(2)(x)
    assert np.isnan(y[1, 2:]).all()
    assert np.isfinite(y[1, :2]).all()
    assert np.isfinite(y[0]).all()


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 1e30])
def test_equal_values_give_beta(value, dtype):
    x = np.full((2, 6, 5, 7), value, dtype)
    for layer in (LayerNorm(3), LayerNorm(), GroupNorm(2), InstanceNorm()):
        layer.build(x.shape[1:], dtype)
        layer.parameters()["beta"].value = np.full(layer.parameters()["beta"].value.shape, 0.5)
        eps = abs(value) * np.finfo(dtype).eps  # of a mean, rounded
        assert_allclose(layer(x), 0.5, rtol=0, atol=max(1e-5, 400 * eps))


@pytest.mark.parametrize(
    "make", [lambda: LayerNorm(3), lambda: LayerNorm(2), lambda: GroupNorm(2), InstanceNorm]
)
def test_an_offset_does_not_swamp_the_variance(make, rng):
    x = (rng.standard_normal((2, 4, 40, 40)) + 1e4).astype(np.float32)
    y, exact = make()(x), make()(x.astype(float))
    assert_allclose(y, exact, rtol=0, atol=2e-3)  # the mean is rounded to a float32


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (LayerNorm, (1500, 300)),
        (LayerNorm, (9, 20, 21, 20)),
        (lambda: LayerNorm(2), (9, 20, 21, 20)),
        (lambda: LayerNorm(3), (67, 8, 9, 11)),
        (lambda: GroupNorm(4), (37, 24, 21, 20)),
        (lambda: GroupNorm(3), (700, 120)),
        (InstanceNorm, (37, 24, 11, 10)),
    ],
)
def test_any_number_of_threads_gives_the_same_bits(make, shape, dtype, rng):
    """With more blocks than threads, and more rows in a block than one."""
    x, dy = rng.standard_normal((2, *shape)).astype(dtype)
    wanted = None
    for n in (1, 2, 3, 5, 8):
        with any_work_on(n):
            _, _, got = run(make(), x, dy, np.random.default_rng(1))
        wanted = wanted or got
        for a, b in zip(got, wanted, strict=True):
            assert_array_equal(a, b)


@pytest.mark.parametrize("outlier", [50, 1e4])
def test_an_outlier_does_not_swamp_the_variance(outlier, threads):
    """Nor the mean: a sum in single precision would lose what comes after it."""
    x = np.full((1, 200_000), 0.1, np.float32)
    x[0, 0], x[0, 1::2] = outlier, 0.2
    statistics, y, one = np.empty((2, 1, 1), np.float32), np.empty_like(x), np.ones_like(x)
    group_norm.group_norm_forward(x[:, None], one, 0 * one, 0.0, statistics, y[:, None])
    exact = x.astype(float)
    assert_allclose(statistics.reshape(-1), [exact.mean(), 1 / exact.std()], rtol=1e-5)


@pytest.mark.parametrize("make", [lambda: LayerNorm(2), lambda: GroupNorm(2), InstanceNorm])
def test_an_empty_batch(make):
    layer = make()
    y, cache = layer.forward(np.zeros((0, 4, 3)), training=True)
    assert y.shape == (0, 4, 3)
    assert layer.backward(y, cache).shape == (0, 4, 3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: GroupNorm(0), ValueError, "groups must be at least 1, got 0"),
        (lambda: GroupNorm(2.0), TypeError, "groups must be an int, got 2.0"),
        (lambda: GroupNorm(True), TypeError, "groups must be an int, got True"),
        (lambda: GroupNorm(2, eps=float("nan")), ValueError, r"eps must be in \(0, inf\), got nan"),
        (lambda: GroupNorm(2, affine=None), TypeError, "affine must be True or False, got None"),
    ],
)
def test_refuses_settings(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (GroupNorm(3), (2, 4, 5), r"takes a multiple of 3 channels, got shape \(4, 5\)"),
        (GroupNorm(2**40), (2, 4), rf"takes a multiple of {2**40} channels, got shape \(4,\)"),
        (GroupNorm(1), (2, 0, 3), r"GroupNorm takes 1 channels, got shape \(0, 3\)"),
        (GroupNorm(4), (2, 4), r"needs more than 1 value per group of a sample, got shape \(4,\)"),
        (GroupNorm(2), (2, 4, 0), "needs more than 1 value per group of a sample"),
    ],
)
def test_refuses_inputs(layer, shape, message):
    for training in (True, False):
        with pytest.raises(ValueError, match=message):
            layer.forward(np.zeros(shape), training=training)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (GroupNorm(2), (1, 6, 2, 3), r"GroupNorm takes 4 channels, got shape \(6, 2, 3\)"),
    ],
)
def test_refuses_other_inputs_than_the_first(layer, shape, message):
    layer(np.zeros((1, 4, 2, 3)))
    with pytest.raises(ValueError, match=message):
        layer(np.zeros(shape))


def test_the_kernels_refuse_shapes_that_do_not_agree():
    x, gamma, statistics = np.zeros((2, 3, 4)), np.zeros((1, 4)), np.zeros((2, 2, 2))
    for wrong in (
        {"gamma": np.zeros((2, 4)), "beta": np.zeros((2, 4))},
        {"beta": np.zeros((3, 4))},
        {"statistics": np.zeros((2, 2, 3))},
        {"statistics": np.zeros((2, 2, 0))},
        {"statistics": np.zeros((1, 2, 2))},
        {"statistics": np.zeros((2, 1, 2))},
        {"y": np.zeros((2, 4, 3))},
    ):
        given = {"gamma": gamma, "beta": gamma, "statistics": statistics, "y": x.copy()} | wrong
        with pytest.raises(ValueError, match="do not belong to one normalisation"):
            group_norm.group_norm_forward(x, eps=1e-5, **given)
    for wrong in (
        {"dy": np.zeros((2, 3, 5))},
        {"dx": np.zeros((1, 3, 4))},
        {"dgamma": np.zeros((3, 4))},
        {"dbeta": np.zeros((1, 3))},
        {"statistics": np.zeros((2, 2, 8))},
    ):
        given = {"dy": x, "gamma": gamma, "statistics": statistics, "dx": None}
        given |= {"dgamma": gamma.copy(), "dbeta": gamma.copy()} | wrong
        with pytest.raises(ValueError, match="do not belong to one normalisation"):
            group_norm.group_norm_backward(x, **given)
