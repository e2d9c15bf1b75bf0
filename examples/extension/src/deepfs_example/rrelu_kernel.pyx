"""Leaky ReLU with a random slope for each negative number, and its gradient.

The word of entry i is word i of (seed, stream, call), see `cnn_core.random`: the backward pass
draws the same words again instead of keeping the slopes, on any number of threads.
"""
from libc.stdint cimport uint32_t, uint64_t

from cnn_core.random cimport BLOCKS, philox_blocks
from cnn_core.threads cimport parallel
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    WORDS = 4 * BLOCKS      # that one call draws; threads do not share them

cdef struct Pass:           # what threads are told
    const void* x
    const void* given       # x, or dy of a backward pass
    void* out
    dim n
    bint single             # precision: float, or double
    double low, width       # of the range of slopes
    uint64_t seed
    uint32_t stream, call


cdef void scale_numbers(
    const real* x, const real* given, real* out, dim first, dim n, const Pass* p,
) noexcept nogil:
    """out = given where x > 0, else slope given."""
    cdef uint32_t words[WORDS]
    cdef dim i = first, k
    cdef real slope
    while i < first + n:
        philox_blocks(p.seed, i // 4, p.stream, p.call, words)
        for k in range(i, least(i + WORDS, first + n)):
            slope = <real> (p.low + p.width * (words[k - i] * (1 / 4294967296.0)))
            out[k] = given[k] if x[k] > 0 else slope * given[k]
        i += WORDS


cdef void scale_blocks(void* context, dim start, dim stop) noexcept nogil:
    cdef Pass* p = <Pass*> context
    cdef dim first = start * WORDS, n = least(stop * WORDS, p.n) - first
    if p.single:
        scale_numbers[float](<const float*> p.x, <const float*> p.given, <float*> p.out,
                             first, n, p)
    else:
        scale_numbers[double](<const double*> p.x, <const double*> p.given, <double*> p.out,
                              first, n, p)


def scale(
    const real[::1] x,      # in   (n,)
    const real[::1] given,  # in   (n,), x to write y, or dy to write dx
    real[::1] out,          # out  (n,)
    double low, double high,
    uint64_t seed, uint32_t stream, uint32_t call,
):
    """Write ``given`` where x > 0, elsewhere times a slope in [low, high), to ``out``."""
    cdef Pass p
    if given.shape[0] != x.shape[0] or out.shape[0] != x.shape[0]:
        raise ValueError("x, given and out must have one length")
    if x.shape[0] == 0:
        return
    p.x, p.given, p.out, p.n, p.single = &x[0], &given[0], &out[0], x.shape[0], real is float
    p.low, p.width, p.seed, p.stream, p.call = low, high - low, seed, stream, call
    with nogil:             # about a nanosecond for each number
        parallel(scale_blocks, &p, blocks_of(p.n, WORDS), <double> p.n)
