"""`Model.plan`: counts, memory and time of a training before it begins."""

import gc

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from cnn_core import memory
from deepfs import layers as L
from deepfs import losses, optimizers, random
from models import small_model


def model_of(net, loss=None, optimizer=None):
    return dfs.Model(net, loss or losses.CrossEntropy(), optimizer or optimizers.Adam(), seed=0)


@pytest.fixture
def quick(monkeypatch):
    """Time one step."""
    from deepfs.inspection import plan

    monkeypatch.setattr(plan, "SECONDS", 0)
    monkeypatch.setattr(plan, "DATA", 0)


@pytest.mark.parametrize(
    ("optimizer", "states"),
    [(optimizers.SGD(), 0), (optimizers.Momentum(), 1), (optimizers.Adam(), 2)],
)
def test_what_is_counted(optimizer, states, quick):
    net = L.Sequential([L.Conv2D(6, 3), L.ReLU(), L.Flatten(), L.Dense(4)])
    plan = model_of(net, optimizer=optimizer).plan(10, 95, in_shape=(3, 8, 8))
    assert plan.parameters == plan.trainable == 6 * 3 * 9 + 6 + 6 * 36 * 4 + 4
    assert plan.multiply_adds == 36 * 6 * 27 + 216 * 4
    assert plan.memory["parameters"] == plan.memory["gradients"] == 4 * plan.parameters
    assert plan.memory["optimizer"] == states * 4 * plan.parameters
    assert plan.memory["batch"] == 10 * (3 * 8 * 8 * 4 + 8)
    assert plan.peak_bytes == sum(plan.memory.values())
    assert plan.steps == 10
    assert plan.epoch_seconds == pytest.approx(9.5 * plan.step_seconds)
    assert plan.tried == plan.batch_size == 10
    assert plan.as_dict()["peak_bytes"] == plan.peak_bytes


def test_frozen_parameters_and_no_samples(quick):
    net = L.Sequential([L.Dense(6), L.Dense(4)])
    net.layers[0].freeze()
    plan = model_of(net).plan(8, in_shape=(5,))
    assert (plan.parameters, plan.trainable) == (36 + 28, 28)
    assert plan.samples is plan.steps is plan.epoch_seconds is None
    assert "36 of them frozen" in repr(plan)
    assert "epoch" not in repr(plan)


def test_activations_are_what_training_takes_from_the_store():
    """Of two convolutions, at least the outputs, and at most four times as much."""
    net = L.Sequential([L.Conv2D(32, 3), L.Tanh(), L.Conv2D(32, 3), L.Tanh(), L.Flatten(),
                        L.Dense(10)])  # fmt: skip
    model = model_of(net)
    plan = model.plan(64, in_shape=(3, 24, 24))
    outputs = 64 * 4 * 2 * 32 * (22 * 22 + 20 * 20)
    assert outputs < plan.memory["activations"] < 4 * outputs
    gc.collect()
    memory.release()
    x = np.random.default_rng(0).normal(size=(64, 3, 24, 24)).astype(np.float32)
    for _ in range(4):
        model.train_on_batch(x, np.arange(64) % 10)
    assert plan.memory["activations"] == pytest.approx(memory.idle_memory(), rel=0.25)


def test_twice_the_batch_takes_about_twice_the_memory(quick):
    model = model_of(dfs.networks.mini_convnet())
    with dfs.threads(1):  # workspaces of several differ with the processors that are free
        one, two = (model.plan(n, in_shape=(1, 28, 28)).memory for n in (32, 64))
    assert two["activations"] == pytest.approx(2 * one["activations"], rel=0.15)
    assert two["batch"] == 2 * one["batch"]


def test_a_large_batch_is_extrapolated(monkeypatch, quick):
    from deepfs.inspection import plan

    model = model_of(dfs.networks.mini_convnet())
    with dfs.threads(1):  # workspaces of several do not grow with the batch
        whole = model.plan(64, in_shape=(1, 28, 28))
        monkeypatch.setattr(plan, "LARGEST", 2_000_000)
        part = model.plan(64, in_shape=(1, 28, 28))
    assert part.tried == 16
    assert part.peak_bytes == pytest.approx(whole.peak_bytes, rel=0.2)
    assert "extrapolated from batches of 16" in repr(part)
    assert part.memory["batch"] == whole.memory["batch"]


