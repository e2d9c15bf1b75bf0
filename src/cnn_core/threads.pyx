# compiled once: it computes nothing
"""How many threads a kernel may use. The one place that decides.

A kernel states its work, about the nanoseconds it would take one thread; `threads_for` answers 1
below the break-even and, above it, the number the user set. Results never depend on the answer, so
it may change from kernel to kernel: `threads_watch.pxd` notices where other programs want the
processors, and keeps kernels on one thread for a while.
"""
import math
import os
import sys

from cython.parallel cimport prange

from cnn_core.threads_watch cimport WINDOW, Watch, begin, clock_now, decide, is_over, losses_now
from cnn_core.threads_watch cimport own_watch, sleeps_now, was_elsewhere

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    /* Asks the library, so that this module loads it: see _load_openmp in __init__.py. */
    static int openmp_level(void) { return omp_get_max_threads() > 0 ? _OPENMP : 0; }
    static int in_a_region(void) { return omp_in_parallel(); }
    #else
    static int openmp_level(void) { return 0; }
    static int in_a_region(void) { return 0; }
    #endif
    """
    int openmp_level()
    bint in_a_region() nogil

cdef double break_even = 15e3      # nanoseconds: waking a second thread costs about a third of it
cdef int limit = 1                 # threads a kernel may use
cdef bint stuck = False            # this process was forked, see `_after_fork`


cdef int threads_for(double work) noexcept nogil:
    """Return the number of threads for ``work`` nanoseconds of one thread."""
    cdef double now
    if work < break_even or limit == 1:
        return 1
    flush_on_workers(limit)
    if break_even == 0:                # tests want the threads they ask for
        return limit
    now = clock_now()
    if was_elsewhere(&own_watch, now):
        begin(&own_watch, now, sleeps_now(), losses_now())
    elif is_over(&own_watch, now):
        decide(&own_watch, now, sleeps_now(), losses_now())
    own_watch.kernels += 1
    own_watch.work += work
    own_watch.latest, own_watch.latest_work = now, work
    return 1 if own_watch.alone else limit


cdef void parallel(Body body, void* context, Py_ssize_t n, double work) noexcept nogil:
    """Call ``body(context, start, stop)`` for parts of 0 to n, on several threads if that pays.

    ``work`` is about the nanoseconds that one thread takes for all. Denormal numbers count as zero
    in the body, on each thread. It may call `parallel` itself, which then stays on its thread.
    """
    cdef FloatMode _mode = flush_denormals()
    cdef int parts = 1 if in_a_region() else threads_for(work), k
    cdef Py_ssize_t least, longer
    if parts > n:
        parts = <int> n                 # none if n < 1
    if parts < 2:
        if n > 0:
            body(context, 0, n)
        return
    least = n // parts
    longer = n % parts                  # parts that have one more
    for k in prange(parts, num_threads=parts, schedule="static"):
        body(context, k * least + min(k, longer), (k + 1) * least + min(k + 1, longer))


def decisions(window, int count):
    """Return, for tests, after each of ``count`` windows whether the next is on one thread.

    ``window(alone)`` says how a window went: nanoseconds of work, seconds it took, how often the
    thread slept, how often the process lost a processor, seconds since the latest kernel began.
    """
    cdef Watch watch = Watch(0, False, False, 0, 0, 1.0, 1.0, 0, 0, 0, 0, 0, 0, 0, [0, 0], [0, 0])
    cdef double now
    found = []
    for _ in range(count):
        watch.work, seconds, sleeps, losses, since = window(watch.alone)
        watch.kernels = WINDOW
        now = watch.began + seconds
        watch.latest, watch.latest_work = now - since, watch.work / WINDOW
        if was_elsewhere(&watch, now):
            begin(&watch, now, watch.sleeps + sleeps, watch.losses + losses)
        else:
            decide(&watch, now, watch.sleeps + sleeps, watch.losses + losses)
        found.append(watch.alone)
    return found


def has_openmp():
    """Return whether the kernels were built with OpenMP."""
    return openmp_level() != 0


def get_num_threads():
    """Return how many threads a kernel may use."""
    return limit


def set_num_threads(int n):
    """Let kernels use ``n`` threads. Without OpenMP they stay with one."""
    global limit
    if n < 1:
        raise ValueError(f"the number of threads must be at least 1, got {n}")
    if stuck and n > 1:
        raise RuntimeError(
            "this process was forked, and OpenMP cannot be used in it if its parent had used it: "
            f"it must keep 1 thread, got {n} (start it with 'spawn' instead)")
    limit = n if openmp_level() else 1


def get_break_even():
    """Return the work, in nanoseconds, from which kernels use several threads."""
    return break_even


def set_break_even(double nanoseconds):
    """Let kernels use several threads from this much work; 0 is for tests on small arrays."""
    global break_even
    break_even = nanoseconds


def usable_cpus():
    """Return how many processors this process may use: its affinity, and its cgroup's quota."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        cpus = min(cpus, max(1, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):      # no cgroup version 2 here, or its quota is "max"
        pass
    return cpus or 1


def _default_threads():
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    given = asked.isascii() and asked.isdigit() and len(asked) < 5 and int(asked) > 0
    return int(asked) if given else usable_cpus()


def _after_fork():
    """Keep a forked child on one thread: the threads of its parent's pool are not there.

    GNU OpenMP waits for them for ever. Whether there was a pool no one can ask, for the library
    serves all of the process: PyTorch and scikit-learn, say.
    """
    global limit, stuck
    limit, stuck = 1, True


def _forked_before():
    """Return whether multiprocessing forked this process, before this module was imported."""
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        return False
    started = ("from multiprocessing.spawn", "from multiprocessing.forkserver")
    return not any(word.startswith(started) for word in sys.orig_argv)


set_num_threads(_default_threads())
if _forked_before():
    _after_fork()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
