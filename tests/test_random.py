"""Random numbers: the published answers, distributions, and independence of order."""

import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from cnn_core import random as kernel
from deepfs import reference
from deepfs.random import Random

# Random123's kat_vectors for philox4x32 10: counter, key, output (Salmon et al. 2011)
KNOWN = [
    ([0] * 4, (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([2**32 - 1] * 4, (2**32 - 1,) * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        (0xA4093822, 0x299F31D0),
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers(counter, key, answer):
    words = np.array(counter, np.uint32)
    kernel.philox(words, *key)
    assert_array_equal(words, answer)
    expected = reference.philox(np.array([counter], np.uint32), key)
    assert_array_equal(expected[0], answer)


def test_distributions(dtype, threads):
    rng = Random(seed=3, stream=1)
    u, z = rng.uniform((200_001,), dtype), rng.normal((200_001,), dtype)
    assert u.dtype == z.dtype == dtype
    assert u.min() >= 0
    assert u.max() < 1
    assert u.mean() == pytest.approx(0.5, abs=3e-3)
    assert u.var() == pytest.approx(1 / 12, rel=0.01)
    assert z.mean() == pytest.approx(0, abs=0.01)
    assert z.std() == pytest.approx(1, rel=0.01)
    assert (np.abs(z) < 1.96).mean() == pytest.approx(0.95, abs=3e-3)
    assert abs(np.corrcoef(z[:-1], z[1:])[0, 1]) < 0.01


def test_calls_streams_and_seeds_differ_and_repeat():
    draws = [Random(seed, stream).uniform((50,)) for seed in (1, 2) for stream in (1, 2)]
    rng = Random(1, 1)
    draws += [rng.uniform((50,)), rng.uniform((50,))]
    assert_array_equal(draws[0], draws[4])
    distinct = np.unique(np.stack([*draws[:4], draws[5]]))
    assert distinct.size == 250


def test_permutation():
    order = Random(seed=5, stream=0).permutation(1000)
    assert_array_equal(np.sort(order), np.arange(1000))
    assert (order != np.arange(1000)).sum() > 980
    positions = np.array([Random(5, s).permutation(4).argmin() for s in range(4000)])
    assert np.bincount(positions).min() > 900  # each place about 1,000 times


def test_set_seed_repeats_a_layer():
    outputs = []
    for _ in range(2):
        dfs.set_seed(11)
        outputs.append(dfs.layers.Dense(3)(np.ones((1, 4))))
    assert_array_equal(outputs[0], outputs[1])
    dfs.set_seed(12)
    assert (dfs.layers.Dense(3)(np.ones((1, 4))) != outputs[0]).any()


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "1", None, True])
def test_set_seed_refuses(seed):
    with pytest.raises((ValueError, TypeError), match="seed must be"):
        dfs.set_seed(seed)


def by_libm(seed, stream, call, n):
    """Normal numbers in single precision, with the C library's functions, rounded once."""
    counters = np.zeros((n // 4, 4), np.uint32)
    counters[:, 0] = np.arange(n // 4)
    counters[:, 2:] = stream, call
    words = reference.philox(counters, (seed, 0)).reshape(-1, 2)
    for first, second in words.tolist():
        radius = math.sqrt(-2 * math.log((first + 1) * 2.0**-32))
        angle = 2 * math.pi * 2.0**-32 * second
        yield from (radius * math.cos(angle), radius * math.sin(angle))


def test_normal_numbers_have_the_bits_of_the_c_library(threads):
    found = np.empty(20_004, np.float32)  # the last 36 are not made by vectors
    kernel.normal(found, 12, 3, 4)
    assert_array_equal(found, np.fromiter(by_libm(12, 3, 4, len(found)), float).astype(np.float32))


def test_the_cosine_is_that_of_the_rounded_angle():
    """This angle is near 3 pi / 2: exact to more digits, its cosine would be another float."""
    found = np.empty(2_569_280, np.float32)
    kernel.normal(found, 12345, 0, 7)
    assert found[2_569_208] == np.float32(float.fromhex("0x1.91312d83e7865p-29"))
