"""Schedules: their numbers, how they combine, what they refuse."""

import copy
import math
import pickle
from dataclasses import fields

import numpy as np
import pytest
from numpy.testing import assert_allclose

from deepfs import schedules
from deepfs.optimizers import SGD
from deepfs.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    Function,
    InverseTime,
    MultiStep,
    OneCycle,
    Plateau,
    Polynomial,
    Schedule,
    Step,
    Warmup,
)


def halved(step):
    return 0.5**step


CASES = [
    (Constant(0.1), [0.1, 0.1, 0.1]),
    (Step(1.0, 2, 0.5), [1, 1, 0.5, 0.5, 0.25]),
    (MultiStep(1.0, [0, 3], 0.5), [0.5, 0.5, 0.5, 0.25]),
    (MultiStep(1.0, []), [1, 1]),
    (Exponential(1.0, 0.5), [1, 0.5, 0.25]),
    (InverseTime(1.0, 0.5), [1, 1 / 1.5, 1 / 2, 1 / 2.5]),
    (Polynomial(1.0, 4, end=0.2), [1, 0.8, 0.6, 0.4, 0.2, 0.2]),
    (Polynomial(1.0, 2, power=2), [1, 0.25, 0, 0]),
    (Cosine(2.0, 4), [2, 1 + math.sqrt(0.5), 1, 1 - math.sqrt(0.5), 0, 0]),
    (Cosine(1.0, 2, end=0.5), [1, 0.75, 0.5, 0.5]),
    (CosineRestarts(1.0, 2), [1, 0.5, 1, 0.5, 1]),
    (CosineRestarts(1.0, 1, 2), [1, 1, 0.5, 1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125),
                                 1]),
    (OneCycle(1.0, 11, rise=6 / 11, start=10, end=10), [0.1, None, None, None, None, 1, None, None,
                                                      None, None, 0.01, 0.01]),
    (OneCycle(1.0, 2), [None, 1 / 25e4, 1 / 25e4]),
    (OneCycle(1.0, 10, rise=0.1), [1.0]),
    (Warmup(4, then=1.0, start=0.0), [0, 0.25, 0.5, 0.75, 1, 1]),
    (Warmup(2, then=Step(1.0, 2, 0.1), start=0.5), [0.5, 0.75, 1, 1, 0.1, 0.1, 0.01]),
    (Warmup(1, Warmup(1, Constant(1.0), start=0.5), start=0.5), [0.25, 0.5, 1, 1]),
    (Plateau(0.3), [0.3, 0.3]),
    (Function(halved), [1, 0.5, 0.25]),
    (Warmup(2, halved, start=0.5), [0.5, 0.75, 1, 0.5, 0.25]),
]  # fmt: skip
every = pytest.mark.parametrize(("schedule", "rates"), CASES, ids=[repr(s)[:50] for s, _ in CASES])


def test_every_schedule_is_here_and_documented():
    names = {type(schedule).__name__ for schedule, _ in CASES} | {"Schedule"}
    assert names == set(schedules.__all__)
    for name in names:
        kind = getattr(schedules, name)
        for field in fields(kind):
            assert field.name in kind.__doc__ + Schedule.__doc__, (name, field.name)


@every
def test_rates(schedule, rates):
    for count, rate in enumerate(rates):
        if rate is not None:
            assert schedule(count) == pytest.approx(rate, rel=1e-12, abs=1e-15)
    assert isinstance(schedule(3), float)


@every
def test_stays_a_rate_to_the_end_of_time(schedule, rates):
    values = [schedule(count) for count in [*range(2000), 10**7, 2**62]]
    assert all(0 <= value <= 2 for value in values)


@every
def test_copies_are_equal(schedule, rates):
    assert copy.deepcopy(schedule) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == schedule


def test_every_shape_is_smooth_where_it_should_be():
    rates = np.array([OneCycle(1.0, 1000)(count) for count in range(1000)])
    assert np.abs(np.diff(rates)).max() < 0.01
    assert rates.argmax() == 299
    rates = np.array([Warmup(100, Cosine(1.0, 900))(count) for count in range(1000)])
    assert np.abs(np.diff(rates)).max() < 0.011
    assert rates.argmax() == 100


