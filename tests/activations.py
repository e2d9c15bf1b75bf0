"""What tests of activations share."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import activation
from deepfs import layers as L
from deepfs import reference

EXTENDED = np.finfo(np.longdouble).eps < 1e-18  # are the exact results exact?


def setting(name, dtype):
    """Return what the kernel takes besides the arrays."""
    numbers = {"elu": [0.3], "leaky_relu": [0.3], "clip": [-0.7, 6], "scaled_elu": [1.25, 2.5]}
    return (np.array(numbers[name], dtype),) if name in numbers else ()


def forward(name, x):
    y = np.empty_like(x)
    activation.forward(getattr(activation, name), x, y, *setting(name, x.dtype))
    return y


def backward(name, x, dy):
    known = x if getattr(activation, name) in activation.takes_input else forward(name, x)
    dx = np.empty_like(x)
    activation.backward(getattr(activation, name), known, dy, dx, *setting(name, x.dtype))
    return dx


def errors(y, exact):
    """Return the distances from exact results, in units of the last place of these."""
    return np.abs(y - exact) / np.spacing(np.abs(exact).astype(y.dtype)).astype(np.longdouble)


def check_reference(layer, function, settings, dtype, tolerance, rng):
    """Compare output and gradient with the NumPy reference."""
    x = (3 * rng.standard_normal((3, 5, 20, 17))).astype(dtype)
    dy = rng.standard_normal(x.shape).astype(dtype)
    layer = eval(repr(layer), vars(L))
    y, cache = layer.forward(x)
    wide, wide_dy = x.astype(np.float64), dy.astype(np.float64)
    assert_allclose(y, getattr(reference, function)(wide, **settings), **tolerance)
    right = getattr(reference, f"{function}_backward")(wide, wide_dy, **settings)
    assert_allclose(layer.backward(dy, cache), right, **tolerance)


def check_errors(name, exact, few, spread, dtype, rng):
    """Check that results err by less than ``few`` units in the last place.

    Relative to the result: small ones, near 0 and far below, are as exact.
    """
    if not EXTENDED:
        pytest.skip("no precision to compare with")
    least = (-13, -87) if dtype == np.float32 else (-37, -700)
    x = np.clip(rng.uniform(-spread, spread, 20_001), least[name != "gelu"], None).astype(dtype)
    y = forward(name, x)
    right = exact(x.astype(np.longdouble))
    # below, a factor on the way to the result may be denormal, which is zero to a kernel
    counts = np.abs(right) >= 16 * np.finfo(dtype).tiny
    assert errors(y, right)[counts].max() < few


def check_limits(layer, at, slope, dtype):
    """Check values at +-infinity, +-1e30 and +-0, the sign of zeros, NaN, and the slope at 0."""
    layer = eval(repr(layer), vars(L))
    x = np.array([-np.inf, -1e30, -0.0, 0.0, 1e30, np.inf, np.nan], dtype)
    y, cache = layer.forward(x)
    assert_allclose(y, np.array([*at, np.nan], dtype), rtol=1e-6)
    # a step at -0 is 0; all others that are 0 at 0 keep its sign
    assert_array_equal(np.signbit(y[:-1]), np.signbit(np.array(at)))
    dx = layer.backward(np.ones_like(x), cache)
    assert_allclose(dx[2:4], slope, rtol=1e-6)
    assert np.isfinite(dx[:6]).all()
