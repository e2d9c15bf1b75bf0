"""Transposes of matrices: images from channels last to channels first and back.

Threads share out the matrices.
"""
from cython.parallel cimport prange

from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport dim, real


def transpose(
    const real[:, :, ::1] x,        # in   (n, rows, columns)
    real[:, :, ::1] y,              # out  (n, columns, rows)
):
    """Write the transpose of each matrix of ``x`` to ``y``."""
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = x.shape[0], rows = x.shape[1], columns = x.shape[2], i
    if y.shape[0] != n or y.shape[1] != columns or y.shape[2] != rows:
        raise ValueError("x and y do not belong to one transposition")
    if min(n, rows, columns) == 0:
        return
    for i in prange(n, nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * rows * columns * sizeof(real) / 10)):
        transpose_matrix(rows, columns, &x[i, 0, 0], columns, &y[i, 0, 0], rows)
