"""The arena: all parameters of a network in one buffer."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from deepfs import layers as L
from deepfs.optimizers import Adam, Arena


def test_arena_holds_every_parameter_once():
    shared = L.Dense(3)
    net = L.Sequential([shared, L.Dense(3), shared])
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


@pytest.mark.parametrize("units", [1, 4, 1000])
def test_arenas_of_any_size_know_their_parameters(units):
    """Large buffers are parts of larger ones, which begin a page."""
    layer = L.Dense(units)
    layer.build((100,), np.float32)
    first = Arena(layer.parameters())
    assert first.holds(layer.parameters())
    assert not Arena(copy.deepcopy(layer).parameters()).holds(layer.parameters())
    assert first.holds(layer.parameters())
    assert not copy.deepcopy(first).holds(layer.parameters())
    second = Arena(layer.parameters())
    assert second.holds(layer.parameters())
    assert not first.holds(layer.parameters())
    if first.values.nbytes >= 2**14:
        for array in (first.values, first.grads, *Adam().init(first.values).values()):
            assert array.__array_interface__["data"][0] % 4096 == 0


def test_arena_refuses_two_dtypes():
    a, b = L.Dense(1), L.Dense(1)
    a.build((1,), np.float32)
    b.build((1,), np.float64)
    with pytest.raises(ValueError, match=r"one dtype, got \['float32', 'float64'\]"):
        Arena({"a": a.parameters()["weight"], "b": b.parameters()["weight"]})
