/* A parallel region of one thread costs nothing.
 *
 * GCC's library makes a team for it all the same and ends it with a system call that wakes nobody:
 * 0.5 us, several times per kernel. GCC writes a region as a call of GOMP_parallel, which in each
 * module is this one; with more threads it does what the library's own does.
 */
#if defined(_OPENMP) && defined(__GNUC__) && !defined(__clang__) && defined(__ELF__)
#include <omp.h>

void GOMP_parallel_start(void (*body)(void *), void *data, unsigned threads);
void GOMP_parallel_end(void);

__attribute__((visibility("hidden"))) void
GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags)
{
    (void)flags;
    if (threads == 1 && omp_get_num_threads() == 1) {
        body(data);
        return;
    }
    GOMP_parallel_start(body, data, threads);
    body(data);
    GOMP_parallel_end();
}
#endif
