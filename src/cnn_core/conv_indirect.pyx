"""Indirect convolution and its gradients: matrix products whose left operand is never built.

`gemm.multiply` takes a[i, p] from row[i] + step[p]. So two short tables, of the windows (where each
begins) and of the taps (the entries of a window), stand in for the columns of `im2col` (Dukhan,
"The indirect convolution algorithm", 2019, arXiv:1907.02129).

    forward           y[pixel, co] = sum over taps  x[window + tap] w[tap, co] + bias
    input gradient    dx[pixel, c] = sum over taps  dy[pixel / stride + tap'] w[tap, c]
    weight gradient   dw[tap, co] += sum over windows  x[window + tap] dy[pixel, co]

The input gradient is a forward pass over dy, once for each phase: pixels whose numbers leave one
remainder modulo the stride see the same taps. Threads share out tiles of output pixels; see
`conv_tiles`. Where each channel has one filter of its own, `conv_depthwise` takes the place of the
product; where there is one channel and few filters, `conv_one_channel`.

    n, h, w, c   images, height, width, channels          kh, kw   window height, width
    oh, ow, co   the same of the output                   k        taps times channels of a group
"""
from cython.parallel cimport parallel, prange, threadid
from libc.string cimport memcpy, memset

from cnn_core.conv_depthwise cimport depthwise_multiply, depthwise_sum
from cnn_core.conv_one_channel cimport one_channel_multiply, one_channel_space, one_channel_sum
from cnn_core.conv_tiles cimport Tiling, list_pixels, list_taps, list_windows, nanoseconds, pitch
from cnn_core.conv_tiles cimport pixels_of, plan_tiles, strip, strip_size, tiles_of
from cnn_core.reduce cimport RUN_SUMS_TASK, sum_run
from cnn_core.gemm cimport ADD, CHAIN, KC, RELU, count_by, multiply, pack, packed_width
from cnn_core.gemm cimport part_length
from cnn_core.im2col cimport Window
from cnn_core.memory cimport Buffer
from cnn_core.threads cimport threads_for
from cnn_core.transpose cimport transpose_matrix
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    GRADIENT_TASKS = 16     # tasks of a weight gradient, if there are enough tiles
    MAX_GRADIENT_TASKS = 64     # the same where each has TASK_PIXELS output pixels
    TASK_PIXELS = 1600      # then adding up the partial sums takes 1 % of the time
    BLOCK_TAPS = 2 * 14     # taps of a block, at least: two register tiles


cdef void convolve_tile(
    int algorithm, const real* x, dim n, Tiling tiling, dim tile, const dim* windows,
    const dim* taps, dim k, dim groups, dim group_c, const real* weight, dim size, const real* bias,
    const real* drelu, int flags, real* y, dim group_co, dim image_step, dim row_step,
    const dim* out, real* copy,                         # workspace for a strip
) noexcept nogil:
    """Do the work of `convolve` for one tile."""
    cdef dim first, count, g, strips = blocks_of(tiling.oh, tiling.rows)
    cdef const real* pixels = strip(tiling, n, x, tile, copy, &first, &count)
    cdef dim at = (tile // strips * tiling.images * image_step
                   + tile % strips * tiling.rows * row_step)
    if algorithm == ONE_CHANNEL:
        one_channel_multiply(count // tiling.ow, tiling.ow, group_co, k, pixels, windows, taps,
                             weight, y + at, bias, flags == RELU)
        return
    if algorithm == DEPTHWISE:
        depthwise_multiply(count, groups, k, pixels, windows, taps, weight, y + at, out, bias,
                           NULL if drelu == NULL else drelu + at, flags == RELU)
        return
    for g in range(groups):
        multiply(count, group_co, k, pixels + g * group_c, windows, taps, weight + g * size, 0,
                 y + at + g * group_co, out, NULL if bias == NULL else bias + g * group_co,
                 NULL if drelu == NULL else drelu + at + g * group_co, flags)


cdef int convolve(
    int algorithm, const real* x, dim n, Tiling tiling, const dim* taps, dim k, dim groups,
    dim group_c,
    const real* weight, dim size,       # INDIRECT: packed, `size` from group to group
    const real* bias, const real* drelu, int flags,     # bias, drelu may be NULL; ADD, of `gemm`
    real* y, dim group_co, dim image_step, dim row_step, dim column_step,   # of output pixels
) except -1:
    """y = the sum under each window, weighted; threads share out the tiles."""
    cdef dim pixels = pixels_of(tiling), space = strip_size(tiling), tile
    cdef int threads = threads_for(
        nanoseconds(n * tiling.oh * tiling.ow, k, groups * group_co, sizeof(real)))
    cdef Buffer workspace = Buffer(
        2.0 * pixels * sizeof(dim) + <double> threads * space * sizeof(real))
    cdef dim* windows = <dim*> workspace.memory
    cdef dim* out = windows + pixels
    cdef real* copies = <real*> (out + pixels)
    list_windows(tiling, windows)
    list_pixels(tiling, image_step, row_step, column_step, out)
    for tile in prange(tiles_of(tiling, n), nogil=True, schedule="static", num_threads=threads):
        convolve_tile(algorithm, x, n, tiling, tile, windows, taps, k, groups, group_c, weight,
                      size, bias, drelu, flags, y, group_co, image_step, row_step, out,
                      copies + threadid() * space)
    return 0


