/* Memory that begins on a cache line, from the operating system and back to it. */
#ifndef CNN_CORE_ALIGNED_MEMORY_H
#define CNN_CORE_ALIGNED_MEMORY_H

#include <stdlib.h>

/* line_malloc returns NULL when there is no memory left. */
#if defined(_WIN32)
#include <malloc.h>
static inline void *line_malloc(size_t bytes) { return _aligned_malloc(bytes ? bytes : 1, 64); }
static inline void line_free(void *memory) { _aligned_free(memory); }
#else
#if defined(__linux__)
#include <sys/mman.h>
#endif
static inline void *line_malloc(size_t bytes)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const size_t huge = (size_t)1 << 21; /* a large page: fewer of them are fewer look-ups */
    if (bytes >= 2 * huge) {
        void *memory = aligned_alloc(huge, (bytes + 64) / 64 * 64);
        if (memory != NULL)
            (void)madvise(memory, bytes / huge * huge, MADV_HUGEPAGE);
        return memory;
    }
#endif
    return aligned_alloc(64, (bytes + 64) / 64 * 64);
}
static inline void line_free(void *memory) { free(memory); }
#endif

#endif