def test_by_epoch():
    schedule = Step(1.0, 1, 0.5, by="epoch")
    assert [schedule.at(step, step // 3) for step in range(7)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    assert SGD(schedule).rate(t=4, epoch=1) == 0.5
    assert SGD(Step(1.0, 1, 0.5)).rate(t=4, epoch=1) == 0.125
    assert SGD(0.3).rate(t=4, epoch=1) == 0.3


def test_warm_up_by_steps_before_a_schedule_by_epochs():
    schedule = Warmup(2, Step(1.0, 1, 0.1, by="epoch"), start=0.5)
    rates = [schedule.at(step, step // 3) for step in range(7)]
    assert_allclose(rates, [0.5, 0.75, 1, 0.1, 0.1, 0.1, 0.01])
    with pytest.raises(ValueError, match=r"has no single count: use at\(\)"):
        schedule(3)
    with pytest.raises(ValueError, match="Warmup by epoch takes what follows by epoch, got a sch"):
        Warmup(2, Cosine(1.0, 5), by="epoch")
    slow = Warmup(2, Step(1.0, 1, 0.1, by="epoch"), start=0.5, by="epoch")
    assert_allclose([slow.at(99, epoch) for epoch in range(5)], [0.5, 0.75, 1, 0.1, 0.01])
    assert slow(3) == pytest.approx(0.1)


def test_what_follows_a_warm_up_counts_from_its_end():
    schedule = Warmup(2, Step(1.0, 2, 0.1), start=0.5)
    wanted = [0.5, 0.75, 1, 1, 0.1, 0.1, 0.01]
    assert_allclose([schedule.at(step, 99) for step in range(7)], wanted)


def feed(plateau, values, name="loss"):
    rates = []
    for value in values:
        plateau.observe({name: value})
        rates.append(plateau(0))
    return rates


def test_plateau_waits_cuts_and_cools_down():
    assert feed(Plateau(1.0, 0.5, patience=1), [3, 3, 3, 3, 3]) == [1, 1, 0.5, 0.5, 0.25]
    cooled = Plateau(1.0, 0.5, patience=0, cooldown=2)
    assert feed(cooled, [3, 3, 3, 3, 3]) == [1, 0.5, 0.5, 0.5, 0.25]
    assert feed(Plateau(1.0, 0.1, 0, least=0.05), [1, 1, 1, 1]) == [1, 0.1, 0.05, 0.05]
    assert Plateau(0.01, least=0.05)(0) == 0.01
    up = Plateau(1.0, 0.5, 0, mode="max", monitor="val_accuracy")
    assert feed(up, [0.5, 0.6, 0.6, 0.7], "val_accuracy") == [1, 1, 0.5, 0.5]


def test_plateau_asks_for_an_improvement_worth_the_name():
    assert feed(Plateau(1.0, 0.5, 0, threshold=0.1), [10, 9.1, 8.9]) == [1, 0.5, 0.5]
    assert feed(Plateau(1.0, 0.5, 0, threshold=0.1), [-10, -10.5, -11.5]) == [1, 0.5, 0.5]
    assert feed(Plateau(1.0, 0.5, 0), [math.nan, 1.0, math.nan]) == [0.5, 0.5, 0.25]
    assert feed(Plateau(1.0, 0.5, 0), [math.inf, 1.0]) == [0.5, 0.5]


def test_plateau_looks_at_validation_where_there_is_some():
    plateau = Plateau(1.0, 0.5, 0)
    for value in (1.0, 2.0):
        plateau.observe({"loss": 0.5 / value, "val_loss": value})
    assert (plateau.best, plateau.cuts) == (1.0, 1)
    with pytest.raises(ValueError, match="Plateau monitors 'val_auc', but the epoch has loss, acc"):
        Plateau(1.0, monitor="val_auc").observe({"loss": 1.0, "accuracy": 0.5})


def test_plateau_works_after_a_warm_up():
    plateau = Plateau(1.0, 0.5, 0, by="epoch")
    optimizer = SGD(Warmup(2, plateau, start=0.0))
    for loss in (3, 3, 3):
        optimizer.observe({"loss": loss})
    assert optimizer.rate(t=2) == 0.125
    assert optimizer.rate(t=3) == 0.25


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Constant(0), ValueError, r"lr must be in \(0, inf\), got 0"),
        (lambda: Constant("0.1"), TypeError, r"lr must be a number in \(0, inf\), got '0.1'"),
        (lambda: Constant(0.1, by="batch"), ValueError, "by must be one of 'step', 'epoch', got"),
        (lambda: Step(0.1, 0), ValueError, "every must be at least 1, got 0"),
        (lambda: Step(0.1, 2.0), TypeError, "every must be an int, got 2.0"),
        (lambda: Step(0.1, 2, 1.5), ValueError, r"factor must be in \(0, 1\], got 1.5"),
        (lambda: MultiStep(0.1, [3, 3]), ValueError, r"milestones must ascend, got \(3, 3\)"),
        (lambda: MultiStep(0.1, 3), TypeError, "milestones must be a list of ints, got 3"),
        (lambda: MultiStep(0.1, [-1]), ValueError, "milestones must be at least 0, got -1"),
        (lambda: Exponential(0.1, 0), ValueError, r"factor must be in \(0, 1\], got 0"),
        (lambda: InverseTime(0.1, -1), ValueError, r"decay must be in \[0, inf\), got -1"),
        (lambda: Polynomial(0.1, 0), ValueError, "total must be at least 1, got 0"),
        (lambda: Polynomial(0.1, 5, 0), ValueError, r"power must be in \(0, inf\), got 0"),
        (lambda: Cosine(0.1, 5, end=-1), ValueError, r"end must be in \[0, inf\), got -1"),
        (lambda: CosineRestarts(0.1, 5, 0), ValueError, "longer must be at least 1, got 0"),
        (lambda: OneCycle(0.1, 1), ValueError, "total must be at least 2, got 1"),
        (lambda: OneCycle(0.1, 9, rise=1), ValueError, r"rise must be in \(0, 1\), got 1"),
        (lambda: Warmup(0, 0.1), ValueError, "length must be at least 1, got 0"),
        (lambda: Warmup(5, None), TypeError, r"then must be a number in \(0, inf\), got None"),
        (lambda: Warmup(5, 0.1, 2), ValueError, r"start must be in \[0, 1\], got 2"),
        (lambda: Plateau(0.1, factor=1), ValueError, r"factor must be in \(0, 1\), got 1"),
        (lambda: Plateau(0.1, patience=-1), ValueError, "patience must be at least 0, got -1"),
        (lambda: Plateau(0.1, mode="low"), ValueError, "mode must be one of 'min', 'max', got"),
        (lambda: Plateau(0.1, best="a"), TypeError, r"best must be a number in \[-inf, inf\]"),
        (lambda: Plateau(0.1, best=math.nan), ValueError, "best must be in"),
        (lambda: Plateau(0.1, monitor=3), TypeError, "monitor must be a str or None, got 3"),
        (lambda: Function(0.1), TypeError, "function must be a function of the step, got 0.1"),
        (lambda: Function(Cosine), TypeError, r"got the class Cosine: write Cosine\(\.\.\.\)"),
        (lambda: SGD(Cosine), TypeError, r"lr must be an object, got the class Cosine: write"),
        (lambda: SGD(lambda: 1.0), TypeError, r"lr must take one number, got a function of \(\)"),
        (lambda: SGD(lambda a, b: 1.0), TypeError, r"one number, got a function of \(a, b\)"),
        (lambda: Function(lambda step: -0.1)(3), ValueError, "the learning rate after 3 steps"),
        (lambda: Function(lambda step: "x", by="epoch")(0), TypeError, "rate after 0 epochs must"),
        (lambda: Function(None)(0), ValueError, "got None, because files do not keep it: assign"),
    ],
)
def test_refuses(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_a_function_counts_what_its_argument_is_called():
    by_step, by_epoch = SGD(lambda step: 1 / (1 + step)), SGD(lambda epoch: 1 / (1 + epoch))
    assert [by_step.rate(t, epoch=7) for t in (1, 2, 5)] == [1, 1 / 2, 1 / 5]
    assert [by_epoch.rate(9, epoch) for epoch in (0, 1, 4)] == [1, 1 / 2, 1 / 5]
    assert SGD(Function(lambda i: 1 / (1 + i), by="epoch")).rate(9, epoch=1) == 0.5
    assert SGD(math.exp).rate(1) == 1  # a function in C, whose argument has no name
    by_step.lr = lambda epochs: 0.25  # assignment is the constructor
    assert (by_step.lr.by, by_step.rate(3)) == ("epoch", 0.25)


def test_what_counts_epochs():
    by_epoch = Step(1.0, 1, by="epoch")
    for schedule in (by_epoch, Plateau(1.0), Warmup(3, Plateau(1.0)), Warmup(3, by_epoch)):
        assert schedule.counts_epochs
    for schedule in (Constant(1.0, by="epoch"), Step(1.0, 1), Warmup(3, Step(1.0, 1))):
        assert not schedule.counts_epochs


def test_a_monitor_that_is_not_there_is_refused_by_the_names_alone():
    optimizer = SGD(Warmup(3, Plateau(0.1, monitor="val_los")))
    message = r"monitors 'val_los', but the epoch has loss, val_loss: did you mean 'val_loss'\?"
    with pytest.raises(ValueError, match=message):
        optimizer.check_logs(["loss", "val_loss"])
    with pytest.raises(ValueError, match=message):
        optimizer.observe({"loss": 1.0, "val_loss": 1.0})
    SGD(Plateau(0.1)).check_logs(["loss"])
    SGD(0.1).check_logs([])
