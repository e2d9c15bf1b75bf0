"""Images to columns, so that a convolution becomes a matrix product; and the adjoint.

One row of col per place of the window, one column per entry under it, pixels outside the image
zero. Channels-last images make the channels of a pixel, and mostly the pixels of a window's row,
one contiguous run.

    n, h, w, c   images, height, width, channels      kh, kw   window height, width
    oh, ow       places of the window, down, across   sh, sw   step from window to window
    dh, dw       step from entry to entry             top, left   zeros before the image
    k            column: (kernel row a, kernel column b, channel), the channel fastest
"""
from cython.parallel cimport prange

from cnn_core.simd cimport VBYTES, vec, vecd, vecf
from cnn_core.threads cimport threads_for
from cnn_core.types cimport dim, least, real
from cnn_core.vmath cimport vload_part, vstore_part

cdef enum:
    BLOCK = 64          # rows of col per unit of work


cdef bint usable(Window window) noexcept nogil:
    """Return whether no index computed with this window can overflow."""
    cdef dim top = 1 << 30
    return (0 < window.kh < top and 0 < window.kw < top and 0 < window.sh < top
            and 0 < window.sw < top and 0 < window.dh < top and 0 < window.dw < top
            and -top < window.top < top and -top < window.left < top)


cdef void im2col_rows(
    const real* x,                              # all images, from the first of `channels`
    dim h, dim w, dim c, dim channels, dim oh, dim ow, Window window,
    dim first, dim rows,                        # rows of col, numbered through all images
    dim k0, dim k1,                             # columns
    real* col, dim ld,                          # out, step from row to row
) noexcept nogil:
    """col[r, k - k0] = pixel under entry k of the window at place first + r, or 0."""
    cdef dim line = window.kw * channels        # columns of one kernel row
    cdef bint joined = channels == c and window.dw == 1
    cdef dim image = first // (oh * ow), i = first % (oh * ow) // ow, j = first % ow
    cdef dim r, k, t, a, rest, y, left, across, run
    cdef const real* source
    cdef real* target
    for r in range(rows):
        target = col + r * ld
        left = j * window.sw - window.left
        a = k0 // line
        rest = k0 % line
        k = k0
        while k < k1:
            y = i * window.sh + a * window.dh - window.top
            if 0 <= y < h and joined and left >= 0 and left + window.kw <= w:
                run = least(line - rest, k1 - k)
                source = x + ((image * h + y) * w + left) * c + rest
                for t in range(run):
                    target[t] = source[t]
            else:
                run = least(channels - rest % channels, k1 - k)
                across = left + rest // channels * window.dw
                if 0 <= y < h and 0 <= across < w:
                    source = x + ((image * h + y) * w + across) * c + rest % channels
                    for t in range(run):
                        target[t] = source[t]
                else:
                    for t in range(run):
                        target[t] = 0
            target += run
            k += run
            rest += run
            if rest == line:
                rest = 0
                a += 1
        j += 1
        if j == ow:
            j = 0
            i += 1
            if i == oh:
                i = 0
                image += 1


cdef inline void add_run(const real* source, real* target, dim n, vec* lane) noexcept nogil:
    """target += source."""
    cdef dim size = VBYTES // sizeof(real)
    cdef vec a, b
    while n > 0:
        vload_part(a, source, n)
        vload_part(b, target, n)
        b = a + b
        vstore_part(target, b, n)
        source += size
        target += size
        n -= size


