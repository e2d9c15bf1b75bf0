"""The process is not ours: its signals, forks and threads are taken as they are."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import deepfs as dfs
from deepfs import layers as L
from deepfs.callbacks import Callback
from deepfs.training.interrupt import Interrupt

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
x, y = np.ones((64, 5), np.float32), np.arange(64) % 3


def model():
    return dfs.Model(L.Dense(3), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.1))


class Press(Callback):
    """Presses Ctrl-C in the first step of the second epoch."""

    def __init__(self, times=1):
        self.times, self.steps = times, 0

    def on_train_batch_end(self, batch, logs):
        self.steps += 1
        if self.steps == 3:  # of 2 an epoch
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


@pytest.fixture
def handler():
    """Set a handler of SIGINT for the time of a test."""
    before = signal.getsignal(signal.SIGINT)
    yield lambda chosen: signal.signal(signal.SIGINT, chosen)
    signal.signal(signal.SIGINT, before)


def test_a_signal_that_is_ignored_stays_ignored(handler):
    """As nohup and a shell's & leave it."""
    handler(signal.SIG_IGN)
    history = model().fit(x, y, epochs=4, verbose=0, callbacks=[Press(times=3)])
    assert not history.interrupted
    assert len(history["loss"]) == 4
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_under_nohup_a_training_goes_on():
    """In a process of its own, which inherits the signal as ignored."""
    code = (
        "import os, signal, threading, numpy as np, deepfs as dfs\n"
        "m = dfs.Model(dfs.layers.Dense(3), dfs.losses.CrossEntropy(), dfs.optimizers.Adam())\n"
        "class Press(dfs.callbacks.Callback):\n"
        "    def on_epoch_begin(self, epoch, logs): os.kill(os.getpid(), signal.SIGINT)\n"
        "h = m.fit(np.ones((9, 5)), np.arange(9) % 3, epochs=5, verbose=0, callbacks=[Press()])\n"
        "print(h.interrupted, len(h['loss']))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert (run.stdout, run.returncode) == ("False 5\n", 0), run.stderr


def test_a_handler_of_the_caller_decides(handler):
    pressed = []

    def mine(number, frame):
        pressed.append(number)

    handler(mine)
    history = model().fit(x, y, epochs=4, verbose=0, callbacks=[Press(times=3)])
    assert pressed == [signal.SIGINT] * 3
    assert not history.interrupted
    assert len(history["loss"]) == 4
    assert signal.getsignal(signal.SIGINT) is mine


def test_a_handler_of_the_caller_may_raise_or_stop(handler):
    class MineError(Exception):
        pass

    def fail(number, frame):
        raise MineError

    handler(fail)
    with pytest.raises(MineError):
        model().fit(x, y, epochs=4, verbose=0, callbacks=[Press()])
    assert signal.getsignal(signal.SIGINT) is fail
    trained = model()
    handler(lambda number, frame: setattr(trained, "stop_training", True))
    assert len(trained.fit(x, y, epochs=4, verbose=0, callbacks=[Press()])["loss"]) == 2


@pytest.mark.parametrize("chosen", [signal.SIG_DFL, signal.default_int_handler])
def test_what_was_there_is_there_again(chosen, handler):
    handler(chosen)
    model().fit(x, y, epochs=2, verbose=0)
    assert signal.getsignal(signal.SIGINT) is chosen


def test_a_handler_that_is_installed_meanwhile_stays(handler):
    """Also if it calls the one it replaced, which then does as Python's does."""
    handler(signal.default_int_handler)
    chained = []

    class Install(Callback):
        def on_train_begin(self, logs):
            before = signal.getsignal(signal.SIGINT)

            def mine(number, frame):
                chained.append(number)
                before(number, frame)

            signal.signal(signal.SIGINT, mine)

    history = model().fit(x, y, epochs=4, verbose=0, callbacks=[Install(), Press()])
    assert history.interrupted
    assert len(history["loss"]) == 2
    assert signal.getsignal(signal.SIGINT).__name__ == "mine"
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert len(chained) == 2


def test_a_handler_that_calls_ours_after_the_training(handler):
    handler(signal.default_int_handler)
    with Interrupt() as interrupt:
        ours = signal.getsignal(signal.SIGINT)
        handler(lambda number, frame: ours(number, frame))
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert not interrupt.asked


def test_a_fit_within_a_fit_ends_both(handler):
    handler(signal.default_int_handler)
    inner = []

    class Nested(Callback):
        def on_epoch_end(self, epoch, logs):
            inner.append(model().fit(x, y, epochs=3, verbose=0, callbacks=[Press()]))

    history = model().fit(x, y, epochs=4, verbose=0, callbacks=[Nested()])
    assert history.interrupted
    assert len(history["loss"]) == 1
    assert [h.interrupted for h in inner] == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_one_within_a_fit_raises(handler):
    handler(signal.default_int_handler)

    class Nested(Callback):
        def on_epoch_end(self, epoch, logs):
            model().fit(x, y, epochs=3, verbose=0, callbacks=[Press(times=2)])

    with pytest.raises(KeyboardInterrupt):
        model().fit(x, y, epochs=4, verbose=0, callbacks=[Nested()])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_training_in_a_thread_leaves_signals_alone(handler):
    handler(signal.default_int_handler)
    found = []

    class Look(Callback):
        def on_epoch_begin(self, epoch, logs):
            found.append(signal.getsignal(signal.SIGINT))

    def fit():
        found.append(model().fit(x, y, epochs=2, verbose=0, callbacks=[Look()]).interrupted)

    thread = threading.Thread(target=fit)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler, signal.default_int_handler, False]


