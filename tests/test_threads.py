"""How many threads: settings, the break-even, forks; and the same bits for any number of them."""

import copy
import multiprocessing
import os
import subprocess
import sys
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pytest

import deepfs as dfs
from cnn_core import gemm, random, reduce
from cnn_core import threads as kernel
from deepfs import layers as L
from deepfs import losses
from deepfs.testing import any_work_on
from every_layer import every_layer, spread
from every_optimizer import every


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

    assert spins() == (30000, "None")  # and the environment is left as it was
    assert spins(GOMP_SPINCOUNT="7") == (7, "7")
    assert spins(OMP_WAIT_POLICY="passive")[0] == 0


# nanoseconds of work, seconds, sleeps of the thread, losses of processors, seconds of a kernel
QUIET, BUSY, UNEVEN = (1e6, 1e-3, 0, 0, 0), (1e6, 5e-3, 16, 0, 0), (1e6, 1e-3, 16, 0, 0)
SPINNING = (1e6, 5e-3, 0, 2, 0)  # as BUSY, but threads that wait spin until they lose the processor


@pytest.mark.skipif(not kernel.has_openmp(), reason="built without OpenMP")
def test_a_region_of_one_thread_does_not_enter_the_library():
    """As cnn_core_threads.h arranges: a kernel's GOMP_parallel is in the kernel's own module."""
    code = "import cnn_core.add"
    show = {"LD_DEBUG": "bindings", "LD_BIND_NOW": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | show
    )
    bound = [line for line in done.stderr.splitlines() if "/add.abi3.so [0] to" in line]
    if not any("`GOMP_parallel_start'" in line for line in bound):
        pytest.skip("neither GCC's OpenMP nor a linker that shows what it binds")
    assert not any("`GOMP_parallel'" in line for line in bound)


def test_all_threads_where_nobody_waits():
    assert not any(kernel.decisions(lambda alone: QUIET, 1000))


@pytest.mark.parametrize("busy", [BUSY, SPINNING], ids=["sleeping", "spinning"])
def test_one_thread_where_others_hold_the_processors(busy):
    """After 0.05 s; then each 0.05, 0.1, 0.2 ... 2 s it tries all threads for 0.05 s.

    With PyTorch imported first, its OpenMP spins: a step beside two programs took 132 ms, not 2.4.
    """
    alone = kernel.decisions(lambda alone: QUIET if alone else busy, 12000)
    first = alone.index(True)
    assert first in (9, 10)  # windows of 5 ms
    runs = [(one, len([*windows])) for one, windows in groupby(alone[first:])]
    assert {length for one, length in runs[:-1] if not one} <= {10, 11}
    pauses = [length / 1000 for one, length in runs[:-1] if one]  # of windows of a millisecond
    expected = [0.1, 0.1, 0.2, 0.4, 0.8, 1.6, 2, 2]  # at first 0.05 s to compare, too
    np.testing.assert_allclose(pauses[:8], expected, atol=4e-3)


def test_means_are_compared_not_single_windows():
    """Beside programs that compute, three windows on several threads are quick, the fourth slow.

    What was compared was one window of each kind. If that was a quick one, two seconds of slow ones
    followed: a step took 7.0 ms beside two programs, and 5.2 on one thread.
    """
    windows = iter(range(10**6))

    def window(alone):
        if alone:
            return (1e6, 1e-3, 0, 1, 0)
        return (1e6, 1e-2 if next(windows) % 4 == 3 else 7e-4, 0, 1, 0)

    alone = kernel.decisions(window, 20_000)
    assert 3e-3 * alone.count(False) < 0.05 * 20


def test_all_threads_again_when_the_others_are_done():
    windows = iter([BUSY] * 11 + [QUIET] * 1000)
    alone = kernel.decisions(lambda alone: next(windows), 1011)
    assert not any(alone[:9])
    assert all(alone[10:100])
    assert not any(alone[120:])


