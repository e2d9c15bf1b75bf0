"""An epoch's numbers are sums of terms over what they are divided by, whatever the batches."""

import numpy as np
import pytest

import deepfs as dfs
from deepfs import layers as L
from deepfs import losses, metrics

N = 50
STANDS = 1e-290  # a learning rate at which no weight changes


def data_for(kind, rng):
    x = rng.normal(size=(N, 4))
    targets = {
        "labels": lambda: rng.integers(0, 3, N),
        "sorted labels": lambda: np.sort(rng.integers(0, 3, N)),
        "probabilities": lambda: rng.dirichlet(np.ones(3), N),
        "yes": lambda: rng.integers(0, 2, (N, 3)),
        "numbers": lambda: rng.normal(size=(N, 3)),
    }
    return x, targets[kind]()


def standing(loss, wanted=(), **settings):
    dfs.set_seed(1)
    net = L.Dense(3, dtype="float64")
    return dfs.Model(net, loss, dfs.optimizers.SGD(STANDS), wanted, **settings)


def squares(outputs, targets):
    """A loss as a plain function: a number per sample, and the gradient of each."""
    difference = outputs - targets
    return np.square(difference).sum(axis=1), 2 * difference


LOSSES = {
    "cross-entropy": (losses.CrossEntropy(), "labels"),
    "sum": (losses.CrossEntropy(reduction="sum"), "labels"),
    "class weights": (losses.CrossEntropy(class_weight=[1, 5, 0.2]), "sorted labels"),
    "ignored": (losses.CrossEntropy(ignore_index=1), "sorted labels"),
    "smoothing": (losses.CrossEntropy(0.2, [1, 2, 3], ignore_index=0), "sorted labels"),
    "soft": (losses.CrossEntropy(), "probabilities"),
    "binary": (losses.BinaryCrossEntropy([1, 2, 3]), "yes"),
    "squared error": (losses.MeanSquaredError(), "numbers"),
    "squared error, sum": (losses.MeanSquaredError(reduction="sum"), "numbers"),
    "textbook": (losses.MeanSquaredError(textbook=True), "numbers"),
    "absolute error": (losses.MeanAbsoluteError(), "numbers"),
    "huber": (losses.Huber(0.3), "numbers"),
    "hinge": (losses.Hinge(), "labels"),
    "function": (squares, "numbers"),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [7, 16, 50, 64])
@pytest.mark.parametrize(("loss", "kind"), LOSSES.values(), ids=LOSSES)
def test_history_is_what_evaluate_says(loss, kind, batch_size, weighted, rng):
    x, y = data_for(kind, rng)
    weights = rng.random(N) * (np.arange(N) % 3) if weighted else None
    model = standing(loss)
    if weighted and loss is squares:
        weights = None
    given = (x, y) if weights is None else (x, y, weights)
    history = model.fit(
        x, y, batch_size, 2, validation_data=given, sample_weight=weights, verbose=0
    )
    expected = model.evaluate(x, y, batch_size=11, sample_weight=weights)["loss"]
    for values in (history["loss"], history["val_loss"]):
        np.testing.assert_allclose(values, expected, rtol=1e-12)
    whole = model.evaluate(x, y, batch_size=N, sample_weight=weights)["loss"]
    np.testing.assert_allclose(expected, whole, rtol=1e-12)


METRICS = {
    "accuracy": "sorted labels", "top_2_accuracy": "labels", "f1_score": "sorted labels",
    "precision_score": "sorted labels", "recall_score": "sorted labels",
    "roc_auc_score": "sorted labels", "binary_accuracy": "yes", "subset_accuracy": "yes",
    "binary_f1": "yes", "mae": "numbers", "mse": "numbers", "rmse": "numbers", "r2": "numbers",
}  # fmt: skip
FOR_KIND = {
    "sorted labels": losses.CrossEntropy, "labels": losses.CrossEntropy,
    "yes": losses.BinaryCrossEntropy, "numbers": losses.MeanSquaredError,
}  # fmt: skip


