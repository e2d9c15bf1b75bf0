"""Muon: its iteration against singular values and NumPy, in networks, beside AdamW."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import reference
from deepfs.optimizers import AdamW, Arena, Group, Muon, Optimizer
from deepfs.optimizers.muon import orthogonalized
from deepfs.testing import any_work_on
from every_optimizer import grouped_step, network


def matrix_of(w):
    """Outputs as rows, inputs as columns."""
    return w.T if w.ndim == 2 else w.reshape(len(w), -1)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (8, 2, 3, 3), (3, 7, 2, 1), (40, 9, 3)])
def test_is_the_formula(shape, nesterov, rng, dtype):
    optimizer = Muon(0.1, 0.8, nesterov, 4, weight_decay=0.2)
    w = {"W": rng.standard_normal(shape).astype(dtype)}
    right, m = matrix_of(w["W"].astype(float)), 0
    for _ in range(4):
        g = rng.standard_normal(shape).astype(dtype)
        optimizer.update(w, {"W": g})
        right, m = reference.muon(
            right, matrix_of(g.astype(float)), m, 0.1, 0.8, nesterov, 4, decay=0.2
        )
    assert_allclose(matrix_of(w["W"]), right, atol=1e-12 if dtype == np.float64 else 2e-5)


@pytest.mark.parametrize("shape", [(30, 20), (20, 50), (16, 16)])
def test_singular_values_are_near_1_and_vectors_stay(shape, rng):
    u, _, v = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
    values = np.geomspace(1, 0.05, min(shape))
    x = orthogonalized(7 * u * values @ v, 5)
    core = u.T @ x @ v.T
    assert_allclose(core - np.diag(np.diag(core)), 0, atol=1e-12)
    assert np.diag(core).min() > 0.65
    assert np.diag(core).max() < 1.25
    assert_array_equal(orthogonalized(np.zeros(shape), 5), np.zeros(shape))


def test_matrices_by_muon_and_the_rest_by_adamw(rng):
    settings = {"lr": 0.1, "weight_decay": 0.1}
    adam = AdamW(0.1 * 0.015, 0.9, 0.95, 1e-10, weight_decay=0.1 / 0.015)
    before, after, grads, _ = grouped_step(
        Muon(**settings, adam="head.*"), np.random.default_rng(4)
    )
    _, by_adam, *_ = grouped_step(adam, np.random.default_rng(4))
    for name, w in after.items():
        if name == "conv.weight":
            args = (matrix_of(before[name]), matrix_of(grads[name]), 0, 0.1, 0.95, True, 5, 0.1)
            assert_allclose(matrix_of(w), reference.muon(*args)[0], atol=1e-12)
        else:
            assert_allclose(w, by_adam[name], rtol=1e-11, atol=1e-14)
    _, both, *_ = grouped_step(Muon(**settings), np.random.default_rng(4))
    assert not np.allclose(both["head.weight"], after["head.weight"])


def test_groups_scale_and_freeze(rng):
    groups = [Group("conv.*", lr_scale=0.5), Group("head.weight", frozen=True)]
    before, plain, *_ = grouped_step(Muon(0.1), np.random.default_rng(3))
    _, after, *_ = grouped_step(Muon(0.1, groups=groups), np.random.default_rng(3))
    moved = after["conv.weight"] - before["conv.weight"]
    assert_allclose(moved, (plain["conv.weight"] - before["conv.weight"]) / 2, rtol=1e-9)
    assert_array_equal(after["head.weight"], before["head.weight"])


def test_the_same_bits_for_any_number_of_threads(rng, dtype):
    g = rng.standard_normal((96, 300)).astype(dtype)
    found = []
    for threads in (1, 2, 3):
        with any_work_on(threads):
            found.append(orthogonalized(g, 5))
    assert_array_equal(found[0], found[1])
    assert_array_equal(found[0], found[2])


class Names(Optimizer):
    """Notes what `StepContext.arrays` yields, and takes a step of SGD."""

    per_array = True

    def init(self, w):
        return {}

    def _step(self, context):
        vars(self)["seen"] = {}
        for name, w, g, _, lr in context.arrays():
            self.seen[name] = w.shape
            w -= lr * g


def test_arrays_are_the_parameters_in_their_shapes(rng):
    optimizer = Names(0.5)
    before, after, grads, _ = grouped_step(optimizer, rng)
    parameters = network().parameters()
    assert optimizer.seen == {name: p.value.shape for name, p in parameters.items()}
    for name, w in after.items():
        assert_allclose(w, before[name] - 0.5 * grads[name], rtol=1e-12)


def test_arrays_clear_gradients_of_all_parameters(rng):
    net = network()
    arena = Arena(net.parameters())
    arena.grads[:] = 1
    optimizer = Muon(0.1)
    state, plan = optimizer.init(arena.values), optimizer.plan(arena.spans)
    optimizer.step(arena.values, arena.grads, state, 1, plan, clear=True)
    assert not arena.grads.any()


def test_refuses():
    class Forgot(Names):
        per_array = False

    with pytest.raises(RuntimeError, match="for rules of whole arrays: set per_array = True"):
        Forgot(0.1).update({"w": np.ones(2)}, {"w": np.ones(2)})
    for settings, message in [
        ({"momentum": 1}, r"momentum must be in \[0, 1\), got 1"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"adam_scale": 0}, r"adam_scale must be in \(0, inf\), got 0"),
        ({"beta2": 1.0}, r"beta2 must be in \[0, 1\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            Muon(**settings)
    with pytest.raises(TypeError, match=r'adam must be patterns .* "head\.\*", got 3'):
        Muon(adam=3)
    with pytest.raises(ValueError, match=r"haed\.\*"):
        grouped_step(Muon(adam="haed.*"), np.random.default_rng(0))


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("shape", [(6, 30), (30, 6), (6, 7), (1, 9)])
def test_any_number_of_iterations_is_the_formula(shape, steps, rng):
    d = rng.standard_normal(shape)
    x = d / np.linalg.norm(d)
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
    before = d.copy()
    assert_allclose(orthogonalized(d, steps), x, atol=1e-11)
    assert_array_equal(d, before)


def test_rounding_errors_stay_small_in_single_precision(rng):
    """Each Gram matrix that follows from the one before it errs 12 times as much."""
    u, _, v = np.linalg.svd(rng.standard_normal((64, 216)), full_matrices=False)
    for values in (np.geomspace(1, 1e-4, 64), np.where(np.arange(64) < 3, 1, 1e-3)):
        d = u * values @ v
        assert_allclose(orthogonalized(d.astype("f"), 5), orthogonalized(d, 5), atol=8e-6)
