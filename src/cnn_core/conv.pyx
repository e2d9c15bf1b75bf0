"""Two-dimensional convolution (cross-correlation) of channels-last images, and its gradients.

Each is a matrix product whose left operand are the pixels under a window, read where they lie:
`gemm.multiply` takes a[i, p] from row[i] + step[p], so that tables of the windows' places and of
the taps (the entries of a window) stand in for the columns of `im2col` (Dukhan, "The indirect
convolution algorithm", 2019, arXiv:1907.02129).

    forward           y[place, co] = sum over taps  x[place + tap] w[tap, co] + bias
    weight gradient   dw[tap, co] += sum over places  x[place + tap] dy[place, co]
    input gradient    dx[pixel, c] = sum over taps  dy[pixel / stride + tap'] w[tap, c]

The input gradient is a forward pass over dy, once for each phase: pixels whose numbers leave one
remainder modulo the stride see the same taps. With few channels, which would fill a small part of
a vector, it is dcol[place, tap] = dy[place] w^T instead, added up by `col2im`. Images with a border
of zeros are copied into a buffer with that border, a band of rows at a time, which stays in the
second-level cache.

3x3 windows at stride 1 may go by `winograd` instead, if the caller says so. Where each channel has
one filter of its own, `depthwise` takes the place of the product; where there is one channel and
few filters, `planes`.

    n, h, w, c   images, height, width, channels          kh, kw   window height, width
    oh, ow, co   the same of the output                   k        taps times channels of a group
"""
from cython.parallel cimport parallel, prange, threadid
from libc.string cimport memcpy, memset

from cnn_core.add cimport add_all
from cnn_core.conv_depthwise cimport depthwise_multiply, depthwise_sum
from cnn_core.gemm cimport ADD, CHAIN, KC, RELU, count_by, multiply, pack, packed_width
from cnn_core.gemm cimport part_length
from cnn_core.im2col cimport Window, col2im_rows, col2im_space, usable
from cnn_core.memory cimport Buffer
from cnn_core.conv_one_channel cimport planes_multiply, planes_serve, planes_space, planes_sum
from cnn_core.reduce cimport sum_run
from cnn_core.simd cimport VBYTES
from cnn_core.threads cimport threads_for
from cnn_core.transpose cimport transpose_matrix
from cnn_core.types cimport blocks_of, dim, least, real, same_shape
from cnn_core.conv_winograd cimport winograd_backward_weight, winograd_forward

cdef enum:
    PLACES = 112        # places of a unit of work, at least: whole tiles of 14 or nearly of 6
    BAND = 1 << 15      # numbers in a band of rows: an eighth of a 1 MB second-level cache
    UNITS = 16          # tasks a weight gradient is cut into, where that many can be had
    SUMS = 1 << 12      # numbers whose partial sums a task adds

cdef enum:              # what sums under the windows
    PRODUCT
    DEPTHWISE
    PLANES

# How a window walks over images: `rows` rows of places of one image make a unit of work, or all
# rows of several images.
cdef struct Walk:
    dim h, w, c                 # of an image
    dim oh, ow                  # places, down and across
    dim sh, sw                  # step from place to place, in pixels
    dim top, left               # the first window begins at pixel (-top, -left)
    dim rows, images            # of places, in a unit
    dim band_h, band_w          # pixels that a unit sees of an image
    bint inside                 # no window leaves the image: there is nothing to copy


