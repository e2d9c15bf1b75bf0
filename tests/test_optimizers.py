"""Optimizers: against NumPy, on two classic functions, in groups, and what they refuse."""

import copy
from dataclasses import fields, replace
from math import inf

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from cnn_core import optimizers as kernel
from deepfs import layers as L
from deepfs import optimizers, reference
from deepfs.optimizers import (
    LAMB,
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    Arena,
    Group,
    Lion,
    Momentum,
    NAdam,
    Nesterov,
    Optimizer,
    RAdam,
    RMSProp,
    adam,
)
from deepfs.regularizers import L1, L2, ElasticNet, MaxNorm, WeightDecay
from deepfs.saving.tensors import TensorFile, write
from deepfs.schedules import Cosine, Plateau, Step
from deepfs.testing import check_optimizer


def twin_step(o, w, g, state, t):
    """Return weights after a step of the twin; the state is its arrays, in its own order."""

    def kept(count):
        return state.get("kept", [0 * w] * count)

    name = type(o).__name__.lower().replace("adamw", "adam")
    twin = getattr(reference, name)
    match o:
        case SGD():
            return twin(w, g, o.lr)
        case Momentum():
            gain = 1.0 if t == 1 else 1 - o.dampening
            w, *new = twin(w, g, *kept(1), o.lr, o.momentum, o.form, gain)
        case Nesterov():
            w, *new = twin(w, g, *kept(1), o.lr, o.momentum)
        case AdaGrad():
            w, *new = twin(w, g, *kept(1), o.lr, o.eps)
        case AdaDelta():
            w, *new = twin(w, g, *kept(2), o.lr, o.rho, o.eps)
        case RMSProp():
            w, *new = twin(w, g, *kept(3), o.lr, o.rho, o.eps, o.centered, o.momentum)
        case Lion():
            w, *new = twin(w, g, *kept(1), o.lr, o.beta1, o.beta2, o.weight_decay)
        case LAMB():
            w, *new = twin(w, g, *kept(2), t, o.lr, o.beta1, o.beta2, o.eps, o.weight_decay)
        case Adam(amsgrad=True):
            w, *new = reference.amsgrad(w, g, *kept(3), t, o.lr, o.beta1, o.beta2, o.eps)
        case Adam():
            w = reference.weight_decay(w, o.lr, o.weight_decay)
            w, *new = twin(w, g, *kept(2), t, o.lr, o.beta1, o.beta2, o.eps, o.eps_mode)
        case _:
            w, *new = twin(w, g, *kept(2), t, o.lr, o.beta1, o.beta2, o.eps)
    state["kept"] = new
    return w


EVERY = [
    SGD(0.1),
    Momentum(0.05, 0.8),
    Momentum(0.05, form="ema"),
    Momentum(0.05, form="torch", dampening=0.3),
    Nesterov(0.05),
    AdaGrad(0.1),
    AdaDelta(),
    RMSProp(0.01),
    RMSProp(0.01, centered=True),
    RMSProp(0.01, momentum=0.8),
    RMSProp(0.01, centered=True, momentum=0.8),
    Adam(0.01),
    Adam(0.1, beta1=0.5, beta2=0.9, eps=1e-3),
    Adam(0.01, amsgrad=True),
    Adam(0.01, eps_mode="textbook"),
    AdamW(0.01, weight_decay=0.1),
    NAdam(0.01),
    RAdam(0.01),
    Adamax(0.01),
    Lion(0.01, weight_decay=0.1),
    LAMB(0.01, weight_decay=0.1),
]
every = pytest.mark.parametrize(
    "optimizer", EVERY, ids=[f"{type(o).__name__} {i}" for i, o in enumerate(EVERY)]
)


def test_every_optimizer_is_here():
    assert {type(o).__name__ for o in EVERY} == set(optimizers.__all__) - {
        "Arena", "Group", "Optimizer"}  # fmt: skip


@every
def test_matches_numpy(optimizer, dtype, threads, rng):
    w = rng.standard_normal(20_001).astype(dtype)
    right, state, twin = w.astype(float), optimizer.init(w), {}
    for t in range(1, 21):
        g = rng.standard_normal(w.size).astype(dtype)
        before = g.copy()
        optimizer.step(w, g, state, t)
        right = twin_step(optimizer, right, g.astype(float), twin, t)
        assert_array_equal(g, before)
    error = np.abs(w - right)
    if dtype == np.float32:  # where RMSProp divides by nearly 0, or Lion's sign is that of rounding
        assert np.quantile(error, 0.999) < 2e-5
        assert error.max() < 0.1
    else:
        assert error.max() < 1e-12


