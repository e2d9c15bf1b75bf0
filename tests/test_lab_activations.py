"""The experiments on activations in training find what CS231n says, in their quick form."""

import numpy as np
import pytest

from lab_results import quick


def test_positive_inputs_make_the_weights_zig_zag():
    result = quick("zigzag_inputs")
    zigzag = np.diff(result.data["paths"]["all positive"], axis=0)
    centred = np.diff(result.data["paths"]["centred"], axis=0)
    assert (zigzag.prod(axis=1) > 0).all()  # up and right, or down and left
    assert 0.2 < (centred.prod(axis=1) > 0).mean() < 0.8

    def detour(steps):
        return np.linalg.norm(steps, axis=1).sum() / np.linalg.norm(steps.sum(axis=0))

    assert detour(zigzag) > 2 > 1.6 > detour(centred)
    for path in result.data["paths"].values():
        assert path[0].tolist() == [-1, 1]
        assert path[-1] == pytest.approx(np.array([1, -1]), abs=0.1)
    assert result.found


def test_large_weights_saturate_sigmoids():
    result = quick("saturation")
    numbers, update = result.numbers, result.data["update"]
    assert result.data["scales"] == [1, 10, 100]
    assert result.data["share"][0] == 0
    assert 0.3 < result.data["share"][1] < 0.7
    assert result.data["share"][2] > 0.9
    assert update[0] > 10 * update[1] > 100 * update[2]
    assert result.data["last"][2] > 2 * result.data["last"][0]
    # with cross-entropy a step is rate * y, which is about 0.5: ten steps for a sum of 5
    assert 10 <= numbers["steps until a wrong output is below 0.5, cross-entropy"] <= 13
    assert numbers["steps until a wrong output is below 0.5, squared error"] > 300
    assert result.found


def test_dead_relus_stay_dead_and_leaky_ones_come_back():
    result = quick("dead_relu")
    large, small, leaky = result.data["off"].values()
    assert not large[0].any()
    assert large[1:].all(axis=0).sum() >= 8  # dead after one step, for ever
    assert small[-1].sum() <= 2
    assert leaky[1].sum() >= 8
    assert (leaky[1] & ~leaky[-1]).sum() >= 1

    frozen, _, moving = result.data["lines"].values()
    dead = large[1]
    assert (frozen[1][0][:, dead] == frozen[-1][0][:, dead]).all()
    assert (frozen[1][1][dead] == frozen[-1][1][dead]).all()
    assert (moving[1][1] != moving[-1][1]).all()  # each leaky neuron goes on learning

    assert 20 <= result.movie.frames <= 60
    loss = {name: result.numbers[f"loss at the end, {name}"] for name in result.data["off"]}
    first, second, third = loss.values()
    assert second < 0.1 < third < 0.5 < 1 < first
    assert result.found
