"""Matrix product c = a b on one core's registers and caches, shared out by blocks of c.

The scheme of Goto and van de Geijn ("Anatomy of high-performance matrix multiplication", ACM
TOMS 34(3), 2008). `tile` holds TILE_ROWS x 2 vectors of c in registers and walks along k, one row
of b at a time. b is packed into panels as wide as a tile, so that this row is contiguous:

    packed = [part of k][panel of 2 vectors of columns][row of the part][column of the panel]

where the last panel may be one vector wide, or a short vector of four floats. (In a product of
whole matrices, whose steps are regular, `narrow` sees to so few last columns.)

a is read through two tables: a[i, p] lies at row[i] + step[p]. With i counting places of a window
and p the entries under it, this is a convolution without a column matrix (Dukhan, "The indirect
convolution algorithm", 2019, arXiv:1907.02129), the other way round it is the gradient of its
weights; see `conv`. The rows of c have a table as well. The lookups cost nothing: they run while
the multiply-adds wait for each other.

The sum over k is cut into parts of at most DEPTH rows of b, which go over c one after the other,
and these into chains of at most CHAIN products. Chains are added up in order: one long chain of
float32 products errs ten times more. The cuts depend on k alone, and every entry of c is the work
of one thread, so the result does not depend on how many there are.

    m, n, k   rows of c, columns of c, length of the sum     ldb   step from row to row of b
"""
from cython.parallel cimport parallel, prange, threadid
from libc.string cimport memcpy

from cnn_core.memory cimport Buffer
from cnn_core.gemm_thin cimport narrow_columns, narrow_multiply, narrow_pack, narrow_space
from cnn_core.gemm_thin cimport row_multiply, row_width
from cnn_core.simd cimport TILE_ROWS, VBYTES, anyvec, offset, shortf, vdrelu, vecd, vecf
from cnn_core.simd cimport vfill, vload, vload_some, vprefetch, vrelu, vstore, vstore_some
from cnn_core.simd cimport vzero
from cnn_core.threads cimport threads_for
from cnn_core.transpose cimport transpose_matrix
from cnn_core.types cimport blocks_of, dim, least, real

# ROWS rows of a are multiplied at a time by up to COLUMNS columns of b: the former stay in the
# second-level cache, panels of the latter come from the third. LD is the step between copied rows
# of a: a power of two would put all rows of a tile into one set of the first-level cache. Copying
# pays from more than COPIED columns on; packing b does not with FEW rows.
cdef enum:
    ROWS = 8 * 14
    COLUMNS = 1024
    LD = DEPTH + 16
    FEW = 2 * 14
    SOME = 2 * 16       # rows of c whose last columns are one share of work: whole vectors
    COPIED = 128
    SHORT = 4           # floats in a short vector


cdef inline dim lanes(int itemsize) noexcept nogil:
    return VBYTES // itemsize


cdef dim part_length(dim k, dim most) noexcept nogil:
    """Return the length of the parts of k: as equal as can be, of at most ``most``."""
    return blocks_of(k, blocks_of(k, most)) if k > 0 else 1


cdef inline dim panel_width(dim left, int itemsize) noexcept nogil:
    """Return the width of the panel that begins ``left`` columns before the end."""
    cdef dim vector = lanes(itemsize), short = SHORT if itemsize == 4 and vector > SHORT else 0
    if left > vector + short:
        return 2 * vector
    return vector if left > short else short


cdef dim packed_width(dim n, int itemsize) noexcept nogil:
    """Return the sum of the widths of all panels: `pack` writes so many numbers per row of b."""
    cdef dim width = n // (2 * lanes(itemsize)) * 2 * lanes(itemsize)
    while width < n:
        width += panel_width(n - width, itemsize)
    return width


cdef void count_by(dim step, dim n, dim* table) noexcept nogil:
    """table = 0, step, 2 step, ..."""
    cdef dim i
    for i in range(n):
        table[i] = i * step


