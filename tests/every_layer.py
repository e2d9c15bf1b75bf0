"""One row per public layer at least: what to build, on what. Every common test runs over them."""

import numpy as np
import pytest

from deepfs import layers as L

IMAGE = (3, 4, 7, 6)
ROWS = (6, 5)
SEQUENCE = (3, 4, 9)


def spread(shape, seed=0):
    """Return different numbers about 0.05 apart around 0, none of them 0: no ties, no kinks."""
    size = int(np.prod(shape))
    values = (np.arange(size) - size / 2 + 0.25) * (6 / max(size, 120))
    return np.random.default_rng(seed).permutation(values).reshape(shape)


def graph_of_images():
    """Return a graph with skips, a layer called twice, and all layers of several inputs."""
    x = L.Input((4, 7, 6))
    shared = L.Conv2D(4, 3, padding=1)
    h = L.Tanh()(shared(x))
    h = L.Add()([h, L.BatchNorm()(shared(h)), x])
    gate = L.Sigmoid()(L.Reshape((4, 1, 1))(L.GlobalAvgPool2D()(h)))
    both = L.Concat()([L.Multiply()([h, gate]), L.Subtract()([h, x])])
    return L.Graph(x, L.Dense(3)(L.Concat(axis=3)([both, both])))


def graph_of_rows():
    """Return a graph in a graph, a value that is taken twice, and an Add of three."""
    x, a = L.Input((5,)), L.Input((5,))
    inner = L.Graph(a, L.Tanh()(L.Dense(5)(a)) * a)
    h = inner(x)
    return L.Graph(x, L.Sigmoid()(L.Add()([h, inner(h), x])) * x)


