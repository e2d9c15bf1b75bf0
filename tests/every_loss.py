"""One row per public loss at least, and per variant: what to build, on what."""

import numpy as np
import pytest

from deepfs import losses
from every_layer import spread

ROWS, PIXELS = (6, 4), (3, 4, 2, 3)
WEIGHTS = [1, 2, 0.5, 3]


def labels(shape, seed=0):
    """Return a label for each sample or pixel of outputs of ``shape``."""
    return np.random.default_rng(seed).integers(0, shape[1], shape[:1] + shape[2:])


def probabilities(shape, seed=0):
    p = np.random.default_rng(seed).random(shape) + 0.1
    return p / p.sum(axis=1, keepdims=True)


def numbers(shape, seed=0):
    """Return numbers, none as far from `spread` as 0 or 1, where some losses have a kink."""
    away = np.random.default_rng(seed).choice([-2.3, -0.6, 0.4, 1.7], shape)
    return spread(shape) + away


def parts(shape, seed=0):
    """Return probabilities that need not add up to 1."""
    return np.random.default_rng(seed).random(shape)


# margins of the hinge are no multiple of the 0.05 between two numbers of `spread`: no kinks
CASES = [
    ("cross-entropy", lambda **k: losses.CrossEntropy(**k), ROWS, labels),
    ("cross-entropy of pixels", lambda **k: losses.CrossEntropy(**k), PIXELS, labels),
    ("cross-entropy, probabilities", lambda **k: losses.CrossEntropy(**k), PIXELS, probabilities),
    (
        "cross-entropy, smoothed",
        lambda **k: losses.CrossEntropy(label_smoothing=0.1, **k),
        ROWS,
        labels,
    ),
    (
        "cross-entropy, class weights",
        lambda **k: losses.CrossEntropy(class_weight=WEIGHTS, **k),
        PIXELS,
        labels,
    ),
    ("cross-entropy, ignoring", lambda **k: losses.CrossEntropy(ignore_index=1, **k), ROWS, labels),
    (
        "cross-entropy, everything",
        lambda **k: losses.CrossEntropy(0.2, WEIGHTS, ignore_index=0, **k),
        PIXELS,
        labels,
    ),
    (
        "cross-entropy, weighted smoothed probabilities",
        lambda **k: losses.CrossEntropy(0.2, WEIGHTS, **k),
        ROWS,
        probabilities,
    ),
    ("binary cross-entropy", lambda **k: losses.BinaryCrossEntropy(**k), ROWS, parts),
    (
        "binary cross-entropy, weighted",
        lambda **k: losses.BinaryCrossEntropy(WEIGHTS, **k),
        PIXELS,
        parts,
    ),
    ("mean squared error", lambda **k: losses.MeanSquaredError(**k), PIXELS, numbers),
    (
        "mean squared error, textbook",
        lambda **k: losses.MeanSquaredError(textbook=True, **k),
        PIXELS,
        numbers,
    ),
    ("mean absolute error", lambda **k: losses.MeanAbsoluteError(**k), (5,), numbers),
    ("huber", lambda **k: losses.Huber(**k), ROWS, numbers),
    ("huber, wide", lambda **k: losses.Huber(delta=2.0, **k), PIXELS, numbers),
    (
        "negative log-likelihood",
        lambda **k: losses.NegativeLogLikelihood(**k),
        ROWS,
        labels,
    ),
    (
        "negative log-likelihood, everything",
        lambda **k: losses.NegativeLogLikelihood(WEIGHTS, ignore_index=2, **k),
        PIXELS,
        labels,
    ),
    ("hinge", lambda **k: losses.Hinge(margin=1.02, **k), ROWS, labels),
    ("hinge of pixels", lambda **k: losses.Hinge(margin=0.32, **k), PIXELS, labels),
]

every_loss = pytest.mark.parametrize(
    ("make", "shape", "targets"),
    [pytest.param(make, shape, targets, id=name) for name, make, shape, targets in CASES],
)
