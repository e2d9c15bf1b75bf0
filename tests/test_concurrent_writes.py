"""Arrays that another thread writes to while a kernel runs: a wrong number, never one outside."""

import threading
import time

import numpy as np
import pytest

import deepfs as dfs
from cnn_core import softmax

CLASSES, ROWS = 4, 100_000
FAR = 2000  # a label that lies in our own memory, but outside of dx


@pytest.fixture
def refilled():
    """Labels that a loader of data refills again and again, wrong ones among them."""
    label, stop = np.zeros(ROWS, np.int64), threading.Event()

    def refill():
        while not stop.is_set():
            label[:] = FAR
            label[:] = 0

    thread = threading.Thread(target=refill)
    thread.start()
    yield label
    stop.set()
    thread.join()


def test_labels_that_change_are_never_written_outside(refilled):
    """They are checked first, and were read again later: a segmentation fault was shown."""
    p, memory = np.full((ROWS, CLASSES), 0.25, np.float32), np.ones((ROWS + FAR, CLASSES), "f4")
    dx, until, done = memory[:ROWS], time.perf_counter() + 0.4, 0
    while time.perf_counter() < until or (done < 3 and time.perf_counter() < until + 20):
        try:
            softmax.cross_entropy_backward(p, refilled, None, None, 1.0, dx)
            done += 1
        except IndexError:  # seen by the check
            continue
        assert (memory[ROWS:] == 1).all()
        wrong = np.setdiff1d(dx, np.float32([0.25, -0.75]))
        assert wrong.size == 0


def test_labels_that_change_between_forward_and_backward():
    x, label = np.zeros((3, CLASSES), np.float32), np.array([0, 1, 2])
    loss = dfs.losses.CrossEntropy()
    _, cache = loss.forward(x, label)
    label[1] = FAR
    with pytest.raises(IndexError, match="a label must be from 0 to 3, got 2000"):
        loss.backward(cache)


def test_pieces_are_checked_before_a_step():
    """The kernel of optimizers copies them, and checks the copy."""
    from cnn_core import optimizer_rule, optimizers

    w = np.ones((2, 8), np.float32)
    for piece in ([0, 9, 0, 0], [-1, 4, 0, 0], [4, 4, 0, 0], [0, 4, 1, 0], [0, 4, 0, 1]):
        with pytest.raises(ValueError, match="piece 0 is not of these arrays"):
            optimizer_rule.step(
                optimizers.sgd, w[0], w[1], None, None, None, None, np.array([piece]),
                np.ones((1, 5)), np.ones(1), None, 0.1, np.inf, (),
            )  # fmt: skip
    assert (w == 1).all()
