"""The experiments on initial values find what the book says, in their quick form."""

import numpy as np
import pytest

from lab_results import quick


def test_neurons_with_equal_weights_stay_equal():
    result = quick("equal_weights")
    weights, numbers = result.data["weights"], result.numbers
    for start in ("all zero", "all equal"):
        assert (weights[start] == weights[start][:, :1]).all()
        assert np.ptp(weights[start]) > 0.1  # they learnt all the same
        assert numbers[f"accuracy on the training images, {start}"] < 0.4
    assert np.linalg.matrix_rank(weights["random"]) == 8
    assert numbers["accuracy on the training images, random"] > 0.65
    assert result.found


def test_histograms_follow_the_scale_of_the_weights():
    result = quick("activation_histograms")
    std, outputs = result.data["std"], result.data["outputs"]
    assert len(std) == 12
    assert all(len(layers) == 5 and layers[0].shape == (300, 100) for layers in outputs.values())

    ends = np.array(outputs["sigmoid", "1"])
    assert ((ends < 0.1) | (ends > 0.9)).mean() > 0.6
    assert np.abs(outputs["sigmoid", "0.01"][-1] - 0.5).max() < 0.1
    assert (np.abs(outputs["tanh", "1"][-1]) > 0.9).mean() > 0.8
    # weights of std 0.01 multiply the std of a sum of 100 by 0.1
    ratios = np.divide(std["tanh", "0.01"][1:], std["tanh", "0.01"][:-1])
    assert ratios == pytest.approx(0.1, abs=0.02)
    assert 0.25 < std["tanh", "Xavier"][-1] < 0.45

    # He's weights are those of Xavier times the root of 2, and so are the outputs of each layer
    he, xavier = np.array(std["ReLU", "He"]), np.array(std["ReLU", "Xavier"])
    assert he / xavier == pytest.approx(2 ** (np.arange(1, 6) / 2), rel=1e-3)
    assert 0.6 < he[-1] / he[0] < 1.5
    assert std["ReLU", "1"][-1] / std["ReLU", "1"][0] > 1000
    assert result.found


def test_weights_of_std_0_01_do_not_learn():
    result = quick("weight_scales")
    losses = {name: np.array(curve) for name, curve in result.data["losses"].items()}
    assert losses["std 0.01"][-50:].mean() == pytest.approx(np.log(10), abs=0.02)
    assert losses["Xavier"][-50:].mean() < 1.2
    assert losses["He"][-50:].mean() < 0.9 * losses["Xavier"][-50:].mean()
    assert result.found


def test_gradients_vanish_by_sigmoids_and_small_weights():
    result = quick("vanishing_gradients")
    by_layer, front = result.data["by_layer"], result.data["front"]
    assert all(len(found) == 10 for found in by_layer.values())

    def factors(kind):
        return np.divide(by_layer[kind][:-1], by_layer[kind][1:])

    # a layer multiplies by weights of variance 1/n and by at most 1/4
    assert factors("sigmoid, Xavier") == pytest.approx(0.24, abs=0.03)
    # half of the ReLUs are on: 0.01 times the root of 100 / 2
    assert factors("ReLU, std 0.01") == pytest.approx(0.07, abs=0.015)
    assert factors("ReLU, He") == pytest.approx(1, abs=0.25)
    assert 0.75 < factors("tanh, Xavier").min() < factors("tanh, Xavier").max() < 1.1
    assert result.data["depths"] == [3, 5, 10]
    for kind, found in front.items():
        deep = found[2] / found[0]  # seven more layers
        vanish = kind in ("sigmoid, Xavier", "ReLU, std 0.01")
        assert deep < 1e-3 if vanish else deep > 0.3, kind
    assert result.found
