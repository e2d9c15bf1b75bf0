"""Resizing of channels-last images: each output pixel is a weighted sum of some input pixels.

Rows and columns are weighted apart. For each output row, a table holds the input rows that it
needs, its *taps*, and their weights; for each output column likewise. The transposed tables say in
which output rows an input row occurs, so with them the same function computes the gradient.

    n, h, w, c   images, height, width, channels      oh, ow   output height, width

A row of the output needs only reads, so threads share out rows. All channels of a pixel are treated
alike, in vectors as wide as fit into c; the last one overlaps the one before it.
"""
from cython.parallel cimport prange

from cnn_core.simd cimport VBYTES, oned, onef, shortd, shortf, vadd, vecd, vecf, vector, vfill
from cnn_core.simd cimport vload, vmultiply, vstore
from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport blocks_of, dim, least, real

cdef struct Image:
    dim n, h, w, c, oh, ow
    const dim* rows         # begin and end of the taps of each output row
    const dim* columns      # likewise
    dim most_rows, most_columns     # taps for which a table has room


cdef inline void resample_row(
    const real* x, real* y,                     # an image, row i of y
    const real* row_weights, const real* column_weights,
    dim i, const Image* p, vector* tag,         # tag: NULL, only names the vector type
) noexcept nogil:
    """y = sum of the taps, row by row; the sum begins at -0, to which any zero can be added."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, w = p.w
    cdef dim a0 = p.rows[2 * i], a1 = p.rows[2 * i + 1], a, b, b0, b1, j, q, k
    cdef const real* pixel
    cdef vector total, line, v, weight
    row_weights += i * p.most_rows - a0
    for j in range(p.ow):
        b0, b1 = p.columns[2 * j], p.columns[2 * j + 1]
        for q in range(blocks_of(c, size)):
            k = least(q * size, c - size)
            vfill(total, -0.0)
            for a in range(a0, a1):
                pixel = x + (a * w + b0) * c + k
                vfill(line, -0.0)
                for b in range(b0, b1):
                    vload(v, pixel)
                    vfill(weight, column_weights[j * p.most_columns + b - b0])
                    vmultiply(v, v, weight)
                    vadd(line, line, v)
                    pixel += c
                vfill(weight, row_weights[a])
                vmultiply(line, line, weight)
                vadd(total, total, line)
            if a0 == a1 or b0 == b1:
                vfill(total, 0)
            vstore(y + j * c + k, total)


cdef inline void image_row(
    dim r, const Image* p, const real* x, const real* row_weights, const real* column_weights,
    real* y, vector* tag,
) noexcept nogil:
    """Row r of all rows of ``y``."""
    resample_row[real, vector](x + r // p.oh * p.h * p.w * p.c, y + r * p.ow * p.c, row_weights,
                               column_weights, r % p.oh, p, tag)


cdef void image_rows(
    const Image* p, const real* x, const real* row_weights, const real* column_weights, real* y,
) noexcept nogil:
    """All rows of ``y``."""
    cdef dim r
    cdef double taps = <double> p.most_rows * p.most_columns
    cdef double work = <double> p.n * p.oh * p.ow * p.c * taps * sizeof(real) / 20
    for r in prange(p.n * p.oh, schedule="static", num_threads=threads_for(work)):
        if real is float:
            if p.c >= VBYTES // 4:
                image_row[real, vecf](r, p, x, row_weights, column_weights, y, <vecf*> NULL)
            elif p.c >= 4:
                image_row[real, shortf](r, p, x, row_weights, column_weights, y, <shortf*> NULL)
            else:
                image_row[real, onef](r, p, x, row_weights, column_weights, y, <onef*> NULL)
        else:
            if p.c >= VBYTES // 8:
                image_row[real, vecd](r, p, x, row_weights, column_weights, y, <vecd*> NULL)
            elif p.c >= 2:
                image_row[real, shortd](r, p, x, row_weights, column_weights, y, <shortd*> NULL)
            else:
                image_row[real, oned](r, p, x, row_weights, column_weights, y, <oned*> NULL)


cdef bint are_taps(const dim[:, ::1] taps, dim count, dim most, dim size) noexcept nogil:
    """Return whether a table has ``count`` rows of at most ``most`` taps, all among ``size``."""
    cdef dim i
    if taps.shape[0] != count or taps.shape[1] != 2:
        return False
    for i in range(count):
        if (taps[i, 0] < 0 or taps[i, 1] < taps[i, 0] or taps[i, 1] > size
                or taps[i, 1] - taps[i, 0] > most):
            return False
    return True


def resample(
    const real[:, :, :, ::1] x,         # in   (n, h, w, c)
    real[:, :, :, ::1] y,               # out  (n, oh, ow, c)
    const dim[:, ::1] rows,             # in   (oh, 2), begin and end of the taps of an output row
    const real[:, ::1] row_weights,     # in   (oh, taps), left-aligned
    const dim[:, ::1] columns,          # in   (ow, 2)
    const real[:, ::1] column_weights,  # in   (ow, taps)
):
    """Write to ``y`` the images of ``x`` in another size."""
    cdef FloatMode _mode = flush_denormals()
    cdef Image p
    p.n, p.h, p.w, p.c = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    p.oh, p.ow = y.shape[1], y.shape[2]
    p.most_rows, p.most_columns = row_weights.shape[1], column_weights.shape[1]
    if (y.shape[0] != p.n or y.shape[3] != p.c
            or row_weights.shape[0] != p.oh or column_weights.shape[0] != p.ow
            or not are_taps(rows, p.oh, p.most_rows, p.h)
            or not are_taps(columns, p.ow, p.most_columns, p.w)):
        raise ValueError("x, y and the tables do not belong to one resizing")
    if min(p.n, p.oh, p.ow, p.c) == 0:
        return
    if min(p.h, p.w, p.most_rows, p.most_columns) == 0:
        raise ValueError("x has no pixels, or the tables no weights")
    p.rows, p.columns = &rows[0, 0], &columns[0, 0]
    with nogil:
        image_rows(&p, &x[0, 0, 0, 0], &row_weights[0, 0], &column_weights[0, 0], &y[0, 0, 0, 0])
