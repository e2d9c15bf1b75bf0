"""Experiments of the lab on the choice of hyper-parameters: what they find, from their numbers."""

import itertools

import numpy as np
import pytest

import deepfs as dfs
from deepfs.lab.search._gaussian_process import expected_improvement, kernel, surrogate
from lab_results import quick


def test_the_log_names_what_is_wrong_until_nothing_is():
    result = quick("babysitting_log")
    log = result.data["log"]
    kinds = [trial["kinds"] for trial in log]
    assert kinds[0][:2] == ["symmetry", "inputs"]  # zeros, and pixels up to 255
    assert kinds[1][0] == "inputs"
    assert kinds[2:] == [["rate_high"], ["rate_low"], [], []]
    assert "random initializer" in log[0]["verdict"]
    assert log[2]["verdict"].startswith("The learning rate is too high. Divide it by 10")
    right = [trial["accuracy"] for trial in log]
    assert max(right[:4]) < 0.25  # ten classes: they guess
    assert right[5] > right[4] + 0.1 > 0.4
    assert log[5]["loss"][-1] < log[5]["loss"][0] / 2
    assert all(len(trial["loss"]) == 6 for trial in log)
    assert result.found


def test_each_trial_of_the_log_changes_one_setting():
    trials = [trial["settings"].split("\n") for trial in quick("babysitting_log").data["log"]]
    changes = [
        sum(a != b for a, b in zip(*pair, strict=True)) for pair in itertools.pairwise(trials)
    ]
    assert changes == [1] * 5


def test_a_log_of_healthy_trials_only_finds_nothing():
    healthy = ((1, "he_normal", 0.1), (1, "he_normal", 0.05))
    result = dfs.lab.babysitting_log(trials=healthy, epochs=1, quick=True)
    assert not result.found
    assert result.numbers["trial 1, verdict"] == "no finding"


def test_a_loss_that_becomes_nan_is_a_trial_that_failed():
    rates = ((1, "he_normal", 1e20), (1, "he_normal", 0.1))
    worst, best = dfs.lab.babysitting_log(trials=rates, quick=True).data["log"]
    assert np.isinf(worst["loss"]).all()
    assert worst["kinds"][0] == "rate_high"
    assert worst["accuracy"] < best["accuracy"]


def test_nine_random_trials_try_nine_rates():
    result = quick("grid_or_random")
    table, points = result.data["table"], result.data["points"]
    for k, side in enumerate((2, 3, 4, 5, 6)):
        for way, rates in (("grid", side), ("random", side**2)):
            at = points[way][k]
            assert at.shape == (500, side**2, 2)
            assert at.min() >= 0
            assert at.max() < 1
            assert all(len(np.unique(one)) == rates for one in at[:20, :, 0].round(9)), way
    assert np.ptp(table, axis=0).min() > 0.3  # over the rates
    assert np.ptp(table, axis=1).max() < 0.05  # over the decays
    best = result.data["best"]
    missed = {way: table.max() - values for way, values in best.items()}
    assert (missed["random"] < 0.85 * missed["grid"]).all()
    for values in best.values():
        assert (np.diff(values) > 0).all()
        assert values.max() <= table.max()
    assert result.found


def test_grid_and_random_cover_the_square_alike():
    """A grid that is shifted at random has no place that it prefers, or it would win or lose so."""
    points = quick("grid_or_random").data["points"]
    for each in points.values():
        four = each[0].reshape(-1, 2)  # a grid of 2 x 2, seen in 3 x 3 parts
        shares, _, _ = np.histogram2d(*four.T, bins=3, range=[[0, 1], [0, 1]])
        np.testing.assert_allclose(shares / shares.sum(), 1 / 9, atol=0.02)


def test_rounds_narrow_the_ranges_around_the_best():
    result = quick("coarse_to_fine")
    log = result.data["log"]
    assert len(log) == 3
    for one, after in zip(log, [*log[1:], None], strict=True):
        low, high = one["ranges"].T
        assert ((low <= one["points"]) & (one["points"] <= high)).all()
        best = one["points"][np.argsort(-one["scores"], kind="stable")[:4]]
        margin = 0.1 * (high - low)
        np.testing.assert_allclose(one["next"][:, 0], best.min(axis=0) - margin)
        np.testing.assert_allclose(one["next"][:, 1], best.max(axis=0) + margin)
        if after is not None:
            assert (after["ranges"] == one["next"]).all()
    rates = [np.ptp(one["ranges"][0]) for one in log]
    assert rates[0] == 6
    assert rates[1] < 0.6 * rates[0]
    assert rates[2] < 0.6 * rates[1]
    assert np.median(log[-1]["scores"]) > 1.3 * np.median(result.data["unnarrowed"])
    assert log[-1]["scores"].max() > log[0]["scores"].max()
    assert result.found


def test_a_best_trial_at_the_border_moves_the_ranges_beyond_it():
    from deepfs.lab.search.coarse_to_fine import narrowed

    points = np.array([[0.0, 0.5], [0.1, 0.4], [0.9, 0.9], [0.5, 0.1]])
    ranges = np.array([[0.0, 1.0], [0.0, 1.0]])
    after = narrowed(points, np.array([0.9, 0.8, 0.1, 0.2]), ranges, keep=2)
    np.testing.assert_allclose(after, [[-0.1, 0.2], [0.3, 0.6]])


