"""Groups: parameters that are frozen, or have a learning rate of their own."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.optimizers import SGD, Adam, Arena, Group
from deepfs.regularizers import L2
from every_optimizer import every, grouped_step, network


@every
def test_freezing_and_rates_of_their_own(kind, settings, rng):
    optimizer = kind(**settings)
    groups = [
        Group("conv.*", frozen=True),
        Group("conv.bias", frozen=False),
        Group("*", lr_scale=0.5),
        Group("head.*", lr_scale=1.0),
    ]
    seed = rng.integers(2**31)
    plain = grouped_step(optimizer, np.random.default_rng(seed), 3)
    half = grouped_step(replace(optimizer, lr=optimizer.lr / 2), np.random.default_rng(seed), 3)
    mixed = grouped_step(replace(optimizer, groups=groups), np.random.default_rng(seed), 3)
    for name in plain[0]:
        if name == "conv.weight":
            right = plain[0][name]
        else:
            right = plain[1][name] if name.startswith("head") else half[1][name]
        assert_allclose(mixed[1][name], right, rtol=1e-14, atol=1e-15, err_msg=name)


def test_a_later_group_overrides_only_what_it_gives(rng):
    groups = [Group("*", lr_scale=0.1, regularizer=L2(0.5)), Group("head.*", lr_scale=2.0)]
    before, after, grads, _ = grouped_step(SGD(0.5, groups=groups), rng)
    w, g = before["head.weight"], grads["head.weight"]
    assert_allclose(after["head.weight"], w - 1.0 * (g + 0.5 * w), rtol=1e-13, atol=1e-14)


def test_groups_may_change_between_steps(rng, data):
    x, y = data
    net = L.Sequential([L.Dense(4, name="a"), L.ReLU(), L.Dense(3, name="b")])
    optimizer = Adam(0.01, groups=[Group("a.*", frozen=True)])
    model = dfs.Model(net, dfs.losses.CrossEntropy(), optimizer)
    model.train_on_batch(x, y)
    first = model.network.parameters()["a.weight"].value.copy()
    model.train_on_batch(x, y)
    assert_array_equal(model.network.parameters()["a.weight"].value, first)
    model.optimizer.groups[0].frozen = False
    model.train_on_batch(x, y)
    assert (model.network.parameters()["a.weight"].value != first).any()


def test_clearing_also_clears_what_is_frozen(rng):
    net = network()
    arena = Arena(net.parameters())
    arena.grads[:] = 1
    optimizer = Adam(groups=[Group("conv.*", frozen=True)])
    state = optimizer.init(arena.values)
    optimizer.step(arena.values, arena.grads, state, 1, optimizer.plan(arena.spans), clear=True)
    assert not arena.grads.any()


def test_refuses_a_group_that_names_nothing(rng):
    with pytest.raises(
        ValueError, match=r"no parameter matches 'conv9\.\*' of a Group; there are conv\.weight, co"
    ):
        grouped_step(SGD(groups=[Group("conv9.*", frozen=True)]), rng)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Group("*", lr_scale=-1), r"lr_scale must be in \[0, inf\), got -1"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Group(3), "Group takes names of parameters, got 3"),
        (lambda: Group("*", regularizer=[0.1]), "Group takes deepfs regularizers, as .*, got 0.1"),
        (lambda: Group("*", regularizer=0.1), "Group takes deepfs regularizers, as .*, got 0.1"),
        (lambda: Group("*", frozen=1), "frozen must be True or False, got 1"),
    ],
)
def test_refuses_other_kinds(make, message):
    with pytest.raises(TypeError, match=message):
        make()
