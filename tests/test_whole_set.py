"""Metrics over a whole set, whatever the batches: in accumulators and in a Model."""

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import metrics
from deepfs.metrics import (
    binary_f1,
    binary_precision,
    binary_recall,
    confusion_matrix,
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    precision_score,
    r2_score,
    recall_score,
    rmse,
    roc_auc_score,
    subset_accuracy,
)
from deepfs.metrics._named import accumulator

N, CLASSES = 97, 4
DIVISIONS = ([97], [1] * 97, [50, 47], [3, 0, 90, 4])


def classes(rng):
    """Return scores of which about half are right, and labels that come in order."""
    labels = np.sort(rng.integers(0, CLASSES, N))
    return (rng.standard_normal((N, CLASSES)) + 1.5 * np.eye(CLASSES)[labels]), labels


def labels_of_many(rng):
    return rng.standard_normal((N, 3)), np.sort(rng.integers(0, 2, (N, 3)), axis=0)


def numbers(rng):
    t = np.sort(rng.standard_normal((N, 2)) * [1, 1e3] + [1e4, 0], axis=0)
    return t + rng.standard_normal((N, 2)), t


def spread(outputs, targets):
    """A number of the whole set."""
    return (outputs - targets).std()


def alike(outputs, targets):
    """One number per sample."""
    return np.abs(outputs - targets).max(axis=1) < 1


def one_class_crashes(outputs, targets):
    if len(np.unique(targets)) < CLASSES:
        raise ValueError("only one class present")
    return (outputs.argmax(1) == targets).mean()


CASES = [
    ("accuracy", classes, lambda y, t: metrics.accuracy(y, t).mean()),
    ("top_2_accuracy", classes, lambda y, t: metrics.top_k_accuracy(y, t, 2).mean()),
    ("f1_score", classes, lambda y, t: f1_score(t, y)),
    ("f1", classes, lambda y, t: f1_score(t, y)),
    ("f1_micro", classes, lambda y, t: f1_score(t, y, average="micro")),
    (precision_score, classes, lambda y, t: precision_score(t, y)),
    (recall_score, classes, lambda y, t: recall_score(t, y)),
    (functools.partial(f1_score, average="weighted"), classes,
     lambda y, t: f1_score(t, y, average="weighted")),
    (functools.partial(recall_score, zero_division=1), classes, lambda y, t: recall_score(t, y)),
    (roc_auc_score, classes, lambda y, t: roc_auc_score(t, y)),
    ("auc", classes, lambda y, t: roc_auc_score(t, y)),
    (one_class_crashes, classes, one_class_crashes),
    ("binary_accuracy", labels_of_many, lambda y, t: metrics.binary_accuracy(y, t).mean()),
    ("subset_accuracy", labels_of_many, lambda y, t: subset_accuracy(y, t).mean()),
    ("binary_f1", labels_of_many, binary_f1),
    (binary_precision, labels_of_many, binary_precision),
    (functools.partial(binary_recall, threshold=0.5, average="micro"), labels_of_many,
     lambda y, t: binary_recall(y, t, "micro", threshold=0.5)),
    ("mae", numbers, lambda y, t: mean_absolute_error(t, y)),
    (mean_squared_error, numbers, lambda y, t: mean_squared_error(t, y)),
    ("rmse", numbers, lambda y, t: rmse(t, y)),
    ("r2", numbers, lambda y, t: r2_score(t, y)),
    (spread, numbers, spread),
    (alike, numbers, lambda y, t: alike(y, t).mean()),
]  # fmt: skip
every_metric = pytest.mark.parametrize(
    ("metric", "data", "wanted"),
    [pytest.param(*case, id=metrics.get(case[0])[0]) for case in CASES],
)


def cut(sizes):
    stops = np.cumsum(sizes)
    return [slice(stop - size, stop) for size, stop in zip(sizes, stops, strict=True)]


@every_metric
@pytest.mark.parametrize("sizes", DIVISIONS, ids=len)
def test_batches_do_not_change_it(metric, data, wanted, sizes, rng):
    """Case: F1 of sorted labels was 0.499 as a mean of batches, and 0.996 of the set."""
    y, t = data(rng)
    made = accumulator(metric)
    assert made.value() == 0
    for part in cut(sizes):
        made.add(y[part], t[part])
    assert made.value() == pytest.approx(wanted(y, t), rel=1e-10)


@every_metric
def test_a_state_continues_with_the_same_bits(metric, data, wanted, rng):
    y, t = data(rng)
    made, other = accumulator(metric), accumulator(metric)
    other.load_state(made.state())
    for part in cut([40, 30, 27]):
        for each in (made, other):
            each.add(y[part], t[part])
        state = {name: array.copy() for name, array in other.state().items()}
        other = accumulator(metric)
        other.load_state(state)
    assert other.value() == made.value()


