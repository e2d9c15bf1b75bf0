"""Sequences (n, c, l): every layer takes them, or says which one does; networks of them train."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.layers import _axes
from deepfs.layers._several import Several

SEQUENCE = (3, 4, 9)
PARTS = {"layers": [L.Tanh()], "parts": [L.Tanh(), L.ReLU()], "body": L.Tanh()}
SETTINGS = {"filters": 4, "kernel_size": 2, "units": 3, "p": 0.4, "pieces": 2, "shape": (6, -1),
            "factor": 2, "output_size": 2, "groups": 2, "std": 0.5, "padding": 1, "size": 2,
            "cropping": 1, "min_value": 0, "max_value": 6}  # fmt: skip
KINDS = [getattr(L, name) for name in L.__all__ if isinstance(getattr(L, name), type)]
LAYERS = [kind for kind in KINDS if issubclass(kind, L.Layer) and kind is not L.Layer
          and not issubclass(kind, Several)]  # fmt: skip


def made(kind):
    """Return a layer with the settings without which there is none."""
    needs = {"Maxout": ["pieces"], "GroupNorm": ["groups"]}.get(kind.__name__, [])
    fields = kind.__dataclass_fields__.values()
    needs += [f.name for f in fields if f.init and f.default is f.default_factory is not None]
    return kind(**{name: (SETTINGS | PARTS)[name] for name in needs})


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_every_layer_takes_a_sequence_or_names_the_one_that_does(kind):
    x, layer = np.random.default_rng(0).standard_normal(SEQUENCE), made(kind)
    if layer.input_rank is None or 3 in layer.input_rank:
        y, cache = layer.forward(x, training=True)
        assert layer.backward(y, cache).shape == x.shape
        assert layer.out_shape(SEQUENCE[1:]) == y.shape[1:]
        return
    assert kind.__name__ in _axes.SEQUENCES
    message = (
        f"{kind.__name__} takes 4 dimensional input, got shape (n, 4, 9): for sequences, use "
        f"{_axes.SEQUENCES[kind.__name__]}; for images of one channel, x[:, None]"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(x)


def test_the_layers_that_messages_name_are_there():
    for image, sequence in _axes.SEQUENCES.items():
        for name in (image, *re.findall(r"\w+1D", sequence)):
            assert issubclass(getattr(L, name), L.Layer)


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_a_layer_for_sequences_names_the_one_for_images(kind):
    if kind.input_rank != (3,):
        return
    image = f"{kind.__name__[:-2]}2D"
    message = f"{kind.__name__} takes 3 dimensional input, got shape (n, 4, 5, 6): for images, use "
    with pytest.raises(ValueError, match=re.escape(message + image)):
        made(kind)(np.zeros((2, 4, 5, 6)))
    message = f"{kind.__name__} takes 3 dimensional input, got shape (n, 4): for sequences of one "
    with pytest.raises(ValueError, match=re.escape(f"{message}channel, x[:, None]")):
        made(kind)(np.zeros((2, 4)))


@pytest.mark.parametrize("global_pool", [L.GlobalAvgPool1D, L.GlobalMaxPool1D])
def test_a_network_of_sequences_trains(global_pool, tmp_path):
    """keras-team/keras#2824: convolution, norm, ReLU, pooling; saved and loaded."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = rng.standard_normal((60, 3, 64)).astype(np.float32)
    x[y == 1, 0] += np.sin(np.arange(64))  # one class has a tone
    net = L.Sequential(
        [
            L.Conv1D(8, 5, padding="same", bias=False), L.BatchNorm(), L.ReLU(), L.MaxPool1D(2),
            L.Conv1D(8, 3), L.BatchNorm(), L.ReLU(), L.AvgPool1D(3, 2, 1), L.SpatialDropout(0.1),
            global_pool(), L.Dense(2),
        ]
    )  # fmt: skip
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(0.01))
    model.fit(x, y, epochs=25, batch_size=20, verbose=0)
    assert model.evaluate(x, y)["accuracy"] > 0.9
    model.save(tmp_path / "m.safetensors")
    assert_array_equal(dfs.load(tmp_path / "m.safetensors").predict(x), model.predict(x))


def test_a_sequence_comes_back_from_half_its_length():
    """An autoencoder of an odd length: 9 entries, 4, 8 and 9 again."""
    x = np.random.default_rng(0).standard_normal((8, 2, 9)).astype(np.float32)
    net = L.Sequential(
        [L.Conv1D(6, 3, padding=1), L.Tanh(), L.MaxPool1D(), L.Upsample1D(2), L.ZeroPad1D((1, 2)),
         L.Crop1D((1, 1)), L.Conv1D(2, 3, padding=1)]
    )  # fmt: skip
    assert net.out_shape((2, 9)) == (2, 9)
    model = dfs.Model(net, dfs.losses.MeanSquaredError(), dfs.optimizers.Adam(0.02), metrics=[])
    before = model.evaluate(x, x)["loss"]
    model.fit(x, x, epochs=30, verbose=0)
    assert model.evaluate(x, x)["loss"] < before / 2
