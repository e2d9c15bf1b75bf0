"""Optimizers: each rule against NumPy, on two classic functions, and what they refuse."""

import sys
from dataclasses import fields
from math import inf

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import optimizer_rule
from cnn_core import optimizers as kernel
from cnn_core.optimizer_rule import Rule
from deepfs import optimizers, reference
from deepfs.optimizers import (
    LAMB,
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    Group,
    Lion,
    Momentum,
    Muon,
    NAdam,
    Nesterov,
    Optimizer,
    RAdam,
    RMSProp,
    zeros_like,
)
from deepfs.optimizers._arena import Span
from deepfs.regularizers import L1
from deepfs.schedules import Cosine
from deepfs.testing import check_optimizer
from every_optimizer import CASES, every, parametrize

HELPERS = {"Arena", "Optimizer", "StepContext", "get", "zeros_like"}


def test_every_optimizer_has_a_case():
    assert {kind.__name__ for kind, _ in CASES} == set(optimizers.__all__) - HELPERS - {"Group"}


def reference_step(o, w, g, state, t):
    """Return weights after a step of the NumPy reference; ``state`` holds its arrays in order."""

    def before(count):
        return state.get("arrays", [0 * w] * count)

    name = type(o).__name__.lower().replace("adamw", "adam")
    rule = getattr(reference, name)
    match o:
        case SGD():
            return rule(w, g, o.lr)
        case Momentum():
            gain = 1.0 if t == 1 else 1 - o.dampening
            w, *new = rule(w, g, *before(1), o.lr, o.momentum, o.form, gain)
        case Nesterov():
            w, *new = rule(w, g, *before(1), o.lr, o.momentum)
        case AdaGrad():
            w, *new = rule(w, g, *before(1), o.lr, o.eps)
        case AdaDelta():
            w, *new = rule(w, g, *before(2), o.lr, o.rho, o.eps)
        case RMSProp():
            w, *new = rule(w, g, *before(3), o.lr, o.rho, o.eps, o.centered, o.momentum)
        case Lion():
            w, *new = rule(w, g, *before(1), o.lr, o.beta1, o.beta2, o.weight_decay)
        case LAMB():
            w, *new = rule(w, g, *before(2), t, o.lr, o.beta1, o.beta2, o.eps, o.weight_decay)
        case Muon():  # a flat array is no matrix
            lr = o.lr * o.adam_scale
            w = reference.weight_decay(w, o.lr, o.weight_decay)
            w, *new = reference.adam(w, g, *before(2), t, lr, o.beta1, o.beta2, o.eps, "hat")
        case Adam(amsgrad=True):
            w, *new = reference.amsgrad(w, g, *before(3), t, o.lr, o.beta1, o.beta2, o.eps)
        case Adam():
            w = reference.weight_decay(w, o.lr, o.weight_decay)
            w, *new = rule(w, g, *before(2), t, o.lr, o.beta1, o.beta2, o.eps, o.eps_mode)
        case _:
            w, *new = rule(w, g, *before(2), t, o.lr, o.beta1, o.beta2, o.eps)
    state["arrays"] = new
    return w


@every
def test_matches_numpy(kind, settings, dtype, threads, rng):
    optimizer = kind(**settings)
    w = rng.standard_normal(20_001).astype(dtype)
    right, state, reference_state = w.astype(float), optimizer.init(w), {}
    for t in range(1, 21):
        g = rng.standard_normal(w.size).astype(dtype)
        before = g.copy()
        optimizer.step(w, g, state, t)
        right = reference_step(optimizer, right, g.astype(float), reference_state, t)
        assert_array_equal(g, before)
    error = np.abs(w - right)
    if dtype == np.float32:  # where RMSProp divides by nearly 0, or Lion's sign is that of rounding
        assert np.quantile(error, 0.999) < 2e-5
        assert error.max() < 0.1
    else:
        assert error.max() < 1e-12


@every
def test_keeps_the_contract(kind, settings):
    check_optimizer(kind(**settings))


