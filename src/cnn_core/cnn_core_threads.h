/* How kernels treat the thread that they run on: its floating-point mode, and regions of one thread.
 *
 * Denormal numbers, those below the smallest normal one, take some processors 100 times as long, and
 * training makes more and more of them. So kernels compute as if they were zero: the mode is set at
 * the entry of each kernel, holds on its worker threads as well, and is put back at the end, however
 * the kernel ends. docs/numerics.md says what that means.
 */
#ifndef CNN_CORE_THREADS_H
#define CNN_CORE_THREADS_H

#include <stdint.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#define FLUSH_BITS 0x8040u /* of MXCSR: results become zero (FTZ), operands count as zero (DAZ) */
static inline uint64_t float_mode(void) { return _mm_getcsr(); }
static inline void set_float_mode(uint64_t mode) { _mm_setcsr((unsigned)mode); }
#elif defined(__aarch64__)
#define FLUSH_BITS (1u << 24) /* of FPCR: FZ, both */
static inline uint64_t float_mode(void)
{
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
static inline void set_float_mode(uint64_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
#define FLUSH_BITS 0u
static inline uint64_t float_mode(void) { return 0; }
static inline void set_float_mode(uint64_t mode) { (void)mode; }
#endif

/* Give the bits of FLUSH_BITS the values that they have in ``wanted``; return those from before. No
 * loads and stores of numbers move across. */
static inline uint64_t switch_float_mode(uint64_t wanted)
{
    uint64_t before = float_mode();
    __asm__ volatile("" : : : "memory");
    if ((before ^ wanted) & FLUSH_BITS)
        set_float_mode((before & ~(uint64_t)FLUSH_BITS) | (wanted & FLUSH_BITS));
    __asm__ volatile("" : : : "memory");
    return before;
}
static inline uint64_t flush_denormals(void) { return switch_float_mode(FLUSH_BITS); }
static inline void put_back_float_mode(uint64_t *before) { switch_float_mode(*before); }

/* The type of a local variable: at the end of its function, the caller's mode is put back. */
#define FLOAT_MODE __attribute__((cleanup(put_back_float_mode))) uint64_t

#if defined(_OPENMP) && defined(__GNUC__) && !defined(__clang__) && defined(__ELF__)
/* GCC writes a region as a call of GOMP_parallel, which in each module is this one.
 *
 * A region of one thread costs nothing. GCC's library makes a team for it all the same and ends it
 * with a system call that wakes nobody: 0.5 us, several times per kernel. With more threads this
 * does what the library's own does, and gives the workers the mode of the caller meanwhile: they are
 * shared with all that uses the library in this process.
 */
#include <omp.h>

void GOMP_parallel_start(void (*body)(void *), void *data, unsigned threads);
void GOMP_parallel_end(void);

typedef struct {
    void (*body)(void *);
    void *data;
    uint64_t mode;
} Region;

static void run_region(void *given)
{
    const Region *region = (const Region *)given;
    uint64_t before = switch_float_mode(region->mode);
    region->body(region->data);
    switch_float_mode(before);
}

__attribute__((visibility("hidden"))) void
GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags)
{
    Region region;
    (void)flags;
    if (threads == 1 && omp_get_num_threads() == 1) {
        body(data);
        return;
    }
    region.body = body;
    region.data = data;
    region.mode = switch_float_mode(0); /* a worker that is made now takes over the mode */
    GOMP_parallel_start(run_region, &region, threads);
    run_region(&region);
    GOMP_parallel_end();
    switch_float_mode(region.mode);
}
static inline void flush_on_workers(int threads) { (void)threads; }
#elif defined(_OPENMP) && !defined(__SSE2__)
/* LLVM's library gives workers the mode of the caller on x86 (KMP_INHERIT_FP_CONTROL), but not
 * elsewhere. There the workers of a thread that calls kernels are told once, and keep the mode: the
 * wheels bring a library of their own. */
static inline void flush_on_workers(int threads)
{
    static __thread int told = 1;
    if (threads <= told)
        return;
    told = threads;
#pragma omp parallel num_threads(threads)
    flush_denormals();
}
#else
static inline void flush_on_workers(int threads) { (void)threads; }
#endif
#endif
