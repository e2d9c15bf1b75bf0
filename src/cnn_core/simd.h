/* The vector types every kernel shares: as wide as the level that is being compiled allows.
 *
 * They are GCC/Clang vector extensions: `a * b + c` works on them as it stands, and the compiler
 * makes one fused multiply-add of it. `aligned(element)` permits unaligned loads, `may_alias`
 * permits reading plain arrays through them. Cython sees them through simd.pxd.
 */
#ifndef CNN_CORE_SIMD_H
#define CNN_CORE_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define VBYTES 64
#elif defined(__AVX__)
#define VBYTES 32
#else
#define VBYTES 16
#endif

/* Rows of a register tile of a matrix product. Of 32 registers 28 hold a 14 x 2 tile and 2 the row
 * of b; of 16 registers 12 hold a 6 x 2 tile. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define GEMM_MR 14
#else
#define GEMM_MR 6
#endif

/* Text in each compiled module, by which `deepfs bench-layer` finds one with narrow vectors. */
#define VBYTES_AS_TEXT(number) #number
#define VBYTES_TEXT(number) "cnn_core vectors of " VBYTES_AS_TEXT(number) " bytes"
static const char vbytes_text[] __attribute__((used)) = VBYTES_TEXT(VBYTES);

typedef float vecf __attribute__((vector_size(VBYTES), aligned(4), may_alias));
typedef double vecd __attribute__((vector_size(VBYTES), aligned(8), may_alias));

/* A short vector, for the last columns of a matrix. */
typedef float shortf __attribute__((vector_size(16), aligned(4), may_alias));

/* As shortf, for two numbers of double precision, and for one number, where channels are few. */
typedef double shortd __attribute__((vector_size(16), aligned(8), may_alias));
typedef float onef __attribute__((vector_size(4), aligned(4), may_alias));
typedef double oned __attribute__((vector_size(8), aligned(8), may_alias));

#define vload(v, p) ((v) = *(const __typeof__(v) *)(p))
#define vprefetch(p) __builtin_prefetch(p)
#define vprefetch_l2(p) __builtin_prefetch(p, 0, 2)
#define vstore(p, v) (*(__typeof__(v) *)(p) = (v))
#define vfill(v, a) ((v) = (__typeof__((v)[0]))(a) - (__typeof__(v)){0})

/* A vector of zeros that is read from memory where it stands. The compiler would keep a constant in
 * a register throughout the loop around a register tile, and spill a part of the tile for it. */
static const volatile char vzeros[VBYTES] __attribute__((aligned(VBYTES)));
#define vzero(v) ((v) = *(const volatile __typeof__(v) *)vzeros)

/* Entry i of a table of offsets. There are too few address registers for those of 14 rows: read
 * again and again from memory they cost less than moved to and from vector registers. */
#if defined(__AVX512F__)
#define offset(table, i) (((const volatile ptrdiff_t *)(table))[i])
#else
#define offset(table, i) ((table)[i])
#endif

/* ReLU, where NaN stays NaN, as in `x < 0 ? 0 : x`; and its gradient v, kept where w > 0.
 * Comparisons give 0 or all bits per element. */
#define VBITS(v) __typeof__((v) < (v))
#define vrelu(v, zero) ((v) = (__typeof__(v))((VBITS(v))(v) & ~((v) < (zero))))
#define vdrelu(v, w, zero) ((v) = (__typeof__(v))((VBITS(v))(v) & ((w) > (zero))))

/* The first `words` words of 4 bytes of a vector, from none to all; loading fills up with zeros.
 * One masked instruction each; in level v2 a branch for each number of words. */