@every
def test_pieces_of_any_size_give_the_same_bits(kind, settings, dtype, rng):
    """What fills no vector goes through a copy, and must come out the same."""
    optimizer = kind(**settings)
    if optimizer.per_array:
        pytest.skip("its step depends on the whole array")
    w, g = rng.standard_normal((2, 70)).astype(dtype)
    whole, state = w.copy(), optimizer.init(w)
    optimizer.step(whole, g, state, 1)
    for size in (1, 3, 15, 16, 17, 33):
        for start in (0, 1, 5):
            part = slice(start, start + size)
            piece, own = w[part].copy(), optimizer.init(w[part])
            optimizer.step(piece, g[part].copy(), own, 1)
            assert_array_equal(piece, whole[part])
            for name in own:
                assert_array_equal(own[name], state[name][part])


@every
def test_nan_stays_where_it_is(kind, settings, dtype):
    optimizer = kind(**settings)
    if optimizer.per_array:
        pytest.skip("its step depends on the whole array")
    w, g = np.ones(40, dtype), np.ones(40, dtype)
    g[7] = np.nan
    optimizer.step(w, g, optimizer.init(w), 1)
    assert_array_equal(np.flatnonzero(np.isnan(w)), [7])


VALLEY_STEPS = 400


@parametrize(
    [
        (SGD, {"lr": 0.9}),
        (Momentum, {"lr": 0.1}),
        (Momentum, {"lr": 1.0, "form": "ema"}),
        (Momentum, {"lr": 0.1, "form": "torch"}),
        (Nesterov, {"lr": 0.1}),
        (AdaGrad, {"lr": 1.5}),
        (AdaDelta, {"eps": 1e-4}),
        (RMSProp, {"lr": Cosine(0.1, VALLEY_STEPS)}),
        (RMSProp, {"lr": 0.01, "momentum": 0.9}),
        (RMSProp, {"lr": Cosine(0.1, VALLEY_STEPS), "centered": True}),
        (Adam, {"lr": 0.3}),
        (Adam, {"lr": 0.3, "amsgrad": True}),
        (Adam, {"lr": 0.3, "eps_mode": "textbook"}),
        (AdamW, {"lr": 0.3}),
        (NAdam, {"lr": 0.3}),
        (RAdam, {"lr": 0.3}),
        (Adamax, {"lr": 0.3}),
        (Lion, {"lr": Cosine(0.1, VALLEY_STEPS)}),
        (LAMB, {"lr": Cosine(0.05, VALLEY_STEPS)}),
    ]
)
def test_finds_the_minimum_of_a_long_valley(kind, settings):
    """f = x^2 / 20 + y^2, from (-7, 2), as in the textbook."""
    optimizer, w = kind(**settings), np.array([-7.0, 2.0])
    state = optimizer.init(w)
    for t in range(1, VALLEY_STEPS + 1):
        optimizer.step(w, np.array([w[0] / 10, 2 * w[1]]), state, t)
    assert np.abs(w).max() < 1e-2


ROSENBROCK_STEPS = 20_000