def test_all_threads_again_where_an_idle_system_takes_a_processor_often():
    """Some virtual machines do, in each third window, and a trial ended with the first of these.

    What was known of several threads outweighed it: beside other processes that were idle by then,
    a step of `deep_convnet` took 70 ms on one thread for a minute, not 45 on two.
    """
    windows = iter(range(10**6))

    def window(alone):
        number = next(windows)
        if alone:
            return (1e6, 1e-3, 0, 0, 0)
        return (1e6, 4e-3, 0, 1, 0) if number < 1000 else (1e6, 6e-4, 0, int(number % 3 == 0), 0)

    alone = kernel.decisions(window, 10_000)
    assert all(alone[900:1000])
    assert alone[5000:].count(True) < 200  # after four seconds


def test_calm_windows_forget_the_disturbed_ones():
    """Disturbances of 0.04 s are no reason to try one thread, if 0.06 s between them are calm."""
    period = [BUSY] * 8 + [QUIET] * 60
    windows = iter(period * 10)
    assert not any(kernel.decisions(lambda alone: next(windows), 680))


@pytest.mark.parametrize(("since", "judged"), [(0.35, False), (0.04, True)])
def test_what_a_program_does_between_kernels_is_not_their_fault(since, judged):
    """Products of NumPy take 0.35 s, and their threads give processors up to each other.

    That counted for the kernels: on one thread a step took 54 ms in turns with NumPy's, not 34.
    """
    alone = kernel.decisions(lambda alone: (1e6, 1e-3 if alone else 0.36, 0, 100, since), 100)
    assert any(alone) == judged


def test_a_kernel_may_take_long_itself():
    """Of 0.1 s of work: beside other programs it takes a second, in which several are slow."""
    slow, quick = (1.6e9, 16, 0, 1000, 1), (1.6e9, 2, 0, 50, 0.2)
    assert any(kernel.decisions(lambda alone: quick if alone else slow, 20))


def test_short_calm_between_disturbances_forgets_nothing():
    """A window that waits for 0.02 s after 0.026 s of quick ones: one thread would be faster."""
    windows = iter(range(10**6))

    def window(alone):
        return QUIET if alone or next(windows) % 27 < 26 else (1e6, 2e-2, 16, 0, 0)

    assert kernel.decisions(window, 1000).count(False) < 300


@pytest.mark.parametrize(("every", "tried"), [(13, False), (4, True)])
def test_a_processor_lost_now_and_then_starts_no_trial(every, tried):
    """Once in 40 ms, as an idle system takes it, against once in 12 ms, as busy programs do.

    The trials made an optimizer's step of 0.2 ms on an idle machine 5 % slower.
    """
    windows = iter(range(10**6))

    def window(alone):
        return (1e6, 3e-3, 0, int(next(windows) % every == 0), 0)

    assert any(kernel.decisions(window, 1000)) == tried


def test_a_choice_follows_what_other_programs_do():
    """A minute on one thread, which was faster; then a program comes that holds this processor."""
    windows = iter(range(10**6))

    def window(alone):
        if next(windows) < 60_000:
            return QUIET if alone else BUSY
        return (1e6, 8e-3, 0, 2, 0) if alone else (1e6, 4e-3, 0, 1, 0)

    alone = kernel.decisions(window, 66_000)
    assert 5e-3 * alone[50_000:60_000].count(False) < 0.03 * 10
    assert alone[64_000:].count(True) < 20


def test_a_processor_lost_now_and_then_changes_nothing():
    """Some system service runs on every machine, ten times a second."""
    windows = iter(range(10**6))
    alone = kernel.decisions(lambda alone: (1e6, 5e-2, 0, next(windows) % 2, 0), 1000)
    assert not any(alone)


