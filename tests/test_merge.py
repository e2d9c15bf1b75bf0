"""Layers of several inputs: against the NumPy reference, on arrays, and what they refuse."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import reference
from deepfs.testing import check_gradient

SHAPES = [(3, 4, 5, 6), (3, 4, 5), (3, 4)]


def arrays(count, shape, dtype, rng):
    return tuple(rng.standard_normal(shape).astype(dtype) for _ in range(count))


def wanted_gradients(layer, x, dy):
    if isinstance(layer, L.Add):
        return reference.add_backward(dy, len(x))
    if isinstance(layer, L.Subtract):
        return reference.subtract_backward(dy)
    if isinstance(layer, L.Multiply):
        return reference.multiply_backward(dy, x)
    return reference.concat_backward(dy, [a.shape[layer.axis] for a in x], layer.axis)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("make", "twin", "count"),
    [
        (L.Add, reference.add, 2), (L.Add, reference.add, 3), (L.Subtract, reference.subtract, 2),
        (L.Multiply, reference.multiply, 2), (L.Multiply, reference.multiply, 3),
        (L.Concat, reference.concat, 2), (L.Concat, reference.concat, 3),
        (lambda: L.Concat(-1), lambda x: reference.concat(x, -1), 2),
    ],
)  # fmt: skip
def test_matches_the_reference(make, twin, count, shape, dtype, rng):
    layer, x = make(), arrays(count, shape, dtype, rng)
    before = [a.copy() for a in x]
    y, cache = layer.forward(x, training=True)
    assert y.dtype == dtype
    assert_array_equal(y, twin(x))
    assert_array_equal(layer(list(x)), y)  # a list is a tuple
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx = layer.backward(dy, cache)
    for got, wanted in zip(dx, wanted_gradients(layer, x, dy), strict=True):
        assert got.dtype == dtype
        assert_allclose(got, wanted, rtol=1e-6)
    assert layer.backward(dy, cache, need_dx=False) is None
    for now, then in zip(x, before, strict=True):
        assert_array_equal(now, then)


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -3])
def test_images_are_joined_along_any_axis(axis, rng):
    a, b = arrays(2, (2, 3, 4, 5), np.float64, rng)
    layer = L.Concat(axis)
    y, cache = layer.forward((a, b))
    assert_array_equal(y, np.concatenate((a, b), axis))
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous
    for got, wanted in zip(layer.backward(y, cache), (a, b), strict=True):
        assert_array_equal(got, wanted)


def test_a_gate_scales_channels(rng):
    image, gate = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3, 1, 1))
    layer = L.Multiply()
    y, cache = layer.forward((image, gate))
    assert_array_equal(y, image * gate)
    dy = rng.standard_normal(y.shape)
    dx = layer.backward(dy, cache)
    assert dx[1].shape == gate.shape

    def objective(_):
        return float(np.vdot(layer((image, gate)), dy))

    check_gradient(objective, image, dx[0])
    check_gradient(objective, gate, dx[1])


def test_dtypes_of_inputs_that_differ():
    a, b = np.ones((2, 3), np.float32), np.ones((2, 3))
    assert L.Add()((a, a)).dtype == np.float32
    assert L.Add()((a, b)).dtype == np.float64
    assert L.Add()((np.ones((2, 3), int), a)).dtype == np.float32


A, B = np.zeros((2, 3, 4, 4)), np.zeros((2, 5, 4, 4))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: L.Add()((A, B)), "Add must add equal shapes, got (3, 4, 4), (5, 4, 4)"),
        (lambda: L.Subtract(name="s")((A, B)),
         'Subtract "s" must subtract equal shapes, got (3, 4, 4), (5, 4, 4)'),
        (lambda: L.Subtract()((A, A, A)), "Subtract takes 2 inputs, got 3"),
        (lambda: L.Multiply()((A, B)),
         "Multiply must multiply shapes that are equal but for extents of 1, got (3, 4, 4), "),
        (lambda: L.Multiply()((A, np.zeros((2, 3)))), "but for extents of 1, got (3, 4, 4), (3,)"),
        (lambda: L.Concat()((A, A[:, :, 1:])),
         "Concat must join shapes equal but for the channels, got (3, 4, 4), (3, 3, 4)"),
        (lambda: L.Concat(2)((A, B)), "equal but for the axis 2 of the batch, got (3, 4, 4), "),
        (lambda: L.Concat(4)((A, A)), "equal but for the axis 4 of the batch"),
        (lambda: L.Concat()((A, np.zeros((2, 3)))), "for the channels, got (3, 4, 4), (3,)"),
        (lambda: L.Concat(-4)((A, A)), "equal but for the axis -4 of the batch"),
        (lambda: L.Concat(0), "axis must be at least 1, or below 0, got 0: that of the samples"),
        (lambda: L.Add()(A), "Add takes a tuple of inputs, (a, b), got one of shape (2, 3, 4"),
        (lambda: L.Add()((A,)), "Add takes at least 2 inputs, got 1"),
        (lambda: L.Add()({"a": A}), "takes a tuple of inputs, (a, b), got a dict of 'a'"),
        (lambda: L.Add()((A, A[:1])), "Add takes inputs of equally many samples, got [2, 1]"),
        (lambda: L.Add()((np.float32(1), A)), "Add takes a batch, got a single number"),
        (lambda: L.Sequential([L.Add()])(A), "takes a tuple of inputs, (a, b), got one of"),
    ],
)  # fmt: skip
def test_refuses(act, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        act()


def test_refuses_a_gradient_of_another_shape():
    layer = L.Add()
    y, cache = layer.forward((A, A))
    with pytest.raises(ValueError, match=r"Add.backward takes the gradient of an output \(2, 3, 4"):
        layer.backward(y[:1], cache)


def test_a_layer_of_one_input_refuses_two(rng):
    x = L.Input((3,))
    with pytest.raises(ValueError, match="Dense takes one input, got 2: Concat them"):
        L.Dense(4)((x, x))
    assert L.Dense(4)([x]).shape == (4,)


def test_sums_are_the_same_for_any_number_of_threads(threads, rng):
    a, b, c = arrays(3, (4, 30, 40, 40), np.float32, rng)
    assert_array_equal(L.Add()((a, b, c)), a + b + c)
    assert dfs.Graph is L.Graph
