"""Matrix product c = a b on one core's registers and caches; threads share out blocks of c.

The scheme of Goto and van de Geijn ("Anatomy of high-performance matrix multiplication", ACM
TOMS 34(3), 2008), in the letters of BLIS: `tile` holds MR x NR numbers of c in registers and walks
along k, one row of b at a time. b is packed into panels as wide as a tile, so that this row is
contiguous:

    packed = [part of k][panel of NR columns][row of the part][column of the panel]

where the last panel may be one vector wide, or a short vector of four floats. (`gemm_thin` computes
the last one to four columns of a product of whole matrices, whose steps are regular.)

a is read through two tables: a[i, p] lies at row[i] + step[p]. With i counting output pixels of a
convolution and p the entries under its window, this is a convolution without a column matrix
(Dukhan, "The indirect convolution algorithm", 2019, arXiv:1907.02129); with i and p exchanged it is
the gradient of its weights; see `conv`. The rows of c have a table as well. The lookups cost
nothing: they run while the multiply-adds wait for each other.

The sum over k is cut into parts of at most KC rows of b, which are added to c one after the other,
and these into chains of at most CHAIN products. Chains are added up in order: one long chain of
float32 products errs ten times more. The cuts depend on k alone, and every entry of c is computed
by one thread, so the result does not depend on the number of threads.

    m, n, k   rows of c, columns of c, length of the sum     ldb   step from row to row of b
    MR, NR    rows and columns of a register tile
    MC, KC    rows and columns of the part of a that stays in the level-2 cache
    KC, NC    rows and columns of the part of b that is packed at a time
    drelu     same layout as c; c is set to 0 where drelu <= 0 or NaN: the gradient of a ReLU
    tag       NULL: only names the vector type
"""
from cython.parallel cimport parallel, prange, threadid
from libc.string cimport memcpy

from cnn_core.gemm_thin cimport gemm_thin_columns, gemm_thin_multiply, gemm_thin_pack
from cnn_core.gemm_thin cimport gemm_thin_row, gemm_thin_row_width, gemm_thin_space
from cnn_core.memory cimport Buffer
from cnn_core.simd cimport MAX_LANES, SHORT_LANES, anyvec, lanes, offset, shortf, vdrelu, vecd, vecf
from cnn_core.simd cimport vfill, vload, vload_tail, vprefetch, vrelu, vstore, vstore_tail, vzero
from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.transpose cimport transpose_matrix
from cnn_core.types cimport blocks_of, dim, least, real

cdef extern from "simd.h":
    enum:
        MR "GEMM_MR"                # rows of a register tile

cdef enum:
    MC = 8 * 14                     # rows of a multiplied at a time: MC x KC fit the level-2 cache
    NC = 1024                       # columns of b packed at a time: KC x NC fit the level-3 cache
    MAX_MR = 14                     # MR at any level
    LDA = KC + 16                   # step between copied rows of a: no power of two, which would
    #                                 put all rows of a tile into one set of the level-1 cache
    MIN_COPY_COLUMNS = 128 + 1      # columns of c from which copying a pays
    MIN_PACK_ROWS = 2 * 14 + 1      # rows of c from which packing b pays
    THIN_ROWS = 2 * 16              # rows of c per task of `gemm_thin`: whole vectors


cdef inline dim nr(int itemsize) noexcept nogil:
    """Return NR, the columns of a register tile: two vectors."""
    return 2 * lanes(itemsize)


cdef dim part_length(dim k, dim most) noexcept nogil:
    """Return the length of the parts of k: as equal as can be, of at most ``most``."""
    return blocks_of(k, blocks_of(k, most)) if k > 0 else 1


cdef inline dim panel_width(dim left, int itemsize) noexcept nogil:
    """Return the width of the panel that begins ``left`` columns before the end."""
    cdef dim vector = lanes(itemsize)
    cdef dim short = SHORT_LANES if itemsize == 4 and vector > SHORT_LANES else 0
    if left > vector + short:
        return nr(itemsize)
    return vector if left > short else short


cdef dim packed_width(dim n, int itemsize) noexcept nogil:
    """Return the sum of the widths of all panels: the numbers that `pack` writes per row of b."""
    cdef dim width = n // nr(itemsize) * nr(itemsize)
    while width < n:
        width += panel_width(n - width, itemsize)
    return width


cdef void count_by(dim step, dim n, dim* table) noexcept nogil:
    """table = 0, step, 2 step, ..."""
    cdef dim i
    for i in range(n):
        table[i] = i * step


