"""Train the same network again and again, on different numbers of threads: one hash must come out.

    python tools/determinism.py [--runs 20] [--steps 200] [--threads 1 2 3 4 8]

The network has convolutions by both algorithms, batch norm, dropout, pooling, a residual block and
an average of its weights; it is trained with shuffling, momentum of two orders and a schedule. The
hash is of everything that could differ: weights, buffers, state of the optimizer, average, losses,
random counters. The exit status is 1 if a precision has more than one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys

import numpy as np

import deepfs as dfs
from deepfs import layers as L
from deepfs.saving.model import arrays_of


def network(dtype: str) -> L.Layer:
    body = L.Sequential([L.Conv2D(32, 3, padding=1, bias=False), L.BatchNorm()])
    layers = [
        L.Conv2D(32, 5, stride=2, padding=2),
        L.ReLU(),
        L.Residual(body),
        L.Conv2D(40, 3, padding=1),
        L.BatchNorm(),
        L.ReLU(),
        L.MaxPool2D(2),
        L.Dropout(0.3),
        L.DepthwiseConv2D(1, 3),
        L.GroupNorm(4),
        L.Dense(50),
        L.ReLU(),
        L.Dropout(0.5),
        L.Dense(10),
    ]
    return L.Sequential(layers, dtype=dtype)


def hash_of_training(dtype: str, threads: int, steps: int) -> str:
    """Return a hash of all that a training leaves."""
    rng = np.random.default_rng(0)
    x, y = rng.random((210, 3, 20, 20)), rng.integers(0, 10, 210)  # 7 steps of 32, one is short
    with dfs.threads(threads):
        dfs.set_seed(0)
        lr = dfs.schedules.Warmup(10, then=dfs.schedules.Cosine(3e-3, steps))
        optimizer = dfs.optimizers.AdamW(lr, weight_decay=1e-2, clip_norm=1.0)
        model = dfs.Model(network(dtype), dfs.losses.CrossEntropy(), optimizer)
        average = dfs.callbacks.EMA(0.99)
        history = model.fit(x, y, 32, -(-steps // 7), verbose=0, callbacks=[average])
    found = hashlib.sha256()
    for name, array in sorted((arrays_of(model.trainer) | average.state()).items()):
        found.update(name.encode() + np.ascontiguousarray(array).tobytes())
    found.update(json.dumps([history.history, dfs.random.get_state(), model.steps]).encode())
    return found.hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description="The same bits for any number of threads.")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 3, 4, 8])
    options = parser.parse_args()
    wrong = 0
    for dtype in ("float32", "float64"):
        hashes = {
            hash_of_training(dtype, options.threads[run % len(options.threads)], options.steps)
            for run in range(options.runs)
        }
        wrong += len(hashes) != 1
        print(f"{dtype}: {options.runs} runs of {options.steps} steps on {options.threads} threads "
              f"have {len(hashes)} hash: {min(hashes)[:16]}", flush=True)  # fmt: skip
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
