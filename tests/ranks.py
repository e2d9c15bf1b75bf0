"""What tests/test_distributed.py runs on each rank: one function, by its name."""

import hashlib
import os
import signal
import sys
import time

import numpy as np

import deepfs as dfs
from deepfs import layers as L

RANK = int(os.environ.get("PMI_RANK", "0"))  # of MPICH, before MPI is started


def say(*words):
    sys.stdout.write(f"rank {RANK}: {' '.join(map(str, words))}\n")  # at once: others write, too
    sys.stdout.flush()


def digits(n=70):
    rng = np.random.default_rng(0)
    return rng.random((n, 1, 8, 8)).astype(np.float32), rng.integers(0, 3, n)


def model(seed=3):
    if seed is not None:
        dfs.set_seed(seed)
    net = L.Sequential(
        [L.Conv2D(8, 3), L.BatchNorm(), L.ReLU(), L.Dropout(0.3), L.Flatten(), L.Dense(3)]
    )
    return dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(), ["accuracy", "f1"])


def bits(trained, history):
    digest = hashlib.blake2b(digest_size=8)
    for array in (trained.arena.values, *trained.network.buffers().values()):
        digest.update(array.tobytes())
    digest.update(repr(history.history).encode())
    return digest.hexdigest()


def hashes(folder):
    """Print the bits of runs of many kinds."""
    (x, y), shown = digits(), (digits()[0][:30], digits()[1][:30])
    loader = dfs.data.Loader(
        (x, y), 16, augment=[dfs.augment.RandomHorizontalFlip(), dfs.augment.MixUp()]
    )
    stream = [(x[i : i + 14], y[i : i + 14]) for i in range(0, 70, 14)]
    kept = {"checkpoint": f"{folder}/{dfs.distributed.size()}", "checkpoint_every": 3}
    hooks = [dfs.callbacks.EarlyStopping(patience=1), dfs.callbacks.ReduceLROnPlateau(patience=0)]
    for name, data, settings in [
        ("arrays", (x, y), {}),
        ("joint", (x, y), {"sync_batch_norm": True, "drop_last": True}),
        ("loader", (loader, None), {}),
        ("stream", (stream, None), {}),
        ("accumulated", (x, y), {"gradient_accumulation_steps": 3}),
        ("callbacks", (x, y), {"callbacks": hooks, **kept}),
        ("average", (x, y), {"callbacks": [dfs.callbacks.EMA(0.9)]}),
        ("dev", (x, y), {"fast_dev_run": 2}),
        ("split", (x, y), {"validation_split": 0.3}),
    ]:
        if name != "split":
            settings["validation_data"] = shown
        with dfs.threads(1 + RANK % 2):
            trained = model()
            size = None if data[1] is None else 16
            history = trained.fit(*data, size, 3, verbose=0, shards=4, **settings)
        say(name, bits(trained, history))


def own_seeds(folder):
    """Print the bits of a run whose ranks have random seeds of their own, and default shards."""
    trained = model(seed=None)
    say("seeds", bits(trained, trained.fit(*digits(), 16, 1, verbose=0)))
    with dfs.distributed.alone():
        alone = model()
        alone.fit(*digits(), 5 + RANK, 1, verbose=0)
        say("alone", dfs.distributed.size(), alone.steps)


class At(dfs.callbacks.Callback):
    """Do something on one rank after a step."""

    def __init__(self, do, step=3):
        self.do, self.step = do, step

    def on_train_batch_end(self, batch, logs):
        if RANK == 1 and self.model.steps == self.step:
            self.do()


def fail():
    raise OSError("disk full")


def refusals(folder):
    """Print what is refused, and errors of one rank, all in one run of mpiexec."""
    x, y = digits()
    trained, odd = model(), RANK == 1
    trained.fit(x, y, 16, 1, verbose=0)

    def attempt(name, made, *data, size=16, **settings):
        steps = made.steps
        try:
            made.fit(*data, size, 1, verbose=0, **settings)
        except Exception as error:
            notes = "; ".join(getattr(error, "__notes__", ()))
            say(name, f"{type(error).__name__}: {error}; {notes}; {made.steps - steps} steps")
        else:
            say(name, f"{made.steps - steps} steps")

    other = x.copy()
    other[37] += odd
    attempt("data", model(), other, y)
    attempt("targets", model(), x, np.where(np.arange(70) == 69, (y + odd) % 3, y))
    attempt("length", model(), x[odd:], y[odd:])
    attempt("setting", model(), x, y, shuffle=not odd)
    fast = model()
    fast.optimizer.lr = 0.5 if odd else 0.1
    attempt("model", fast, x, y)
    trained.network.layers[0].parameters()["bias"].value = [float(odd)] * 8
    attempt("weights", trained, x, y)
    attempt(
        "callback", model(), x, y, callbacks=[dfs.callbacks.EarlyStopping("loss", patience=1 + odd)]
    )
    attempt("shards", model(), x, y, shards=3)
    attempt("size", model(), x, y, size=1)
    from deepfs.training import ranks

    ranks.__version__ = f"9.{int(odd)}"
    attempt("version", model(), x, y)
    ranks.__version__ = "9"
    attempt("one", model(), x, y, callbacks=[At(fail)])
    stopped = model()
    attempt("stop", stopped, x, y, callbacks=[At(lambda: setattr(stopped, "stop_training", True))])
    attempt("stream", model(), [(x[:16], y[:16]), (x[:16] + odd, y[:16])], None, size=None)
    attempt("ended", model(), [(x[:16], y[:16])] * (3 - odd), None, size=None)
    attempt("after", model(), x, y)


def early(folder):
    """Fail on one rank before `fit`."""
    if RANK == 1:
        raise KeyError("no such file")
    model().fit(*digits(), 16, verbose=0)


def before_mpi(folder):
    """Fail on one rank before MPI starts there."""
    if os.environ["PMI_RANK"] == "1":
        raise KeyError("no such file")
    model().fit(*digits(), 16, verbose=0)


def leave(folder):
    """End one rank by sys.exit in a callback."""
    model().fit(*digits(), 16, verbose=0, callbacks=[At(lambda: sys.exit(3))])


def killed(folder):
    """Kill one rank in the third epoch, after checkpoints."""

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    model().fit(*digits(), 16, 9, verbose=0, shards=4, checkpoint=folder, callbacks=[At(die, 12)])


def resumed(folder):
    """Go on with what was killed; the other one has nothing to kill."""
    trained = model()
    history = trained.fit(
        *digits(), 16, 9, verbose=0, shards=4, checkpoint=folder, resume=True,
        callbacks=[At(lambda: None)],
    )  # fmt: skip
    say("resumed", bits(trained, history))


def interrupted(folder):
    """Train until Ctrl-C."""
    trained = model()

    class Slow(dfs.callbacks.Callback):
        def on_train_batch_end(self, batch, logs):
            if self.model.steps == 2:
                say("runs")
            time.sleep(0.02)

    history = trained.fit(*digits(), 16, 10**6, verbose=0, checkpoint=folder, callbacks=[Slow()])
    say("interrupted", history.interrupted, trained.steps)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