@every_metric
def test_a_model_measures_it_by_name_and_by_function(metric, data, wanted, rng):
    y, t = data(rng)
    loss = {classes: "cross_entropy", labels_of_many: "binary_crossentropy"}.get(data, "mse")
    model = dfs.Model(L.Identity(), loss, dfs.optimizers.SGD(), [metric])
    name = metrics.get(metric)[0]
    for batch_size in (10, 97):
        assert model.evaluate(y, t, batch_size)[name] == pytest.approx(wanted(y, t), rel=1e-12)
    assert model.metrics[name](y, t) == pytest.approx(wanted(y, t), rel=1e-12) or metric is alike \
        or np.shape(model.metrics[name](y, t)) == (N,)  # fmt: skip


@pytest.mark.parametrize("metric", ["f1_score", "roc_auc_score", spread])
def test_training_validation_and_evaluation_agree(metric, rng):
    """On weights that stand still, sorted labels, batches of one class."""
    y, t = (rng.standard_normal((N, 1)), rng.standard_normal((N, 1))) if metric is spread else (
        classes(rng))  # fmt: skip
    loss = "mse" if metric is spread else "cross_entropy"
    model = dfs.Model(L.Dense(y.shape[1]), loss, dfs.optimizers.SGD(1e-30), [metric])
    history = model.fit(y, t, 16, shuffle=False, validation_data=(y, t), verbose=0)
    found = model.evaluate(y, t, 5)
    for name, value in found.items():
        assert history[name][0] == pytest.approx(value, rel=1e-5)
        assert history[f"val_{name}"][0] == pytest.approx(value, rel=1e-5)


def test_f1_of_sorted_labels():
    right = np.repeat([0, 1], 256)
    found = right.copy()
    found[0], found[-1] = 1, 0
    scores = [f1_score, roc_auc_score, "precision", "recall"]
    model = dfs.Model(L.Identity(), "cross_entropy", dfs.optimizers.SGD(), scores)
    logs = model.evaluate(np.eye(2)[found], right)
    assert f1_score(right, found) == 510 / 512
    assert all(logs[name] == 510 / 512 for name in logs if name != "loss")


def test_an_area_that_is_not_defined_is_nan(rng):
    made = accumulator("roc_auc")
    made.add(rng.standard_normal((5, 2)), np.zeros(5, int))
    assert np.isnan(made.value())
    made.add(rng.standard_normal((5, 2)), np.ones(5, int))
    assert 0 <= made.value() <= 1
    model = dfs.Model(L.Identity(), "cross_entropy", dfs.optimizers.SGD(), [roc_auc_score])
    assert np.isnan(model.evaluate(np.eye(3), np.zeros(3, int))["roc_auc_score"])


@every_metric
def test_weights_count_samples(metric, data, wanted, rng):
    """A sample of weight 2 counts twice, one of weight 0 not at all."""
    y, t = data(rng)
    weight = rng.integers(0, 3, N)
    weight[[0, 30, 60, 96]] = 1
    made, of_one_number = accumulator(metric), metric in (spread, one_class_crashes)

    def found():
        for part in cut([20, 77]):
            made.add(y[part], t[part], weight[part].astype(float))
        return made.value()

    if of_one_number:
        with pytest.raises(ValueError, match="which sample weights cannot enter"):
            found()
        return
    repeated = y.repeat(weight, 0), t.repeat(weight, 0)
    assert found() == pytest.approx(wanted(*repeated), rel=1e-10)


def test_trees_of_outputs_are_kept_whole(rng):
    def far(outputs, targets):
        a, b = outputs
        return np.abs(a - b).max() + targets["t"].mean()

    made, other = accumulator(far), accumulator(far)
    a, b, t = rng.standard_normal((3, N))
    for part in cut([30, 67]):
        made.add((a[part], b[part]), {"t": t[part]})
    other.load_state(made.state())
    assert made.value() == other.value() == pytest.approx(np.abs(a - b).max() + t.mean())


@pytest.mark.parametrize(
    ("metric", "error", "message"),
    [
        (
            lambda y, t: np.zeros((4, 2)),
            ValueError,
            r"one .* per sample, \(4,\), or .*\(4, 2\)",
        ),
        (lambda y, t: np.zeros(3), ValueError, r"got \(3,\)"),
        (lambda y, t: "a", TypeError, "must return real numbers, got array"),
        (lambda y, t: y / 0 if len(y) < 0 else {}, TypeError, "must return real numbers"),
    ],
)
def test_a_function_is_told_what_it_must_return(metric, error, message):
    with pytest.raises(error, match=message):
        accumulator(metric).add(np.zeros((4, 2)), np.zeros(4, int))