cdef inline void copy_row(
    dim vectors, dim used, const real* b, real* to, anyvec* tag,
) noexcept nogil:
    """Copy a row of ``used`` columns, filled up with zeros to whole vectors."""
    cdef anyvec v
    cdef dim j, size = sizeof(anyvec) // sizeof(real)
    for j in range(vectors):
        vload_tail(v, b + j * size, used - j * size)
        vstore(to + j * size, v)


cdef inline void pack_row(const real* b, dim used, dim width, real* to) noexcept nogil:
    """to[j] = b[j], as wide as a panel."""
    if real is float:
        if width == nr(4):
            copy_row[real, vecf](2, used, b, to, NULL)
        elif width == lanes(4):
            copy_row[real, vecf](1, used, b, to, NULL)
        else:
            copy_row[real, shortf](1, used, b, to, NULL)
    else:
        if width == nr(8):
            copy_row[real, vecd](2, used, b, to, NULL)
        else:
            copy_row[real, vecd](1, used, b, to, NULL)


cdef inline void pack_columns(
    const real* b, dim step, dim k, dim used, dim width, real* packed,
) noexcept nogil:
    """packed[p, j] = b[j, p], as wide as a panel."""
    cdef dim p, j
    transpose_matrix(used, k, b, step, packed, width)
    for p in range(k if used < width else 0):
        for j in range(used, width):
            packed[p * width + j] = 0


cdef void pack(
    dim k, dim n, const real* b, dim row_step, dim column_step,     # one of the steps is 1
    real* packed,
) noexcept nogil:
    """Write b into panels; columns past n are zero."""
    cdef dim depth = part_length(k, KC), k0 = 0, j, p, width
    while k0 < k:
        depth = least(depth, k - k0)
        if column_step == 1:                # row by row, in the order of memory
            for p in range(depth):
                j = 0
                while j < n:
                    width = panel_width(n - j, sizeof(real))
                    pack_row(b + (k0 + p) * row_step + j, least(width, n - j), width,
                             packed + j * depth + p * width)
                    j += width
        else:
            j = 0
            while j < n:
                width = panel_width(n - j, sizeof(real))
                pack_columns(b + k0 + j * column_step, column_step, depth, least(width, n - j),
                             width, packed + j * depth)
                j += width
        packed += depth * packed_width(n, sizeof(real))
        k0 += depth


cdef inline void tile(
    dim rows, dim vectors,                      # literals at every call: the loops unroll
    dim k, dim chain, const real* a, const dim* row, const dim* step,
    const real* b, dim ldb,                     # first column of the tile
    real* c, const dim* out, dim columns,       # first column of the tile; columns inside c
    const real* bias, const real* drelu, int flags,
    anyvec* tag,
) noexcept nogil:
    """c[rows, columns] (+)= a[rows, k] b[k, columns] (+ bias), chain by chain."""
    cdef anyvec acc[MAX_MR][2]
    cdef anyvec sums[MAX_MR][2]
    cdef anyvec brow[2]
    cdef anyvec term, zero
    cdef const real* column
    cdef real* to
    cdef dim i, j, p = 0, end = chain, size = sizeof(anyvec) // sizeof(real), left
    if flags & ADD:
        for i in range(rows):
            for j in range(vectors):
                vprefetch(c + out[i] + j * size)
    while True:
        vzero(zero)
        for i in range(rows):
            for j in range(vectors):
                acc[i][j] = zero
        while True:
            column = a + step[p]
            for j in range(vectors):
                vload(brow[j], b + j * size)
            for i in range(rows):
                vfill(term, column[offset(row, i)])
                for j in range(vectors):
                    acc[i][j] = acc[i][j] + term * brow[j]
            b += ldb
            p += 1
            if p == end:
                break
        if end > chain:
            for i in range(rows):
                for j in range(vectors):
                    vload(term, <const real*> &sums[i][j])
                    acc[i][j] = term + acc[i][j]
        if end == k:
            break
        for i in range(rows):
            for j in range(vectors):
                vstore(<real*> &sums[i][j], acc[i][j])
        end = least(k, end + chain)
    if columns >= vectors * size:       # loop by loop, so that all are unrolled
        if (flags & ADD) or bias != NULL:
            for i in range(rows):
                for j in range(vectors):
                    vload(term, (c + out[i] if flags & ADD else bias) + j * size)
                    acc[i][j] = term + acc[i][j]
        vzero(zero)
        if flags & RELU:
            for i in range(rows):
                for j in range(vectors):
                    vrelu(acc[i][j], zero)
        if drelu != NULL:
            for i in range(rows):
                for j in range(vectors):
                    vload(term, drelu + out[i] + j * size)
                    vdrelu(acc[i][j], term, zero)
        for i in range(rows):
            for j in range(vectors):
                vstore(c + out[i] + j * size, acc[i][j])
        return
    vzero(zero)
    for j in range(vectors):
        left = columns - j * size
        for i in range(rows):
            to = c + out[i] + j * size
            if (flags & ADD) or bias != NULL:
                vload_tail(term, to if flags & ADD else bias + j * size, left)
                acc[i][j] = term + acc[i][j]
            if flags & RELU:
                vrelu(acc[i][j], zero)
            if drelu != NULL:
                vload_tail(term, drelu + out[i] + j * size, left)
                vdrelu(acc[i][j], term, zero)
            term = acc[i][j]            # vstore_tail takes an address: acc stays in registers
            vstore_tail(to, term, left)


