"""Optimizers, clipping and schedules against PyTorch's, where it is installed."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from deepfs import schedules
from deepfs.optimizers import (
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    Momentum,
    NAdam,
    Nesterov,
    RAdam,
    RMSProp,
)

torch = pytest.importorskip("torch")
to = torch.optim

STEPS = 100


@pytest.fixture(autouse=True)
def _double():
    """Let PyTorch keep its own numbers, such as NAdam's product, in double too."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


PAIRS = [
    (SGD(0.1), to.SGD, {"lr": 0.1}),
    (Momentum(0.05, 0.8), to.SGD, {"lr": 0.05, "momentum": 0.8}),
    (Momentum(0.05, form="torch"), to.SGD, {"lr": 0.05, "momentum": 0.9}),
    (
        Momentum(0.05, form="torch", dampening=0.3),
        to.SGD,
        {"lr": 0.05, "momentum": 0.9, "dampening": 0.3},
    ),
    (Momentum(0.05 / 0.1, form="ema"), to.SGD, {"lr": 0.05, "momentum": 0.9}),
    (Nesterov(0.05), to.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    (AdaGrad(0.1), to.Adagrad, {"lr": 0.1, "eps": 1e-7}),
    (AdaDelta(), to.Adadelta, {"lr": 1.0, "rho": 0.95, "eps": 1e-6}),
    (RMSProp(), to.RMSprop, {"lr": 1e-3, "alpha": 0.9, "eps": 1e-7}),
    (RMSProp(centered=True), to.RMSprop, {"alpha": 0.9, "eps": 1e-7, "centered": True, "lr": 1e-3}),
    (RMSProp(momentum=0.8), to.RMSprop, {"alpha": 0.9, "eps": 1e-7, "momentum": 0.8, "lr": 1e-3}),
    (
        RMSProp(momentum=0.8, centered=True),
        to.RMSprop,
        {"alpha": 0.9, "eps": 1e-7, "momentum": 0.8, "centered": True, "lr": 1e-3},
    ),
    (Adam(), to.Adam, {"lr": 1e-3}),
    (
        Adam(0.1, beta1=0.5, beta2=0.9, eps=1e-3),
        to.Adam,
        {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3},
    ),
    (Adam(amsgrad=True), to.Adam, {"lr": 1e-3, "amsgrad": True}),
    (AdamW(amsgrad=True), to.AdamW, {"lr": 1e-3, "amsgrad": True, "weight_decay": 0}),
    (NAdam(), to.NAdam, {"lr": 2e-3}),
    (RAdam(0.01), to.RAdam, {"lr": 0.01}),
    (Adamax(), to.Adamax, {"lr": 2e-3}),
]


def paths(optimizer, kind, settings, clip=None):
    """Take steps on the same gradients, some of them tiny or zero; return both weights."""
    rng = np.random.default_rng(0)
    w = {"a": rng.standard_normal((7, 13)), "b": rng.standard_normal((5, 3, 2, 2))}
    theirs = {name: torch.tensor(value, requires_grad=True) for name, value in w.items()}
    peer = kind(list(theirs.values()), **settings)
    for step in range(STEPS):
        scale = 10 ** rng.uniform(-4, 1)
        g = {name: scale * rng.standard_normal(value.shape) for name, value in w.items()}
        g["a"][step % 7] = 0
        for name, value in g.items():
            theirs[name].grad = torch.tensor(value)
        norm = None
        if clip == "norm":
            norm = float(torch.nn.utils.clip_grad_norm_(theirs.values(), 1.0))
        elif clip == "value":
            torch.nn.utils.clip_grad_value_(theirs.values(), 0.5)
        elif clip == "each":
            for value in theirs.values():
                torch.nn.utils.clip_grad_norm_([value], 1.0)
        peer.step()
        got = optimizer.update(w, g)
        if norm is not None:
            assert got == pytest.approx(norm, rel=1e-13)
    return w, {name: value.detach().numpy() for name, value in theirs.items()}


def close(ours, theirs):
    for name in ours:
        scale = np.abs(theirs[name]).max()
        assert_allclose(ours[name], theirs[name], rtol=1e-12, atol=1e-12 * scale)


NAMES = [f"{type(ours).__name__} {number}" for number, (ours, _, _) in enumerate(PAIRS)]
every_pair = pytest.mark.parametrize(("optimizer", "kind", "settings"), PAIRS, ids=NAMES)


@every_pair
def test_a_hundred_steps(optimizer, kind, settings):
    close(*paths(replace(optimizer), kind, settings))


@every_pair
def test_weight_decay(optimizer, kind, settings):
    ours = replace(optimizer, weight_decay=0.01)
    close(*paths(ours, kind, {**settings, "weight_decay": 0.01}))


@pytest.mark.parametrize(
    ("clip", "change"),
    [("norm", {"clip_norm": 1.0}), ("value", {"clip_value": 0.5}), ("each", {"clip_each": 1.0})],
)
@pytest.mark.parametrize(("optimizer", "kind", "settings"), PAIRS[::4], ids=NAMES[::4])
def test_clipping(optimizer, kind, settings, clip, change):
    ours = replace(optimizer, weight_decay=0.01, **change)
    close(*paths(ours, kind, {**settings, "weight_decay": 0.01}, clip=clip))


SCHEDULES = [
    (schedules.Step(0.1, 7), "StepLR", {"step_size": 7}),
    (schedules.MultiStep(0.1, [5, 40], 0.3), "MultiStepLR", {"milestones": [5, 40], "gamma": 0.3}),
    (schedules.Exponential(0.1, 0.97), "ExponentialLR", {"gamma": 0.97}),
    (schedules.Polynomial(0.1, 60, 2.0), "PolynomialLR", {"total_iters": 60, "power": 2.0}),
    (schedules.Cosine(0.1, 100, 1e-3), "CosineAnnealingLR", {"T_max": 100, "eta_min": 1e-3}),
    (
        schedules.CosineRestarts(0.1, 9, 2, 1e-3),
        "CosineAnnealingWarmRestarts",
        {"T_0": 9, "T_mult": 2, "eta_min": 1e-3},
    ),
    (schedules.OneCycle(0.1, 100), "OneCycleLR", {"max_lr": 0.1, "total_steps": 100}),
    (
        schedules.Warmup(10, schedules.Constant(0.1), start=0.2),
        "LinearLR",
        {"start_factor": 0.2, "total_iters": 10},
    ),
]


def rates_of(scheduler, peer, steps):
    for _ in range(steps):
        yield peer.param_groups[0]["lr"]
        peer.step()
        scheduler.step()


@pytest.mark.parametrize(("schedule", "name", "settings"), SCHEDULES, ids=lambda v: str(v)[:30])
def test_schedules(schedule, name, settings):
    peer = to.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = getattr(to.lr_scheduler, name)(peer, **settings)
    theirs = list(rates_of(scheduler, peer, 99))
    assert_allclose([schedule(step) for step in range(99)], theirs, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("cooldown", [0, 3])
def test_plateau(mode, cooldown):
    peer = to.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = to.lr_scheduler.ReduceLROnPlateau(
        peer, mode, factor=0.5, patience=2, cooldown=cooldown, min_lr=1e-3
    )
    ours = schedules.Plateau(0.1, factor=0.5, patience=2, mode=mode, cooldown=cooldown, least=1e-3)
    rng = np.random.default_rng(0)
    for epoch in range(60):
        value = math.exp(-epoch / 10) + 0.05 * rng.random()
        value = 2 - value if mode == "max" else value
        scheduler.step(value)
        ours.observe({"loss": value})
        assert ours(0) == pytest.approx(peer.param_groups[0]["lr"], rel=1e-12)


def test_a_schedule_drives_an_optimizer():
    peer = {"lr": 0.1, "momentum": 0.9}

    class Kind(to.SGD):
        def __init__(self, parameters, **settings):
            super().__init__(parameters, **settings)
            self.scheduler = to.lr_scheduler.CosineAnnealingLR(self, STEPS)

        def step(self):
            super().step()
            self.scheduler.step()

    ours = Momentum(schedules.Cosine(0.1, STEPS), form="torch")
    close(*paths(ours, Kind, peer))
