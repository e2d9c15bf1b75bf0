/* What the vectors of simd.h do besides adding and multiplying: compare, choose, work on bits, and
 * take powers of 2. Cython sees it through vmath.pxd.
 *
 * A comparison gives a mask: all bits of a lane set, or none. Masks, and whole numbers as patterns
 * of bits, travel in variables of the floating type: code fused over it needs no other type then.
 */
#ifndef CNN_CORE_VMATH_H
#define CNN_CORE_VMATH_H

#include <stdint.h>

#include "simd.h"

/* Whole numbers of 64 bits, what Philox multiplies: the product of two low halves. */
typedef uint64_t vecu __attribute__((vector_size(VBYTES), aligned(8), may_alias));
#if defined(__AVX512F__)
#define vmultiply_low(v, a, b) ((v) = (vecu)_mm512_mul_epu32((__m512i)(a), (__m512i)(b)))
#elif defined(__AVX2__)
#define vmultiply_low(v, a, b) ((v) = (vecu)_mm256_mul_epu32((__m256i)(a), (__m256i)(b)))
#elif defined(__SSE2__) && VBYTES == 16
#include <emmintrin.h>
#define vmultiply_low(v, a, b) ((v) = (vecu)_mm_mul_epu32((__m128i)(a), (__m128i)(b)))
#else
#define vmultiply_low(v, a, b) ((v) = ((a) & 0xffffffff) * ((b) & 0xffffffff))
#endif
#define vfill_u(v, i) ((v) = (vecu){0} + (uint64_t)(i))
#define vjoin_low(v, a, b) ((v) = ((a) & 0xffffffff) | ((b) << 32))

/* As shortf, for two numbers of double precision, and for one number, where channels are few. */
typedef double shortd __attribute__((vector_size(16), aligned(8), may_alias));
typedef float onef __attribute__((vector_size(4), aligned(4), may_alias));
typedef double oned __attribute__((vector_size(8), aligned(8), may_alias));

#define LANE(v) __typeof__((v)[0])
#define BIT(v) __typeof__(_Generic((v)[0], float: (int32_t)0, double: (int64_t)0))
#define BITS(v) ((BIT(v) __attribute__((vector_size(sizeof(v)))))(v))
#define FROM_BITS(v, bits) ((v) = (__typeof__(v))(bits))

#define vadd(v, a, b) ((v) = (a) + (b))
#define vmultiply(v, a, b) ((v) = (a) * (b))
#define vgreater(mask, a, b) FROM_BITS(mask, (a) > (b))
#define vunordered(mask, a) FROM_BITS(mask, (a) != (a))
#define vselect(v, mask, a, b) FROM_BITS(v, (BITS(mask) & BITS(a)) | (~BITS(mask) & BITS(b)))

#define vfill_bits(v, i) FROM_BITS(v, BITS((__typeof__(v)){0}) + (BIT(v))(i))
#define vequal_bits(mask, a, b) FROM_BITS(mask, BITS(a) == BITS(b))
#define vand_bits(v, a, b) FROM_BITS(v, BITS(a) & BITS(b))
#define vor_bits(v, a, b) FROM_BITS(v, BITS(a) | BITS(b))

/* Square roots, exact to the last bit as the standard asks. */
#if defined(__AVX512F__)
#define ROOT_FLOAT(a) _mm512_sqrt_ps(a)
#define ROOT_DOUBLE(a) _mm512_sqrt_pd(a)
#elif defined(__AVX__)
#define ROOT_FLOAT(a) _mm256_sqrt_ps(a)
#define ROOT_DOUBLE(a) _mm256_sqrt_pd(a)
#elif defined(__SSE2__)
#include <emmintrin.h>
#define ROOT_FLOAT(a) _mm_sqrt_ps(a)
#define ROOT_DOUBLE(a) _mm_sqrt_pd(a)
#elif defined(__aarch64__)
#include <arm_neon.h>
#define ROOT_FLOAT(a) vsqrtq_f32(a)
#define ROOT_DOUBLE(a) vsqrtq_f64(a)
#endif
static inline vecf root_f(vecf a) { return (vecf)ROOT_FLOAT(a); }
static inline vecd root_d(vecd a) { return (vecd)ROOT_DOUBLE(a); }
#define vsqrt(v, a) ((v) = _Generic((v)[0], float: root_f, double: root_d)(a))

/* The first n lanes, or all if there are no more than n; loading makes the others 0. */
#define HAS_MORE(v, n) ((ptrdiff_t)(sizeof(v) / sizeof((v)[0])) > (n))
#define vload_part(v, p, n)            \
    do {                               \
        if (HAS_MORE(v, n))            \
            vload_some(v, p, n);       \
        else                           \
            vload(v, p);               \
    } while (0)
#define vstore_part(p, v, n)           \
    do {                               \
        if (HAS_MORE(v, n))            \
            vstore_some(p, v, n);      \
        else                           \
            vstore(p, v);              \
    } while (0)

/* Adding 1.5 2^m, m the bits of a mantissa, leaves a whole number in the last bits: subtracting it
 * again rounds; a shift puts the number into the exponent. */
#define IS_FLOAT(v) (sizeof((v)[0]) == 4)
#define SHIFTER(v) ((LANE(v))(IS_FLOAT(v) ? 0x1.8p23 : 0x1.8p52))
#define ONE_BITS(v) ((BIT(v))(IS_FLOAT(v) ? 0x3f800000 : 0x3ff0000000000000))
#define vround(v, a) ((v) = ((a) + SHIFTER(v)) - SHIFTER(v))
#define vpower_of_2(v, n) FROM_BITS(v, (BITS((n) + SHIFTER(v)) << (IS_FLOAT(v) ? 23 : 52)) + ONE_BITS(v))

/* (exp(r) - 1 - r) / r^2 as a polynomial, from r^0 on, for abs(r) <= ln 2 / 2: by Remez's algorithm
 * for the least relative error of exp(r) - 1, 2^-32 and 2^-61.7 before the coefficients are rounded. */
static const float EXP_FLOAT[6] = {
    0.500000004427f, 0.166666663697f, 0.0416663604309f, 0.00833338947183f, 0.00139406683188f,
    0.00019845873464f,
};
static const double EXP_DOUBLE[11] = {
    0.50000000000000000085, 0.16666666666666676547, 0.041666666666666508155,
    0.0083333333333216546159, 0.0013888888888962605443, 0.00019841269886072277775,
    2.4801587172227691604e-5, 2.7557244255410070452e-6, 2.7557402778540888088e-7,
    2.5109024030704513017e-8, 2.0875327809018581021e-9,
};

#endif
