"""The input gradient of a convolution of few channels, for `conv`."""
from cnn_core.im2col cimport Window
from cnn_core.types cimport dim, real

cdef int col2im_backward_input(
    const real* dy, dim n, dim oh, dim ow, dim co, const real* weight,
    real* dx, dim h, dim w, dim c, Window window, dim groups, const real* drelu,
) except -1
