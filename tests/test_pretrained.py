"""The network that comes trained, and what it is worth for digits that it has not seen."""

from pathlib import Path

import numpy as np
import pytest

import deepfs as dfs
from deepfs import layers as L


def digits(low):
    """Return training and test images of five digits, labels from 0 on."""
    return [(x[(y >= low) & (y < low + 5)], y[(y >= low) & (y < low + 5)] - low)
            for x, y in dfs.datasets.mnist_mini()]  # fmt: skip


def test_it_knows_the_digits_0_to_4():
    model = dfs.Model(dfs.networks.pretrained(), "cross_entropy", dfs.optimizers.SGD())
    x, y = digits(0)[1]
    assert model.evaluate(x, y)["accuracy"] > 0.995
    outputs = dfs.networks.pretrained(dtype="float64")(x[:50])
    assert outputs.dtype == np.float64
    np.testing.assert_allclose(outputs, model.predict(x[:50]), rtol=1e-3, atol=1e-3)


def test_the_file_is_small():
    path = Path(dfs.networks.__file__).with_name("mnist_0_to_4.safetensors")
    assert path.stat().st_size < 200_000


def test_each_call_makes_a_new_network():
    a, b = dfs.networks.pretrained(), dfs.networks.pretrained()
    for parameter in a.parameters().values():
        parameter.value = np.zeros(parameter.shape)
    assert all(p.value.any() for p in b.parameters().values())
    with pytest.raises(ValueError, match="name must be one of 'mnist_0_to_4', got 'imagenet'"):
        dfs.networks.pretrained("imagenet")


def test_it_beats_training_from_scratch_on_ten_images_per_class():
    """By 5 points, as the mean of three choices: 92.7 % to 87.5 % in ten, see docs/transfer.md."""
    (x, y), test = digits(5)
    gained = []
    for seed in range(3):
        dfs.set_seed(seed)
        rng = np.random.default_rng(seed)
        chosen = [rng.choice(np.flatnonzero(y == k), 10, replace=False) for k in range(5)]
        chosen = rng.permutation(np.concatenate(chosen))
        found = []
        for net, rate in ((dfs.networks.mini_convnet(5), 3e-3), (dfs.networks.pretrained(), 1e-3)):
            if net.built_dtype is not None:
                net.replace("dense_1", L.Dense(5))
                net.freeze(until="dense_1")
            model = dfs.Model(net, "cross_entropy", dfs.optimizers.Adam(rate))
            model.fit(x[chosen], y[chosen], batch_size=10, epochs=25, verbose=0)
            found.append(model.evaluate(*test)["accuracy"])
        gained.append(found[1] - found[0])
    assert np.mean(gained) > 0.02
    assert found[1] > 0.88