def test_the_surrogate_is_a_gaussian_process():
    rng = np.random.default_rng(0)
    x, at = rng.uniform(-5, 1, 6), np.linspace(-5, 1, 9)
    y = np.sin(x)
    mean, deviation = surrogate(x, y, at, 0.7)
    inverse = np.linalg.inv(kernel(x, x, 0.7) + 1e-6 * np.eye(6))
    across = kernel(at, x, 0.7)
    np.testing.assert_allclose(mean, y.mean() + across @ inverse @ (y - y.mean()), atol=1e-6)
    left = 1 - np.einsum("ij,jk,ik->i", across, inverse, across)
    np.testing.assert_allclose(deviation, y.std() * np.sqrt(np.maximum(left, 0)), atol=1e-6)
    mean, deviation = surrogate(x, y, x, 0.7)
    np.testing.assert_allclose(mean, y, atol=1e-3)
    assert deviation.max() < 2e-3 * y.std()


def test_expected_improvement_is_the_mean_of_what_is_below():
    mean, deviation = np.array([0.0, 1.0, -1.0, 0.3]), np.array([1.0, 0.5, 0.2, 0.0])
    draws = mean + deviation * np.random.default_rng(0).standard_normal((200_000, 4))
    measured = np.maximum(0.2 - draws, 0).mean(axis=0)
    np.testing.assert_allclose(expected_improvement(mean, deviation, 0.2), measured, atol=4e-3)


def test_bayesian_optimisation_leaves_the_wide_valley():
    result = quick("bayesian_optimisation")
    x, steps, grid = (result.data[key] for key in ("x", "steps", "grid"))
    assert len(x) == 12
    assert len(steps) == 11  # after 2, 3, ... 12 trials
    for k, (_, _, gain) in enumerate(steps[:-1], 2):
        assert x[k] == grid[gain.argmax()]
        assert gain[np.isin(grid, x[:k])].max() < 1e-3 + 0.01 * gain.max()
        assert (gain >= -1e-12).all()
    best = x[result.data["y"].argmin()]
    assert abs(x[0] + 3.6) < 1  # it starts in the wide valley, around -3.6
    assert abs(best + 0.8) < 0.1  # and ends in the deep one
    missed = {way: values[:, -1] for way, values in result.data["missed"].items()}
    assert missed["expected improvement"].mean() < 0.3 * missed["random"].mean()
    assert (missed["expected improvement"] < 0.05).mean() > 0.8
    assert result.movie.frames == 13
    assert result.found


def test_a_kernel_that_is_too_short_sees_no_valley():
    result = dfs.lab.bayesian_optimisation(length=0.02, quick=True)
    hits = "searches that find the lowest valley, expected improvement"
    assert result.numbers[hits] < quick("bayesian_optimisation").numbers[hits] - 0.2


def test_folds_test_each_image_once():
    result = quick("k_fold")
    scores, tested = result.data["scores"], result.data["tested"]
    assert tested.shape == (8, 300)
    assert (tested == 1).all()
    assert scores.shape == (8, 5)
    p = scores.mean()
    chance = np.sqrt(p * (1 - p) / 60)
    within = np.sqrt(scores.var(axis=1, ddof=1).mean())
    assert 0.6 * chance < within < 1.6 * chance
    assert scores.mean(axis=1).std() < 0.6 * within
    assert result.numbers["their mean"] == pytest.approx(scores[0].mean())
    assert abs(p - result.data["fresh"].mean()) < 0.12
    assert result.found


def test_k_fold_is_that_of_cross_validate():
    """With the same folds and models, one number of the experiment is what the library returns."""
    from deepfs.lab.search._shared import small_model

    (x, y), _ = dfs.datasets.mnist_mini()
    inside, outside = next(iter(dfs.data.KFold(5, seed=0).split(x[:300])))
    model = small_model(0.1, seed=0)
    model.fit(x[inside], y[inside], batch_size=20, epochs=4, verbose=0)
    score = model.evaluate(x[outside], y[outside])["accuracy"]
    assert quick("k_fold").data["scores"][0, 0] == pytest.approx(score)


def test_the_best_of_many_looks_better_than_it_is():
    result = quick("validation_or_test")
    reported, real = result.data["reported"], result.data["real"]
    assert len(reported) == 20
    optimism = reported - real
    assert abs(optimism[0]) < 0.01  # a single network: no choice, no luck
    assert 0.01 < optimism[2] < optimism[9] < optimism[19]
    assert (np.diff(reported) > -1e-9).all()  # the best of more is never lower
    assert optimism[-1] > real[-1] - real[0]
    # fresh images say what the networks are really worth: no more than the best of them
    assert real[-1] < result.data["right"].mean(axis=1).max() + 0.001
    assert result.found


def test_more_validation_images_are_fooled_less():
    few, many = (
        dfs.lab.validation_or_test(tries=6, size=size, draws=200, quick=True) for size in (50, 800)
    )
    optimism = [one.data["reported"][-1] - one.data["real"][-1] for one in (few, many)]
    assert optimism[1] < optimism[0] / 2