def y_true_first(y_true, y_pred):
    return 0.0


@pytest.mark.parametrize(
    ("metric", "error", "message"),
    [
        ("confusion_matrix", ValueError, r"no number.*confusion_matrix\(y, model.predict_classes"),
        (confusion_matrix, ValueError, "no number"),
        (functools.partial(f1_score, average=None), ValueError, "a number per class"),
        (functools.partial(f1_score, average="binary"), ValueError, "average must be one of"),
        (functools.partial(r2_score, multioutput="raw_values"), TypeError, "takes no settings"),
        (y_true_first, TypeError, r"takes \(y_true, y_pred\): give lambda outputs, targets: y_tr"),
        (metrics.TopKAccuracy, TypeError, r"got a class: TopKAccuracy\(\)"),
        ("f1_scores", ValueError, "did you mean 'f1_score'"),
        (metrics.OfOutput("a", "accuracy"), None, ""),
    ],
)
def test_what_is_no_metric_is_refused_when_the_model_is_made(metric, error, message):
    if error is None:
        metrics.get(metric)
        return
    with pytest.raises(error, match=message):
        dfs.Model(L.Identity(), "mse", dfs.optimizers.SGD(), [metric])


LOGITS, MANY = np.array([[5.0, 4.0], [4.0, 5.0]]), np.array([[1, 1], [1, 1]])


@pytest.mark.parametrize("kind", [int, float])
def test_labels_that_do_not_exclude_each_other(kind):
    """Case: four labels of four right were accuracy [1, 0] and F1 0.333, by argmax."""
    many = MANY.astype(kind)
    for call, instead in (
        (lambda: metrics.accuracy(LOGITS, many), "binary_accuracy or subset_accuracy"),
        (lambda: metrics.top_k_accuracy(LOGITS, many, 1), "binary_accuracy or subset_accuracy"),
        (lambda: f1_score(many, LOGITS), "binary_f1"),
        (lambda: precision_score(many, LOGITS), "binary_precision"),
        (lambda: recall_score(many * 0, LOGITS), "binary_recall"),
        (lambda: confusion_matrix(many, LOGITS), "each column"),
    ):
        with pytest.raises(ValueError, match=f"do not exclude each other use .*{instead}"):
            call()
    assert_array_equal(metrics.binary_accuracy(LOGITS, many), [1, 1])
    assert_array_equal(subset_accuracy(LOGITS, many), [1, 1])
    assert binary_f1(LOGITS, many) == binary_precision(LOGITS, many) == 1
    onehot = np.eye(2).astype(kind)
    assert_array_equal(metrics.accuracy(LOGITS, onehot), [1, 1])  # one class each: as before
    assert_array_equal(metrics.accuracy(LOGITS, np.array([[0.4, 0.6], [0.5, 0.5]])), [0, 0])


def test_two_tables_of_zeros_and_ones_are_ambiguous():
    with pytest.raises(ValueError, match=r"two arrays \(2, 2\) of 0 and 1: .*y_true.ravel\(\)"):
        f1_score(MANY, np.eye(2, dtype=int))
    with pytest.raises(ValueError, match=r"takes labels or probabilities as targets, got 5\.0"):
        metrics.accuracy(MANY, LOGITS)
    with pytest.raises(ValueError, match=r"takes one class per sample, got \[0, 2\] at index 0"):
        metrics.accuracy(LOGITS, np.array([[0, 2], [1, 0]]))