cdef inline void some(const real* at, dim left, anyvec* v) noexcept nogil:
    """v = the columns at ``at`` that are left in the matrix, then zeros."""
    if left >= <dim> (sizeof(anyvec) // sizeof(real)):
        vload(v[0], at)
    else:
        vload_some(v[0], at, left)


cdef inline void copy_row(
    dim vectors, dim used, const real* b, real* to, anyvec* lane,
) noexcept nogil:
    """Copy a row of ``used`` columns, filled up with zeros to whole vectors."""
    cdef anyvec v
    cdef dim j, size = sizeof(anyvec) // sizeof(real)
    for j in range(vectors):
        some[real, anyvec](b + j * size, used - j * size, &v)
        vstore(to + j * size, v)


cdef inline void pack_row(const real* b, dim used, dim width, real* to) noexcept nogil:
    """to[j] = b[j], as wide as a panel."""
    if real is float:
        if width == 2 * lanes(4):
            copy_row[real, vecf](2, used, b, to, NULL)
        elif width == lanes(4):
            copy_row[real, vecf](1, used, b, to, NULL)
        else:
            copy_row[real, shortf](1, used, b, to, NULL)
    else:
        if width == 2 * lanes(8):
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
    cdef dim depth = part_length(k, DEPTH), k0 = 0, j, p, width
    while k0 < k:
        depth = least(depth, k - k0)
        if column_step == 1:                # row by row, as they lie in memory
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
    real* c, const dim* out, dim columns,       # likewise; columns inside the matrix
    const real* bias, const real* gate, int how,
    anyvec* lane,                               # NULL: only names the vector type
) noexcept nogil:
    """c[rows, columns] (+)= a[rows, k] b[k, columns] (+ bias), chain by chain."""
    cdef anyvec acc[14][2]
    cdef anyvec sums[14][2]
    cdef anyvec brow[2]
    cdef anyvec term, zero
    cdef const real* column
    cdef real* to
    cdef dim i, j, p = 0, end = chain, size = sizeof(anyvec) // sizeof(real), left
    if how & ADD:
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
        if (how & ADD) or bias != NULL:
            for i in range(rows):
                for j in range(vectors):
                    vload(term, (c + out[i] if how & ADD else bias) + j * size)
                    acc[i][j] = term + acc[i][j]
        vzero(zero)
        if how & RELU:
            for i in range(rows):
                for j in range(vectors):
                    vrelu(acc[i][j], zero)
        if gate != NULL:
            for i in range(rows):
                for j in range(vectors):
                    vload(term, gate + out[i] + j * size)
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
            if (how & ADD) or bias != NULL:
                some[real, anyvec](to if how & ADD else bias + j * size, left, &term)
                acc[i][j] = term + acc[i][j]
            if how & RELU:
                vrelu(acc[i][j], zero)
            if gate != NULL:
                some[real, anyvec](gate + out[i] + j * size, left, &term)
                vdrelu(acc[i][j], term, zero)
            if left >= size:
                vstore(to, acc[i][j])
            else:
                term = acc[i][j]        # whose address may be taken
                vstore_some(to, term, left)


cdef inline void column_of_tiles(
    dim vectors, dim m, dim k, dim chain, const real* a, const dim* row, const dim* step,
    const real* b, dim ldb, real* c, const dim* out, dim columns,
    const real* bias, const real* gate, int how, anyvec* lane,
) noexcept nogil:
    """Fill one panel of c, top to bottom: full tiles, then ever lower ones."""
    cdef dim left = m, height
    while left > 0:
        if left >= TILE_ROWS and not (vectors == 1 and left == 16):     # two rows would only wait
            height = TILE_ROWS
            tile[real, anyvec](TILE_ROWS, vectors, k, chain, a, row, step, b, ldb, c, out, columns,
                               bias, gate, how, lane)
        elif left >= 8:
            height = 8
            tile[real, anyvec](8, vectors, k, chain, a, row, step, b, ldb, c, out, columns,
                               bias, gate, how, lane)
        elif left >= 4:
            height = 4
            tile[real, anyvec](4, vectors, k, chain, a, row, step, b, ldb, c, out, columns,
                               bias, gate, how, lane)
        elif left >= 2:
            height = 2
            tile[real, anyvec](2, vectors, k, chain, a, row, step, b, ldb, c, out, columns,
                               bias, gate, how, lane)
        else:
            height = 1
            tile[real, anyvec](1, vectors, k, chain, a, row, step, b, ldb, c, out, columns,
                               bias, gate, how, lane)
        row += height
        out += height
        left -= height


cdef inline void sweep(
    dim m, dim k, dim chain, const real* a, const dim* row, const dim* step, const real* b, dim ldb,
    real* c, const dim* out, dim width, dim columns, const real* bias, const real* gate, int how,
) noexcept nogil:
    """Fill one panel of c with tiles of its width."""
    if real is float:
        if width == 2 * lanes(4):
            column_of_tiles[real, vecf](2, m, k, chain, a, row, step, b, ldb, c, out, columns,
                                        bias, gate, how, NULL)
        elif width == lanes(4):
            column_of_tiles[real, vecf](1, m, k, chain, a, row, step, b, ldb, c, out, columns,
                                        bias, gate, how, NULL)
        else:
            column_of_tiles[real, shortf](1, m, k, chain, a, row, step, b, ldb, c, out, columns,
                                          bias, gate, how, NULL)
    else:
        if width == 2 * lanes(8):
            column_of_tiles[real, vecd](2, m, k, chain, a, row, step, b, ldb, c, out, columns,
                                        bias, gate, how, NULL)
        else:
            column_of_tiles[real, vecd](1, m, k, chain, a, row, step, b, ldb, c, out, columns,
                                        bias, gate, how, NULL)


