"""The gradient of a bias: sums over the rows of a matrix.

(The three products of a dense layer are calls of `gemm`.) The rows are cut into runs whose length
depends on their number alone. A run is summed SHORT rows at a time in the array's own precision,
those sums in double, and the runs are added in order: exact to the last bits of a float32, and
the same for any number of threads.
"""
from cython.parallel cimport prange
from libc.stdlib cimport calloc, free

from cnn_core.threads cimport threads_for
from cnn_core.types cimport dim, least, real

cdef enum:
    SHORT = 64          # rows added in the array's own precision
    RUNS = 16           # most runs a matrix is cut into
    STRIP = 64          # columns summed at a time: their sums stay in the first-level cache


cdef dim run_of_rows(dim rows) noexcept nogil:
    """Return the length of a run: a multiple of SHORT."""
    return max(1, (rows + RUNS * SHORT - 1) // (RUNS * SHORT)) * SHORT


cdef void sum_run(const real* x, dim rows, dim c, double* total) noexcept nogil:
    """total[k] += sum over rows of x[., k]."""
    cdef real part[STRIP]
    cdef dim first = 0, start, i, k, columns
    while first < c:
        columns = least(STRIP, c - first)
        start = 0
        while start < rows:
            for k in range(columns):
                part[k] = 0
            for i in range(start, least(start + SHORT, rows)):
                for k in range(columns):
                    part[k] += x[i * c + first + k]
            for k in range(columns):
                total[first + k] += part[k]
            start += SHORT
        first += columns


def add_column_sums(
    const real[:, ::1] x,       # in   (rows, c)
    real[::1] total,            # out  (c,), added to
):
    """Add the sum over the rows of ``x`` to ``total``."""
    cdef dim rows = x.shape[0], c = x.shape[1], run = run_of_rows(rows), runs, r, k
    cdef double s
    cdef double* partial
    if total.shape[0] != c:
        raise ValueError("x and total do not belong to one sum")
    if rows == 0 or c == 0:
        return
    runs = (rows + run - 1) // run
    partial = <double*> calloc(runs * c, sizeof(double))
    if partial == NULL:
        raise MemoryError("no memory for partial sums")
    for r in prange(runs, nogil=True, schedule="static",
                    num_threads=threads_for(<double> rows * c * sizeof(real) / 20)):
        sum_run(&x[r * run, 0], least(run, rows - r * run), c, partial + r * c)
    for k in range(c):
        s = 0
        for r in range(runs):
            s += partial[r * c + k]
        total[k] += <real> s
    free(partial)
