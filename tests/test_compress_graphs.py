"""Shrink on random graphs: sums, products, joins, shared layers and nested containers."""

import numpy as np
import pytest

from deepfs import layers as L
from deepfs.compress import shrink
from test_compress import leaves, with_zero_filters

APART = [
    L.ReLU, L.Tanh, L.Sigmoid, L.BatchNorm, L.PReLU, L.Identity, L.InstanceNorm,
    lambda: L.DepthwiseConv2D(3, padding=1), lambda: L.MaxPool2D(3, 1, padding=1),
    lambda: L.AvgPool2D(3, 1, padding=1, count_include_pad=True),
]  # fmt: skip


def random_graph(rng):
    """Return a graph of 4 to 13 calls on images (3, 6, 6)."""

    def one_of(entries):
        return entries[int(rng.integers(len(entries)))]

    def conv():
        return L.Conv2D(int(rng.integers(1, 6)), int(rng.choice([1, 3])), padding="same",
                        bias=bool(rng.integers(2)))  # fmt: skip

    image = L.Input((3, 6, 6))
    values, shared = [image], {}
    for _ in range(rng.integers(4, 14)):
        x = one_of(values[-4:])
        equal = [other for other in values if other.shape == x.shape and other is not x]
        kind = one_of(["conv", "apart", "apart", "concat", "merge", "shared", "block"])
        if kind == "conv":
            new = conv()(x)
        elif kind == "apart":
            new = one_of(APART)()(x)
        elif kind == "concat":
            new = L.Concat()([x, one_of(values)])
        elif kind == "shared":
            new = shared.setdefault(x.shape[0], conv())(x)
        elif kind == "merge" and equal:
            new = one_of([L.Add, L.Subtract, L.Multiply])()([x, one_of(equal)])
        else:
            body = [L.Conv2D(4, 3, padding=1), L.ReLU(), L.Conv2D(x.shape[0], 1)]
            branches = [body, L.Identity()]
            new = one_of([L.Residual(body), L.Branches(branches), L.Branches(branches, "add")])(x)
        values.append(new)
    head = L.Dense(3)(values[-1])
    return L.Graph(image, one_of([head, (head, L.Conv2D(2, 1)(one_of(values)))]))


@pytest.mark.parametrize("seed", range(15))
def test_random_graphs(seed):
    rng = np.random.default_rng(seed)
    net = random_graph(rng)
    net.build((3, 6, 6), np.float64)
    share, biases = float(rng.choice([0.3, 0.6, 0.9])), bool(rng.integers(2))
    net = with_zero_filters(net, (3, 6, 6), rng, share, biases)
    x = rng.standard_normal((3, 3, 6, 6))
    small, report = shrink(net, samples=0)
    assert report.total.parameters[1] <= report.total.parameters[0]
    for y, z in zip(leaves(net(x)), leaves(small(x)), strict=True):
        assert np.abs(y - z).max() <= 1e-12 * np.abs(y).max()
