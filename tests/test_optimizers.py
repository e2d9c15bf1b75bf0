"""Optimizers: against NumPy, on two classic functions, and what they refuse."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import optim
from deepfs import reference
from deepfs.layers import Dense, Sequential
from deepfs.optimizers import SGD, Adam, Arena, Momentum


def twin_step(optimizer, w, g, state, t):
    match optimizer:
        case Momentum():
            w, state["v"] = reference.momentum(
                w, g, state.get("v", 0 * w), optimizer.lr, optimizer.momentum
            )
        case Adam():
            w, state["m"], state["v"] = reference.adam(
                w, g, state.get("m", 0 * w), state.get("v", 0 * w), t,
                optimizer.lr, optimizer.beta1, optimizer.beta2, optimizer.eps,
            )  # fmt: skip
        case SGD():
            w = reference.sgd(w, g, optimizer.lr)
    return w


EVERY = [SGD(0.1), Momentum(0.05, 0.8), Adam(0.01), Adam(0.1, beta1=0.5, beta2=0.9, eps=1e-3)]


@pytest.mark.parametrize("optimizer", EVERY, ids=repr)
def test_matches_numpy(optimizer, dtype, threads, rng):
    w = rng.standard_normal(20_001).astype(dtype)
    right, state, twin = w.astype(float), optimizer.init(w), {}
    for t in range(1, 21):
        g = rng.standard_normal(w.size).astype(dtype)
        before = g.copy()
        optimizer.step(w, g, state, t)
        right = twin_step(optimizer, right, g.astype(float), twin, t)
        assert_array_equal(g, before)
    assert_allclose(w, right, rtol=0, atol=2e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize(
    "optimizer", [SGD(0.9), Momentum(0.1, 0.9), Adam(0.3)], ids=lambda o: type(o).__name__
)
def test_finds_the_minimum_of_a_long_valley(optimizer):
    """f = x^2 / 20 + y^2, from (-7, 2), as in the textbook."""
    w = np.array([-7.0, 2.0])
    state = optimizer.init(w)
    for t in range(1, 401):
        optimizer.step(w, np.array([w[0] / 10, 2 * w[1]]), state, t)
    assert np.abs(w).max() < 1e-2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0), r"lr must be in \(0, inf\), got 0"),
        (lambda: SGD(-1), r"lr must be in \(0, inf\), got -1"),
        (lambda: SGD(float("nan")), r"lr must be in \(0, inf\), got nan"),
        (lambda: Momentum(momentum=1), r"momentum must be in \[0, 1\), got 1"),
        (lambda: Adam(beta1=1), r"beta1 must be in \[0, 1\), got 1"),
        (lambda: Adam(beta2=-0.1), r"beta2 must be in \[0, 1\), got -0.1"),
        (lambda: Adam(eps=-1), r"eps must be in \(0, inf\), got -1"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_refuses_a_learning_rate_that_is_no_number():
    with pytest.raises(TypeError, match=r"lr must be a number in \(0, inf\), got '1e-3'"):
        Adam("1e-3")


def test_kernels_refuse_what_would_crash():
    w, short = np.zeros(5), np.zeros(4)
    with pytest.raises(ValueError, match="must have one length"):
        optim.sgd_step(w, short, 0.1)
    with pytest.raises(ValueError, match="must have one length"):
        optim.momentum_step(w, w, short, 0.1, 0.9)
    with pytest.raises(ValueError, match="must have one length"):
        optim.adam_step(w, w, w, short, 0.1, 0.9, 0.999, 1e-8, 1)
    with pytest.raises(ValueError, match="t must be at least 1"):
        optim.adam_step(w, w, w, w, 0.1, 0.9, 0.999, 1e-8, 0)


def test_arena_holds_every_parameter_once():
    shared = Dense(3)
    net = Sequential([shared, Dense(3), shared])
    net.build((3,), np.float64)
    before = {name: p.value.copy() for name, p in net.parameters().items()}
    arena = Arena(net.parameters())
    assert arena.values.size == 2 * (9 + 3)
    assert arena.holds(net.parameters())
    for name, p in net.parameters().items():
        assert_array_equal(p.value, before[name])
    arena.values[:] = 7
    assert (net.parameters()["dense_2.weight"].value == 7).all()
    views = arena.split(arena.grads)
    net.parameters()["dense_2.bias"].grad = [1, 2, 3]
    assert_array_equal(views["dense_2.bias"], [1, 2, 3])
    other = Arena(net.parameters())
    assert other.holds(net.parameters())
    assert not arena.holds(net.parameters())


def test_arena_refuses_two_dtypes():
    a, b = Dense(1), Dense(1)
    a.build((1,), np.float32)
    b.build((1,), np.float64)
    with pytest.raises(ValueError, match=r"one dtype, got \['float32', 'float64'\]"):
        Arena({"a": a.parameters()["weight"], "b": b.parameters()["weight"]})
