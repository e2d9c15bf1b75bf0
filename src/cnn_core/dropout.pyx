"""Dropout: each entry is kept, and scaled, or set to zero by its own random word.

The word of entry i is word i of (seed, stream, call), see `random`: the backward pass draws the
same words again instead of keeping a mask. Srivastava et al. (2014, JMLR 15).
"""
from cython.parallel cimport prange
from libc.stdint cimport uint32_t, uint64_t

from cnn_core.random cimport BLOCKS, philox_blocks
from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    DROPOUT_TASK = 4096     # entries that a thread takes at a time


cdef void drop_entries(
    const real* x, real* y, dim first, dim n,       # entries from ``first`` on, a multiple of 4
    uint32_t limit, real scale, uint64_t seed, uint32_t stream, uint32_t call,
) noexcept nogil:
    """y = x scale where the word of an entry is at least the limit, else 0."""
    cdef uint32_t words[4 * BLOCKS]
    cdef dim i = 0, k, m
    cdef real kept
    while i < n:
        philox_blocks(seed, (first + i) // 4, stream, call, words)
        m = least(4 * BLOCKS, n - i)
        for k in range(m):
            kept = x[i + k] * scale
            y[i + k] = kept if words[k] >= limit else 0
        i += m


def drop(
    const real[::1] x,      # in   (n,), an input or a gradient
    real[::1] y,            # out  (n,)
    double p,               # probability of zero, in [0, 1]
    double scale,           # factor of what is kept
    uint64_t seed, uint32_t stream, uint32_t call,
):
    """Write ``x * scale`` with probability 1 - p, else 0, to ``y``: forward and backward alike."""
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = x.shape[0], first, t
    cdef uint64_t limit         # an entry whose word is below it is dropped
    if y.shape[0] != n:
        raise ValueError("x and y must have one length")
    if not 0 <= p <= 1:
        raise ValueError("p must be a probability")
    limit = <uint64_t> (p * 4294967296.0 + 0.5)
    if limit > 0xffffffff:
        y[:] = 0
        return
    for t in prange(blocks_of(n, DROPOUT_TASK), nogil=True, schedule="static",
                    num_threads=threads_for(<double> n / 2)):
        first = t * DROPOUT_TASK
        drop_entries(&x[first], &y[first], first, least(DROPOUT_TASK, n - first),
                     <uint32_t> limit, <real> scale, seed, stream, call)
