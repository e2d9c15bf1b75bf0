/* What the exponential, the logarithm and the normal distribution of vmath.pxd are made of: rounding,
 * powers of 2, and the coefficients of their polynomials.
 */
#ifndef CNN_CORE_VMATH_H
#define CNN_CORE_VMATH_H

#include "simd.h"

/* a without the lower half of its digits: the square of the rest is exact. */
#define vhigh_half(v, a) FROM_BITS(v, BITS(a) & ~(BIT(v))(sizeof((v)[0]) == 4 ? 0xfff : 0x7ffffff))

/* Adding 1.5 2^m, m the bits of a mantissa, leaves a whole number in the last bits: subtracting it
 * again rounds; a shift puts the number into the exponent. */
#define IS_FLOAT(v) (sizeof((v)[0]) == 4)
#define SHIFTER(v) ((ELEMENT(v))(IS_FLOAT(v) ? 0x1.8p23 : 0x1.8p52))
#define BIAS(v) ((BIT(v))(IS_FLOAT(v) ? 127 : 1023)) /* added before the shift: no overflow */
#define vround(v, a) ((v) = ((a) + SHIFTER(v)) - SHIFTER(v))
#define vpower_of_2(v, n) FROM_BITS(v, (BITS((n) + SHIFTER(v)) + BIAS(v)) << (IS_FLOAT(v) ? 23 : 52))

/* a times 2^n for whole n. Rounded once, where the result is less than normal: half of n first, so
 * that neither power is beyond the exponents. */
#if defined(__AVX512F__)
static inline vecf scale_f(vecf a, vecf n) { return (vecf)_mm512_scalef_ps((__m512)a, (__m512)n); }
static inline vecd scale_d(vecd a, vecd n) { return (vecd)_mm512_scalef_pd((__m512d)a, (__m512d)n); }
#define vscale(v, a, n) ((v) = _Generic((v)[0], float: scale_f, double: scale_d)(a, n))
#else
#define vscale(v, a, n)                        \
    do {                                       \
        __typeof__(v) half_, first_, second_;  \
        vround(half_, (n) * (ELEMENT(v))0.5);     \
        vpower_of_2(first_, half_);            \
        vpower_of_2(second_, (n) - half_);     \
        (v) = (a) * first_ * second_;          \
    } while (0)
#endif

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

/* (log(1 + z) / t - 1) / t^2 as a polynomial in t^2, t = 2 z / (2 + z), for 0 <= z <= 1: log(1 + z)
 * is 2 atanh(t / 2). By Remez's algorithm for the least relative error of the logarithm, 2^-33.1
 * and 2^-59.4. */
static const float LOG_FLOAT[5] = {
    0.333333377502f / 4, 0.199994441776f / 16, 0.143082983632f / 64, 0.107153701369f / 256,
    0.121447814052f / 1024,
};
static const double LOG_DOUBLE[10] = {
    0.33333333333333154851 / 4, 0.2000000000007755909 / 16, 0.14285714274058825374 / 64,
    0.11111111976835807305 / 256, 0.090908722390506872967 / 1024, 0.076932742074997140682 / 4096,
    0.066505605337211729629 / 16384, 0.060524737498567317377 / 65536,
    0.041724798320535291946 / 262144, 0.085048896727138706648 / 1048576,
};

/* (sin(r) - r) / r^3 and (cos(r) - 1 + r^2 / 2) / r^4 as polynomials in r^2, for abs(r) <= pi / 4, from
 * Sun's fdlibm (k_sin.c, k_cos.c), which errs by less than 2^-58 there. */
static const double SINE_DOUBLE[6] = {
    -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04,
    2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10,
};
static const double COSINE_DOUBLE[6] = {
    4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05,
    -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11,
};

/* The probability that a standard normal number exceeds a, times exp(a^2 / 2), as a fraction of
 * polynomials in a from a^0 on, for 0 <= a <= 14.5 in float and 39 in double: by Remez's algorithm
 * for the least relative error, 2^-27.0 and 2^-58.4. All coefficients are positive, so no digits
 * cancel. */
static const float NORMAL_OVER_FLOAT[5] = {
    0.50000000202f, 0.437593700794f, 0.182670227564f, 0.0404296057692f, 0.0040823585248f,
};
static const float NORMAL_UNDER_FLOAT[6] = {
    1.0f, 1.67307228103f, 1.20025508179f, 0.467968046067f, 0.101348491674f, 0.0102328349647f,
};
static const double NORMAL_OVER_DOUBLE[11] = {
    0.50000000000000000052, 0.83321557322078727515, 0.6878640838778654941, 0.36371268821335453363,
    0.13516701834454041562, 0.03672855109802371071, 0.0073811765281415174339,
    0.0010847832772696478075, 0.00011202622179978569912, 7.3946653128614892286e-6,
    2.3996809901616347402e-7,
};
static const double NORMAL_UNDER_DOUBLE[12] = {
    1.0, 2.4643157072444401503, 2.8419676235100544171, 2.0287911321725295907,
    0.99850449830533686224, 0.35675972955289368771, 0.094746901943620518223,
    0.018781470853297675061, 0.0027376841119227996197, 0.00028140960588376284492,
    0.000018535677154666051244, 6.0151082200331084976e-7,
};

#endif
