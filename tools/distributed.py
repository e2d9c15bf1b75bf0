"""Train on ranks of MPI in every way there is: other numbers of ranks, killed ranks, Ctrl-C.

    python tools/distributed.py [--kills 20] [--seed 0]

- hashes: mini_convnet on mnist_mini, with and without joint statistics of batch norm, has the same
  weights and history with 1, 2 and 4 ranks and 1 and 2 threads each.
- kills: a training of which a rank is stopped by SIGKILL, SIGTERM or SIGABRT ends with a message
  within 10 seconds on all ranks, and its last checkpoint is whole. Resumed with 1, 2 or 4 ranks and
  stopped again, then resumed until it is done, it ends in the same bits.
- Ctrl-C: the same, by SIGINT to mpiexec or to one rank, which ends the training after a step.

A training is stopped after a random number of its steps, so that each stop meets one that runs,
however fast the machine is. It needs mpi4py and the mpiexec of MPICH. The last line says how many
of each held; the exit status is 1 if one did not.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import deepfs as dfs

WITHIN = 10  # seconds
EPOCHS, STEPS, EVERY, STOPS = 4, 80, 7, 2  # of a training; EVERY: steps between checkpoints
SAID = {False: "BAD TERMINATION", True: "interrupted"}  # by mpiexec, by the ranks
MPIEXEC = Path(sys.executable).with_name("mpiexec")


class Steps(dfs.callbacks.Callback):
    """Append a byte to a file at each step."""

    rank_0_only = True

    def __init__(self, path: str) -> None:
        self.path = path

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        with open(self.path, "ab") as file:
            file.write(b".")


def train(folder: Path | None, joint: bool) -> str:
    """Return the bits of a training with 4 shards."""
    (x, y), (xt, yt) = dfs.datasets.mnist_mini()
    dfs.set_seed(1)
    model = dfs.Model(dfs.networks.mini_convnet(), dfs.losses.CrossEntropy(), dfs.optimizers.Adam())
    kept: dict[str, Any] = {}
    if folder is not None:
        kept = {"checkpoint": folder, "checkpoint_every": EVERY, "resume": True,
                "callbacks": [Steps(str(steps_of(folder)))]}  # fmt: skip
    history = model.fit(x[:1000], y[:1000], 50, EPOCHS, (xt[:200], yt[:200]), verbose=0, shards=4,
                        sync_batch_norm=joint, **kept)  # fmt: skip
    if history.interrupted:
        return "interrupted"
    digest = hashlib.blake2b(digest_size=16)
    for array in (model.arena.values, *model.network.buffers().values()):  # type: ignore[union-attr]
        digest.update(array.tobytes())
    digest.update(repr(history.history).encode())
    return digest.hexdigest()


def steps_of(folder: Path) -> Path:
    """Return the file with a byte for each step since the last start."""
    return folder.with_name("steps")


def checkpoint_of(folder: Path) -> int:
    """Return the step of the last checkpoint, which must be whole; 0 if there is none."""
    found = sorted(folder.glob("step-*.safetensors"))
    if not found:
        return 0
    step = int(found[-1].stem.removeprefix("step-"))
    if dfs.load(found[-1]).steps != step:
        raise ValueError(f"{found[-1]} is of another step")
    return step


def start(ranks: int, joint: bool, threads: int = 1, folder: Path | None = None) -> Any:
    """Start a training on ranks."""
    line = [MPIEXEC, "-n", ranks, sys.executable, __file__, "--train", str(int(joint))]
    if folder is not None:
        line += ["--folder", folder]
    return subprocess.Popen(
        [*map(str, line)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)}, start_new_session=True,
    )  # fmt: skip


def of_all(process: Any, limit: float = 300) -> tuple[int, set[str], str]:
    """Return exit status, the different lines of all ranks, and what they wrote to stderr."""
    out, err = process.communicate(timeout=limit)
    return process.returncode, set(out.split()), err


def ranks_of(process: Any) -> list[int]:
    """Return the processes of the ranks, which are below those of mpiexec."""
    found = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True)
    rows = [(int(pid), int(parent), command) for pid, parent, command in
            (line.split(None, 2) for line in found.stdout.splitlines())]  # fmt: skip
    below = {process.pid}
    for pid, parent, _ in sorted(rows):
        if parent in below:
            below.add(pid)
    return [pid for pid, _, command in rows
            if pid in below and command.startswith(sys.executable)]  # fmt: skip


def alive(processes: list[int]) -> list[int]:
    """Return those of some processes that still run."""
    found = []
    for pid in processes:
        with contextlib.suppress(OSError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            found += [pid] if state != "Z" else []
    return found


def hashes() -> tuple[int, int]:
    """Return how many runs gave the bits of one process, and how many there were."""
    held = tried = 0
    for joint in (False, True):
        wanted = train(None, joint)
        for ranks in (1, 2, 4):
            for threads in (1, 2):
                status, lines, err = of_all(start(ranks, joint, threads))
                tried += 1
                held += (same := status == 0 and lines == {wanted})
                print(f"joint {joint}, {ranks} ranks, {threads} threads: {lines}"
                      f"{'' if same else ' WRONG ' + err}")  # fmt: skip
    return held, tried


def stopped(rng: random.Random, wanted: str, ctrl_c: bool) -> bool:
    """Stop a training twice, then let it end; return whether all held."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        for _ in range(STOPS):
            begin = checkpoint_of(folder)
            steps = rng.randint(1, (STEPS - begin) // 2)
            steps_of(folder).write_bytes(b"")
            process = start(ranks := rng.choice((1, 2, 4)), False, folder=folder)
            while steps_of(folder).stat().st_size < steps and process.poll() is None:
                time.sleep(0.002)
            victims = ranks_of(process)
            time.sleep(rng.uniform(0, 0.02))  # to another place in the step
            number = signal.SIGINT
            if ctrl_c:
                who = process.pid if rng.random() < 0.5 else rng.choice(victims)
            else:
                who = rng.choice(victims)
                number = rng.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGABRT))
            running = len(alive(victims)) == ranks
            at = begin + steps_of(folder).stat().st_size
            began = time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                os.kill(who, number)
            try:
                out, err = process.communicate(timeout=WITHIN)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                print(f"{ranks} ranks did not end within {WITHIN} s after {number.name}")
                return False
            while (left := alive(victims)) and time.monotonic() - began < WITHIN:
                time.sleep(0.05)
            took, last = time.monotonic() - began, checkpoint_of(folder)
            whom = "mpiexec" if who == process.pid else "a rank"
            print(f"  {number.name} to {whom} of {ranks} after step {at}: ended in {took:.1f} s, "
                  f"checkpoint of step {last}")  # fmt: skip
            stands = last >= (at - 1) // EVERY * EVERY  # that of a step comes after its callbacks
            if not running or left or not stands or SAID[ctrl_c] not in out + err:
                print(f"running {running}, left {left}, checkpoint {last}, said: {out} {err}")
                return False
        status, lines, err = of_all(start(rng.choice((1, 2, 4)), False, folder=folder))
        if status or lines != {wanted}:
            print(f"other bits: {status} {lines} {err}")
        return status == 0 and lines == {wanted}


def main() -> int:
    """Run all parts; return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=int)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.train is not None:
        sys.stdout.write(train(options.folder, bool(options.train)) + "\n")
        return 0
    held, tried = hashes()
    said = [f"hashes {held} of {tried}"]
    wrong, rng, wanted = held != tried, random.Random(options.seed), train(None, False)
    for what, ctrl_c in (("kills", False), ("Ctrl-C", True)):
        good = sum(stopped(rng, wanted, ctrl_c) for _ in range(options.kills))
        wrong = wrong or good != options.kills
        said.append(f"{what} {good} of {options.kills}, each stopped {STOPS} times")
    print("; ".join(said))
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