@every
def test_keeps_the_contract(optimizer):
    check_optimizer(optimizer)


@every
def test_pieces_of_any_size_give_the_same_bits(optimizer, dtype, rng):
    """What fills no vector goes through a copy, and must come out the same."""
    if optimizer.apart:
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


FAST = [
    SGD(0.9), Momentum(0.1), Momentum(1.0, form="ema"), Momentum(0.1, form="torch"), Nesterov(0.1),
    AdaGrad(1.5), AdaDelta(eps=1e-4), RMSProp(Cosine(0.1, 400)), RMSProp(0.01, momentum=0.9),
    RMSProp(Cosine(0.1, 400), centered=True), Adam(0.3), Adam(0.3, amsgrad=True),
    Adam(0.3, eps_mode="textbook"), AdamW(0.3), NAdam(0.3), RAdam(0.3), Adamax(0.3),
    Lion(Cosine(0.1, 400)), LAMB(Cosine(0.05, 400)),
]  # fmt: skip
fast = pytest.mark.parametrize(
    "optimizer", FAST, ids=[f"{type(o).__name__} {i}" for i, o in enumerate(FAST)]
)


@fast
def test_finds_the_minimum_of_a_long_valley(optimizer):
    """f = x^2 / 20 + y^2, from (-7, 2), as in the textbook."""
    w = np.array([-7.0, 2.0])
    state = optimizer.init(w)
    for t in range(1, 401):
        optimizer.step(w, np.array([w[0] / 10, 2 * w[1]]), state, t)
    assert np.abs(w).max() < 1e-2


STEPS = 20_000
BANANA = [
    SGD(1e-3), Momentum(1e-3), Momentum(1e-2, form="ema"), Momentum(1e-3, form="torch"),
    Nesterov(1e-3), AdaGrad(0.5), AdaDelta(Cosine(0.3, STEPS)), RMSProp(Cosine(0.01, STEPS)),
    RMSProp(Cosine(1e-3, STEPS), momentum=0.9), RMSProp(Cosine(1e-3, STEPS), centered=True),
    Adam(0.02), Adam(0.02, amsgrad=True), Adam(0.02, eps_mode="textbook"), AdamW(0.02),
    NAdam(0.02), RAdam(3e-3), Adamax(0.02), Lion(Cosine(0.01, STEPS)), LAMB(Cosine(0.01, STEPS)),
]  # fmt: skip


@pytest.mark.parametrize(
    "optimizer", BANANA, ids=[f"{type(o).__name__} {i}" for i, o in enumerate(BANANA)]
)
def test_finds_the_minimum_of_rosenbrocks_function(optimizer):
    """f = (1 - x)^2 + 100 (y - x^2)^2, from (-1.2, 1): the minimum is at (1, 1)."""
    w = np.array([-1.2, 1.0])
    state, plan, g = optimizer.init(w), optimizer.plan(SPAN), np.empty(2)
    for t in range(1, STEPS + 1):
        x, y = w.tolist()
        g[0], g[1] = -2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)
        optimizer.step(w, g, state, t, plan)
        if t % 100 == 0 and abs(w - 1).max() < 1e-3:
            break
    assert_allclose(w, 1, atol=2e-2)


SPAN = [optimizers._plan.Span("w", 0, (2,), (0,))]


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


def network(dtype="float64"):
    net = L.Sequential(
        [L.Conv2D(4, 3, name="conv"), L.BatchNorm(), L.ReLU(), L.Flatten(), L.Dense(3, name="head")]
    )
    net.build((2, 6, 5), dtype)
    return net


def grouped_step(optimizer, rng, steps=1):
    """Take steps on the arena of a network; return values before and after, and gradients."""
    net = network()
    arena = Arena(net.parameters())
    arena.values[:] = rng.standard_normal(arena.values.size)
    before = {name: p.value.copy() for name, p in net.parameters().items()}
    state, plan = optimizer.init(arena.values), None
    for t in range(1, steps + 1):
        arena.grads[:] = rng.standard_normal(arena.grads.size)
        plan = optimizer.plan(arena.spans, plan)
        optimizer.step(arena.values, arena.grads, state, t, plan)
    after = {name: p.value.copy() for name, p in net.parameters().items()}
    grads = {name: p.grad.copy() for name, p in net.parameters().items()}
    return before, after, grads, plan


