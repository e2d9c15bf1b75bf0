"""Iterables of batches, weights of samples and classes, the last batch, the seed of a model."""

import threading

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L

X, Y = np.random.default_rng(0).normal(size=(40, 4)), np.arange(40) % 3


def model(loss=None, **settings):
    net = L.Sequential([L.Dense(8), L.ReLU(), L.Dense(3)])
    loss = dfs.losses.CrossEntropy() if loss is None else loss
    return dfs.Model(net, loss, dfs.optimizers.Momentum(0.1), seed=0, **settings)


def weights(made):
    return made.network.parameters()["dense_1.weight"].value.copy()


def batches(size=8):
    return [(X[i : i + size], Y[i : i + size]) for i in range(0, 40, size)]


class Loader:
    """As loaders of other libraries are: a length, and batches in each epoch."""

    def __init__(self, found):
        self.found = found

    def __len__(self):
        return len(self.found)

    def __iter__(self):
        return iter(self.found)


def endless():
    while True:
        yield from batches()


@pytest.mark.parametrize(
    ("source", "settings"),
    [
        (lambda: batches(), {}),
        (lambda: Loader(batches()), {}),
        (lambda: endless(), {"steps_per_epoch": 5}),
        (lambda: iter(batches() * 2), {"steps_per_epoch": 5}),
        (lambda: Loader([list(batch) for batch in batches()]), {"steps_per_epoch": 5}),
    ],
)
def test_batches_of_an_iterable_train_as_arrays_do(source, settings):
    one, two = model(), model()
    expected = one.fit(X, Y, 8, 2, shuffle=False, verbose=0)
    history = two.fit(source(), epochs=2, verbose=0, **settings)
    assert history.history == expected.history
    assert_array_equal(weights(one), weights(two))
    assert two.epochs == 2


def test_batches_of_an_iterable_are_accumulated():
    one, two = model(), model()
    one.fit(X, Y, 8, shuffle=False, verbose=0, gradient_accumulation_steps=2)
    two.fit(batches(), verbose=0, gradient_accumulation_steps=2)
    assert two.steps == 3
    assert_array_equal(weights(one), weights(two))


def test_weights_come_with_the_batches():
    weight = np.linspace(0, 2, 40)
    one, two = model(), model()
    one.fit(X, Y, 8, shuffle=False, verbose=0, sample_weight=weight)
    two.fit([(*batch, weight[8 * i : 8 * i + 8]) for i, batch in enumerate(batches())], verbose=0)
    assert_array_equal(weights(one), weights(two))
    with pytest.raises(TypeError, match="an iterable yields its own weights"):
        two.fit(batches(), sample_weight=weight, verbose=0)


def test_an_iterator_that_ends_early_ends_the_training():
    made = model()
    with pytest.warns(UserWarning, match="ended after 2 of 5 batches of an epoch: the training"):
        history = made.fit(iter(batches()[:2]), steps_per_epoch=5, epochs=3, verbose=0)
    assert made.steps == 2
    assert len(history["loss"]) == 1
    with pytest.warns(UserWarning, match="ended after 3 of 5 batches"):
        made.fit(batches()[:3], steps_per_epoch=5, epochs=2, verbose=0)
    assert made.steps == 2 + 2 * 3


@pytest.mark.parametrize(
    ("source", "settings", "error", "message"),
    [
        (endless, {}, TypeError, "got the function .*: call it"),
        (endless(), {}, ValueError, "needs steps_per_epoch for the iterator generator"),
        ([], {}, ValueError, "needs at least 1 batch, got none from list"),
        ([X], {}, TypeError, r"list must yield batches .* got ndarray of shape \(40, 4\)"),
        ([(X,)], {}, TypeError, "must yield batches .* got tuple of 1"),
        ([(X, Y[:-1])], {}, ValueError, r"as many targets as inputs, .* of shape \(39,\)"),
        ([(X[0], Y[0])], {}, ValueError, "batches of as many targets as inputs, at least 1"),
        ([(X, Y + 1)], {}, ValueError, "labels from 0 to 2, got 3 at index 2"),
        ([(X * np.nan, Y)], {}, ValueError, "finite inputs of batch 1, got NaN .* in sample 0"),
        (batches(), {"steps_per_epoch": 0}, ValueError, "steps_per_epoch must be at least 1"),
        (batches(), {"drop_last": True}, TypeError, "makes its own batches: leave drop_last out"),
    ],
)
def test_refuses_these_before_the_first_step(source, settings, error, message):
    made = model()
    with pytest.raises(error, match=message):
        made.fit(source, verbose=0, **settings)
    assert made.steps == 0


def test_a_later_batch_that_is_not_finite_is_named():
    made, bad = model(), batches()
    bad[3] = (np.where(np.arange(8)[:, None] == 5, np.inf, X[:8]), Y[:8])
    with pytest.raises(
        ValueError, match="finite inputs of batch 4, got NaN or infinity in sample 5"
    ):
        made.fit(bad, verbose=0)
    assert made.steps == 3


