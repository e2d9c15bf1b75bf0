"""Interrupt training and saving in every way there is, and look at what is left.

    python tools/interrupt.py [--runs 30] [--callbacks 20] [--kills 200] [--flips 2000] [--seed 0]

- runs: a training in a process of its own, stopped at a random moment 1 to 4 times, by SIGKILL,
  SIGTERM or Ctrl-C, and resumed, ends in the bits of one that was never stopped.
- callbacks: the same with callbacks that stop, save, log and set the rate, always by SIGKILL: also
  the logs and the saved models are the same, byte by byte.
- kills: a process that saves one model after the other is killed at a random moment: what is there
  loads, and the next save leaves no file but its own.
- full disk: on a file system of few kilobytes (tmpfs; needs the right to mount it) a save raises
  OSError and leaves the checkpoint before.
- flips: a file with one flipped bit does not load.

The last line says how many of each held; the exit status is 1 if one did not.
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

import deepfs as dfs
from deepfs import layers as L
from deepfs.saving.tensors import TensorFile

TRAIN = """
import sys
sys.path.insert(0, {tools!r})
from interrupt import train
train(sys.argv[1], sys.argv[2])
"""
TRAIN_WITH_CALLBACKS = """
import sys
sys.path.insert(0, {tools!r})
from interrupt import train_with_callbacks
train_with_callbacks(sys.argv[1], sys.argv[2])
"""
SAVE = """
import sys
sys.path.insert(0, {tools!r})
from interrupt import model_of
model = model_of()
for _ in range(10**6):
    model.trainer.steps += 1
    model.save(sys.argv[1])
