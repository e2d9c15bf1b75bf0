"""A signal at any moment of a training step leaves a whole step, or none."""

import signal

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import optimizers as O
from deepfs.optimizers._context import StepContext

STEPS = 150
X, Y = np.random.default_rng(0).normal(size=(2, 16, 20)), np.arange(32).reshape(2, 16) % 3

OPTIMIZERS = {
    "adam": lambda: O.Adam(0.01),
    "lamb": lambda: O.LAMB(0.01),
    "clipped": lambda: O.Momentum(0.05, clip_norm=1.0),
    "each clipped": lambda: O.RMSProp(0.01, clip_each=0.5, weight_decay=1e-3),
    "frozen": lambda: O.Adam(0.01, groups=[O.Group("first.*", frozen=True)]),
}


def model(make):
    net = L.Sequential(
        [L.Dense(40, name="first"), L.BatchNorm(), L.ReLU(), L.Dropout(0.2), L.Dense(3)]
    )
    return dfs.Model(net, dfs.losses.CrossEntropy(), make(), seed=0)


def arrays(made):
    buffers = made.network.buffers().values()
    return [a.copy() for a in (made.arena.values, *made.state.values(), *buffers)]


def step(made):
    made.train_on_batch(X[made.steps % 2], Y[made.steps % 2])


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="a timer of Unix")
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_step_is_whole_after_a_signal(make, rng):
    plain, expected = model(make), []
    for _ in range(STEPS + 1):
        step(plain)
        expected.append(arrays(plain))

    def ring(number, frame):
        raise KeyboardInterrupt

    made, rung = model(make), 0
    step(made)
    before = signal.signal(signal.SIGALRM, ring)
    try:
        while made.steps <= STEPS and rung < 3 * STEPS:
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 6e-4))
                while made.steps <= STEPS:
                    step(made)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                rung += 1
            for found, wanted in zip(arrays(made), expected[made.steps - 1], strict=True):
                assert_array_equal(found, wanted)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert rung > 5


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("number", [1, 2])
def test_a_signal_that_comes_as_a_kernel_returns(make, number, monkeypatch):
    """Where Python delivers most: the pass is done, and nothing after it."""
    plain, made = model(make), model(make)
    for _ in range(3):
        step(plain)
    step(made)
    apply, calls = StepContext.apply, []

    def interrupted(self, kind, *args, **constants):
        passes = len(self.passes)
        apply(self, kind, *args, **constants)
        if len(self.passes) > passes:
            calls.append(kind)
            if len(calls) == number:
                raise KeyboardInterrupt

    monkeypatch.setattr(StepContext, "apply", interrupted)
    for _ in range(number):
        try:
            step(made)
        except KeyboardInterrupt:
            break
    monkeypatch.undo()
    while made.steps < 3:
        step(made)
    for found, wanted in zip(arrays(made), arrays(plain), strict=True):
        assert_array_equal(found, wanted)
