"""`deepfs.numerical_gradient`: slopes by central differences."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L


def bowl(x):
    return x[0] ** 2 + x[1] ** 2


@pytest.mark.parametrize(
    "x",
    [
        np.array([3.0, 4.0]),
        np.array([3, 4]),
        np.array([3, 4], np.int8),
        np.array([3, 4], np.float32),
        np.array([3, 4], np.float16),
        [3, 4],
    ],
    ids=["float64", "int", "int8", "float32", "float16", "list"],
)
def test_the_bowl_of_the_textbook_has_6_and_8(x):
    slopes = dfs.numerical_gradient(bowl, x)
    assert slopes.dtype == np.float64
    assert_allclose(slopes, [6, 8], rtol=1e-9)  # a step of 1e-4 in float32 gives 5.98907


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (2, 3, 2, 2), (0,), (3, 0)])
def test_any_shape(shape, rng):
    x = np.array(rng.standard_normal(shape) * 10)
    slopes = dfs.numerical_gradient(lambda x: (x**3).sum(), x)
    assert slopes.shape == shape
    assert_allclose(slopes, 3 * x**2, rtol=1e-7, atol=1e-7)


def test_large_entries_have_large_steps():
    x = np.array([1e8, -1e6, 1e-3])
    assert_allclose(
        dfs.numerical_gradient(lambda x: (x**2).sum(), x)[:2], 2 * x[:2], rtol=1e-7, atol=0
    )
    steps = []
    dfs.numerical_gradient(lambda x: steps.append(x) or 0.0, x)
    widths = [(a - b)[i] / 2 for i, (a, b) in enumerate(zip(steps[::2], steps[1::2], strict=True))]
    assert_allclose(widths, [1e3, 10, 1e-5], rtol=1e-6)


def test_x_is_never_changed(rng):
    x = rng.standard_normal((2, 3))
    before, seen = x.copy(), []
    x.flags.writeable = False

    def f(moved):
        assert_array_equal(x, before)
        assert not np.shares_memory(moved, x)
        seen.append(moved)
        total = (moved**2).sum()
        moved[:] = 0  # a function may use its argument up
        return total

    assert_allclose(dfs.numerical_gradient(f, x), 2 * x, rtol=1e-8)
    assert len(seen) == 2 * x.size
    with pytest.raises(ZeroDivisionError):
        dfs.numerical_gradient(lambda moved: 1 / 0, x)
    assert_array_equal(x, before)


def test_strided_views_and_numbers(rng):
    x = rng.standard_normal((4, 6))[::2, ::-3].T
    assert_allclose(dfs.numerical_gradient(lambda a: (a**2).sum(), x), 2 * x, rtol=1e-8)
    slope = dfs.numerical_gradient(np.sin, 0.5)
    assert slope.shape == ()
    assert abs(slope - np.cos(0.5)) < 1e-10


@pytest.mark.parametrize(
    "result", [2, 2.0, np.float32(2), np.array(2.0), np.array([[2.0]]), True], ids=repr
)
def test_results_that_are_one_number(result):
    assert_array_equal(dfs.numerical_gradient(lambda x: result, [1.0, 2.0]), [0, 0])


def test_a_network(rng):
    net, x = L.Sequential([L.Dense(4), L.Tanh(), L.Dense(1)]), rng.standard_normal((3, 5))
    y, cache = net.forward(x)
    dx = net.backward(np.ones_like(y), cache)
    assert_allclose(dfs.numerical_gradient(lambda x: net(x).sum(), x), dx, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("f", "x", "error", "words"),
    [
        ([3.0], bowl, TypeError, r"takes a function of x first, got \[3.0\]: numerical_gradient"),
        (lambda x: x**2, [1.0, 2.0], ValueError, r"shape \(2,\): return its sum or mean"),
        (lambda x: None, [1.0], TypeError, "f must return one number, got None"),
        (lambda x: 1j, [1.0], TypeError, "f must return one number, got 1j"),
        (lambda x: "2", [1.0], TypeError, "f must return one number, got '2'"),
        (bowl, [1j], TypeError, "takes real numbers, got x of complex128"),
        (bowl, "34", TypeError, "numerical_gradient"),
        (bowl, None, TypeError, "numerical_gradient"),
    ],
)
def test_what_it_refuses(f, x, error, words):
    with pytest.raises(error, match=words):
        dfs.numerical_gradient(f, x)
