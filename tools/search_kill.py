"""Kill searches with SIGKILL again and again: nothing that was finished may be lost.

    python tools/search_kill.py [--trials 12] [--repeats 1] [--methods grid random] [--seed 0]

For SQLite and for a journal, for grid, random and coarse to fine, for one process and two, a search
is started as a program and killed after a random time, alone or with its processes, until it comes
to its end. After each kill, all trials that were finished before must still be there with the same
values, and no more may have been running than there are processes. In the end settings and values
of all trials must equal those of a search that was never killed. The exit status is 1 if not.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import optuna

import deepfs as dfs
from deepfs import layers as L
from deepfs.tuning.slots import by_slot, is_lost
from deepfs.tuning.storage import open_storage

SPACES = {
    "grid": {"lr": [0.01, 0.03, 0.1, 0.3], "units": [2, 4, 6, 8]},
    "random": {"lr": ("log", 1e-3, 1.0), "units": (2, 8)},
    "coarse_to_fine": {"lr": ("log", 1e-3, 1.0), "units": (2, 8)},
}


def build(params: dict) -> dfs.Model:
    time.sleep(0.05)  # so that kills come during trials
    net = L.Sequential([L.Dense(params["units"]), L.ReLU(), L.Dense(2)])
    return dfs.Model(net, "cross_entropy", dfs.optimizers.SGD(params["lr"]))


def run(storage: str, method: str, jobs: int, trials: int) -> None:
    """Search; this is the program that is killed."""
    x = np.random.default_rng(0).normal(size=(96, 4)).astype(np.float32)
    dfs.search(
        build, SPACES[method], (x, (x[:, 0] + x[:, 1] > 0).astype(int)), method, trials,
        storage=storage, n_jobs=jobs, seed=0, epochs=3, batch_size=16, refit=False, diagnose=False,
    )  # fmt: skip
    print("done", flush=True)


def started(*arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, __file__, "--run", *map(str, arguments)], stdout=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


def results(path: Path) -> tuple[dict, set[int], int]:
    """Return finished trials by slot; numbers of those that run; how many were lost."""
    if not path.exists():
        return {}, set(), 0
    try:
        study = optuna.load_study(study_name="search", storage=open_storage(path))
    except KeyError:  # killed before there was one
        return {}, set(), 0
    trials = study.get_trials()
    finished = {
        slot: (trial.params, trial.value)
        for slot, trial in by_slot(trials).items()
        if trial.state.is_finished()
    }
    runs = {trial.number for trial in trials if trial.state.name == "RUNNING"}
    return finished, runs, sum(map(is_lost, trials))


def killed(path: Path, method: str, jobs: int, trials: int, draw: random.Random) -> tuple[int, int]:
    """Kill a search until it ends; return how often, and how many trials were lost."""
    kills, kept, before = 0, {}, set()
    while True:
        process = started(path, method, jobs, trials)
        wanted, line = draw.randrange(4), ""
        early = wanted == 0
        while wanted > 0:  # lines of trials; others tell the ranges of a round
            line = process.stdout.readline().strip()
            if line in ("done", ""):
                break
            wanted -= line.startswith("trial")
        time.sleep(draw.uniform(0, 2) if early else draw.uniform(0, 0.1))
        if line == "done" or process.poll() is not None:
            rest = process.stdout.read()
            process.wait()
            assert line == "done" or rest.endswith("done\n"), f"ended with {process.returncode}"
            lost = results(path)[2]
            assert lost <= kills * jobs, f"{lost} trials lost by {kills} kills of {jobs} processes"
            return kills, lost
        if draw.random() < 0.5:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        process.stdout.close()
        time.sleep(0.2)  # its processes end with it
        kills += 1
        found, runs, _ = results(path)
        assert kept.items() <= found.items(), f"lost {kept.keys() - found.keys()}"
        assert len(runs - before) <= jobs, f"{runs - before} ran in {jobs} processes"
        kept, before = found, runs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--methods", nargs="+", choices=list(SPACES), default=list(SPACES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", nargs=4, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        storage, method, jobs, trials = options.run
        run(storage, method, int(jobs), int(trials))
        return 0
    draw, failed = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        for method in options.methods:
            whole = Path(folder) / f"{method}.db"
            started(whole, method, 1, options.trials).communicate()
            expected = results(whole)[0]
            assert len(expected) == options.trials
            for number in range(options.repeats):
                for jobs in (1, 2):
                    for kind in ("db", "log"):
                        path = Path(folder) / f"{method}-{number}-{jobs}.{kind}"
                        kills, lost = killed(path, method, jobs, options.trials, draw)
                        same = results(path)[0] == expected
                        failed += not same
                        print(f"{method:<15} {kind:<4} n_jobs={jobs}  {kills:3} kills  {lost:3} "
                              f"trials repeated  {'same' if same else 'OTHER'} results",
                              flush=True)  # fmt: skip
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
