"""LearningRateScheduler and ReduceLROnPlateau: the rates of Keras; who else sets the rate."""

import numpy as np
import pytest

import deepfs as dfs
from deepfs import layers as L
from deepfs.callbacks import Callback, LearningRateScheduler, ReduceLROnPlateau
from deepfs.schedules import Constant, Cosine, Plateau

X, Y = np.eye(2), np.arange(2)


class Says(Callback):
    def __init__(self, scores):
        self.scores = scores

    def on_epoch_end(self, epoch, logs):
        logs["score"] = self.scores[epoch]


def model(lr=1.0):
    return dfs.Model(L.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(lr))


def rates(scores, lr=1.0, **settings):
    callbacks = [Says(scores), ReduceLROnPlateau("score", mode="min", **settings)]
    return model(lr).fit(X, Y, epochs=len(scores), verbose=0, callbacks=callbacks)["lr"]


def by_keras(scores, lr, factor, patience, min_delta, cooldown, min_lr):
    """What Keras's page says, step by step: the rate of each epoch."""
    best, wait, resting, found = np.inf, 0, 0, []
    for score in scores:
        found.append(lr)
        if resting > 0:
            resting -= 1
            wait = 0
        if score < best - min_delta:
            best, wait = score, 0
        elif resting <= 0:
            wait += 1
            if wait >= patience and lr > min_lr:
                lr = max(lr * factor, min_lr)
                resting, wait = cooldown, 0
    return found


def test_rates_of_an_example():
    scores = [3.0, 2.0, 2.0, 2.0, 1.9, 2.0, 2.0]
    assert rates(scores, factor=0.5, patience=2) == [1, 1, 1, 1, 0.5, 0.5, 0.5]
    assert rates([*scores, 2.0], factor=0.5, patience=2)[-1] == 0.25


@pytest.mark.parametrize("patience", [0, 1, 2, 4])
@pytest.mark.parametrize("cooldown", [0, 1, 3])
def test_rates_are_those_of_keras(patience, cooldown, rng):
    scores = rng.integers(0, 40, 40).cumsum()[::-1] / 40 + rng.normal(0, 2, 40)
    settings = {"factor": 0.5, "patience": patience, "min_delta": 0.3, "cooldown": cooldown,
                "min_lr": 0.01}  # fmt: skip
    assert rates(scores, **settings) == by_keras(scores, 1.0, **settings)


@pytest.mark.parametrize("cooldown", [0, 2])
def test_rates_have_the_bits_of_the_schedule(cooldown, rng):
    """Whose patience and cooldown are those of PyTorch, one less."""
    scores = rng.random(30).tolist()
    schedule, found = Plateau(0.3, 0.3, 2, "score", threshold=0, cooldown=cooldown), []
    for score in scores:
        found.append(schedule(0))
        schedule.observe({"score": score})
    settings = {"factor": 0.3, "patience": 3, "min_delta": 0}
    assert rates(scores, 0.3, **settings, cooldown=cooldown + bool(cooldown)) == found


def test_a_rate_that_somebody_else_sets_is_where_it_counts_from():
    class Sets(Callback):
        def on_epoch_begin(self, epoch, logs):
            if epoch == 2:
                self.model.optimizer.lr = 8.0

    callbacks = [Says([1] * 5), Sets(), ReduceLROnPlateau("score", 0.5, 1, "min")]
    assert model().fit(X, Y, epochs=5, verbose=0, callbacks=callbacks)["lr"] == [1, 1, 8, 4, 2]


def test_each_fit_starts_anew_from_the_rate_there_is():
    reduce, net = ReduceLROnPlateau("score", 0.5, 1, "min"), model()
    net.fit(X, Y, epochs=3, verbose=0, callbacks=[Says([1, 1, 1]), reduce])
    assert net.optimizer.lr == 0.25
    history = net.fit(X, Y, epochs=2, verbose=0, callbacks=[Says([9, 8]), reduce])
    assert history["lr"] == [0.25, 0.25]


@pytest.mark.parametrize(
    "schedule", [lambda epoch, lr: lr / (1 + epoch), lambda epoch: [1, 0.5, 0.5 / 3][epoch]]
)
def test_a_function_of_the_epoch_and_the_rate(schedule):
    net = model()
    history = net.fit(X, Y, epochs=3, verbose=0, callbacks=LearningRateScheduler(schedule))
    assert history["lr"] == [1, 0.5, 0.5 / 3]
    assert net.optimizer.lr == 0.5 / 3


def test_a_rate_moves_the_weights_of_its_epoch():
    by_hand, net = model(), model()
    for each in (by_hand, net):
        each.train_on_batch(X, Y)
        for parameter in each.network.parameters().values():
            parameter.value[...] = 0.1
    net.fit(X, Y, epochs=2, verbose=0, callbacks=LearningRateScheduler(lambda e: 0.1 / (1 + e)))
    for lr in (0.1, 0.05):
        by_hand.optimizer.lr = lr
        by_hand.train_on_batch(X, Y)
    np.testing.assert_allclose(
        net.network.parameters()["weight"].value,
        by_hand.network.parameters()["weight"].value, rtol=1e-6,
    )  # fmt: skip


FUNCTION = LearningRateScheduler(lambda epoch: 0.1)


@pytest.mark.parametrize(
    ("lr", "callbacks", "message"),
    [
        (Cosine(0.1, 5), FUNCTION, "the schedule Cosine and LearningRateScheduler would set"),
        (Constant(0.1), ReduceLROnPlateau("loss"), "the schedule Constant and ReduceLROnPlateau"),
        (0.1, [FUNCTION, ReduceLROnPlateau("loss")], "would set the learning rate at once: leave "
                                                     "one out"),
        (Cosine(0.1), [FUNCTION, ReduceLROnPlateau("loss")], "leave all but one out"),
    ],
)  # fmt: skip
def test_two_that_set_the_rate_are_refused_before_the_first_step(lr, callbacks, message):
    net = model(lr)
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y, verbose=0, callbacks=callbacks)
    assert net.steps == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LearningRateScheduler(0.1), r"schedule must be a function \(epoch, lr\) -> lr"),
        (lambda: LearningRateScheduler(lambda: 0.1), r"got one of \(\)"),
        (lambda: ReduceLROnPlateau(factor=1), r"factor must be in \(0, 1\), got 1"),
        (lambda: ReduceLROnPlateau(min_lr=-1), r"min_lr must be in \[0, inf\)"),
        (lambda: ReduceLROnPlateau(epsilon=1), "has no argument 'epsilon'"),
    ],
)
def test_refuses(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


@pytest.mark.parametrize("rate", [0, -1, None, "0.1", float("nan")])
def test_a_function_that_returns_no_rate_is_named(rate):
    with pytest.raises((TypeError, ValueError), match="the learning rate of epoch 0 must be"):
        model().fit(X, Y, verbose=0, callbacks=LearningRateScheduler(lambda epoch: rate))