cdef Walk walk_over(
    dim n, dim h, dim w, dim c, dim oh, dim ow, dim sh, dim sw, dim top, dim left,
    dim height, dim width,      # of the window, in pixels
    dim units,                  # wanted, at least
) except *:
    """Return how to walk; the results never depend on it, only who computes them."""
    cdef Walk walk = Walk(h, w, c, oh, ow, sh, sw, top, left, 0, 1, 0, (ow - 1) * sw + width, False)
    cdef double line = <double> walk.band_w * c     # a double: beyond 2^63 it would overflow
    walk.inside = (top <= 0 and left <= 0 and (oh - 1) * sh - top + height <= h
                   and walk.band_w - left <= w)
    walk.rows = least(oh, max(blocks_of(PLACES, ow), <dim> (BAND / (line * sh))))
    if walk.rows == oh:
        walk.images = least(n, max(1, 4 * PLACES // (oh * ow)))
    while walk.images > 1 and blocks_of(n, walk.images) < units:
        walk.images = blocks_of(walk.images, 2)
        if walk.images == 2:
            walk.images = 1
    while walk.images == 1 and walk.rows > 1 and n * blocks_of(oh, walk.rows) < units:
        walk.rows = blocks_of(walk.rows, 2)
        if walk.rows * ow < PLACES:
            break
    walk.band_h = (walk.rows - 1) * sh + height
    if not walk.inside and line * walk.images * walk.band_h > <double> (1 << 40):
        raise MemoryError("no memory for a convolution whose window reaches that far")
    return walk


cdef dim units_of(Walk walk, dim n) noexcept nogil:
    return blocks_of(n, walk.images) * blocks_of(walk.oh, walk.rows)


cdef dim places_of(Walk walk) noexcept nogil:
    return walk.images * walk.rows * walk.ow


cdef dim band_size(Walk walk) noexcept nogil:
    return 0 if walk.inside else walk.images * walk.band_h * walk.band_w * walk.c


cdef dim pitch(Walk walk) noexcept nogil:
    """Return the step from row to row of a band."""
    return (walk.w if walk.inside else walk.band_w) * walk.c


cdef void list_places(
    Walk walk, dim image_step, dim row_step, dim column_step, dim* table,
) noexcept nogil:
    """table = where each place of a unit lies, image by image, row by row."""
    cdef dim image, i, j
    for image in range(walk.images):
        for i in range(walk.rows):
            for j in range(walk.ow):
                table[0] = image * image_step + i * row_step + j * column_step
                table += 1


cdef void list_places_in_band(Walk walk, dim* table) noexcept nogil:
    list_places(walk, pitch(walk) * (walk.h if walk.inside else walk.band_h),
                walk.sh * pitch(walk), walk.sw * walk.c, table)


cdef const real* band(
    Walk walk, dim n, const real* x, dim unit,
    real* copy,                         # workspace: the band, if it must be copied
    dim* first,                         # out  number of the unit's first place, of all
    dim* places,                        # out  how many it has
) noexcept nogil:
    """Return the pixels that a unit sees, zeros around the image included."""
    cdef dim bands = blocks_of(walk.oh, walk.rows), image = unit // bands * walk.images
    cdef dim row = unit % bands * walk.rows, images = least(walk.images, n - image)
    cdef dim top = row * walk.sh - walk.top, left = -walk.left, i, y, before, after
    cdef dim line = walk.band_w * walk.c
    cdef const real* source
    first[0] = (image * walk.oh + row) * walk.ow
    places[0] = images * least(walk.rows, walk.oh - row) * walk.ow
    x += image * walk.h * walk.w * walk.c
    if walk.inside:
        return x + (top * walk.w + left) * walk.c
    before = least(max(0, -left), walk.band_w)
    after = least(max(0, left + walk.band_w - walk.w), walk.band_w - before)
    for image in range(images):
        for i in range(walk.band_h):
            y = top + i
            if 0 <= y < walk.h and before + after < walk.band_w:
                source = x + ((image * walk.h + y) * walk.w + left + before) * walk.c
                memset(copy, 0, before * walk.c * sizeof(real))
                memcpy(copy + before * walk.c, source, (line - (before + after) * walk.c)
                       * sizeof(real))
                memset(copy + line - after * walk.c, 0, after * walk.c * sizeof(real))
            else:
                memset(copy, 0, line * sizeof(real))
            copy += line
    return copy - images * walk.band_h * line


cdef void list_taps(
    const dim* down, dim kh, const dim* across, dim kw,     # pixels from the window's first
    dim pitch, dim c, dim channels, dim* table,
) noexcept nogil:
    """table = where each number under a window lies, from its first pixel."""
    cdef dim a, b, i
    for a in range(kh):
        for b in range(kw):
            for i in range(channels):
                table[0] = down[a] * pitch + across[b] * c + i
                table += 1


cdef double nanoseconds(dim places, dim k, dim co, int itemsize) noexcept nogil:
    return <double> places * k * co * itemsize / 150


cdef void convolve_unit(
    int kind, const real* x, dim n, Walk walk, dim unit, const dim* place, const dim* taps, dim k,
    dim groups, dim group_c, const real* packed, dim size, const real* bias, const real* gate,
    bint relu, real* y, dim group_co, dim image_step, dim row_step, const dim* out,
    real* copy,                                         # workspace for a band
) noexcept nogil:
    """Do the work of `convolve` for one unit."""
    cdef dim first, count, g, bands = blocks_of(walk.oh, walk.rows)
    cdef const real* pixels = band(walk, n, x, unit, copy, &first, &count)
    cdef dim at = unit // bands * walk.images * image_step + unit % bands * walk.rows * row_step
    if kind == PLANES:
        planes_multiply(count // walk.ow, walk.ow, group_co, k, pixels, place, taps, packed, y + at,
                        bias, relu)
        return
    if kind == DEPTHWISE:
        depthwise_multiply(count, groups, k, pixels, place, taps, packed, y + at, out, bias,
                           NULL if gate == NULL else gate + at, relu)
        return
    for g in range(groups):
        multiply(count, group_co, k, pixels + g * group_c, place, taps, packed + g * size, 0,
                 y + at + g * group_co, out, NULL if bias == NULL else bias + g * group_co,
                 NULL if gate == NULL else gate + at + g * group_co, RELU if relu else 0)


cdef int convolve(
    int kind, const real* x, dim n, Walk walk, const dim* taps, dim k, dim groups, dim group_c,
    const real* packed, dim size,       # weights; step from group to group. No PRODUCT: as they are
    const real* bias, const real* gate, bint relu,      # bias and gate may be NULL
    real* y, dim group_co, dim image_step, dim row_step, dim column_step,   # from place to place
) except -1:
    """y = the sum under each window, weighted; threads share out units of places."""
    cdef dim places = places_of(walk), space = band_size(walk), unit
    cdef int threads = threads_for(
        nanoseconds(n * walk.oh * walk.ow, k, groups * group_co, sizeof(real)))
    cdef Buffer workspace = Buffer(2 * places * sizeof(dim) + threads * space * sizeof(real))
    cdef dim* place = <dim*> workspace.memory
    cdef dim* out = place + places
    cdef real* copies = <real*> (out + places)
    list_places_in_band(walk, place)
    list_places(walk, image_step, row_step, column_step, out)
    for unit in prange(units_of(walk, n), nogil=True, schedule="static", num_threads=threads):
        convolve_unit(kind, x, n, walk, unit, place, taps, k, groups, group_c, packed, size, bias,
                      gate, relu, y, group_co, image_step, row_step, out,
                      copies + threadid() * space)
    return 0


cdef bint depthwise(dim c, dim co, dim groups) noexcept nogil:
    """Return whether each channel has one filter of its own."""
    return c == groups and co == groups and groups > 1


cdef int kind_of(dim c, dim co, dim k, dim sw, dim groups, dim itemsize) noexcept nogil:
    """Return what sums under the windows of a forward pass, and of a weight gradient."""
    if depthwise(c, co, groups):
        return DEPTHWISE
    return PLANES if planes_serve(c, co, k, sw, groups, itemsize) else PRODUCT


cdef int forward(
    const real* x, dim n, dim h, dim w, dim c, const real* weight, const real* bias,
    real* y, dim oh, dim ow, dim co, Window window, dim groups, bint relu,
) except -1:
    """Do the work of `conv2d_forward`."""
    cdef dim group_c = c // groups, group_co = co // groups, k = window.kh * window.kw * group_c
    cdef dim size = k * packed_width(group_co, sizeof(real)), g
    cdef int kind = kind_of(c, co, k, window.sw, groups, sizeof(real))
    cdef int threads = threads_for(nanoseconds(n * oh * ow, k, co, sizeof(real)))
    cdef Walk walk = walk_over(
        n, h, w, c, oh, ow, window.sh, window.sw, window.top, window.left,
        (window.kh - 1) * window.dh + 1, (window.kw - 1) * window.dw + 1, 2 * threads)
    cdef Buffer tables = Buffer((window.kh + window.kw + k) * sizeof(dim))
    cdef Buffer panels = Buffer(groups * size * sizeof(real))
    cdef dim* down = <dim*> tables.memory
    cdef dim* across = down + window.kh
    cdef dim* taps = across + window.kw
    cdef real* packed = <real*> panels.memory
    count_by(window.dh, window.kh, down)
    count_by(window.dw, window.kw, across)
    list_taps(down, window.kh, across, window.kw, pitch(walk), c, group_c, taps)
    if kind != PRODUCT:
        packed = <real*> weight
    else:
        with nogil:
            for g in range(groups):
                pack(k, group_co, weight + g * group_co, co, 1, packed + g * size)
    return convolve(kind, x, n, walk, taps, k, groups, group_c, packed, size, bias, NULL, relu,
                    y, group_co, oh * ow * co, ow * co, co)


cdef dim taps_of_phase(dim pixel, dim before, dim kernel, dim dilation, dim stride, dim* at,
                       dim* number) noexcept nogil:
    """List the taps that see a pixel, and from which places; return how many they are.

    Tap a of the window at place o lies on pixel o stride + a dilation - before.
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
    const real* dy, dim n, dim oh, dim ow, dim co, const real* weight,
    real* dx, dim h, dim w, dim c, Window window, dim groups, const real* gate,
    dim y0, dim x0,                                     # first pixel of the phase
) except -1:
    """dx at every sh-th row and every sw-th column: a convolution of dy at stride 1."""
    cdef dim group_c = c // groups, group_co = co // groups, size, k, kh, kw, a, b, g, tap
    cdef dim places = n * blocks_of(h - y0, window.sh) * blocks_of(w - x0, window.sw)
    cdef Buffer tables = Buffer(2 * (window.kh + window.kw) * sizeof(dim))
    cdef dim* down = <dim*> tables.memory               # lowest last: taps run backwards
    cdef dim* across = down + window.kh
    cdef dim* rows = across + window.kw
    cdef dim* columns = rows + window.kh
    cdef dim top, left
    cdef Walk walk
    cdef Buffer steps, turned, panels
    cdef real* flat
    cdef real* packed
    kh = taps_of_phase(y0, window.top, window.kh, window.dh, window.sh, down, rows)
    kw = taps_of_phase(x0, window.left, window.kw, window.dw, window.sw, across, columns)
    if kh == 0 or kw == 0:
        return 0
    k = kh * kw * group_co
    size = k * packed_width(group_c, sizeof(real))
    top, left = -down[kh - 1], -across[kw - 1]
    walk = walk_over(
        n, oh, ow, co, blocks_of(h - y0, window.sh), blocks_of(w - x0, window.sw), 1, 1, top, left,
        down[0] + top + 1, across[0] + left + 1,
        2 * threads_for(nanoseconds(places, k, c, sizeof(real))))
    for a in range(kh):
        down[a] += top
    for b in range(kw):
        across[b] += left
    steps = Buffer(k * sizeof(dim))
    list_taps(down, kh, across, kw, pitch(walk), co, group_co, <dim*> steps.memory)
    turned = Buffer(kh * kw * max(c, group_co * group_c) * sizeof(real))
    panels = Buffer(groups * size * sizeof(real))
    flat, packed = <real*> turned.memory, <real*> panels.memory
    if depthwise(c, co, groups):
        packed = flat
        for a in range(kh):
            for b in range(kw):
                memcpy(flat + (a * kw + b) * c, weight + (rows[a] * window.kw + columns[b]) * c,
                       c * sizeof(real))
    else:
        with nogil:
            for g in range(groups):
                for a in range(kh):
                    for b in range(kw):
                        tap = (rows[a] * window.kw + columns[b]) * group_c
                        transpose_matrix(group_c, group_co, weight + tap * co + g * group_co, co,
                                         flat + (a * kw + b) * group_co * group_c, group_c)
                pack(k, group_c, flat, group_c, 1, packed + g * size)
    return convolve(DEPTHWISE if depthwise(c, co, groups) else PRODUCT,
                    dy, n, walk, <const dim*> steps.memory, k, groups, group_co, packed, size, NULL,
                    NULL if gate == NULL else gate + (y0 * w + x0) * c, False,
                    dx + (y0 * w + x0) * c, group_c,
                    h * w * c, window.sh * w * c, window.sw * c)


cdef void backward_input_image(
    const real* dy, dim image, dim oh, dim ow, dim co, const real* packed, dim size,
    real* dx, dim h, dim w, dim c, Window window, dim groups, const real* gate,
    const dim* row, const dim* step, const dim* out,        # tables for the products
    dim rows, dim ld, real* dcol, void* space,      # rows of places at a time; workspace for them
) noexcept nogil:
    """dx of one image: dcol = dy w^T, a few rows at a time, and back to the pixels."""
    cdef dim group_c = c // groups, group_co = co // groups
    cdef dim i = 0, last, g, e
    cdef real* pixels = dx + image * h * w * c
    cdef const real* open_ = NULL if gate == NULL else gate + image * h * w * c
    dy += image * oh * ow * co
    while i < oh:
        last = least(oh, i + rows)
        for g in range(groups):
            multiply((last - i) * ow, ld, group_co, dy + i * ow * co + g * group_co, row, step,
                     packed + g * size, 0, dcol, out, <real*> NULL, <real*> NULL, 0)
            col2im_rows(dcol, ld, i, last, oh, ow, window, pixels + g * group_c, h, w, c, group_c,
                        space)
        i = last
    if gate != NULL:
        for e in range(h * w * c):
            pixels[e] = pixels[e] if open_[e] > 0 else 0


cdef int backward_input_columns(
    const real* dy, dim n, dim oh, dim ow, dim co, const real* weight,
    real* dx, dim h, dim w, dim c, Window window, dim groups, const real* gate,
) except -1:
    """Do the work of `conv2d_backward_input` for few channels; threads share out images."""
    cdef dim k = window.kh * window.kw * c // groups, group_co = co // groups
    cdef dim ld = packed_width(k, sizeof(real)), size = group_co * ld, image, g
    cdef dim rows = least(oh, blocks_of(max(PLACES, BAND // k), ow)), places = rows * ow
    cdef dim dcol = blocks_of(places * ld * sizeof(real), 64) * 64     # whole cache lines
    cdef dim space = dcol + col2im_space(ow, w, window.kw, c // groups, sizeof(real))
    cdef int threads = threads_for(nanoseconds(n * oh * ow, k, co, sizeof(real)))
    cdef Buffer tables = Buffer((2 * places + group_co) * sizeof(dim))
    cdef Buffer panels = Buffer(groups * size * sizeof(real))
    cdef Buffer workspace = Buffer(threads * space)
    cdef char* mine
    cdef dim* row = <dim*> tables.memory
    cdef dim* out = row + places
    cdef dim* step = out + places
    cdef real* packed = <real*> panels.memory
    count_by(co, places, row)
    count_by(ld, places, out)
    count_by(1, group_co, step)
    with nogil:
        for g in range(groups):
            pack(group_co, k, weight + g * group_co, 1, co, packed + g * size)
    with nogil, parallel(num_threads=threads):
        mine = <char*> workspace.memory + threadid() * space
        for image in prange(n, schedule="static"):
            backward_input_image(dy, image, oh, ow, co, packed, size, dx, h, w, c, window, groups,
                                 gate, row, step, out, rows, ld, <real*> mine, mine + dcol)
    return 0


cdef int backward_input(
    const real* dy, dim n, dim oh, dim ow, dim co, const real* weight,
    real* dx, dim h, dim w, dim c, Window window, dim groups, const real* gate,
) except -1:
    """Do the work of `conv2d_backward_input`, phase by phase."""
    cdef dim y0, x0
    if (window.kh * window.kw > 1 and 2 * (c // groups) * sizeof(real) <= VBYTES
            and not depthwise(c, co, groups)):
        return backward_input_columns(dy, n, oh, ow, co, weight, dx, h, w, c, window, groups, gate)
    if (window.sh - 1) // window.dh >= window.kh or (window.sw - 1) // window.dw >= window.kw or (
            window.sh > 1 and window.dh > 1) or (window.sw > 1 and window.dw > 1):
        memset(dx, 0, n * h * w * c * sizeof(real))     # some pixels may be seen by no tap
    for y0 in range(least(window.sh, h)):
        for x0 in range(least(window.sw, w)):
            backward_input_phase(dy, n, oh, ow, co, weight, dx, h, w, c, window, groups, gate,
                                 y0, x0)
    return 0


cdef void backward_weight_run(
    int kind, const real* x, dim n, Walk walk, dim unit, dim last, const dim* place,
    const dim* taps, dim k, const dim* out, const real* dy, dim co, dim groups,
    real* dw,                                           # out  (k, co)
    double* dbias,                                      # out  (co,), or NULL
    real* copy, real* panels,                           # workspace
) noexcept nogil:
    """dw = the sum over a run of units, a part of a unit at a time, in order."""
    cdef dim group_c = walk.c // groups, group_co = co // groups, first, count, part, start, g
    cdef const real* pixels
    cdef const real* given
    cdef int how = 0
    while unit < last:
        pixels = band(walk, n, x, unit, copy, &first, &count)
        part = part_length(count, CHAIN if kind == DEPTHWISE else KC)
        start = 0
        while start < count:
            part = least(part, count - start)
            given = dy + (first + start) * co
            if kind == PLANES:
                planes_sum(count // walk.ow, walk.ow, co, k, pixels, place, taps, given, dw,
                           how != 0, dbias, panels)
                how, start = ADD, count
                continue
            if dbias != NULL:
                sum_run(given, part, co, dbias)
            if kind == DEPTHWISE:
                depthwise_sum(part, co, k, pixels, place + start, taps, given, dw, how != 0)
                how, start = ADD, start + part
                continue
            for g in range(groups):
                if k > CHAIN:                           # else packing would not pay
                    pack(part, group_co, given + g * group_co, co, 1, panels)
                multiply(k, group_co, part, pixels + g * group_c, taps, place + start,
                         panels if k > CHAIN else given + g * group_co,
                         0 if k > CHAIN else co,
                         dw + g * group_co, out, <real*> NULL, <real*> NULL, how)
            how = ADD
            start += part
        unit += 1


cdef int backward_weight(
    const real* x, dim n, dim h, dim w, dim c, const real* dy, dim oh, dim ow, dim co,
    real* dw, real* dbias, Window window, dim groups,
) except -1:
    """Do the work of `conv2d_backward_weight`.

    Tasks are (a run of units, a block of taps); their number follows from the shapes. Each has its
    own partial sum, and those are added in order.
    """
    cdef dim k = window.kh * window.kw * c // groups, blocks = blocks_of(k, KC)
    cdef dim block = blocks_of(k, blocks)
    cdef Walk walk = walk_over(
        n, h, w, c, oh, ow, window.sh, window.sw, window.top, window.left,
        (window.kh - 1) * window.dh + 1, (window.kw - 1) * window.dw + 1, UNITS)
    cdef dim units = units_of(walk, n), run = blocks_of(units, blocks_of(UNITS, blocks))
    cdef dim runs = blocks_of(units, run), places = places_of(walk), space = band_size(walk), t, e
    cdef int kind = kind_of(c, co, k, window.sw, groups, sizeof(real))
    cdef dim panels = (planes_space(walk.images * walk.rows, ow, co, sizeof(real))
                       if kind == PLANES else KC * packed_width(co // groups, sizeof(real)))
    cdef int threads = threads_for(nanoseconds(n * oh * ow, k, co, sizeof(real)))
    cdef Buffer tables = Buffer((window.kh + window.kw + 2 * k + places) * sizeof(dim))
    cdef Buffer sums = Buffer(runs * k * co * sizeof(real))
    cdef Buffer columns = Buffer(runs * co * sizeof(double))
    cdef Buffer workspace = Buffer(threads * (space + panels) * sizeof(real))
    cdef dim* down = <dim*> tables.memory
    cdef dim* across = down + window.kh
    cdef dim* taps = across + window.kw
    cdef dim* out = taps + k
    cdef dim* place = out + k
    cdef real* partial = <real*> sums.memory
    cdef double* dsums = <double*> columns.memory
    cdef real* mine
    count_by(window.dh, window.kh, down)
    count_by(window.dw, window.kw, across)
    list_taps(down, window.kh, across, window.kw, pitch(walk), c, c // groups, taps)
    count_by(co, k, out)
    list_places_in_band(walk, place)
    memset(dsums, 0, runs * co * sizeof(double))
    with nogil, parallel(num_threads=threads):
        mine = <real*> workspace.memory + threadid() * (space + panels)
        for t in prange(runs * blocks, schedule="static"):
            backward_weight_run(
                kind, x, n, walk, t // blocks * run, least((t // blocks + 1) * run, units), place,
                taps + t % blocks * block, least(block, k - t % blocks * block), out, dy, co,
                groups, partial + (t // blocks * k + t % blocks * block) * co,
                dsums + t // blocks * co if dbias != NULL and t % blocks == 0 else NULL,
                mine, mine + space)
        for e in prange(blocks_of(k * co, SUMS), schedule="static"):
            add_runs(partial + e * SUMS, runs, k * co, least(SUMS, k * co - e * SUMS),
                     dw + e * SUMS)
    if dbias != NULL:
        for t in range(1, runs):
            for e in range(co):
                dsums[e] += dsums[t * co + e]
        for e in range(co):
            dbias[e] += <real> dsums[e]
    return 0


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


cdef bint belong(
    const dim* x, const dim* weight, const dim* y, Window window, dim groups,
) noexcept nogil:
    """Return whether the shapes of x, weight and y can be those of one convolution."""
    return (usable(window) and 1 <= groups <= weight[3] and x[0] == y[0] and y[3] == weight[3]
            and weight[3] % groups == 0 and x[3] == weight[2] * groups)


cdef bint serves(Window window, dim groups) noexcept nogil:
    """Return whether Winograd's algorithm computes such a convolution."""
    return (window.kh == 3 and window.kw == 3 and window.sh == 1 and window.sw == 1
            and window.dh == 1 and window.dw == 1 and groups == 1)


def conv2d_forward(
    const real[:, :, :, ::1] x,         # in   (n, h, w, c)
    const real[:, :, :, ::1] weight,    # in   (kh, kw, c / groups, co)
    const real[::1] bias,               # in   (co,), or None
    real[:, :, :, ::1] y,               # out  (n, oh, ow, co)
    dim sh, dim sw, dim top, dim left, dim dh, dim dw, dim groups,
    bint winograd=False,                # 3x3 at stride 1: by Winograd's algorithm in float32
    bint relu=False,                    # in the end, turn negative results into 0
):
    """Write the convolution of ``x`` with ``weight``, plus ``bias``, to ``y``."""
    cdef Window window = Window(weight.shape[0], weight.shape[1], sh, sw, top, left, dh, dw)
    cdef const real* start = NULL
    if (not belong(&x.shape[0], &weight.shape[0], &y.shape[0], window, groups)
            or (winograd and not serves(window, groups))
            or (bias is not None and bias.shape[0] != y.shape[3])):
        raise ValueError("x, weight, bias, y and the window do not belong to one convolution")
    if bias is not None:
        start = &bias[0]
    if min(y.shape[0], y.shape[1], y.shape[2]) == 0:
        return
    if min(x.shape[1], x.shape[2], x.shape[3]) == 0:
        raise ValueError("x has no pixels or no channels")
    if real is float:
        if winograd:
            winograd_forward(
                &x[0, 0, 0, 0], x.shape[0], x.shape[1], x.shape[2], x.shape[3],
                &weight[0, 0, 0, 0], False, start, NULL, NULL, relu,
                &y[0, 0, 0, 0], y.shape[1], y.shape[2], y.shape[3], top, left)
            return
    forward(&x[0, 0, 0, 0], x.shape[0], x.shape[1], x.shape[2], x.shape[3], &weight[0, 0, 0, 0],
            start, &y[0, 0, 0, 0], y.shape[1], y.shape[2], y.shape[3], window, groups, relu)


def conv2d_backward_input(
    const real[:, :, :, ::1] dy,        # in   (n, oh, ow, co)
    const real[:, :, :, ::1] weight,    # in   (kh, kw, c / groups, co)
    real[:, :, :, ::1] dx,              # out  (n, h, w, c), overwritten
    dim sh, dim sw, dim top, dim left, dim dh, dim dw, dim groups,
    bint winograd=False,                # 3x3 at stride 1: by Winograd's algorithm in float32
    const real[:, :, :, ::1] gate=None,     # in   (n, h, w, c), dx is 0 where it is not above 0
    const real[:, :, :, ::1] plus=None,     # in   (n, h, w, c), added to dx before that
):
    """Write the gradient of ``conv2d_forward`` with respect to ``x`` to ``dx``."""
    cdef Window window = Window(weight.shape[0], weight.shape[1], sh, sw, top, left, dh, dw)
    cdef const real* gates = NULL
    cdef const real* more = NULL
    cdef dim size = dx.shape[0] * dx.shape[1] * dx.shape[2] * dx.shape[3]
    if (not belong(&dx.shape[0], &weight.shape[0], &dy.shape[0], window, groups)
            or (winograd and not serves(window, groups))
            or (gate is not None and not same_shape(&gate.shape[0], &dx.shape[0], 4))
            or (plus is not None and not same_shape(&plus.shape[0], &dx.shape[0], 4))):
        raise ValueError(
            "dy, weight, dx, gate, plus and the window do not belong to one convolution")
    if min(dx.shape[0], dx.shape[1], dx.shape[2], dx.shape[3]) == 0:
        return
    if gate is not None:
        gates = &gate[0, 0, 0, 0]
    if plus is not None:
        more = &plus[0, 0, 0, 0]
    if real is float:
        if winograd and min(dy.shape[1], dy.shape[2]) > 0:
            winograd_forward(
                &dy[0, 0, 0, 0], dy.shape[0], dy.shape[1], dy.shape[2], dy.shape[3],
                &weight[0, 0, 0, 0], True, NULL, more, gates, False,
                &dx[0, 0, 0, 0], dx.shape[1], dx.shape[2], dx.shape[3], 2 - top, 2 - left)
            return
    if min(dy.shape[1], dy.shape[2]) == 0:
        dx[...] = 0
    else:
        backward_input(&dy[0, 0, 0, 0], dy.shape[0], dy.shape[1], dy.shape[2], dy.shape[3],
                       &weight[0, 0, 0, 0], &dx[0, 0, 0, 0], dx.shape[1], dx.shape[2], dx.shape[3],
                       window, groups, NULL if plus is not None else gates)
    if plus is not None:
        with nogil:
            add_all(&dx[0, 0, 0, 0], more, gates, False, &dx[0, 0, 0, 0], size)


def conv2d_backward_weight(
    const real[:, :, :, ::1] x,         # in   (n, h, w, c)
    const real[:, :, :, ::1] dy,        # in   (n, oh, ow, co)
    real[:, :, :, ::1] dweight,         # out  (kh, kw, c / groups, co), added to
    real[::1] dbias,                    # out  (co,), added to; or None
    dim sh, dim sw, dim top, dim left, dim dh, dim dw, dim groups,
    bint winograd=False,                # 3x3 at stride 1: by Winograd's algorithm in float32
):
    """Add the gradients of ``conv2d_forward`` with respect to ``weight`` and ``bias``."""
    cdef Window window = Window(dweight.shape[0], dweight.shape[1], sh, sw, top, left, dh, dw)
    cdef real* start = NULL
    if (not belong(&x.shape[0], &dweight.shape[0], &dy.shape[0], window, groups)
            or (winograd and not serves(window, groups))
            or (dbias is not None and dbias.shape[0] != dy.shape[3])):
        raise ValueError("x, dy, dweight, dbias and the window do not belong to one convolution")
    if min(dy.shape[0], dy.shape[1], dy.shape[2], x.shape[1], x.shape[2], x.shape[3]) == 0:
        return
    if dbias is not None:
        start = &dbias[0]
    if real is float:
        if winograd:
            winograd_backward_weight(
                &x[0, 0, 0, 0], x.shape[0], x.shape[1], x.shape[2], x.shape[3],
                &dy[0, 0, 0, 0], dy.shape[1], dy.shape[2], dy.shape[3],
                &dweight[0, 0, 0, 0], start, top, left)
            return
    backward_weight(&x[0, 0, 0, 0], x.shape[0], x.shape[1], x.shape[2], x.shape[3],
                    &dy[0, 0, 0, 0], dy.shape[1], dy.shape[2], dy.shape[3],
                    &dweight[0, 0, 0, 0], start, window, groups)