cdef inline void column_of_tiles(
    dim vectors, dim m, dim k, dim chain, const real* a, const dim* row, const dim* step,
    const real* b, dim ldb, real* c, const dim* out, dim columns,
    const real* bias, const real* drelu, int flags, anyvec* tag,
) noexcept nogil:
    """Fill one panel of c from top to bottom: full tiles, then tiles of fewer rows."""
    cdef dim left = m, height
    while left > 0:
        if left >= MR and not (vectors == 1 and left == 16):    # else two rows remain: slow
            height = MR
            tile[real, anyvec](MR, vectors, k, chain, a, row, step, b, ldb, c, out, columns,
                               bias, drelu, flags, tag)
        elif left >= 8:
            height = 8
            tile[real, anyvec](8, vectors, k, chain, a, row, step, b, ldb, c, out, columns,
                               bias, drelu, flags, tag)
        elif left >= 4:
            height = 4
            tile[real, anyvec](4, vectors, k, chain, a, row, step, b, ldb, c, out, columns,
                               bias, drelu, flags, tag)
        elif left >= 2:
            height = 2
            tile[real, anyvec](2, vectors, k, chain, a, row, step, b, ldb, c, out, columns,
                               bias, drelu, flags, tag)
        else:
            height = 1
            tile[real, anyvec](1, vectors, k, chain, a, row, step, b, ldb, c, out, columns,
                               bias, drelu, flags, tag)
        row += height
        out += height
        left -= height


cdef inline void multiply_panel(
    dim m, dim k, dim chain, const real* a, const dim* row, const dim* step, const real* b, dim ldb,
    real* c, const dim* out, dim width, dim columns, const real* bias, const real* drelu, int flags,
) noexcept nogil:
    """Fill one panel of c with tiles as wide as the panel."""
    if real is float:
        if width == nr(4):
            column_of_tiles[real, vecf](2, m, k, chain, a, row, step, b, ldb, c, out, columns,
                                        bias, drelu, flags, NULL)
        elif width == lanes(4):
            column_of_tiles[real, vecf](1, m, k, chain, a, row, step, b, ldb, c, out, columns,
                                        bias, drelu, flags, NULL)
        else:
            column_of_tiles[real, shortf](1, m, k, chain, a, row, step, b, ldb, c, out, columns,
                                          bias, drelu, flags, NULL)
    else:
        if width == nr(8):
            column_of_tiles[real, vecd](2, m, k, chain, a, row, step, b, ldb, c, out, columns,
                                        bias, drelu, flags, NULL)
        else:
            column_of_tiles[real, vecd](1, m, k, chain, a, row, step, b, ldb, c, out, columns,
                                        bias, drelu, flags, NULL)


