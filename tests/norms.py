"""What tests of the norms of samples share."""

import numpy as np
from numpy.testing import assert_allclose


def run(layer, x, dy, rng):
    """Return gamma, beta, and (y, dx, dgamma, dbeta) of a layer whose gamma and beta are random."""
    layer.build(x.shape[1:], x.dtype)
    gamma, beta = layer.parameters().values()
    gamma.value, beta.value = rng.standard_normal((2, *gamma.value.shape))
    y, cache = layer.forward(x, training=True)
    dx = layer.backward(dy, cache)
    return gamma.value, beta.value, (y, dx, gamma.grad, beta.grad)


def assert_near(got, wanted, dtype):
    """Compare a result and gradients; what is larger, sums above all, errs by more."""
    for name, a, b in zip(("y", "dx", "dgamma", "dbeta"), got, wanted, strict=True):
        atol = (2e-5 if dtype == np.float32 else 2e-12) * max(1, np.abs(b).max())
        assert_allclose(a, b, rtol=0, atol=atol, err_msg=name)