@parametrize(
    [
        (SGD, {"lr": 1e-3}),
        (Momentum, {"lr": 1e-3}),
        (Momentum, {"lr": 1e-2, "form": "ema"}),
        (Momentum, {"lr": 1e-3, "form": "torch"}),
        (Nesterov, {"lr": 1e-3}),
        (AdaGrad, {"lr": 0.5}),
        (AdaDelta, {"lr": Cosine(0.3, ROSENBROCK_STEPS)}),
        (RMSProp, {"lr": Cosine(0.01, ROSENBROCK_STEPS)}),
        (RMSProp, {"lr": Cosine(1e-3, ROSENBROCK_STEPS), "momentum": 0.9}),
        (RMSProp, {"lr": Cosine(1e-3, ROSENBROCK_STEPS), "centered": True}),
        (Adam, {"lr": 0.02}),
        (Adam, {"lr": 0.02, "amsgrad": True}),
        (Adam, {"lr": 0.02, "eps_mode": "textbook"}),
        (AdamW, {"lr": 0.02}),
        (NAdam, {"lr": 0.02}),
        (RAdam, {"lr": 3e-3}),
        (Adamax, {"lr": 0.02}),
        (Lion, {"lr": Cosine(0.01, ROSENBROCK_STEPS)}),
        (LAMB, {"lr": Cosine(0.01, ROSENBROCK_STEPS)}),
    ]
)
def test_finds_the_minimum_of_rosenbrocks_function(kind, settings):
    """f = (1 - x)^2 + 100 (y - x^2)^2, from (-1.2, 1): the minimum is at (1, 1)."""
    optimizer, w, g = kind(**settings), np.array([-1.2, 1.0]), np.empty(2)
    state, plan = optimizer.init(w), optimizer.plan([Span("w", 0, (2,), (0,))])
    for t in range(1, ROSENBROCK_STEPS + 1):
        x, y = w.tolist()
        g[0], g[1] = -2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)
        optimizer.step(w, g, state, t, plan)
        if t % 100 == 0 and abs(w - 1).max() < 1e-3:
            break
    assert_allclose(w, 1, atol=2e-2)


def test_forms_of_momentum_go_one_way_at_a_constant_rate(rng):
    start, *gradients = rng.standard_normal((30, 50))
    ends = []
    for optimizer in (
        Momentum(0.1, 0.9), Momentum(0.1, 0.9, form="torch"), Momentum(1.0, 0.9, form="ema")
    ):  # fmt: skip
        w = {"w": start.copy()}
        for g in gradients:
            optimizer.update(w, {"w": g})
        ends.append(w["w"])
    assert_allclose(ends[1], ends[0], rtol=1e-12, atol=1e-13)
    assert_allclose(ends[2], ends[0], rtol=1e-12, atol=1e-13)


def test_nesterov_is_the_method_of_two_points(rng):
    """The weights that are kept are those ahead: theta + momentum v."""
    target = rng.standard_normal(8)
    theta, v = np.zeros(8), np.zeros(8)
    w = {"w": np.zeros(8)}
    optimizer = Nesterov(0.05, 0.9)
    for _ in range(40):
        ahead = theta + 0.9 * v
        assert_allclose(w["w"], ahead, rtol=1e-11, atol=1e-12)
        optimizer.update(w, {"w": 2 * (w["w"] - target)})
        theta, v = reference.nesterov_two_points(theta, 2 * (ahead - target), v, 0.05, 0.9)


def test_nadam_starts_in_the_middle_as_it_got_there(rng):
    """The products of its momenta follow from t, also where they have become 0."""
    g = rng.standard_normal(5)
    steps = []
    for t in (3, 10_000, 3):
        optimizer, w = NAdam(0.1), np.zeros(5)
        optimizer.step(w, g, optimizer.init(w), t)
        steps.append(w)
    assert_array_equal(steps[0], steps[2])
    assert np.isfinite(steps[1]).all()
    right = reference.nadam(np.zeros(5), g, np.zeros(5), np.zeros(5), 3, 0.1, 0.9, 0.999, 1e-8)[0]
    assert_allclose(steps[0], right, rtol=1e-12)


@pytest.mark.timeout(10)
def test_a_step_of_nadam_after_a_billion_others_takes_no_longer():
    w, optimizer = np.ones(3), NAdam(beta1=0.875)
    optimizer.step(w, np.ones(3), optimizer.init(w), t=10**9)
    assert np.isfinite(w).all()


