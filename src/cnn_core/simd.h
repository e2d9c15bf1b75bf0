/* The vector types every kernel shares: as wide as the level that is being compiled allows.
 *
 * They are GCC/Clang vector extensions: `a * b + c` works on them as it stands, and the compiler
 * makes one fused multiply-add of it. `aligned(element)` permits unaligned loads, `may_alias`
 * permits reading plain arrays through them. Cython sees them through simd.pxd.
 */
#ifndef CNN_CORE_SIMD_H
#define CNN_CORE_SIMD_H

#include <stddef.h>
#include <stdlib.h>

#if defined(__AVX512F__)
#define VBYTES 64
#define TILE_ROWS 14 /* 28 of 32 registers hold a 14 x 2 tile, 2 hold the row of b */
#elif defined(__AVX__)
#define VBYTES 32
#define TILE_ROWS 6 /* 12 of 16 registers hold a 6 x 2 tile */
#elif defined(__aarch64__)
#define VBYTES 16
#define TILE_ROWS 14
#else
#define VBYTES 16
#define TILE_ROWS 6
#endif

typedef float vecf __attribute__((vector_size(VBYTES), aligned(4), may_alias));
typedef double vecd __attribute__((vector_size(VBYTES), aligned(8), may_alias));

static inline vecf vecf_fill(float a) { return a - (vecf){0}; }
static inline vecd vecd_fill(double a) { return a - (vecd){0}; }

#define vload(v, p) ((v) = *(const __typeof__(v) *)(p))
#define vstore(p, v) (*(__typeof__(v) *)(p) = (v))
#define vfill(v, a) ((v) = _Generic((v), vecf: vecf_fill, vecd: vecd_fill)(a))

/* `cdef inline` means it here: a register tile is one function whose literal arguments (its height
 * and width) unroll the loops, and only inlining makes them literals. Left to itself GCC 12 made a
 * shared copy with variable bounds instead, at 0.8 times the speed. */
#undef CYTHON_INLINE
#define CYTHON_INLINE __inline__ __attribute__((always_inline))

/* Memory on a cache line; NULL when there is none left. */
#if defined(_WIN32)
#include <malloc.h>
static inline void *line_malloc(size_t bytes) { return _aligned_malloc(bytes ? bytes : 1, 64); }
static inline void line_free(void *memory) { _aligned_free(memory); }
#else
static inline void *line_malloc(size_t bytes) { return aligned_alloc(64, (bytes + 64) / 64 * 64); }
static inline void line_free(void *memory) { free(memory); }
#endif

#endif