def test_a_choice_lasts_longer_than_its_last_window_took():
    """Where kernels take long, or processors are scarce, a window on several takes 0.5 s."""
    slow, quick = (1e6, 0.5, 0, 100, 0), (1e6, 0.05, 0, 5, 0)
    alone = kernel.decisions(lambda alone: quick if alone else slow, 1000)
    seconds = sum(0.05 if one else 0.5 for one in alone)
    assert 0.5 * alone.count(False) < 0.15 * seconds


def test_trials_become_rare_where_losses_mean_nothing():
    """Each second window loses a processor, and one thread would be half as fast."""
    windows = iter(range(10**6))

    def window(alone):
        return (1e6, 2e-3 if alone else 1e-3, 0, next(windows) % 2, 0)

    assert sum(kernel.decisions(window, 10_000)) < 40  # of them 25 of the first comparison


def test_all_threads_where_one_is_no_faster():
    """A kernel whose work is shared out badly sleeps as well."""
    alone = kernel.decisions(lambda alone: UNEVEN, 3000)
    assert sum(alone[:150]) in range(50, 55)  # the first comparison, of 0.05 s
    assert 2 <= sum(alone[150:]) <= 8  # trials, ever further apart
    assert not any(a and b for a, b in pairwise(alone[150:]))


USED_BY_OTHERS = """
import ctypes, os, sys, warnings
warnings.simplefilter("ignore")
import numpy as np, deepfs as dfs
from deepfs import layers as L
maps = open("/proc/self/maps").read().split()
library = ctypes.CDLL(next(word for word in maps if "libgomp" in word))
threads, kind = set(), ctypes.CFUNCTYPE(None, ctypes.c_void_p)
import threading
body = kind(lambda _: threads.add(threading.get_native_id()))
library.GOMP_parallel(body, None, 2, 0)     # as a convolution of PyTorch does
assert len(threads) == 2
net, x = L.Conv2D(16, 3), np.zeros((32, 8, 32, 32), np.float32)
child = os.fork()
if child == 0:
    net(x)
    os._exit(0 if dfs.get_num_threads() == 1 else 1)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), dfs.get_num_threads())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="by GNU OpenMP of Linux")
@pytest.mark.skipif(not kernel.has_openmp(), reason="built without OpenMP")
def test_a_forked_child_does_not_hang_if_others_used_openmp():
    """The library is one for all of the process: its threads are not there in the child."""
    if "libgomp" not in Path("/proc/self/maps").read_text():
        pytest.skip("not GNU OpenMP")
    assert run(USED_BY_OTHERS, OMP_NUM_THREADS="2") == "0 2"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_every_forked_child_has_one_thread():
    code = """
import os, warnings
warnings.simplefilter("ignore")
import deepfs as dfs
dfs.get_num_threads()
child = os.fork()
if child == 0:
    os._exit(dfs.get_num_threads())
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), dfs.get_num_threads())
"""
    assert run(code, OMP_NUM_THREADS="2") == ("1 2" if kernel.has_openmp() else "1 1")


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.skipif(not kernel.has_openmp(), reason="built without OpenMP")
@pytest.mark.parametrize(("method", "wanted"), [("fork", "1"), ("spawn", "2"), ("forkserver", "2")])
def test_a_child_that_imports_deepfs_itself(method, wanted, tmp_path):
    """Forked after another library used OpenMP, say: a loader of data that imports deepfs late."""
    (tmp_path / "child.py").write_text(
        "def show():\n    import deepfs\n    print(deepfs.get_num_threads(), flush=True)\n"
    )
    code = f"""
import multiprocessing, sys
sys.path.insert(0, {str(tmp_path)!r})
import child
if __name__ == "__main__":
    process = multiprocessing.get_context({method!r}).Process(target=child.show)
    process.start()
    process.join()
