"""Weights of PyTorch modules, saved as safetensors, in networks of deepfs: the same outputs."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import deepfs as dfs
from deepfs import layers as L

torch = pytest.importorskip("torch")
save_file = pytest.importorskip("safetensors.torch").save_file
nn = torch.nn
F = nn.functional


class Block(nn.Module):
    """A residual block with the names of torchvision's."""

    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, filters, 1, stride, bias=False), nn.BatchNorm2d(filters)
            )

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """The residual network of ``deepfs.networks.resnet``; ResNet-18 with the widths of that."""

    def __init__(self, widths, blocks, wide_stem, classes=10):
        super().__init__()
        size, stride = (7, 2) if wide_stem else (3, 1)
        self.conv1 = nn.Conv2d(3, widths[0], size, stride, size // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.pool = nn.MaxPool2d(3, 2, 1) if wide_stem else nn.Identity()
        self.stages = len(widths)
        inputs = widths[0]
        for number, width in enumerate(widths):
            stage = []
            for block in range(blocks):
                stage.append(Block(inputs, width, 2 if number and not block else 1))
                inputs = width
            setattr(self, f"layer{number + 1}", nn.Sequential(*stage))
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.pool(F.relu(self.bn1(self.conv1(x))))
        for number in range(self.stages):
            x = getattr(self, f"layer{number + 1}")(x)
        return self.fc(x.mean((2, 3)))


def loaded(module, net, image, folder, mapping=None):
    """Return outputs of both, with weights and running statistics of the module."""
    torch.manual_seed(0)
    x = torch.randn(8, *image)
    module.train()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.weight.uniform_(0.5, 1.5)
                part.bias.normal_(0, 0.3)
        module(x)
        module(x)  # running statistics of their own
        module.eval()
        theirs = module(x).numpy()
    save_file(module.state_dict(), folder / "a")
    net.build(image)
    model = dfs.Model(net, "mse", dfs.optimizers.SGD())
    report = model.load_weights(folder / "a", mapping)
    assert report[1:] == ([], [], [])
    return model.predict(x.numpy()), theirs


@pytest.mark.parametrize(
    ("name", "arguments", "image"),
    [("resnet20", ((16, 32, 64), 3, False), (3, 16, 16)),
     ("resnet56", ((16, 32, 64), 9, False), (3, 8, 8)),
     ("resnet18", ((64, 128, 256, 512), 2, True), (3, 64, 64))],
)  # fmt: skip
def test_residual_networks(name, arguments, image, tmp_path):
    net = getattr(dfs.networks, name)()
    module = ResNet(*arguments)
    ours, theirs = loaded(module, net, image, tmp_path)
    assert_allclose(ours, theirs, rtol=0, atol=1e-5 * max(1, abs(theirs).max()))
    assert sum(p.numel() for p in module.parameters()) == sum(
        p.size for p in net.parameters().values()
    )


def test_every_kind_of_layer(tmp_path):
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.PReLU(4),
        nn.Conv2d(4, 8, 3, groups=4), nn.GroupNorm(2, 8), nn.ConvTranspose2d(8, 3, 3, 2),
        nn.InstanceNorm2d(3, affine=True), nn.Conv2d(3, 6, 3, groups=3), nn.Flatten(),
        nn.Linear(6 * 11 * 11, 7), nn.LayerNorm(7), nn.BatchNorm1d(7), nn.Linear(7, 7),
    )  # fmt: skip
    net = L.Sequential([
        L.Conv2D(4, 3, padding=1), L.BatchNorm(), L.PReLU(),
        L.Conv2D(8, 3, groups=4), L.GroupNorm(2), L.ConvTranspose2D(3, 3, 2),
        L.InstanceNorm(), L.DepthwiseConv2D(3, multiplier=2), L.Flatten(),
        L.Dense(7), L.LayerNorm(), L.BatchNorm(), L.Dense(7),
    ])  # fmt: skip
    ours, theirs = loaded(module, net, (2, 8, 8), tmp_path)
    assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_sequences(tmp_path):
    module = nn.Sequential(nn.Conv1d(3, 5, 3), nn.BatchNorm1d(5), nn.Flatten(), nn.Linear(35, 4))
    net = L.Sequential([L.Conv1D(5, 3), L.BatchNorm(), L.Flatten(), L.Dense(4)])
    ours, theirs = loaded(module, net, (3, 9), tmp_path)
    assert_allclose(ours, theirs, rtol=0, atol=1e-5)


class Branching(nn.Module):
    """Two equal layers whose names do not tell their order."""

    def __init__(self):
        super().__init__()
        self.tail, self.head = nn.Linear(6, 6), nn.Linear(6, 6)  # used in this order

    def forward(self, x):
        return self.head(torch.tanh(self.tail(x)))


@pytest.mark.parametrize("how", ["list", "dict"])
def test_the_order_of_the_state_dict(how, tmp_path):
    module, net = Branching(), L.Sequential([L.Dense(6), L.Tanh(), L.Dense(6)])
    with pytest.raises(ValueError, match="does not tell the order"):
        loaded(module, net, (6,), tmp_path)
    mapping = list(module.state_dict()) if how == "list" else {"tail": "dense_1", "head": "dense_2"}
    ours, theirs = loaded(module, net, (6,), tmp_path, mapping)
    assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_half_precision(tmp_path):
    for dtype in (torch.float16, torch.bfloat16):
        linear = nn.Linear(5, 3).to(dtype)
        save_file(linear.state_dict(), tmp_path / "a")
        model = dfs.Model(L.Dense(3), "mse", dfs.optimizers.SGD())
        model.network.build((5,))
        model.load_weights(tmp_path / "a")
        found = model.get_weights()["weight"]
        assert np.array_equal(found, linear.weight.detach().float().numpy().T)


@pytest.mark.parametrize("how", ["as read", "list"])
def test_trained_weights_go_back_to_pytorch(how, tmp_path):
    """ResNet-18 with torchvision's names: read, trained by a step, written, read by PyTorch."""
    from safetensors.torch import load_file

    module, net = ResNet((64, 128, 256, 512), 2, True).eval(), dfs.networks.resnet18()
    save_file(module.state_dict(), tmp_path / "a")
    net.build((3, 64, 64))
    model = dfs.Model(net, "cross_entropy", dfs.optimizers.SGD(0.01))
    found = model.load_weights(tmp_path / "a")
    x = np.random.default_rng(0).standard_normal((4, 3, 64, 64)).astype(np.float32)
    model.train_on_batch(x, np.arange(4))
    mapping = found if how == "as read" else list(module.state_dict())
    assert model.save_state_dict(tmp_path / "b", mapping) == found.loaded
    with torch.no_grad():
        before = module(torch.from_numpy(x)).numpy()
        module.load_state_dict(load_file(tmp_path / "b"))
        after = module(torch.from_numpy(x)).numpy()
    ours = model.predict(x)
    assert_allclose(ours, after, rtol=0, atol=1e-5 * abs(after).max())
    assert abs(after - before).max() > 1e-3 * abs(after).max()
