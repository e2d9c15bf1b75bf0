"""Images to columns, so that a convolution becomes a matrix product; and the adjoint.

One row of col per output pixel, one column per entry of its window, pixels outside the image zero.
Channels-last images make the channels of a pixel, and mostly the pixels of a window's row, one
contiguous run.

    n, h, w, c   images, height, width, channels      kh, kw   window height, width
    oh, ow       output pixels, down and across       sh, sw   step from window to window
    dh, dw       step from entry to entry             top, left   zeros before the image
    k            column: (kernel row a, kernel column b, channel), the channel fastest
"""
from cython.parallel cimport prange, threadid
from cpython.pyport cimport PY_SSIZE_T_MAX
from libc.stdint cimport int64_t

from cnn_core.memory cimport Buffer
from cnn_core.simd cimport lanes, vec, vecd, vecf, vfill, vload_tail, vstore_tail
from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    BLOCK_ROWS = 64     # rows of col per task


cdef bint usable(Window window) noexcept nogil:
    """Return whether a window has a size, steps and padding that kernels take."""
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
    """col[r, k - k0] = pixel under entry k of window first + r, or 0."""
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


# How windows follow each other along one axis. Of the entries that lie on a pixel, the next is
# `entries` entries further, in the window `windows` before.
cdef struct Steps:
    dim stride, dilation        # from window to window and from entry to entry, in pixels
    dim entries, windows        # both by their greatest common divisor

cdef struct Run:
    dim first, count            # the first entry on a pixel, the number of entries


