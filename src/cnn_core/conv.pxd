"""Convolution of channels-last images and its gradients, for other Cython modules.

The shapes, which must belong together and hold no 0, are not checked. They need the GIL, for their
workspace: they cannot be called in a body of `threads.parallel`, and share out work themselves.
"""
from cnn_core.im2col cimport Window
from cnn_core.types cimport dim, real

cdef int conv_forward(
    const real* x,              # in   (n, h, w, c)
    dim n, dim h, dim w, dim c,
    const real* weight,         # in   (kh, kw, c / groups, co)
    const real* bias,           # in   (co,), or NULL
    real* y,                    # out  (n, oh, ow, co)
    dim oh, dim ow, dim co,
    Window window, dim groups,
    str request,                # "auto", "direct" (not Winograd's algorithm) or "winograd"
    bint relu,                  # in the end, turn negative results into 0
) except -1

cdef int conv_backward_input(
    const real* dy, dim n, dim oh, dim ow, dim co, const real* weight,
    real* dx,                   # out  (n, h, w, c), overwritten
    dim h, dim w, dim c, Window window, dim groups, str request,
    const real* drelu,          # in   (n, h, w, c), dx = 0 where drelu <= 0 or NaN; or NULL
    const real* residual,       # in   (n, h, w, c), added to dx before that; or NULL. It may be dx
                                # itself, if that is 0 where drelu <= 0 or NaN
) except -1

cdef int conv_backward_weight(
    const real* x, dim n, dim h, dim w, dim c, const real* dy, dim oh, dim ow, dim co,
    real* dweight,              # out  (kh, kw, c / groups, co), added to
    real* dbias,                # out  (co,), added to; or NULL
    Window window, dim groups, str request,
) except -1
