"""The findings of the lab's experiments on optimizers, from their numbers."""

import numpy as np
import pytest

from deepfs import lab
from deepfs.lab.optimizers import cliff_clipping
from lab_results import quick


def textbook_steps(name, w, steps=30):
    """Return the textbook's path on x^2/20 + y^2, its rules written out."""
    v, h, points = np.zeros(2), np.zeros(2), [w]
    for t in range(1, steps + 1):
        g = w * [0.1, 2.0]
        if name == "SGD":
            w = w - 0.95 * g
        elif name == "Momentum":
            v = 0.9 * v - 0.1 * g
            w = w + v
        elif name == "AdaGrad":
            h = h + g * g
            w = w - 1.5 * g / (np.sqrt(h) + 1e-7)
        else:
            v, h = v + 0.1 * (g - v), h + 0.001 * (g * g - h)
            w = w - 0.3 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * v / (np.sqrt(h) + 1e-7)
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("name", ["SGD", "Momentum", "AdaGrad", "Adam"])
def test_paths_are_the_textbooks(name):
    data = quick("optimizer_paths").data
    for which, y in (("above", 2.0), ("below", -2.0)):
        expected = textbook_steps(name, np.array([-7.0, y]))
        np.testing.assert_allclose(data[which][name], expected, atol=1e-5)


