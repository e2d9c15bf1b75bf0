"""Networks: their shapes, their sizes, and that they learn."""

import inspect
import re

import numpy as np
import pytest

import deepfs as dfs
from deepfs import cli
from deepfs import layers as L
from deepfs.layers._container import Container, walk
from deepfs.testing import check_layer
from network_cases import BY_NAME, CASES, CHECKED, COLOUR

every_network = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
HELPERS = {"pretrained"}  # no network of its own


def size_of(net):
    return sum(p.value.size for p in net.parameters().values())


def macs_of(net, image):
    """Return the multiply-adds by the sizes of weights: each is used once for each output place."""
    total = 0
    for _, layer, shape in walk(net, "", image):
        if not isinstance(layer, Container) and "weight" in layer.learned:
            weight = layer.learned["weight"].size
            places = np.prod(layer.out_shape(shape)[1:], dtype=int)
            if isinstance(layer, L.ConvTranspose2D):  # each input place is used once
                places = np.prod(shape[1:], dtype=int)
            total += weight * places
    return total


def test_every_network_has_a_row():
    assert BY_NAME.keys() == set(dfs.networks.__all__) - HELPERS


def test_the_command_names_networks():
    assert set(cli.NETWORKS) <= BY_NAME.keys()


@every_network
def test_parameters_and_multiply_adds(case):
    """Those of the row, of the docstring, and of the layers themselves."""
    net = getattr(dfs.networks, case.name)()
    net.build(case.image)
    assert size_of(net) == case.parameters
    assert macs_of(net, case.image) == case.macs
    counted = sum(layer.multiply_adds(shape) for _, layer, shape in walk(net, "", case.image)
                  if not isinstance(layer, Container))  # fmt: skip
    assert counted == case.macs
    assert all(p.value.dtype == np.float32 for p in net.parameters().values())
    text = " ".join(inspect.getdoc(getattr(dfs.networks, case.name)).split())
    assert f"{case.parameters:,}" in text
    assert f"{case.macs:,}" in text


@pytest.mark.parametrize(
    ("name", "arguments", "image", "parameters", "macs"),
    [
        # torchvision's table of weights has 11,689,512 and 1.814 GMACs
        pytest.param("resnet18", {"classes": 1000}, (3, 224, 224), 11_689_512, 1_814_073_344),
        pytest.param("resnet18", {"stem": "3x3"}, COLOUR, 11_173_962, 555_422_720),
        pytest.param("squeezenet_small", {"classes": 1000}, COLOUR, 1_235_496, None),  # torchvision
        # keras.applications.MobileNet has 4,253,864, of which 21,888 are running statistics
        pytest.param("mobilenet_small", {"classes": 1000, "alpha": 1}, COLOUR, 4_231_976, None),
        pytest.param("mlp", {"hidden": (50,)}, (1, 28, 28), 39_760, 39_700),
        pytest.param("resnet", {"depth": 110}, COLOUR, 1_730_714, None),  # imgclsmob
        pytest.param("autoencoder", {"form": "conv"}, (1, 28, 28), 108_881, 467_264),
        pytest.param("unet_small", {"classes": 2, "channels": 3}, COLOUR, 117_378, 25_116_672),
    ],
)
def test_counts_of_others(name, arguments, image, parameters, macs):
    net = getattr(dfs.networks, name)(**arguments)
    net.build(image)
    assert size_of(net) == parameters
    assert macs is None or macs_of(net, image) == macs


def test_the_small_inception_is_that_of_the_paper():
    """It counts a bias per filter, where batch norm has gamma and beta here."""
    net = dfs.networks.inception_small()
    net.build((3, 28, 28))
    assert sum(p.size for k, p in net.parameters().items() if "gamma" not in k) == 1_649_402


def test_option_a_of_the_residual_network():
    """The paper has 0.27, 0.46, 0.66 and 0.85 million parameters, with shortcuts that have none."""
    for depth, paper in ((20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)):
        net = getattr(dfs.networks, f"resnet{depth}")()
        net.build((3, 8, 8))
        body = sum(p.size for k, p in net.parameters().items() if ".shortcut." not in k)
        assert size_of(net) - body == 2_752
        assert abs(body / 1e6 - paper) < 0.006


@every_network
def test_classes_and_dtype(case):
    more = {"classes": 3} if case.classes else {}
    y = case.make(dtype="float64", **more)(np.zeros((2, *case.small), np.float32))
    assert y.shape[:2] == (2, 3 if case.classes else case.small[0])
    assert y.dtype == np.float64