def test_whether_it_was_asked_is_known_between_batches(handler):
    handler(signal.default_int_handler)
    with Interrupt() as outer:
        assert not outer.asked
        with Interrupt() as inner:
            signal.raise_signal(signal.SIGINT)
            assert outer.asked
            assert inner.asked
        assert outer.asked
    with Interrupt() as later:
        assert not later.asked


FIRST = """
import json, os, sys, numpy as np, deepfs as dfs
from deepfs import layers as L
{before}
def first():
    layer, dropout = L.Dense(3), L.Dropout()
    layer(np.ones((1, 4)))
    dropout(np.ones((1, 4)))
    key = [int(n) for n in dropout.buffers()["key"]]
    return [float(layer.parameters()["weight"].value[0, 0]), key, list(dfs.random.get_state())]
pipes = []
for worker in range(3):
    read, write = os.pipe()
    if os.fork() == 0:
        {inside}
        os.write(write, json.dumps(first()).encode())
        os._exit(0)
    os.close(write)
    pipes.append(read)
    {between}
for _ in pipes:
    os.wait()
print(json.dumps([first()] + [json.loads(os.read(read, 10**4)) for read in pipes]))
"""


def forked(before="pass", inside="pass", between="pass"):
    """Return the first weight of the parent and of three forked children, with their state."""
    code = FIRST.format(before=before, inside=inside, between=between)
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


@needs_fork
def test_forked_workers_make_different_weights():
    found = forked()
    assert len({weight for weight, _, _ in found}) == 4
    assert len({tuple(key) for _, key, _ in found}) == 4


@needs_fork
def test_forked_workers_repeat_what_the_seed_of_their_parent_says():
    found = forked("dfs.set_seed(3)")
    assert found == forked("dfs.set_seed(3)")
    assert found[0] == found[1] == found[2] == found[3]


@needs_fork
def test_forked_workers_with_seeds_of_their_own():
    found = forked("dfs.set_seed(3)", "dfs.set_seed(4 + worker)")
    assert found == forked("pass", "dfs.set_seed(4 + worker)", "dfs.set_seed(3)")
    assert len({weight for weight, _, _ in found}) == 4


@needs_fork
def test_a_pool_of_forked_workers(tmp_path):
    (tmp_path / "pool.py").write_text(
        "import multiprocessing as mp, numpy as np\n"
        "from deepfs import layers as L\n"
        "def first_weight(_):\n"
        "    layer = L.Dense(3); layer(np.ones((1, 4)))\n"
        "    return float(layer.parameters()['weight'].value[0, 0])\n"
        "if __name__ == '__main__':\n"
        "    with mp.get_context('fork').Pool(4, maxtasksperchild=1) as pool:\n"
        "        print(len(set(pool.map(first_weight, range(4), chunksize=1))))\n"
    )
    program = [sys.executable, "-W", "ignore", tmp_path / "pool.py"]
    run = subprocess.run(program, capture_output=True, text=True, env=os.environ)
    assert run.stdout == "4\n", run.stderr


@needs_fork
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork beside threads, as is meant here
def test_a_fork_while_another_thread_draws():
    """The child's lock is not held by a thread that it does not have."""
    with dfs.random._lock:
        child = os.fork()
        if child == 0:
            dfs.random.new_stream()
            os._exit(7)
    deadline = time.monotonic() + 10
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child waits for a lock")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(ended[1]) == 7
