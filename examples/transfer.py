"""Transfer learning: a network that knows the digits 0 to 4 learns 5 to 9 from 10 images each.

Usage: ``python examples/transfer.py [--quick] [--mnist]``. Ten random choices of the images, or
one; tested on the 500 bundled images of these digits, or on the 4,861 of MNIST, downloaded once.
"""

import argparse

import numpy as np

import deepfs as dfs
from deepfs import layers as L

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="one choice of images instead of ten")
parser.add_argument("--mnist", action="store_true", help="the whole MNIST, not the bundled part")
parser.add_argument("--per-class", type=int, default=10, help="training images of each digit")
options = parser.parse_args()

(x, y), (xt, yt) = dfs.datasets.mnist() if options.mnist else dfs.datasets.mnist_mini()
x, y, xt, yt = x[y >= 5], y[y >= 5] - 5, xt[yt >= 5], yt[yt >= 5] - 5


def trained(network, images, labels, lr, epochs, seed):
    """Return a trained model of the network."""
    model = dfs.Model(network, "cross_entropy", dfs.optimizers.Adam(lr), seed=seed)
    model.fit(images, labels, batch_size=10, epochs=epochs, verbose=0)
    return model


def accuracy(model):
    """Return the share of test images whose digit it names."""
    return model.evaluate(xt, yt)["accuracy"]


found = {"from scratch": [], "new head": [], "then all layers": []}
for seed in range(1 if options.quick else 10):
    dfs.set_seed(seed)
    rng = np.random.default_rng(seed)
    chosen = [rng.choice(np.flatnonzero(y == k), options.per_class, False) for k in range(5)]
    chosen = rng.permutation(np.concatenate(chosen))
    images, labels = x[chosen], y[chosen]

    model = trained(dfs.networks.mini_convnet(5), images, labels, 3e-3, 60, seed)
    found["from scratch"].append(accuracy(model))

    net = dfs.networks.pretrained("mnist_0_to_4")
    net.replace("dense_1", L.Dense(5))
    net.freeze(until="dense_1")  # stage 1: the head alone
    model = trained(net, images, labels, 1e-3, 30, seed)
    found["new head"].append(accuracy(model))

    net.unfreeze()  # stage 2: all layers, at a tenth of the rate
    model = trained(net, images, labels, 1e-4, 30, seed)
    found["then all layers"].append(accuracy(model))

for name, results in found.items():
    print(f"{name:16} {100 * np.mean(results):5.1f} %  (from {100 * min(results):.1f} "
          f"to {100 * max(results):.1f} %)")  # fmt: skip
