"""Regularizers, in the pass of a step: against NumPy."""

from math import inf

import numpy as np
import pytest
from numpy.testing import assert_allclose

import deepfs as dfs
from deepfs import reference
from deepfs.optimizers import SGD, Adam, Arena, Group
from deepfs.regularizers import L1, L2, ElasticNet, GroupLasso, MaxNorm, WeightDecay
from every_optimizer import WEIGHTS, grouped_step, network


@pytest.mark.parametrize(
    ("regularizer", "change"),
    [
        (L2(0.1), lambda w, g: w - 0.5 * (g + reference.l2(w, 0.1)[1])),
        (L1(0.1), lambda w, g: w - 0.5 * (g + reference.l1(w, 0.1)[1])),
        (
            L1(0.1, proximal=True),
            lambda w, g: reference.soft_threshold(w - 0.5 * g, 0.05),
        ),
        (
            ElasticNet(0.1, 0.2),
            lambda w, g: w - 0.5 * (g + reference.l1(w, 0.1)[1] + reference.l2(w, 0.2)[1]),
        ),
        (
            ElasticNet(0.1, 0.2, proximal=True),
            lambda w, g: reference.soft_threshold(
                w - 0.5 * (g + reference.l2(w, 0.2)[1]), 0.05),
        ),
        (GroupLasso(0.1), lambda w, g: w - 0.5 * (g + reference.group_lasso(w, 0.1)[1])),
        (
            [GroupLasso(0.3, proximal=True), GroupLasso(0.4, proximal=True), MaxNorm(2.0)],
            lambda w, g: reference.max_norm(
                reference.group_soft_threshold(w - 0.5 * g, 0.35), 2.0),
        ),
        (WeightDecay(0.1), lambda w, g: reference.weight_decay(w, 0.5, 0.1) - 0.5 * g),
        (MaxNorm(2.0), lambda w, g: reference.max_norm(w - 0.5 * g, 2.0)),
        (
            [L2(0.1), L2(0.2), MaxNorm(9.0), MaxNorm(2.0)],
            lambda w, g: reference.max_norm(w - 0.5 * (g + 0.3 * w), 2.0),
        ),
        ((), lambda w, g: w - 0.5 * g),
    ],
    ids=lambda v: repr(v)[:40],
)  # fmt: skip
def test_regularizers_in_the_pass(regularizer, change, rng, threads):
    optimizer = SGD(0.5, weight_decay=7.0, groups=[Group("*", regularizer=regularizer)])
    before, after, grads, _ = grouped_step(optimizer, rng)
    for name in before:
        if name in WEIGHTS:
            right = change(before[name], grads[name])
        else:
            right = before[name] - 0.5 * grads[name]
        assert_allclose(after[name], right, rtol=1e-13, atol=1e-13, err_msg=name)


def test_weight_decay_leaves_biases_and_norms_alone(rng):
    before, after, grads, plan = grouped_step(SGD(0.5, weight_decay=0.1), rng)
    for name in before:
        rate = 0.1 if name in WEIGHTS else 0.0
        right = before[name] - 0.5 * (grads[name] + rate * before[name])
        assert_allclose(after[name], right, rtol=1e-13, atol=1e-14)
    assert len(plan.groups) == 2


def test_the_proximal_step_gives_exact_zeros_and_the_subgradient_does_not(rng):
    target = np.where(np.arange(200) < 10, 1.0, 0.01 * rng.standard_normal(200)).reshape(1, 200)
    zeros = {}
    for proximal in (True, False):
        w = {"W": rng.standard_normal((1, 200))}
        optimizer = SGD(0.1, groups=Group("W", regularizer=L1(0.1, proximal=proximal)))
        for _ in range(300):
            optimizer.update(w, {"W": w["W"] - target})
        zeros[proximal] = int((w["W"] == 0).sum())
    assert zeros == {True: 190, False: 0}


