"""Every layer against PyTorch, on random settings, in float64; skipped where PyTorch is not.

A row of OPERATIONS draws settings and returns a layer, the same in PyTorch, and the shape of an
input. Outputs must agree to 1e-12, gradients to 1e-7; so must what training leaves in buffers.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from deepfs import layers as L

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

SEEDS = range(14)
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
# how PyTorch calls a parameter, where it is another name, and how it lies there
NAMES = {"gamma": "weight", "beta": "bias", "slope": "weight"}


def image(rng, channels=None, least=6):
    """Return the shape of a small batch of images."""
    n, c = rng.integers(1, 4), channels or rng.integers(1, 7)
    h, w = rng.integers(least, 12, 2)
    return int(n), int(c), int(h), int(w)


def sequence(rng, channels=None, least=6):
    """Return the shape of a small batch of sequences."""
    n, c, _, length = image(rng, channels, least)
    return n, c, length


def rows(rng):
    return tuple(map(int, rng.integers(2, 9, 2)))


def anything(rng):
    """Return a shape of two to four axes."""
    return (
        image(rng)
        if rng.random() < 0.5
        else tuple(map(int, rng.integers(2, 7, rng.integers(2, 4))))
    )


def draw(rng, *choices):
    return choices[rng.integers(len(choices))]


def pair(rng, low, high):
    return tuple(map(int, rng.integers(low, high + 1, 2)))


def maybe_int(rng, two):
    """Return a pair, or one number where a pair of equal ones would do."""
    return two[0] if two[0] == two[1] and rng.random() < 0.5 else two


class Padded(nn.Module):
    """Pad by (top, bottom, left, right), then do something."""

    def __init__(self, sides, inner):
        super().__init__()
        top, bottom, left, right = sides
        self.sides, self.inner = (left, right, top, bottom), inner

    def forward(self, x):
        return self.inner(F.pad(x, self.sides))


class Reshape(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(len(x), *self.shape)


class Together(nn.Module):
    """Run parts side by side and join what they return."""

    def __init__(self, parts, join):
        super().__init__()
        self.parts, self.join = nn.ModuleList(parts), join

    def forward(self, x):
        return self.join([part(x) for part in self.parts])


def dense(rng):
    shape, units, bias = anything(rng), int(rng.integers(1, 7)), bool(rng.integers(2))
    inner = nn.Linear(int(np.prod(shape[1:])), units, bias=bias)
    return L.Dense(units, bias=bias), nn.Sequential(nn.Flatten(), inner), shape


def convolution_settings(rng, most=4):
    kernel, stride, dilation = pair(rng, 1, most), pair(rng, 1, 3), pair(rng, 1, 2)
    sides = tuple(map(int, rng.integers(0, 4, 4)))
    return kernel, stride, dilation, sides


def conv2d(rng):
    kernel, stride, dilation, sides = convolution_settings(rng)
    groups = int(rng.integers(1, 4))
    c, filters = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 5))
    bias = bool(rng.integers(2))
    inner = nn.Conv2d(c, filters, kernel, stride, 0, dilation, groups, bias)
    ours = L.Conv2D(filters, maybe_int(rng, kernel), maybe_int(rng, stride), sides,
                    maybe_int(rng, dilation), groups, bias)  # fmt: skip
    return ours, Padded(sides, inner), image(rng, c, 8)


def conv2d_padded(rng):
    """Square padding, which both have; and "same" at stride 1."""
    kernel, stride, dilation, _ = convolution_settings(rng)
    c, filters = map(int, rng.integers(1, 6, 2))
    padding = draw(rng, "same", "valid", pair(rng, 0, 3))
    stride = (1, 1) if padding == "same" else stride
    theirs = nn.Conv2d(c, filters, kernel, stride, padding, dilation)
    return L.Conv2D(filters, kernel, stride, padding, dilation), theirs, image(rng, c, 8)


def conv2d_of_one_channel(rng):
    filters, kernel = int(rng.integers(1, 9)), pair(rng, 1, 5)
    padding = pair(rng, 0, 2)
    theirs = nn.Conv2d(1, filters, kernel, 1, padding)
    return L.Conv2D(filters, kernel, 1, padding), theirs, (2, 1, 9, int(rng.integers(8, 40)))


def conv2d_of_many_channels(rng):
    c, filters = map(int, rng.integers(15, 50, 2))
    theirs = nn.Conv2d(c, filters, 3, padding=1)
    return L.Conv2D(filters, 3, padding=1), theirs, image(rng, c)


def depthwise(rng):
    kernel, stride, dilation, sides = convolution_settings(rng)
    c, multiplier = int(rng.integers(1, 20)), int(rng.integers(1, 4))
    inner = nn.Conv2d(c, c * multiplier, kernel, stride, 0, dilation, c)
    ours = L.DepthwiseConv2D(kernel, stride, sides, dilation, multiplier)
    return ours, Padded(sides, inner), image(rng, c, 8)


def conv1d(rng):
    groups, kernel, stride, dilation = map(int, rng.integers(1, 4, 4))
    c, filters = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4))
    padding = int(rng.integers(0, 4))
    theirs = nn.Conv1d(c, filters, kernel, stride, padding, dilation, groups)
    shape = (2, c, int(rng.integers(8, 20)))
    return L.Conv1D(filters, kernel, stride, padding, dilation, groups), theirs, shape


def conv_transpose(rng):
    kernel, stride, dilation = pair(rng, 1, 4), pair(rng, 1, 3), pair(rng, 1, 2)
    groups, padding = int(rng.integers(1, 3)), pair(rng, 0, 1)
    c, filters = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4))
    extra = tuple(int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation, strict=True))
    theirs = nn.ConvTranspose2d(c, filters, kernel, stride, padding, extra, groups,
                                dilation=dilation)  # fmt: skip
    ours = L.ConvTranspose2D(filters, kernel, stride, padding, dilation, groups,
                             output_padding=extra)  # fmt: skip
    return ours, theirs, image(rng, c, 4)


def pooling_settings(rng):
    kernel, stride, ceil = pair(rng, 1, 4), pair(rng, 1, 4), bool(rng.integers(2))
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    return kernel, stride, padding, ceil


def max_pool(rng):
    kernel, stride, padding, ceil = pooling_settings(rng)
    dilation = pair(rng, 1, 3)
    theirs = nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil)
    return L.MaxPool2D(kernel, stride, padding, ceil, dilation), theirs, image(rng)


def avg_pool(rng):
    kernel, stride, padding, ceil = pooling_settings(rng)
    count = bool(rng.integers(2))
    theirs = nn.AvgPool2d(kernel, stride, padding, ceil, count)
    return L.AvgPool2D(kernel, stride, padding, ceil, count), theirs, image(rng)


def global_avg_pool(rng):
    theirs = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return L.GlobalAvgPool2D(), theirs, image(rng)


def global_max_pool(rng):
    theirs = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
    return L.GlobalMaxPool2D(), theirs, image(rng)


def adaptive_avg_pool(rng):
    size = pair(rng, 1, 14)
    return L.AdaptiveAvgPool2D(maybe_int(rng, size)), nn.AdaptiveAvgPool2d(size), image(rng)


def pool1d_settings(rng):
    kernel, stride, ceil = int(rng.integers(1, 5)), int(rng.integers(1, 5)), bool(rng.integers(2))
    return kernel, stride, int(rng.integers(0, kernel // 2 + 1)), ceil


def max_pool1d(rng):
    kernel, stride, padding, ceil = pool1d_settings(rng)
    dilation = int(rng.integers(1, 4))
    theirs = nn.MaxPool1d(kernel, stride, padding, dilation, ceil_mode=ceil)
    return L.MaxPool1D(kernel, stride, padding, ceil, dilation), theirs, sequence(rng)


def avg_pool1d(rng):
    kernel, stride, padding, ceil = pool1d_settings(rng)
    count = bool(rng.integers(2))
    theirs = nn.AvgPool1d(kernel, stride, padding, ceil, count)
    return L.AvgPool1D(kernel, stride, padding, ceil, count), theirs, sequence(rng)


def global_avg_pool1d(rng):
    return L.GlobalAvgPool1D(), lambda x: x.mean(2), sequence(rng)


def global_max_pool1d(rng):
    return L.GlobalMaxPool1D(), lambda x: x.amax(2), sequence(rng)


def adaptive_avg_pool1d(rng):
    size = int(rng.integers(1, 15))
    return L.AdaptiveAvgPool1D(size), nn.AdaptiveAvgPool1d(size), sequence(rng)


def batch_norm(rng):
    momentum, eps, affine = rng.random(), 10.0 ** -rng.integers(1, 8), bool(rng.integers(2))
    shape = draw(rng, image(rng), rows(rng), sequence(rng))
    kind = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
    return L.BatchNorm(momentum, eps, affine), kind(shape[1], eps, 1 - momentum, affine), shape


def batch_norm_cumulative(rng):
    shape = image(rng)
    return L.BatchNorm(statistics="cumulative"), nn.BatchNorm2d(shape[1], momentum=None), shape


def layer_norm(rng):
    shape = anything(rng)
    axes, eps = int(rng.integers(1, len(shape))), 10.0 ** -rng.integers(1, 8)
    affine = bool(rng.integers(2))
    theirs = nn.LayerNorm(shape[-axes:], eps, affine)
    return L.LayerNorm(axes, eps, affine), theirs, shape


def group_norm(rng):
    groups = int(rng.integers(1, 4))
    shape = image(rng, groups * int(rng.integers(1, 4)))
    affine = bool(rng.integers(2))
    return L.GroupNorm(groups, affine=affine), nn.GroupNorm(groups, shape[1], affine=affine), shape


def instance_norm(rng):
    shape, affine = image(rng), bool(rng.integers(2))
    return L.InstanceNorm(affine=affine), nn.InstanceNorm2d(shape[1], affine=affine), shape


def prelu(rng):
    shape, each = image(rng), bool(rng.integers(2))
    return L.PReLU(each), nn.PReLU(shape[1] if each else 1), shape


def maxout(rng):
    pieces = int(rng.integers(1, 4))
    n, c, h, w = image(rng)

    def theirs(x):
        return x.unflatten(1, (c, pieces)).amax(2)

    return L.Maxout(pieces), theirs, (n, c * pieces, h, w)


def activation(ours, theirs):
    """Return an operation without settings."""
    return lambda rng: (ours(), theirs(), anything(rng))


def with_setting(ours, theirs, low, high):
    """Return an operation with one number as its setting."""

    def operation(rng):
        a = rng.uniform(low, high)
        return ours(a), theirs(a), anything(rng)

    return operation


def zero_pad(rng):
    top, bottom, left, right = map(int, rng.integers(0, 4, 4))
    theirs = nn.ZeroPad2d((left, right, top, bottom))
    return L.ZeroPad2D((top, bottom, left, right)), theirs, image(rng)


def upsample(rng):
    factor = pair(rng, 1, 4)
    return L.Upsample2D(maybe_int(rng, factor)), nn.Upsample(scale_factor=factor), image(rng)


def zero_pad1d(rng):
    ends = pair(rng, 0, 3)
    return L.ZeroPad1D(ends), nn.ZeroPad1d(ends), sequence(rng)


def crop(rng):
    top, bottom, left, right = sides = tuple(map(int, rng.integers(0, 3, 4)))

    def theirs(x):
        return x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]

    return L.Crop2D(sides), theirs, image(rng)


def crop1d(rng):
    left, right = ends = pair(rng, 0, 2)
    return L.Crop1D(ends), lambda x: x[:, :, left : x.shape[2] - right], sequence(rng)


def upsample1d(rng):
    factor = int(rng.integers(1, 5))
    return L.Upsample1D(factor), nn.Upsample(scale_factor=factor), sequence(rng)


def resize(rng):
    size = pair(rng, 1, 20)

    def theirs(x):
        return F.interpolate(x, size, mode="bilinear", align_corners=False)

    return L.Resize2D(size), theirs, image(rng, least=1)


def resize_nearest(rng):
    size = pair(rng, 1, 20)

    def theirs(x):
        return F.interpolate(x, size, mode="nearest-exact")

    return L.Resize2D(size, "nearest"), theirs, image(rng, least=1)


def reshape(rng):
    n, c, h, w = image(rng)
    return L.Reshape((h, -1)), Reshape((h, c * w)), (n, c, h, w)


def residual(rng):
    c = int(rng.integers(1, 6))
    theirs = Together([nn.Conv2d(c, c, 3, padding=1), nn.Identity()], sum)
    return L.Residual(L.Conv2D(c, 3, padding=1)), theirs, image(rng, c)


def branches(rng):
    c, a, b = map(int, rng.integers(1, 6, 3))
    theirs = Together(
        [nn.Conv2d(c, a, 1), nn.Conv2d(c, b, 3, padding=1)], lambda y: torch.cat(y, 1)
    )
    return L.Branches([L.Conv2D(a, 1), L.Conv2D(b, 3, padding=1)]), theirs, image(rng, c)


OPERATIONS = {
    "dense": dense,
    "conv2d": conv2d,
    "conv2d, padding by name": conv2d_padded,
    "conv2d of one channel": conv2d_of_one_channel,
    "conv2d of many channels": conv2d_of_many_channels,
    "depthwise": depthwise,
    "conv1d": conv1d,
    "conv transpose": conv_transpose,
    "max pool": max_pool,
    "average pool": avg_pool,
    "global average pool": global_avg_pool,
    "global max pool": global_max_pool,
    "adaptive average pool": adaptive_avg_pool,
    "max pool of sequences": max_pool1d,
    "average pool of sequences": avg_pool1d,
    "global average pool of sequences": global_avg_pool1d,
    "global max pool of sequences": global_max_pool1d,
    "adaptive average pool of sequences": adaptive_avg_pool1d,
    "batch norm": batch_norm,
    "batch norm, cumulative": batch_norm_cumulative,
    "layer norm": layer_norm,
    "group norm": group_norm,
    "instance norm": instance_norm,
    "identity": activation(L.Identity, nn.Identity),
    "sigmoid": activation(L.Sigmoid, nn.Sigmoid),
    "tanh": activation(L.Tanh, nn.Tanh),
    "relu": activation(L.ReLU, nn.ReLU),
    "clip": activation(lambda: L.Clip(0, 6), nn.ReLU6),
    "clip, hard tanh": activation(lambda: L.Clip(-1, 1), nn.Hardtanh),
    "leaky relu": with_setting(L.LeakyReLU, nn.LeakyReLU, 0.001, 0.9),
    "prelu": prelu,
    "elu": with_setting(L.ELU, nn.ELU, 0.1, 3),
    "selu": activation(L.SELU, nn.SELU),
    "gelu": activation(L.GELU, nn.GELU),
    "gelu, tanh": activation(lambda: L.GELU(True), lambda: nn.GELU("tanh")),
    "silu": activation(L.SiLU, nn.SiLU),
    "softplus": activation(L.Softplus, lambda: nn.Softplus(threshold=1000)),
    "hard swish": activation(L.HardSwish, nn.Hardswish),
    "maxout": maxout,
    "softmax": activation(L.Softmax, lambda: nn.Softmax(1)),
    "log softmax": activation(L.LogSoftmax, lambda: nn.LogSoftmax(1)),
    "flatten": activation(L.Flatten, nn.Flatten),
    "reshape": reshape,
    "zero pad": zero_pad,
    "zero pad of sequences": zero_pad1d,
    "crop": crop,
    "crop of sequences": crop1d,
    "upsample": upsample,
    "upsample of sequences": upsample1d,
    "resize": resize,
    "resize, nearest": resize_nearest,
    "residual": residual,
    "branches": branches,
}


def give(theirs, layer):
    """Copy the parameters of a layer into a module; return those of the module, by our name."""
    if not isinstance(theirs, nn.Module):
        return {}
    left = dict(theirs.named_parameters())
    found = {}
    for name, p in layer.parameters().items():
        last = NAMES.get(name.rpartition(".")[2], name.rpartition(".")[2])
        key = next(k for k in left if k.rpartition(".")[2] == last)
        found[name] = left.pop(key)
        value = np.ascontiguousarray(seen(p.value, layer))
        found[name].data = torch.from_numpy(value.reshape(tuple(found[name].shape)))
    assert not left, f"PyTorch has {sorted(left)} besides"
    return found


def seen(a, layer):
    """Return an array of a layer as PyTorch has it: dense weights are the other way round there."""
    return a.T if isinstance(layer, L.Dense) else a


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_agrees(name, seed, training):
    rng = np.random.default_rng([seed, *name.encode()])
    layer, theirs, shape = OPERATIONS[name](rng)
    x = rng.standard_normal(shape) * 2
    layer.build(shape[1:], np.float64)
    for p in layer.parameters().values():
        p.value = rng.standard_normal(p.value.shape)
    if isinstance(theirs, nn.Module):
        theirs = theirs.double().train(training)
    parameters = give(theirs, layer)
    tx = torch.from_numpy(x).requires_grad_()
    try:
        ty = theirs(tx)
    except (RuntimeError, ValueError):
        with pytest.raises(ValueError, match=layer.label):
            layer.forward(x, training=training)
        return
    y, cache = layer.forward(x, training=training)
    assert_allclose(y, ty.detach().numpy(), rtol=1e-12, atol=1e-12)
    dy = rng.standard_normal(y.shape)
    dx = layer.backward(dy, cache)
    ty.backward(torch.from_numpy(dy))
    assert_allclose(dx, tx.grad.numpy(), rtol=0, atol=1e-7, err_msg="dx")
    for key, p in layer.parameters().items():
        wanted = parameters[key].grad.numpy()
        got = seen(p.grad, layer).reshape(wanted.shape)
        assert_allclose(got, wanted, rtol=0, atol=1e-7, err_msg=f"d {key}")
    if "batch norm" in name:
        for key in ("running_mean", "running_var"):
            wanted = getattr(theirs, key).numpy()
            assert_allclose(layer.buffers()[key], wanted, rtol=1e-12, err_msg=key)
