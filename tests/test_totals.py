"""Schedules whose total is that of the run: fit gives it, files and resumed runs keep to it."""

import copy
import pickle

import numpy as np
import pytest

import deepfs as dfs
from deepfs import layers as L
from deepfs.callbacks import Callback
from deepfs.schedules import Constant, Cosine, OneCycle, Polynomial, Step, Warmup

X, Y = np.eye(10), np.arange(10) % 2


def model(lr):
    dfs.set_seed(0)
    return dfs.Model(L.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(lr))


class Rates(Callback):
    """Keeps the rate of each step; may end the process, as it were."""

    def __init__(self, die_at=None):
        self.rates, self.die_at = [], die_at

    def on_train_batch_end(self, batch, logs):
        trainer = self.model.trainer
        t = trainer.steps - trainer.state_since
        self.rates.append(trainer.optimizer.rate(t, trainer.epochs))
        if trainer.steps == self.die_at:
            raise SystemExit


def rates(lr, epochs=3, net=None, x=X, y=Y, **settings):
    seen = Rates()
    (net or model(lr)).fit(x, y, settings.pop("batch_size", 4), epochs, verbose=0, callbacks=seen,
                           **settings)  # fmt: skip
    return seen.rates


@pytest.mark.parametrize("make", [Cosine, Polynomial, OneCycle])
def test_the_total_is_that_of_the_run(make):
    assert rates(make(0.5)) == [make(0.5, 9)(count) for count in range(9)]
    by_epoch = [make(0.5, 3, by="epoch")(epoch) for epoch in (0, 0, 0, 1, 1, 1, 2, 2, 2)]
    assert rates(make(0.5, by="epoch")) == by_epoch


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"drop_last": True}, 2), ({"steps_per_epoch": 2}, 2), ({"steps_per_epoch": 7}, 3),
        ({"gradient_accumulation_steps": 2}, 2), ({"batch_size": 16}, 1),
        ({"gradient_accumulation_steps": 2, "drop_last": True}, 1),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:an epoch has 3 steps, fewer than steps_per_epoch=7")
def test_the_steps_of_an_epoch_are_those_that_are_taken(settings, steps):
    found = rates(Cosine(0.5), **settings)
    assert found == [Cosine(0.5, 3 * steps)(count) for count in range(3 * steps)]