cdef Steps steps_of(dim stride, dim dilation) noexcept nogil:
    cdef dim divisor = stride, rest = dilation
    while rest > 0:
        divisor, rest = rest, divisor % rest
    return Steps(stride, dilation, stride // divisor, dilation // divisor)


cdef inline dim quotient(dim a, dim b) noexcept nogil:
    """Return a // b rounded down, b > 0; a division by 1 is skipped."""
    return a if b == 1 else (a if a >= 0 else a - b + 1) // b


cdef inline dim find(
    dim pixel, Steps steps, dim extent,         # counted with the padding; entries of a window
    dim first, dim last,                        # windows that count: first to last - 1
    dim* entry, dim* window,                    # out  the lowest entry, and its window
) noexcept nogil:
    """Return how many entries of windows lie on a pixel (0 or less: none), and find the first."""
    cdef dim e = 0, skipped
    while e < extent and steps.stride > 1 and (pixel - e * steps.dilation) % steps.stride != 0:
        e += 1
    window[0] = quotient(pixel - e * steps.dilation, steps.stride)
    skipped = max(0, quotient(window[0] - last + steps.windows, steps.windows))
    entry[0] = e + skipped * steps.entries
    window[0] -= skipped * steps.windows
    return 1 + least(quotient(extent - 1 - entry[0], steps.entries),
                     quotient(window[0] - first, steps.windows))


cdef inline void sum_vector(
    const real* source, dim n, dim step, dim left, bint add, real* target, vec* tag,
) noexcept nogil:
    """Do the work of `sum_strided` for a vector, of which ``left`` numbers are inside the run."""
    cdef dim _i
    cdef vec total, v
    vfill(total, 0)
    if add:
        vload_tail(total, target, left)
    for _i in range(n):
        vload_tail(v, source, left)
        total = total + v
        source += step
    vstore_tail(target, total, left)


cdef inline void sum_strided(
    const real* source, dim n, dim step, dim length, bint add, real* target, vec* tag,
) noexcept nogil:
    """target (+)= the sum of n runs of numbers, one ``step`` after the other."""
    cdef dim size = lanes(sizeof(real)), k = 0
    while k + size <= length:
        sum_vector[real, vec](source + k, n, step, size, add, target + k, NULL)
        k += size
    if k < length:
        sum_vector[real, vec](source + k, n, step, length - k, add, target + k, NULL)


cdef inline void sum_row(
    const real* col, dim ld, dim down, dim step,    # the `down` entries on a row, in column 0
    dim ow, dim line, real* lines, const Run* runs, dim across_step,
    real* dx, dim w, dim c, dim channels, bint add, vec* tag,
) noexcept nogil:
    """Do the work of `col2im_rows` for a row of pixels: sum down, then across."""
    cdef dim j, x
    for j in range(ow):
        sum_strided[real, vec](col + j * ld, down, step, line, False, lines + j * line, NULL)
    for x in range(w):
        sum_strided[real, vec](lines + runs[x].first, runs[x].count, across_step, channels, add,
                               dx + x * c, NULL)


cdef dim col2im_space(dim ow, dim w, dim kw, dim channels, dim itemsize) noexcept nogil:
    """Return how many bytes `col2im_rows` needs as workspace: whole cache lines."""
    return blocks_of(w * <dim> sizeof(Run) + ow * kw * channels * itemsize, 64) * 64


cdef void col2im_rows(
    const real* col, dim ld, dim i0, dim i1,        # of rows i0 to i1 - 1 of windows; step of rows
    dim oh, dim ow, Window window,
    real* dx, dim h, dim w, dim c, dim channels,    # an image, from the first of `channels`
    void* space,                                    # workspace, see col2im_space
) noexcept nogil:
    """Add up the entries of col on each pixel; after the last rows of windows, dx is complete.

    Pixel by pixel, not window by window: so each number of dx is written once per call.
    """
    cdef Steps rows = steps_of(window.sh, window.dh), columns = steps_of(window.sw, window.dw)
    cdef dim line = window.kw * channels, down_step = rows.entries * line - rows.windows * ow * ld
    cdef dim across_step = columns.entries * channels - columns.windows * line
    cdef dim y = i0 * window.sh - window.top if i0 > 0 else 0, y1 = h, x, a, b, i, j, down
    cdef Run* runs = <Run*> space
    cdef real* lines = <real*> (runs + w)
    cdef const real* start
    cdef bint add
    for x in range(w):
        runs[x].count = find(x + window.left, columns, window.kw, 0, ow, &b, &j)
        runs[x].first = j * line + b * channels
    if i1 < oh:         # also rows before the next window that none reaches
        y1 = least(h, max(i1 * window.sh, (i1 - 1) * window.sh + (window.kh - 1) * window.dh + 1)
                   - window.top)
    for y in range(max(0, y), y1):
        add = find(y + window.top, rows, window.kh, 0, i0, &a, &i) > 0
        down = find(y + window.top, rows, window.kh, i0, i1, &a, &i)
        start = col + (i - i0) * ow * ld + a * line
        if real is float:
            sum_row[real, vecf](start, ld, down, down_step, ow, line, lines, runs, across_step,
                                dx + y * w * c, w, c, channels, add, NULL)
        else:
            sum_row[real, vecd](start, ld, down, down_step, ow, line, lines, runs, across_step,
                                dx + y * w * c, w, c, channels, add, NULL)


cdef bint belong(
    dim rows, dim columns, dim n, dim oh, dim ow, dim kh, dim kw, dim c,
) noexcept nogil:
    """Return whether col has n oh ow rows and kh kw c columns, without a product that overflows."""
    cdef dim top = 1 << 30
    cdef int64_t pixels = <int64_t> oh * ow, taps = <int64_t> kh * kw
    return (0 < oh < top and 0 < ow < top and rows % pixels == 0 and rows // pixels == n
            and columns % taps == 0 and columns // taps == c)


cdef int need_reach(Window window, dim oh, dim ow) except -1:
    """Raise MemoryError if the number of a pixel under a window may be beyond 32 bits."""
    cdef double down = <double> oh * window.sh + <double> window.kh * window.dh + abs(window.top)
    cdef double across = <double> ow * window.sw + <double> window.kw * window.dw + abs(window.left)
    if max(down, across) > PY_SSIZE_T_MAX / 4:
        raise MemoryError("no memory for a convolution whose window reaches that far")
    return 0


def im2col(
    const real[:, :, :, ::1] x,         # in   (n, h, w, c)
    real[:, ::1] col,                   # out  (n * oh * ow, kh * kw * c)
    dim oh, dim ow, dim kh, dim kw, dim sh, dim sw, dim top, dim left, dim dh, dim dw,
):
    """Write the pixels under each window to a row of ``col``."""
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = x.shape[0], h = x.shape[1], w = x.shape[2], c = x.shape[3], b
    cdef dim rows = col.shape[0], columns = col.shape[1]
    cdef Window window = Window(kh, kw, sh, sw, top, left, dh, dw)
    if not usable(window) or not belong(rows, columns, n, oh, ow, kh, kw, c):
        raise ValueError("x, col and the window do not belong to one im2col")
    need_reach(window, oh, ow)
    if rows == 0 or columns == 0:
        return
    for b in prange(blocks_of(rows, BLOCK_ROWS), nogil=True, schedule="static",
                    num_threads=threads_for(<double> rows * columns / 4)):
        im2col_rows(&x[0, 0, 0, 0], h, w, c, c, oh, ow, window, b * BLOCK_ROWS,
                    least(BLOCK_ROWS, rows - b * BLOCK_ROWS), 0, columns, &col[b * BLOCK_ROWS, 0],
                    columns)


def col2im(
    const real[:, ::1] col,             # in   (n * oh * ow, kh * kw * c)
    real[:, :, :, ::1] dx,              # out  (n, h, w, c), overwritten
    dim oh, dim ow, dim kh, dim kw, dim sh, dim sw, dim top, dim left, dim dh, dim dw,
):
    """Add up in ``dx`` what ``im2col`` had copied: its adjoint. Threads share out images."""
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = dx.shape[0], h = dx.shape[1], w = dx.shape[2], c = dx.shape[3], image
    cdef dim rows = col.shape[0], columns = col.shape[1]
    cdef Window window = Window(kh, kw, sh, sw, top, left, dh, dw)
    cdef int threads
    cdef dim space
    cdef Buffer workspace
    if not usable(window) or not belong(rows, columns, n, oh, ow, kh, kw, c):
        raise ValueError("col, dx and the window do not belong to one im2col")
    need_reach(window, oh, ow)
    if rows == 0 or columns == 0 or h == 0 or w == 0:
        dx[...] = 0
        return
    threads = threads_for(<double> rows * columns / 2)
    space = col2im_space(ow, w, kw, c, sizeof(real))
    workspace = Buffer(<double> threads * space)
    for image in prange(n, nogil=True, schedule="static", num_threads=threads):
        col2im_rows(&col[image * oh * ow, 0], columns, 0, oh, oh, ow, window, &dx[image, 0, 0, 0],
                    h, w, c, c, <char*> workspace.memory + threadid() * space)
