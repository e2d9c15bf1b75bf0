# cython: cdivision=True, language_level=3
"""Sums over the rows of a matrix, column by column, for `batch_norm`: moments and gradients.

A run adds SHORT_ROWS wide rows at a time in the array's own precision, and those sums in double, as
`reduce` does. A *wide* row is several rows of few columns, a whole number of vectors; what belongs
to a column is repeated in it.

    wide      columns of a wide row, a multiple of c: number k belongs to column k mod c
"""
from libc.math cimport ldexp, sqrt
from libc.string cimport memset

from cnn_core.reduce cimport SHORT_ROWS, fold_wide
from cnn_core.simd cimport lanes, vec, vload, vstore
from cnn_core.types cimport dim, least, real

cdef enum:
    REGISTER_VECTORS = 4    # vectors of a row worked on at a time, in registers
    MAX_STEP_BYTES = 512    # from wide row to wide row of a chunk; steps of 1 KB took twice as long
    CHUNK_BYTES = 2048      # of wide rows, summed in one block of columns before the next
    DOWN = -600             # exponent by which huge numbers of double precision are scaled

cdef enum:                  # what `add_up` sums
    VALUES                  # x
    SQUARES                 # (x - mean)^2
    PRODUCTS                # dy, and dy (x - mean)


cdef inline dim wide_row(dim c, dim itemsize) noexcept nogil:
    """Return the columns of a wide row: a whole number of vectors, at least REGISTER_VECTORS."""
    cdef dim size = lanes(itemsize), together = 1
    while together * c % size != 0 or together * c < REGISTER_VECTORS * size:
        together *= 2
    return together * c


cdef inline void repeat(const real* columns, dim c, real* out, dim wide) noexcept nogil:
    """Repeat the c numbers across a wide row; ``out`` may be ``columns`` itself."""
    cdef dim start = 0, k
    while start < wide:
        for k in range(c):
            out[start + k] = columns[k]
        start += c


cdef inline void add_block(
    dim vectors, int kind,                      # literals at every call: the loops unroll
    const real* x, const real* dy, const real* mean, dim rows, dim wide,
    real* sums, real* products, vec* tag,       # tag: NULL, only names the vector type
) noexcept nogil:
    """Do the work of `add_up` for a block of vectors of ``rows`` wide rows."""
    cdef dim size = lanes(sizeof(real)), i, j
    cdef vec s[REGISTER_VECTORS]
    cdef vec p[REGISTER_VECTORS]
    cdef vec m[REGISTER_VECTORS]
    cdef vec v, g
    for j in range(vectors):
        vload(s[j], sums + j * size)
        vload(m[j], mean + j * size)
        vload(p[j], products + j * size)
    for i in range(rows):
        for j in range(vectors):
            vload(v, x + i * wide + j * size)
            if kind == VALUES:
                s[j] = s[j] + v
            elif kind == SQUARES:
                v = v - m[j]
                s[j] = s[j] + v * v
            else:
                vload(g, dy + i * wide + j * size)
                s[j] = s[j] + g
                p[j] = p[j] + g * (v - m[j])
    for j in range(vectors):
        vstore(sums + j * size, s[j])
        if kind == PRODUCTS:
            vstore(products + j * size, p[j])


