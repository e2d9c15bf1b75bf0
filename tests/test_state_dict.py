"""Weights from a ``state_dict`` of PyTorch and back, without PyTorch: torchvision's ResNet-18."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import deepfs as dfs
from deepfs import layers as L
from deepfs import reference


def module_names(prefix, keys):
    return [f"{prefix}.{key}" for key in keys]


BN = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def torchvision_resnet18(classes, rng):
    """Return a state_dict with the names, shapes and order of ``torchvision.models.resnet18``."""
    made = {}

    def conv(name, filters, channels, size):
        weight = rng.standard_normal((filters, channels, size, size), np.float32)
        made[f"{name}.weight"] = weight * np.float32(np.sqrt(2 / (channels * size * size)))

    def norm(name, c):
        arrays = (rng.uniform(0.8, 1.2, c), rng.normal(0, 0.1, c), rng.normal(0, 0.1, c),
                  rng.uniform(0.8, 1.2, c))  # fmt: skip
        made.update(
            zip(module_names(name, BN), (a.astype(np.float32) for a in arrays), strict=False)
        )
        made[f"{name}.num_batches_tracked"] = np.array(7)

    conv("conv1", 64, 3, 7)
    norm("bn1", 64)
    channels = 64
    for stage, width in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            name = f"layer{stage}.{block}"
            conv(f"{name}.conv1", width, channels, 3)
            norm(f"{name}.bn1", width)
            conv(f"{name}.conv2", width, width, 3)
            norm(f"{name}.bn2", width)
            if stage > 1 and block == 0:
                conv(f"{name}.downsample.0", width, channels, 1)
                norm(f"{name}.downsample.1", width)
            channels = width
    made["fc.weight"] = (rng.standard_normal((classes, 512)) * 0.05).astype(np.float32)
    made["fc.bias"] = rng.standard_normal(classes).astype(np.float32)
    return made


def evaluated(state, x):
    """Return what torchvision's network computes of weights by these names, in float64."""
    state = {name: a.astype(np.float64) for name, a in state.items()}

    def conv(x, name, stride, padding):
        weight = state[f"{name}.weight"]
        no_bias = np.zeros(len(weight))
        return reference.conv2d(x, weight, no_bias, (stride, stride), (padding,) * 4)

    def norm(x, name):
        gamma, beta, mean, var = (state[n][:, None, None] for n in module_names(name, BN[:4]))
        return (x - mean) / np.sqrt(var + 1e-5) * gamma + beta

    y = np.maximum(norm(conv(x, "conv1", 2, 3), "bn1"), 0)
    y = reference.max_pool2d(y, (3, 3), (2, 2), (1, 1, 1, 1))
    for stage in range(1, 5):
        for block in range(2):
            name, stride = f"layer{stage}.{block}", 1 + (stage > 1 and block == 0)
            z = np.maximum(norm(conv(y, f"{name}.conv1", stride, 1), f"{name}.bn1"), 0)
            z = norm(conv(z, f"{name}.conv2", 1, 1), f"{name}.bn2")
            if stride > 1:
                y = norm(conv(y, f"{name}.downsample.0", 2, 0), f"{name}.downsample.1")
            y = np.maximum(y + z, 0)
    return y.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """Weights by torchvision's names, their file, and the model that has read it."""
    state = torchvision_resnet18(4, np.random.default_rng(0))
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file(state, path)
    net = dfs.networks.resnet18(4)
    net.build((3, 32, 32))
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Momentum(0.01))
    return state, path, model, model.load_weights(path)


def test_resnet18_is_read_by_the_names_of_torchvision(resnet):
    state, _, model, found = resnet
    assert sorted(found.loaded.values()) == sorted(state)
    assert found[1:] == ([], [], [])
    table = str(found.loaded).splitlines()
    assert len(table) == len(state) == 122
    assert table[0].split() == ["conv2d_1.weight", "conv1.weight"]
    assert ["residual_3.shortcut.batchnorm_1.gamma", "layer2.0.downsample.1.weight"] in [
        line.split() for line in table
    ]
    x = np.random.default_rng(1).standard_normal((1, 3, 32, 32)).astype(np.float32)
    want = evaluated(state, x.astype(np.float64))
    assert np.abs(model.predict(x) - want).max() <= 1e-5 * np.abs(want).max()


def test_resnet18_goes_back_with_the_same_names_and_bits(resnet, tmp_path):
    state, path, model, found = resnet
    names = model.save_state_dict(tmp_path / "back.safetensors", found)
    assert names == found.loaded
    back = load_file(tmp_path / "back.safetensors")
    assert back.keys() == state.keys()
    for name, array in state.items():
        assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype
    with safe_open(path, "np") as ours, safe_open(tmp_path / "back.safetensors", "np") as other:
        assert ours.metadata() is None
        assert other.metadata() == {"format": "pt"}


def test_resnet18_trains_on(resnet):
    model = resnet[2]
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((4, 3, 32, 32)).astype(np.float32), np.arange(4)
    losses = [model.train_on_batch(x, y)["loss"] for _ in range(3)]
    assert losses[-1] < 0.9 * losses[0]