"""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def model_of(width: int = 32) -> dfs.Model:
    """Return a model with every kind of state, one step old."""
    dfs.set_seed(1)
    net = L.Sequential(
        [L.Conv2D(width, 3), L.BatchNorm(), L.ReLU(), L.Dropout(0.3), L.MaxPool2D(2), L.Dense(3)]
    )
    lr = dfs.schedules.Warmup(20, then=dfs.schedules.Plateau(1e-2, patience=0))
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(lr))
    x, y = data()
    model.train_on_batch(x[:8], y[:8])
    return model


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((300, 1, 12, 12), np.float32), rng.integers(0, 3, 300)


def train(folder: str, result: str) -> None:
    """Train, from where the last process was stopped if there was one; save the model."""
    model = model_of()
    history = model.fit(
        *data(), 8, 5, verbose=0, validation_data=data(), checkpoint=folder, checkpoint_every=3,
        callbacks=[dfs.callbacks.EMA(0.9)], resume=True,
    )  # fmt: skip
    if not history.interrupted:
        model.save(result)


def train_with_callbacks(folder: str, result: str) -> None:
    """Train as far as EarlyStopping lets it; write logs, the best models and the last one."""
    model, files = model_of(), Path(folder) / "files"
    model.optimizer.lr = 3e-3
    x, y = data()
    model.fit(
        x, y, 8, 20, verbose=0, validation_data=(x[::-1][:99], y[:99]), checkpoint=folder,
        checkpoint_every=3, resume=True,
        callbacks=[
            dfs.callbacks.ReduceLROnPlateau(factor=0.5, patience=2),
            dfs.callbacks.EarlyStopping(patience=3),
            dfs.callbacks.ModelCheckpoint(files / "{epoch}-{val_loss:.4f}", save_top_k=2),
            dfs.callbacks.CSVLogger(files / "log.csv"),
            dfs.callbacks.JSONLogger(files / "log.jsonl"),
        ],
    )  # fmt: skip
    model.save(result)


def start(program: str, *arguments: Path) -> subprocess.Popen[bytes]:
    code = program.format(tools=str(Path(__file__).parent))
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.DEVNULL)


def same(a: Path, b: Path) -> bool:
    """Return whether two files say the same of a model, and of its run."""
    with TensorFile(a) as one, TensorFile(b) as other:
        return (
            one.description == other.description
            and one.entries == other.entries
            and all((one.read(name) == other.read(name)).all() for name in one.entries)
        )


def runs(count: int, folder: Path, rng: random.Random) -> int:
    whole = folder / "whole.safetensors"
    began = time.monotonic()
    start(TRAIN, folder / "whole", whole).wait()
    seconds, good, stops = time.monotonic() - began, 0, 0
    for number in range(count):
        run, result = folder / f"run{number}", folder / f"run{number}.safetensors"
        how = SIGNALS[0 if number < (count + 2) // 3 else number % 3]
        for _ in range(rng.randint(1, 4)):
            process = start(TRAIN, run, result)
            time.sleep(rng.uniform(0, seconds))
            process.send_signal(how)
            process.wait()
            stops += 1
        start(TRAIN, run, result).wait()
        last = max((folder / "whole").glob("step-*"))
        good += same(result, whole) and same(run / last.name, last)
        left = [path.name for path in run.iterdir() if not path.name.startswith("step-")]
        if left or len(list(run.iterdir())) > 2:
            raise SystemExit(f"{run}: more than two checkpoints: {sorted(os.listdir(run))}")
    print(f"runs: {good} of {count} ended in the same bits after {stops} interruptions")
    return count - good


def with_callbacks(count: int, folder: Path, rng: random.Random) -> int:
    folder.mkdir()
    whole = folder / "whole.safetensors"
    began = time.monotonic()
    start(TRAIN_WITH_CALLBACKS, folder / "whole", whole).wait()
    seconds, good, epochs = time.monotonic() - began, 0, 0
    for number in range(count):
        run, result = folder / f"run{number}", folder / f"run{number}.safetensors"
        process = start(TRAIN_WITH_CALLBACKS, run, result)
        time.sleep(rng.uniform(0.3, 1) * seconds)
        process.kill()
        process.wait()
        start(TRAIN_WITH_CALLBACKS, run, result).wait()
        expected, found = (
            {path.name: path.read_bytes() for path in (each / "files").iterdir()}
            for each in (folder / "whole", run)
        )
        good += same(result, whole) and found == expected
        epochs = len(expected["log.csv"].splitlines()) - 1
    print(f"callbacks: {good} of {count} ended in the same bits and files after a SIGKILL; "
          f"EarlyStopping ended them after {epochs} of 20 epochs")  # fmt: skip
    return count - good


def kills(count: int, folder: Path, rng: random.Random) -> int:
    folder.mkdir()
    path, orphans, bad = folder / "m.safetensors", 0, 0
    model = model_of()
    model.save(path)
    for _ in range(count):
        before = path.stat().st_mtime_ns
        process = start(SAVE, path)
        while path.stat().st_mtime_ns == before:
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.02))
        process.kill()
        process.wait()
        orphans += len(os.listdir(folder)) - 1
        try:
            dfs.load(path)
        except dfs.CheckpointError as error:
            print(error)
            bad += 1
        model.save(path)
        bad += os.listdir(folder) != [path.name]
    print(f"kills: {count - bad} of {count} left a file that loads, and no other file after the "
          f"next save ({orphans} were in the middle of one)")  # fmt: skip
    return bad


def full_disk(folder: Path) -> int:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        print("full disk: not tried, mounting a tmpfs is not allowed")
        return 0
    try:
        model = model_of(64)
        x, y = data()
        model.fit(x[:8], y[:8], 8, 1, verbose=0, checkpoint=folder)
        room = os.statvfs(folder)
        size = max(path.stat().st_size for path in folder.iterdir())
        ballast = room.f_bavail * room.f_bsize - size // 2  # half of a checkpoint fits
        (folder / "ballast").write_bytes(b"\0" * ballast)
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        try:
            model.fit(x[:8], y[:8], 8, 9, verbose=0, checkpoint=folder, resume=True)
            raised = False
        except OSError as error:
            raised = True
            print(f"full disk: {error}")
        after = {path.name: path.read_bytes() for path in folder.iterdir()}
        good = raised and after == before and len(before) == 2
        dfs.load(next(path for path in folder.iterdir() if path.name.startswith("step-")))
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    print(f"full disk: {'the checkpoint before is' if good else 'NOT'} left as it was")
    return not good


def flips(count: int, folder: Path, rng: random.Random) -> int:
    path, silent = folder / "flipped.safetensors", 0
    model_of(2).save(path)
    content = path.read_bytes()
    for bit in rng.sample(range(8 * len(content)), count):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            dfs.load(path)
            silent += 1
        except dfs.CheckpointError:
            pass
    print(f"flips: {silent} of {count} loaded silently, in a file of {len(content)} bytes")
    return silent


def main() -> int:
    parser = argparse.ArgumentParser(description="Interrupt training and saving in every way.")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--callbacks", type=int, default=20)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--flips", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wrong = flips(options.flips, folder, rng) + full_disk(folder / "small")
        wrong += with_callbacks(options.callbacks, folder / "callbacks", rng)
        wrong += kills(options.kills, folder / "kills", rng) + runs(options.runs, folder, rng)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