cdef void multiply(
    dim m, dim n, dim k,
    const real* a, const dim* row, const dim* step,     # a[i, p] at row[i] + step[p]
    const real* b, dim ldb,                             # by `pack` if ldb is 0, else as it is
    real* c, const dim* out,                            # c[i, j] at out[i] + j
    const real* bias,                                   # n numbers added to every row, or NULL
    const real* drelu,                                  # same layout as c, or NULL
    int flags,                                          # ADD (without bias), RELU
) noexcept nogil:
    """c[m, n] (+)= a[m, k] b[k, n] (+ bias), on the calling thread; k at least 1."""
    cdef real edge[KC * MAX_LANES]                      # the last columns of an unpacked b
    cdef dim depth = part_length(k, KC), chain, k0 = 0, j, p, width, used, step_b
    cdef const real* panel
    cdef const real* start
    cdef int part_flags
    while k0 < k:
        depth = least(depth, k - k0)
        chain = part_length(depth, CHAIN)
        part_flags = (flags & ~RELU) if k0 + depth < k else flags
        if k0 > 0:
            part_flags |= ADD
        j = 0
        while j < n:
            width = panel_width(n - j, sizeof(real))
            used = least(width, n - j)
            start = NULL if bias == NULL or k0 > 0 else bias + j
            if ldb == 0:
                panel, step_b = b, width
                b += width * depth
            elif used == width:
                panel, step_b = b + k0 * ldb + j, ldb
            else:
                width = least(width, lanes(sizeof(real)))
                used = least(used, width)
                panel, step_b = b + k0 * ldb + j, ldb
                if used < width:
                    for p in range(depth):
                        pack_row(panel + p * ldb, used, width, edge + p * width)
                    panel, step_b = edge, width
            multiply_panel(m, depth, chain, a, row, step + k0, panel, step_b, c + j, out,
                           width, used, start,
                           NULL if drelu == NULL or k0 + depth < k else drelu + j, part_flags)
            j += width
        k0 += depth


cdef void multiply_block(
    dim m, dim n, dim k,                                    # n at most NC
    const real* a, dim a_row, dim a_column, const real* b, dim b_row, dim b_column,
    real* c, dim ldc, const real* bias, const real* drelu, int flags,
    dim* tables, real* copy, real* panels,                  # workspace
) noexcept nogil:
    """One block of c: for each part of k pack b, copy rows of a where that pays, and multiply."""
    cdef dim* row = tables
    cdef dim* step = tables + MC
    cdef dim* out = tables + MC + KC
    cdef dim depth = part_length(k, KC), k0 = 0, i, i0, p, height
    cdef dim stride = a_row if a_column == 1 else a_column
    cdef bint copied = n >= MIN_COPY_COLUMNS or stride * sizeof(real) % 512 == 0
    cdef bint packed = m >= MIN_PACK_ROWS or b_column != 1
    cdef const real* left
    cdef int part_flags
    if a_column == 1:
        count_by(LDA if copied else a_row, least(m, MC), row)
        count_by(1, depth, step)
    else:
        count_by(1, least(m, MC), row)
        count_by(MC if copied else a_column, depth, step)
    count_by(ldc, least(m, MC), out)
    while k0 < k:
        depth = least(depth, k - k0)
        if packed:
            pack(depth, n, b + k0 * b_row, b_row, b_column, panels)
        part_flags = flags if k0 + depth == k else flags & ~RELU
        i0 = 0
        while i0 < m:
            height = least(MC, m - i0)
            left = a + i0 * a_row + k0 * a_column
            if copied and a_column == 1:
                for i in range(height):
                    memcpy(copy + i * LDA, left + i * a_row, depth * sizeof(real))
                left = copy
            elif copied:
                for p in range(depth):
                    memcpy(copy + p * MC, left + p * a_column, height * sizeof(real))
                left = copy
            multiply(height, n, depth, left, row, step, panels if packed else b + k0 * b_row,
                     0 if packed else b_row, c + i0 * ldc, out, bias if k0 == 0 else NULL,
                     drelu + i0 * ldc if drelu != NULL and k0 + depth == k else NULL,
                     part_flags | ADD if k0 > 0 else part_flags)
            i0 += height
        k0 += depth


cdef void empty_product(dim m, dim n, const real* bias, real* c) noexcept nogil:
    """c = 0 or bias: the product over an empty sum."""
    cdef dim i, j
    for i in range(m):
        for j in range(n):
            c[i * n + j] = 0 if bias == NULL else bias[j]


