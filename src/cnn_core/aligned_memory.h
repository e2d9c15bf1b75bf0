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
/* Not aligned_alloc, which may refuse sizes that are no multiple of the alignment, as macOS does. */
static inline void *aligned_malloc(size_t alignment, size_t bytes)
{
    void *memory = NULL;
    if (bytes > (size_t)-1 - 64 || posix_memalign(&memory, alignment, (bytes + 64) / 64 * 64))
        return NULL;
    return memory;
}
static inline void *line_malloc(size_t bytes)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const size_t huge = (size_t)1 << 21; /* a large page: fewer of them are fewer look-ups */
    if (bytes >= 2 * huge) {
        void *memory = aligned_malloc(huge, bytes);
        if (memory != NULL)
            (void)madvise(memory, bytes / huge * huge, MADV_HUGEPAGE);
        return memory;
    }
#endif
    return aligned_malloc(64, bytes);
}
static inline void line_free(void *memory) { free(memory); }
#endif

#endif