cdef void multiply(
    dim m, dim n, dim k,
    const real* a, const dim* row, const dim* step,     # a[i, p] at row[i] + step[p]
    const real* b, dim ldb,                             # by `pack` if ldb is 0, else as it is
    real* c, const dim* out,                            # c[i, j] at out[i] + j
    const real* bias,                                   # n numbers added to every row, or NULL
    const real* gate,                                   # lies like c: 0 where it is not above 0
    int how,                                            # ADD (without bias), RELU
) noexcept nogil:
    """c[m, n] (+)= a[m, k] b[k, n] (+ bias), on the calling thread; k at least 1."""
    cdef real edge[DEPTH * 16]                          # the last columns of an unpacked b
    cdef dim depth = part_length(k, DEPTH), chain, k0 = 0, j, p, width, used, step_b
    cdef const real* panel
    cdef const real* start
    cdef int now
    while k0 < k:
        depth = least(depth, k - k0)
        chain = part_length(depth, CHAIN)
        now = (how & ~RELU) if k0 + depth < k else how
        if k0 > 0:
            now |= ADD
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
            sweep(m, depth, chain, a, row, step + k0, panel, step_b, c + j, out, width, used,
                  start, NULL if gate == NULL or k0 + depth < k else gate + j, now)
            j += width
        k0 += depth


cdef void block(
    dim m, dim n, dim k,                                    # n at most COLUMNS
    const real* a, dim a_row, dim a_column, const real* b, dim b_row, dim b_column,
    real* c, dim ldc, const real* bias, const real* gate, int how,
    dim* tables, real* rows, real* panels,                  # workspace
) noexcept nogil:
    """One block of c: depth by depth pack b, then copy rows of a where that pays and multiply."""
    cdef dim* row = tables
    cdef dim* step = tables + ROWS
    cdef dim* out = tables + ROWS + DEPTH
    cdef dim depth = part_length(k, DEPTH), k0 = 0, i, i0, p, some
    cdef dim apart = a_row if a_column == 1 else a_column
    cdef bint copied = n > COPIED or apart * sizeof(real) % 512 == 0
    cdef bint packed = m > FEW or b_column != 1
    cdef const real* left
    cdef int now
    if a_column == 1:
        count_by(LD if copied else a_row, least(m, ROWS), row)
        count_by(1, depth, step)
    else:
        count_by(1, least(m, ROWS), row)
        count_by(ROWS if copied else a_column, depth, step)
    count_by(ldc, least(m, ROWS), out)
    while k0 < k:
        depth = least(depth, k - k0)
        if packed:
            pack(depth, n, b + k0 * b_row, b_row, b_column, panels)
        now = how if k0 + depth == k else how & ~RELU
        i0 = 0
        while i0 < m:
            some = least(ROWS, m - i0)
            left = a + i0 * a_row + k0 * a_column
            if copied and a_column == 1:
                for i in range(some):
                    memcpy(rows + i * LD, left + i * a_row, depth * sizeof(real))
                left = rows
            elif copied:
                for p in range(depth):
                    memcpy(rows + p * ROWS, left + p * a_column, some * sizeof(real))
                left = rows
            multiply(some, n, depth, left, row, step, panels if packed else b + k0 * b_row,
                     0 if packed else b_row, c + i0 * ldc, out, bias if k0 == 0 else NULL,
                     gate + i0 * ldc if gate != NULL and k0 + depth == k else NULL,
                     now | ADD if k0 > 0 else now)
            i0 += some
        k0 += depth


cdef void start_from(dim m, dim n, const real* bias, real* c) noexcept nogil:
    """c = 0 or bias: the product over an empty sum."""
    cdef dim i, j
    for i in range(m):
        for j in range(n):
            c[i * n + j] = 0 if bias == NULL else bias[j]