CASES = [
    ("dense", lambda: L.Dense(3), ROWS),
    ("dense of images, no bias", lambda: L.Dense(3, bias=False), IMAGE),
    ("conv 3x3", lambda: L.Conv2D(5, 3), IMAGE),
    ("conv same", lambda: L.Conv2D(5, (3, 2), padding="same"), IMAGE),
    ("conv strided same", lambda: L.Conv2D(2, 3, stride=2, padding="same"), IMAGE),
    ("conv strided", lambda: L.Conv2D(6, (2, 3), stride=(3, 2), padding=(1, 2)), IMAGE),
    ("conv dilated", lambda: L.Conv2D(3, 2, dilation=(2, 3), padding=(0, 1, 2, 0)), IMAGE),
    ("conv groups", lambda: L.Conv2D(6, 3, groups=2, padding=1, bias=False), IMAGE),
    ("conv two filters per channel", lambda: L.Conv2D(8, 3, groups=4, stride=2), IMAGE),
    ("conv depthwise", lambda: L.Conv2D(20, 3, groups=20, padding=1), (2, 20, 6, 5)),
    ("conv 1x1", lambda: L.Conv2D(3, 1, initializer="glorot_uniform"), IMAGE),
    ("conv wider than a tile", lambda: L.Conv2D(40, 3, padding=1), (2, 20, 5, 4)),
    ("conv winograd", lambda: L.Conv2D(9, 3, padding=1, algorithm="winograd"), (2, 5, 6, 5)),
    ("depthwise", lambda: L.DepthwiseConv2D(3, padding="same"), (2, 20, 6, 5)),
    ("depthwise, twice", lambda: L.DepthwiseConv2D((2, 3), 2, multiplier=2, bias=False), IMAGE),
    ("separable", lambda: L.SeparableConv2D(6, 3, stride=2, padding=1), IMAGE),
    ("separable, twice", lambda: L.SeparableConv2D(3, 2, multiplier=2, bias=False), IMAGE),
    ("transposed", lambda: L.ConvTranspose2D(5, 2, stride=2), IMAGE),
    ("transposed with room", lambda: L.ConvTranspose2D(3, 3, 2, 1, output_padding=1), IMAGE),
    ("transposed same", lambda: L.ConvTranspose2D(3, (4, 3), (3, 2), "same"), IMAGE),
    ("transposed dilated", lambda: L.ConvTranspose2D(3, 2, 1, (0, 1, 2, 0), 2, bias=False), IMAGE),
    ("transposed groups", lambda: L.ConvTranspose2D(6, 3, 2, groups=2), IMAGE),
    ("transposed winograd", lambda: L.ConvTranspose2D(9, 3, algorithm="winograd"), (2, 5, 6, 5)),
    ("conv of sequences", lambda: L.Conv1D(5, 3), SEQUENCE),
    ("conv of sequences same", lambda: L.Conv1D(5, 4, stride=2, padding="same"), SEQUENCE),
    ("conv of sequences, groups", lambda: L.Conv1D(6, 2, 2, (2, 1), 3, 2, bias=False), SEQUENCE),
    ("max pool", lambda: L.MaxPool2D(), IMAGE),
    ("max pool padded", lambda: L.MaxPool2D(3, 2, padding=1, ceil_mode=True), IMAGE),
    ("max pool overlapping", lambda: L.MaxPool2D((3, 2), 1, padding="same"), IMAGE),
    ("max pool padded by more than half", lambda: L.MaxPool2D(3, 2, padding=2), IMAGE),
    ("max pool dilated", lambda: L.MaxPool2D((2, 3), 1, padding="same", dilation=(3, 2)), IMAGE),
    ("max pool of many channels", lambda: L.MaxPool2D(2, 3), (2, 70, 5, 5)),
    ("average pool", lambda: L.AvgPool2D(2), IMAGE),
    ("average pool padded", lambda: L.AvgPool2D(3, 2, padding=1, ceil_mode=True), IMAGE),
    ("average pool of padding", lambda: L.AvgPool2D(3, 2, 1, count_include_pad=True), IMAGE),
    ("average pool dilated", lambda: L.AvgPool2D(2, 1, (0, 2, 1, 0), dilation=2), IMAGE),
    ("global average pool", lambda: L.GlobalAvgPool2D(), IMAGE),
    ("global max pool", lambda: L.GlobalMaxPool2D(), IMAGE),
    ("global max pool of many channels", lambda: L.GlobalMaxPool2D(), (2, 70, 17, 16)),
    ("adaptive average pool", lambda: L.AdaptiveAvgPool2D((3, 4)), IMAGE),
    ("adaptive average pool of parts", lambda: L.AdaptiveAvgPool2D(2), (2, 20, 6, 4)),
    ("global average pool of many channels", lambda: L.GlobalAvgPool2D(), (2, 70, 5, 1)),
    ("max pool of sequences", lambda: L.MaxPool1D(), SEQUENCE),
    ("max pool of sequences padded", lambda: L.MaxPool1D(3, 2, 1, ceil_mode=True), SEQUENCE),
    ("max pool of long sequences", lambda: L.MaxPool1D(300, 7, "same"), (2, 5, 310)),
    ("max pool of sequences dilated", lambda: L.MaxPool1D(2, 1, 2, dilation=3), SEQUENCE),
    ("average pool of sequences", lambda: L.AvgPool1D(2), SEQUENCE),
    ("average pool of sequences padded", lambda: L.AvgPool1D(3, 2, (0, 1), True, True), SEQUENCE),
    ("average pool of sequences dilated", lambda: L.AvgPool1D(3, 2, "same", dilation=2), SEQUENCE),
    ("global average pool of sequences", lambda: L.GlobalAvgPool1D(), SEQUENCE),
    ("global average pool of long sequences", lambda: L.GlobalAvgPool1D(), (2, 3, 150)),
    ("global max pool of sequences", lambda: L.GlobalMaxPool1D(), SEQUENCE),
    ("adaptive average pool of sequences", lambda: L.AdaptiveAvgPool1D(4), SEQUENCE),
    ("batch norm of images", lambda: L.BatchNorm(), IMAGE),
    ("batch norm of sequences", lambda: L.BatchNorm(), SEQUENCE),
    ("batch norm of rows", lambda: L.BatchNorm(momentum=0.5, running_variance="biased"), ROWS),
    ("batch norm without affine", lambda: L.BatchNorm(affine=False), IMAGE),
    ("layer norm of rows", lambda: L.LayerNorm(), ROWS),
    ("layer norm of long rows", lambda: L.LayerNorm(eps=0.1), (2, 3, 150)),
    ("layer norm of sequences", lambda: L.LayerNorm(2), (3, 4, 5)),
    ("layer norm of images", lambda: L.LayerNorm(3), IMAGE),
    ("layer norm of pixels", lambda: L.LayerNorm(2), IMAGE),
    ("layer norm of lines", lambda: L.LayerNorm(), IMAGE),
    ("layer norm of one channel", lambda: L.LayerNorm(2), (3, 1, 5, 4)),
    ("layer norm without affine", lambda: L.LayerNorm(affine=False), IMAGE),
    ("group norm", lambda: L.GroupNorm(2), IMAGE),
    ("group norm of many channels", lambda: L.GroupNorm(5), (2, 35, 9, 8)),
    ("group norm in one group", lambda: L.GroupNorm(1), IMAGE),
    ("group norm of rows", lambda: L.GroupNorm(2), (5, 6)),
    ("group norm of sequences", lambda: L.GroupNorm(2, affine=False), (3, 4, 5)),
    ("instance norm", lambda: L.InstanceNorm(), IMAGE),
    ("instance norm of sequences", lambda: L.InstanceNorm(affine=False), (3, 4, 5)),
    ("relu", lambda: L.ReLU(), IMAGE),
    ("clip", lambda: L.Clip(-0.5, 0.3), ROWS),
    ("clip of images, relu6", lambda: L.Clip(0, 1.7), IMAGE),
    ("clip from above", lambda: L.Clip(None, 0.3), SEQUENCE),
    ("sigmoid", lambda: L.Sigmoid(), IMAGE),
    ("tanh", lambda: L.Tanh(), ROWS),
    ("step, below what learns", lambda: L.Sequential([L.Step(), L.Dense(3)]), ROWS),
    ("identity", lambda: L.Identity(), IMAGE),
    ("leaky relu", lambda: L.LeakyReLU(), IMAGE),
    ("leaky relu that falls", lambda: L.LeakyReLU(-0.3), ROWS),
    ("prelu of images", lambda: L.PReLU(), IMAGE),
    ("prelu of rows", lambda: L.PReLU(), ROWS),
    ("prelu of sequences", lambda: L.PReLU(), (3, 5, 9)),
    ("prelu of many channels", lambda: L.PReLU(), (2, 37, 3, 3)),
    ("prelu, one slope", lambda: L.PReLU(per_channel=False), IMAGE),
    ("elu", lambda: L.ELU(), IMAGE),
    ("elu of 0.3", lambda: L.ELU(alpha=0.3), ROWS),
    ("selu", lambda: L.SELU(), IMAGE),
    ("selu of other constants", lambda: L.SELU(alpha=2, scale=3), IMAGE),
    ("softplus", lambda: L.Softplus(), IMAGE),
    ("silu", lambda: L.SiLU(), IMAGE),
    ("gelu", lambda: L.GELU(), IMAGE),
    ("gelu by tanh", lambda: L.GELU(approximate=True), IMAGE),
    ("hard swish", lambda: L.HardSwish(), IMAGE),
    ("maxout", lambda: L.Maxout(2), IMAGE),
    ("maxout of rows", lambda: L.Maxout(5), ROWS),
    ("maxout of sequences", lambda: L.Maxout(2), SEQUENCE),
    ("softmax", lambda: L.Softmax(), ROWS),
    ("softmax of pixels", lambda: L.Softmax(), IMAGE),
    ("softmax of sequences", lambda: L.Softmax(), SEQUENCE),
    ("log softmax", lambda: L.LogSoftmax(), ROWS),
    ("log softmax of pixels", lambda: L.LogSoftmax(), IMAGE),
    ("dropout", lambda: L.Dropout(0.4), IMAGE),
    ("dropout, textbook", lambda: L.Dropout(0.4, scaling="test"), ROWS),
    ("spatial dropout", lambda: L.SpatialDropout(0.4), IMAGE),
    ("spatial dropout of sequences", lambda: L.SpatialDropout(0.4), (3, 4, 5)),
    ("drop connect", lambda: L.DropConnect(3, 0.4), ROWS),
    ("drop connect of images, no bias", lambda: L.DropConnect(3, 0.4, bias=False), IMAGE),
    ("gaussian noise", lambda: L.GaussianNoise(0.5), IMAGE),
    ("flatten", lambda: L.Flatten(), IMAGE),
    ("flatten sequences", lambda: L.Flatten(), SEQUENCE),
    ("reshape", lambda: L.Reshape((6, -1, 2)), IMAGE),
    ("reshape to images", lambda: L.Reshape([5, 1, 1]), ROWS),
    ("zero pad", lambda: L.ZeroPad2D((1, 0, 2, 3)), IMAGE),
    ("zero pad of sequences", lambda: L.ZeroPad1D((1, 2)), SEQUENCE),
    ("crop", lambda: L.Crop2D((1, 0, 2, 3)), IMAGE),
    ("crop of sequences", lambda: L.Crop1D((1, 2)), SEQUENCE),
    ("upsample", lambda: L.Upsample2D(2), IMAGE),
    ("upsample, many channels", lambda: L.Upsample2D((3, 1)), (2, 20, 3, 4)),
    ("upsample of sequences", lambda: L.Upsample1D(3), SEQUENCE),
    ("resize to more", lambda: L.Resize2D((9, 11)), IMAGE),
    ("resize to less", lambda: L.Resize2D((3, 4)), IMAGE),
    ("resize, nearest", lambda: L.Resize2D((9, 4), "nearest"), (2, 20, 7, 6)),
    ("sequential", lambda: L.Sequential([L.Conv2D(4, 3), L.Tanh(), L.Dense(2)]), IMAGE),
    ("sequential of random parts", lambda: L.Sequential([L.Dropout(0.3), L.Dense(3)]), ROWS),
    ("residual", lambda: L.Residual(L.Conv2D(4, 3, padding=1)), IMAGE),
    ("residual of sequences", lambda: L.Residual(L.Conv1D(4, 3, padding=1)), SEQUENCE),
    ("checkpoint", lambda: L.Checkpoint([L.Conv2D(4, 3), L.Tanh(), L.BatchNorm()]), IMAGE),
    ("checkpoint of random parts", lambda: L.Checkpoint([L.Dropout(0.3), L.Dense(3)]), ROWS),
    ("checkpoint of sequences", lambda: L.Checkpoint(L.Conv1D(4, 3)), SEQUENCE),
    ("branches of sequences", lambda: L.Branches([L.Conv1D(3, 1), L.Tanh()]), SEQUENCE),
    ("branches", lambda: L.Branches([L.Conv2D(3, 1), L.MaxPool2D(3, 1, 1), L.Tanh()]), IMAGE),
    ("branches of rows", lambda: L.Branches([L.Dense(2), L.Tanh(), L.Dense(3)]), ROWS),
    ("one branch", lambda: L.Branches([L.Conv2D(3, 1)]), IMAGE),
    (
        "branches added",
        lambda: L.Branches(
            [L.Tanh(), L.Conv2D(4, 3, padding=1), L.BatchNorm(), L.AvgPool2D(3, 1, 1)], merge="add"
        ),
        IMAGE,
    ),
    ("graph of images", graph_of_images, IMAGE),
    ("graph of rows", graph_of_rows, ROWS),
    (
        "residual with shortcut",
        lambda: L.Residual(
            L.Sequential([L.Conv2D(6, 3, stride=2, padding=1), L.BatchNorm(), L.Sigmoid()]),
            L.Conv2D(6, 1, stride=2),
        ),
        IMAGE,
    ),
]

every_layer = pytest.mark.parametrize(
    ("make", "shape"), [pytest.param(make, shape, id=name) for name, make, shape in CASES]
)