cdef void col2im_rows(
    const real* col, dim ld,                    # all columns of the rows
    dim first, dim rows, dim oh, dim ow, Window window,
    real* dx,                                   # all images, from the first of `channels`
    dim h, dim w, dim c, dim channels,
) noexcept nogil:
    """Add col[r, k] to the pixel it came from; zeros outside the image go nowhere."""
    cdef bint joined = channels == c and window.dw == 1     # a kernel row lies on a run of pixels
    cdef dim step = window.kw if joined else 1, runs = 1 if joined else window.kw
    cdef dim image, i, j, r, a, q, b, b0, b1, y, left
    cdef const real* source
    cdef real* target
    for r in range(rows):
        image = (first + r) // (oh * ow)
        i = (first + r) % (oh * ow) // ow
        j = (first + r) % ow
        for a in range(window.kh):
            y = i * window.sh + a * window.dh - window.top
            if not 0 <= y < h:
                continue
            for q in range(runs):
                b = q * step
                left = j * window.sw + b * window.dw - window.left
                b0, b1 = max(0, -left), least(step, w - left)
                source = col + r * ld + (a * window.kw + b + b0) * channels
                target = dx + ((image * h + y) * w + left + b0) * c
                if real is float:
                    add_run[real, vecf](source, target, (b1 - b0) * channels, NULL)
                else:
                    add_run[real, vecd](source, target, (b1 - b0) * channels, NULL)


cdef bint belong(
    dim rows, dim columns, dim n, dim oh, dim ow, dim kh, dim kw, dim c,
) noexcept nogil:
    """Return whether col has n oh ow rows and kh kw c columns, without a product that overflows."""
    cdef dim top = 1 << 30
    return (0 < oh < top and 0 < ow < top and rows % (oh * ow) == 0 and rows // (oh * ow) == n
            and columns % (kh * kw) == 0 and columns // (kh * kw) == c)


def im2col(
    const real[:, :, :, ::1] x,         # in   (n, h, w, c)
    real[:, ::1] col,                   # out  (n * oh * ow, kh * kw * c)
    dim oh, dim ow, dim kh, dim kw, dim sh, dim sw, dim top, dim left, dim dh, dim dw,
):
    """Write the pixels under each window to a row of ``col``."""
    cdef dim n = x.shape[0], h = x.shape[1], w = x.shape[2], c = x.shape[3], b
    cdef dim rows = col.shape[0], columns = col.shape[1]
    cdef Window window = Window(kh, kw, sh, sw, top, left, dh, dw)
    if not usable(window) or not belong(rows, columns, n, oh, ow, kh, kw, c):
        raise ValueError("x, col and the window do not belong to one im2col")
    if rows == 0 or columns == 0:
        return
    for b in prange((rows + BLOCK - 1) // BLOCK, nogil=True, schedule="static",
                    num_threads=threads_for(<double> rows * columns / 4)):
        im2col_rows(&x[0, 0, 0, 0], h, w, c, c, oh, ow, window, b * BLOCK,
                    least(BLOCK, rows - b * BLOCK), 0, columns, &col[b * BLOCK, 0], columns)


def col2im(
    const real[:, ::1] col,             # in   (n * oh * ow, kh * kw * c)
    real[:, :, :, ::1] dx,              # out  (n, h, w, c), overwritten
    dim oh, dim ow, dim kh, dim kw, dim sh, dim sw, dim top, dim left, dim dh, dim dw,
):
    """Add up in ``dx`` what ``im2col`` had copied: its adjoint. Threads share out images."""
    cdef dim n = dx.shape[0], h = dx.shape[1], w = dx.shape[2], c = dx.shape[3], image
    cdef dim rows = col.shape[0], columns = col.shape[1]
    cdef Window window = Window(kh, kw, sh, sw, top, left, dh, dw)
    if not usable(window) or not belong(rows, columns, n, oh, ow, kh, kw, c):
        raise ValueError("col, dx and the window do not belong to one im2col")
    dx[...] = 0
    if rows == 0 or columns == 0 or h == 0 or w == 0:
        return
    for image in prange(n, nogil=True, schedule="static",
                        num_threads=threads_for(<double> rows * columns / 2)):
        col2im_rows(&col[image * oh * ow, 0], columns, image * oh * ow, oh * ow, oh, ow, window,
                    &dx[0, 0, 0, 0], h, w, c, c)
