"""The experiments on batch norm and layer norm find what the book says, in their quick form."""

import numpy as np
import pytest

import deepfs as dfs
from lab_results import quick


def test_batch_norm_learns_from_most_of_16_scales():
    result = quick("batch_norm_scales")
    stds, last = result.data["stds"], result.data["last"]
    assert stds == pytest.approx(10.0 ** np.linspace(0, -4, 16))
    assert (last["with batch norm"] > 0.4).sum() >= 10
    assert 1 <= (last["without"] > 0.4).sum() <= 3
    assert last["without"][stds < 0.05].max() < 0.25
    assert last["with batch norm"][(stds > 0.01) & (stds < 0.2)].min() > 0.6
    assert result.found


def test_batch_norm_takes_a_ten_times_larger_rate():
    result = quick("batch_norm_rates")
    rates, last = result.data["rates"], result.data["last"]
    plain, normed = last["without"], last["with batch norm"]
    best = int(np.nanargmin(plain))
    assert rates[best + 2] / rates[best] == pytest.approx(10)
    assert result.numbers["best rate without"] == rates[best]
    assert not plain[best + 2] < 2  # a loss as of a guess, or NaN
    assert normed[best + 2] < 1.2 * plain[best] < 1
    assert np.nanmin(normed) < 0.8 * plain[best]
    assert result.found


def test_inputs_of_a_layer_move_without_batch_norm():
    result = quick("covariate_shift")
    seen, accuracy = result.data["seen"], result.data["accuracy"]
    assert seen["without"].shape == (21, 300, 50)
    mean, spread = seen["without"].mean(axis=1), seen["without"].std(axis=1)
    assert np.abs(mean - mean[0]).mean() > spread[0].mean()
    assert spread[-1].mean() > 3 * spread[0].mean()

    mean, spread = seen["with batch norm"].mean(axis=1), seen["with batch norm"].std(axis=1)
    assert mean[0] == pytest.approx(0, abs=1e-5)
    assert spread[0] == pytest.approx(1, abs=0.01)
    assert np.abs(mean).mean() < 0.1
    assert spread.min() > 0.8
    assert spread.max() < 2.5
    assert np.mean(accuracy["with batch norm"]) > np.mean(accuracy["without"]) + 0.3
    assert result.found


def test_layer_norm_does_not_need_a_large_batch():
    result = quick("batch_or_layer_norm")
    sizes, accuracy, change = (result.data[key] for key in ("sizes", "accuracy", "change"))
    assert sizes == [2, 8, 64]
    assert accuracy["layer norm"][0] > accuracy["batch norm"][0] + 0.1
    assert accuracy["batch norm"][2] > 0.85
    assert abs(accuracy["batch norm"][2] - accuracy["layer norm"][2]) < 0.06
    assert max(change["layer norm"]) < 1e-5
    assert change["batch norm"] == sorted(change["batch norm"], reverse=True)
    assert change["batch norm"][0] > 0.5
    assert result.found


def test_batch_norm_works_before_and_after_the_activation():
    result = quick("norm_before_or_after")
    last = {key: np.mean(curve[-15:]) for key, curve in result.data["losses"].items()}
    for place in ("before", "after"):
        assert last["ReLU", place] < 0.8 * last["ReLU", "without"]
        assert last["sigmoid", place] < 1.3 < 2.2 < last["sigmoid", "without"]
    assert last["sigmoid", "after"] < 0.6 * last["sigmoid", "before"]

    received = result.data["received"]
    assert received["ReLU", "before"].min() == 0
    assert 0.3 < (received["ReLU", "before"] == 0).mean() < 0.7
    assert received["sigmoid", "before"].mean() == pytest.approx(0.5, abs=0.05)
    for activation in ("ReLU", "sigmoid"):
        assert received[activation, "after"].mean() == pytest.approx(0, abs=0.1)
        assert received[activation, "after"].std() == pytest.approx(1, abs=0.2)
    assert result.found


def test_inference_uses_running_statistics_and_training_those_of_the_batch():
    result = quick("train_and_eval_modes")
    apart, accuracy = result.data["apart"], result.data["accuracy"]
    running, batches = result.data["running"], result.data["batches"]
    # running = 0.9 * 1 + 0.1 * batch after the first step
    assert running[0] == pytest.approx(0.9 + 0.1 * batches[0], abs=0.01)
    assert running[-1] == pytest.approx(batches[-1], rel=0.15)
    assert apart[0] > 0.5
    assert max(apart[-10:]) < 0.25
    assert accuracy["inference"] > 0.8
    assert accuracy["training, mixed batch"] == pytest.approx(accuracy["inference"], abs=0.04)
    assert accuracy["inference, batches of one class"] == pytest.approx(
        accuracy["inference"], abs=0.02
    )
    assert accuracy["training, batches of one class"] < 0.3
    assert result.found


def test_a_momentum_of_0_takes_the_last_batch_alone():
    result = dfs.lab.train_and_eval_modes(momentum=0.0, steps=3, quick=True)
    assert result.data["running"][0] == pytest.approx(result.data["batches"][0], rel=0.3)