def test_what_follows_a_warm_up_has_what_it_leaves():
    assert rates(Warmup(4, then=Cosine(0.5))) == [
        Warmup(4, then=Cosine(0.5, 5))(count) for count in range(9)
    ]
    both = Warmup(4, then=Polynomial(0.5, 3, by="epoch"))
    expected = [both.at(step, step // 3) for step in range(9)]
    assert rates(Warmup(4, then=Polynomial(0.5, by="epoch"))) == expected


def test_each_fit_goes_through_the_whole_schedule():
    net = model(OneCycle(0.5))
    assert rates(None, 2, net) == [OneCycle(0.5, 6)(count) for count in range(6)]
    assert rates(None, 3, net) == [OneCycle(0.5, 9)(count) for count in range(9)]
    net = model(Warmup(1, then=Cosine(0.5, by="epoch"), by="epoch"))
    first, again = rates(None, 4, net), rates(None, 4, net)
    assert first == again
    assert len({*first}) == 4


def test_a_total_that_is_given_stays():
    net = model(Cosine(0.5, 4))
    assert rates(None, 2, net) == [Cosine(0.5, 4)(count) for count in range(6)]
    assert rates(None, 1, net) == [0.0] * 3


def test_a_list_of_batches_knows_its_length_and_an_iterator_is_told():
    batches = [(X[:5], Y[:5]), (X[5:], Y[5:])]
    expected = [Cosine(0.5, 6)(count) for count in range(6)]
    assert rates(Cosine(0.5), x=batches, y=None) == expected
    endless = iter(batches * 9)
    assert rates(Cosine(0.5), x=endless, y=None, steps_per_epoch=2) == expected

    class Unknown:
        def __iter__(self):
            return iter(batches)

    with pytest.raises(ValueError, match=r"Cosine takes its total from fit, which does not know"):
        rates(Cosine(0.5), x=Unknown(), y=None)
    assert len({*rates(Cosine(0.5, by="epoch"), x=Unknown(), y=None)}) == 3


@pytest.mark.parametrize(
    ("lr", "message"),
    [
        (Warmup(9, then=Cosine(0.5)), "Cosine needs a total of at least 1 steps, got 0 from fit"),
        (OneCycle(0.5, by="epoch"), "OneCycle needs a total of at least 2 epochs, got 1"),
    ],
)
def test_too_short_a_run_is_refused_before_the_first_step(lr, message):
    net = model(lr)
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y, 1 if lr.by == "epoch" else 4, 1 if lr.by == "epoch" else 3, verbose=0)
    assert net.steps == 0


def test_without_fit_a_total_is_needed():
    with pytest.raises(ValueError, match="Cosine needs total, the number of steps until its end"):
        Cosine(0.5)(3)
    net = model(OneCycle(0.5))
    with pytest.raises(ValueError, match=r"OneCycle needs total.*or train by fit, which knows it"):
        net.train_on_batch(X, Y)
    assert net.steps == 0
    net.fit(X, Y, epochs=2, verbose=0)
    net.train_on_batch(X, Y)  # at the last rate
    assert net.optimizer.rate(3) == OneCycle(0.5, 2)(2)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_go_on_with_the_total(again):
    net = model(Cosine(0.5))
    net.fit(X, Y, 5, 3, verbose=0)
    assert again(net).optimizer.rate(4) == Cosine(0.5, 6)(3)


def test_files_keep_that_there_is_none(tmp_path):
    net = model(Warmup(2, then=Cosine(0.5)))
    net.fit(X, Y, 5, 3, verbose=0)
    net.save(tmp_path / "m")
    loaded = dfs.load(tmp_path / "m")
    assert repr(loaded.optimizer) == repr(net.optimizer) == "SGD(lr=Warmup(2, Cosine(0.5)))"
    assert rates(None, 2, loaded) == [Warmup(2, then=Cosine(0.5, 4))(count) for count in range(6)]


@pytest.mark.parametrize("before", [0, 2])  # epochs of a fit before
def test_a_resumed_run_has_the_same_rates(before, tmp_path):
    def run(folder=None, die_at=None, epochs=3):
        net = model(Warmup(2, then=OneCycle(0.5)))
        if before and not (folder and any(folder.iterdir())):  # not in a resumed process
            net.fit(X, Y, 4, before, verbose=0)
        seen = Rates(die_at)
        settings = {} if folder is None else {
            "checkpoint": folder, "checkpoint_every": 1, "resume": True}  # fmt: skip
        try:
            net.fit(X, Y, 4, epochs, verbose=0, callbacks=seen, **settings)
        except SystemExit:
            return None
        return seen.rates, net.arena.values.tolist()

    whole, weights = run()
    first = 3 * before
    for die_at in range(first + 1, first + 10):
        assert run(tmp_path, die_at) is None
    rest, resumed = run(tmp_path)
    assert (rest, resumed) == (whole[9 - len(rest) :], weights)
    assert len(rest) == 1
    with pytest.raises(dfs.CheckpointError, match=r"is of a run of 3 epochs and 9 steps, this one "
                       r"of 4 and 12, and Warmup takes its total from fit"):  # fmt: skip
        run(tmp_path, epochs=4)


def test_other_schedules_take_more_epochs_when_resumed(tmp_path):
    for epochs in (1, 2):
        net = model(Warmup(2, then=Step(0.5, 3)))
        net.fit(X, Y, 4, epochs, verbose=0, checkpoint=tmp_path, resume=True)
    assert net.steps == 6
    assert Warmup(2, then=Constant(0.5))(5) == 0.5


def test_a_short_try_has_the_first_rate_of_the_whole_run():
    assert rates(OneCycle(0.5), fast_dev_run=True) == [OneCycle(0.5, 9)(0)]
