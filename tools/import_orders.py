"""Import deepfs beside others that bring an OpenMP library, in every order, and train in each.

    python tools/import_orders.py torch sklearn

Each order has a process of its own: all are imported, each is used, then again in reverse, then
the process forks and the child trains on one thread. deepfs must give the same bits every time.
Packages that are not installed are named and left out.
"""

from __future__ import annotations

import importlib.util
import itertools
import subprocess
import sys

USE = """
import hashlib, multiprocessing, sys
import numpy as np

def use_deepfs():
    import deepfs as dfs
    from deepfs import layers as L
    dfs.set_seed(0)
    x = np.random.default_rng(0).random((64, 3, 16, 16), np.float32)
    net = L.Sequential([L.Conv2D(16, 3), L.BatchNorm(), L.ReLU(), L.Flatten(), L.Dense(10)])
    model = dfs.Model(net, loss=dfs.losses.CrossEntropy(), optimizer=dfs.optimizers.Adam(1e-3))
    for _ in range(3):
        model.train_on_batch(x, np.arange(64) % 10)
    weights = b"".join(w.tobytes() for w in model.get_weights().values())
    return hashlib.sha256(weights).hexdigest()

def use_torch():
    import torch
    w = torch.ones(300, 300, requires_grad=True)
    (w @ w).sum().backward()

def use_sklearn():
    from sklearn.cluster import KMeans
    KMeans(3, n_init=1, random_state=0).fit(np.random.default_rng(0).random((2000, 8)))

def child(queue):
    from cnn_core import threads
    threads.set_num_threads(1)
    queue.put(use_deepfs())

names = sys.argv[1:]
for name in names:
    __import__(name)
hashes = {globals()["use_" + n]() for n in [*names, *reversed(names)]} - {None}
if hasattr(multiprocessing, "get_context") and sys.platform == "linux":
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    process.join(60)
    assert process.exitcode == 0, f"the forked child ended with {process.exitcode}"
    hashes.add(queue.get())
assert len(hashes) == 1, f"results differ: {hashes}"
print(hashes.pop())
"""


def main() -> int:
    """Try every order of deepfs and the packages named on the command line."""
    known = {"torch", "sklearn"}
    wanted = sys.argv[1:] or sorted(known)
    if unknown := set(wanted) - known:
        print(f"import_orders.py knows torch and sklearn, got {', '.join(sorted(unknown))}")
        return 2
    there = [name for name in wanted if importlib.util.find_spec(name)]
    for name in sorted(set(wanted) - set(there)):
        print(f"{name} is not installed: left out")
    orders = [
        order
        for count in range(1, len(there) + 2)
        for order in itertools.permutations(["deepfs", *there], count)
        if "deepfs" in order
    ]
    found = set()
    for order in orders:
        done = subprocess.run(
            [sys.executable, "-c", USE, *order], capture_output=True, text=True, timeout=300
        )
        print(", ".join(order), done.stdout.strip()[:16] or f"FAILED\n{done.stderr}", flush=True)
        found.add(done.stdout if done.returncode == 0 else None)
    same = len(found) == 1 and None not in found
    print(f"{len(orders)} orders: " + ("the same bits in each" if same else "FAILED"))
    return not same


if __name__ == "__main__":
    sys.exit(main())
