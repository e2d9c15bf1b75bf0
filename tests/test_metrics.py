"""Metrics: by hand, by brute force, over batches, and what they refuse."""

import inspect
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from cnn_core import softmax
from deepfs import layers as L
from deepfs import metrics
from deepfs.metrics import (
    accuracy,
    binary_accuracy,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
    top_k_accuracy,
    without_ignored,
)

FOUND = np.array([0, 1, 1, 2, 0, 1, 0, 3])  # what a classifier said, of 5 classes
RIGHT = np.array([0, 1, 2, 2, 0, 0, 1, 0])
MATRIX = [[2, 1, 0, 1], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_accuracy_by_hand():
    outputs = np.array([[1, 2, 0], [5, 5, 1], [0, 1, 3.0]])
    assert_array_equal(accuracy(outputs, np.array([1, 0, 1])), [1, 1, 0])  # a tie: the first
    assert_array_equal(accuracy(outputs, np.array([0, 1, 2], np.uint8)), [0, 0, 1])
    assert_array_equal(accuracy(outputs, outputs[::-1] / 9), [0, 1, 0])
    with pytest.raises(ValueError, match="labels from 0 to 2, got 9223372036854775808 at index 1"):
        accuracy(outputs, np.array([1, 2**63, 0], np.uint64))
    outputs[0, 0] = outputs[1, 2] = np.nan
    assert_array_equal(accuracy(outputs, np.array([0, 2, 2])), [0, 0, 1])
    assert accuracy(np.zeros((0, 3)), np.zeros(0, int)).shape == (0,)


def test_accuracy_is_one_number_in_all_forms_of_its_arguments(rng):
    outputs, labels = rng.integers(-3, 4, (300, 4)), rng.integers(0, 4, 300)
    wanted = outputs.argmax(axis=1) == labels
    for form in (np.int64, np.float16, np.float32, np.float64, ">f4"):
        given = np.asfortranarray(outputs.astype(form))
        for kind in (np.int64, np.uint8, ">i2"):
            assert_array_equal(accuracy(given, labels.astype(kind)), wanted)
    assert_array_equal(accuracy(outputs.astype("f")[::3], labels[::3]), wanted[::3])


def test_accuracy_kernel_refuses_what_would_crash():
    x, label, right = np.zeros((2, 3)), np.zeros(2, np.int64), np.zeros(2)
    for wrong in ((x, label[:1], right), (x, label, right[:1]), (x[:, :0].copy(), label, right)):
        with pytest.raises(ValueError, match="do not belong together"):
            softmax.right_class(*wrong)


def test_accuracy_of_pixels_is_their_mean(rng):
    outputs, labels = rng.random((2, 3, 2, 4)), rng.integers(0, 3, (2, 2, 4))
    wanted = (outputs.argmax(1) == labels).mean((1, 2))
    assert_allclose(accuracy(outputs, labels), wanted)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 9])
def test_top_k_against_sorting(k, rng):
    outputs, labels = rng.integers(0, 4, (200, 4)).astype(float), rng.integers(0, 4, 200)
    best = np.argsort(-outputs, axis=1, kind="stable")[:, :k]
    wanted = (best == labels[:, None]).any(axis=1)
    assert_array_equal(top_k_accuracy(outputs, labels, k), wanted)
    assert_array_equal(metrics.get(f"top_{k}_accuracy")[1](outputs, labels), wanted)
    if k == 1:
        assert_array_equal(accuracy(outputs, labels), wanted)


def test_top_k_of_pixels_and_nan():
    outputs = np.zeros((1, 3, 2))
    outputs[0, :, 0] = [3, 2, 1]
    assert_array_equal(top_k_accuracy(outputs, np.array([[1, 2]]), 2), [0.5])
    outputs[:] = np.nan
    assert_array_equal(top_k_accuracy(outputs, np.array([[1, 2]]), 3), [0])


def test_binary_accuracy_by_hand():
    outputs = np.array([[2.0, -1.0], [0.0, np.nan]])
    assert_array_equal(binary_accuracy(outputs, np.array([[1, 1], [0, 0]])), [0.5, 0.5])
    assert_array_equal(binary_accuracy(np.array([0.6, 0.4]), np.array([1, 1]), 0.5), [1, 0])
    with pytest.raises(ValueError, match=r"cannot compare \(2, 2\) with targets \(2,\)"):
        binary_accuracy(outputs, np.zeros(2))
    with pytest.raises(TypeError, match="takes numbers, got <U1 and int64"):
        binary_accuracy(np.array(["a"]), np.zeros(1, int))


