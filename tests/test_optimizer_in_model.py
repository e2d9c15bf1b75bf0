"""Optimizers in a `Model`: steps leave no trace in each other; schedules; files."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.optimizers import SGD, Adam, AdamW, Group, Momentum
from deepfs.regularizers import L1, MaxNorm
from deepfs.saving.tensors import TensorFile, write
from deepfs.schedules import Plateau, Step
from every_optimizer import network


def backward_of_its_own(model, x, y):
    outputs, cache = model.network.forward(x)
    model.network.backward(np.ones_like(outputs), cache)


def gradient_of_its_own(model, x, y):
    for p in model.network.parameters().values():
        p.grad = np.full(p.grad.shape, 7.0)


def gradient_in_place(model, x, y):
    for p in model.network.parameters().values():
        p.grad[...] = 7.0


def step_that_fails(model, x, y):
    backward = model.loss.backward
    vars(model.loss)["backward"] = lambda cache, upstream: np.full((len(x), 3), np.nan)
    with pytest.raises(FloatingPointError, match="is not finite"):
        model.train_on_batch(x, y)
    vars(model.loss)["backward"] = backward


def copied_in_between(model, x, y):
    for p in model.network.parameters().values():
        p.dstorage[...] = 7.0  # behind everybody's back, but a copy starts from nothing
    return copy.deepcopy(model)


@pytest.mark.parametrize(
    "between",
    [
        backward_of_its_own,
        gradient_of_its_own,
        gradient_in_place,
        step_that_fails,
        copied_in_between,
    ],
)
def test_what_happens_between_steps_of_a_model_does_not_leak_into_them(between, data):
    """The pass of a step clears the gradients, so the next step need not, unless they changed."""
    x, y = data
    models = [
        dfs.Model(network("float32"), dfs.losses.CrossEntropy(), Momentum(), check_finite=True)
        for _ in range(2)
    ]
    for p, q in zip(*(m.network.parameters().values() for m in models), strict=True):
        q.value = p.value
    x = np.resize(x, (90, 2, 6, 5)).astype("f")
    for i, model in enumerate(models):
        model.train_on_batch(x, y)
        assert not model.arena.grads.any()
        if i:
            model = between(model, x, y) or model
        model.train_on_batch(x, y)
        models[i] = model
    assert_array_equal(models[0].arena.values, models[1].arena.values)


def test_a_model_reports_penalty_and_norm(data):
    x, y = data
    optimizer = SGD(Step(0.1, every=1, by="epoch"), weight_decay=0.01, clip_norm=0.1)
    model = dfs.Model(L.Sequential([L.Dense(3)]), dfs.losses.CrossEntropy(), optimizer,
                      report_penalty=True)  # fmt: skip
    model.network.build(x.shape[1:])
    w = model.network.parameters()["dense_1.weight"].value.copy()
    logs = model.train_on_batch(x, y)
    assert logs["penalty"] == pytest.approx(0.005 * float((w * w).sum()), rel=1e-5)
    moved = model.network.parameters()["dense_1.weight"].value - w
    step = -moved / 0.1 - 0.01 * w  # what the clipped gradient of the weight was
    assert logs["gradient_norm"] > 0.1
    assert 0.05 < np.sqrt((step**2).sum()) < 0.1001
    history = model.fit(x, y, epochs=2, verbose=0)
    assert set(history.history) == {"loss", "accuracy", "penalty", "gradient_norm"}
    assert model.epochs == 2


def test_schedules_by_step_and_by_epoch_drive_a_model(data):
    x, y = data
    rates = []

    class Watched(dfs.schedules.Schedule):
        def __call__(self, count):
            rates.append(count)
            return 0.1

    for by in ("step", "epoch"):
        model = dfs.Model(L.Sequential([L.Dense(3)]), dfs.losses.CrossEntropy(),
                          SGD(Watched(by=by)))  # fmt: skip
        model.fit(x, y, batch_size=45, epochs=3, verbose=0)
    assert rates == [0, 1, 2, 3, 4, 5, 0, 0, 1, 1, 2, 2]


def test_a_plateau_sees_every_epoch(data):
    x, y = data
    plateau = Plateau(1e-9, factor=0.5, patience=0, threshold=0.5)
    model = dfs.Model(L.Sequential([L.Dense(3)]), dfs.losses.CrossEntropy(), SGD(plateau))
    model.fit(x, y, epochs=3, verbose=0, validation_data=(x, y))
    assert plateau.cuts == 2
    assert plateau.best == pytest.approx(model.history["val_loss"][0])


def test_saving_keeps_groups_schedules_and_where_they_stand(data, tmp_path):
    x, y = data
    optimizer = AdamW(
        Plateau(0.01, patience=0, threshold=0.5),
        weight_decay=0.1,
        clip_each=1.0,
        groups=[Group("*", regularizer=[L1(1e-3, proximal=True), MaxNorm(2)]), Group("*bias", 2.0)],
    )
    model = dfs.Model(L.Sequential([L.Dense(3)]), dfs.losses.CrossEntropy(), optimizer)
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "m.safetensors")
    loaded = dfs.load(tmp_path / "m.safetensors")
    assert vars(loaded.optimizer) == vars(optimizer)
    assert loaded.epochs == 2
    for each in (model, loaded):
        dfs.set_seed(1)
        each.fit(x, y, epochs=2, verbose=0)
    assert_array_equal(loaded.arena.values, model.arena.values)


@pytest.mark.parametrize("kind", [SGD, Momentum, Adam])
def test_a_large_model_comes_back_from_a_file_of_an_older_version(kind, tmp_path, data):
    """Files had neither epochs nor penalties, and optimizers the settings of their rule alone."""
    x, y = data
    net = L.Sequential([L.Flatten(), L.Dense(300), L.ReLU(), L.Dense(3)])
    model = dfs.Model(net, dfs.losses.CrossEntropy(), kind())
    model.fit(x, y, verbose=0)
    arena = model.arena
    path = tmp_path / "m.safetensors"
    model.save(path)
    with TensorFile(path) as file:
        description = file.description
        tensors = {name: file.read(name) for name in file.entries}
    for name in ("epochs", "report_penalty"):
        del description[name]
    settings = {
        "SGD": ["lr"],
        "Momentum": ["lr", "momentum"],
        "Adam": ["lr", "beta1", "beta2", "eps"],
    }
    description["optimizer"] = {
        name: description["optimizer"][name] for name in ["kind", *settings[kind.__name__]]
    }
    write(path, tensors, description)
    loaded = dfs.load(path)
    assert_array_equal(loaded.predict(x), model.predict(x))
    for each in (model, loaded):
        dfs.set_seed(7)
        each.fit(x, y, verbose=0)
    assert_array_equal(loaded.arena.values, model.arena.values)
    assert model.arena is arena
