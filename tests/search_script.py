"""A search that a test starts as a program of its own, and kills: STORAGE METHOD JOBS TRIALS."""

import sys
import time

import deepfs as dfs
from search_models import SPACE, build, data


def slow(params):
    """Take a moment, so that a kill comes during a trial."""
    time.sleep(0.1)
    return build(params)


if __name__ == "__main__":
    storage, method, jobs, trials = sys.argv[1:]
    space = SPACE | ({"lr": [0.03, 0.1, 0.3]} if method == "grid" else {})
    dfs.search(
        slow, space, data(), method, int(trials) or None, storage=storage, n_jobs=int(jobs),
        seed=0, epochs=2, batch_size=16, refit=False, diagnose=False,
    )  # fmt: skip
    print("done", flush=True)
