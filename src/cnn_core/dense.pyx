# compiled once: it is as fast as memory
"""The backward pass of a dense layer: two products, and sums over the rows of a matrix.

(Its forward pass is a call of `gemm`.) For one sample both products see each weight once, and what
takes the time is memory: they go through it together, and nothing is packed.

The rows are cut into runs whose length depends on their number alone. A run is summed SHORT rows at
a time in the array's own precision, those sums in double, and the runs are added in order: exact to
the last bits of a float32, and the same for any number of threads.
"""
from cython.parallel cimport prange
from libc.stdlib cimport calloc, free

from cnn_core.gemm cimport ADD, product
from cnn_core.threads cimport threads_for
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    SHORT = 64          # rows added in the array's own precision
    RUNS = 16           # most runs a matrix is cut into
    STRIP = 64          # columns summed at a time: their sums stay in the first-level cache
    BLOCK = 32          # rows of the weight that a thread takes at a time, for one sample
    LANES = 16          # partial sums of a product of two rows


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


cdef int add_sums(const real* x, dim rows, dim c, real* total) except -1:
    """Do the work of `add_column_sums`; nothing may be empty."""
    cdef dim run = run_of_rows(rows), runs = blocks_of(rows, run), r, k
    cdef double s
    cdef double* partial
    partial = <double*> calloc(runs * c, sizeof(double))
    if partial == NULL:
        raise MemoryError("no memory for partial sums")
    for r in prange(runs, nogil=True, schedule="static",
                    num_threads=threads_for(<double> rows * c * sizeof(real) / 20)):
        sum_run(x + r * run * c, least(run, rows - r * run), c, partial + r * c)
    for k in range(c):
        s = 0
        for r in range(runs):
            s += partial[r * c + k]
        total[k] += <real> s
    free(partial)
    return 0


def add_column_sums(
    const real[:, ::1] x,       # in   (rows, c)
    real[::1] total,            # out  (c,), added to
):
    """Add the sum over the rows of ``x`` to ``total``."""
    if total.shape[0] != x.shape[1]:
        raise ValueError("x and total do not belong to one sum")
    if x.shape[0] > 0 and x.shape[1] > 0:
        add_sums(&x[0, 0], x.shape[0], x.shape[1], &total[0])


cdef inline real dot(const real* a, const real* b, dim n) noexcept nogil:
    """Return the sum of a[j] b[j]."""
    cdef real lanes[LANES]
    cdef real total = 0
    cdef dim i, j
    for j in range(LANES):
        lanes[j] = 0
    for i in range(n // LANES):
        for j in range(LANES):
            lanes[j] = lanes[j] + a[i * LANES + j] * b[i * LANES + j]
    for j in range(n // LANES * LANES, n):
        total = total + a[j] * b[j]
    for j in range(8):
        lanes[j] = lanes[j] + lanes[j + 8]
    for j in range(4):
        lanes[j] = lanes[j] + lanes[j + 4]
    return total + ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))


cdef void backward_of_one(
    dim rows, dim units, const real* x, const real* dy,
    const real* weight, real* dweight, real* dx,        # of some rows of the weight; dx or NULL
    bint gated,
) noexcept nogil:
    """dweight += x^T dy and dx = dy weight^T for one sample."""
    cdef dim p, j
    for p in range(rows):
        for j in range(units):
            dweight[j] = dweight[j] + x[p] * dy[j]
        if dx != NULL:
            dx[p] = 0 if gated and not x[p] > 0 else dot(dy, weight, units)
        weight += units
        dweight += units


def dense_backward(
    const real[:, ::1] x,           # in   (n, k)
    const real[:, ::1] dy,          # in   (n, units)
    const real[:, ::1] weight,      # in   (k, units)
    real[:, ::1] dweight,           # out  (k, units), added to
    real[::1] dbias,                # out  (units,), added to; or None
    real[:, ::1] dx,                # out  (n, k), overwritten; or None
    bint gated=False,               # dx becomes 0 where x is not above 0
):
    """Add x^T dy to ``dweight`` and the sum of dy to ``dbias``; write dy weight^T to ``dx``."""
    cdef dim n = x.shape[0], k = x.shape[1], units = dy.shape[1], p
    cdef real* to = NULL
    if (dy.shape[0] != n or weight.shape[0] != k or weight.shape[1] != units
            or dweight.shape[0] != k or dweight.shape[1] != units
            or (dbias is not None and dbias.shape[0] != units)
            or (dx is not None and (dx.shape[0] != n or dx.shape[1] != k))):
        raise ValueError("x, dy, weight and the gradients do not belong to one dense layer")
    if min(n, k, units) == 0:
        if dx is not None:
            dx[...] = 0
        return
    if dbias is not None:
        add_sums(&dy[0, 0], n, units, &dbias[0])
    if dx is not None:
        to = &dx[0, 0]
    if n > 1:
        product(k, units, n, &x[0, 0], True, &dy[0, 0], False, &dweight[0, 0], NULL, NULL, ADD)
        if dx is not None:
            product(n, k, units, &dy[0, 0], False, &weight[0, 0], True, to, NULL,
                    &x[0, 0] if gated else NULL, 0)
        return
    for p in prange(blocks_of(k, BLOCK), nogil=True, schedule="static",
                    num_threads=threads_for(<double> k * units * sizeof(real) / 30)):
        backward_of_one(least(BLOCK, k - p * BLOCK), units, &x[0, p * BLOCK], &dy[0, 0],
                        &weight[p * BLOCK, 0], &dweight[p * BLOCK, 0],
                        NULL if to == NULL else to + p * BLOCK, gated)