def test_confusion_matrix_by_hand():
    assert_array_equal(confusion_matrix(RIGHT, FOUND), MATRIX)
    assert_array_equal(confusion_matrix(RIGHT, np.eye(4)[FOUND]), MATRIX)
    assert_array_equal(confusion_matrix(np.eye(4)[RIGHT], np.eye(4)[FOUND]), MATRIX)
    images = np.moveaxis(np.eye(4)[FOUND.reshape(2, 4)], -1, 1)
    assert_array_equal(confusion_matrix(RIGHT.reshape(2, 4), images), MATRIX)
    wide = confusion_matrix(RIGHT, FOUND, classes=5)
    assert wide.shape == (5, 5)
    assert_array_equal(wide[:4, :4], MATRIX)
    assert_array_equal(confusion_matrix(np.zeros(0, int), np.zeros((0, 3))), np.zeros((3, 3)))


def test_scores_by_hand():
    """Hits 2, 1, 1, 0; taken 3, 3, 1, 1; there 4, 2, 2, 0."""
    a = RIGHT, FOUND
    assert_allclose(precision_score(*a, average=None), [2 / 3, 1 / 3, 1, 0])
    assert_allclose(recall_score(*a, average=None), [1 / 2, 1 / 2, 1 / 2, 0])
    assert_allclose(f1_score(*a, average=None), [4 / 7, 2 / 5, 2 / 3, 0])
    assert_allclose(recall_score(*a, average=None, zero_division=1), [1 / 2, 1 / 2, 1 / 2, 1])
    assert precision_score(*a) == pytest.approx(2 / 4)
    assert recall_score(*a) == pytest.approx(1.5 / 4)
    assert f1_score(*a) == pytest.approx((4 / 7 + 2 / 5 + 2 / 3) / 4)
    assert precision_score(*a, average="weighted") == pytest.approx((8 / 3 + 2 / 3 + 2) / 8)
    for score in (precision_score, recall_score, f1_score):
        assert score(*a, average="micro") == (FOUND == RIGHT).mean()


def test_a_class_that_is_nowhere_is_not_in_the_macro_mean():
    outputs = np.eye(5)[FOUND]  # as scikit-learn, which does not know the fifth class
    assert len(f1_score(RIGHT, outputs, average=None)) == 5
    for score in (precision_score, recall_score, f1_score):
        assert score(RIGHT, outputs) == score(RIGHT, FOUND)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_scores_of_nothing(average):
    nothing = np.zeros(0, int), np.zeros((0, 3))
    assert f1_score(*nothing, average=average) == 0
    assert precision_score(*nothing, average=average, zero_division=1) == 1


def brute_area(scores, positive):
    """Return the share of pairs in the right order; a tie is a half."""
    p, n = scores[positive][:, None], scores[~positive][None]
    return ((p > n) + 0.5 * (p == n)).mean()


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_area_against_counting_pairs(levels, rng):
    scores, labels = rng.integers(0, levels, 300) / levels, rng.integers(0, 2, 300)
    wanted = brute_area(scores, labels == 1)
    for s in (scores, scores[:, None], np.exp(scores).astype(np.float32)):
        assert roc_auc_score(labels, s) == pytest.approx(wanted, abs=1e-12)
    assert roc_auc_score(labels, -scores) == pytest.approx(1 - wanted, abs=1e-12)
    assert roc_auc_score(labels == 1, scores) == pytest.approx(wanted, abs=1e-12)


def test_area_of_classes(rng):
    scores, labels = rng.integers(0, 9, (200, 4)).astype(float), rng.integers(0, 4, 200)
    wanted = [brute_area(scores[:, k], labels == k) for k in range(4)]
    assert_allclose(roc_auc_score(labels, scores, average=None), wanted)
    assert_allclose(roc_auc_score(np.eye(4)[labels], scores, average=None), wanted)
    assert roc_auc_score(labels, scores) == pytest.approx(np.mean(wanted))


