"""Time `Model.predict` beside `Model.predictor()` on small batches, in microseconds per call.

    python benchmarks/predictor.py [THREADS]

All ways take turns; a figure is the smallest mean of 15 rounds. With one thread (the default) it is
processor time, so other programs disturb it little; with more, time of the clock.
"""

import sys
import time

import numpy as np

import deepfs as dfs

ROUNDS, MICROSECONDS = 15, 20_000  # of a round


def mean(function, calls, clock):
    """Return the microseconds of one of some calls."""
    begin = clock()
    for _ in range(calls):
        function()
    return (clock() - begin) / calls * 1e6


def main():
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    dfs.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    print(f"{'network':16}{'batch':>6}{'predict':>10}{'network(x)':>12}{'predictor(x)':>14}")
    cases = [(name, (1, 28, 28)) for name in ("mlp", "simple_convnet", "deep_convnet")]
    cases += [(name, (3, 32, 32)) for name in ("resnet20", "vgg_small")]
    for name, image in cases:
        for batch in (1, 10, 100):
            x = np.random.default_rng(0).random((batch, *image), np.float32)
            model = dfs.Model(getattr(dfs.networks, name)(), "cross_entropy", "adam")
            wanted = model.predict(x)
            predictor, network = model.predictor(), model.network
            assert (predictor(x) == wanted).all()
            ways = [lambda m=model, x=x: m.predict(x), lambda n=network, x=x: n(x),
                    lambda p=predictor, x=x: p(x)]  # fmt: skip
            calls = max(5, round(MICROSECONDS / mean(ways[0], 10, time.perf_counter)))
            rounds = [[mean(way, calls, clock) for way in ways] for _ in range(ROUNDS)]
            predict, alone, planned = map(min, zip(*rounds, strict=True))
            print(f"{name:16}{batch:6}{predict:10.1f}{alone:12.1f}{planned:14.1f}")


if __name__ == "__main__":
    main()
