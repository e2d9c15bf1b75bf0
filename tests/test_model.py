"""Training, evaluation and prediction; and that bad input costs nothing."""

import copy
import os
import pickle
import signal
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.testing import any_work_on
from deepfs.training.progress import chosen
from models import small_model
from test_datasets import FOLDERS


def test_learns(data):
    x, y = data
    model = small_model()
    history = model.fit(x, y, batch_size=20, epochs=20, validation_data=(x, y), verbose=0)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert len(history["loss"]) == 20
    assert history["loss"][-1] < history["loss"][0] / 3
    assert history["val_accuracy"][-1] > 0.97
    assert model.steps == 20 * 5
    assert not history.interrupted


def test_learns_the_bundled_digits():
    """One end-to-end run on real data: 1,500 images, one epoch and a half."""
    (x, y), (xt, yt) = dfs.datasets.mnist_mini()
    net = dfs.networks.mini_convnet()
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(2e-3))
    model.fit(x[:1500], y[:1500], batch_size=25, epochs=3, verbose=0)
    assert model.evaluate(xt, yt)["accuracy"] > 0.92


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_gives_the_same_bits_for_any_number_of_threads(dtype, data):
    x, y = data
    states = []
    for n in (1, 2, 4, 1):
        dfs.set_seed(7)
        with any_work_on(n):
            model = small_model(dtype=dtype)
            history = model.fit(x, y, batch_size=25, epochs=2, verbose=0)
        buffers = [b.copy() for b in model.network.buffers().values()]
        states.append([model.arena.values, *model.state.values(), *buffers, history["loss"]])
    for state in states[1:]:
        for got, wanted in zip(state, states[0], strict=True):
            assert_array_equal(got, wanted)


def test_train_on_batch_is_forward_backward_step(data):
    x, y = data
    model = small_model()
    model.network.build(x.shape[1:])
    other = copy.deepcopy(model.network)
    logs = model.train_on_batch(x, y)
    outputs, cache = other.forward(x, training=True)
    value, loss_cache = model.loss.forward(outputs, y)
    assert logs["loss"] == value
    assert logs["accuracy"] == (outputs.argmax(1) == y).mean()
    other.backward(model.loss.backward(loss_cache), cache)
    arena = dfs.optimizers.Arena(other.parameters())
    optimizer = model.optimizer
    optimizer.step(arena.values, arena.grads, optimizer.init(arena.values), 1)
    for name, p in model.network.parameters().items():
        assert_array_equal(p.value, other.parameters()[name].value)


def test_a_step_forgets_gradients_that_others_left(data):
    x, y = data
    model = small_model()
    model.train_on_batch(x, y)
    other = copy.deepcopy(model)
    for p in other.network.parameters().values():
        p.grad = np.ones(p.grad.shape)
    for each in (model, other):
        each.train_on_batch(x, y)
    for name, p in model.network.parameters().items():
        assert_array_equal(p.value, other.network.parameters()[name].value)


def test_evaluate_counts_the_last_partial_batch(data):
    x, y = data
    model = small_model()
    model.fit(x, y, epochs=1, verbose=0)
    whole = model.evaluate(x, y, batch_size=90)
    for batch_size in (7, 89, 1000):
        parts = model.evaluate(x, y, batch_size=batch_size)
        assert parts["accuracy"] == whole["accuracy"]
        assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-6)
    right = (model.predict(x).argmax(1) == y).mean()
    assert whole["accuracy"] == pytest.approx(right)


def test_evaluate_weighs_classes_over_all_batches(data):
    x, y = data
    model = small_model()
    model.loss = dfs.losses.CrossEntropy(class_weight=[1, 5, 0.1])
    whole = model.loss(model.predict(x), y)
    assert model.evaluate(x, y, batch_size=11)["loss"] == pytest.approx(whole, rel=1e-5)


def test_predictions(data):
    x, y = data
    model = small_model()
    logits, p = model.predict(x, batch_size=13), model.predict_proba(x)
    assert_allclose(logits, model.network(x), rtol=1e-5, atol=1e-6)
    assert_allclose(p.sum(1), 1, rtol=1e-5)
    assert_array_equal(p.argmax(1), model.predict_classes(x))
    net = L.Sequential([model.network, L.Softmax()])
    with pytest.raises(ValueError, match=r"ends with Softmax, .*: leave Softmax\(\) out"):
        dfs.Model(net, model.loss, model.optimizer)
    wrapped = dfs.Model(net, dfs.losses.MeanSquaredError(), model.optimizer)
    assert_allclose(wrapped.predict_proba(x), p, rtol=1e-5)  # not softmaxed twice


