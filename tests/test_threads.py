"""How many threads: settings, the break-even, forks."""

import os
import subprocess
import sys

import pytest

import deepfs as dfs
from cnn_core import threads as kernel


def run(code, **environment):
    """Run Python in a process of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_settings():
    before = dfs.get_num_threads()
    with dfs.threads(3):
        assert dfs.get_num_threads() == (3 if kernel.has_openmp() else 1)
    assert dfs.get_num_threads() == before
    with pytest.raises(ZeroDivisionError), dfs.threads(2):
        raise ZeroDivisionError
    assert dfs.get_num_threads() == before


@pytest.mark.parametrize("n", [0, -1, 5000, 1.5, "2"])
def test_refuses(n):
    with pytest.raises((ValueError, TypeError), match="the number of threads must be"):
        dfs.set_num_threads(n)


def test_kernel_refuses():
    with pytest.raises(ValueError, match="the number of threads must be at least 1, got 0"):
        kernel.set_num_threads(0)


SHOW = "import deepfs as dfs; print(dfs.get_num_threads())"


@pytest.mark.skipif(not kernel.has_openmp(), reason="built without OpenMP")
def test_default():
    assert run(SHOW, OMP_NUM_THREADS="3") == "3"
    assert run(SHOW, OMP_NUM_THREADS="2,4") == "2"
    for odd in ("99999999999999999999", "\u00b2", "-1", "many"):
        assert run(SHOW, OMP_NUM_THREADS=odd) == str(kernel.usable_cpus())
    assert run(SHOW, OMP_NUM_THREADS="") == str(kernel.usable_cpus())
    assert 1 <= kernel.usable_cpus() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not kernel.has_openmp(), reason="built without OpenMP")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of GNU OpenMP")
def test_waiting_threads_soon_sleep():
    """Spinning ones starve the thread they wait for as soon as the machine has other work."""
    show = "import os, cnn_core; print(os.environ.get('GOMP_SPINCOUNT'))"

    def spins(**environment):
        done = subprocess.run(
            [sys.executable, "-c", show],
            capture_output=True,
            text=True,
            timeout=60,
            env=os.environ | {"OMP_DISPLAY_ENV": "VERBOSE"} | environment,
        )
        line = next(line for line in done.stderr.splitlines() if "GOMP_SPINCOUNT" in line)
        return int(line.split("'")[1]), done.stdout.strip()

    assert spins() == (2000, "None")  # and the environment is left as it was
    assert spins(GOMP_SPINCOUNT="7") == (7, "7")
    assert spins(OMP_WAIT_POLICY="passive")[0] == 0


FORK = """
import os, sys, warnings
warnings.simplefilter("ignore")
import numpy as np, deepfs as dfs
from deepfs import layers as L
from deepfs.testing import any_work_on
net, x = L.Dense(300), np.ones((500, 300), np.float32)
with any_work_on(2):
    wanted = net(x)
    child = os.fork()
    if child == 0:
        same = (net(x) == wanted).all() and dfs.get_num_threads() == 1
        try:
            dfs.set_num_threads(2)
        except RuntimeError as error:
            print(error)
        sys.stdout.flush()
        os._exit(0 if same else 1)
    _, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), dfs.get_num_threads())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.skipif(not kernel.has_openmp(), reason="built without OpenMP")
def test_a_forked_child_does_not_hang():
    lines = run(FORK, OMP_NUM_THREADS="2").splitlines()
    assert "it must keep 1 thread, got 2" in lines[0]
    assert lines[1] == "0 2"
