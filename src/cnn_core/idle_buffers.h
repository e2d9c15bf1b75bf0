/* Idle buffers, and the lock that they are under.
 *
 * Small ones lie on stacks, one for each size: an idle buffer holds the address of the next one in
 * its first bytes. Large ones are cut and joined, see `large_buffers.h`. No Python object is touched
 * while the lock is held: a collection of garbage in there, which ends buffers, would wait for
 * itself. It is held for a few instructions, so waiting threads try again. With a GIL nobody ever
 * waits; Pythons without one have no other guard.
 */
#ifndef CNN_CORE_IDLE_BUFFERS_H
#define CNN_CORE_IDLE_BUFFERS_H

#include <stdatomic.h>
#include <stddef.h>

#if defined(_WIN32)
#include <windows.h>
#define let_others_run() SwitchToThread()
#else
#include <pthread.h>
#include <sched.h>
#define let_others_run() sched_yield()
#endif

static atomic_flag idle_lock = ATOMIC_FLAG_INIT;

static inline void lock_idle(void)
{
    while (atomic_flag_test_and_set_explicit(&idle_lock, memory_order_acquire))
        let_others_run();
}
static inline void unlock_idle(void)
{
    atomic_flag_clear_explicit(&idle_lock, memory_order_release);
}

/* A child has only the thread that forked: it would wait for ever for a lock that another one held.
 * os.register_at_fork would not do: other threads run between its hooks, hold the GIL and wait. */
static inline int guard_forks(void)
{
#if defined(_WIN32)
    return 0;
#else
    return pthread_atfork(lock_idle, unlock_idle, unlock_idle);
#endif
}

#define IDLE_SIZES 256 /* four for each power of two */
static void *idle[IDLE_SIZES];

/* Return the number of the least of the sizes 1, 1.25, 1.5 or 1.75 times a power of two that is
 * not below a size. */
static inline int size_class(size_t size)
{
    size_t step = 4096;
    int which = 0;
    while (step * 8 < size) {
        step *= 2;
        which += 4;
    }
    return which + (int)((size + step - 1) / step);
}

static inline void push_idle(int which, void *memory)
{
    *(void **)memory = idle[which];
    idle[which] = memory;
}
static inline void *pop_idle(int which)
{
    void *memory = idle[which];
    if (memory != NULL)
        idle[which] = *(void **)memory;
    return memory;
}

#endif