cdef int product(
    dim m, dim n, dim k,
    const real* a, bint trans_a, const real* b, bint trans_b,   # C-contiguous, as `gemm` has them
    real* c, const real* bias, const real* gate, int how,       # bias and gate may be NULL
) except -1:
    """c = the product of a and b, with what `multiply` does besides; threads share out blocks.

    Nothing may be empty.
    """
    cdef dim a_row = 1 if trans_a else k, a_column = m if trans_a else 1
    cdef dim b_row = 1 if trans_b else n, b_column = k if trans_b else 1
    cdef dim narrow = narrow_columns(m, n, k, sizeof(real)), wide = n - narrow
    cdef dim panel = 2 * lanes(sizeof(real)), rows = m, columns = COLUMNS, column_blocks, i, j
    cdef dim tables = (2 * ROWS + DEPTH) * sizeof(dim), space, unit
    cdef int threads = threads_for(<double> m * n * k * sizeof(real) / 200)
    cdef Buffer workspace
    cdef char* mine
    cdef real* last
    if real is float:
        if m == 1 and not trans_b:
            for unit in prange(blocks_of(n, row_width()), nogil=True, schedule="static",
                               num_threads=threads):
                j = unit * row_width()
                row_multiply(least(row_width(), n - j), k, a, b + j, n, c + j,
                             NULL if bias == NULL else bias + j,
                             NULL if gate == NULL else gate + j, how)
            return 0
    # only who computes an entry depends on the threads
    if m >= 2 * TILE_ROWS * threads:
        rows = blocks_of(blocks_of(m, TILE_ROWS), threads) * TILE_ROWS
    else:
        columns = least(COLUMNS, blocks_of(blocks_of(n, panel), threads) * panel)
    columns = least(columns, blocks_of(n, panel) * panel)
    column_blocks = blocks_of(wide, columns)
    space = tables + (LD * ROWS + DEPTH * columns) * sizeof(real)
    workspace = Buffer(threads * space + (narrow_space(k) * sizeof(real) if narrow > 0 else 0))
    last = <real*> (<char*> workspace.memory + threads * space)
    if real is float:
        if narrow > 0:
            narrow_pack(narrow, k, b + wide * b_column, b_row, b_column, a_column != 1, last)
    with nogil, parallel(num_threads=threads):
        mine = <char*> workspace.memory + threadid() * space
        for unit in prange(blocks_of(m, rows) * column_blocks, schedule="static"):
            i = unit // column_blocks * rows
            j = unit % column_blocks * columns
            block(least(rows, m - i), least(columns, wide - j), k,
                  a + i * a_row, a_row, a_column, b + j * b_column, b_row, b_column,
                  c + i * n + j, n, NULL if bias == NULL else bias + j,
                  NULL if gate == NULL else gate + i * n + j, how,
                  <dim*> mine, <real*> (mine + tables), <real*> (mine + tables) + LD * ROWS)
        if real is float:
            for unit in prange(blocks_of(m, SOME) if narrow > 0 else 0, schedule="static"):
                i = unit * SOME
                narrow_multiply(
                    least(SOME, m - i), narrow, k, a + i * a_row, a_row, a_column, last,
                    c + i * n + wide, n, NULL if bias == NULL else bias + wide,
                    NULL if gate == NULL else gate + i * n + wide, how)
    return 0


def gemm(
    const real[:, ::1] a,           # in   (m, k), or (k, m) if trans_a
    const real[:, ::1] b,           # in   (k, n), or (n, k) if trans_b
    real[:, ::1] c,                 # out  (m, n)
    const real[::1] bias=None,      # in   (n,), added to every row; not with accumulate
    bint trans_a=False, bint trans_b=False,
    bint accumulate=False,          # add to c; otherwise overwrite it
    bint relu=False,                # in the end, turn negative results into 0
    const real[:, ::1] gate=None,   # in   (m, n), results become 0 where it is not above 0
):
    """Write or add the matrix product of ``a`` and ``b`` to ``c``."""
    cdef dim m = c.shape[0], n = c.shape[1], k = a.shape[0] if trans_a else a.shape[1]
    if ((a.shape[1] if trans_a else a.shape[0]) != m or (b.shape[1] if trans_b else b.shape[0]) != k
            or (b.shape[0] if trans_b else b.shape[1]) != n
            or (bias is not None and (accumulate or bias.shape[0] != n))
            or (gate is not None and (gate.shape[0] != m or gate.shape[1] != n))):
        raise ValueError("a, b, c, bias and gate do not belong to one product")
    if m == 0 or n == 0:
        return
    if k > 0:
        product(m, n, k, &a[0, 0], trans_a, &b[0, 0], trans_b, &c[0, 0],
                NULL if bias is None else &bias[0], NULL if gate is None else &gate[0, 0],
                (ADD if accumulate else 0) | (RELU if relu else 0))
    elif not accumulate:
        start_from(m, n, NULL if bias is None else &bias[0], &c[0, 0])