"""
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    assert run(code, OMP_NUM_THREADS="2", PYTHONPATH=paths) == wanted


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


def check_same_bits(compute):
    """Compare what ``compute`` returns, numbers by name, for 1, 2, 3, 4 and 8 threads."""
    wanted = None
    for n in (1, 2, 3, 4, 8):
        with any_work_on(n):
            got = {name: np.asarray(value).tobytes() for name, value in compute().items()}
        wanted = wanted or got
        differ = [name for name in wanted if got[name] != wanted[name]]
        assert not differ, f"with {n} threads there are other bits in {differ}"


def check_layer_bits(layer, x):
    """Compare inference, and all that a forward and backward of training leave behind."""
    layer.build(x.shape[1:], x.dtype)

    def compute():
        copied = copy.deepcopy(layer)
        inferred = copied(x)
        y, cache = copied.forward(x, training=True)
        dx = copied.backward(np.cos(np.arange(y.size, dtype=y.dtype)).reshape(y.shape), cache)
        gradients = {f"gradient of {name}": p.grad for name, p in copied.parameters().items()}
        return gradients | copied.buffers() | {"inference": inferred, "y": y, "dx": dx}

    check_same_bits(compute)


@every_layer
def test_every_layer_gives_the_same_bits(make, shape, dtype):
    check_layer_bits(make(), spread(shape).astype(dtype))


def network():
    """Return layers that work for their neighbours: what stands beside a ReLU, and additions."""
    block = L.Sequential([L.Conv2D(24, 3, padding=1), L.BatchNorm(), L.ReLU(), L.Conv2D(24, 1)])
    parts = [L.Conv2D(24, 5), L.ReLU(), L.Residual(block), L.ReLU(), L.MaxPool2D(2), L.Dropout(0.3)]
    return L.Sequential([*parts, L.Flatten(), L.Dense(50), L.ReLU(), L.Dense(10)])


# As large as it takes for several units of work in each kernel, float64 included.
IMAGES = (10, 24, 21, 20)
LARGE = {
    "conv 3x3": (lambda: L.Conv2D(16, 3, padding=1, algorithm="direct"), (10, 16, 28, 28)),
    "conv 3x3, several blocks of taps": (lambda: L.Conv2D(20, 3, algorithm="direct"),
                                         (8, 70, 9, 9)),
    "conv winograd": (lambda: L.Conv2D(24, 3, padding=1, algorithm="winograd"), (10, 40, 28, 28)),
    "conv strided": (lambda: L.Conv2D(32, 3, stride=2, padding=1), (10, 16, 28, 28)),
    "conv 5x5 of one channel": (lambda: L.Conv2D(30, 5), (10, 1, 28, 28)),
    "conv 1x1": (lambda: L.Conv2D(40, 1), IMAGES),
    "conv dilated": (lambda: L.Conv2D(20, 3, padding=2, dilation=2), IMAGES),
    "conv groups": (lambda: L.Conv2D(32, 3, groups=4), IMAGES),
    "conv depthwise": (lambda: L.Conv2D(24, 3, groups=24), IMAGES),
    "dense": (lambda: L.Dense(200), (257, 300)),
    "max pool": (lambda: L.MaxPool2D(3, 2, padding=1), IMAGES),
    "average pool": (lambda: L.AvgPool2D(3, 2, padding=1), IMAGES),
    "global average pool": (lambda: L.GlobalAvgPool2D(), IMAGES),
    "batch norm of rows": (lambda: L.BatchNorm(), (3000, 70)),
    "batch norm of images": (lambda: L.BatchNorm(), IMAGES),
    "relu": (lambda: L.ReLU(), (3000, 70)),
    "sigmoid": (lambda: L.Sigmoid(), (3000, 70)),
    "tanh": (lambda: L.Tanh(), (3000, 70)),
    "softmax": (lambda: L.Softmax(), (3000, 70)),
    "dropout": (lambda: L.Dropout(0.3), (3000, 70)),
    "network": (network, (20, 3, 24, 24)),
}  # fmt: skip


@pytest.mark.parametrize(("make", "shape"), LARGE.values(), ids=LARGE)
def test_large_layers_give_the_same_bits(make, shape, dtype, rng):
    check_layer_bits(make(), rng.standard_normal(shape).astype(dtype))


@pytest.mark.parametrize(("m", "n", "k"), [(230, 300, 170), (30, 300, 170), (1100, 35, 130)])
@pytest.mark.parametrize("trans_a", [False, True])
@pytest.mark.parametrize("trans_b", [False, True])
def test_products_give_the_same_bits(m, n, k, trans_a, trans_b, dtype, rng):
    a = rng.standard_normal((k, m) if trans_a else (m, k)).astype(dtype)
    b = rng.standard_normal((n, k) if trans_b else (k, n)).astype(dtype)
    bias, gate = np.linspace(-1, 1, n, dtype=dtype), rng.standard_normal((m, n)).astype(dtype)

    def compute():
        c, added, rectified, drelu = (np.full((m, n), 0.1, dtype) for _ in range(4))
        gemm.gemm(a, b, c, bias, trans_a, trans_b)
        gemm.gemm(a, b, added, None, trans_a, trans_b, accumulate=True)
        gemm.gemm(a, b, rectified, bias, trans_a, trans_b, relu=True)
        gemm.gemm(a, b, drelu, None, trans_a, trans_b, drelu=gate)
        return {"c": c, "added": added, "rectified": rectified, "drelu": drelu}

    check_same_bits(compute)


def test_sums_columns_and_random_numbers_have_the_same_bits(dtype, rng):
    rows, images = (rng.standard_normal(s).astype(dtype) for s in ((5000, 130), (9, 5, 12, 11)))

    def compute():
        total = np.ones(130, dtype)
        reduce.add_column_sums(rows, total)
        col = dfs.im2col(images, 3, padding=1)
        back = dfs.col2im(col, images.shape, 3, padding=1)
        uniform, normal = np.empty((2, 10_001), dtype)
        random.uniform(uniform, 1, 2, 3)
        random.normal(normal, 1, 2, 3)
        return {"sums": total, "col": col, "back": back, "uniform": uniform, "normal": normal}

    check_same_bits(compute)


WITHOUT = {"Loss", "Combined", "FunctionLoss", "get"}
LOSSES = [getattr(losses, name)() for name in losses.__all__ if name not in WITHOUT]
OPTIONS = {"label_smoothing": 0.1, "class_weight": [*range(1, 9)], "ignore_index": -3}


@pytest.mark.parametrize("shape", [(3000, 8), (7, 8, 21, 20)], ids=["rows", "images"])
@pytest.mark.parametrize("loss", [*LOSSES, losses.CrossEntropy(**OPTIONS)], ids=repr)
def test_every_loss_gives_the_same_bits(loss, shape, dtype, rng):
    outputs = rng.standard_normal(shape).astype(dtype)
    targets = []
    if isinstance(loss, (losses.CrossEntropy, losses.NegativeLogLikelihood, losses.Hinge)):
        targets.append(rng.integers(0, 8, (shape[0], *shape[2:])))
    if not isinstance(loss, (losses.NegativeLogLikelihood, losses.Hinge)):
        targets.append(rng.random(shape).astype(dtype))  # probabilities, or numbers
    weight = rng.random(shape[0])

    def compute():
        found = {}
        for target in targets:
            value, cache = loss.forward(outputs, target, weight)
            found |= {f"value, {target.dtype}": value}
            found |= {f"gradient, {target.dtype}": loss.backward(cache)}
        return found

    check_same_bits(compute)


@every
def test_every_optimizer_gives_the_same_bits(kind, settings, dtype, rng):
    optimizer = kind(**settings)
    start, *gradients = rng.standard_normal((4, 50_001)).astype(dtype)

    def compute():
        w = start.copy()
        state = optimizer.init(w)
        for t, g in enumerate(gradients, 1):
            optimizer.step(w, g, state, t)
        return state | {"w": w}

    check_same_bits(compute)
