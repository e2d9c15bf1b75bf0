# compiled once: it is as fast as memory
"""Sums over the rows of a matrix: the gradient of a bias, or of any number that rows share.

The rows are cut into runs whose length depends on their number alone. A run is summed SHORT_ROWS
rows at a time in the array's own precision, those sums in double, and the runs are added in order:
exact to the last bits of a float32, and the same for any number of threads.

`batch_norm` and `group_norm` follow the same rule in loops of their own, which subtract a mean,
square or multiply on the way; here reading memory takes all the time.

    rows, c   rows, columns
"""
from cython.parallel cimport prange
from libc.string cimport memset

from cnn_core.memory cimport Buffer
from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    CHUNK_COLUMNS = 64      # columns summed at a time: their sums stay in the first-level cache


cdef void sum_run(const real* x, dim rows, dim c, double* total) noexcept nogil:
    """total[k] += sum over rows of x[., k]."""
    cdef real part[CHUNK_COLUMNS]
    cdef dim first = 0, start, i, k, columns
    while first < c:
        columns = least(CHUNK_COLUMNS, c - first)
        start = 0
        while start < rows:
            for k in range(columns):
                part[k] = 0
            for i in range(start, least(start + SHORT_ROWS, rows)):
                for k in range(columns):
                    part[k] += x[i * c + first + k]
            for k in range(columns):
                total[first + k] += part[k]
            start += SHORT_ROWS
        first += columns


cdef int add_sums(const real* x, dim rows, dim c, real* total) except -1:
    """Do the work of `add_column_sums`; nothing may be empty."""
    cdef dim run = run_of_rows(rows), runs = blocks_of(rows, run), r, k
    cdef Buffer workspace = Buffer(runs * c * sizeof(double))
    cdef double* partial = <double*> workspace.memory       # (runs, c)
    cdef double s
    memset(partial, 0, runs * c * sizeof(double))
    for r in prange(runs, nogil=True, schedule="static",
                    num_threads=threads_for(<double> rows * c * sizeof(real) / 20)):
        sum_run(x + r * run * c, least(run, rows - r * run), c, partial + r * c)
    for k in range(c):
        s = 0
        for r in range(runs):
            s += partial[r * c + k]
        total[k] += <real> s
    return 0


def add_column_sums(
    const real[:, ::1] x,       # in   (rows, c)
    real[::1] total,            # out  (c,), added to
):
    """Add the sum over the rows of ``x`` to ``total``."""
    cdef FloatMode _mode = flush_denormals()
    if total.shape[0] != x.shape[1]:
        raise ValueError("x and total do not belong to one sum")
    if x.shape[0] > 0 and x.shape[1] > 0:
        add_sums(&x[0, 0], x.shape[0], x.shape[1], &total[0])