def test_own_metric(data):
    x, y = data

    def margin(outputs, targets):
        return np.sort(outputs, axis=1)[:, -1] - np.sort(outputs, axis=1)[:, -2]

    model = small_model(metrics=["accuracy", margin])
    assert model.evaluate(x, y)["margin"] > 0


def test_copies_of_a_model_train_on_their_own(data):
    x, y = data
    model = small_model()
    model.fit(x, y, verbose=0)
    before = model.predict(x)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_array_equal(other.predict(x), before)
        other.train_on_batch(x, y)
        assert (other.predict(x) != before).any()
        assert_array_equal(model.predict(x), before)
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    after = []
    for other in (model, *copies):
        other.train_on_batch(x, y)
        after.append(other.predict(x))
    assert_array_equal(after[1], after[0])
    assert_array_equal(after[2], after[0])


def test_another_optimizer_starts_afresh(data):
    x, y = data
    model = small_model()
    model.fit(x, y, verbose=0)
    weights = model.arena.values.copy()
    for optimizer in (dfs.optimizers.Momentum(0.1), dfs.optimizers.Adam(0.01)):
        model.optimizer = optimizer
        other = copy.deepcopy(model.network)
        model.train_on_batch(x, y)
        outputs, cache = other.forward(x, training=True)
        other.backward(model.loss.backward(model.loss.forward(outputs, y)[1]), cache)
        gradients = dfs.optimizers.Arena(other.parameters()).grads
        state = optimizer.init(model.arena.values)
        assert model.state.keys() == state.keys()
        optimizer.step(weights, gradients, state, 1)
        assert_array_equal(model.arena.values, weights)


def layer_built_again(model, x):
    model.network.layers[1].body.build((16,), np.float64)


def part_replaced(model, x):
    model.network.layers[1].body = L.Dense(16, initializer="zeros")
    model.network.layers[1].body.build((16,), np.float64)


def network_replaced(model, x):
    model.network = residual_network()
    model.network.build(x.shape[1:], np.float64)


def residual_network():
    return L.Sequential([L.Flatten(), L.Residual(L.Dense(16)), L.BatchNorm(), L.Dense(3)])


@pytest.mark.parametrize("change", [layer_built_again, part_replaced, network_replaced])
def test_a_model_trains_what_its_network_is_made_of_now(change):
    x, y = np.linspace(-1, 1, 96).reshape(6, 1, 4, 4), np.arange(6) % 3
    model = dfs.Model(residual_network(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.1))
    model.train_on_batch(x, y)
    change(model, x)
    before = {name: p.value.copy() for name, p in model.network.parameters().items()}
    model.train_on_batch(x, y)
    for name, p in model.network.parameters().items():
        assert (p.value != before[name]).any()
        assert not p.grad.any()
    vars(model.loss)["backward"] = lambda cache, upstream: [][0]
    mean = model.network.buffers()["batchnorm_1.running_mean"].copy()
    with pytest.raises(IndexError):
        model.train_on_batch(x, y)
    assert_array_equal(model.network.buffers()["batchnorm_1.running_mean"], mean)


def test_two_models_may_share_a_network(data):
    x, y = data
    first = small_model()
    first.train_on_batch(x, y)
    second = dfs.Model(first.network, first.loss, dfs.optimizers.SGD(0.1))
    second.train_on_batch(x, y)
    before = first.predict(x)
    first.train_on_batch(x, y)
    assert (second.predict(x) != before).any()
    assert_array_equal(first.predict(x), second.predict(x))


def test_summary(capsys, data):
    small_model().summary((1, 9, 9))
    text = capsys.readouterr().out.splitlines()
    assert text[0].split() == ["layer", "kind", "output", "algorithm", "params", "MACs", "memory"]
    *shown, algorithm, count, work, size, unit = text[1].split()
    assert (*shown, count) == ("conv2d_1", "Conv2D", "(n,", "6,", "7,", "7)", "60")
    assert (work, size, unit) == ("2.65k", "1.18", "kB")
    assert algorithm in ("one_channel", "indirect")  # by the width of a vector
    assert text[3].split() == ["relu_1", "ReLU", "(n,", "6,", "7,", "7)", *"---", "1.18", "kB"]
    assert text[-2:] == [
        "237 parameters, float32, 948 B",
        "for each sample 2.81k multiply-adds (MACs), outputs of 3.97 kB",
    ]
    net = L.Sequential([L.Residual(L.Sequential([L.Conv2D(2, 1), L.ReLU()]), L.Conv2D(2, 1))])
    dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD()).summary((3, 4, 4))
    text = capsys.readouterr().out
    for name in ("residual_1 ", "residual_1.body.conv2d_1", "residual_1.shortcut"):
        assert f"\n{name}" in text
    with pytest.raises(RuntimeError, match="needs in_shape, such as"):
        small_model().summary()


