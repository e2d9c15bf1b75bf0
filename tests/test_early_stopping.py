"""EarlyStopping and what it monitors: Keras's rule, the weights of the best epoch, refusals."""

import signal

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.callbacks import (
    EMA,
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    ModelCheckpoint,
)
from models import small_model

NAN = float("nan")


class Says(Callback):
    """Gives each epoch its score; keeps what the network answers after it."""

    def __init__(self, scores, x=None):
        self.scores, self.x, self.answers = scores, x, []

    def on_epoch_end(self, epoch, logs):
        logs["score"] = self.scores[epoch]
        if self.x is not None:
            self.answers.append(self.model.predict(self.x))


@pytest.fixture
def data(rng):
    return rng.random((8, 1, 8, 8), np.float32), rng.integers(0, 3, 8)


def tiny():
    return dfs.Model(L.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.1))


def epochs_of(scores, **settings):
    stop = EarlyStopping("score", **settings)
    history = tiny().fit(
        np.eye(2), np.arange(2), epochs=len(scores), verbose=0, callbacks=[Says(scores), stop]
    )
    return len(history["loss"]), stop


# scores, settings, epochs that are trained, best epoch: worked out by Keras's rule
CASES = [
    ([3, 2, 1, 1, 1], {"mode": "min"}, 4, 2),  # patience 0 and 1: the first epoch without
    ([3, 2, 1, 1, 1], {"mode": "min", "patience": 1}, 4, 2),
    ([3, 2, 1, 1, 1, 1], {"mode": "min", "patience": 2}, 5, 2),
    ([3, 4, 3, 2, 3, 3, 3], {"mode": "min", "patience": 3}, 7, 3),
    ([1, 2, 3, 3, 3], {"mode": "max"}, 4, 2),
    ([1, 2, 3, 4], {"mode": "min", "patience": 9}, 4, 0),
    ([3, 2.5, 2, 1.5, 1], {"mode": "min", "min_delta": 0.5}, 2, 0),  # exactly: no improvement
    ([3, 2.4, 1.8, 1.5, 1], {"mode": "min", "min_delta": 0.5}, 4, 2),
    ([9, 1, 5, 5, 4], {"mode": "min", "start_from_epoch": 2}, 4, 2),
    ([4, 3.5, 3.2, 3.1, 1], {"mode": "min", "patience": 3, "baseline": 1.5}, 5, 4),
    ([4, 3.5, 3.6, 3.1, 1], {"mode": "min", "patience": 3, "baseline": 1.5}, 3, 1),
    ([NAN, NAN, 2, 1], {"mode": "min"}, 2, None),
    ([2, NAN, 1, NAN, NAN], {"mode": "min", "patience": 2}, 5, 2),
]


@pytest.mark.parametrize(("scores", "settings", "epochs", "best"), CASES)
def test_stops_by_the_rule_of_keras(scores, settings, epochs, best):
    done, stop = epochs_of(scores, **settings)
    assert (done, stop.best_epoch) == (epochs, best)
    assert stop.best == (None if best is None else scores[best])
    stopped = epochs - 1 if stop.wait >= max(stop.patience, 1) else None
    assert stop.stopped_epoch == stopped


@pytest.mark.parametrize("restore", [True, False])
def test_the_best_weights_come_back_with_running_statistics(restore, data):
    model, says = small_model(), Says([2, 1, 3, 4, 0], data[0])
    stop = EarlyStopping("score", mode="min", patience=2, restore_best_weights=restore)
    model.fit(*data, 4, 5, verbose=0, callbacks=[says, stop])
    assert len(says.answers) == 4
    assert_array_equal(model.predict(data[0]), says.answers[1 if restore else 3])
    assert (says.answers[1] != says.answers[3]).any()


def test_the_best_weights_come_back_also_without_a_stop(data):
    model, says = small_model(), Says([2, 1, 3], data[0])
    model.fit(*data, 4, 3, verbose=0,
              callbacks=[says, EarlyStopping("score", mode="min", patience=9)])  # fmt: skip
    assert_array_equal(model.predict(data[0]), says.answers[1])


def test_each_fit_starts_anew():
    stop = EarlyStopping("score", mode="min", patience=1)
    x, y = np.eye(2), np.arange(2)
    tiny().fit(x, y, epochs=3, verbose=0, callbacks=[Says([1, 2, 3]), stop])
    history = tiny().fit(x, y, epochs=3, verbose=0, callbacks=[Says([9, 8, 7]), stop])
    assert (len(history["loss"]), stop.best) == (3, 7)


def test_a_network_that_has_changed_is_not_restored(data):
    model, net = tiny(), L.Dense(2)

    def exchange(epoch, logs):
        if epoch == 1:
            net(np.ones((1, 5)))
            model.network = net

    callbacks = [Says([1, 2]), EarlyStopping("score", mode="min"), LambdaCallback(exchange)]
    with pytest.raises((RuntimeError, ValueError)):
        model.fit(np.eye(2), np.arange(2), epochs=2, verbose=0, callbacks=callbacks)


