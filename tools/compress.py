"""Prune filters of a network while it learns, remove them, and measure what that saves.

    python tools/compress.py --data FOLDER [--seeds 0 1 2] [--sparsity 0.3 0.5] [--more 4]
    python tools/compress.py --network vgg_small --dataset cifar10 --data FOLDER [--samples 20000]

A network is trained for some epochs, by Adam with batches of 100. Then it learns for some more,
with a learning rate that falls to 0: once as it is, and once for each share of filters to prune.
Each pruned network is shrunk. Printed are test accuracy, MACs, parameters, and the time of
inference of 100 images on one thread, the least of 150; of several seeds the mean and the range of
the accuracy, and of what pruning changes it by. Last result: docs/compress.md.
"""

from __future__ import annotations

import argparse
import copy
from statistics import fmean
from time import perf_counter

import numpy as np

import deepfs as dfs


def finished(model: dfs.Model, data, epochs: int, share: float) -> dfs.Model:
    """Return a copy of a model after more epochs, pruned by a share of its filters and shrunk."""
    model = copy.deepcopy(model)
    model.optimizer = dfs.optimizers.Adam(dfs.schedules.Cosine(1e-3))
    steps = epochs * -(-len(data[0]) // 100)
    callbacks = []
    if share:
        stop, every = steps // 2, max(steps // 40, 1)
        callbacks = [dfs.compress.prune(share, structured=True, stop=stop, every=every)]
    model.fit(*data, batch_size=100, epochs=epochs, verbose=0, callbacks=callbacks)
    if not share:
        return model
    model, report = dfs.compress.shrink(model)
    print(report, flush=True)
    return model


def times(models: list[dfs.Model], x, repeats: int = 150) -> list[float]:
    """Return the least milliseconds of inference of a batch on one thread, in turns."""
    least = [np.inf] * len(models)
    with dfs.threads(1):
        for _ in range(repeats):
            for i, model in enumerate(models):
                start = perf_counter()
                model.network(x)
                least[i] = min(least[i], perf_counter() - start)
    return [1e3 * seconds for seconds in least]


def of_seed(seed: int, options: argparse.Namespace, data, test) -> list[float]:
    """Train, prune, shrink and print; return the accuracies, the one without pruning first."""
    dfs.set_seed(seed)
    network = getattr(dfs.networks, options.network)()
    start = dfs.Model(network, "cross_entropy", dfs.optimizers.Adam(1e-3))
    start.fit(*data, batch_size=100, epochs=options.epochs, verbose=0)
    shares = [0.0, *options.sparsity]
    models = [finished(start, data, options.more, share) for share in shares]
    milliseconds, found = times(models, test[0][:100]), []
    for share, model, ms in zip(shares, models, milliseconds, strict=True):
        rows = dfs.compress.shrink(model, samples=0)[1].total
        found.append(model.evaluate(*test)["accuracy"])
        print(
            f"seed {seed}, pruned {share:.0%}: accuracy {found[-1]:.2%}, "
            f"{rows.multiply_adds[0]:,} MACs, {rows.parameters[0]:,} parameters, {ms:.2f} ms",
            flush=True,
        )
    return found


def main() -> None:
    """Train, prune, shrink and compare, with each seed."""
    parser = argparse.ArgumentParser(description="Networks with pruned filters.")
    parser.add_argument("--dataset", default="mnist", choices=["mnist", "fashion_mnist", "cifar10"])
    parser.add_argument("--data", default=None, help="folder with the data; else downloaded")
    parser.add_argument("--samples", type=int, help="to train on (default: all)")
    parser.add_argument("--network", default="deep_convnet")
    parser.add_argument("--sparsity", nargs="+", type=float, default=[0.3, 0.5])
    parser.add_argument("--epochs", type=int, default=4, help="before pruning")
    parser.add_argument("--more", type=int, default=4, help="with pruning, and without")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    options = parser.parse_args()
    (x, y), test = getattr(dfs.datasets, options.dataset)(options.data)
    data = x[: options.samples], y[: options.samples]
    runs = [of_seed(seed, options, data, test) for seed in options.seeds]
    for i, share in enumerate([0.0, *options.sparsity]):
        found, change = [run[i] for run in runs], [run[i] - run[0] for run in runs]
        print(
            f"{len(runs)} seeds, pruned {share:.0%}: accuracy {fmean(found):.2%} "
            f"({min(found):.2%} to {max(found):.2%}), changed by {fmean(change):+.2%} "
            f"({min(change):+.2%} to {max(change):+.2%})"
        )


if __name__ == "__main__":
    main()
