"""A convolution tile by tile, for `conv`: by `gemm`, `conv_depthwise` or `conv_one_channel`."""
from cnn_core.im2col cimport Window
from cnn_core.types cimport dim, real

cdef enum:              # how a convolution is computed: see `conv.algorithm`
    INDIRECT            # `conv_indirect` with matrix products; the next two replace only these
    DEPTHWISE           # `conv_depthwise`
    ONE_CHANNEL         # `conv_one_channel`
    COL2IM              # `conv_col2im`
    WINOGRAD            # `conv_winograd`

cdef int indirect_forward(
    int algorithm, const real* x, dim n, dim h, dim w, dim c, const real* weight, const real* bias,
    real* y, dim oh, dim ow, dim co, Window window, dim groups, bint relu,
) except -1

cdef int indirect_backward_input(
    int algorithm, const real* dy, dim n, dim oh, dim ow, dim co, const real* weight,
    real* dx, dim h, dim w, dim c, Window window, dim groups, const real* drelu, bint accumulate,
) except -1

cdef int indirect_backward_weight(
    int algorithm, const real* x, dim n, dim h, dim w, dim c, const real* dy, dim oh, dim ow,
    dim co, real* dw, real* dbias, Window window, dim groups,
) except -1
