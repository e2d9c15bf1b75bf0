# cython: cdivision=True, language_level=3
"""The transpose of a matrix, for other Cython modules."""
from cnn_core.simd cimport transpose_4x4
from cnn_core.types cimport dim, real


cdef inline void transpose_matrix(
    dim rows, dim columns,
    const real* x, dim x_step,                  # in   (rows, columns); step from row to row
    real* y, dim y_step,                        # out  (columns, rows)
) noexcept nogil:
    """y[j, i] = x[i, j]: four by four in registers, the rest one by one."""
    cdef dim i, j
    if rows < 4 or columns < 4:     # row by row: the loop below would go down long columns
        for i in range(rows):
            for j in range(columns):
                y[j * y_step + i] = x[i * x_step + j]
        return
    for j in range(0, columns - 3, 4):
        for i in range(0, rows - 3, 4):
            transpose_4x4(y + j * y_step + i, y_step, x + i * x_step + j, x_step)
    for i in range(rows // 4 * 4, rows):
        for j in range(columns // 4 * 4):
            y[j * y_step + i] = x[i * x_step + j]
    for j in range(columns // 4 * 4, columns):
        for i in range(rows):
            y[j * y_step + i] = x[i * x_step + j]
