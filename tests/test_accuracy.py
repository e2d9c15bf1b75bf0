"""How many digits a float32 convolution keeps: the promises of ``Conv2D``, against float64.

The float64 result sums directly, and is itself compared with NumPy in ``test_conv.py``. An error is
the largest difference over the largest value.
"""

import numpy as np
import pytest

from deepfs.layers import Conv2D

BATCHES = 3
BOUNDS = {  # of y, dx and the gradient of the weight
    "direct": (3.2e-7, 5.4e-7, 1.0e-6),
    "winograd": (1.5e-5, 1.5e-5, 2.0e-5),
}
# shape of x, filters, kernel: sums of 25 to 4608 products forward, of 98 to 8192 over the places
SHAPES = [
    pytest.param((8, 3, 32, 32), 32, 3, id="3 to 32 channels"),
    pytest.param((8, 64, 16, 16), 64, 3, id="64 channels"),
    pytest.param((4, 256, 14, 14), 256, 3, id="256 channels"),
    pytest.param((2, 512, 7, 7), 512, 3, id="512 channels"),
    pytest.param((8, 1, 28, 28), 8, 5, id="5x5, 1 to 8 channels"),
]


def convolve(x, weight, dy, algorithm):
    """Return y, dx and the gradient of the weight, which lies (kh, kw, ci, co)."""
    layer = Conv2D(weight.shape[3], weight.shape[0], padding="same", algorithm=algorithm,
                   initializer="zeros")  # fmt: skip
    layer.build(x.shape[1:], x.dtype)
    assert (layer.algorithm_for(x.shape[1:]) == "winograd") == (algorithm == "winograd")
    layer.parameters()["weight"].storage[:] = weight
    y, cache = layer.forward(x)
    dx = layer.backward(dy, cache)
    return y, dx, layer.parameters()["weight"].grad


def error(got, right):
    return float(np.abs(got - right).max() / np.abs(right).max())


@pytest.mark.parametrize(("shape", "filters", "kernel"), SHAPES)
def test_float32_keeps_its_digits(shape, filters, kernel):
    """Standard normal images and gradients, weights scaled as by He et al."""
    n, c, h, w = shape
    errors = {"direct": []} if kernel == 5 else {"direct": [], "winograd": []}
    for batch in range(BATCHES):
        rng = np.random.default_rng(batch)
        x = rng.standard_normal((n, h, w, c), np.float32).transpose(0, 3, 1, 2)
        dy = rng.standard_normal((n, h, w, filters), np.float32).transpose(0, 3, 1, 2)
        weight = rng.standard_normal((kernel, kernel, c, filters), np.float32)
        weight *= np.sqrt(2 / (c * kernel**2))
        right = convolve(*(a.astype(float) for a in (x, weight, dy)), "direct")
        for algorithm, found in errors.items():
            got = convolve(x, weight, dy, algorithm)
            assert got[0].dtype == np.float32
            found.append(list(map(error, got, right)))
    for algorithm, found in errors.items():
        for what, worst, bound in zip(
            ("y", "dx", "dweight"), np.max(found, axis=0), BOUNDS[algorithm], strict=True
        ):
            assert worst <= bound, f"{algorithm}: {what} errs by {worst:.2e}, not {bound:.1e}"
