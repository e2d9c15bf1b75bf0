"""What every form of convolution is tested with: windows, its reference, a fused ReLU, channels."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import layers as L


def compare(layer, x, forward, backward, tolerance, rng):
    """Check output and all gradients; the references take x, the weights, and bias or dy."""
    layer.build(x.shape[1:], x.dtype)
    weights = layer.parameters()
    for parameter in weights.values():
        parameter.value = rng.standard_normal(parameter.value.shape) / 2
    y, cache = layer.forward(x)
    *values, bias = (p.value for p in weights.values())
    assert y.dtype == x.dtype
    dy = rng.standard_normal(y.shape).astype(x.dtype)
    got = [y, layer.backward(dy, cache), *(p.grad for p in weights.values())]
    expected = [forward(x, *values, bias), *backward(x, *values, dy)]
    for name, mine, wanted in zip(["y", "x", *weights], got, expected, strict=True):
        scale = max(1.0, np.abs(wanted).max(initial=0))
        assert_allclose(mine / scale, wanted / scale, **tolerance, err_msg=name)


WINDOWS = [
    pytest.param({}, id="plain"),
    pytest.param({"stride": (2, 3)}, id="strided"),
    pytest.param({"padding": (1, 2, 3, 0)}, id="padded"),
    pytest.param({"stride": (3, 1), "padding": 2, "dilation": (1, 2)}, id="everything"),
]


def check_fused_relu(make, shape, rng):
    """Check that a ReLU before and after the layer has the same bits in the layer's own pass."""
    net = L.Sequential([L.ReLU(), make(), L.ReLU()])
    x = rng.standard_normal(shape)
    y, cache = net.forward(x)
    dy = rng.standard_normal(y.shape)
    dx, inner = net.backward(dy, cache), net.layers[1]
    grads = [p.grad.copy() for p in net.parameters().values()]
    for parameter in net.parameters().values():
        parameter.grad = np.zeros(parameter.value.shape)
    plain, cache = inner.forward(np.maximum(x, 0))
    assert_array_equal(y, np.maximum(plain, 0))
    assert_array_equal(net(x), y)
    assert_array_equal(dx, np.where(x > 0, inner.backward(np.where(plain > 0, dy, 0), cache), 0))
    for parameter, grad in zip(net.parameters().values(), grads, strict=True):
        assert_array_equal(parameter.grad, grad)


def check_other_channels(layer, shape, other):
    """Check that a layer built for 4 channels refuses others, but takes another size."""
    layer(np.zeros((1, *shape)))
    message = f"{layer.label} takes 4 channels, got an"
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(np.zeros((1, *other)))
    layer(np.zeros((1, 4, *(9 for _ in shape[1:]))))
