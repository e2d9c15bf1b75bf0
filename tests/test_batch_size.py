"""Outputs for each batch size: the same bits, or equal to rounding, as docs/numerics.md says."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from every_layer import CASES

# In float32 these add up products in another order for few samples.
BY_ROUNDING = ("dense", "drop connect", "sequential", "graph")


@pytest.mark.parametrize(("name", "make", "shape"), CASES, ids=[case[0] for case in CASES])
def test_layers_give_the_same_bits(name, make, shape, dtype, rng):
    layer, x = make(), rng.standard_normal((40, *shape[1:])).astype(dtype)
    wanted = layer(x)
    for size in (1, 3, 17):
        got = np.concatenate([layer(x[i : i + size]) for i in range(0, 40, size)])
        if dtype == np.float64 or not name.startswith(BY_ROUNDING):
            assert_array_equal(got, wanted)
        else:
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6 * abs(wanted).max())


@pytest.mark.parametrize("k", [1, 30, 300, 2000])
@pytest.mark.parametrize("units", [1, 4, 10, 17, 100])
def test_outputs_depend_on_the_batch_size_by_rounding_alone(k, units, dtype, rng):
    """As the docstring of `predict` says: see docs/numerics.md."""
    dense = L.Dense(units)
    dense.build((k,), dtype)
    weight, bias = (dense.parameters()[name].value for name in ("weight", "bias"))
    bias[...] = rng.standard_normal(units)
    model = dfs.Model(L.Sequential([dense]), dfs.losses.MeanSquaredError(), dfs.optimizers.SGD())
    x = rng.standard_normal((40, k)).astype(dtype)
    wanted = model.predict(x)
    size = abs(x).astype(float) @ abs(weight.reshape(k, units)).astype(float) + abs(bias)
    for batch_size in (1, 2, 3, 15, 16, 39):
        got = model.predict(x, batch_size)
        if dtype == np.float64:
            assert_array_equal(got, wanted)
        assert (abs(got - wanted) <= 1e-6 * size).all()