class PlainMomentum(Optimizer):
    """`Momentum` as a user would write it."""

    def init(self, w):
        return {"v": zeros_like(w)}

    def _step(self, context):
        for w, g, state, lr in context.parts():
            state["v"][:] = 0.9 * state["v"] - lr * g
            w += state["v"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_decay": 0.1, "clip_norm": 0.5},
        {"clip_value": 0.2},
        {"groups": Group("*", lr_scale=0.5, regularizer=L1(0.1, proximal=True))},
    ],
    ids=repr,
)
def test_a_rule_in_numpy_is_treated_like_a_compiled_one(options, rng):
    start, *gradients = rng.standard_normal((4, 3, 5))
    ends = []
    for kind in (Momentum, PlainMomentum):
        optimizer, w = kind(0.1, **options), {"w": start.copy()}
        for g in gradients:
            optimizer.update(w, {"w": g})
        ends.append(w["w"])
    assert_allclose(ends[1], ends[0], rtol=1e-14, atol=1e-15)


def test_a_rule_in_numpy_keeps_the_contract():
    check_optimizer(PlainMomentum(0.1))


@every
def test_three_frames_from_step_to_the_kernel(kind, settings, monkeypatch):
    if kind is Muon:
        pytest.skip("its rule is in NumPy")
    frames = []

    def counted(*arguments, step=optimizer_rule.step):
        frame, count = sys._getframe(1), 1
        while frame.f_code is not Optimizer.step.__code__:
            frame, count = frame.f_back, count + 1
        frames.append(count)
        step(*arguments)

    monkeypatch.setattr(optimizer_rule, "step", counted)
    optimizer, w = kind(**settings), np.ones(3)
    optimizer.step(w, np.ones(3), optimizer.init(w), 1)
    assert set(frames) == {3}


