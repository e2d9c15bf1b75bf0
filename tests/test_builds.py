"""When `compare.py --against` says that a row has become slower."""

import importlib
from math import inf
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the benchmarks are not beside the tests", allow_module_level=True)


@pytest.fixture
def builds(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("builds")


@pytest.mark.parametrize(("count", "low", "high"), [(6, 1, 6), (9, 2, 8), (10, 2, 9), (30, 10, 21)])
def test_the_interval_lies_between_ranks_of_the_tables_of_the_sign_test(builds, count, low, high):
    ratios = np.random.default_rng(0).permutation(np.arange(1.0, count + 1)).tolist()
    assert builds.interval(ratios) == ((count + 1) / 2, low, high)


def test_no_interval_of_five(builds):
    assert builds.interval([1.0] * 5) == (1, -inf, inf)


def test_the_interval_holds_the_median_as_often_as_it_says(builds, rng):
    held = 0
    for _ in range(1000):
        seen = builds.interval(rng.lognormal(sigma=0.1, size=10).tolist())  # of median 1
        held += seen.low <= 1 <= seen.high
    assert 960 <= held <= 995  # 97.9 % for ten


def times(rng, ratio, noise=0.0):
    """Return a stand-in for a process of either build, and the rows that it was asked for."""
    asked = []

    def ask(old, rows):
        asked.append((old, rows))
        drift = rng.lognormal(sigma=noise, size=len(rows))
        return {
            row: each * (ratio[row] if old else 1) for row, each in zip(rows, drift, strict=True)
        }

    return ask, asked


def test_only_a_row_that_seems_slower_is_measured_on(builds, rng):
    ask, asked = times(rng, {"same": 1.0, "slower": 0.9, "faster": 1.2})
    ratios, medians = builds.compare(ask, ["same", "slower", "faster"], 10)
    assert [len(ratios[name]) for name in ("same", "slower", "faster")] == [10, 30, 10]
    assert [builds.interval(ratios[name]).slower for name in ratios] == [False, True, False]
    assert medians["slower"] == pytest.approx((0.9, 1.0))
    order = [old for old, _ in asked]
    assert order[:4] == [True, False, False, True]  # neither build is always the first
    assert order.count(True) == order.count(False) == 30
    assert asked[-1][1] == ["slower"]


def test_one_per_cent_is_not_slower(builds, rng):
    ratios, _ = builds.compare(times(rng, {"row": 0.99})[0], ["row"], 10)
    assert len(ratios["row"]) == 10


def test_what_is_noise_at_ten_pairs_is_not_slower_at_thirty(builds, rng):
    """The first ten pairs are unlucky, the others are not."""
    calls = iter(range(60))

    def ask(old, rows):
        unlucky = next(calls) < 20
        return {"row": (0.95 if unlucky else 1.0) if old else 1.0}

    ratios, _ = builds.compare(ask, ["row"], 10)
    assert len(ratios["row"]) == 30
    assert not builds.interval(ratios["row"]).slower


def test_noise_of_ten_per_cent_hardly_ever_looks_slower(builds, rng):
    found = [
        builds.interval(builds.compare(times(rng, {"row": 1.0}, 0.1)[0], ["row"], 10)[0]["row"])
        for _ in range(100)
    ]
    assert sum(seen.slower for seen in found) <= 1


def test_refuses_what_is_no_build(builds, tmp_path):
    with pytest.raises(FileNotFoundError, match="neither a checkout built in place"):
        builds.Build(tmp_path)