@pytest.mark.parametrize("shape", [(4, 3), (3, 2, 2, 2), (5,)])
def test_the_gradient_of_the_group_lasso(shape, rng):
    penalty, w = GroupLasso(0.3), rng.standard_normal(shape)
    dfs.testing.check_gradient(lambda w: penalty.of(w, "")[0], w, lambda w: penalty.of(w, "")[1])
    value, gradient = reference.group_lasso(w, 0.3)
    assert_allclose(penalty.of(w, "")[0], value)
    assert_allclose(penalty.of(w, "")[1], gradient)
    assert not penalty.of(np.zeros(shape), "")[1].any()


def test_the_group_lasso_makes_units_zero_together(rng):
    target = np.where(np.arange(20) < 5, 1.0, 0.01) * rng.standard_normal((8, 20))
    zeros = {}
    for proximal in (True, False):
        w = {"W": rng.standard_normal((8, 20))}
        groups = Group("W", regularizer=GroupLasso(0.1, proximal=proximal))
        optimizer = SGD(0.1, groups=groups)
        for _ in range(200):
            optimizer.update(w, {"W": w["W"] - target})
        zeros[proximal] = int((w["W"] == 0).all(axis=0).sum())
        assert zeros[proximal] == (w["W"] == 0).any(axis=0).sum()  # whole units only
    assert zeros == {True: 15, False: 0}


def test_the_group_lasso_keeps_nan_and_frozen_weights():
    w = {"a": np.full((2, 2), np.nan), "b": np.full((2, 2), 1e-3)}
    groups = [Group("*", regularizer=GroupLasso(1.0, proximal=True)), Group("b", frozen=True)]
    optimizer = SGD(0.1, groups=groups)
    optimizer.update(w, {name: np.zeros((2, 2)) for name in w})
    assert np.isnan(w["a"]).all()
    assert (w["b"] == 1e-3).all()


def test_max_norm_bounds_every_unit(rng):
    _, after, _, _ = grouped_step(
        Adam(0.1, groups=[Group(["*.weight"], regularizer=MaxNorm(0.7))]), rng, steps=3
    )
    filters = np.sqrt(np.square(after["conv.weight"]).sum(axis=(1, 2, 3)))
    columns = np.sqrt(np.square(after["head.weight"]).sum(axis=0))
    assert_allclose([*filters, *columns], 0.7, rtol=1e-12)


def test_biases_are_regularized_on_request(rng):
    before, after, grads, _ = grouped_step(
        SGD(0.5, groups=[Group("head.*", regularizer=L2(0.1), biases=True)]), rng
    )
    right = before["head.bias"] - 0.5 * (grads["head.bias"] + 0.1 * before["head.bias"])
    assert_allclose(after["head.bias"], right, rtol=1e-14)


def test_penalty(rng):
    groups = [
        Group("conv.*", regularizer=ElasticNet(0.1, 0.3, proximal=True)),
        Group("head.*", regularizer=[L1(0.2), WeightDecay(3.0), MaxNorm(100.0)]),
    ]
    _, after, _, plan = grouped_step(SGD(1e-3, weight_decay=1.0, groups=groups), rng)
    conv, head = (after[name] for name in WEIGHTS)
    right = reference.l1(conv, 0.1)[0] + reference.l2(conv, 0.3)[0] + reference.l1(head, 0.2)[0]
    net = network()
    arena = Arena(net.parameters())
    for name, p in net.parameters().items():
        p.value = after[name]
    assert plan.penalty(arena.values) == pytest.approx(right, rel=1e-13)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L2(-1), r"rate must be in \[0, inf\), got -1"),
        (lambda: ElasticNet(0.1, inf), r"l2 must be in \[0, inf\), got inf"),
        (lambda: MaxNorm(0), r"limit must be in \(0, inf\), got 0"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L1(0.1, proximal="yes"), "proximal must be True or False, got 'yes'"),
    ],
)
def test_refuses_other_kinds(make, message):
    with pytest.raises(TypeError, match=message):
        make()