# a wide network, or one that differs from another by the number of its blocks, takes long; others
# are in test_testing
LEFT = {"resnet18", "resnet32", "resnet44", "resnet56"} | set(CHECKED)


@pytest.mark.parametrize("name", [case.name for case in CASES if case.name not in LEFT])
def test_gradients(name):
    case = BY_NAME[name]
    x = np.random.default_rng(0).standard_normal((3, *case.small))
    report = check_layer(case.make(dtype="float64"), x, entries=1)
    assert report.checked + report.at_kinks == len(report.arrays)


@pytest.mark.parametrize("name", [case.name for case in CASES if case.name != "resnet18"])
def test_learns_a_tiny_batch(name, rng):
    """LeNet-5's sigmoids take some 60 steps, the others less than ten."""
    case = BY_NAME[name]
    x, y = rng.random((8, *case.small)).astype(np.float32), np.arange(8) % 2
    x[y == 1, :, : case.small[-1] // 2] /= 4
    net = case.make(**({"classes": 2} if case.classes else {}))
    for part in net.layers:
        if isinstance(part, L.Dropout):
            part.p = 0.0
    loss, target = dfs.losses.CrossEntropy(), y
    if name == "autoencoder":
        loss, target = dfs.losses.MeanSquaredError(), x
    elif name == "unet_small":
        target = (x[:, 0] > 0.25).astype(int)
    model = dfs.Model(net, loss, dfs.optimizers.Adam(3e-3))
    losses = [model.train_on_batch(x, target)["loss"]]
    while losses[-1] > losses[0] / 2 and len(losses) < 200:
        losses.append(model.train_on_batch(x, target)["loss"])
    assert losses[-1] <= losses[0] / 2


def test_resnet18_takes_steps(rng):
    model = dfs.Model(dfs.networks.resnet18(2), "cross_entropy", dfs.optimizers.SGD(0.01))
    x, y = rng.random((4, 3, 33, 33)).astype(np.float32), np.arange(4) % 2
    first, second = model.train_on_batch(x, y), model.train_on_batch(x, y)
    assert second["loss"] < first["loss"]


def test_resnet20_has_its_20_layers():
    net = dfs.networks.resnet20()
    net.build((3, 32, 32))
    shapes = {key: p.value.shape for key, p in net.parameters().items() if p.value.ndim > 1}
    past = [shape for key, shape in shapes.items() if ".shortcut." in key]
    assert past == [(32, 16, 1, 1), (64, 32, 1, 1)]
    assert len(shapes) - len(past) == 20
    assert list(net.parameters())[:4] == [
        "conv2d_1.weight", "batchnorm_1.gamma", "batchnorm_1.beta",
        "residual_1.body.conv2d_1.weight",
    ]  # fmt: skip


def test_the_unet_takes_other_sizes():
    net = dfs.networks.unet_small(classes=3, channels=2)
    assert net(np.zeros((1, 2, 12, 20))).shape == (1, 3, 12, 20)
    with pytest.raises(ValueError, match=re.escape("(32, 7, 8), (32, 6, 8)")):
        net(np.zeros((1, 2, 15, 16)))


@pytest.mark.parametrize("form", ["dense", "conv"])
def test_the_autoencoder_has_a_code(form):
    model = dfs.Model(dfs.networks.autoencoder(form, code=5), "mse", dfs.optimizers.Adam())
    x = np.random.default_rng(0).random((4, 1, 28, 28), np.float32)
    model.fit(x, x, verbose=0)
    codes = model.outputs_of(x, ["code"])
    assert np.shape(codes["code"] if isinstance(codes, dict) else codes) == (4, 5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda n: n.resnet(18), "of 18 layers there is resnet18"),
        (lambda n: n.resnet(21), "depth must be 6 k"),
        (lambda n: n.resnet18(stem="5x5"), "stem must be one of '7x7', '3x3'"),
        (lambda n: n.two_layer(activation="tanh"), "activation must be"),
        (lambda n: n.autoencoder("deep"), "form must be"),
        (lambda n: n.autoencoder(code=0), "code must be"),
        (lambda n: n.mobilenet_small(alpha=0), r"alpha must be in \(0, inf\), got 0"),
        (lambda n: n.unet_small(channels=0), "channels must be"),
        (lambda n: n.vgg_small(classes=0), "units must be"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make(dfs.networks)
