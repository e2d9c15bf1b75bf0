"""Reports of `Model.evaluate`, class names, and warnings of inputs far from the training data."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.data.summary import summarize, what_is_far
from deepfs.metrics import classification_report, expected_calibration_error
from deepfs.metrics.calibration import Calibration

rng = np.random.default_rng(0)
LABELS = rng.integers(0, 4, 200)
LOGITS = rng.normal(size=(200, 4)) + 1.5 * np.eye(4)[LABELS]


def identity(loss="cross_entropy", **settings):
    return dfs.Model(L.Identity(), loss, dfs.optimizers.SGD(), **settings)


def test_report_by_its_formulas():
    names = ["ant", "bee", "cat", "dog"]
    report = identity(class_names=names).evaluate(LOGITS, LABELS, 33, report=True)
    found = LOGITS.argmax(axis=1)
    f1s, supports = [], []
    for k, name in enumerate(names):
        hits = ((found == k) & (k == LABELS)).sum()
        p, r = hits / (found == k).sum(), hits / (k == LABELS).sum()
        row = report[name]
        assert_allclose(list(row.values()), [p, r, 2 * p * r / (p + r), (k == LABELS).sum()])
        assert row == report[k]
        f1s.append(row["f1-score"])
        supports.append(row["support"])
    assert report["macro avg"]["f1-score"] == pytest.approx(np.mean(f1s))
    assert report["weighted avg"]["f1-score"] == pytest.approx(np.average(f1s, weights=supports))
    assert report["accuracy"] == report.accuracy == (found == LABELS).mean()
    matrix = np.zeros((4, 4), int)
    np.add.at(matrix, (LABELS, found), 1)
    assert_array_equal(report.confusion_matrix, matrix)
    order = np.argsort(-LOGITS, axis=1)
    for k in (1, 2, 4):
        assert report.top_k_accuracy(k) == (order[:, :k] == LABELS[:, None]).any(axis=1).mean()
    worst = report.most_confused(1)[0]
    assert worst[2] == matrix[names.index(worst[0]), names.index(worst[1])]
    assert worst[2] == (matrix - np.diag(np.diag(matrix))).max()
    logs = identity().evaluate(LOGITS, LABELS)
    assert {name: report[name] for name in logs} == pytest.approx(logs)
    assert dict(report) == report.as_dict()


def test_report_by_scikit_learn():
    theirs = pytest.importorskip("sklearn.metrics")
    found = LOGITS.argmax(axis=1)
    wanted = theirs.classification_report(LABELS, found, output_dict=True)
    mine = classification_report(LABELS, LOGITS).as_dict()
    assert mine.keys() == wanted.keys()
    for name, row in wanted.items():
        assert mine[name] == pytest.approx(row), name


def test_a_class_that_never_occurs_has_a_row_and_no_part_in_the_mean():
    report = classification_report([0, 1, 1], [0, 1, 0], ["a", "b", "c"])
    assert report["c"] == {"precision": 0, "recall": 0, "f1-score": 0, "support": 0}
    assert report["macro avg"]["recall"] == 0.75
    with pytest.raises(ValueError, match="of 4 classes needs as many names, got 2"):
        classification_report(LABELS, LOGITS, ["a", "b"])


def ece_by_hand(p, labels, bins):
    """Return the formula of Guo et al., bin by bin."""
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    total = 0.0
    for m in range(1, bins + 1):
        inside = (confidence > (m - 1) / bins) & (confidence <= m / bins)
        if inside.any():
            total += inside.sum() * abs(right[inside].mean() - confidence[inside].mean())
    return total / len(labels)


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_calibration_error_by_hand(bins):
    e = np.exp(3 * LOGITS)
    p = e / e.sum(axis=1, keepdims=True)
    wanted = ece_by_hand(p, LABELS, bins)
    assert expected_calibration_error(LABELS, p, bins) == pytest.approx(wanted)
    if bins == 15:
        report = identity().evaluate(3 * LOGITS, LABELS, 77, report=True)
        assert report.calibration_error == pytest.approx(wanted)
        assert report["calibration_error"] == report.calibration.error
        assert report.calibration.count.sum() == 200
        assert f"expected calibration error {wanted:.4f}" in repr(report.calibration)


def test_calibration_at_the_edges():
    found = Calibration(4)
    found.add(np.array([0.25, 0.26, 0.5, 1.0]), np.array([1, 0, 1, 1]))
    assert_array_equal(found.count, [1, 2, 0, 1])
    assert_allclose(found.accuracy, [1, 0.5, np.nan, 1])
    assert found.max_error == pytest.approx(0.75)
    with pytest.raises(ValueError, match="takes probabilities"):
        expected_calibration_error(LABELS, LOGITS)


def test_report_of_yes_or_no():
    logits, yes = rng.normal(size=(50, 1)), rng.integers(0, 2, (50, 1)).astype(float)
    report = identity("binary_cross_entropy").evaluate(logits, yes, report=True)
    said = logits > 0
    assert report["yes"]["precision"] == pytest.approx((said & (yes == 1)).sum() / said.sum())
    assert report["no"]["support"] == (yes == 0).sum()
    p = 1 / (1 + np.exp(-logits))
    both = np.hstack([1 - p, p])
    wanted = ece_by_hand(both, yes[:, 0], 15)
    assert report.calibration_error == pytest.approx(wanted)


def test_report_of_labels_that_do_not_exclude_each_other():
    logits, labels = rng.normal(size=(60, 3)), rng.integers(0, 2, (60, 3)).astype(float)
    model = identity("binary_cross_entropy", class_names=["x", "y", "z"])
    report = model.evaluate(logits, labels, report=True)
    hits = ((logits > 0) & (labels == 1)).sum(axis=0)
    for k, name in enumerate("xyz"):
        assert report[name]["recall"] == pytest.approx(hits[k] / labels[:, k].sum())
    assert report["micro avg"]["precision"] == pytest.approx(hits.sum() / (logits > 0).sum())
    assert report.confusion_matrix.shape == (3, 2, 2)
    assert_array_equal(report.confusion_matrix.sum(axis=(1, 2)), 60)
    assert report.accuracy == pytest.approx(((logits > 0) == (labels == 1)).mean())


def test_report_leaves_out_ignored_pixels():
    loss = dfs.losses.CrossEntropy(ignore_index=255)
    logits = rng.normal(size=(5, 3, 2, 2))
    labels = rng.integers(0, 3, (5, 2, 2))
    labels[0] = 255
    report = identity(loss).evaluate(logits, labels, report=True)
    assert report.confusion_matrix.sum() == 16
    assert report.accuracy == (logits.argmax(1)[1:] == labels[1:]).mean()


def test_report_of_numbers_and_what_is_refused():
    y, t = rng.normal(size=(30, 2)), rng.normal(size=(30, 2))
    report = identity("mse").evaluate(y, t, 7, report=True)
    assert report["mae"] == pytest.approx(np.abs(y - t).mean())
    assert report["rmse"] == pytest.approx(np.sqrt(((y - t) ** 2).mean()))
    r2 = 1 - ((y - t) ** 2).sum(0) / ((t - t.mean(0)) ** 2).sum(0)
    assert report["r2"] == pytest.approx(r2.mean())
    assert "rmse" in repr(report)
    own = identity(lambda outputs, targets: ((outputs - targets) ** 2).sum(axis=1))
    with pytest.raises(ValueError, match=r"evaluate\(report=True\) needs to know what outputs"):
        own.evaluate(y, t, report=True)
    with pytest.raises(TypeError, match="report must be True or False"):
        identity().evaluate(LOGITS, LABELS, report="yes")
    with pytest.raises(KeyError, match="the report has"):
        identity().evaluate(LOGITS, LABELS, report=True)["nothing"]


def test_reports_are_shown():
    report = identity(class_names=["ant", "bee", "<b>", "dog"]).evaluate(
        LOGITS, LABELS, report=True
    )
    lines = repr(report).splitlines()
    assert lines[0].split() == ["precision", "recall", "f1-score", "support"]
    assert lines[2].split()[0] == "ant"
    assert "calibration error" in lines[-1]
    assert "<td" in report._repr_html_()
    assert "<b>" not in report._repr_html_()


# class names


def test_labels_by_name_and_in_the_file(tmp_path):
    model = dfs.Model(
        L.Dense(3), "cross_entropy", dfs.optimizers.SGD(), class_names=["a", "b", "ü"]
    )
    x = rng.normal(size=(20, 5))
    model.fit(x, np.arange(20) % 3, verbose=0)
    assert_array_equal(model.predict_labels(x), np.array(["a", "b", "ü"])[model.predict_classes(x)])
    model.save(tmp_path / "m.safetensors")
    loaded = dfs.load(tmp_path / "m.safetensors")
    assert loaded.class_names == ("a", "b", "ü")
    assert_array_equal(loaded.predict_labels(x), model.predict_labels(x))
    a, b = (m.trainer.facts.summary.arrays() for m in (model, loaded))
    for name in a:
        assert_array_equal(a[name], b[name])


def test_labels_of_yes_or_no():
    model = identity("binary_cross_entropy")
    model.class_names = ("no", "yes")
    assert model.predict_labels(np.array([[-1.0], [2.0]])).tolist() == ["no", "yes"]
    model = identity("binary_cross_entropy", class_names=("x", "y", "z"))
    wanted = [["x", "z"], []]
    assert model.predict_labels(np.array([[1.0, -1, 1], [-1, -1, -1]])) == wanted


NAMES_REFUSED = [
    (["a", "b"], ValueError, "has 3 outputs, so class_names must be 3, got 2"),
    ("abc", TypeError, "must be a list of names"),
    (["a", "b", 3], TypeError, "must be names, not empty, got 3"),
    (["a", "b", "b"], ValueError, "must be different, got 'b' twice"),
    (["a"], ValueError, "must be at least 2"),
    (["a", " ", "c"], TypeError, "not empty"),
]


@pytest.mark.parametrize(("names", "error", "text"), NAMES_REFUSED)
def test_names_are_checked(names, error, text):
    model = dfs.Model(L.Dense(3), "cross_entropy", dfs.optimizers.SGD(), class_names=list("xyz"))
    with pytest.raises(error, match=text):
        model.class_names = names
    assert model.class_names == ("x", "y", "z")


def test_names_need_classes_and_a_new_head_new_names():
    with pytest.raises(ValueError, match="class_names need a loss of classes, got MeanSquared"):
        dfs.Model(L.Dense(3), "mse", dfs.optimizers.SGD(), class_names=list("xyz"))
    model = dfs.Model(L.Dense(3), "cross_entropy", dfs.optimizers.SGD(), class_names=list("xyz"))
    with pytest.raises(ValueError, match="no class names: write"):
        identity().predict_labels(LOGITS)
    model.network = L.Dense(2)
    with pytest.raises(ValueError, match="None takes them away"):
        model.fit(np.eye(4), [0, 1, 0, 1], verbose=0)


# inputs far from those of the training


def said(model, x):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.predict(x)
    assert len(found) <= 1
    return str(found[0].message) if found else ""


@pytest.fixture(scope="module")
def digits():
    (x, y), (xt, _) = dfs.datasets.mnist_mini()
    net = L.Sequential([L.Flatten(), L.Dense(10)])
    model = dfs.Model(net, "cross_entropy", dfs.optimizers.SGD(), seed=0)
    model.fit(x, y, verbose=0)
    return model, xt


def test_no_false_alarm_on_test_digits(digits):
    model, xt = digits
    assert said(model, xt) == ""
    seen = model.trainer.facts.summary
    assert not any(what_is_far(seen, xt[i : i + 1]) for i in range(len(xt)))
    assert not any(what_is_far(seen, xt[i : i + 32]) for i in range(0, len(xt), 32))
    assert what_is_far(seen, np.zeros((1, 1, 28, 28), np.float32)) == ""  # an empty picture
    spot = xt[:1].copy()
    spot[..., 3, 3:8] = 9.0  # a few values outside, as of a hot pixel
    assert what_is_far(seen, spot) == ""


@pytest.mark.parametrize("count", [1, 50])
def test_digits_that_are_far_away(digits, count):
    model, xt = digits
    x = xt[:count]
    assert said(model, 1 - x).endswith(
        "they look like negatives, as dark digits on light; write 1 - x"
    )
    assert "training inputs from 0 to 1: write x / np.float32(255)" in said(model, x * 255)
    scaled = (x - 0.13) / 0.31
    assert said(model, scaled + 3).startswith("inputs ")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.predict_classes(1 - x)
    assert found[0].filename == __file__
    with pytest.warns(UserWarning, match="write 1 - x"):
        model.predict(dfs.data.batches.DataSet(1 - x, np.zeros(count, int)))


def test_digits_of_bytes_and_channels(digits):
    model, xt = digits
    seen = summarize(lambda part: (xt[part] * 255).astype(np.uint8), len(xt))
    assert "from 0 to 255: write x * np.float32(255)" in what_is_far(seen, xt[:5])
    assert what_is_far(seen, (xt[:5] * 255).astype(np.uint8)) == ""
    assert "write x.transpose(0, 3, 1, 2)" in said(model, xt[:3].transpose(0, 2, 3, 1))
    colours = summarize(lambda part: np.ones((20, 3, 8, 8))[part] * rng.random((20, 1, 1, 1)), 20)
    assert "transpose" in what_is_far(colours, np.ones((2, 8, 8, 3)))


@pytest.mark.parametrize(
    "draw",
    [
        lambda r, n: r.normal(size=(n, 20)),
        lambda r, n: r.uniform(size=(n, 3, 8, 8)),
        lambda r, n: r.normal(size=(n, 1, 8, 8)) * r.uniform(0, 3, (n, 1, 1, 1)),
        lambda r, n: r.lognormal(0, 1, (n, 10)),
        lambda r, n: (r.random((n, 30)) < 0.02).astype(float),  # one-hot columns
        lambda r, n: np.column_stack([r.normal(size=n), np.ones(n), r.poisson(3, n)]),
        lambda r, n: r.standard_t(3, (n, 8)),
        lambda r, n: np.cumsum(r.normal(size=(n, 2, 50)), axis=2),  # sequences that drift
    ],
)
def test_no_false_alarm_on_the_same_distribution(draw):
    r = np.random.default_rng(1)
    alarms = 0
    for _ in range(20):
        x = draw(r, 1000)
        seen = summarize(lambda part: x[part], len(x))  # noqa: B023
        test = draw(r, 200)
        alarms += bool(what_is_far(seen, test))
        alarms += any(what_is_far(seen, test[i : i + 1]) for i in range(40))
    assert alarms == 0


def test_a_column_of_a_table_in_other_units():
    x = rng.normal(size=(300, 6)) * [1, 10, 0.1, 1, 1, 100]
    model = dfs.Model(L.Dense(2), "cross_entropy", dfs.optimizers.SGD(0.001), seed=0)
    model.fit(x, np.arange(300) % 2, verbose=0)
    far = x.copy()
    far[:, 1] *= 1000
    assert said(model, x) == ""
    assert "scale them as the training data was" in said(model, far)


def test_summaries_of_large_samples_are_small_and_of_few_none():
    sizes = []

    def read(part):
        sizes.append(len(range(*part.indices(200))))
        return np.full((sizes[-1], 3, 300, 300), 0.5, np.float32)

    seen = summarize(read, 200)
    assert max(sizes) == 1
    assert len(sizes) < 40
    assert_array_equal(seen.mean, 0.5)
    assert summarize(lambda part: np.zeros((15, 2))[part], 15) is None
    assert summarize(lambda part: (np.zeros((20, 2))[part],) * 2, 20) is None