def test_sgd_zigzags_and_the_others_do_not():
    result = quick("optimizer_paths")
    assert result.numbers["sign changes of y, SGD"] == 30
    np.testing.assert_allclose(result.data["above"]["SGD"][-1], [-7 * 0.905**30, 2 * 0.9**30])
    others = ("Momentum", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam", "NAdam")
    for name in others:
        points = result.data["above"][name]
        assert points.shape == (31, 2)
        large = points[np.abs(points[:, 1]) >= 0.01, 1]
        changes = result.numbers[f"sign changes of y, {name}"]
        assert changes == (large[1:] * large[:-1] < 0).sum() <= 6
        assert np.hypot(*points[-1]) < 2
    assert lab.optimizer_paths(steps=7).numbers["sign changes of y, SGD"] == 7


def test_nesterov_looks_ahead():
    data = quick("nesterov_look_ahead").data
    theta, v = np.array([-7.0, 2.0]), np.zeros(2)
    for ahead in data["Nesterov"]:
        np.testing.assert_allclose(ahead, theta + 0.9 * v, atol=1e-12)
        v = 0.9 * v - 0.1 * ahead * [0.1, 2.0]
        theta = theta + v
    late = {name: np.abs(data[name][20:, 1]).max() for name in ("Momentum", "Nesterov")}
    assert late["Nesterov"] < 0.1
    assert late["Momentum"] > 0.5


@pytest.mark.parametrize(("beta", "reach"), [(0.5, 2), (0.9, 10), (0.99, 100)])
def test_the_average_of_momentum_reaches_back(beta, reach):
    result = quick("momentum_average")
    weights = result.data["weights"][beta]
    np.testing.assert_allclose(weights[:50], (1 - beta) * beta ** np.arange(50), atol=1e-12)
    ages = np.arange(1, len(weights) + 1)
    assert np.average(ages, weights=weights) == pytest.approx(reach, rel=1e-3)
    left = result.numbers[f"share of noise left, beta {beta}"]
    assert left == pytest.approx(np.sqrt((1 - beta) / (1 + beta)), rel=0.1)
    longest = result.numbers["longest step of the classic form, beta 0.9, over lr"]
    assert longest == pytest.approx(10)


def test_adam_corrects_its_bias():
    result = quick("adam_bias_correction")
    steps, t = result.data["steps"], np.arange(1, 1001)
    np.testing.assert_allclose(steps["corrected"], 1, atol=1e-6)
    np.testing.assert_allclose(
        steps["not corrected"], (1 - 0.9**t) / np.sqrt(1 - 0.999**t), rtol=1e-5
    )
    assert result.numbers["first step / lr, not corrected"] == pytest.approx(np.sqrt(10), rel=1e-5)
    assert result.numbers["at step"] == 12
    first = result.numbers["first mean m, gradients of mean 1"]
    assert result.numbers["the same, corrected"] == pytest.approx(10 * first)
    furthest = {name: points[:, 0].max() for name, points in result.data["paths"].items()}
    assert furthest["not corrected"] > 3
    assert furthest["corrected"] < 1


def test_steps_of_adagrad_shrink_and_those_of_rmsprop_do_not():
    result = quick("adagrad_steps")
    lengths = {name: np.diff(way) for name, way in result.data["way"].items()}
    t = np.arange(1, len(lengths["AdaGrad"]) + 1)
    np.testing.assert_allclose(lengths["AdaGrad"], 0.1 / np.sqrt(t), rtol=1e-5)
    np.testing.assert_allclose(lengths["RMSProp"], 0.1 / np.sqrt(1 - 0.9**t), rtol=1e-5)
    assert result.numbers["steps to go 5, AdaGrad"] == 662
    assert result.numbers["steps to go 5, RMSProp"] == 41
    settled = {name: distance[-50:].mean() for name, distance in result.data["distance"].items()}
    assert settled["AdaGrad"] < settled["RMSProp"] / 4


def test_adagrad_helps_where_features_are_sparse():
    data = quick("sparse_features").data
    rare = {name: errors[-1, 10:].mean() for name, errors in data["sparse"].items()}
    assert rare["AdaGrad"] < rare["SGD"] / 100
    assert rare["SGD"] < 0.1  # its rate is a sensible one
    dense = {name: errors[-1].mean() for name, errors in data["dense"].items()}
    assert dense["SGD"] < dense["AdaGrad"] / 100


def test_the_ravine_costs_sgd_its_steepness_and_momentum_the_root():
    result = quick("ravine")
    sgd, momentum = result.data["steps"]["SGD"], result.data["steps"]["Momentum"]
    assert 8 < sgd[1] / sgd[0] < 12
    assert 2 < momentum[1] / momentum[0] < 4.5
    # f falls by ((k - 1) / (k + 1))^2 in a step of the best rate
    assert sgd[1] == pytest.approx(np.log(1000) / (2 * np.log(101 / 99)), abs=10)
    for name in ("SGD", "Momentum"):  # they do not know the axes
        np.testing.assert_allclose(
            np.hypot(*result.data["turned"][0][name][1].T),
            np.hypot(*result.data["turned"][45][name][1].T),
            atol=1e-10,
        )
    adagrad = result.numbers["steps of AdaGrad, turned by 0°"]
    assert result.numbers["steps of AdaGrad, turned by 45°"] > 5 * adagrad


def test_noise_leaves_the_saddle():
    ways = quick("saddle_points").data["ways"]
    np.testing.assert_allclose(ways["no noise"][-1], [0, 0], atol=1e-6)
    x, y = ways["noise"][-1]
    assert abs(x) < 0.1
    assert abs(abs(y) - 1) < 0.1
    assert (np.abs(ways["noise"][:20, 1]) < 0.1).all()  # it came near


def test_the_share_of_saddle_points():
    data = quick("saddle_points").data
    for n, coins, matrices in zip(data["n"], data["coins"], data["matrices"], strict=True):
        assert coins == pytest.approx(1 - 0.5 ** (n - 1), abs=0.03)
        assert matrices >= coins - 0.03
    assert data["coins"][0] == data["matrices"][0] == 0
    # of symmetric Gaussian matrices of two rows the share is 1/sqrt(2)
    assert data["matrices"][1] == pytest.approx(np.sqrt(0.5), abs=0.1)


def test_clipping_stays_at_the_cliff():
    result = quick("cliff_clipping")
    steps = {
        name: np.hypot(*np.diff(points, axis=0).T) for name, points in result.data["ways"].items()
    }
    assert steps["not clipped"].max() > 10
    assert steps["clipped"].max() == pytest.approx(0.3 * 0.3, rel=1e-3)
    losses = result.data["losses"]
    assert losses["clipped"][-10:].mean() < 0.02
    np.testing.assert_allclose(losses["not clipped"][-10:], 0.3**2, atol=1e-6)  # sigmoid is 1
    assert result.numbers["norm of the gradient at the end, not clipped"] < 1e-6


def test_the_gradient_of_the_recurrent_unit():
    for point in ([5.0, -2.2], [4.7, -2.4], [4.0, -2.0]):
        point, h = np.array(point), 1e-6
        numerical = [
            (cliff_clipping.loss(*(point + d)) - cliff_clipping.loss(*(point - d))) / (2 * h)
            for d in h * np.eye(2)
        ]
        np.testing.assert_allclose(cliff_clipping.gradient(point), numerical, rtol=1e-4, atol=1e-8)


def test_noise_falls_by_the_root_of_the_batch_size():
    data = quick("batch_noise").data
    scaled = data["noise"] * np.sqrt(data["sizes"])
    assert scaled.max() < 1.5 * scaled.min()
    assert data["cosines"][0] < 0.3
    assert data["cosines"][-1] > 0.7
    assert (np.diff(data["cosines"]) > 0).all()


def test_momentum_and_adaptive_optimizers_are_below_sgd():
    data = quick("optimizer_comparison").data
    last = {name: losses[-16:].mean() for name, losses in data["losses"].items()}
    assert last.keys() == {"SGD", "Momentum", "AdaGrad", "RMSProp", "Adam"}
    for name in last.keys() - {"SGD"}:
        assert last[name] < last["SGD"] / 2
        assert data["losses"][name][0] == data["losses"]["SGD"][0]  # same weights, same batch
        assert data["accuracy"][name] > data["accuracy"]["SGD"] + 0.05


def test_decayed_rates_end_below_constant_ones():
    result = quick("schedules_compared")
    last = {name: f[-10:].mean() for name, f in result.data["f"].items()}
    large, small = last.pop("constant, large"), last.pop("constant, small")
    assert len(last) == 6
    assert max(last.values()) < min(large, small) / 2
    # the variance of w = (1 - 0.5 c) w - 0.5 noise
    floor = sum(c / 2 * 0.25 / (1 - (1 - 0.5 * c) ** 2) for c in (0.1, 1.0))
    assert large == pytest.approx(floor, rel=0.15)
    assert result.numbers["floor of the large rate by the formula"] == pytest.approx(floor)
