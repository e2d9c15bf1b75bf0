"""The kernel of sums, with a ReLU or the gradient of one."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cnn_core import add


@pytest.mark.parametrize("n", [0, 1, 8192, 20_001])
def test_kernel_of_a_sum(n, dtype, threads, rng):
    """More than a block; and inputs of a ReLU that are exactly 0."""
    a, b, x = rng.standard_normal((3, n)).astype(dtype)
    x[rng.random(n) < 0.3] = 0
    y = np.full(n, np.nan, dtype)
    add.add(a, b, y)
    assert_array_equal(y, a + b)
    add.add(a, b, y, True)
    assert_array_equal(y, np.maximum(a + b, 0))
    add.add(a, b, y, False, x)
    assert_array_equal(y, np.where(x > 0, a + b, 0))
    with pytest.raises(ValueError, match="do not belong to one sum"):
        add.add(a, b, y, True, x)