@pytest.mark.parametrize("batch_size", [6, 50])
@pytest.mark.parametrize(("name", "kind"), METRICS.items(), ids=METRICS)
def test_metrics_are_those_of_the_whole_set(name, kind, batch_size, rng):
    x, y = data_for(kind, rng)
    model = standing(FOR_KIND[kind](), (name,))
    history = model.fit(x, y, batch_size, validation_data=(x, y), shuffle=False, verbose=0)
    whole = metrics.get(name)[1](model.predict(x), y)
    expected = float(np.mean(whole))
    assert history[name][0] == pytest.approx(expected, rel=1e-12)
    assert history[f"val_{name}"][0] == pytest.approx(expected, rel=1e-12)
    assert model.evaluate(x, y, batch_size)[name] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("metric", ["accuracy", "f1_score"])
def test_metrics_do_not_count_what_the_loss_ignores(metric, rng):
    x, y = data_for("sorted labels", rng)
    counted = y != 1
    model = standing(losses.CrossEntropy(ignore_index=1), (metric,))
    history = model.fit(x, y, 7, validation_data=(x, y), verbose=0)
    same = standing(losses.CrossEntropy(), (metric,))
    expected = same.evaluate(x[counted], y[counted])[metric]
    assert history[metric] == history[f"val_{metric}"] == [pytest.approx(expected, rel=1e-12)]


def test_f1_of_sorted_labels_is_not_the_mean_of_batches():
    right = np.repeat([0, 1], 256)
    found = right.copy()
    found[0], found[-1] = 1, 0  # 510 of 512 are right
    parts = L.Identity(), losses.CrossEntropy(), dfs.optimizers.SGD()
    for metric in ("f1_score", metrics.f1_score):
        model = dfs.Model(*parts, [metric])
        assert model.evaluate(np.eye(2)[found], right)["f1_score"] == pytest.approx(510 / 512)
    for metric in ("roc_auc_score", metrics.roc_auc_score):
        model = dfs.Model(*parts, [metric])
        logs = model.evaluate(np.eye(2)[found], right)
        assert logs["roc_auc_score"] == pytest.approx(510 / 512)


def test_a_function_that_returns_one_number_is_computed_over_the_whole_set(rng):
    x, y = data_for("numbers", rng)

    def worst(outputs, targets):
        return np.abs(outputs - targets).max()

    model = standing(losses.MeanSquaredError(), (worst,))
    history = model.fit(x, y, 8, validation_data=(x, y), verbose=0)
    expected = np.abs(model.predict(x) - y).max()
    assert history["worst"] == [expected]
    assert history["val_worst"] == [expected]
    assert model.train_on_batch(x[:5], y[:5])["worst"] == np.abs(model.predict(x[:5]) - y[:5]).max()


@pytest.mark.parametrize("metric", ["f1_score", "roc_auc_score", "accuracy", "top_2_accuracy"])
def test_metrics_of_the_whole_set_resume_in_mid_epoch(metric, rng, tmp_path):
    x, y = data_for("sorted labels", rng)

    def fit(**settings):
        model = standing(losses.CrossEntropy(class_weight=[1, 2, 3]), (metric,))
        model.optimizer = dfs.optimizers.SGD(STANDS, clip_norm=1.0)  # with a number of each step
        return model.fit(x, y, 6, 2, verbose=0, **settings).history

    class Stop(dfs.callbacks.Callback):
        def on_train_batch_end(self, batch, logs):
            if self.model.steps == 5:
                raise SystemExit

    class Same(dfs.callbacks.Callback):
        pass

    Same.__name__ = "Stop"  # of the same name, as a resumed run needs it
    with pytest.raises(SystemExit):
        fit(checkpoint=tmp_path, checkpoint_every=1, callbacks=[Stop()])
    resumed = fit(checkpoint=tmp_path, checkpoint_every=1, resume=True, callbacks=[Same()])
    assert resumed == fit()


def test_numbers_of_a_step_are_averaged_over_steps(rng):
    x, y = data_for("labels", rng)
    model = standing(losses.CrossEntropy())
    model.optimizer = dfs.optimizers.SGD(STANDS, clip_norm=1.0, weight_decay=0.1)
    model.report_penalty = True
    seen = []

    class Note(dfs.callbacks.Callback):
        def on_train_batch_end(self, batch, logs):
            seen.append((logs["gradient_norm"], logs["penalty"]))

    history = model.fit(x, y, 16, verbose=0, callbacks=[Note()])
    norms, penalties = np.mean(seen, axis=0)
    assert len(seen) == 4
    assert history["gradient_norm"] == [pytest.approx(norms, rel=1e-12)]
    assert history["penalty"] == [pytest.approx(penalties, rel=1e-12)]