def test_area_by_hand():
    assert roc_auc_score(np.array([0, 0, 1, 1]), np.array([1, 2, 3, 4.0])) == 1
    assert roc_auc_score(np.array([0, 0, 1, 1]), np.zeros(4)) == 0.5
    assert roc_auc_score(np.array([0, 0, 1, 1]), np.array([-np.inf, 2, 2, np.inf])) == 7 / 8


ROW = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: accuracy(ROW, [0, 3]), ValueError, "accuracy takes labels from 0 to 2, got 3 at"),
        (lambda: accuracy(ROW, [-1, 0]), ValueError, "labels from 0 to 2, got -1 at index 0"),
        (lambda: accuracy(ROW, [0.0, 1.0]), TypeError, "takes integer labels, got an array of flo"),
        (lambda: accuracy(ROW, [0]), ValueError, r"cannot compare \(2, 3\) with int64 targets"),
        (lambda: accuracy(ROW[0], [0]), ValueError, r"at least 2 classes, got \(3,\); for other"),
        (lambda: accuracy(ROW + 1j, [0, 0]), TypeError, "that are real numbers, got complex128"),
        (lambda: top_k_accuracy(ROW, [0, 3]), ValueError, "top_k_accuracy takes labels from 0 to"),
        (lambda: top_k_accuracy(ROW, [0, 1], 0), ValueError, "k must be at least 1, got 0"),
        (lambda: top_k_accuracy(ROW, [0, 1], 2.0), TypeError, r"k must be an int, got 2\.0"),
        (lambda: metrics.TopKAccuracy(-1), ValueError, "k must be at least 1, got -1"),
        (lambda: metrics.get("top_0_accuracy"), ValueError, "metric must be one of accuracy, bin"),
        (lambda: confusion_matrix([0, 3], ROW), ValueError, "confusion_matrix takes labels from 0"),
        (lambda: confusion_matrix(RIGHT, FOUND, 2), ValueError, "labels from 0 to 1, got 2 at"),
        (lambda: confusion_matrix([0, 2**40], [0, 1]), ValueError, "at most 10000 classes, got 10"),
        (lambda: confusion_matrix([0, -1], [0, 1]), ValueError, "labels from 0 to 1, got -1 at"),
        (lambda: confusion_matrix(1, 1), ValueError, "takes a batch of classes, got a single one"),
        (lambda: confusion_matrix([0, 1], ROW, 4), ValueError, "of 4 classes takes as many out"),
        (lambda: confusion_matrix([0, 1], ROW * np.nan), ValueError, "without NaN, got 6"),
        (lambda: f1_score([0, 5], ROW), ValueError, "f1_score takes labels from 0 to 2, got 5"),
        (lambda: f1_score([0, 1], ROW, "mean"), ValueError, "average must be one of 'macro', 'mic"),
        (lambda: f1_score([0, 1], ROW, zero_division=2), ValueError, r"zero_division must be in"),
        (lambda: roc_auc_score([0, 1], ROW), ValueError, "samples of class 2 and others, got 0 of"),
        (lambda: roc_auc_score([1, 1], [0.1, 0.2]), ValueError, "class 0 and others, got 2 of it"),
        (lambda: roc_auc_score([0, 1], [0.1, np.nan]), ValueError, "without NaN, got 1"),
        (lambda: roc_auc_score([0, 2], [0.1, 0.2]), ValueError, "targets that are 0 or 1"),
        (lambda: roc_auc_score([0, 1, 2], ROW), ValueError, r"compare \(2, 3\) with targets \(3,"),
        (lambda: roc_auc_score([0], ROW[None]), ValueError, r"\(n, classes\), got \(1, 2, 3\)"),
        (lambda: roc_auc_score([0, 1], ROW[:, :0]), ValueError, r"classes\), got \(2, 0\)"),
        (lambda: roc_auc_score([0], ["a"]), TypeError, "takes numbers, got <U1 and int64"),
        (
            lambda: roc_auc_score([0, 1], ROW, "micro"),
            ValueError,
            "average must be one of 'macro', None",
        ),
        (lambda: without_ignored(ROW, [0, 1], 1.5), TypeError, r"ignore_index must be an int, got"),
    ],
)
def test_refuses(call, error, message):
    with pytest.raises(error, match=message) as raised:
        call()
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_huge_numbers_are_no_shares_of_classes():
    with pytest.raises(ValueError, match=r"roc_auc_score takes .* got"):
        roc_auc_score(np.full((3, 4), 1e38, np.float32), np.full((3, 4), -1, np.float32))


