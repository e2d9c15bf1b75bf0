"""Dropout: each entry is kept, and scaled, or set to zero by its own random word.

The word of entry i is word i of (seed, stream, call), see `random`: the backward pass draws the
same words again instead of keeping a mask. Srivastava et al. (2014, JMLR 15).
"""
from cython.parallel cimport prange
from libc.stdint cimport uint32_t, uint64_t

from cnn_core.random cimport philox_block
from cnn_core.threads cimport threads_for
from cnn_core.types cimport dim, least, real

cdef enum:
    BLOCK = 1024        # entries per unit of work


cdef void drop_block(
    const real* x, real* y, dim first, dim n, uint64_t limit, real scale,
    uint64_t seed, uint32_t stream, uint32_t call,
) noexcept nogil:
    cdef uint32_t words[4]
    cdef dim i = 0, k
    while i < n:
        philox_block(seed, (first + i) // 4, stream, call, words)
        for k in range(least(4, n - i)):
            y[i + k] = x[i + k] * scale if words[k] >= limit else 0
        i += 4


def drop(
    const real[::1] x,      # in   (n,), an input or a gradient
    real[::1] y,            # out  (n,)
    double p,               # probability of zero, in [0, 1]
    double scale,           # factor of what is kept
    uint64_t seed, uint32_t stream, uint32_t call,
):
    """Write ``x * scale`` with probability 1 - p, else 0, to ``y``: forward and backward alike."""
    cdef dim n = x.shape[0], b
    cdef uint64_t limit
    if y.shape[0] != n:
        raise ValueError("x and y must have one length")
    if not 0 <= p <= 1:
        raise ValueError("p must be a probability")
    limit = <uint64_t> (p * 4294967296.0 + 0.5)
    for b in prange((n + BLOCK - 1) // BLOCK, nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * 3)):
        drop_block(&x[b * BLOCK], &y[b * BLOCK], b * BLOCK, least(BLOCK, n - b * BLOCK),
                   limit, <real> scale, seed, stream, call)
