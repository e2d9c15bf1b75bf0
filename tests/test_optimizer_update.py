"""`Optimizer.update`: steps on dicts of plain arrays, as the textbook takes them."""

import copy
import re
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from deepfs.layers import Parameter
from deepfs.optimizers import SGD, Adam, Group, Momentum, Muon
from deepfs.schedules import Step
from every_optimizer import every


@every
def test_update_is_a_step_per_array(kind, settings, rng):
    """Two dicts of plain arrays, one of them strided, one Fortran-ordered, one of no axes."""
    if kind is Muon:
        pytest.skip("its step depends on the shape: test_muon.py")
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
    assert refused(a | {"W": Parameter(w)}, a | {"W": g}).endswith(
        "got 'W' as Parameter and ndarray: call step(network), or give parameter.value"
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


@pytest.mark.parametrize("kind", [float, np.float64, np.float32], ids=lambda kind: kind.__name__)
def test_numbers_are_replaced_by_numbers(kind):
    """They take the steps of arrays without axes."""
    arrays, numbers = {"x": np.array(2.0, kind), "y": np.array(3.0, kind)}, {"x": 2.0, "y": 3.0}
    numbers = {name: kind(value) for name, value in numbers.items()}
    one, other = Adam(0.1), Adam(0.1)
    for _ in range(5):
        one.update(numbers, {name: 2 * value for name, value in numbers.items()})
        other.update(arrays, {name: 2 * value for name, value in arrays.items()})
    for name, value in numbers.items():
        assert type(value) is kind
        assert value == arrays[name]


def test_numbers_beside_arrays():
    params = {"W": np.ones(2), "b": 0}  # an int becomes a float
    SGD(0.5).update(params, {"W": np.ones(2), "b": np.float32(1)})
    assert_array_equal(params["W"], [0.5, 0.5])
    assert (params["b"], type(params["b"])) == (-0.5, float)
    SGD(0.5).update(params, {"W": np.ones(2), "b": np.array(1.0)})
    assert params["b"] == -1.0
    params = {"b": np.array(1.0)}  # an array stays one
    held = params["b"]
    SGD(0.5).update(params, {"b": 1.0})
    assert (held, params["b"] is held) == (0.5, True)


def test_numbers_that_are_refused():
    assert refused({"b": True}, {"b": 1.0}) == (
        "TypeError: Momentum changes arrays in place, got 'b' as bool and float"
    )
    assert refused({"b": 1.0}, {"b": np.ones(1)}) == (
        "TypeError: the gradient of the number 'b' must be a number, got array([1.])"
    )
    assert refused({"b": np.int64(1)}, {"b": 1.0}) == (
        "TypeError: Momentum changes arrays in place, got 'b' as int64 and float"
    )
    assert refused({"b": 1.0}, {"b": np.nan}) == (
        "FloatingPointError: the gradient of 'b' is not finite; nothing has been changed"
    )
    optimizer = Momentum(0.1)
    with pytest.raises(TypeError, match="replaces numbers in a dict, got a mappingproxy"):
        optimizer.update(MappingProxyType({"b": 1.0}), {"b": 1.0})
    with pytest.raises(TypeError, match="takes dicts of arrays, got params as list"):
        optimizer.update([np.ones(2)], [np.ones(2)])


def test_an_optimizer_without_state_serves_several_networks():
    optimizer = SGD(0.5)
    for shape in ((2, 3), (4,), (2, 3)):
        params = {"W": np.ones(shape)}
        optimizer.update(params, {"W": np.ones(shape)})
        assert_array_equal(params["W"], np.full(shape, 0.5))


@pytest.mark.parametrize("optimizer", [Momentum(0.1), Adam(), SGD(Step(0.1, 3))],
                         ids=["Momentum", "Adam", "schedule"])  # fmt: skip
def test_an_optimizer_with_a_state_serves_one_network(optimizer):
    optimizer = copy.deepcopy(optimizer)
    first, second = {"W": np.ones(3)}, {"W": np.ones(3)}
    g = {"W": np.ones(3)}
    optimizer.update(first, g)
    after = first["W"].copy()
    kept = "the count of steps" if isinstance(optimizer, SGD) else "the state"
    kind = type(optimizer).__name__
    assert refused(second, g, optimizer) == (
        f"ValueError: {kind} keeps {kept} of another array called 'W': make an optimizer for each "
        "network, or write into the array, params['W'][...] = new"
    )
    copy.deepcopy(optimizer).update(second, g)  # a copy serves a copy
    assert_array_equal(first["W"], after)
    optimizer.update({"W": first["W"].view()}, g)  # the same memory
    first["W"] = first["W"].copy()  # the array of the state is gone
    optimizer.update(first, g)


def test_a_shared_array_is_stepped_once():
    """By the sum of its gradients, as in a network in which a layer occurs twice."""
    w, other = np.ones((2, 2)), np.ones((2, 2))
    one, two = Adam(0.1), Adam(0.1)
    for turn in range(3):
        g = np.full((2, 2), 1.0 + turn)
        one.update({"encoder": w, "decoder": w}, {"encoder": g, "decoder": 2 * g})
        two.update({"W": other}, {"W": 3 * g})
    assert_array_equal(w, other)
    g = np.ones((2, 2))
    w[...] = 1
    SGD(0.5).update({"a": w, "b": w, "c": w}, {"a": g, "b": g, "c": g})  # their sum already
    assert_array_equal(w, np.full((2, 2), 0.5))
    assert_array_equal(g, 1)
    SGD(0.5).update({"a": w, "b": w, "c": w}, {"a": g.copy(), "b": g.copy(), "c": g.copy()})
    assert_array_equal(w, np.full((2, 2), -1.0))


def test_arrays_that_overlap_are_refused():
    whole = np.zeros(10)
    for a, b in ((whole[:6], whole[5:]), (whole, whole[3:4]), (whole[::2], whole[::3]),
                 (whole, whole[::-1]), (whole.reshape(2, 5), whole)):  # fmt: skip
        g = {"a": np.ones(a.shape), "x": np.ones(2), "b": np.ones(b.shape)}
        assert refused({"a": a, "x": np.ones(2), "b": b}, g) == (
            "ValueError: Momentum needs arrays that do not overlap, got 'a' and 'b' in the same "
            "memory: give copies, or the whole array once"
        )
    for a, b in ((whole[:5], whole[5:]), (whole[::2], whole[1::2]), (whole[:0], whole[:0])):
        SGD(1.0).update({"a": a, "b": b}, {"a": np.ones(a.shape), "b": np.ones(b.shape)})
    assert_array_equal(whole, -2)


def test_gradients_may_lie_in_the_parameters():
    """The gradient of half the square of w is w; a step must read it before it writes."""
    w = np.arange(1.0, 8.0)
    SGD(1.0).update({"a": w[:-1]}, {"a": w[1:]})
    assert_array_equal(w[:-1], -1)
    a, b = np.ones(3), np.full(3, 2.0)
    SGD(1.0).update({"a": a, "b": b}, {"a": b, "b": a})
    assert_array_equal([a, b], [[-1] * 3, [1] * 3])


def test_a_function_is_a_regularizer():
    """Of the form (w) -> (penalty, gradient): L2 by hand."""
    given = []

    def half_squares(w):
        given.append(w)
        return 0.5 * np.square(w).sum(), w

    groups = [Group("*", regularizer=[half_squares])]
    params = {"W": np.asfortranarray(np.array([[1.0, 2.0], [3.0, 4.0]])), "b": np.ones(2)}
    grads = {"W": np.zeros((2, 2)), "b": np.zeros(2)}
    SGD(0.5, groups=groups).update(params, grads)
    assert_array_equal(params["W"], [[0.5, 1], [1.5, 2]])
    assert_array_equal(params["b"], 1)  # biases are not regularized
    assert not grads["W"].any()
    assert not given[0].flags.writeable
    SGD(0.5, groups=[Group("*", regularizer=half_squares, biases=True)]).update(params, grads)
    assert_array_equal(params["b"], 0.5)
    frozen = [*groups, Group("W", frozen=True)]
    SGD(0.5, groups=frozen).update(params, grads)
    assert_array_equal(params["W"], [[0.25, 0.5], [0.75, 1]])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda w: w, r"TypeError: the regularizer of 'W' must return \(penalty, gradient\), got"),
        (lambda w: (0.0, w[0]), r"ValueError: .* must return a gradient \(2, 3\), got float64 \("),
        (lambda w: (0.0, w / 0), "FloatingPointError: the regularizer of 'W' returned a gradient"),
    ],
)
def test_refuses_what_a_regularizer_returns(function, message):
    optimizer = Momentum(0.1, groups=[Group("W", regularizer=function)])
    with np.errstate(all="ignore"):
        assert re.match(message, refused({"W": np.ones((2, 3))}, {"W": np.ones((2, 3))}, optimizer))