cdef int indirect_forward(
    int algorithm, const real* x, dim n, dim h, dim w, dim c, const real* weight, const real* bias,
    real* y, dim oh, dim ow, dim co, Window window, dim groups, bint relu,
) except -1:
    """y = the convolution of x with the weight, plus bias. Nothing may be empty."""
    cdef dim group_c = c // groups, group_co = co // groups, k = window.kh * window.kw * group_c
    cdef dim size = k * packed_width(group_co, sizeof(real)), g
    cdef int threads = threads_for(nanoseconds(n * oh * ow, k, co, sizeof(real)))
    cdef Tiling tiling = plan_tiles(
        n, h, w, c, oh, ow, window.sh, window.sw, window.top, window.left,
        (window.kh - 1) * window.dh + 1, (window.kw - 1) * window.dw + 1, 2 * threads)
    cdef Buffer tables = Buffer((<double> window.kh + window.kw + k) * sizeof(dim))
    cdef Buffer panels = Buffer(<double> groups * size * sizeof(real))
    cdef dim* down = <dim*> tables.memory
    cdef dim* across = down + window.kh
    cdef dim* taps = across + window.kw
    cdef real* packed = <real*> panels.memory
    count_by(window.dh, window.kh, down)
    count_by(window.dw, window.kw, across)
    list_taps(down, window.kh, across, window.kw, pitch(tiling), c, group_c, taps)
    if algorithm == INDIRECT:
        with nogil:
            for g in range(groups):
                pack(k, group_co, weight + g * group_co, co, 1, packed + g * size)
    return convolve(algorithm, x, n, tiling, taps, k, groups, group_c,
                    packed if algorithm == INDIRECT else weight, size, bias, NULL,
                    RELU if relu else 0,
                    y, group_co, oh * ow * co, ow * co, co)


cdef dim taps_of_phase(
    dim pixel, dim before, dim kernel, dim dilation, dim stride, dim* at, dim* number,
) noexcept nogil:
    """List the taps that see a pixel, and their windows; return the number of taps.

    Tap a of window o lies on pixel o stride + a dilation - before.
    """
    cdef dim count = 0, a, o
    for a in range(kernel):
        o = pixel + before - a * dilation
        if o % stride == 0:
            at[count] = o // stride
            number[count] = a
            count += 1
    return count


cdef int backward_input_phase(
    int algorithm, const real* dy, dim n, dim oh, dim ow, dim co, const real* weight,
    real* dx, dim h, dim w, dim c, Window window, dim groups, const real* drelu, int flags,
    dim y0, dim x0,                                     # first pixel of the phase
) except -1:
    """dx at every sh-th row and every sw-th column: a convolution of dy at stride 1."""
    cdef dim group_c = c // groups, group_co = co // groups, size, k, kh, kw, a, b, g, tap
    cdef dim pixels = n * blocks_of(h - y0, window.sh) * blocks_of(w - x0, window.sw)
    cdef Buffer tables = Buffer(2.0 * (window.kh + window.kw) * sizeof(dim))
    cdef dim* down = <dim*> tables.memory               # lowest last: taps run backwards
    cdef dim* across = down + window.kh
    cdef dim* rows = across + window.kw                 # of the window, that the phase sees
    cdef dim* columns = rows + window.kh
    cdef dim top, left
    cdef Tiling tiling
    cdef Buffer steps, weights, panels
    cdef real* phase_weight                             # (kh, kw, group_co, group_c)
    cdef real* packed
    kh = taps_of_phase(y0, window.top, window.kh, window.dh, window.sh, down, rows)
    kw = taps_of_phase(x0, window.left, window.kw, window.dw, window.sw, across, columns)
    if kh == 0 or kw == 0:
        return 0
    k = kh * kw * group_co
    size = k * packed_width(group_c, sizeof(real))
    top, left = -down[kh - 1], -across[kw - 1]
    tiling = plan_tiles(
        n, oh, ow, co, blocks_of(h - y0, window.sh), blocks_of(w - x0, window.sw), 1, 1, top, left,
        down[0] + top + 1, across[0] + left + 1,
        2 * threads_for(nanoseconds(pixels, k, c, sizeof(real))))
    for a in range(kh):
        down[a] += top
    for b in range(kw):
        across[b] += left
    steps = Buffer(<double> k * sizeof(dim))
    list_taps(down, kh, across, kw, pitch(tiling), co, group_co, <dim*> steps.memory)
    weights = Buffer(<double> kh * kw * max(c, group_co * group_c) * sizeof(real))
    panels = Buffer(<double> groups * size * sizeof(real))
    phase_weight, packed = <real*> weights.memory, <real*> panels.memory
    if algorithm == DEPTHWISE:
        for a in range(kh):
            for b in range(kw):
                memcpy(phase_weight + (a * kw + b) * c,
                       weight + (rows[a] * window.kw + columns[b]) * c, c * sizeof(real))
    else:
        with nogil:
            for g in range(groups):
                for a in range(kh):
                    for b in range(kw):
                        tap = (rows[a] * window.kw + columns[b]) * group_c
                        transpose_matrix(group_c, group_co, weight + tap * co + g * group_co, co,
                                         phase_weight + (a * kw + b) * group_co * group_c, group_c)
                pack(k, group_c, phase_weight, group_c, 1, packed + g * size)
    return convolve(algorithm, dy, n, tiling, <const dim*> steps.memory, k, groups, group_co,
                    phase_weight if algorithm == DEPTHWISE else packed, size, NULL,
                    NULL if drelu == NULL else drelu + (y0 * w + x0) * c, flags,
                    dx + (y0 * w + x0) * c, group_c,
                    h * w * c, window.sh * w * c, window.sw * c)


