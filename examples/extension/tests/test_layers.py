"""Gradients, values, training, saving and loading of the example's layers."""

import numpy as np
import pytest
from deepfs_example import AdaBelief, RReLU, SqueezeExcite, Swish

import deepfs as dfs


def batch(shape=(4, 6, 5, 7), dtype=np.float64):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("layer", [Swish(), Swish(-0.5), SqueezeExcite(3)], ids=repr)
@pytest.mark.parametrize("training", [True, False])
def test_gradients(layer, training):
    dfs.testing.check_layer(layer, batch(), training=training)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_a_random_layer(training):
    dfs.testing.check_layer(RReLU(0.1, 0.4), batch(), training=training)


def test_values_of_squeeze_excite():
    x, layer = batch(), SqueezeExcite(3)
    y = layer(x)
    p = {name: parameter.value for name, parameter in layer.parameters().items()}
    z = np.maximum(x.mean(axis=(2, 3)) @ p["w1"] + p["b1"], 0)
    g = 1 / (1 + np.exp(-(z @ p["w2"] + p["b2"])))
    np.testing.assert_allclose(y, x * g[:, :, None, None], rtol=1e-12)


def test_slopes_of_rrelu():
    x = -np.ones((1000, 3))
    layer = RReLU(0.1, 0.4)
    y, _ = layer.forward(x, training=True)
    assert -0.4 <= y.min() < -0.39
    assert -0.11 < y.max() <= -0.1
    assert (layer.forward(x, training=True)[0] != y).mean() > 0.99  # new slopes each time
    assert (layer(x) == -0.25).all()
    with pytest.raises(ValueError, match=r"low <= high, got 2\.0 and 1\.0"):
        RReLU(2, 1)


def network():
    return dfs.layers.Sequential(
        [
            dfs.layers.Conv2D(8, 3), Swish(), SqueezeExcite(4),
            dfs.layers.Conv2D(8, 3), RReLU(), dfs.layers.Dense(2),
        ]
    )  # fmt: skip


def test_they_train_save_and_load(tmp_path):
    dfs.set_seed(0)
    x = batch((64, 1, 6, 6), np.float32)
    y = (x.mean(axis=(1, 2, 3)) > 0).astype(np.int64)
    model = dfs.Model(network(), dfs.losses.CrossEntropy(), AdaBelief(0.01))
    history = model.fit(x, y, batch_size=16, epochs=20, verbose=0)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    model.save(tmp_path / "model.safetensors")
    own = [AdaBelief, RReLU, SqueezeExcite, Swish]
    loaded = dfs.load(tmp_path / "model.safetensors", layers=own)
    for each in (model, loaded):  # both go on with the same bits, random slopes included
        dfs.set_seed(1)
        each.fit(x, y, batch_size=16, epochs=1, verbose=0)
    assert (loaded.predict(x) == model.predict(x)).all()
