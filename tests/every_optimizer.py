"""One row per public optimizer at least, and per variant; and a network with groups to step on."""

import pytest

from deepfs import layers as L
from deepfs.optimizers import (
    LAMB,
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    Arena,
    Lion,
    Momentum,
    Muon,
    NAdam,
    Nesterov,
    RAdam,
    RMSProp,
)

CASES = [
    (SGD, {"lr": 0.1}),
    (Momentum, {"lr": 0.05, "momentum": 0.8}),
    (Momentum, {"lr": 0.05, "form": "ema"}),
    (Momentum, {"lr": 0.05, "form": "torch", "dampening": 0.3}),
    (Nesterov, {"lr": 0.05}),
    (AdaGrad, {"lr": 0.1}),
    (AdaDelta, {}),
    (RMSProp, {"lr": 0.01}),
    (RMSProp, {"lr": 0.01, "centered": True}),
    (RMSProp, {"lr": 0.01, "momentum": 0.8}),
    (RMSProp, {"lr": 0.01, "centered": True, "momentum": 0.8}),
    (Adam, {"lr": 0.01}),
    (Adam, {"lr": 0.1, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3}),
    (Adam, {"lr": 0.01, "amsgrad": True}),
    (Adam, {"lr": 0.01, "eps_mode": "textbook"}),
    (AdamW, {"lr": 0.01, "weight_decay": 0.1}),
    (NAdam, {"lr": 0.01}),
    (RAdam, {"lr": 0.01}),
    (Adamax, {"lr": 0.01}),
    (Lion, {"lr": 0.01, "weight_decay": 0.1}),
    (LAMB, {"lr": 0.01, "weight_decay": 0.1}),
    (Muon, {"lr": 0.1, "weight_decay": 0.1}),
]


def parametrize(cases):
    """Run a test for each kind of optimizer with its settings."""
    ids = [", ".join([kind.__name__, *(f"{k}={v}" for k, v in s.items())]) for kind, s in cases]
    return pytest.mark.parametrize(("kind", "settings"), cases, ids=ids)


every = parametrize(CASES)

WEIGHTS = ("conv.weight", "head.weight")  # of `network`; the rest are biases, gamma and beta


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