@pytest.mark.parametrize("name", sorted(set(metrics.__all__) - {"get"}))
def test_docstring_has_every_section(name):
    doc = inspect.getdoc(getattr(metrics, name))
    missing = [s for s in ("Parameters", "Raises", "Examples") if s not in doc]
    assert not missing, f"{name} says nothing on {missing}"


def test_without_ignored_keeps_what_counts(rng):
    outputs, labels = rng.random((2, 3, 4)), rng.integers(0, 3, (2, 4))
    labels[0, 1] = labels[1, 2] = -100
    rows, kept = without_ignored(outputs, labels, -100)
    assert rows.shape == (6, 3)
    assert_array_equal(kept, labels[labels >= 0])
    assert_array_equal(rows[1], outputs[0, :, 2])
    for same in (without_ignored(outputs, labels, None), without_ignored(outputs, outputs, 0)):
        assert same[0] is outputs


def model_ignoring(ignored, **settings):
    loss = dfs.losses.CrossEntropy(ignore_index=ignored)
    return dfs.Model(L.Dense(3), loss, dfs.optimizers.SGD(0.1), **settings)


def test_ignored_labels_leave_both_sides_of_every_metric(rng):
    """Over batches of which one holds nothing but ignored labels."""
    x, y = rng.standard_normal((50, 4)).astype("f"), rng.integers(0, 3, 50)
    y[:10], y[13], y[49] = -100, -100, -100
    model = model_ignoring(-100, metrics=["accuracy", "top_2_accuracy"])
    outputs, keep = model.network(x), y >= 0
    for batch_size in (10, 7, 50):
        found = model.evaluate(x, y, batch_size)
        assert found["accuracy"] == pytest.approx((outputs.argmax(1) == y)[keep].mean())
        assert found["top_2_accuracy"] == top_k_accuracy(outputs[keep], y[keep], 2).mean()
        assert found["loss"] == pytest.approx(model.loss(outputs[keep], y[keep]), rel=1e-6)
    assert model.evaluate(x[:10], y[:10]) == {"loss": 0, "accuracy": 0, "top_2_accuracy": 0}
    model.optimizer = dfs.optimizers.SGD(1e-30)  # the weights stay: fit sees what evaluate saw
    history = model.fit(x, y, batch_size=7, epochs=1, verbose=0)
    assert history["accuracy"][0] == pytest.approx(found["accuracy"])
    assert history["loss"][0] == pytest.approx(found["loss"], rel=1e-5)


def test_ignored_pixels_leave_both_sides(rng):
    x, y = rng.standard_normal((5, 2, 4, 3)).astype("f"), rng.integers(0, 3, (5, 4, 3))
    y[rng.random(y.shape) < 0.4] = 7
    model = model_ignoring(7)
    model.network = L.Conv2D(3, 1)
    right = model.network(x).argmax(1) == y
    for batch_size in (2, 5):
        found = model.evaluate(x, y, batch_size)["accuracy"]
        assert found == pytest.approx(right[y != 7].mean())


def test_metrics_of_a_model_come_back(tmp_path, rng):
    x, y = rng.standard_normal((9, 4)), rng.integers(0, 3, 9)
    names = ["accuracy", "top_2_accuracy", "top_k_accuracy"]
    model = dfs.Model(L.Dense(3), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(),
                      ["accuracy", metrics.TopKAccuracy(2), top_k_accuracy])  # fmt: skip
    wanted = model.evaluate(x, y)
    assert list(wanted) == ["loss", *names]
    model.save(tmp_path / "m.safetensors")
    for loaded in (dfs.load(tmp_path / "m.safetensors"), pickle.loads(pickle.dumps(model))):
        assert loaded.evaluate(x, y) == wanted


def test_a_binary_task(rng):
    x = rng.standard_normal((40, 3))
    y = (x[:, :1] > 0).astype(int)
    model = dfs.Model(L.Dense(1), dfs.losses.BinaryCrossEntropy(), dfs.optimizers.Adam(0.1),
                      "binary_accuracy")  # fmt: skip
    model.fit(x, y, epochs=30, verbose=0)
    assert model.evaluate(x, y)["binary_accuracy"] > 0.95
    assert roc_auc_score(y, model.predict(x)) > 0.99
