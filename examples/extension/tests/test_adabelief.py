"""AdaBelief against its formula, and the rules of every optimizer."""

import numpy as np
import pytest
from deepfs_example import AdaBelief

import deepfs as dfs


def test_it_keeps_the_rules_of_an_optimizer():
    dfs.testing.check_optimizer(AdaBelief())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values(dtype):
    rng = np.random.default_rng(0)
    w = rng.standard_normal(37).astype(dtype)
    got, optimizer = w.copy(), AdaBelief(0.1)
    state, m, v = optimizer.init(got), np.zeros(37), np.zeros(37)
    expected = w.astype(np.float64)
    for t in (1, 2, 3):
        g = rng.standard_normal(37).astype(dtype)
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * (g - m) ** 2 + 1e-16
        root = np.sqrt(v / (1 - 0.999**t)) + 1e-16
        expected -= 0.1 * m / (1 - 0.9**t) / root
        optimizer.step(got, g, state, t=t)
    np.testing.assert_allclose(got, expected, rtol=1e-4 if dtype == np.float32 else 1e-12)