def test_precision_and_recall_do_not_change_places():
    """Case: with scikit-learn's order of arguments, each was the other."""
    true, found = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1])
    assert_allclose(precision_score(true, found, average=None), [1, 1 / 3])
    assert_allclose(recall_score(y_true=true, y_pred=found, average=None), [1 / 3, 1])
    assert_array_equal(confusion_matrix(true, found), [[1, 2], [0, 1]])
    y = np.eye(2)[found]  # a model has (outputs, targets), and calls them rightly
    model = dfs.Model(L.Identity(), "cross_entropy", dfs.optimizers.SGD(), ["precision", "recall"])
    logs = model.evaluate(y, true)
    assert (logs["precision"], logs["recall"]) == pytest.approx((2 / 3, 2 / 3))
    one = dfs.Model(L.Identity(), "binary_crossentropy", dfs.optimizers.SGD(), ["binary_precision"])
    assert one.evaluate(y[:, 1:] - 0.5, true[:, None])["binary_precision"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("score", [f1_score, precision_score, recall_score, confusion_matrix])
def test_arguments_in_the_wrong_order_are_refused(score):
    scores, labels = np.array([[0.2, 0.8], [0.6, 0.4]]), np.array([1, 0])
    for wrong in (labels, np.eye(2, dtype=int), np.eye(2)):
        with pytest.raises(ValueError, match=r"takes \(y_true, y_pred\) in scikit-learn's order"):
            score(scores, wrong)
    assert score(y_pred=scores, y_true=labels) is not None
    with pytest.raises(ValueError, match=r"the order is \(y_true, y_score\)"):
        roc_auc_score(np.array([0.1, 0.7]), np.array([0, 1]))


def test_scores_of_many_labels_by_hand():
    y = np.array([[1.0, -1, 1], [1, 1, -1], [-1, 1, -1]])
    t = np.array([[1, 0, 0], [0, 1, 1], [0, 1, 0]])
    assert_allclose(binary_precision(y, t, None), [1 / 2, 1, 0])
    assert_allclose(binary_recall(y, t, None), [1, 1, 0])
    assert_allclose(binary_f1(y, t, None), [2 / 3, 1, 0])
    assert binary_f1(y, t) == pytest.approx(5 / 9)
    assert binary_f1(y, t, "micro") == pytest.approx(2 * 3 / (2 * 3 + 2 + 1))
    assert binary_f1(y, t, "weighted") == pytest.approx((2 / 3 + 2 * 1 + 0) / 4)
    assert binary_recall(y, t * 0, None, zero_division=1).tolist() == [1, 1, 1]
    assert binary_f1(y[:, 0], t[:, 0]) == binary_f1(y[:, :1], t[:, :1]) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="binary_f1 takes outputs without NaN, got 9"):
        binary_f1(y * np.nan, t)


def test_errors_by_hand():
    t, y = np.array([[1.0, 2], [3, 6]]), np.array([[1.0, 4], [3, 2]])
    assert mean_absolute_error(t, y) == 6 / 4
    assert mean_squared_error(t, y) == 20 / 4
    assert rmse(t, y) == np.sqrt(5)
    assert_allclose(r2_score(t, y, multioutput="raw_values"), [1, 1 - 20 / 8])
    assert r2_score(np.ones(3), np.ones(3)) == 1
    assert r2_score(np.ones(3), np.zeros(3)) == 0
    with pytest.raises(ValueError, match=r"\(3, 1\) with targets \(3,\): targets\[:, None\]"):
        mean_squared_error(np.ones(3), np.ones((3, 1)))
    with pytest.raises(ValueError, match="at least 2 samples"):
        r2_score(np.ones(1), np.ones(1))
    assert np.isnan(r2_score(np.array([1, np.nan]), np.ones(2)))


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", None])
@pytest.mark.parametrize("zero_division", [0, 1])
def test_equal_to_scikit_learn(average, zero_division, rng):
    theirs = pytest.importorskip("sklearn.metrics")
    settings = {"average": average, "zero_division": zero_division}
    for _ in range(5):
        y, t = classes(rng)
        for name in ("precision_score", "recall_score", "f1_score"):
            ours = getattr(metrics, name)(t, y, **settings)
            assert_allclose(ours, getattr(theirs, name)(t, y.argmax(1), **settings))
        y, t = labels_of_many(rng)
        t[:, 2] *= rng.integers(0, 2)
        for name in ("precision", "recall", "f1"):
            ours = getattr(metrics, f"binary_{name}")(y, t, **settings)
            assert_allclose(ours, getattr(theirs, f"{name}_score")(t, y > 0, **settings))
    assert_array_equal(subset_accuracy(y, t).mean(), theirs.accuracy_score(t, y > 0))


def test_errors_and_areas_equal_to_scikit_learn(rng):
    theirs = pytest.importorskip("sklearn.metrics")
    y, t = numbers(rng)
    for name in ("mean_absolute_error", "mean_squared_error", "r2_score"):
        assert getattr(metrics, name)(t, y) == pytest.approx(getattr(theirs, name)(t, y))
    y, t = labels_of_many(rng)
    weight = rng.random(N)
    made = accumulator("roc_auc")
    made.add(y, t, weight)
    assert made.value() == pytest.approx(theirs.roc_auc_score(t, y, sample_weight=weight))
    with pytest.raises(TypeError, match=r"f1_score takes \(y_true, y_pred\)"):
        dfs.Model(L.Identity(), "mse", dfs.optimizers.SGD(), [theirs.f1_score])