WEIGHTS = ("conv.weight", "head.weight")


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


@every
def test_freezing_and_rates_of_their_own(optimizer, rng):
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


def backward_of_its_own(model, x, y):
    outputs, cache = model.network.forward(x)
    model.network.backward(np.ones_like(outputs), cache)


def gradient_of_its_own(model, x, y):
    for p in model.network.parameters().values():
        p.grad = np.full(p.grad.shape, 7.0)


def gradient_in_place(model, x, y):
    for p in model.network.parameters().values():
        p.grad[...] = 7.0


def step_that_fails(model, x, y):
    backward = model.loss.backward
    vars(model.loss)["backward"] = lambda cache, upstream: np.full((len(x), 3), np.nan)
    with pytest.raises(FloatingPointError, match="is not finite"):
        model.train_on_batch(x, y)
    vars(model.loss)["backward"] = backward


def copied_in_between(model, x, y):
    for p in model.network.parameters().values():
        p.dstorage[...] = 7.0  # behind everybody's back, but a copy starts from nothing
    return copy.deepcopy(model)


@pytest.mark.parametrize(
    "between",
    [
        backward_of_its_own,
        gradient_of_its_own,
        gradient_in_place,
        step_that_fails,
        copied_in_between,
    ],
)
def test_what_happens_between_steps_of_a_model_does_not_leak_into_them(between, data):
    """The pass of a step clears the gradients, so the next step need not, unless they changed."""
    x, y = data
    models = [
        dfs.Model(network("float32"), dfs.losses.CrossEntropy(), Momentum(), check_finite=True)
        for _ in range(2)
    ]
    for p, q in zip(*(m.network.parameters().values() for m in models), strict=True):
        q.value = p.value
    x = np.resize(x, (90, 2, 6, 5)).astype("f")
    for i, model in enumerate(models):
        model.train_on_batch(x, y)
        assert not model.arena.grads.any()
        if i:
            model = between(model, x, y) or model
        model.train_on_batch(x, y)
        models[i] = model
    assert_array_equal(models[0].arena.values, models[1].arena.values)


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


def test_a_model_reports_penalty_and_norm(data):
    x, y = data
    optimizer = SGD(Step(0.1, every=1, by="epoch"), weight_decay=0.01, clip_norm=0.1)
    model = dfs.Model(L.Sequential([L.Dense(3)]), dfs.losses.CrossEntropy(), optimizer,
                      report_penalty=True)  # fmt: skip
    model.network.build(x.shape[1:])
    w = model.network.parameters()["dense_1.weight"].value.copy()
    logs = model.train_on_batch(x, y)
    assert logs["penalty"] == pytest.approx(0.005 * float((w * w).sum()), rel=1e-5)
    moved = model.network.parameters()["dense_1.weight"].value - w
    step = -moved / 0.1 - 0.01 * w  # what the clipped gradient of the weight was
    assert logs["gradient_norm"] > 0.1
    assert 0.05 < np.sqrt((step**2).sum()) < 0.1001
    history = model.fit(x, y, epochs=2, verbose=0)
    assert set(history.history) == {"loss", "accuracy", "penalty", "gradient_norm"}
    assert model.epochs == 2


def test_schedules_by_step_and_by_epoch_drive_a_model(data):
    x, y = data
    rates = []

    class Watched(dfs.schedules.Schedule):
        def __call__(self, count):
            rates.append(count)
            return 0.1

    for by in ("step", "epoch"):
        model = dfs.Model(L.Sequential([L.Dense(3)]), dfs.losses.CrossEntropy(),
                          SGD(Watched(by=by)))  # fmt: skip
        model.fit(x, y, batch_size=45, epochs=3, verbose=0)
    assert rates == [0, 1, 2, 3, 4, 5, 0, 0, 1, 1, 2, 2]


def test_a_plateau_sees_every_epoch(data):
    x, y = data
    plateau = Plateau(1e-9, factor=0.5, patience=0, threshold=0.5)
    model = dfs.Model(L.Sequential([L.Dense(3)]), dfs.losses.CrossEntropy(), SGD(plateau))
    model.fit(x, y, epochs=3, verbose=0, validation_data=(x, y))
    assert plateau.cuts == 2
    assert plateau.best == pytest.approx(model.history["val_loss"][0])


