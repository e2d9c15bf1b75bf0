"""Matrix product: every tile, operand order and epilogue against NumPy, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import gemm

SIZES = [
    (1, 1, 1), (14, 32, 128), (15, 33, 129), (7, 5, 300), (100, 10, 784), (230, 300, 17),
    (1, 4, 70), (1, 150, 300), (35, 3, 40), (33, 20, 1100), (130, 34, 600),
]  # fmt: skip


@pytest.mark.parametrize(("m", "n", "k"), SIZES)
@pytest.mark.parametrize("trans_a", [False, True])
@pytest.mark.parametrize("trans_b", [False, True])
def test_matches_numpy(m, n, k, trans_a, trans_b, dtype, threads, rng):
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    bias = rng.standard_normal(n).astype(dtype)
    given = np.ascontiguousarray(a.T if trans_a else a), np.ascontiguousarray(b.T if trans_b else b)
    wanted = a.astype(float) @ b
    close = {"rtol": 0, "atol": np.sqrt(k) * (3e-6 if dtype == np.float32 else 2e-14)}
    c = np.full((m, n), np.nan, dtype)
    gemm.gemm(*given, c, trans_a=trans_a, trans_b=trans_b)
    assert_allclose(c, wanted, **close)
    gemm.gemm(*given, c, bias, trans_a, trans_b)
    assert_allclose(c, wanted + bias, **close)
    gemm.gemm(*given, c, None, trans_a, trans_b, accumulate=True)
    assert_allclose(c, 2 * wanted + bias, **close)


@pytest.mark.parametrize(("m", "n", "k"), [*SIZES, (30, 50, 9), (3, 20, 300)])
@pytest.mark.parametrize("trans_a", [False, True])
def test_epilogues_have_the_bits_of_a_pass_of_their_own(m, n, k, trans_a, dtype, threads, rng):
    a = rng.standard_normal((k, m) if trans_a else (m, k)).astype(dtype)
    b = rng.standard_normal((k, n)).astype(dtype)
    drelu, bias = rng.standard_normal((m, n)).astype(dtype), np.ones(n, dtype)
    a[0, 0] = np.nan
    plain, fused = np.empty((m, n), dtype), np.empty((m, n), dtype)
    gemm.gemm(a, b, plain, bias, trans_a)
    gemm.gemm(a, b, fused, bias, trans_a, relu=True)
    assert_array_equal(fused, np.where(plain < 0, 0, plain))
    gemm.gemm(a, b, fused, bias, trans_a, drelu=drelu)
    assert_array_equal(fused, np.where(drelu > 0, plain, 0))
    with pytest.raises(ValueError, match="belong to one product"):
        gemm.gemm(a, b, fused, bias, trans_a, drelu=np.ones((m + 1, n), dtype))


@pytest.mark.parametrize("n", range(1, 145))
def test_a_row_of_every_width(n, dtype, rng):
    a, b = rng.standard_normal((1, 70)).astype(dtype), rng.standard_normal((70, n)).astype(dtype)
    c = np.full((1, n), np.nan, dtype)
    gemm.gemm(a, b, c, np.ones(n, dtype))
    assert_allclose(c, a.astype(float) @ b + 1, rtol=0, atol=3e-5)


def test_an_empty_sum_is_the_bias():
    c = np.full((2, 3), np.nan)
    gemm.gemm(np.zeros((2, 0)), np.zeros((0, 3)), c, np.array([1.0, 2.0, 3.0]))
    assert_array_equal(c, [[1, 2, 3]] * 2)
    gemm.gemm(np.zeros((2, 0)), np.zeros((0, 3)), c, accumulate=True)
    assert_array_equal(c, [[1, 2, 3]] * 2)
    gemm.gemm(np.zeros((2, 0)), np.zeros((0, 3)), c)
    assert not c.any()


def test_long_sums_keep_their_digits():
    """Chains of 64 products: one chain of 100,000 would be off by 1.4e-4."""
    k = 100_000
    c = np.zeros((1, 1), np.float32)
    gemm.gemm(np.full((1, k), 0.1, np.float32), np.ones((k, 1), np.float32), c)
    assert c[0, 0] == pytest.approx(k * float(np.float32(0.1)), rel=2e-5)


@pytest.mark.parametrize(
    "shapes",
    [((2, 3), (4, 5), (2, 5)), ((2, 3), (3, 5), (3, 5)), ((2, 3), (3, 5), (2, 4))],
)
def test_refuses_what_would_crash(shapes):
    a, b, c = map(np.zeros, shapes)
    with pytest.raises(ValueError, match="belong to one product"):
        gemm.gemm(a, b, c)
    with pytest.raises(ValueError, match="belong to one product"):
        gemm.gemm(np.zeros((2, 3)), np.zeros((3, 5)), np.zeros((2, 5)), np.zeros(4))


def test_register_tiles_are_inlined():
    """As inline.h asks: a tile that is a function of its own has loops that do not unroll."""
    code = Path(gemm.__file__).read_bytes()
    if b"4gemm_pack" not in code:
        pytest.skip("the names of functions are stripped")
    assert b"4gemm_tile" not in code