cdef int indirect_backward_input(
    int algorithm, const real* dy, dim n, dim oh, dim ow, dim co, const real* weight,
    real* dx, dim h, dim w, dim c, Window window, dim groups,
    const real* drelu,                  # same layout as dx, or NULL; dx = 0 where drelu <= 0 or NaN
    bint accumulate,                    # add to dx: INDIRECT, kh kw co / groups at most KC
) except -1:
    """dx = the gradient of x, phase by phase. Nothing may be empty."""
    cdef dim y0, x0
    if not accumulate and (
            (window.sh - 1) // window.dh >= window.kh or (window.sw - 1) // window.dw >= window.kw
            or (window.sh > 1 and window.dh > 1) or (window.sw > 1 and window.dw > 1)):
        memset(dx, 0, n * h * w * c * sizeof(real))     # some pixels may be seen by no tap
    for y0 in range(least(window.sh, h)):
        for x0 in range(least(window.sw, w)):
            backward_input_phase(algorithm, dy, n, oh, ow, co, weight, dx, h, w, c, window, groups,
                                 drelu, ADD if accumulate else 0, y0, x0)
    return 0


cdef void backward_weight_run(
    int algorithm, const real* x, dim n, Tiling tiling, dim tile, dim last, const dim* windows,
    const dim* taps, dim k, const dim* out, const real* dy, dim co, dim groups,
    real* dw,                                           # out  (k, co)
    double* dbias,                                      # out  (co,), or NULL
    real* copy, real* panels,                           # workspace
) noexcept nogil:
    """dw = the sum over a run of tiles, a part of a tile at a time, in order."""
    cdef dim group_c = tiling.c // groups, group_co = co // groups, first, count, part, start, g
    cdef const real* pixels
    cdef const real* given
    cdef int flags = 0
    while tile < last:
        pixels = strip(tiling, n, x, tile, copy, &first, &count)
        part = part_length(count, CHAIN if algorithm == DEPTHWISE else KC)
        start = 0
        if algorithm == ONE_CHANNEL:                    # has chains of its own
            one_channel_sum(count // tiling.ow, tiling.ow, co, k, pixels, windows, taps,
                            dy + first * co, dw, flags != 0, dbias, panels)
            start = count
        while start < count:
            part = least(part, count - start)
            given = dy + (first + start) * co
            if dbias != NULL:
                sum_run(given, part, co, dbias)
            if algorithm == DEPTHWISE:
                depthwise_sum(part, co, k, pixels, windows + start, taps, given, dw, flags != 0)
            else:
                for g in range(groups):
                    if k > CHAIN:                       # packing pays only then
                        pack(part, group_co, given + g * group_co, co, 1, panels)
                    multiply(k, group_co, part, pixels + g * group_c, taps, windows + start,
                             panels if k > CHAIN else given + g * group_co,
                             0 if k > CHAIN else co,
                             dw + g * group_co, out, <real*> NULL, <real*> NULL, flags)
            flags = ADD
            start += part
        flags = ADD
        tile += 1


cdef void add_runs(
    real* partial, dim runs, dim step, dim count, real* total,
) noexcept nogil:
    """total += partial[0] + partial[1] + ..., in order; ``step`` from run to run."""
    cdef dim r, e
    for r in range(1, runs):
        for e in range(count):
            partial[e] = partial[e] + partial[r * step + e]
    for e in range(count):
        total[e] = total[e] + partial[e]


