"""`Optimizer.update`: steps on dicts of plain arrays, as the textbook takes them."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from deepfs.optimizers import Adam, Momentum
from every_optimizer import every


@every
def test_update_is_a_step_per_array(kind, settings, rng):
    """Two dicts of plain arrays, one of them strided, one Fortran-ordered, one of no axes."""
    optimizer = kind(**settings)
    shapes = {"W": (4, 6), "b": (6,), "K": (3, 2, 2, 2), "s": ()}
    params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    own = {"W": np.asfortranarray(params["W"]), "b": np.repeat(params["b"], 2)[::2],
           "K": params["K"].copy(), "s": params["s"].copy()}  # fmt: skip
    own["s"] = np.array(params["s"])
    states = {name: optimizer.init(w.reshape(-1).copy()) for name, w in params.items()}
    copied = copy.deepcopy(optimizer)
    held = dict(own)
    for t in range(1, 4):
        grads = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        grads["s"] = np.array(grads["s"])
        copied.update(own, grads | {"W": np.asfortranarray(grads["W"])})
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
    before = optimizer.array_states["W"].state["v"].copy()
    assert refused({"W": np.ones((3, 2))}, {"W": np.ones((3, 2))}, optimizer) == (
        "ValueError: Momentum has a state of float64(2, 3) for 'W', got float64(3, 2)"
    )
    single = np.ones((2, 3), "f")
    assert refused({"W": single}, {"W": single}, optimizer) == (
        "ValueError: Momentum has a state of float64(2, 3) for 'W', got float32(2, 3)"
    )
    assert_array_equal(optimizer.array_states["W"].state["v"], before)


def test_an_array_that_comes_later_starts_with_its_own_first_step():
    """The first steps of Adam are corrected by their number."""
    late, alone = Adam(0.1), Adam(0.1)
    g, w = np.array([4.0]), {"a": np.array([1.0])}
    for _ in range(3):
        late.update(w, {"a": g})
    both, single = w | {"b": np.array([1.0])}, {"b": np.array([1.0])}
    late.update(both, {"a": g, "b": g})
    alone.update(single, {"b": g})
    assert_array_equal(both["b"], single["b"])
