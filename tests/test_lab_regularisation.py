"""Experiments of the lab on regularisation: what they find, from their numbers."""

import numpy as np
import pytest

import deepfs as dfs
from lab_results import quick


def test_overfitting_gaps_narrow():
    result = quick("overfitting")
    last = {way: result.data[way][-1] for way in ("plain", "weight decay", "dropout", "both")}
    accuracy, loss, test_accuracy, test_loss = last["plain"]
    assert accuracy > 0.99 > 0.9 > test_accuracy  # 300 images learned by heart
    assert test_loss > result.data["plain"][:, 3].min()  # it rises again
    gap = {way: row[3] - row[1] for way, row in last.items()}
    for way in ("weight decay", "dropout", "both"):
        assert 0 < gap[way] < 0.75 * gap["plain"], way
        assert last[way][0] - last[way][2] < accuracy - test_accuracy  # in accuracy, too
    assert gap["both"] < gap["dropout"]
    assert result.found


def test_overfitting_does_not_find_what_is_not_there():
    assert not dfs.lab.overfitting(decay=0, epochs=20, quick=True).found


def test_masks_average_to_the_scaled_network():
    result = quick("dropout_ensemble")
    one, many, scaled, off_one, off_many, sure_many, sure_scaled = result.numbers.values()
    assert one + 0.02 < many
    assert abs(many - scaled) <= 0.02
    assert len(result.data["difference"]) == 1000
    off = np.array(result.data["difference"])
    # as 1 / sqrt(masks): each factor of 10 in masks is one of 3.16, up to chance
    assert all(2 < off[k - 1] / off[10 * k - 1] < 5 for k in (1, 10, 100))
    assert off[0] == off_one
    assert off[-1] == off_many
    assert sure_many < sure_scaled - 0.02
    assert result.found


def test_dropout_commutes_with_relu_only():
    result = quick("dropout_placement")
    numbers, x = result.numbers, result.data["x"]
    assert numbers["ReLU: largest difference, before and after"] == 0
    assert (result.data["ReLU"]["before"] == result.data["ReLU"]["after"]).all()
    for kind, f in (("tanh", np.tanh), ("sigmoid", lambda z: 1 / (1 + np.exp(-z)))):
        lines = result.data[kind]
        np.testing.assert_allclose(lines["without dropout"], f(x), rtol=1e-6)
        # before: half of the masks give f(0), the others f(2 x), exactly, up to their share
        np.testing.assert_allclose(lines["before"], (f(0.0) + f(2 * x)) / 2, atol=0.06)
        np.testing.assert_allclose(lines["after"], f(x), atol=0.12)
        assert numbers[f"{kind}: error of the mean, dropout before"] > 0.1
    assert result.found


def test_dropout_at_another_rate():
    result = dfs.lab.dropout_placement(p=0.2, quick=True)
    x, lines = result.data["x"], result.data["tanh"]
    np.testing.assert_allclose(lines["before"], 0.8 * np.tanh(x / 0.8), atol=0.06)
    assert result.found


def test_dropout_in_front_is_the_better_place():
    result = quick("dropout_depth")
    assert result.data["rates"]["layer 1"] == [0.5, 0, 0, 0]
    assert result.data["rates"]["falling"] == result.data["rates"]["rising"][::-1]
    loss = {place: row[3] for place, row in result.data["rows"].items()}
    assert loss["layer 1"] < 0.92 * loss["none"]
    assert loss["layer 4"] > 1.1 * loss["layer 1"]
    assert loss["falling"] < 0.9 * loss["rising"]
    assert result.found


def test_a_hundred_units_with_dropout_beat_eighty():
    result = quick("dropout_width")
    assert list(result.data["rows"]) == ["100 units, p = 0.2", "80 units", "100 units"]
    dropped, small, whole = (row[3] for row in result.data["rows"].values())
    assert dropped < 0.95 * small
    assert dropped < 0.95 * whole
    assert result.numbers["units left by a mask, of 100, on average"] == pytest.approx(80, abs=1)
    assert result.found


def test_l1_sets_weights_to_zero():
    result = quick("l1_zeros")
    zeros, accuracy = result.data["zeros"], result.data["accuracy"]
    assert zeros[0] == 0
    assert (np.diff(zeros) > 0).all()
    assert zeros[-1] > 0.9
    share = [(w == 0).mean() for w in result.data["first weights"]]
    assert np.abs(np.subtract(share, zeros)).max() < 0.05  # the first layer has most weights
    assert max(accuracy[:3]) - accuracy[2] < 0.03  # the third has a third of zeros
    assert zeros[2] > 0.25
    assert accuracy[-1] < accuracy[0] - 0.05
    assert result.numbers["L2 0.001: share of zeros"] < 0.001
    assert result.numbers["L1 0.001, not proximal: share of zeros"] < 0.001
    assert result.found


def test_norms_follow_the_lambdas():
    result = quick("layer_lambdas")
    lambdas, norms, loss = (result.data[key] for key in ("lambdas", "norms", "loss"))
    for way in ("the same", "first x 4", "last x 4"):
        assert np.prod(lambdas[way]) == pytest.approx(0.02**3)
        product = np.multiply(lambdas[way], np.square(norms[way]))
        assert product.max() < 1.6 * product.min(), way
        assert loss[way] == pytest.approx(loss["the same"], rel=0.1)
    assert norms["first x 4"][1] / norms["first x 4"][0] == pytest.approx(2, rel=0.25)
    assert norms["last x 4"][1] / norms["last x 4"][2] == pytest.approx(2, rel=0.25)
    assert norms["first only"][0] < norms["the same"][0]
    assert norms["first only"][1] > norms["none"][1]  # it takes over the scale
    assert result.found


def test_corners_of_the_l1_ball():
    result = quick("norm_balls")
    assert [result.numbers[f"norm of (3, -4), p = {p}"] for p in ("1", "2", "inf")] == [7, 5, 4]
    minima, centres, path = result.data["minima"], result.data["centres"], result.data["paths"]
    a = np.array([[1.0, 0.4], [0.4, 0.7]])
    # L2 of rate 0.5: the gradient (w - m) A + 0.5 w is 0
    exact = centres @ a @ np.linalg.inv(a + 0.5 * np.eye(2))
    np.testing.assert_allclose(minima["L2"], exact, atol=1e-6)
    # L1: that of the loss is -0.5 sign(w), or within it where w is 0
    w, slope = minima["L1"], (minima["L1"] - centres) @ a
    at_zero = w == 0
    assert (np.abs(slope[at_zero]) <= 0.5 + 1e-6).all()
    np.testing.assert_allclose(slope[~at_zero], -0.5 * np.sign(w[~at_zero]), atol=1e-6)
    assert at_zero[1:].any(axis=1).mean() > 0.3
    assert not (minima["L2"] == 0).any()
    on_axis = path["L1"][:, 0] == 0
    assert on_axis.any()
    assert (np.diff(on_axis.astype(int)) >= 0).all()
    assert result.found