cdef int product(
    dim m, dim n, dim k,
    const real* a, bint trans_a, const real* b, bint trans_b,   # C-contiguous, as `gemm` has them
    real* c, const real* bias, const real* drelu, int flags,    # bias and drelu may be NULL
) except -1:
    """c = the product of a and b, with the flags and operands of `multiply`.

    Nothing may be empty.
    """
    cdef dim a_row = 1 if trans_a else k, a_column = m if trans_a else 1
    cdef dim b_row = 1 if trans_b else n, b_column = k if trans_b else 1
    cdef dim thin = gemm_thin_columns(m, n, k, sizeof(real)), wide = n - thin
    cdef dim panel = nr(sizeof(real)), rows = m, columns = NC, column_blocks, i, j
    cdef dim tables = (2 * MC + KC) * sizeof(dim), space, task
    cdef int threads = threads_for(<double> m * n * k * sizeof(real) / 200)
    cdef Buffer workspace
    cdef char* mine
    cdef real* last
    if real is float:
        if m == 1 and not trans_b:
            for task in prange(blocks_of(n, gemm_thin_row_width()), nogil=True, schedule="static",
                               num_threads=threads):
                j = task * gemm_thin_row_width()
                gemm_thin_row(least(gemm_thin_row_width(), n - j), k, a, b + j, n, c + j,
                              NULL if bias == NULL else bias + j,
                              NULL if drelu == NULL else drelu + j, flags)
            return 0
    # the number of threads decides which of them computes an entry, not its value
    if m >= 2 * MR * threads:
        rows = blocks_of(blocks_of(m, MR), threads) * MR
    else:
        columns = least(NC, blocks_of(blocks_of(n, panel), threads) * panel)
    columns = least(columns, blocks_of(n, panel) * panel)
    column_blocks = blocks_of(wide, columns)
    space = tables + (LDA * MC + KC * columns) * sizeof(real)
    workspace = Buffer(
        <double> threads * space + (<double> gemm_thin_space(k) * sizeof(real) if thin > 0 else 0))
    last = <real*> (<char*> workspace.memory + threads * space)
    if real is float:
        if thin > 0:
            gemm_thin_pack(thin, k, b + wide * b_column, b_row, b_column, a_column != 1, last)
    with nogil, parallel(num_threads=threads):
        mine = <char*> workspace.memory + threadid() * space
        for task in prange(blocks_of(m, rows) * column_blocks, schedule="static"):
            i = task // column_blocks * rows
            j = task % column_blocks * columns
            multiply_block(
                least(rows, m - i), least(columns, wide - j), k,
                a + i * a_row, a_row, a_column, b + j * b_column, b_row, b_column,
                c + i * n + j, n, NULL if bias == NULL else bias + j,
                NULL if drelu == NULL else drelu + i * n + j, flags,
                <dim*> mine, <real*> (mine + tables), <real*> (mine + tables) + LDA * MC)
        if real is float:
            for task in prange(blocks_of(m, THIN_ROWS) if thin > 0 else 0, schedule="static"):
                i = task * THIN_ROWS
                gemm_thin_multiply(
                    least(THIN_ROWS, m - i), thin, k, a + i * a_row, a_row, a_column, last,
                    c + i * n + wide, n, NULL if bias == NULL else bias + wide,
                    NULL if drelu == NULL else drelu + i * n + wide, flags)
    return 0


def gemm(
    const real[:, ::1] a,           # in   (m, k), or (k, m) if trans_a
    const real[:, ::1] b,           # in   (k, n), or (n, k) if trans_b
    real[:, ::1] c,                 # out  (m, n)
    const real[::1] bias=None,      # in   (n,), added to every row; not with accumulate
    bint trans_a=False, bint trans_b=False,
    bint accumulate=False,          # add to c; otherwise overwrite it
    bint relu=False,                # in the end, turn negative results into 0
    const real[:, ::1] drelu=None,  # in   (m, n), c = 0 where drelu <= 0 or NaN
):
    """Write or add the matrix product of ``a`` and ``b`` to ``c``."""
    cdef FloatMode _mode = flush_denormals()
    cdef dim m = c.shape[0], n = c.shape[1], k = a.shape[0] if trans_a else a.shape[1]
    if ((a.shape[1] if trans_a else a.shape[0]) != m or (b.shape[1] if trans_b else b.shape[0]) != k
            or (b.shape[0] if trans_b else b.shape[1]) != n
            or (bias is not None and (accumulate or bias.shape[0] != n))
            or (drelu is not None and (drelu.shape[0] != m or drelu.shape[1] != n))):
        raise ValueError("a, b, c, bias and drelu do not belong to one product")
    if m == 0 or n == 0:
        return
    if k > 0:
        product(m, n, k, &a[0, 0], trans_a, &b[0, 0], trans_b, &c[0, 0],
                NULL if bias is None else &bias[0], NULL if drelu is None else &drelu[0, 0],
                (ADD if accumulate else 0) | (RELU if relu else 0))
    elif not accumulate:
        empty_product(m, n, NULL if bias is None else &bias[0], &c[0, 0])