def test_a_step_refuses_arrays_that_are_not_like_the_weights():
    w = np.zeros(5)
    for g, state in ((np.zeros(4), {"v": w}), (w, {"v": np.zeros(4)}), (w.astype("f"), {"v": w})):
        with pytest.raises(ValueError, match=r"Momentum takes [gv] like w, float64\(5,\), got"):
            Momentum().step(w, g, state, 1)
    with pytest.raises(ValueError, match="t must be at least 1, got 0"):
        SGD().step(w, w, {}, 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0), r"lr must be in \(0, inf\), got 0"),
        (lambda: SGD(-1), r"lr must be in \(0, inf\), got -1"),
        (lambda: SGD(inf), r"lr must be in \(0, inf\), got inf"),
        (lambda: SGD(float("nan")), r"lr must be in \(0, inf\), got nan"),
        (lambda: SGD(weight_decay=-1), r"weight_decay must be in \[0, inf\), got -1"),
        (lambda: SGD(clip_norm=0), r"clip_norm must be in \(0, inf\), got 0"),
        (lambda: SGD(clip_value=-1), r"clip_value must be in \(0, inf\), got -1"),
        (lambda: SGD(clip_norm=1, clip_value=1), "SGD clips in one way, got clip_norm and clip_va"),
        (lambda: Momentum(momentum=1), r"momentum must be in \[0, 1\), got 1"),
        (lambda: Momentum(form="keras"), "form must be one of 'classic', 'ema', 'torch', got"),
        (lambda: Momentum(dampening=0.1), "dampening is of the form \"torch\", got form='classic'"),
        (lambda: Nesterov(momentum=-0.1), r"momentum must be in \[0, 1\), got -0.1"),
        (lambda: AdaGrad(eps=0), r"eps must be in \(0, inf\), got 0"),
        (lambda: AdaDelta(rho=1), r"rho must be in \[0, 1\), got 1"),
        (lambda: RMSProp(momentum=1.5), r"momentum must be in \[0, 1\), got 1.5"),
        (lambda: Adam(beta1=1), r"beta1 must be in \[0, 1\), got 1"),
        (lambda: Adam(beta2=-0.1), r"beta2 must be in \[0, 1\), got -0.1"),
        (lambda: Adam(eps=-1), r"eps must be in \(0, inf\), got -1"),
        (lambda: Adam(eps_mode="keras"), "eps_mode must be one of 'hat', 'textbook', got 'keras'"),
        (lambda: NAdam(momentum_decay=-1), r"momentum_decay must be in \[0, inf\), got -1"),
        (lambda: Lion(beta2=1), r"beta2 must be in \[0, 1\), got 1"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adam("1e-3"), r"lr must be a number in \(0, inf\), got '1e-3'"),
        (lambda: Adam(None), r"lr must be a number in \(0, inf\), got None"),
        (lambda: Adam(amsgrad=1), "amsgrad must be True or False, got 1"),
        (lambda: SGD(weight_decay=True), r"weight_decay must be a number in \[0, inf\), got True"),
        (lambda: SGD(groups=["conv.*"]), r"groups must be deepfs Groups, got 'conv.\*'"),
    ],
)
def test_refuses_other_kinds(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_every_setting_has_its_paragraph():
    for name in set(optimizers.__all__) - HELPERS:
        kind = getattr(optimizers, name)
        shared = {field.name for field in fields(Optimizer)} - {"lr"}
        for field in fields(kind):
            if field.name not in shared:
                assert field.name in kind.__doc__, (name, field.name)
        if kind is not Group:
            assert "**options" in kind.__doc__
            assert "References" in kind.__doc__


def test_rules_bear_their_names():
    rules = {key: value for key, value in vars(kernel).items() if isinstance(value, Rule)}
    assert len(rules) > 10
    assert all(rule.name == name and name in repr(rule) for name, rule in rules.items())
    with pytest.raises(TypeError, match="a Rule is made in Cython"):
        Rule()


def test_kernel_refuses_what_would_crash():
    w, short = np.zeros(5), np.zeros(4)
    pieces, groups = np.array([[0, 5, 0, 0]]), np.array([[1.0, 0, 0, 0, 0]])
    factors, sums = np.ones(1), np.zeros((1, 2))

    def step(rule=kernel.momentum, g=w, state0=w, cleared=None, pieces=pieces, groups=groups,
             sums=sums, constants=(0.9,)):  # fmt: skip
        optimizer_rule.step(rule, w, g, state0, None, None, cleared, pieces, groups, factors,
                            sums, 0.1, inf, constants)  # fmt: skip

    step()
    for wrong in (
        {"g": short},
        {"state0": short},
        {"state0": None},
        {"rule": kernel.adam},
        {"cleared": short},
    ):
        with pytest.raises(ValueError, match="must have one length"):
            step(**wrong)
    for wrong in (
        [[0, 6, 0, 0]], [[-1, 5, 0, 0]], [[3, 3, 0, 0]], [[0, 5, 1, 0]], [[0, 5, 0, 1]],
        [[0, 5, -1, 0]], [[0, 5, 0, -1]],
    ):  # fmt: skip
        with pytest.raises(ValueError, match="piece 0 is not of these arrays, groups and factors"):
            step(pieces=np.array(wrong))
    for wrong in (
        {"pieces": pieces[:, :3].copy()}, {"groups": groups[:, :4].copy()},
        *({"rule": kernel.norm, "sums": wrong}
          for wrong in (None, np.zeros((2, 2)), np.zeros((1, 3)))),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="pieces must have 4 columns, groups 5"):
            step(**wrong)
    with pytest.raises(ValueError, match="constants must be 8 at most"):
        step(constants=(0.9,) * 9)
    for wrong in (None, "adam", 17):
        with pytest.raises(TypeError, match="rule"):
            step(wrong)


def test_lamb_sums_anew_in_each_step():
    """The plan, which keeps the sums, serves all steps of a model."""
    rng = np.random.default_rng(0)
    lamb, apart = LAMB(0.1), LAMB(0.1)
    w = rng.standard_normal(100)
    v, state, state_apart = w.copy(), lamb.init(w), apart.init(w)
    plan = lamb.plan([Span("*", 0, (1, 100), (0, 1))])
    for t in range(1, 5):
        g = rng.standard_normal(100)
        lamb.step(w, g, state, t, plan)
        apart.step(v, g, state_apart, t)
        assert_array_equal(w, v)
