"""Experiments of the lab on the preparation of data: what they find, from their numbers."""

import numpy as np
import pytest

import deepfs as dfs
from lab_results import quick


def test_clouds():
    result = quick("clouds")
    clouds = result.data["clouds"]
    assert list(clouds)[:4] == ["raw", "centred", "normalised", "decorrelated (PCA)"]
    covariance = {name: np.cov(y.T, bias=True) for name, y in clouds.items()}
    assert (clouds["raw"].mean(axis=0) > 3).all()
    for name, y in clouds.items():
        assert name == "raw" or np.abs(y.mean(axis=0)).max() < 1e-9
    np.testing.assert_allclose(covariance["centred"], covariance["raw"])
    np.testing.assert_allclose(np.diag(covariance["normalised"]), 1)
    assert covariance["normalised"][0, 1] > 0.5
    axes = covariance["decorrelated (PCA)"]
    np.testing.assert_allclose(
        axes, np.diag(np.linalg.eigvalsh(covariance["raw"])[::-1]), atol=1e-9
    )
    for kind in ("PCA", "ZCA"):
        np.testing.assert_allclose(covariance[f"whitened ({kind})"], np.eye(2), atol=1e-8)
    off = {name: np.square(y - clouds["centred"]).mean() for name, y in clouds.items()}
    assert off["whitened (ZCA)"] < 0.9 * off["whitened (PCA)"]
    assert result.found


def test_every_picture_of_the_clouds_can_be_drawn():
    figure = pytest.importorskip("matplotlib.figure").Figure
    movie = quick("clouds").movie
    titles = []
    for k in range(0, movie.frames, 6):
        picture = figure()
        movie.draw(picture, k)
        titles.append(picture.axes[0].get_title())
    assert titles[0] == "raw"
    assert titles[-1] == "whitened (PCA)"
    assert len({*titles}) == 5


def test_standardised_data_are_less_sensitive():
    result = quick("sensitivity")
    scores = [z @ w + b for z, w, b in result.data["forms"].values()]
    np.testing.assert_allclose(*scores, atol=1e-6)  # one classifier
    accuracy, loss = result.data["accuracy"], result.data["loss"]
    assert accuracy["raw"][0] == accuracy["standardised"][0] > 0.95
    assert accuracy["raw"][-1] < accuracy["standardised"][-1] - 0.03
    rise = {name: values[-1] - values[0] for name, values in loss.items()}
    assert rise["raw"] > 10 * rise["standardised"] > 0
    order = np.argsort(result.data["sizes"])
    assert (np.diff(loss["raw"][order]) >= 0).all()
    assert result.found


def test_data_around_the_origin_show_no_difference():
    assert not dfs.lab.sensitivity(centre=(0.0, 0.0), quick=True).found


def test_test_data_take_the_statistics_of_the_training_data():
    result = quick("train_only_statistics")
    numbers, by_batch = result.numbers, result.data["accuracy"]
    right = numbers["accuracy, statistics of the training images"]
    assert right > 0.75
    assert by_batch[0] == pytest.approx(0.1, abs=0.05)  # all inputs are 0: one answer for all
    assert by_batch[1] < right - 0.1
    assert by_batch[-1] == pytest.approx(right, abs=0.05)
    assert numbers["accuracy, statistics of each class of test images"] < right - 0.3
    assert numbers["accuracy, statistics of training and test images"] == pytest.approx(
        right, abs=0.05
    )
    assert result.found
