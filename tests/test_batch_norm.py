"""Batch normalisation: against NumPy, its running statistics, and what it refuses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import activation, batch_norm
from deepfs import layers as L
from deepfs import reference
from deepfs.layers import BatchNorm


@pytest.mark.parametrize(
    "shape", [(9, 4), (5, 3, 7), (2, 70, 9), (5, 3, 4, 6), (2, 70, 1, 1), (40, 2, 20, 20)]
)
def test_matches_numpy(shape, dtype, tolerance, threads, rng):
    x = (3 * rng.standard_normal(shape) + 1).astype(dtype)
    layer = BatchNorm()
    layer.build(shape[1:], dtype)
    gamma, beta = rng.standard_normal((2, shape[1])).astype(dtype)
    layer.parameters()["gamma"].value = gamma
    layer.parameters()["beta"].value = beta
    y, _ = layer.forward(x, training=True)
    assert_allclose(y, reference.batch_norm(x, gamma, beta), **tolerance)


def rows_of(x):
    """Return the matrix that the kernels see: a row per pixel, a column per channel."""
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


@pytest.mark.parametrize("shape", [(9, 4), (5, 3, 7), (5, 3, 4, 6), (40, 2, 20, 20)])
@pytest.mark.parametrize("fixed", [False, True])
def test_kernels_match_numpy(fixed, shape, dtype, tolerance, threads, rng):
    """With the statistics of the batch, and with fixed ones, which are constants."""
    c, eps = shape[1], 0.1
    x, dy = (1 + rng.standard_normal((2, *shape))).astype(dtype)
    gamma, beta, mean = rng.standard_normal((3, c)).astype(dtype)
    var, inv_std = rng.uniform(0.5, 2, c).astype(dtype), np.empty(c, dtype)
    given = {"mean": mean, "var": var} if fixed else {}
    if fixed:
        inv_std[:] = 1 / np.sqrt(var + eps)
    else:
        batch_norm.batch_moments(rows_of(x), mean, inv_std, mean.copy(), var.copy(), 0, True, eps)
    y, dx = np.empty((2, x.size // c, c), dtype)
    dgamma, dbeta = np.ones((2, c), dtype)
    batch_norm.batch_norm_forward(rows_of(x), mean, inv_std, gamma, beta, y)
    close = {"rtol": 0, "atol": 20 * tolerance["atol"]}
    assert_allclose(y, rows_of(reference.batch_norm(x, gamma, beta, eps, **given)), **close)
    batch_norm.batch_norm_backward(
        rows_of(x), rows_of(dy), mean, inv_std, gamma, dx, dgamma, dbeta, not fixed
    )
    wanted = reference.batch_norm_backward(x.astype(float), gamma, dy, eps, **given)
    assert_allclose(dx, rows_of(wanted[0]), **close)
    assert_allclose((dgamma - 1) / len(dx), wanted[1] / len(dx), **close)
    assert_allclose((dbeta - 1) / len(dx), wanted[2] / len(dx), **close)


@pytest.mark.parametrize("shape", [(9, 4), (3, 2, 6), (3, 2, 4, 5)])
@pytest.mark.parametrize("fixed", [False, True])
def test_the_gradients_are_those_of_finite_differences(fixed, shape, rng):
    x, dy = rng.standard_normal((2, *shape))
    c, h = shape[1], 1e-6
    gamma, beta = rng.standard_normal((2, c))
    given = {"mean": rng.standard_normal(c), "var": rng.uniform(0.5, 2, c)} if fixed else {}
    gradients = reference.batch_norm_backward(x, gamma, dy, **given)
    for i, (gradient, at) in enumerate(zip(gradients, (x, gamma, beta), strict=True)):
        step = rng.standard_normal(at.shape)

        def loss(t, i=i, step=step):
            moved = [a + t * step if j == i else a for j, a in enumerate((x, gamma, beta))]
            return np.vdot(dy, reference.batch_norm(*moved, **given))

        assert (loss(h) - loss(-h)) / (2 * h) == pytest.approx(np.vdot(gradient, step), abs=1e-7)


def test_gamma_is_the_standard_deviation(rng):
    layer = BatchNorm()
    layer.build((1,))
    layer.parameters()["gamma"].value = [3.0]
    y, _ = layer.forward(rng.standard_normal((1000, 1)), training=True)
    assert y.std() == pytest.approx(3, rel=1e-3)


@pytest.mark.parametrize(("kind", "ddof"), [("unbiased", 1), ("biased", 0)])
def test_running_statistics(kind, ddof, rng):
    layer = BatchNorm(momentum=0.8, running_variance=kind)
    x = rng.standard_normal((6, 3, 4, 5))
    mean, var = np.zeros(3), np.ones(3)
    for _ in range(3):
        layer.forward(x, training=True)
        mean = 0.8 * mean + 0.2 * x.mean((0, 2, 3))
        var = 0.8 * var + 0.2 * x.var((0, 2, 3), ddof=ddof)
    assert_allclose(layer.buffers()["running_mean"], mean, rtol=1e-12)
    assert_allclose(layer.buffers()["running_var"], var, rtol=1e-12)
    scale = np.sqrt(var + 1e-5)[:, None, None]
    assert_allclose(layer(x), (x - mean[:, None, None]) / scale, rtol=1e-9, atol=1e-12)


def test_cumulative_statistics_are_plain_averages(rng):
    layer = BatchNorm(statistics="cumulative")
    batches = rng.standard_normal((4, 10, 2))
    for x in batches:
        layer.forward(x, training=True)
    assert_allclose(layer.buffers()["running_mean"], batches.mean((0, 1)), atol=1e-12)
    unbiased = batches.var(axis=1, ddof=1).mean(axis=0)
    assert_allclose(layer.buffers()["running_var"], unbiased, rtol=1e-12)


def test_inference_changes_nothing(rng):
    layer = BatchNorm()
    layer.forward(rng.standard_normal((5, 2)), training=True)
    before = {k: v.copy() for k, v in layer.buffers().items()}
    layer(rng.standard_normal((5, 2)))
    for name, buffer in layer.buffers().items():
        assert_array_equal(buffer, before[name])


@pytest.mark.parametrize("offset", [0, 1e4])
def test_an_offset_does_not_swamp_the_variance(offset, rng):
    x = (rng.standard_normal((4000, 3)) + offset).astype(np.float32)
    layer = BatchNorm(momentum=0.0, running_variance="biased")
    layer.forward(x, training=True)
    assert_allclose(layer.buffers()["running_var"], x.astype(float).var(0), rtol=1e-4)


@pytest.mark.parametrize(("rows", "outlier"), [(78_400, 1e4), (78_400, 50), (1_000_000, 50)])
def test_an_outlier_does_not_swamp_the_variance(rows, outlier, threads):
    """The first value of all is the corner of an image: nothing may hang on it."""
    x = np.full((rows, 1), 0.1, np.float32)
    x[0], x[1::2] = outlier, 0.2
    layer = BatchNorm(momentum=0.0, running_variance="biased")
    layer.forward(x, training=True)
    assert_allclose(layer.buffers()["running_var"], x.astype(float).var(0), rtol=1e-5)
    assert_allclose(layer.buffers()["running_mean"], x.astype(float).mean(0), rtol=1e-5)


@pytest.mark.parametrize("columns", [1, 3, 6, 16, 30, 33, 64, 100, 300])
@pytest.mark.parametrize("rows", [2, 5, 63, 64, 65, 700, 1300])
def test_any_number_of_rows_and_columns(rows, columns, dtype, rng):
    """Wide rows of several rows, their rest, short sums and runs: sums, results and gradients."""
    x, dy = (2 + rng.standard_normal((2, rows, columns))).astype(dtype)
    gamma, beta = rng.standard_normal((2, columns)).astype(dtype)
    mean, inv_std, moved, var, dgamma, dbeta = np.zeros((6, columns), dtype)
    batch_norm.batch_moments(x, mean, inv_std, moved, var, 0, False, 0.1)
    assert_array_equal(moved, mean)
    exact, g = x.astype(float), dy.astype(float)
    close = {"rtol": 0, "atol": 1000 * np.finfo(dtype).eps}
    assert_allclose(mean, exact.mean(0), **close)
    assert_allclose(var, exact.var(0), **close)
    assert_allclose(inv_std, 1 / np.sqrt(exact.var(0) + 0.1), **close)
    y, dx = np.empty_like(x), np.empty_like(x)
    batch_norm.batch_norm_forward(x, mean, inv_std, gamma, beta, y)
    normal = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 0.1)
    assert_allclose(y, normal * gamma + beta, **close)
    batch_norm.batch_norm_backward(x, dy, mean, inv_std, gamma, dx, dgamma, dbeta, True)
    assert_allclose(dgamma / rows, (g * normal).mean(0), **close)
    assert_allclose(dbeta / rows, g.mean(0), **close)
    wanted = gamma / np.sqrt(exact.var(0) + 0.1) * (g - g.mean(0) - normal * (g * normal).mean(0))
    assert_allclose(dx, wanted, **close)


@pytest.mark.parametrize("columns", [1, 5, 16, 30, 100])
@pytest.mark.parametrize("batch", [True, False])
def test_a_relu_beside_it_in_the_same_pass_has_the_same_bits(columns, batch, dtype, threads, rng):
    x = rng.standard_normal((333, columns)).astype(dtype)
    x[rng.random(x.shape) < 0.3] = 0  # as a ReLU before leaves it
    x[5, 0], x[6, 0], x[7, 0] = np.nan, -0.0, np.inf
    dy = rng.standard_normal(x.shape).astype(dtype)
    mean, gamma, beta = rng.standard_normal((3, columns)).astype(dtype)
    inv_std = np.full(columns, 0.8, dtype)
    y, together, rectified = (np.empty_like(x) for _ in range(3))
    batch_norm.batch_norm_forward(x, mean, inv_std, gamma, beta, y)
    batch_norm.batch_norm_forward(x, mean, inv_std, gamma, beta, together, True)
    activation.forward(activation.relu, y.reshape(-1), rectified.reshape(-1))
    assert_array_equal(together, rectified)
    assert_array_equal(np.signbit(together), np.signbit(rectified))
    assert (together == 0).any()
    assert np.isnan(together).any()
    batch_norm.batch_norm_forward(x, mean, inv_std, gamma, beta, together, True, dy)
    with np.errstate(invalid="ignore"):
        assert_array_equal(together, np.where(y + dy < 0, 0, y + dy))

    def backward(drelu):
        dx, sums = np.empty_like(x), np.zeros((2, columns), dtype)
        with np.errstate(invalid="ignore"):
            batch_norm.batch_norm_backward(
                x[8:], dy[8:], mean, inv_std, gamma, dx[8:], *sums, batch, drelu
            )
        return dx[8:], sums

    dx, sums = backward(False)
    together, same = backward(True)
    assert_array_equal(same, sums)
    assert_array_equal(together, np.where(x[8:] > 0, dx, 0))
    assert (together == 0).any()


def test_a_mean_of_many_deviations_leaves_the_digits(rng):
    """x * scale + shift, with the mean in the shift, would lose four of them."""
    x = (1e4 + rng.standard_normal((100, 16))).astype(np.float32)
    one, mean, y = np.ones(16, np.float32), np.full(16, 1e4, np.float32), np.empty_like(x)
    batch_norm.batch_norm_forward(x, mean, 3 * one, one, one, y)
    assert_allclose(y, (x.astype(float) - 1e4) * 3 + 1, rtol=0, atol=1e-5)


def test_an_empty_batch_teaches_nothing():
    layer = BatchNorm()
    y, _ = layer.forward(np.zeros((0, 3)), training=True)
    assert y.shape == (0, 3)
    assert_array_equal(layer.buffers()["running_var"], np.ones(3, np.float32))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"momentum": 1.5}, r"momentum must be in \[0, 1\], got 1.5"),
        ({"eps": 0}, r"eps must be in \(0, inf\), got 0"),
        ({"running_variance": "n"}, "running_variance must be one of 'unbiased', 'biased'"),
        ({"statistics": "n"}, "statistics must be one of 'moving', 'cumulative', 'fixed', got 'n'"),
    ],
)
def test_refuses_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        BatchNorm(**settings)


def test_refuses_inputs():
    with pytest.raises(ValueError, match="BatchNorm takes 2 or 3 or 4 dimensional input"):
        BatchNorm()(np.zeros((2, 3, 4, 5, 6)))
    with pytest.raises(ValueError, match="needs more than 1 value per channel in training"):
        BatchNorm().forward(np.zeros((1, 3)), training=True)
    with pytest.raises(ValueError, match=r"more than 1 value per channel .* got shape \(1, 3, 1\)"):
        BatchNorm().forward(np.zeros((1, 3, 1)), training=True)
    layer = BatchNorm()
    layer(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"BatchNorm takes 3 features, got shape \(4,\)"):
        layer(np.zeros((2, 4)))
    layer = BatchNorm()
    layer(np.zeros((2, 3, 5)))
    with pytest.raises(ValueError, match=r"BatchNorm takes 3 channels, got shape \(4, 5\)"):
        layer(np.zeros((2, 4, 5)))
    layer(np.zeros((2, 3, 8)))


@pytest.mark.parametrize("statistics", ["moving", "cumulative", "fixed"])
@pytest.mark.parametrize("residual", [False, True])
def test_sequences_are_images_of_height_1(statistics, residual, dtype, threads, rng):
    """The same bits, fused with a convolution, a sum and a ReLU, in training and inference."""
    x = rng.standard_normal((4, 5, 9)).astype(dtype)

    def net(convolution, window, padding):
        start = convolution(5, window, padding=padding, bias=False, initializer="ones")
        norm = BatchNorm(statistics=statistics)
        body = L.Sequential([start, norm])
        after = convolution(2, window, initializer="ones")
        return L.Sequential([L.Residual(body) if residual else body, L.ReLU(), after])

    def run(net, x):
        for _ in range(2):
            y, cache = net.forward(x, training=True)
        dx = net.backward(np.cos(y), cache)
        arrays = [y, dx, net(x), *(p.grad for p in net.parameters().values())]
        return arrays, [*net.buffers().values()]

    mine, buffers = run(net(L.Conv1D, 3, 1), x)
    image, wanted = run(net(L.Conv2D, (1, 3), (0, 1)), x[:, :, None])
    assert len(buffers) == 3
    for a, b in zip(mine + buffers, image + wanted, strict=True):
        assert_array_equal(a.reshape(b.shape), b)