def test_the_time_of_an_epoch_is_that_of_its_steps():
    """How near it is to a training: benchmarks/plan.py measures it."""
    plan = model_of(dfs.networks.mlp()).plan(100, 5_050, in_shape=(1, 28, 28))
    assert plan.steps == 51
    assert plan.step_seconds > 0
    assert plan.epoch_seconds == pytest.approx(plan.steps * plan.step_seconds, rel=0.05)


def test_the_model_stays_bit_for_bit(quick):
    x, y = np.random.default_rng(0).normal(size=(60, 2, 8, 8)), np.arange(60) % 3
    results = []
    for asked in (False, True):
        dfs.set_seed(1)
        model = small_model()
        if asked:
            model.plan(16, in_shape=(2, 8, 8))
            assert model.network.built_dtype is None
        model.fit(x, y, 16, verbose=0)
        before = random.get_state(), model.steps
        if asked:
            model.plan(16)
        assert before == (random.get_state(), model.steps)
        model.fit(x, y, 16, verbose=0)
        results.append([*(p.value for p in model.parameters().values()),
                        *model.buffers().values(), *model.state.values()])  # fmt: skip
    for a, b in zip(*results, strict=True):
        assert_array_equal(a, b)


def graph():
    x, z = L.Input((6,), name="x"), L.Input((3, 4, 4), name="z")
    h = L.Concat()([L.Dense(4)(x), L.Flatten()(z)])
    return dfs.Graph({"x": x, "z": z}, {"a": L.Dense(3)(h), "b": L.Dense(1)(h)})


@pytest.mark.parametrize(
    ("net", "loss", "shape"),
    [
        (L.Dense(3), losses.CrossEntropy(), (5,)),
        (L.Dense(3), losses.Hinge(), (5,)),
        (L.Dense(1), losses.BinaryCrossEntropy(), (5,)),
        (L.Dense(2), losses.MeanSquaredError(), (5,)),
        (L.Conv2D(3, 3, padding=1), losses.CrossEntropy(), (2, 5, 5)),
        (L.Dense(3, dtype="float64"), losses.Huber(), (5,)),
        (L.Dense(2), lambda y, t: (((y - t) ** 2).mean(), 2 * (y - t) / y.size), (5,)),
        (graph(), {"a": losses.CrossEntropy(), "b": losses.Huber()}, None),
    ],
)
def test_every_loss_has_random_targets(net, loss, shape, quick):
    plan = model_of(net, loss).plan(4, in_shape=shape)
    assert plan.step_seconds > 0
    assert plan.dtype == ("float64" if getattr(net, "dtype", None) else "float32")


def test_what_it_prints(quick):
    plan = model_of(dfs.networks.mlp()).plan(100, 5000, in_shape=(1, 28, 28))
    lines = repr(plan).splitlines()
    assert lines[0].startswith("Plan for batches of 100 of 5,000 samples, float32, ")
    assert lines[1].split() == ["parameters", "89,610"]
    assert lines[2].split()[:2] == ["MACs", "89.4k"]
    assert "peak memory" in lines[3]
    assert lines[3].split()[3] == "MB"
    assert "50 steps, without validation" in lines[-1]
    assert max(map(len, lines)) <= 80
    assert "<table>" in plan._repr_html_()


def test_what_it_refuses(quick):
    model = model_of(L.Sequential([L.Dense(3), L.BatchNorm()]))
    with pytest.raises(RuntimeError, match=r"Model.plan needs in_shape, such as \(1, 28, 28\)"):
        model.plan(10)
    with pytest.raises(ValueError, match="batch_size must be"):
        model.plan(0, in_shape=(4,))
    with pytest.raises(ValueError, match="BatchNorm"):
        model.plan(1, in_shape=(4,))

    def never(outputs, targets):
        raise KeyError("never")

    with pytest.raises(ValueError, match="takes neither labels nor numbers"):
        model_of(L.Dense(3), never).plan(4, in_shape=(4,))
