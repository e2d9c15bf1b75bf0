/* Large buffers: parts of allocations, cut and joined, so that one size serves another.
 *
 * A network's first activations are large and its last ones small; each are needed when the others
 * are not. With a stack for each size both would lie there at once. So a large buffer is cut from
 * the smallest idle part that holds it, and joined with its idle neighbours when it returns (best
 * fit with boundary tags: Knuth, The Art of Computer Programming, vol. 1, section 2.5).
 *
 * The last bytes of a part describe it. All functions are called under the lock of
 * `idle_buffers.h`.
 */
#ifndef CNN_CORE_LARGE_BUFFERS_H
#define CNN_CORE_LARGE_BUFFERS_H

#include <stddef.h>
#include <stdint.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "aligned_memory.h"
#include "idle_buffers.h"

#if defined(__SANITIZE_ADDRESS__)
#define SMALL ((size_t)-1 / 4) /* no parts: the sanitizer would not see where one ends */
#else
#define SMALL ((size_t)57344) /* bytes: the largest size that has a stack; every part is larger */
#endif
#define DESCRIPTION 64
#define PAGE 4096 /* sizes of parts are whole pages */

typedef enum { IN_USE, IDLE, RETURNED } State; /* RETURNED: idle, its pages given back */

typedef struct Part {
    size_t size;                  /* bytes, from the start of the part to the end of this */
    struct Part *before, *after;  /* neighbours in memory, of the same allocation, or NULL */
    struct Part *next, *previous; /* in its list, unless it is in use */
    State state;
} Part;

static Part *parts[IDLE_SIZES]; /* lists by size_class */
static size_t idle_in_parts;    /* bytes, without what was returned */

static inline Part *part_of(void *memory, size_t size)
{
    return (Part *)((char *)memory + size - DESCRIPTION);
}
static inline void *memory_of(Part *part) { return (char *)part + DESCRIPTION - part->size; }
static inline int is_whole(const Part *part) { return part->before == NULL && part->after == NULL; }

static inline void list_part(Part *part, State state)
{
    Part **list = &parts[size_class(part->size)];
    part->state = state;
    part->previous = NULL;
    part->next = *list;
    if (*list != NULL)
        (*list)->previous = part;
    *list = part;
    if (state == IDLE)
        idle_in_parts += part->size;
}

static inline void unlist_part(Part *part)
{
    if (part->state == IDLE)
        idle_in_parts -= part->size;
    part->state = IN_USE;
    if (part->previous == NULL)
        parts[size_class(part->size)] = part->next;
    else
        part->previous->next = part->next;
    if (part->next != NULL)
        part->next->previous = part->previous;
}

/* Make one part of two neighbours that are in no list. */
static inline Part *join_parts(Part *lower, Part *upper)
{
    upper->size += lower->size;
    upper->before = lower->before;
    if (upper->before != NULL)
        upper->before->after = upper;
    return upper;
}

/* Return the memory of a new part from the operating system, or NULL.
 * Not malloc's, which keeps some of what it gets back. */
static inline void *new_part(size_t size)
{
    Part *part;
#if defined(__linux__)
    const size_t huge = (size_t)1 << 21, more = size >= 2 * huge ? huge : 0; /* see line_malloc */
    const int access = PROT_READ | PROT_WRITE, kind = MAP_PRIVATE | MAP_ANONYMOUS;
    char *memory = mmap(NULL, size + more, access, kind, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    if (more) {
        const size_t skipped = huge - (uintptr_t)memory % huge;
        (void)munmap(memory, skipped);
        memory += skipped;
        if (more > skipped)
            (void)munmap(memory + size, more - skipped);
#if defined(MADV_HUGEPAGE)
        (void)madvise(memory, size / huge * huge, MADV_HUGEPAGE);
#endif
    }
#else
    char *memory = line_malloc(size);
    if (memory == NULL)
        return NULL;
#endif
    part = part_of(memory, size);
    part->size = size;
    part->before = part->after = NULL;
    part->state = IN_USE;
    return memory;
}

/* Give the memory of a whole part back, which is in no list. */
static inline void end_part(void *memory, size_t size)
{
#if defined(__linux__)
    (void)munmap(memory, size);
#else
    (void)size;
    line_free(memory);
#endif
}

static inline Part *best_part(size_t size)
{
    int which;
    for (which = size_class(size); which < IDLE_SIZES; which++) {
        Part *part, *best = NULL;
        for (part = parts[which]; part != NULL; part = part->next)
            if (part->size >= size && (best == NULL || part->size < best->size))
                best = part;
        if (best != NULL)
            return best;
    }
    return NULL;
}

/* Return the memory of an idle part and write its size, or return NULL if none is large enough. */
static inline void *take_part(size_t *size)
{
    Part *part = best_part(*size);
    void *memory;
    if (part == NULL)
        return NULL;
    State state = part->state;
    unlist_part(part);
    memory = memory_of(part);
    if (part->size - *size > SMALL) { /* the rest stays idle */
        Part *taken = part_of(memory, *size);
        taken->size = *size;
        taken->state = IN_USE;
        taken->before = part->before;
        taken->after = part;
        if (taken->before != NULL)
            taken->before->after = taken;
        part->before = taken;
        part->size -= *size;
        list_part(part, state);
    } else {
        *size = part->size;
    }
    return memory;
}

/* Have a part lie idle, one with its idle neighbours. */
static inline Part *give_part(void *memory, size_t size)
{
    Part *part = part_of(memory, size);
    if (part->before != NULL && part->before->state != IN_USE) {
        unlist_part(part->before);
        join_parts(part->before, part);
    }
    if (part->after != NULL && part->after->state != IN_USE) {
        unlist_part(part->after);
        part = join_parts(part, part->after);
    }
    list_part(part, IDLE);
    return part;
}

/* Return the memory of the largest idle part that is a whole allocation, or NULL. */
static inline void *take_whole(size_t *size)
{
    int which;
    for (which = IDLE_SIZES - 1; which >= 0; which--) {
        Part *part, *best = NULL;
        for (part = parts[which]; part != NULL; part = part->next)
            if (is_whole(part) && (best == NULL || part->size > best->size))
                best = part;
        if (best != NULL) {
            *size = best->size;
            unlist_part(best);
            return memory_of(best);
        }
    }
    return NULL;
}

/* Give the pages of idle parts back whose neighbours are in use; their addresses stay. */
static inline void return_pages(void)
{
#if defined(__linux__) && defined(MADV_DONTNEED)
    int which;
    for (which = 0; which < IDLE_SIZES; which++) {
        Part *part = parts[which], *next;
        for (; part != NULL; part = next) {
            uintptr_t begin = (uintptr_t)memory_of(part), end = (uintptr_t)part;
            next = part->next;
            begin = (begin + PAGE - 1) / PAGE * PAGE;
            end = end / PAGE * PAGE;
            if (part->state != IDLE || madvise((void *)begin, end - begin, MADV_DONTNEED))
                continue;
            idle_in_parts -= part->size;
            part->state = RETURNED;
        }
    }
#endif
}

#endif
