# compiled once: it is as fast as memory
"""The sum of two arrays, where two ways through a network meet.

All arrays are flat and of one length. Threads share out tasks.
"""
from cython.parallel cimport prange

from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    ADD_TASK = 8192     # entries that a thread takes at a time


cdef void add_entries(
    const real* a, const real* b, const real* drelu, bint relu, real* y, dim n,
) noexcept nogil:
    """y = a + b, 0 where negative (relu), or where drelu <= 0 or NaN."""
    cdef dim i
    cdef real s
    if drelu != NULL:
        for i in range(n):
            s = a[i] + b[i]
            y[i] = s if drelu[i] > 0 else 0
    elif relu:
        for i in range(n):
            s = a[i] + b[i]
            y[i] = 0 if s < 0 else s
    else:
        for i in range(n):
            y[i] = a[i] + b[i]


cdef void add_all(
    const real* a, const real* b, const real* drelu, bint relu, real* y, dim n,
) noexcept nogil:
    """Do the work of `add`; drelu may be NULL."""
    cdef dim t, first
    for t in prange(blocks_of(n, ADD_TASK), schedule="static",
                    num_threads=threads_for(<double> n * sizeof(real) / 8)):
        first = t * ADD_TASK
        add_entries(a + first, b + first, NULL if drelu == NULL else drelu + first, relu,
                    y + first, least(ADD_TASK, n - first))


def add(
    const real[::1] a, const real[::1] b,   # in   (n,)
    real[::1] y,                            # out  (n,)
    bint relu=False,                        # turn negative sums into 0
    const real[::1] drelu=None,             # in   (n,), y = 0 where drelu <= 0 or NaN
):
    """Write the sum of ``a`` and ``b`` to ``y``."""
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = a.shape[0]
    if b.shape[0] != n or y.shape[0] != n or (drelu is not None and (relu or drelu.shape[0] != n)):
        raise ValueError("a, b, drelu and y do not belong to one sum")
    if n > 0:
        with nogil:
            add_all(&a[0], &b[0], NULL if drelu is None else &drelu[0], relu, &y[0], n)
