"""Train the textbook's networks on all of MNIST and report what they reach.

    python tools/accuracy.py --data FOLDER [--networks deep_convnet simple_convnet] [--seeds 0 1 2]

Adam with its default step of 0.001, batches of 100, 20 epochs. The test accuracy wanders from epoch
to epoch, so the figure is the mean over the last five epochs and all seeds. Last result:
docs/accuracy.md.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import deepfs as dfs


def train(network: str, seed: int, epochs: int, folder: str | None) -> tuple[list[float], float]:
    """Return the test accuracy after each epoch, and the seconds that training took."""
    dfs.set_seed(seed)
    (x, y), test = dfs.datasets.mnist(folder)
    net = getattr(dfs.networks, network)()
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(1e-3))
    accuracies, seconds = [], 0.0
    for _ in range(epochs):
        started = time.monotonic()
        model.fit(x, y, batch_size=100, epochs=1, verbose=0)
        seconds += time.monotonic() - started
        accuracies.append(model.evaluate(*test)["accuracy"])
    return accuracies, seconds


def main() -> None:
    """Run every network with every seed."""
    parser = argparse.ArgumentParser(description="Accuracy of the textbook's networks on MNIST.")
    parser.add_argument("--data", default=None, help="folder with MNIST; else it is downloaded")
    parser.add_argument("--networks", nargs="+", default=["deep_convnet", "simple_convnet"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--direct", action="store_true", help="without Winograd's algorithm")
    options = parser.parse_args()
    dfs.config.winograd = not options.direct
    for network in options.networks:
        last = []
        for seed in options.seeds:
            accuracies, seconds = train(network, seed, options.epochs, options.data)
            last.append(np.mean(accuracies[-5:]))
            tail = " ".join(f"{100 * a:.2f}" for a in accuracies[-5:])
            print(f"{network} seed {seed}: {seconds:.0f} s, last epochs {tail}", flush=True)
        print(f"{network}: mean of the last five epochs {100 * np.mean(last):.3f} %", flush=True)


if __name__ == "__main__":
    main()
