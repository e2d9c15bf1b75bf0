"""Initializers: their distributions, their fans, and what they refuse."""

import numpy as np
import pytest

from deepfs import initializers
from deepfs.random import Random

DENSE, FILTERS = (300, 200), (64, 32, 5, 3)  # (in, out); (co, ci, kh, kw)

STD = {
    "normal": lambda fan_in, fan_out: 0.01,
    "uniform": lambda fan_in, fan_out: 0.05 / 3**0.5,
    "lecun_normal": lambda fan_in, fan_out: (1 / fan_in) ** 0.5,
    "lecun_uniform": lambda fan_in, fan_out: (1 / fan_in) ** 0.5,
    "glorot_normal": lambda fan_in, fan_out: (2 / (fan_in + fan_out)) ** 0.5,
    "glorot_uniform": lambda fan_in, fan_out: (2 / (fan_in + fan_out)) ** 0.5,
    "xavier_normal": lambda fan_in, fan_out: (2 / (fan_in + fan_out)) ** 0.5,
    "xavier_uniform": lambda fan_in, fan_out: (2 / (fan_in + fan_out)) ** 0.5,
    "he_normal": lambda fan_in, fan_out: (2 / fan_in) ** 0.5,
    "he_uniform": lambda fan_in, fan_out: (2 / fan_in) ** 0.5,
    "zeros": lambda fan_in, fan_out: 0,
    "ones": lambda fan_in, fan_out: 0,
    "constant": lambda fan_in, fan_out: 0,
}


@pytest.mark.parametrize("name", STD)
@pytest.mark.parametrize(
    ("shape", "fans"), [(DENSE, (300, 200)), (FILTERS, (32 * 15, 64 * 15))], ids=["dense", "conv"]
)
def test_spread(name, shape, fans):
    w = initializers.get(name)(shape, Random(1, 1))
    assert w.shape == shape
    assert w.std() == pytest.approx(STD[name](*fans), rel=0.02)
    assert w.mean() == pytest.approx(float(name == "ones"), abs=3 * w.std() / w.size**0.5 + 1e-12)
    if "uniform" in name:
        assert np.abs(w).max() <= STD[name](*fans) * 3**0.5
    elif "normal" in name:
        assert np.abs(w).max() > 3 * w.std()  # plain, not truncated


def test_every_initializer_has_a_row():
    snake = {initializers._snake(name) for name in initializers.__all__} - {"get"}
    assert snake | {"xavier_normal", "xavier_uniform"} == set(STD)


def test_own_functions():
    def mine(shape, rng):
        return np.zeros(shape)

    assert initializers.get(mine) is mine


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: initializers.get("he"), ValueError, "initializer must be one of constant, .*'he'"),
        (lambda: initializers.get(3), TypeError, "must be a name or a function, got 3"),
        (lambda: initializers.Normal(-1), ValueError, r"std must be in \[0, inf\), got -1"),
        (lambda: initializers.HeNormal()((3,), Random(0, 0)), ValueError, r"2 axes, got \(3,\)"),
    ],
)
def test_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_wrong_shape_is_refused():
    from deepfs.layers import Dense

    with pytest.raises(ValueError, match=r"must return an array of shape \(3, 2\), got \(3,\)"):
        Dense(2, initializer=lambda shape, rng: np.zeros(3))(np.zeros((1, 3)))