@pytest.mark.parametrize(
    ("settings", "channels", "dtype", "wanted"),
    [
        ({}, 8, "float32", "winograd"),
        ({}, 8, "float64", "indirect"),
        ({}, 7, "float32", "indirect"),
        ({"stride": 2}, 8, "float32", "indirect"),
        ({"algorithm": "direct"}, 8, "float32", "indirect"),
        ({"algorithm": "winograd"}, 7, "float32", "winograd"),
        ({"algorithm": "winograd"}, 7, "float64", "indirect"),
    ],
)
def test_summary_names_the_algorithm(settings, channels, dtype, wanted, capsys):
    net = L.Sequential([L.Conv2D(8, 3, **settings)], dtype=dtype)
    small = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    small.summary((channels, 9, 9))
    assert capsys.readouterr().out.splitlines()[1].split()[6] == wanted


def test_prints_a_line_per_epoch(capsys, data):
    x, y = data
    small_model().fit(x, y, epochs=2, validation_data=(x, y), verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2  loss ")
    for part in ("accuracy", "val_loss", "val_accuracy", "images/s"):
        assert part in lines[1]


def test_draws_a_bar(capsys, data):
    x, y = data

    class Slow(dfs.losses.CrossEntropy):
        def forward(self, outputs, targets, sample_weight=None):
            time.sleep(0.06)  # the bar is drawn ten times a second at most
            return super().forward(outputs, targets, sample_weight)

    model = small_model()
    model.loss = Slow()
    model.fit(x, y, epochs=1, validation_data=(x, y), verbose=1)
    printed, drawn = capsys.readouterr()
    for part in ("epoch 1/1 ", "0%|", " img/s", " left", "loss ", "accuracy 0.", "lr 0.0"):
        assert part in drawn
    assert drawn.endswith("\r")  # the bar is gone, and a line stands in its place
    assert printed.startswith("epoch 1/1  loss ")
    assert "val_accuracy" in printed


def test_chooses_what_to_show(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert chosen("auto") == 1
    with pytest.raises(ValueError, match='verbose must be "auto", 0, 1 or 2, got 3'):
        chosen(3)


def test_ctrl_c_keeps_the_last_finished_step(data):
    x, y = data

    class Stop(dfs.losses.CrossEntropy):
        calls = 0

        def forward(self, outputs, targets, sample_weight=None):
            self.calls += 1
            if self.calls == 9:  # in the middle of a step of the second epoch
                os.kill(os.getpid(), signal.SIGINT)
            return super().forward(outputs, targets, sample_weight)

    model = small_model()
    model.loss = Stop()
    before = signal.getsignal(signal.SIGINT)
    history = model.fit(x, y, batch_size=18, epochs=9, validation_data=(x, y), verbose=0)
    assert history.interrupted
    assert model.steps == 8
    assert len(history["loss"]) == 2
    assert len(history["val_loss"]) == 1
    assert signal.getsignal(signal.SIGINT) is before
    model.loss = dfs.losses.CrossEntropy()
    assert np.isfinite(model.evaluate(x, y)["loss"])


def test_second_ctrl_c_stops_at_once(data):
    x, y = data

    class Stop(dfs.losses.CrossEntropy):
        def forward(self, outputs, targets, sample_weight=None):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            return super().forward(outputs, targets, sample_weight)

    model = small_model()
    model.loss = Stop()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, verbose=0)
    assert signal.getsignal(signal.SIGINT) is before


def test_lists_and_bytes_are_data(data):
    x, y = data
    model = small_model()
    model.fit((15 * x).clip(0, 15).astype(np.uint8), list(y), verbose=0)
    assert model.steps == 3


@pytest.mark.mnist
def test_learns_real_mnist():
    folder = next((folder for folder in FOLDERS["mnist"] if folder.is_dir()), None)
    if folder is None:
        pytest.skip("the real MNIST is not here")
    (x, y), (xt, yt) = dfs.datasets.mnist(folder)
    model = dfs.Model(
        dfs.networks.mini_convnet(), dfs.losses.CrossEntropy(), dfs.optimizers.Adam(1e-3)
    )
    model.fit(x[:20_000], y[:20_000], batch_size=100, epochs=1, verbose=0)
    assert model.evaluate(xt, yt)["accuracy"] > 0.96
