"""What a model refuses: by a message that says why, and without losing anything."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from models import small_model


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x, y: (x[:0], y[:0]), ValueError, "needs at least 1 sample, got inputs of shape"),
        (
            lambda x, y: (x, y[:-1]),
            ValueError,
            "a target for each input, got 90 inputs and targets",
        ),
        (lambda x, y: (x, None), TypeError, "needs targets beside the inputs, got None"),
        (lambda x, y: (x, 3), ValueError, r"got 90 inputs and targets \(\)"),
        (lambda x, y: (x, y + 1), ValueError, "labels from 0 to 2, got 3 at index"),
        (
            lambda x, y: (x, y.astype(str)),
            TypeError,
            "targets that are real numbers, got text: classes, targets = np.unique",
        ),
        (lambda x, y: (x[:, :, 0], y), ValueError, "takes 4 dimensional input, got shape"),
        (lambda x, y: (x[:, [0, 0]], y), ValueError, "takes 1 channels, got an image"),
        (lambda x, y: (x[..., :2], y), ValueError, "window 3x3 exceeds the image, 9x2"),
        (lambda x, y: (x[..., :7], y), ValueError, "takes inputs of 54 numbers, got shape"),
        (lambda x, y: (x.astype(object), y), TypeError, r"got an array of object.*astype\(float\)"),
        (lambda x, y: (np.where(x == x[4].max(), np.nan, x), y), ValueError, "in sample 4"),
        (lambda x, y: (np.where(x == x[4].max(), np.inf, x), y), ValueError, "NaN or infinity"),
    ],
)
def test_bad_data_is_refused_and_costs_nothing(change, error, message, data):
    x, y = data
    model = small_model()
    model.fit(x, y, verbose=0)
    state = [model.arena.values.copy(), model.steps, *(v.copy() for v in model.state.values())]
    buffers = {name: b.copy() for name, b in model.network.buffers().items()}
    with pytest.raises(error, match=message):
        model.fit(*change(x, y), batch_size=90, shuffle=False, verbose=0)
    assert_array_equal(model.arena.values, state[0])
    assert model.steps == state[1]
    for now, then in zip(model.state.values(), state[2:], strict=True):
        assert_array_equal(now, then)
    for name, buffer in model.network.buffers().items():
        assert_array_equal(buffer, buffers[name], err_msg=name)
    model.fit(x, y, verbose=0)


def test_a_refused_batch_costs_nothing(data):
    x, y = data
    model = small_model()
    model.fit(x, y, verbose=0)
    buffers = {name: b.copy() for name, b in model.network.buffers().items()}
    for bad in ((x * np.float32("nan"), y), (x + 100, y + 5), (x + 100, y[:-1])):
        with pytest.raises((ValueError, FloatingPointError)):
            model.train_on_batch(*bad)
    for name, buffer in model.network.buffers().items():
        assert_array_equal(buffer, buffers[name], err_msg=name)
    assert np.isfinite(model.evaluate(x, y)["loss"])


def test_a_layer_built_again_is_trained(data):
    x, y = data
    model = small_model()
    model.fit(x, y, verbose=0)
    layer = model.network.layers[0]
    layer.build(x.shape[1:])
    before = layer.parameters()["weight"].value.copy()
    model.fit(x, y, verbose=0)
    assert (layer.parameters()["weight"].value != before).any()


def test_wrong_validation_data_is_refused_before_training(data):
    x, y = data
    model = small_model()
    with pytest.raises(ValueError, match="labels from 0 to 2, got 9 at index 0"):
        model.fit(x, y, validation_data=(x[:3], np.array([9, 0, 1])), verbose=0)
    assert model.steps == 0


def test_accuracy_is_for_classes():
    parts = dfs.losses.MeanSquaredError(), dfs.optimizers.SGD()
    with pytest.raises(ValueError, match=r"needs at least 2 outputs, .* 'binary_accuracy'"):
        dfs.Model(L.Dense(1), *parts, "accuracy")
    x, y = np.ones((4, 2)), np.ones((4, 1))
    with pytest.raises(ValueError, match=r"at least 2 classes, got \(4, 1\); for other tasks"):
        dfs.metrics.accuracy(y, y)
    assert set(dfs.Model(L.Dense(1), *parts).train_on_batch(x, y)) == {"loss"}


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be an int, got 2.0"),
        ({"epochs": -1}, ValueError, "epochs must be at least 0, got -1"),
        ({"verbose": "loud"}, ValueError, 'verbose must be "auto", 0, 1 or 2, got'),
        ({"validation_data": (np.zeros((0, 1)), [])}, ValueError, "needs at least 1 sample"),
        ({"validation_data": 5}, TypeError, r"must be \(inputs, targets\) or .*, got int"),
    ],
)
def test_fit_refuses_settings(settings, error, message, data):
    with pytest.raises(error, match=message):
        small_model().fit(*data, **({"verbose": 0} | settings))


def loss(outputs, targets):
    """A metric whose name is taken."""
    return outputs[:, 0]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"network": np.tanh}, TypeError, "Model needs a deepfs Layer, got <ufunc"),
        ({"loss": 3}, TypeError, "Model needs a deepfs Loss, got 3"),
        ({"loss": "cross_entropie"}, ValueError, "no loss 'cross_entropie': did you mean 'cross_e"),
        ({"loss": dfs.losses.CrossEntropy}, TypeError, r"got a class: write CrossEntropy\(\)"),
        ({"optimizer": 0.1}, TypeError, "Model needs a deepfs Optimizer, got 0.1"),
        ({"metrics": ["akku"]}, ValueError, r"metric must be one of accuracy, .*got 'akku'"),
        ({"metrics": [3]}, TypeError, "metric must be a name or a function, got 3"),
        ({"metrics": ["accuracy"] * 2}, ValueError, "different names, got 'accuracy' twice"),
        ({"metrics": [loss]}, ValueError, "different names, got 'loss' twice"),
        (
            {"loss": dfs.losses.CrossEntropy(reduction="none")},
            ValueError,
            'a loss that is one number, got reduction="none"',
        ),
    ],
)
def test_model_refuses(change, error, message):
    parts = {
        "network": L.Dense(2),
        "loss": dfs.losses.CrossEntropy(),
        "optimizer": dfs.optimizers.SGD(),
    }
    with pytest.raises(error, match=message):
        dfs.Model(**(parts | change))


def test_a_loss_that_diverges_is_noticed_before_the_step(data):
    x, y = data
    model = small_model(lr=1e38)
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=r"the loss at step"):
        model.fit(x, y, epochs=50, verbose=0)
    assert model.steps >= 1
    assert all(np.isfinite(b).all() for b in model.network.buffers().values())


def test_check_finite_names_the_parameter(data):
    x, y = data

    class Blow(dfs.losses.CrossEntropy):
        def backward(self, cache, upstream=1.0):
            return super().backward(cache, upstream) * np.float32(np.inf)

    model = small_model(check_finite=True)
    model.network.build(x.shape[1:])
    model.loss = Blow()
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            FloatingPointError, match=r"the gradient of conv2d_1.weight at step 1 is not finite"
        ),
    ):
        model.train_on_batch(x, y)
    assert all(np.isfinite(p.value).all() for p in model.network.parameters().values())
    assert model.steps == 0


def test_a_batch_of_nothing():
    with pytest.raises(ValueError, match="train_on_batch needs at least 1 sample"):
        small_model().train_on_batch(np.zeros((0, 1, 9, 9)), np.zeros(0, int))
