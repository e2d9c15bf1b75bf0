"""Networks: their shapes, their sizes, and that they learn."""

import numpy as np
import pytest

import deepfs as dfs
from deepfs import cli
from deepfs import layers as L

# name, image, parameters for 10 classes
CASES = [
    ("mlp", (1, 28, 28), 89_610),
    ("simple_convnet", (1, 28, 28), 433_890),
    ("deep_convnet", (1, 28, 28), 123_552),
    ("mini_convnet", (1, 28, 28), 54_778),
    ("lenet5", (1, 28, 28), 61_706),
    ("resnet20", (3, 32, 32), 269_722 + (16 * 32 + 64) + (32 * 64 + 128)),  # 2 shortcuts more
    ("vgg_small", (3, 32, 32), 1_148_874),
]
every_network = pytest.mark.parametrize(("name", "image", "size"), CASES)


def test_every_network_has_a_row():
    assert {name for name, _, _ in CASES} == set(dfs.networks.__all__)


def test_the_command_knows_every_network():
    assert set(cli.NETWORKS) == set(dfs.networks.__all__)


@every_network
def test_shapes_and_parameters(name, image, size):
    net = getattr(dfs.networks, name)()
    assert net.out_shape(image) == (10,)
    net.build(image)
    assert sum(p.value.size for p in net.parameters().values()) == size
    assert all(p.value.dtype == np.float32 for p in net.parameters().values())


@every_network
def test_classes_and_dtype(name, image, size):
    y = getattr(dfs.networks, name)(classes=3, dtype="float64")(np.zeros((2, *image), np.float32))
    assert y.shape == (2, 3)
    assert y.dtype == np.float64


@every_network
def test_learns_a_tiny_batch(name, image, size, rng):
    """LeNet-5's sigmoids take some 60 steps, the others less than ten."""
    x, y = rng.random((8, *image)).astype(np.float32), np.arange(8) % 2
    x[y == 1, :, :14] /= 4
    net = getattr(dfs.networks, name)(classes=2)
    for part in net.layers:
        if isinstance(part, L.Dropout):
            part.p = 0.0
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(3e-3))
    losses = [model.train_on_batch(x, y)["loss"]]
    while losses[-1] > losses[0] / 2 and len(losses) < 200:
        losses.append(model.train_on_batch(x, y)["loss"])
    assert losses[-1] <= losses[0] / 2


def test_resnet20_has_its_20_layers():
    net = dfs.networks.resnet20()
    net.build((3, 32, 32))
    shapes = {key: p.value.shape for key, p in net.parameters().items() if p.value.ndim > 1}
    past = [shape for key, shape in shapes.items() if ".shortcut." in key]
    assert past == [(32, 16, 1, 1), (64, 32, 1, 1)]
    assert len(shapes) - len(past) == 20