def test_a_run_on_an_iterable_resumes_at_the_end_of_an_epoch(tmp_path):
    one, two = model(), model()
    expected = one.fit(batches(), epochs=3, verbose=0).history
    two.fit(batches(), epochs=1, verbose=0, checkpoint=tmp_path / "a")
    again = model()
    history = again.fit(batches(), epochs=3, verbose=0, checkpoint=tmp_path / "a", resume=True)
    assert history.history == expected
    assert_array_equal(weights(one), weights(again))

    class Stop(dfs.callbacks.Callback):
        def on_train_batch_end(self, batch, logs):
            raise SystemExit

    with pytest.raises(SystemExit):
        model().fit(batches(), verbose=0, checkpoint=tmp_path / "b", checkpoint_every=1,
                    callbacks=[Two()])  # fmt: skip
    Stop.__name__ = "Two"
    with pytest.raises(dfs.CheckpointError, match="after 1 steps of an epoch: where an iterable"):
        model().fit(
            batches(), verbose=0, checkpoint=tmp_path / "b", resume=True, callbacks=[Stop()]
        )


class Two(dfs.callbacks.Callback):
    def on_train_batch_end(self, batch, logs):
        if self.model.steps == 2:
            raise SystemExit


def test_drop_last_leaves_out_the_smaller_batch():
    x, y = np.ones((33, 4)), np.arange(33) % 3
    net = L.Sequential([L.Dense(8), L.BatchNorm(), L.Dense(3)])
    made = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    with pytest.raises(ValueError, match="last batch of an epoch; drop_last=True leaves it out"):
        made.fit(x, y, 32, verbose=0)
    made.fit(x, y, 32, epochs=2, drop_last=True, verbose=0)
    assert made.steps == 2
    with pytest.raises(ValueError, match="drop_last leaves no batch of 64, got 33 samples"):
        made.fit(x, y, 64, drop_last=True, verbose=0)


def test_an_epoch_of_fewer_steps():
    for settings in ({}, {"gradient_accumulation_steps": 2}):
        made = model()
        history = made.fit(X, Y, 4, epochs=2, steps_per_epoch=3, verbose=0, **settings)
        assert made.steps == 6
        assert len(history["loss"]) == 2


def test_weights_of_classes_are_a_factor_of_those_of_samples(rng):
    own = rng.random(40)
    by_class = {0: 2.0, 2: 0.5}
    weight = own * np.array([2.0, 1.0, 0.5])[Y]
    one, two, three = model(), model(), model()
    one.fit(X, Y, 8, sample_weight=weight, verbose=0)
    two.fit(X, Y, 8, sample_weight=own, class_weight=by_class, verbose=0)
    three.train_on_batch(X, Y, sample_weight=own, class_weight=by_class)
    assert_array_equal(weights(one), weights(two))
    four = model(dfs.losses.CrossEntropy(class_weight=[2.0, 1.0, 0.5]))
    four.train_on_batch(X, Y, sample_weight=own)
    np.testing.assert_allclose(weights(three), weights(four), rtol=1e-12)
    doubled = one.evaluate(X, Y, sample_weight=2 * own)
    assert doubled["loss"] == pytest.approx(one.evaluate(X, Y, sample_weight=own)["loss"])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"sample_weight": np.ones(39)}, ValueError, r"a weight for each of 40 samples, got .*39"),
        ({"sample_weight": -np.ones(40)}, ValueError, r"weights in \[0, inf\), got .* sample 0"),
        ({"sample_weight": np.full(40, np.nan)}, ValueError, "got another one in sample 0"),
        ({"sample_weight": 2.0}, ValueError, "a weight for each of 40 samples"),
        ({"class_weight": {3: 1.0}}, ValueError, "labels of the targets, got 3"),
        ({"class_weight": {0: -1.0}}, ValueError, r"class_weight\[0\] must be in \[0, inf\)"),
        ({"class_weight": [1, 1, 1]}, TypeError, "must be a dict of weights by label"),
    ],
)
def test_refuses_weights(settings, error, message):
    with pytest.raises(error, match=message):
        model().fit(X, Y, verbose=0, **settings)


def test_class_weights_need_labels():
    made = model(dfs.losses.MeanSquaredError(), metrics=())
    with pytest.raises(TypeError, match="targets that are integer labels: use sample_weight"):
        made.fit(X, np.ones((40, 3)), class_weight={1: 2.0}, verbose=0)


def test_a_model_of_its_own_seed_does_not_depend_on_what_else_draws():
    def trained(seed):
        net = L.Sequential([L.Dense(16), L.Dropout(0.3), L.ReLU(), L.Dense(3)])
        made = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(0.01), seed=seed)
        made.fit(X, Y, 8, epochs=5, verbose=0)
        return made.arena.values.copy()

    in_turn = [trained(seed) for seed in range(4)]
    dfs.set_seed(5)
    L.Dense(3)(X)  # draws
    assert_array_equal(trained(2), in_turn[2])
    found = {}

    def work(seed):
        found[seed] = trained(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        assert_array_equal(found[seed], in_turn[seed])
    assert (in_turn[0] != in_turn[1]).any()
    with pytest.raises(TypeError, match="seed must be an int"):
        dfs.Model(L.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(), seed=1.5)