def test_what_is_left_is_the_best_of_the_history(rng, tmp_path):
    """The weights in the model and in the file give the lowest number of the log."""
    x, y = rng.random((60, 6)), rng.integers(0, 2, 60)
    dfs.set_seed(2)
    net = L.Sequential([L.Dense(40), L.BatchNorm(), L.ReLU(), L.Dense(2)])
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(0.05))
    saver = ModelCheckpoint(tmp_path / "best", save_best_only=True)
    callbacks = [EarlyStopping(patience=3), saver, CSVLogger(tmp_path / "log.csv")]
    history = model.fit(x[:30], y[:30], 10, 60, (x[30:], y[30:]), verbose=0, callbacks=callbacks)
    losses, best = history["val_loss"], min(history["val_loss"])
    assert len(losses) == losses.index(best) + 4 < 60
    for each in (model, dfs.load(tmp_path / "best")):
        assert each.evaluate(x[30:], y[30:])["loss"] == best == saver.best
    rows = [line.split(",") for line in (tmp_path / "log.csv").read_text().splitlines()]
    assert [float(row[rows[0].index("val_loss")]) for row in rows[1:]] == losses


@pytest.mark.parametrize("name", ["val_loss", "out_loss", "rmse", "val_mean_absolute_error"])
def test_less_is_better(name):
    ModelCheckpoint("m", name, save_best_only=True).check_logs([name])
    EarlyStopping(name).check_logs([name])


@pytest.mark.parametrize(
    ("metric", "larger"),
    [("accuracy", True), ("binary_f1", True), ("subset_accuracy", True),
     ("top_k_accuracy", True), ("mean_squared_error", False), ("binary_precision", True)],
)  # fmt: skip
def test_the_metrics_of_deepfs_tell_their_direction(metric, larger):
    from deepfs.callbacks._monitor import sign_of

    assert sign_of(metric, "auto", "") == (-1 if larger else 1)
    assert sign_of(f"val_{metric}", "auto", "") == (-1 if larger else 1)


def test_all_metrics_tell_their_direction():
    from deepfs.callbacks._monitor import sign_of

    others = {"confusion_matrix", "get", "without_ignored", "OfOutput", "TopKAccuracy", "Report",
              "classification_report"}  # fmt: skip
    for name in {*dfs.metrics.__all__} - others:
        assert sign_of(name, "auto", "") == (1 if "error" in name or name == "rmse" else -1)


@pytest.mark.parametrize(
    ("callbacks", "settings", "message"),
    [
        (EarlyStopping(), {}, "'val_loss', but an epoch has loss, accuracy: give fit validation_"
                              "data, or monitor 'loss'"),
        (EarlyStopping("val_los"), {"validation_data": True}, "did you mean 'val_loss'"),
        (EarlyStopping("ackuracy"), {}, "EarlyStopping monitors 'ackuracy', but an epoch has loss, "
                                       "accuracy: did you mean 'accuracy'"),
        ([EarlyStopping("ackuracy"), Says([1])], {}, "did you mean 'accuracy'"),
        ([EarlyStopping("dice"), Says([1])], {}, "cannot tell whether smaller or larger values of "
                                                 "'dice' are better: give mode=\"min\" or"),
        (ModelCheckpoint("m", "los", save_best_only=True), {}, "did you mean 'loss'"),
    ],
)  # fmt: skip
def test_a_monitor_that_is_wrong_is_refused_before_the_first_step(
    callbacks, settings, message, data
):
    model = small_model()
    if settings:
        settings = {"validation_data": data}
    with pytest.raises(ValueError, match=message):
        model.fit(*data, verbose=0, callbacks=callbacks, **settings)
    assert model.steps == 0


def test_a_number_that_nobody_adds_is_named_after_the_first_epoch():
    with pytest.raises(ValueError, match="monitors 'dice', but an epoch has loss, accuracy, score"):
        tiny().fit(np.eye(2), np.arange(2), epochs=3, verbose=0,
                   callbacks=[Says([1]), EarlyStopping("dice", mode="min")])  # fmt: skip


def test_names_whose_average_is_measured():
    with pytest.warns(UserWarning, match="EarlyStopping keeps the weights of the training, while"):
        tiny().fit(np.eye(2), np.arange(2), verbose=0, callbacks=[EMA(), EarlyStopping("loss")])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patience": -1}, "patience must be at least 0, got -1"),
        ({"min_delta": -1}, r"min_delta must be in \[0, inf\), got -1"),
        ({"mode": "least"}, "mode must be"),
        ({"monitor": 3}, "EarlyStopping monitors a number by its name, got 3"),
        ({"baseline": NAN}, "baseline must be"),
        ({"restore_best_weights": 2}, "restore_best_weights must be"),
        ({"verbose": 1}, "has no argument 'verbose': leave it out"),
        ({"patince": 1}, "did you mean 'patience'"),
    ],
)
def test_refuses(settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        EarlyStopping(**settings)


def test_the_best_weights_come_back_after_ctrl_c(data):
    def press(batch, logs):
        if model.steps == 5:
            signal.raise_signal(signal.SIGINT)

    model, says = small_model(), Says([1, 2, 3], data[0])
    callbacks = [says, EarlyStopping("score", mode="min", patience=9),
                 LambdaCallback(on_train_batch_end=press)]  # fmt: skip
    history = model.fit(*data, 4, 3, verbose=0, callbacks=callbacks)
    assert history.interrupted
    assert len(says.answers) == 2
    assert_array_equal(model.predict(data[0]), says.answers[0])
