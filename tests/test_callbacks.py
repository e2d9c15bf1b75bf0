"""Callbacks: which hooks run when; averages of weights against plain means of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.callbacks import EMA, SWA, Callback, update_bn
from models import small_model


class Diary(Callback):
    """Writes down every hook."""

    def __init__(self):
        self.lines = []

    def __getattribute__(self, name):
        if name.startswith("on_"):
            return lambda *numbers: self.lines.append((name, *numbers[:-1], sorted(numbers[-1])))
        return super().__getattribute__(name)


class Snapshots(Callback):
    """Keeps the weights after every step."""

    def __init__(self):
        self.weights = []

    def on_train_batch_end(self, batch, logs):
        self.weights.append(self.model.arena.values.copy())


@pytest.fixture
def data(rng):
    return rng.random((20, 1, 8, 8)), rng.integers(0, 3, 20)


def test_hooks_come_in_the_order_of_keras(data):
    diary, model = Diary(), small_model()
    model.fit(*data, 16, 2, validation_data=data, verbose=0, callbacks=diary)
    names, batch = ["accuracy", "loss"], []
    for number in range(2):
        batch += [("on_train_batch_begin", number, []), ("on_train_batch_end", number, names)]
    validation = [("on_test_begin", []), ("on_test_end", ["val_accuracy", "val_loss"])]
    every = ["accuracy", "loss", "val_accuracy", "val_loss"]
    first, second = (
        [("on_epoch_begin", epoch, []), *batch, *validation, ("on_epoch_end", epoch, every)]
        for epoch in range(2)
    )
    assert diary.lines == [("on_train_begin", []), *first, *second, ("on_train_end", every)]
    assert diary.model is model


def test_an_epoch_gets_into_the_history_with_what_callbacks_add(data):
    class Adds(Callback):
        def on_epoch_end(self, epoch, logs):
            logs["lr"] = epoch / 2

    history = small_model().fit(*data, epochs=3, verbose=0, callbacks=[Adds()])
    assert history["lr"] == [0, 0.5, 1]


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_epoch_end"])
def test_stop_training(hook, data):
    class Stop(Callback):
        def stop(self, number, logs):
            self.model.stop_training = self.model.steps >= 5

    setattr(Stop, hook, Stop.stop)
    model = small_model()
    history = model.fit(*data, 5, 9, verbose=0, callbacks=[Stop()])
    assert model.steps == (5 if hook == "on_train_batch_end" else 8)
    assert len(history["loss"]) == 2
    assert not history.interrupted
    assert len(model.fit(*data, 5, 2, verbose=0)["loss"]) == 2  # it is asked for once


def test_validation_that_fails_brings_the_weights_back(data):
    class Fails(Callback):
        def on_test_begin(self, logs):
            raise OSError("it is not there")

    model, average = small_model(), EMA(0.5)
    with pytest.raises(OSError, match="it is not there"):
        model.fit(*data, 5, verbose=0, validation_data=data, callbacks=[average, Fails()])
    average.update()  # it is not in use


@pytest.mark.parametrize("callbacks", [[len], [EMA], "EMA", [None]])
def test_refuses_what_is_no_callback(callbacks, data):
    with pytest.raises(TypeError, match="callbacks must be deepfs Callbacks, got "):
        small_model().fit(*data, callbacks=callbacks)


def averages_by_hand(kind, weights):
    if kind == "ema":
        average = weights[0]
        for w in weights[1:]:
            average = 0.75 * average + 0.25 * w
        return average
    return np.mean([weights[i] for i in (7, 15, 23)], axis=0)  # after epochs 2, 4 and 6


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_averages_are_those_of_the_formula(kind, data):
    model, snapshots = small_model(), Snapshots()
    average = EMA(0.75) if kind == "ema" else SWA(1, every=2, data=data[0])
    model.fit(*data, 5, 6, verbose=0, callbacks=[snapshots, average])
    expected = averages_by_hand(kind, snapshots.weights)
    last = model.arena.values.copy()
    with average.swapped():
        assert_allclose(model.arena.values, expected, rtol=1e-13, atol=1e-15)
    assert_array_equal(model.arena.values, last)
    assert average.updates == (24 if kind == "ema" else 3)
    average.apply()
    assert_allclose(model.arena.values, expected, rtol=1e-13, atol=1e-15)
    assert average.updates == 0


def test_large_arrays_average_piece_by_piece(rng):
    model, average = (
        dfs.Model(L.Dense(500), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()),
        EMA(0.5),
    )
    x, y = rng.random((4, 300)), np.arange(4)
    average.set_model(model)
    seen = []
    for _ in range(3):
        model.train_on_batch(x, y)
        average.update()
        seen.append(model.arena.values.copy())
    with average.swapped():
        by_hand = 0.5 * (0.5 * seen[0] + 0.5 * seen[1]) + 0.5 * seen[2]
        assert_allclose(model.arena.values, by_hand, rtol=1e-14)
    assert_array_equal(model.arena.values, seen[-1])


def test_validation_measures_the_average(data):
    model, average = small_model(), EMA(0.9)
    history = model.fit(*data, 5, 2, verbose=0, validation_data=data, callbacks=[average])
    assert history["val_loss"][-1] != model.evaluate(*data)["loss"]
    with average.swapped():
        assert history["val_loss"][-1] == model.evaluate(*data)["loss"]


def test_two_averages_leave_the_weights_and_each_other_alone(data):
    dfs.set_seed(0)
    alone, by_itself = small_model(), EMA(0.9)
    alone.fit(*data, 5, 3, verbose=0, callbacks=[by_itself])
    dfs.set_seed(0)
    model, averages = small_model(), [EMA(0.9), EMA(0.5)]
    history = model.fit(*data, 5, 3, verbose=0, validation_data=data, callbacks=averages)
    assert_array_equal(model.arena.values, alone.arena.values)
    with averages[1].swapped():  # the last one is measured
        assert history["val_loss"][-1] == model.evaluate(*data)["loss"]
    with averages[0].swapped(), by_itself.swapped():
        assert_array_equal(model.arena.values, alone.arena.values)


def test_update_bn_is_the_mean_over_batches(rng):
    x = rng.normal(3, 2, (64, 5))
    norm, drop = L.BatchNorm(), L.Dropout(0.5)
    net = L.Sequential([norm, drop])
    net.forward(x[:8], training=True)
    before = {name: buffer.copy() for name, buffer in drop.buffers().items()}
    update_bn(net, x, 16)
    batches = x.reshape(4, 16, 5)
    assert_allclose(norm.buffers()["running_mean"], x.mean(0), rtol=1e-12)
    assert_allclose(norm.buffers()["running_var"], batches.var(1, ddof=1).mean(0), rtol=1e-12)
    assert norm.statistics == "moving"
    for name, buffer in drop.buffers().items():
        assert_array_equal(buffer, before[name])


def test_swa_measures_batch_norm_anew_and_brings_it_back(data):
    model, average = small_model(), SWA(0, data=data[0])
    model.fit(*data, 5, 3, verbose=0, callbacks=[average])
    norm = model.network.layers[1]
    before = norm.buffers()["running_mean"].copy()
    with average.swapped():
        inside = norm.buffers()["running_mean"].copy()
        update_bn(model.network, data[0])
        assert_array_equal(norm.buffers()["running_mean"], inside)
    assert not np.allclose(inside, before)
    assert_array_equal(norm.buffers()["running_mean"], before)
    average.apply()
    assert_array_equal(norm.buffers()["running_mean"], inside)


def test_averages_refuse(data):
    model, average = small_model(), EMA()
    with pytest.raises(RuntimeError, match="EMA needs a model: give it to fit, or call set_model"):
        average.update()
    average.set_model(model)
    model.train_on_batch(*data)
    with pytest.raises(RuntimeError, match="EMA has averaged nothing yet"), average.swapped():
        pass
    average.update()
    with average.swapped(), pytest.raises(RuntimeError, match="its average in place of the w"):
        average.update()
    other = dfs.Model(L.Dense(3), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    with average.swapped(), pytest.raises(RuntimeError, match="weights of another model: end the"):
        average.set_model(other)
    model.network = other.network
    model.train_on_batch(np.ones((3, 2)), np.arange(3))
    with pytest.raises(RuntimeError, match="EMA has averaged 237 weights, the model has 9 now"):
        average.update()
    with pytest.raises(ValueError, match="SWA needs data for the running statistics of BatchNorm"):
        small_model().fit(*data, verbose=0, callbacks=[SWA(1)])
    with pytest.raises(ValueError, match=r"needs at least 1 sample, got inputs of shape \(0, 2\)"):
        update_bn(L.BatchNorm(), np.zeros((0, 2)))


@pytest.mark.parametrize("decay", [-0.1, 1, np.nan, "0.9", None])
def test_decay_in_its_range(decay):
    with pytest.raises((TypeError, ValueError), match=r"decay must be .* got"):
        EMA(decay)