def test_saving_keeps_groups_schedules_and_where_they_stand(data, tmp_path):
    x, y = data
    optimizer = AdamW(
        Plateau(0.01, patience=0, threshold=0.5),
        weight_decay=0.1,
        clip_each=1.0,
        groups=[Group("*", regularizer=[L1(1e-3, proximal=True), MaxNorm(2)]), Group("*bias", 2.0)],
    )
    model = dfs.Model(L.Sequential([L.Dense(3)]), dfs.losses.CrossEntropy(), optimizer)
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "m.safetensors")
    twin = dfs.load(tmp_path / "m.safetensors")
    assert vars(twin.optimizer) == vars(optimizer)
    assert twin.epochs == 2
    for each in (model, twin):
        dfs.set_seed(1)
        each.fit(x, y, epochs=2, verbose=0)
    assert_array_equal(twin.arena.values, model.arena.values)


def test_clips_by_global_norm_over_an_arena(rng, threads):
    before, after, grads, _ = grouped_step(SGD(1.0, clip_norm=0.5), rng)
    norm, clipped = reference.clip_norm(list(grads.values()), 0.5)
    assert norm > 0.5
    for (name, w), g in zip(before.items(), clipped, strict=True):
        assert_allclose(after[name], w - g, rtol=1e-13, atol=1e-14)


