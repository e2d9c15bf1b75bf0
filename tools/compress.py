"""Prune filters of a network while it learns MNIST, remove them, and measure what that saves.

    python tools/compress.py --data FOLDER [--sparsity 0.3 0.5] [--epochs 4] [--more 4]

A network is trained for some epochs, by Adam with batches of 100. Then it learns for some more,
with a learning rate that falls to 0: once as it is, and once for each share of filters to prune.
Each pruned network is shrunk. Printed are test accuracy, MACs, parameters, and the time of
inference of 100 images on one thread, the least of 150. Last result: docs/compress.md.
"""

from __future__ import annotations

import argparse
import copy
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


def main() -> None:
    """Train, prune, shrink and compare."""
    parser = argparse.ArgumentParser(description="Networks with pruned filters on MNIST.")
    parser.add_argument("--data", default=None, help="folder with MNIST; else it is downloaded")
    parser.add_argument("--network", default="deep_convnet")
    parser.add_argument("--sparsity", nargs="+", type=float, default=[0.3, 0.5])
    parser.add_argument("--epochs", type=int, default=4, help="before pruning")
    parser.add_argument("--more", type=int, default=4, help="with pruning, and without")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data, test = dfs.datasets.mnist(options.data)
    dfs.set_seed(options.seed)
    network = getattr(dfs.networks, options.network)()
    start = dfs.Model(network, "cross_entropy", dfs.optimizers.Adam(1e-3))
    start.fit(*data, batch_size=100, epochs=options.epochs, verbose=0)
    shares = [0.0, *options.sparsity]
    models = [finished(start, data, options.more, share) for share in shares]
    milliseconds = times(models, test[0][:100])
    for share, model, ms in zip(shares, models, milliseconds, strict=True):
        rows = dfs.compress.shrink(model, samples=0)[1].total
        accuracy = model.evaluate(*test)["accuracy"]
        print(
            f"pruned {share:.0%}: accuracy {accuracy:.2%}, {rows.multiply_adds[0]:,} MACs, "
            f"{rows.parameters[0]:,} parameters, {ms:.2f} ms"
        )


if __name__ == "__main__":
    main()
