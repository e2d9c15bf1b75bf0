# compiled once: it computes nothing
"""How many threads a kernel may use. The one place that decides.

A kernel states its work, about the nanoseconds it would take one thread; `threads_for` answers 1
below the break-even and, above it, the number the user set. Results never depend on the answer, so
it may change from kernel to kernel: where other programs want the processors, a kernel on several
threads waits for the one that cannot run, and one thread alone is faster. `decide` notices.
"""
import math
import os

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    /* Asks the library, so that this module loads it: see _load_openmp in __init__.py. */
    static int openmp_level(void) { return omp_get_max_threads() > 0 ? _OPENMP : 0; }
    static double clock_now(void) { return omp_get_wtime(); }
    #else
    static int openmp_level(void) { return 0; }
    static double clock_now(void) { return 0; }
    #endif

    #ifdef __linux__
    #include <sys/resource.h>
    /* How often this thread has gone to sleep: after a kernel, once it has spun in vain. */
    static long sleeps_now(void) {
        struct rusage usage;
        return getrusage(RUSAGE_THREAD, &usage) ? 0 : usage.ru_nvcsw;
    }
    #else
    static long sleeps_now(void) { return 0; }
    #endif

    #ifdef _MSC_VER
    #define PER_THREAD __declspec(thread)
    #else
    #define PER_THREAD __thread
    #endif
    typedef struct {
        int kernels, alone, trial;
        long sleeps;
        double began, work, rate, until, pause;
    } Watch;
    static PER_THREAD Watch own_watch;
    """
    ctypedef struct Watch:      # what a thread that calls kernels knows of them
        int kernels             # since the beginning of a window
        bint alone              # they run on one thread
        bint trial              # ... for this window, to compare
        long sleeps             # of the thread, when the window began
        double began            # seconds, when it did
        double work             # nanoseconds of one thread, of its kernels
        double rate             # seconds per nanosecond of work, of the last window on several
        double until            # seconds, before which nothing changes
        double pause            # seconds that the next change will last, unless it is 0
    int openmp_level()
    double clock_now() nogil
    long sleeps_now() nogil
    Watch own_watch

cdef enum:
    WINDOW = 16                    # kernels that are judged together

cdef double SHORTEST = 0.05        # seconds
cdef double LONGEST = 2.0
cdef double GAIN = 1.5             # how much faster one thread must be to be chosen

cdef double break_even = 15e3      # nanoseconds: waking a second thread costs about a third of it
cdef int limit = 1                 # threads a kernel may use
cdef bint used = False             # a kernel has run on several threads in this process
cdef bint stuck = False            # this process was forked from one in which that was so


cdef int threads_for(double work) noexcept nogil:
    """Return the number of threads for ``work`` nanoseconds of one thread."""
    global used
    if work < break_even or limit == 1:
        return 1
    used = True
    if break_even == 0:                # tests want the threads they ask for
        return limit
    own_watch.work += work
    own_watch.kernels += 1
    if own_watch.kernels > WINDOW:
        decide(&own_watch, clock_now(), sleeps_now())
        own_watch.work = work
    return 1 if own_watch.alone else limit


cdef void decide(Watch* watch, double now, long sleeps) noexcept nogil:
    """Choose between one thread and several, and begin a new window.

    If the calling thread went to sleep in most kernels, others hold the processors, or the work is
    shared out badly; so the next window is tried on one thread. If that is much faster it stays so
    for a while, else it is not tried again for a while; both become longer as they are repeated.
    """
    cdef double rate = (now - watch.began) / watch.work
    if watch.trial:
        watch.trial = False
        watch.alone = rate * GAIN < watch.rate
        watch.pause = min(2 * watch.pause, LONGEST) if watch.pause else SHORTEST
        watch.until = now + watch.pause
    elif watch.alone:
        watch.alone = now < watch.until
    elif watch.began and 2 * (sleeps - watch.sleeps) > WINDOW:
        watch.alone = watch.trial = now >= watch.until
        watch.rate = rate
    else:
        watch.pause = 0
    watch.kernels, watch.work = 1, 0
    watch.began, watch.sleeps = now, sleeps


def decisions(window, int count):
    """Return, for tests, after each of ``count`` windows whether the next is on one thread.

    ``window(alone)`` says how a window went: nanoseconds of work, seconds it took, how often the
    thread slept.
    """
    cdef Watch watch = Watch(0, False, False, 0, 1.0, 0, 0, 0, 0)
    found = []
    for _ in range(count):
        watch.work, seconds, sleeps = window(watch.alone)
        decide(&watch, watch.began + seconds, watch.sleeps + sleeps)
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
            "this process was forked after kernels had run on several threads, and OpenMP cannot "
            f"start threads in it: it must keep 1 thread, got {n} (start it with 'spawn' instead)")
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
    """Keep a forked child on one thread: the threads of its parent's pool are not there."""
    global limit, stuck
    if used:
        limit, stuck = 1, True


set_num_threads(_default_threads())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