def test_clips_each_array_by_its_own_norm(rng):
    before, after, grads, _ = grouped_step(SGD(1.0, clip_each=0.5), rng)
    for name, w in before.items():
        _, (g,) = reference.clip_norm([grads[name]], 0.5)
        assert_allclose(after[name], w - g, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("how", ["clip_norm", "clip_each"])
def test_a_short_gradient_is_not_stretched(how):
    w = np.zeros(2)
    norm = SGD(1.0, **{how: 5.5}).step(w, np.array([3.0, 4.0]), {}, 1)
    assert norm == 5
    assert_array_equal(w, [-3, -4])


def test_clips_by_value(rng):
    before, after, grads, _ = grouped_step(SGD(1.0, clip_value=0.5), rng)
    for name, w in before.items():
        assert_allclose(after[name], w - np.clip(grads[name], -0.5, 0.5), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_norm_is_that_of_float64_and_of_any_number_of_threads(dtype, rng):
    g = (1e18 * rng.standard_normal(100_003)).astype(dtype)
    g[17] = 3e25  # its square is beyond float32
    norms = set()
    for n in (1, 2, 3, 4):
        with dfs.testing.any_work_on(n):
            norms.add(SGD(1e-9, clip_norm=1.0).step(np.zeros_like(g), g, {}, 1))
    assert len(norms) == 1
    assert norms.pop() == pytest.approx(np.sqrt((g.astype(float) ** 2).sum()), rel=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_refuses_to_clip_by_a_norm_that_is_not_finite(bad):
    w, g = np.ones(3), np.array([1.0, bad, 1.0])
    optimizer = Adam(clip_norm=1.0)
    state = optimizer.init(w)
    with pytest.raises(FloatingPointError, match=rf"norm of the gradients at step 1 is {bad}"):
        optimizer.step(w, g, state, 1)
    assert_array_equal(w, 1)
    assert not state["m"].any()


def test_nan_stays_where_it_is_in_a_flat_step(dtype):
    for optimizer in EVERY:
        if optimizer.apart:
            continue
        w, g = np.ones(40, dtype), np.ones(40, dtype)
        g[7] = np.nan
        optimizer.step(w, g, optimizer.init(w), 1)
        assert_array_equal(np.flatnonzero(np.isnan(w)), [7], err_msg=repr(optimizer))


@every
def test_update_is_a_step_per_array(optimizer, rng):
    """Two dicts of plain arrays, one of them strided, one Fortran-ordered, one of no axes."""
    shapes = {"W": (4, 6), "b": (6,), "K": (3, 2, 2, 2), "s": ()}
    params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    own = {"W": np.asfortranarray(params["W"]), "b": np.repeat(params["b"], 2)[::2],
           "K": params["K"].copy(), "s": params["s"].copy()}  # fmt: skip
    own["s"] = np.array(params["s"])
    states = {name: optimizer.init(w.reshape(-1).copy()) for name, w in params.items()}
    twin = copy.deepcopy(optimizer)
    held = dict(own)
    for t in range(1, 4):
        grads = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        grads["s"] = np.array(grads["s"])
        twin.update(own, grads | {"W": np.asfortranarray(grads["W"])})
        for name, w in params.items():
            bare = replace(optimizer, weight_decay=optimizer.weight_decay if w.ndim > 1 else 0)
            flat = np.array(w).reshape(-1)
            bare.step(flat, grads[name].reshape(-1), states[name], t)
            params[name] = flat.reshape(w.shape)
    for name, w in params.items():
        assert own[name] is held[name]
        assert_array_equal(own[name], w, err_msg=name)


def test_update_in_the_words_of_the_textbook():
    """Its Adam: lr_t = lr sqrt(1 - beta2^t) / (1 - beta1^t), eps beside the bare root."""
    params, grads = {"W1": np.array([[1.0]]), "b1": np.array([2.0])}, {
        "W1": np.array([[0.5]]), "b1": np.array([-0.25])}  # fmt: skip
    optimizer = Adam(eps_mode="textbook")
    assert optimizer.eps == 1e-7
    w, m, v = 1.0, 0.0, 0.0
    for t in range(1, 11):
        optimizer.update(params, grads)
        lr_t = 0.001 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        m += (1 - 0.9) * (0.5 - m)
        v += (1 - 0.999) * (0.5**2 - v)
        w -= lr_t * m / (np.sqrt(v) + 1e-7)
    assert params["W1"][0, 0] == pytest.approx(w, rel=1e-13)


def refused(params, grads, optimizer=None):
    optimizer = Momentum(0.1) if optimizer is None else optimizer
    before = {name: np.array(value) for name, value in params.items()}
    with pytest.raises((ValueError, TypeError, FloatingPointError)) as caught:
        optimizer.update(params, grads)
    for name, value in params.items():
        assert_array_equal(value, before[name])
    return f"{caught.type.__name__}: {caught.value}"


def test_update_refuses_before_it_changes_anything():
    w, g = np.ones((2, 3)), np.ones((2, 3))
    read_only = np.ones((2, 3))
    read_only.flags.writeable = False
    a = {"a": np.ones(2)}
    assert refused(a | {"W": w}, {"a": a["a"]}) == (
        "ValueError: Momentum takes a gradient for each parameter, only one has 'W'"
    )
    assert refused(a | {"W": w}, a | {"W": np.ones(6)}) == (
        "ValueError: the gradient of 'W' must be float64(2, 3), got float64(6,)"
    )
    assert refused(a | {"W": w}, a | {"W": g.astype("f")}) == (
        "ValueError: the gradient of 'W' must be float64(2, 3), got float32(2, 3)"
    )
    assert refused(a | {"W": w.astype(int)}, a | {"W": g.astype(int)}) == (
        "TypeError: Momentum takes float32 or float64, got 'W' of int64"
    )
    assert refused(a | {"W": w.astype(">f8")}, a | {"W": g}).startswith("TypeError: Momentum takes")
    assert refused(a | {"W": read_only}, a | {"W": g}) == (
        "ValueError: Momentum changes arrays in place, got 'W' read-only"
    )
    assert refused(a | {"W": [1.0]}, a | {"W": g}) == (
        "TypeError: Momentum changes arrays in place, got 'W' as list and ndarray"
    )
    g[1, 1] = np.nan
    assert refused(a | {"W": w}, a | {"W": g}) == (
        "FloatingPointError: the gradient of 'W' is not finite; nothing has been changed"
    )


def test_update_refuses_arrays_that_are_not_like_their_state():
    optimizer = Momentum(0.1)
    optimizer.update({"W": np.ones((2, 3))}, {"W": np.ones((2, 3))})
    kept = optimizer.kept["W"].state["v"].copy()
    assert refused({"W": np.ones((3, 2))}, {"W": np.ones((3, 2))}, optimizer) == (
        "ValueError: Momentum has a state of float64(2, 3) for 'W', got float64(3, 2)"
    )
    single = np.ones((2, 3), "f")
    assert refused({"W": single}, {"W": single}, optimizer) == (
        "ValueError: Momentum has a state of float64(2, 3) for 'W', got float32(2, 3)"
    )
    assert_array_equal(optimizer.kept["W"].state["v"], kept)


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
        (lambda: Group("*", lr_scale=-1), r"lr_scale must be in \[0, inf\), got -1"),
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
        (lambda: Adam("1e-3"), r"lr must be a number in \(0, inf\), got '1e-3'"),
        (lambda: Adam(None), r"lr must be a number in \(0, inf\), got None"),
        (lambda: Adam(amsgrad=1), "amsgrad must be True or False, got 1"),
        (lambda: SGD(weight_decay=True), r"weight_decay must be a number in \[0, inf\), got True"),
        (lambda: SGD(groups=["conv.*"]), r"groups must be deepfs Groups, got 'conv.\*'"),
        (lambda: Group(3), "Group takes names of parameters, got 3"),
        (lambda: Group("*", regularizer=[0.1]), "Group takes deepfs regularizers, got 0.1"),
        (lambda: Group("*", regularizer=0.1), "Group takes deepfs regularizers, got 0.1"),
        (lambda: Group("*", frozen=1), "frozen must be True or False, got 1"),
        (lambda: L1(0.1, proximal="yes"), "proximal must be True or False, got 'yes'"),
    ],
)
def test_refuses_other_kinds(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_refuses_a_group_that_names_nothing(rng):
    with pytest.raises(
        ValueError, match=r"no parameter matches 'conv9\.\*' of a Group; there are conv\.weight, co"
    ):
        grouped_step(SGD(groups=[Group("conv9.*", frozen=True)]), rng)


def test_every_setting_has_its_paragraph():
    for name in set(optimizers.__all__) - {"Arena", "Optimizer"}:
        kind = getattr(optimizers, name)
        shared = {field.name for field in fields(Optimizer)} - {"lr"}
        for field in fields(kind):
            if field.name not in shared:
                assert field.name in kind.__doc__, (name, field.name)
        if issubclass(kind, Optimizer):
            assert "**frame" in kind.__doc__
            assert "References" in kind.__doc__


def test_the_momentum_of_nadam_is_forgotten_after_some_hundred_steps():
    w, optimizer = np.ones(3), NAdam(beta1=0.875)
    optimizer.step(w, np.ones(3), optimizer.init(w), t=10**9)
    assert np.isfinite(w).all()
    assert len(adam.momentum_products(0.875, optimizer.momentum_decay)) < 1000


def test_kernel_refuses_what_would_crash():
    w, short = np.zeros(5), np.zeros(4)
    pieces, groups = np.array([[0, 5, 0, 0]]), np.array([[1.0, 0, 0, 0, 0]])
    factors, sums = np.ones(1), np.zeros((1, 2))

    def step(kind=kernel.momentum, g=w, a=w, b=None, cleared=None, pieces=pieces, groups=groups,
             sums=sums):  # fmt: skip
        kernel.step(kind, w, g, a, b, None, cleared, pieces, groups, factors, sums, 0.1, inf)

    step()
    for wrong in (
        {"g": short},
        {"a": short},
        {"a": None},
        {"kind": kernel.adam},
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
        {"sums": np.zeros((2, 2))}, {"sums": np.zeros((1, 3))},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="pieces must have 4 columns, groups 5"):
            step(**wrong)
    for kind in (-1, 14, 99):
        with pytest.raises(ValueError, match="kind must be of this module"):
            step(kind)


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


@pytest.mark.parametrize("optimizer", [SGD(), Momentum(), Adam()], ids=lambda o: type(o).__name__)
def test_a_large_model_comes_back_from_a_file_of_an_older_version(optimizer, tmp_path, data):
    """Files had neither epochs nor penalties, and optimizers the settings of their rule alone."""
    x, y = data
    net = L.Sequential([L.Flatten(), L.Dense(300), L.ReLU(), L.Dense(3)])
    model = dfs.Model(net, dfs.losses.CrossEntropy(), optimizer)
    model.fit(x, y, verbose=0)
    arena = model.arena
    path = tmp_path / "m.safetensors"
    model.save(path)
    with TensorFile(path) as file:
        description = file.description
        tensors = {name: file.read(name) for name in file.entries}
    for name in ("epochs", "report_penalty"):
        del description[name]
    kept = {"SGD": ["lr"], "Momentum": ["lr", "momentum"], "Adam": ["lr", "beta1", "beta2", "eps"]}
    kind = description["optimizer"]["kind"]
    description["optimizer"] = {
        name: description["optimizer"][name] for name in ["kind", *kept[kind]]
    }
    write(path, tensors, description)
    twin = dfs.load(path)
    assert_array_equal(twin.predict(x), model.predict(x))
    for each in (model, twin):
        dfs.set_seed(7)
        each.fit(x, y, verbose=0)
    assert_array_equal(twin.arena.values, model.arena.values)
    assert model.arena is arena


def test_arena_refuses_two_dtypes():
    a, b = L.Dense(1), L.Dense(1)
    a.build((1,), np.float32)
    b.build((1,), np.float64)
    with pytest.raises(ValueError, match=r"one dtype, got \['float32', 'float64'\]"):
        Arena({"a": a.parameters()["weight"], "b": b.parameters()["weight"]})
