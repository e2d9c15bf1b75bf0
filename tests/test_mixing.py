"""MixUp and CutMix: shares and boxes, targets and weights, what they refuse."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import augment as A
from deepfs import layers as L
from deepfs import metrics, reference
from deepfs.augment._random import symmetric_beta
from deepfs.testing import any_work_on

SEED = 11
CDFS = {  # of Beta(alpha, alpha)
    0.5: lambda x: 2 / np.pi * np.arcsin(np.sqrt(x)),
    1.0: lambda x: x,
    2.0: lambda x: x * x * (3 - 2 * x),
    3.0: lambda x: x**3 * (10 - 15 * x + 6 * x * x),
}


def batch(rng, n=12, dtype=np.float32):
    return rng.standard_normal((n, 3, 8, 6)).astype(dtype), rng.integers(0, 5, n)


def mix(transform, x, y, weight=None, numbers=None, epoch=0, classes=5):
    numbers = np.arange(len(x)) if numbers is None else numbers
    return A.pipeline(transform).mix(x, y, weight, numbers, epoch, SEED, classes)


@pytest.mark.parametrize("alpha", CDFS)
def test_shares_have_their_distribution(alpha, rng):
    """Kolmogorov and Smirnov: 1.95 / sqrt(n) has the probability 0.001."""
    n = 20_000
    share = np.sort(symmetric_beta(*rng.random((2, n)), alpha))
    distance = abs(CDFS[alpha](share) - (np.arange(n) + 0.5) / n).max()
    assert distance < 1.95 / np.sqrt(n)


def test_shares_of_extreme_alpha(rng):
    u, v = rng.random((2, 1000))
    u[0] = 0
    for alpha in (1e-6, 1e-3, 1e6):
        share = symmetric_beta(u, v, alpha)
        assert ((share >= 0) & (share <= 1)).all()
    assert np.isin(symmetric_beta(u[1:], v[1:], 1e-6), (0, 1)).all()
    assert_allclose(symmetric_beta(u, v, 1e6), 0.5, atol=0.01)


def test_mixup_by_hand(dtype, threads, rng):
    x, y = batch(rng, dtype=dtype)
    before = x.copy()
    mixed, target, weight = mix(A.MixUp(0.7), x, y, epoch=2)
    share = np.array([
        symmetric_beta(*reference.draws(i, 2, SEED, 2, 0), 0.7) for i in range(len(x))
    ])  # fmt: skip
    whole = [(0, 8, 0, 6)] * len(x)
    assert_allclose(mixed, reference.mix(x, share, whole), rtol=1e-6, atol=1e-6)
    one = np.eye(5)[y]
    wanted = share[:, None] * one + (1 - share[:, None]) * np.roll(one, 1, axis=0)
    assert_allclose(target, wanted, rtol=1e-6)
    assert (mixed.dtype, target.dtype, weight) == (dtype, dtype, None)
    assert_array_equal(x, before)


def test_cutmix_takes_a_box_and_its_area(dtype, threads, rng):
    x, y = batch(rng, 200, dtype)
    mixed, target, _ = mix(A.CutMix(), x, np.arange(200), classes=200)
    own = (mixed == x).all(axis=1)
    other = (mixed == np.roll(x, 1, axis=0)).all(axis=1)
    assert (own ^ other).all()
    assert_allclose(target[np.arange(200), np.arange(200)], own.mean(axis=(1, 2)), atol=1e-7)
    assert_allclose(target.sum(axis=1), 1, rtol=1e-6)
    for image in other:
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        assert image.sum() == len(rows) * len(columns)  # a box
        assert len(rows) == 0 or np.ptp(rows) + 1 == len(rows)
    boxes = []
    for i in range(200):
        u = reference.draws(i, 5, SEED, 0, 0)
        reach = np.sqrt(1 - symmetric_beta(u[0], u[1], 1.0)) / 2
        ends = []
        for k, extent in ((3, 8), (4, 6)):
            centre, half = int(u[k] * extent), int(reach * extent)
            ends += [max(0, centre - half), min(extent, centre + half)]
        boxes.append(ends)
    assert_array_equal(mixed, reference.mix(x, np.zeros(200), boxes))


def test_probability_of_mixing(rng):
    x, y = batch(rng, 2000)
    for kind in (A.MixUp, A.CutMix):
        assert_array_equal(mix(kind(p=0), x, y)[0], x)
        changed = (mix(kind(p=0.25), x, y)[0] != x).any(axis=(1, 2, 3)).mean()
        assert 0.15 < changed < 0.29
    assert_array_equal(mix(A.MixUp(p=0), x, y)[1], np.eye(5)[y])


def test_the_same_bits_for_any_threads_and_after_a_resume(rng):
    x, y = batch(rng)
    numbers, w = rng.permutation(12), rng.random(12)
    both = [A.MixUp(0.4), A.CutMix()]
    first = mix(both, x, y, w, numbers, 3)
    for n in (1, 2, 4):
        with any_work_on(n):
            for a, b in zip(first, mix(both, x, y, w, numbers, 3), strict=True):
                assert_array_equal(a, b)
    assert (mix(both, x, y, w, numbers, 4)[0] != first[0]).any()
    assert (mix(both, x, y, w, numbers + 1, 3)[0] != first[0]).any()


@pytest.mark.parametrize("kind", [A.MixUp, A.CutMix])
def test_weights_are_mixed_so_that_the_loss_is_the_mixture(kind, rng):
    """Of each sample: share w_i l(t_i) + (1 - share) w_j l(t_j), and the sum of the weights."""
    x, y = batch(rng, 30, np.float64)
    w = rng.random(30) * (rng.random(30) < 0.7)
    w[3:6] = 0
    own = mix(kind(0.5), x, np.arange(30), classes=30)[1][np.arange(30), np.arange(30)]
    _, target, weight = mix(kind(0.5), x, y, w)
    logits = rng.standard_normal((30, 5))
    loss = dfs.losses.CrossEntropy(reduction="none")
    here, there = loss(logits, y, w), loss(logits, np.roll(y, 1), np.roll(w, 1))
    assert_allclose(loss(logits, target, weight), own * here + (1 - own) * there, atol=1e-12)
    assert_allclose(weight, own * w + (1 - own) * np.roll(w, 1), atol=1e-12)
    assert_allclose(target.sum(axis=1), 1)


def test_targets_that_are_probabilities_already(rng):
    x, y = batch(rng)
    one = np.eye(5)[y]
    labels = mix(A.MixUp(), x, y)[1]
    assert_array_equal(mix(A.MixUp(), x, one, classes=None)[1], labels)
    assert_array_equal(mix(A.MixUp(), x, one.astype(int), classes=None)[1], labels)
    several = (rng.random((12, 4)) < 0.5).astype(float)  # labels that do not exclude each other
    assert mix(A.CutMix(), x, several)[1].shape == (12, 4)


def test_rows_can_be_mixed_but_not_cut(rng):
    x, y = rng.standard_normal((6, 4)), np.arange(6) % 5
    mixed, target, _ = mix(A.MixUp(), x, y)
    own = mix(A.MixUp(), x, np.arange(6), classes=6)[1][np.arange(6), np.arange(6)][:, None]
    assert_allclose(mixed, own * x + (1 - own) * np.roll(x, 1, axis=0))
    with pytest.raises(ValueError, match=r"CutMix takes images \(n, c, h, w\), got inputs"):
        mix(A.CutMix(), x, y)


def test_batches_of_one_and_none(rng):
    x, y = batch(rng, 1, np.float64)
    assert_allclose(mix([A.MixUp(), A.CutMix()], x, y)[0], x)
    assert mix(A.CutMix(), x[:0], y[:0])[1].shape == (0, 5)


def test_without_mixing_a_batch_stays_as_it_is(rng):
    x, y = batch(rng)
    pipe = A.pipeline(A.RandomHorizontalFlip())
    assert not pipe.mixes
    assert A.pipeline([A.RandomHorizontalFlip(), A.MixUp()]).mixes
    found = pipe.mix(x, y, None, np.arange(12), 0, 0, None)
    assert found[0] is x
    assert found[1] is y


def test_a_model_trains_and_measures_with_mixed_targets(rng):
    """Every metric of classes takes the largest share as the right class."""
    x, y = batch(rng, 60)
    mixed, target, weight = mix(A.MixUp(0.4), x, y, np.linspace(0.5, 1, 60))
    largest = target.argmax(axis=1)
    outputs = rng.standard_normal((60, 5))
    for name in ("accuracy", "top_k_accuracy"):
        metric = getattr(metrics, name)
        assert_array_equal(metric(outputs, target), metric(outputs, largest))
    for name in ("f1_score", "precision_score", "recall_score", "roc_auc_score"):
        metric = getattr(metrics, name)
        assert metric(target, outputs) == metric(largest, outputs)
    assert_array_equal(
        metrics.confusion_matrix(target, outputs), metrics.confusion_matrix(largest, outputs)
    )
    net = L.Sequential([L.Flatten(), L.Dense(5)])
    names = ["accuracy", "f1_score", "roc_auc_score"]
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(0.01), names)
    logs = [model.train_on_batch(mixed, target, sample_weight=weight) for _ in range(30)]
    assert logs[-1]["loss"] < logs[0]["loss"]
    assert logs[-1]["accuracy"] > 0.5


def test_scores_in_the_place_of_targets_are_still_refused():
    ones, scores = np.eye(3)[[0, 1, 2, 0]], np.full((4, 3), 1 / 3)
    with pytest.raises(ValueError, match=r"the order is \(y_true, y_score\)"):
        metrics.roc_auc_score(scores, ones)


@pytest.mark.parametrize(
    ("y", "classes", "weight", "error", "message"),
    [
        (np.arange(4), None, None, ValueError, r"MixUp needs the number of classes for labels \(4"),
        (np.arange(4), 3, None, ValueError, "MixUp takes labels from 0 to 2, got 3 at index 3"),
        (np.zeros(4), 3, None, ValueError, r"takes labels \(4,\) or probabilities \(4, classes\)"),
        (np.zeros((4, 2, 2), int), 3, None, ValueError, "got int64 of shape \\(4, 2, 2\\)"),
        (np.full((4, 2), 7.5), 2, None, ValueError, "labels or probabilities as targets, got 7.5"),
        ((np.arange(4),) * 2, 3, None, TypeError, "takes one array of targets, got a tuple"),
        (np.arange(4), 4, np.ones((4, 2)), ValueError, r"one sample weight per sample, \(4,\), go"),
    ],
)
def test_refuses_targets(y, classes, weight, error, message):
    with pytest.raises(error, match=message):
        mix(A.MixUp(), np.zeros((4, 1, 2, 2)), y, weight, classes=classes)


def test_refuses_settings_and_inputs(rng):
    with pytest.raises(ValueError, match=r"alpha must be in \(0, inf\), got 0"):
        A.MixUp(0)
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\], got 2"):
        A.CutMix(p=2)
    with pytest.raises(ValueError, match="MixUp mixes finished images, so it must stand at the en"):
        A.pipeline([A.MixUp(), A.RandomCrop()])
    with pytest.raises(TypeError, match="MixUp takes one array of floats as inputs"):
        mix(A.MixUp(), np.zeros((4, 1, 2, 2), np.uint8), np.arange(4))
