"""Images to columns and back, for other Cython modules."""
from cnn_core.types cimport dim, real

cdef struct Window:
    dim kh, kw          # height and width, in entries
    dim sh, sw          # step from window to window, in pixels
    dim top, left       # rows and columns of zeros before the image; negative: left out
    dim dh, dw          # dilation: step from entry to entry, in pixels

cdef bint usable(Window window) noexcept nogil

cdef int need_reach(Window window, dim oh, dim ow) except -1

cdef dim col2im_space(dim ow, dim w, dim kw, dim channels, dim itemsize) noexcept nogil

cdef void col2im_rows(
    const real* col, dim ld, dim i0, dim i1, dim oh, dim ow, Window window,
    real* dx, dim h, dim w, dim c, dim channels, void* space,
) noexcept nogil