def small():
    """Return a model with every kind of renaming."""
    net = L.Sequential([
        L.Sequential([L.Conv2D(4, 3), L.BatchNorm(), L.PReLU()], name="body"),
        L.SeparableConv2D(3, 2), L.Flatten(), L.Dense(5), L.LayerNorm(),
    ])  # fmt: skip
    net.build((2, 6, 6))
    model = dfs.Model(net, "mse", dfs.optimizers.SGD())
    rng = np.random.default_rng(0)
    model.set_weights({name: rng.normal(size=a.shape) if a.dtype.kind == "f" else a + 3
                       for name, a in model.get_weights().items()})  # fmt: skip
    return model


MODULES = ["features.0", "features.1", "act", "dw", "pw", "fc", "norm"]
KEYS = [("weight", "bias"), BN, ("weight",), ("weight",), ("weight", "bias"), ("weight", "bias"),
        ("weight", "bias")]  # fmt: skip
ORDER = [f"{module}.{key}" for module, keys in zip(MODULES, KEYS, strict=True) for key in keys]
PATHS = {
    "features.0": "body.conv2d_1", "features.1": "body.batchnorm_1", "act": "body.prelu_1",
    "dw": "separableconv2d_1.depthwise", "pw": "separableconv2d_1.pointwise", "fc": "dense_1",
    "norm": "layernorm_1",
}  # fmt: skip


@pytest.mark.parametrize("mapping", [ORDER, PATHS, None], ids=["list", "dict", "none"])
def test_what_is_written_is_read_again(mapping, tmp_path):
    model, path = small(), tmp_path / "a.safetensors"
    names = model.save_state_dict(path, mapping)
    there = load_file(path)
    assert sorted(names.values()) == sorted(there)
    if mapping is not None:
        assert sorted(there) == sorted(ORDER)
        assert there["features.1.num_batches_tracked"] == 3
        assert there["features.1.num_batches_tracked"].shape == ()
        assert_array_equal(there["fc.weight"], model.get_weights()["dense_1.weight"].T)
    else:
        assert "body.batchnorm_1.weight" in there
        assert "separableconv2d_1.depthwise.weight" in there
    other = small()
    other.set_weights({name: a * 0 for name, a in other.get_weights().items()})
    report = other.load_weights(path, mapping if mapping is not None else None)
    assert report.loaded == names
    for name, array in model.get_weights().items():
        assert_array_equal(other.get_weights()[name], array)


@pytest.mark.parametrize(
    ("mapping", "error", "message"),
    [
        (ORDER[:-2], ValueError, "mapping has names of 6 modules, and the network 7 layers"),
        (ORDER[2:] + ORDER[:2], ValueError, r"mapping has 'features.1' with weight, bias, running_"
         r"mean, .* in the place of 'body.conv2d_1' with weight, bias: the modules are in another"),
        ({"fc": "dense_2"}, ValueError, "names 'dense_2', which the network lacks.*dense_1"),
        ({"a": "dense_1", "b": "dense_1"}, ValueError, "mapping has 'dense_1' twice, as 'a' and"),
        ({"layernorm_1": "dense_1"}, ValueError, "name 'layernorm_1.weight' to several weights"),
        ({"fc": None}, TypeError, "mapping must have names for names"),
        ("fc", TypeError, "mapping must be None, a dict of names, a list of names, or what load"),
    ],
)  # fmt: skip
def test_refuses_other_names(mapping, error, message, tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(error, match=message):
        small().save_state_dict(path, mapping)
    assert not path.exists()


def test_a_new_head_needs_a_name(tmp_path):
    small().save_state_dict(tmp_path / "a", PATHS)
    model = small()
    model.network.layers = (*model.network.layers[:-2], L.Dense(7), L.LayerNorm())
    found = model.load_weights(tmp_path / "a", strict=False)
    with pytest.raises(ValueError, match=r"into dense_1\.weight, dense_1\.bias, .*are not known"):
        model.save_state_dict(tmp_path / "b", found)
    ours = ("dense_1.weight", "dense_1.bias", "layernorm_1.gamma", "layernorm_1.beta")
    found.loaded.update(zip(ours, ORDER[-4:], strict=True))
    assert model.save_state_dict(tmp_path / "b", found) == found.loaded
    assert load_file(tmp_path / "b")["fc.weight"].shape == (7, 27)


def test_a_network_without_weights_says_how_to_get_some(tmp_path):
    model = dfs.Model(L.Dense(2), "mse", dfs.optimizers.SGD())
    with pytest.raises(RuntimeError, match="save_state_dict needs a network with weights"):
        model.save_state_dict(tmp_path / "a")


def test_float64_is_written_as_such(tmp_path):
    net = L.Dense(2, dtype="float64")
    net.build((3,))
    dfs.Model(net, "mse", dfs.optimizers.SGD()).save_state_dict(tmp_path / "a")
    there = load_file(tmp_path / "a")
    assert list(there) == ["bias", "weight"]
    assert there["weight"].dtype == np.float64
    assert_allclose(there["weight"], net.get_weights()["weight"].T)
