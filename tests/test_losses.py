"""Losses: against NumPy and finite differences, their options, and what they refuse."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import reference
from deepfs.losses import CrossEntropy, MeanSquaredError
from deepfs.testing import check_loss


@pytest.fixture
def logits(rng):
    return 3 * rng.standard_normal((6, 4))


LABELS = np.array([0, 3, 1, 1, 2, 0])


def test_cross_entropy_matches_numpy(logits):
    onehot = np.eye(4)[LABELS]
    wanted = reference.cross_entropy(logits, onehot)
    assert CrossEntropy()(logits, LABELS) == pytest.approx(wanted, rel=1e-12)
    assert CrossEntropy()(logits, onehot) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"label_smoothing": 0.1},
        {"class_weight": [1, 2, 0.5, 0]},
        {"ignore_index": 1},
        {"reduction": "sum"},
        {"label_smoothing": 0.2, "class_weight": [1, 2, 0.5, 3], "ignore_index": 0},
    ],
)
def test_cross_entropy_gradients(settings, logits, rng):
    check_loss(CrossEntropy(**settings), logits, LABELS)
    check_loss(CrossEntropy(**settings), logits, LABELS, rng.random(6))
    check_loss(CrossEntropy(**settings), logits, rng.dirichlet(np.ones(4), 6))
    images = rng.standard_normal((2, 4, 3, 2))
    check_loss(CrossEntropy(**settings), images, rng.integers(0, 4, (2, 3, 2)))


def test_cross_entropy_options_by_hand():
    x, y = np.log([[0.2, 0.8], [0.5, 0.5]]), np.array([0, 1])
    terms = -np.log([0.2, 0.5])
    weighted = CrossEntropy(class_weight=[3, 1])(x, y)
    assert weighted == pytest.approx((3 * terms[0] + terms[1]) / 4)
    assert CrossEntropy(ignore_index=0)(x, y) == pytest.approx(terms[1])
    assert CrossEntropy(reduction="sum")(x, y) == pytest.approx(terms.sum())
    assert_allclose(CrossEntropy(reduction="none")(x, y), terms)
    assert CrossEntropy()(x, y, [1, 3]) == pytest.approx((terms[0] + 3 * terms[1]) / 4)
    smooth = -(0.95 * np.log(0.2) + 0.05 * np.log(0.8)), -np.log(0.5)
    assert CrossEntropy(label_smoothing=0.1)(x, y) == pytest.approx(np.mean(smooth))


def test_all_ignored_is_zero(logits):
    loss = CrossEntropy(ignore_index=-100)
    value, cache = loss.forward(logits, np.full(6, -100))
    assert value == 0
    assert not loss.backward(cache).any()


def test_extreme_logits_are_finite():
    loss = CrossEntropy()
    value, cache = loss.forward(np.array([[1e4, -1e4]]), np.array([0]))
    assert value == 0
    assert np.isfinite(loss.backward(cache)).all()


@pytest.mark.parametrize(
    ("outputs", "targets", "error", "message"),
    [
        (np.zeros((2, 3)), np.array([0, 3]), ValueError, "labels from 0 to 2, got 3 at index 1"),
        (np.zeros((2, 3)), np.array([-1, 0]), ValueError, "labels from 0 to 2, got -1 at index 0"),
        (np.zeros((2, 3)), np.array([0.0, 1.0]), ValueError, "integer labels"),
        (np.zeros((2, 3)), np.zeros((2, 3), int), ValueError, "integer labels"),
        (np.zeros((2, 3)), np.zeros(3, int), ValueError, "integer labels"),
        (np.zeros((2, 3)), np.array(["a", "b"]), TypeError, "integer or float targets"),
        (np.zeros(3), np.zeros(3, int), ValueError, r"takes logits \(n, classes, ...\)"),
        (np.zeros((2, 3), complex), np.zeros(2, int), TypeError, "takes real numbers"),
    ],
)
def test_cross_entropy_refuses(outputs, targets, error, message):
    with pytest.raises(error, match=message):
        CrossEntropy()(outputs, targets)


def test_cross_entropy_refuses_settings(logits):
    with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\], got 2"):
        CrossEntropy(label_smoothing=2)
    with pytest.raises(ValueError, match="reduction must be one of"):
        CrossEntropy(reduction="max")
    with pytest.raises(ValueError, match="weights of 2 classes, got logits of 4"):
        CrossEntropy(class_weight=[1, 2])(logits, LABELS)
    with pytest.raises(ValueError, match=r"sample weights of shape \(6,\), got \(5,\)"):
        CrossEntropy()(logits, LABELS, np.ones(5))


@pytest.mark.parametrize("settings", [{}, {"textbook": True}, {"reduction": "sum"}])
def test_mean_squared_error(settings, rng):
    outputs, targets = rng.standard_normal((2, 5, 3))
    check_loss(MeanSquaredError(**settings), outputs, targets)
    check_loss(MeanSquaredError(**settings), outputs, targets, rng.random(5))
    squares = (outputs - targets) ** 2
    wanted = {"": squares.mean(), "textbook": squares.sum() / 10, "reduction": squares.sum()}
    value = MeanSquaredError(**settings)(outputs, targets)
    assert value == pytest.approx(wanted["".join(settings)])
    assert reference.mean_squared_error(outputs, targets) == pytest.approx(squares.mean())


def test_mean_squared_error_terms_and_refusals():
    assert_array_equal(MeanSquaredError(reduction="none")(np.ones((2, 2)), np.zeros((2, 2))), 1)
    with pytest.raises(ValueError, match=r"numbers of the outputs' shape \(2, 2\), got int64"):
        MeanSquaredError()(np.ones((2, 2)), np.zeros(2, int))
