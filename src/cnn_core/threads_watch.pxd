# cython: cdivision=True, language_level=3
"""Whether several threads pay while other programs want the processors; a part of `threads`.

A kernel on several threads waits for the one that cannot run, and one thread alone is faster. Each
thread that calls kernels has a `Watch`, and `decide` judges its kernels by windows of WINDOW, or
less if they take long.

What a thread does that waits depends on who loaded the OpenMP library first. As deepfs sets it up,
it soon sleeps; as others do, it spins until the system takes its processor away. So both count.
"""

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    static double clock_now(void) { return omp_get_wtime(); }
    #else
    static double clock_now(void) { return 0; }
    #endif

    #ifdef __linux__
    #include <sys/resource.h>
    /* How often this thread has gone to sleep: after a kernel, once it has spun in vain. */
    static long sleeps_now(void) {
        struct rusage usage;
        return getrusage(RUSAGE_THREAD, &usage) ? 0 : usage.ru_nvcsw;
    }
    /* How often a thread of this process has lost its processor to another program. */
    static long losses_now(void) {
        struct rusage usage;
        return getrusage(RUSAGE_SELF, &usage) ? 0 : usage.ru_nivcsw;
    }
    #else
    static long sleeps_now(void) { return 0; }
    static long losses_now(void) { return 0; }
    #endif

    #ifdef _MSC_VER
    #define PER_THREAD __declspec(thread)
    #else
    #define PER_THREAD __thread
    #endif
    typedef struct {
        int kernels, alone, trial;
        long sleeps, losses;
        double began, latest, latest_work, work, until, pause, calm, troubled, tried;
        double seconds[2], done[2];
    } Watch;
    static PER_THREAD Watch own_watch;

    static const double FIRST_PAUSE = 0.05, LONGEST_PAUSE = 2.0, MIN_GAIN = 1.1, COMPARING = 8.0;
    static const double LONG_WINDOW = 0.01, SLICE = 0.02, ENOUGH = 0.05, CALM = 0.05;
    static const double MEMORY = 1.0, PART = 1 / 3.0, ELSEWHERE = 0.05, SLOWEST = 20e-9;
    """
    ctypedef struct Watch:      # what a thread that calls kernels knows of them
        int kernels             # since the beginning of a window
        bint alone              # they run on one thread
        bint trial              # ... for now, to compare
        long sleeps             # of the thread, when the window began
        long losses             # of processors, when it did
        double began            # seconds, when it did
        double latest           # seconds, when the latest kernel began
        double latest_work      # nanoseconds of one thread, of that kernel
        double work             # ... of the kernels of the window
        double until            # seconds, before which nothing changes
        double pause            # seconds that the last choice was kept
        double calm             # seconds without a disturbance, on several threads
        double troubled         # seconds of disturbed windows on several threads
        double tried            # seconds of windows of this trial
        double[2] seconds       # that windows took of late: on several threads, and alone
        double[2] done          # nanoseconds of one thread, of their kernels
    Watch own_watch             # of the calling thread
    double clock_now() nogil    # seconds
    long sleeps_now() nogil
    long losses_now() nogil
    const double FIRST_PAUSE    # seconds that a choice is kept at first
    const double LONGEST_PAUSE  # seconds that it is kept at most
    const double MIN_GAIN       # how many times as fast one thread must be to be chosen
    const double LONG_WINDOW    # seconds after which FEW kernels are enough
    const double SLICE          # seconds: a busy program takes the processor more often than that
    const double COMPARING      # a choice is kept so many times as long as its last window took
    const double PART           # of the time on several threads, above which others disturb it
    const double ENOUGH         # seconds of windows that a comparison needs, of each kind
    const double CALM           # seconds without a disturbance, after which all is forgotten
    const double ELSEWHERE      # seconds between two kernels, beyond which others are not to blame
    const double SLOWEST        # seconds per nanosecond of work that they are blamed for, besides
    const double MEMORY         # seconds of windows, after which the older count half

cdef enum:
    WINDOW = 16                 # kernels that are judged together
    FEW = 4


cdef inline bint is_over(Watch* watch, double now) noexcept nogil:
    """Return whether the window is, at the beginning of a further kernel."""
    return watch.kernels >= WINDOW or (
        watch.kernels >= FEW and now - watch.began > LONG_WINDOW)


cdef inline bint was_elsewhere(Watch* watch, double now) noexcept nogil:
    """Return whether the thread did something else for long since its latest kernel began.

    Such a window says nothing: what NumPy computes meanwhile may take and lose processors, too.
    """
    return now - watch.latest > ELSEWHERE + SLOWEST * watch.latest_work


cdef inline void begin(Watch* watch, double now, long sleeps, long losses) noexcept nogil:
    """Begin a window."""
    watch.kernels, watch.work = 0, 0
    watch.began, watch.sleeps, watch.losses = now, sleeps, losses


cdef inline double time_per_work(Watch* watch, bint alone) noexcept nogil:
    """Return the mean time of late, in seconds per nanosecond of work of one thread."""
    return watch.seconds[alone] / watch.done[alone]


cdef inline void decide(Watch* watch, double now, long sleeps, long losses) noexcept nogil:
    """Choose between one thread and several, and begin a new window.

    A window on several threads is disturbed if the calling thread went to sleep in most kernels, or
    a processor was lost more often than every SLICE: others hold the processors, or the work is
    shared out badly. If such windows take more than a PART of the time, windows on one thread are
    tried; not sooner, since a trial costs time, and a system with nothing else to do takes a
    processor now and then, too. Means are compared: beside busy programs three windows of four may
    be as fast as ever, and the fourth take ten times as long. What is faster stays for a while;
    then windows of the other kind refresh its mean. The while becomes longer as it is repeated.
    Where nothing disturbs any more, all is forgotten.

    Several threads are tried for ENOUGH, and what was known of them counts half: the other programs
    may be gone, although an idle system takes a processor in each third window or so.
    """
    cdef double seconds = now - watch.began
    cdef bint disturbed = watch.alone or (2 * (sleeps - watch.sleeps) > watch.kernels
                                          or (losses - watch.losses) * SLICE > seconds)
    cdef int kind
    if watch.work > 0:
        watch.seconds[watch.alone] += seconds
        watch.done[watch.alone] += watch.work
        watch.tried += seconds
        if disturbed and not watch.alone:
            watch.troubled += max(seconds, SLICE * PART)
        watch.calm = 0 if disturbed else watch.calm + seconds
        if watch.seconds[watch.alone] > MEMORY:
            watch.seconds[watch.alone] /= 2
            watch.done[watch.alone] /= 2
            watch.troubled /= 1 if watch.alone else 2
        if watch.calm > CALM:
            watch.trial, watch.pause, watch.troubled = False, 0, 0
            for kind in range(2):
                watch.seconds[kind] = watch.done[kind] = 0
        elif not disturbed or now < watch.until or watch.seconds[watch.alone] < ENOUGH:
            pass
        elif watch.trial and not watch.alone and watch.tried < ENOUGH:
            pass
        elif watch.trial:
            watch.trial = False
            watch.alone = time_per_work(watch, True) * MIN_GAIN < time_per_work(watch, False)
            watch.pause = min(2 * watch.pause, LONGEST_PAUSE) if watch.pause else FIRST_PAUSE
            watch.until = now + max(watch.pause, COMPARING * seconds)
        elif watch.alone or watch.troubled > PART * watch.seconds[False]:
            watch.trial, watch.alone, watch.tried = True, not watch.alone, 0
            if not watch.alone:
                watch.seconds[False] /= 2
                watch.done[False] /= 2
    begin(watch, now, sleeps, losses)