cdef inline void add_up(
    int kind, const real* x, const real* dy, const real* mean, dim values, dim wide,
    real* sums, real* products, vec* tag,      # mean, sums and products (wide,)
) noexcept nogil:
    """sums += x, or (x - mean)^2, or dy, and then products += dy (x - mean), as ``kind`` says."""
    cdef dim size = lanes(sizeof(real)), bytes = wide * sizeof(real), rows, k
    while values >= wide:
        rows = least(CHUNK_BYTES // bytes if bytes <= MAX_STEP_BYTES else 1, values // wide)
        k = 0
        while k + REGISTER_VECTORS * size <= wide:
            add_block(REGISTER_VECTORS, kind, x + k, dy + k, mean + k, rows, wide, sums + k,
                      products + k, tag)
            k += REGISTER_VECTORS * size
        while k < wide:
            add_block(1, kind, x + k, dy + k, mean + k, rows, wide, sums + k, products + k, tag)
            k += size
        x += rows * wide
        dy += rows * wide
        values -= rows * wide
    for k in range(values):                     # the last of a batch: a wide row in part
        if kind == VALUES:
            sums[k] += x[k]
        elif kind == SQUARES:
            sums[k] += (x[k] - mean[k]) * (x[k] - mean[k])
        else:
            sums[k] += dy[k]
            products[k] += dy[k] * (x[k] - mean[k])


cdef inline void merge(
    double* mean, double* squares, double n,                # in, out  of n values
    double other_mean, double other_squares, double m,      # of m more
) noexcept nogil:
    """Mean and sum of squared distances from it, of both together (Chan, Golub, LeVeque 1979)."""
    cdef double distance = other_mean - mean[0]
    mean[0] += distance * (m / (n + m))
    squares[0] += other_squares + distance * distance * (n * m / (n + m))


cdef inline void moments_of_run(
    const real* x, dim rows, dim c, dim wide,
    double* moments,                            # in, out  (2, c), zeros
    double* totals,                             # work  (2, c)
    real* sums, real* mean,                     # work  (wide,), sums zeros
    vec* tag,
) noexcept nogil:
    """Mean of each column, and sum of squared distances from it.

    SHORT_ROWS wide rows at a time are read twice, the second time from the cache: distances are
    from their own mean, so neither a common offset nor an outlier swamps them.
    """
    cdef dim row = 0, short = SHORT_ROWS * (wide // c), n, k
    while row < rows:
        n = least(short, rows - row)
        memset(totals, 0, 2 * c * sizeof(double))
        add_up(VALUES, x, x, mean, n * c, wide, sums, sums, tag)
        fold_wide(sums, wide, totals, c)
        for k in range(c):
            totals[k] = totals[k] / n
            mean[k] = <real> totals[k]
        repeat(mean, c, mean, wide)
        add_up(SQUARES, x, x, mean, n * c, wide, sums, sums, tag)
        fold_wide(sums, wide, totals + c, c)
        for k in range(c):
            merge(&moments[k], &moments[c + k], row, totals[k], totals[c + k], n)
        x += n * c
        row += n


cdef inline double scale_of_huge(dim itemsize) noexcept nogil:
    """Return a power of two that brings numbers whose squares overflow to where double has room."""
    return 1 if itemsize == 4 else ldexp(1, DOWN)


cdef inline double inverse_deviation(double var, double eps, double scale) noexcept nogil:
    """Return 1 / sqrt(variance + eps), if ``var`` is the variance times scale^2.

    Where numbers are huge, eps matters only if all are equal.
    """
    return 1 / sqrt(var + eps) if scale == 1 or var == 0 else scale / sqrt(var)


cdef inline void moments_of_huge(
    const real* x, dim rows, dim columns, dim step,     # of each row, and from row to row
    double* mean, double* squares,                      # out
) noexcept nogil:
    """Mean, and sum of squared distances from it, of numbers times `scale_of_huge`.

    For those whose sums overflow in their own precision; slow.
    """
    cdef double scale = scale_of_huge(sizeof(real)), total = 0, d
    cdef dim i, k
    for i in range(rows):
        for k in range(columns):
            total += x[i * step + k] * scale
    mean[0] = total / (<double> rows * columns)
    squares[0] = 0
    for i in range(rows):
        for k in range(columns):
            d = x[i * step + k] * scale - mean[0]
            squares[0] += d * d


cdef inline void gradient_sums_of_run(
    const real* x, const real* dy, const real* mean, dim rows, dim c, dim wide,  # mean (wide,)
    double* totals,                             # in, out  (2, c)
    real* sums,                                 # work  (2, wide), zeros
    vec* tag,
) noexcept nogil:
    """Add the sums of dy and of dy * (x - mean) of each column."""
    cdef dim row = 0, short = SHORT_ROWS * (wide // c), n
    while row < rows:
        n = least(short, rows - row)
        add_up(PRODUCTS, x, dy, mean, n * c, wide, sums, sums + wide, tag)
        fold_wide(sums, wide, totals, c)
        fold_wide(sums + wide, wide, totals + c, c)
        x += n * c
        dy += n * c
        row += n