cdef dim gradient_tasks(dim pixels) noexcept nogil:
    """Return the tasks of a weight gradient: they follow from the shape, as they order the sums."""
    return max(GRADIENT_TASKS, least(MAX_GRADIENT_TASKS, pixels // TASK_PIXELS))


cdef dim cut_taps(dim runs, dim k, dim blocks, int threads) noexcept nogil:
    """Return the number of blocks of taps, at least ``blocks``, that keeps all threads as busy.

    The bits do not depend on it. Each block copies its strips again.
    """
    cdef dim found = blocks, i, time, best = 0
    if runs * blocks % threads == 0:
        return blocks
    for i in range(blocks, max(blocks, least(k // BLOCK_TAPS, threads)) + 1):
        time = blocks_of(runs * i, threads) * (blocks_of(k, i) + 2)
        if best == 0 or time < best:
            found, best = i, time
    return found


cdef int indirect_backward_weight(
    int algorithm, const real* x, dim n, dim h, dim w, dim c, const real* dy, dim oh, dim ow,
    dim co, real* dw, real* dbias, Window window, dim groups,   # dbias may be NULL
) except -1:
    """Add the gradients of the weight and of the bias to dw and dbias. Nothing may be empty.

    Tasks are (a run of tiles, a block of taps). Each run has its own partial sum, and those are
    added in order; the number of runs follows from the shapes.
    """
    cdef dim k = window.kh * window.kw * c // groups, blocks = blocks_of(k, KC), block
    cdef dim tasks = gradient_tasks(n * oh * ow)
    cdef Tiling tiling = plan_tiles(
        n, h, w, c, oh, ow, window.sh, window.sw, window.top, window.left,
        (window.kh - 1) * window.dh + 1, (window.kw - 1) * window.dw + 1, tasks)
    cdef dim tiles = tiles_of(tiling, n), run = blocks_of(tiles, blocks_of(tasks, blocks))
    cdef dim runs = blocks_of(tiles, run), pixels = pixels_of(tiling), space = strip_size(tiling)
    cdef dim panels = (one_channel_space(tiling.images * tiling.rows, ow, co, sizeof(real))
                       if algorithm == ONE_CHANNEL
                       else KC * packed_width(co // groups, sizeof(real)))
    cdef int threads = threads_for(nanoseconds(n * oh * ow, k, co, sizeof(real)))
    cdef Buffer tables = Buffer((window.kh + window.kw + 2.0 * k + pixels) * sizeof(dim))
    cdef Buffer sums = Buffer(<double> runs * k * co * sizeof(real))
    cdef Buffer columns = Buffer(<double> runs * co * sizeof(double))
    cdef Buffer workspace = Buffer(<double> threads * (space + panels) * sizeof(real))
    cdef dim* down = <dim*> tables.memory
    cdef dim* across = down + window.kh
    cdef dim* taps = across + window.kw
    cdef dim* out = taps + k
    cdef dim* windows = out + k
    cdef real* partial = <real*> sums.memory
    cdef double* dsums = <double*> columns.memory
    cdef real* mine
    cdef dim t, e
    count_by(window.dh, window.kh, down)
    count_by(window.dw, window.kw, across)
    list_taps(down, window.kh, across, window.kw, pitch(tiling), c, c // groups, taps)
    count_by(co, k, out)
    list_windows(tiling, windows)
    memset(dsums, 0, runs * co * sizeof(double))
    if algorithm == INDIRECT:
        blocks = cut_taps(runs, k, blocks, threads)
    block = blocks_of(k, blocks)
    blocks = blocks_of(k, block)
    with nogil, parallel(num_threads=threads):
        mine = <real*> workspace.memory + threadid() * (space + panels)
        for t in prange(runs * blocks, schedule="static"):
            backward_weight_run(
                algorithm, x, n, tiling, t // blocks * run, least((t // blocks + 1) * run, tiles),
                windows, taps + t % blocks * block, least(block, k - t % blocks * block), out, dy,
                co, groups, partial + (t // blocks * k + t % blocks * block) * co,
                dsums + t // blocks * co if dbias != NULL and t % blocks == 0 else NULL,
                mine, mine + space)
        for e in prange(blocks_of(k * co, RUN_SUMS_TASK), schedule="static"):
            add_runs(partial + e * RUN_SUMS_TASK, runs, k * co,
                     least(RUN_SUMS_TASK, k * co - e * RUN_SUMS_TASK), dw + e * RUN_SUMS_TASK)
    if dbias != NULL:
        for t in range(1, runs):
            for e in range(co):
                dsums[e] += dsums[t * co + e]
        for e in range(co):
            dbias[e] += <real> dsums[e]
    return 0