#if defined(__AVX512F__)
static inline void load_first(void *v, size_t size, const void *from, size_t words)
{
    if (size == 64)
        *(vecf *)v = _mm512_maskz_loadu_ps((__mmask16)((1u << words) - 1), from);
    else
        *(shortf *)v = _mm_maskz_loadu_ps((__mmask8)((1u << words) - 1), from);
}
static inline void store_first(void *to, const void *v, size_t size, size_t words)
{
    if (size == 64)
        _mm512_mask_storeu_ps(to, (__mmask16)((1u << words) - 1), *(const vecf *)v);
    else
        _mm_mask_storeu_ps(to, (__mmask8)((1u << words) - 1), *(const shortf *)v);
}
#elif defined(__AVX__)
static const int word_masks[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
static inline void load_first(void *v, size_t size, const void *from, size_t words)
{
    __m256i mask = _mm256_loadu_si256((const __m256i *)(word_masks + 8 - words));
    if (size == 32)
        *(vecf *)v = _mm256_maskload_ps(from, mask);
    else
        *(shortf *)v = _mm_maskload_ps(from, _mm256_castsi256_si128(mask));
}
static inline void store_first(void *to, const void *v, size_t size, size_t words)
{
    __m256i mask = _mm256_loadu_si256((const __m256i *)(word_masks + 8 - words));
    if (size == 32)
        _mm256_maskstore_ps(to, mask, *(const vecf *)v);
    else
        _mm_maskstore_ps(to, _mm256_castsi256_si128(mask), *(const shortf *)v);
}
#elif defined(__SSE2__)
static inline void load_first(void *v, size_t size, const void *from, size_t words)
{
    const float *p = (const float *)from;
    __m128 all = _mm_setzero_ps();
    (void)size;
    if (words == 4)
        all = _mm_loadu_ps(p);
    else if (words == 1)
        all = _mm_load_ss(p);
    else if (words > 1)
        all = _mm_loadl_pi(all, (const __m64 *)from);
    if (words == 3)
        all = _mm_movelh_ps(all, _mm_load_ss(p + 2));
    *(shortf *)v = all;
}
static inline void store_first(void *to, const void *v, size_t size, size_t words)
{
    float *p = (float *)to;
    const __m128 all = *(const shortf *)v;
    (void)size;
    if (words == 4)
        _mm_storeu_ps(p, all);
    else if (words == 1)
        _mm_store_ss(p, all);
    else if (words > 1)
        _mm_storel_pi((__m64 *)to, all);
    if (words == 3)
        _mm_store_ss(p + 2, _mm_movehl_ps(all, all));
}
#else
static inline void load_first(void *v, size_t size, const void *from, size_t words)
{
    memset(v, 0, size);
    memcpy(v, from, words * 4);
}
static inline void store_first(void *to, const void *v, size_t size, size_t words)
{
    (void)size;
    memcpy(to, v, words * 4);
}
#endif

/* The first n elements of a vector, 0 <= n <= its length. Loading fills up with zeros, storing
 * leaves what follows in memory untouched. vload_tail takes a larger n as well. */
#define vload_first(v, p, n) load_first(&(v), sizeof(v), p, (n) * sizeof((v)[0]) / 4)
#define vstore_first(p, v, n) store_first(p, &(v), sizeof(v), (n) * sizeof((v)[0]) / 4)

/* As vload_first and vstore_first, but n may be larger: with n elements left in an array, the whole
 * vector or its first n. A branch for each vector saves the mask of all but the last. */
#define HAS_MORE(v, n) ((ptrdiff_t)(sizeof(v) / sizeof((v)[0])) > (n))
#define vload_tail(v, p, n)            \
    do {                               \
        if (HAS_MORE(v, n))            \
            vload_first(v, p, n);       \
        else                           \
            vload(v, p);               \
    } while (0)
#define vstore_tail(p, v, n)           \
    do {                               \
        if (HAS_MORE(v, n))            \
            vstore_first(p, v, n);      \
        else                           \
            vstore(p, v);              \
    } while (0)

/* Whole numbers of 64 bits, what Philox multiplies: the product of two low halves. */
typedef uint64_t vecu __attribute__((vector_size(VBYTES), aligned(8), may_alias));
#if defined(__AVX512F__)
#define vmultiply_low(v, a, b) ((v) = (vecu)_mm512_mul_epu32((__m512i)(a), (__m512i)(b)))
#elif defined(__AVX2__)
#define vmultiply_low(v, a, b) ((v) = (vecu)_mm256_mul_epu32((__m256i)(a), (__m256i)(b)))
#elif defined(__SSE2__) && VBYTES == 16
#define vmultiply_low(v, a, b) ((v) = (vecu)_mm_mul_epu32((__m128i)(a), (__m128i)(b)))
#else
#define vmultiply_low(v, a, b) ((v) = ((a) & 0xffffffff) * ((b) & 0xffffffff))
#endif
#define vfill_u(v, i) ((v) = (vecu){0} + (uint64_t)(i))
#define vjoin_low(v, a, b) ((v) = ((a) & 0xffffffff) | ((b) << 32))
#define vbits(n, v) ((n) = (vecu)(v))      /* doubles as bits, and back */
#define vfrom_bits(v, n) ((v) = (vecd)(n))

/* Comparisons give a mask: all bits of an element set, or none. Masks, and whole numbers as patterns
 * of bits, travel in variables of the floating type: code fused over it needs no other type then. */
#define ELEMENT(v) __typeof__((v)[0])
#define BIT(v) __typeof__(_Generic((v)[0], float: (int32_t)0, double: (int64_t)0))
#define BITS(v) ((BIT(v) __attribute__((vector_size(sizeof(v)))))(v))
#define FROM_BITS(v, bits) ((v) = (__typeof__(v))(bits))

#define vadd(v, a, b) ((v) = (a) + (b))
#define vmultiply(v, a, b) ((v) = (a) * (b))
#define vgreater(mask, a, b) FROM_BITS(mask, (a) > (b))
#define vat_least(mask, a, b) FROM_BITS(mask, (a) >= (b))
#define vunordered(mask, a) FROM_BITS(mask, (a) != (a))
#define vselect(v, mask, a, b) FROM_BITS(v, (BITS(mask) & BITS(a)) | (~BITS(mask) & BITS(b)))

#define vfill_bits(v, i) FROM_BITS(v, BITS((__typeof__(v)){0}) + (BIT(v))(i))
#define vequal_bits(mask, a, b) FROM_BITS(mask, BITS(a) == BITS(b))
#define vand_bits(v, a, b) FROM_BITS(v, BITS(a) & BITS(b))
#define vor_bits(v, a, b) FROM_BITS(v, BITS(a) | BITS(b))

/* What was written through a pointer is in memory: the compiler makes no multiply-add of a product
 * that was rounded there. */
#define written(p) __asm__ volatile("" : : "r"(p) : "memory")

/* In the body of a short loop: the compiler leaves it as it stands, and makes no vectors of it and no
 * copies for special cases, which are code of several times the size. */
#define as_written() __asm__ volatile("")

/* Square roots, exact to the last bit as the standard asks. */
#if defined(__AVX512F__)
#define ROOT_FLOAT(a) _mm512_sqrt_ps(a)
#define ROOT_DOUBLE(a) _mm512_sqrt_pd(a)
#elif defined(__AVX__)
#define ROOT_FLOAT(a) _mm256_sqrt_ps(a)
#define ROOT_DOUBLE(a) _mm256_sqrt_pd(a)
#elif defined(__SSE2__)
#define ROOT_FLOAT(a) _mm_sqrt_ps(a)
#define ROOT_DOUBLE(a) _mm_sqrt_pd(a)
#elif defined(__aarch64__)
#define ROOT_FLOAT(a) vsqrtq_f32(a)
#define ROOT_DOUBLE(a) vsqrtq_f64(a)
#else /* WebAssembly: Clang makes one instruction of it */
#define ROOT_FLOAT(a) ((vecf){ROOT(a, 0), ROOT(a, 1), ROOT(a, 2), ROOT(a, 3)})
#define ROOT_DOUBLE(a) ((vecd){ROOT(a, 0), ROOT(a, 1)})
#define ROOT(a, i) _Generic((a)[i], float: __builtin_sqrtf, double: __builtin_sqrt)((a)[i])
#endif
static inline vecf root_f(vecf a) { return (vecf)ROOT_FLOAT(a); }
static inline vecd root_d(vecd a) { return (vecd)ROOT_DOUBLE(a); }
#define vsqrt(v, a) ((v) = _Generic((v)[0], float: root_f, double: root_d)(a))

/* to[p, j] = from[j, p] for four times four numbers. */
static inline void transpose_f(float *to, ptrdiff_t to_step, const float *from, ptrdiff_t from_step)
{
    shortf a, b, c, d, ac, bd, AC, BD;
    vload(a, from);
    vload(b, from + from_step);
    vload(c, from + 2 * from_step);
    vload(d, from + 3 * from_step);
    ac = __builtin_shufflevector(a, c, 0, 4, 1, 5);
    bd = __builtin_shufflevector(b, d, 0, 4, 1, 5);
    AC = __builtin_shufflevector(a, c, 2, 6, 3, 7);
    BD = __builtin_shufflevector(b, d, 2, 6, 3, 7);
    a = __builtin_shufflevector(ac, bd, 0, 4, 1, 5);
    b = __builtin_shufflevector(ac, bd, 2, 6, 3, 7);
    c = __builtin_shufflevector(AC, BD, 0, 4, 1, 5);
    d = __builtin_shufflevector(AC, BD, 2, 6, 3, 7);
    vstore(to, a);
    vstore(to + to_step, b);
    vstore(to + 2 * to_step, c);
    vstore(to + 3 * to_step, d);
}
static inline void transpose_d(double *to, ptrdiff_t to_step, const double *from, ptrdiff_t from_step)
{
    for (int p = 0; p < 4; p++)
        for (int j = 0; j < 4; j++)
            to[p * to_step + j] = from[j * from_step + p];
}
#define transpose_4x4(to, to_step, from, from_step) \
    _Generic((to), float *: transpose_f, double *: transpose_d)(to, to_step, from, from_step)

#endif
