"""The transpose of a matrix, for other Cython modules."""
from cnn_core.simd cimport transpose_4x4
from cnn_core.types cimport dim, least, real


cdef inline void transpose_matrix(
    dim rows, dim columns,
    const real* x, dim x_step,                  # in   (rows, columns); step from row to row
    real* y, dim y_step,                        # out  (columns, rows)
) noexcept nogil:
    """y[j, i] = x[i, j], four by four in registers; the last four overlap those before."""
    cdef dim i, j = 0
    if rows < 4 or columns < 4:
        for i in range(rows):
            for j in range(columns):
                y[j * y_step + i] = x[i * x_step + j]
        return
    while j < columns:
        j = least(j, columns - 4)
        i = 0
        while i < rows:
            i = least(i, rows - 4)
            transpose_4x4(y + j * y_step + i, y_step, x + i * x_step + j, x_step)
            i += 4
        j += 4
