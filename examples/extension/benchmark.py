"""Time the layers beside built-in ones, and AdaBelief beside Adam: ``python benchmark.py``."""

from time import perf_counter

import numpy as np
from deepfs_example import AdaBelief, RReLU, SqueezeExcite, Swish

import deepfs as dfs

x = np.random.default_rng(0).standard_normal((32, 64, 28, 28)).astype(np.float32)
most = dfs.get_num_threads()
for threads in sorted({1, most}):
    dfs.set_num_threads(threads)
    print(dfs.testing.bench_layer(Swish(), x, beside=dfs.layers.SiLU()))
    print(dfs.testing.bench_layer(RReLU(), x, beside=dfs.layers.Dropout()))
    print(dfs.testing.bench_layer(SqueezeExcite(16), x, beside=dfs.layers.BatchNorm()))

    n = 1_000_000
    w, g = np.random.default_rng(0).standard_normal((2, n)).astype(np.float32)
    rules = [AdaBelief(), dfs.optimizers.Adam()]
    states, best = [rule.init(w) for rule in rules], [np.inf, np.inf]
    for t in range(1, 201):
        for k, rule in enumerate(rules):  # in turns: other programs disturb both
            start = perf_counter()
            rule.step(w, g, states[k], t=t)
            best[k] = min(best[k], perf_counter() - start)
    own, adam = (1e3 * seconds for seconds in best)
    print(f"AdaBelief {own:.3f} ms for {n:,} weights, Adam {adam:.3f} ms: {own / adam:.2f} times")
