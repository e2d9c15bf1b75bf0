"""Matrix product c = a b on one core's registers and caches, shared out by blocks of c.

The scheme of Goto and van de Geijn ("Anatomy of high-performance matrix multiplication", ACM
TOMS 34(3), 2008). `tile` holds TILE_ROWS x 2 vectors of c in registers and walks along k, one row
of b at a time. b is packed into panels as wide as a tile, so that this row is contiguous:

    packed = [chain of k][panel of 2 vectors of columns][row of the chain][column of the panel]

The sum over k is cut into chains of at most CHAIN products, added up in order: one long chain of
float32 products errs ten times more. The cut depends on k alone, and every entry of c is the work
of one thread, so the result does not depend on how many there are.

    m, n, k   rows of c, columns of c, length of the sum     ldc   step from row to row of c
"""
from cython.parallel cimport parallel, prange, threadid
from libc.string cimport memcpy

from cnn_core.simd cimport TILE_ROWS, VBYTES, line_free, line_malloc, vec, vecd, vecf, vload, vstore
from cnn_core.simd cimport vfill
from cnn_core.threads cimport threads_for
from cnn_core.types cimport blocks_of, dim, least, real

# ROWS and COLUMNS make a block of c, the share of work of a thread: with one chain its operands
# fill a fifth of a 1 MB second-level cache. LD is the step between packed rows of a: a power of
# two would put all rows of a tile into one set of the first-level cache.
cdef enum:
    ROWS = 112
    COLUMNS = 256
    LD = CHAIN + 16


cdef inline dim lanes(int itemsize) noexcept nogil:
    return VBYTES // itemsize


cdef dim chain_length(dim k) noexcept nogil:
    """Return the length of a chain: k in equal parts of at most CHAIN products."""
    return blocks_of(k, blocks_of(k, CHAIN)) if k > 0 else 1


cdef dim packed_size(dim k, dim n, int itemsize) noexcept nogil:
    """Return how many elements `pack` writes for a (k, n) matrix."""
    return k * blocks_of(n, lanes(itemsize)) * lanes(itemsize)


cdef void pack(
    dim k, dim n, const real* b, dim row_step, dim column_step,     # b[p, j] at p, j times steps
    real* packed,
) noexcept nogil:
    """Write b into panels; columns past n, up to a full vector, are zero."""
    cdef dim vector = lanes(sizeof(real)), chain = chain_length(k), k0 = 0, j0, width, used, p, j
    cdef const real* row
    while k0 < k:
        chain = least(chain, k - k0)
        j0 = 0
        while j0 < n:
            width = 2 * vector if n - j0 > vector else vector
            used = least(width, n - j0)
            for p in range(k0, k0 + chain):
                row = b + p * row_step + j0 * column_step
                if column_step == 1:
                    memcpy(packed, row, used * sizeof(real))
                else:
                    for j in range(used):
                        packed[j] = row[j * column_step]
                for j in range(used, width):
                    packed[j] = 0
                packed += width
            j0 += width
        k0 += chain


cdef inline void tile(
    dim rows, dim vectors,                      # literals at every call: the loops unroll
    dim k, const real* a, dim row_step, dim column_step,
    const real* b,                              # one panel: k rows of `vectors` vectors
    real* c, dim ldc, dim columns,              # columns of c inside the panel
    const real* bias, bint accumulate,
    vec* lane,                                  # NULL: only names the vector type
) noexcept nogil:
    """c[rows, columns] (+)= a[rows, k] b[k, columns] (+ bias), one chain of k."""
    cdef vec acc[14][2]
    cdef vec row[2]
    cdef vec term
    cdef real edge[16]         # the widest vector
    cdef real* out
    cdef dim i, j, p, q, size = lanes(sizeof(real))
    for i in range(rows):
        for j in range(vectors):
            vfill(acc[i][j], 0)
    for p in range(k):
        for j in range(vectors):
            vload(row[j], b + j * size)
        for i in range(rows):
            vfill(term, a[i * row_step + p * column_step])
            for j in range(vectors):
                acc[i][j] = acc[i][j] + term * row[j]
        b += vectors * size
    for i in range(rows):
        out = c + i * ldc
        for j in range(vectors):
            if columns >= (j + 1) * size:
                if accumulate:
                    vload(term, out + j * size)
                    acc[i][j] = term + acc[i][j]
                elif bias != NULL:
                    vload(term, bias + j * size)
                    acc[i][j] = term + acc[i][j]
                vstore(out + j * size, acc[i][j])
            else:                               # the last vector of a row of c, in part
                vstore(edge, acc[i][j])
                for q in range(columns - j * size):
                    if accumulate:
                        edge[q] = out[j * size + q] + edge[q]
                    elif bias != NULL:
                        edge[q] = bias[j * size + q] + edge[q]
                    out[j * size + q] = edge[q]


cdef inline void column_of_tiles(
    dim vectors, dim m, dim k, const real* a, dim row_step, dim column_step, const real* b,
    real* c, dim ldc, dim columns, const real* bias, bint accumulate, vec* lane,
) noexcept nogil:
    """Fill one panel of c, top to bottom: full tiles, then ever lower ones."""
    cdef dim i = 0, left
    while i < m:
        left = m - i
        if left >= TILE_ROWS:
            tile(TILE_ROWS, vectors, k, a, row_step, column_step, b, c, ldc, columns, bias,
                 accumulate, lane)
            left = TILE_ROWS
        elif left >= 8:
            tile(8, vectors, k, a, row_step, column_step, b, c, ldc, columns, bias,
                 accumulate, lane)
            left = 8
        elif left >= 4:
            tile(4, vectors, k, a, row_step, column_step, b, c, ldc, columns, bias,
                 accumulate, lane)
            left = 4
        elif left >= 2:
            tile(2, vectors, k, a, row_step, column_step, b, c, ldc, columns, bias,
                 accumulate, lane)
            left = 2
        else:
            tile(1, vectors, k, a, row_step, column_step, b, c, ldc, columns, bias,
                 accumulate, lane)
            left = 1
        a += left * row_step
        c += left * ldc
        i += left


cdef inline void sweep(
    dim m, dim n, dim k, const real* a, dim row_step, dim column_step, const real* packed,
    real* c, dim ldc, const real* bias, bint accumulate, vec* lane,
) noexcept nogil:
    """Do the work of `multiply`; one of the two steps of a is the literal 1."""
    cdef dim size = lanes(sizeof(real)), chain = chain_length(k), k0 = 0, j
    cdef const real* start
    cdef bint add
    while k0 < k:
        chain = least(chain, k - k0)
        add = accumulate or k0 > 0
        j = 0
        while j < n:
            start = NULL if bias == NULL else bias + j
            if n - j > size:
                column_of_tiles(2, m, chain, a, row_step, column_step, packed, c + j, ldc,
                                least(2 * size, n - j), start, add, lane)
                packed += 2 * size * chain
                j += 2 * size
            else:
                column_of_tiles(1, m, chain, a, row_step, column_step, packed, c + j, ldc,
                                least(size, n - j), start, add, lane)
                packed += size * chain
                j += size
        a += chain * column_step
        k0 += chain


cdef void multiply(
    dim m, dim n, dim k,
    const real* a, dim row_step, dim column_step,   # a[i, p]; one of the steps is 1
    const real* packed,                             # b, by `pack`
    real* c, dim ldc,
    const real* bias,                               # n numbers added to every row, or NULL
    bint accumulate,                                # add to c (without bias); otherwise overwrite
) noexcept nogil:
    """c[m, n] (+)= a[m, k] b[k, n] (+ bias), on the calling thread; k at least 1."""
    if real is float:
        if column_step == 1:
            sweep(m, n, k, a, row_step, 1, packed, c, ldc, bias, accumulate, <vecf*> NULL)
        else:
            sweep(m, n, k, a, 1, column_step, packed, c, ldc, bias, accumulate, <vecf*> NULL)
    else:
        if column_step == 1:
            sweep(m, n, k, a, row_step, 1, packed, c, ldc, bias, accumulate, <vecd*> NULL)
        else:
            sweep(m, n, k, a, 1, column_step, packed, c, ldc, bias, accumulate, <vecd*> NULL)


cdef void block(
    dim m, dim n, dim k,                                    # at most ROWS and COLUMNS, any k
    const real* a, dim a_row, dim a_column, const real* b, dim b_row, dim b_column,
    real* c, dim ldc, const real* bias, bint accumulate,
    real* rows, real* panels,                               # workspace
) noexcept nogil:
    """One block of c: chain by chain, copy the rows of a, pack b, multiply."""
    cdef dim chain = chain_length(k), k0 = 0, i, p
    while k0 < k:
        chain = least(chain, k - k0)
        pack(chain, n, b + k0 * b_row, b_row, b_column, panels)
        if a_column == 1:
            for i in range(m):
                memcpy(rows + i * LD, a + i * a_row + k0, chain * sizeof(real))
            multiply(m, n, chain, rows, LD, 1, panels, c, ldc, bias, accumulate or k0 > 0)
        else:
            for p in range(chain):
                memcpy(rows + p * ROWS, a + (k0 + p) * a_column, m * sizeof(real))
            multiply(m, n, chain, rows, 1, ROWS, panels, c, ldc, bias, accumulate or k0 > 0)
        k0 += chain


cdef void start_from(dim m, dim n, const real* bias, real* c) noexcept nogil:
    """c = 0 or bias: the product over an empty sum."""
    cdef dim i, j
    for i in range(m):
        for j in range(n):
            c[i * n + j] = 0 if bias == NULL else bias[j]


def gemm(
    const real[:, ::1] a,           # in   (m, k), or (k, m) if trans_a
    const real[:, ::1] b,           # in   (k, n), or (n, k) if trans_b
    real[:, ::1] c,                 # out  (m, n)
    const real[::1] bias=None,      # in   (n,), added to every row; not with accumulate
    bint trans_a=False, bint trans_b=False,
    bint accumulate=False,          # add to c; otherwise overwrite it
):
    """Write or add the matrix product of ``a`` and ``b`` to ``c``."""
    cdef dim m = c.shape[0], n = c.shape[1], k = a.shape[0] if trans_a else a.shape[1]
    cdef dim a_row = 1 if trans_a else k, a_column = m if trans_a else 1
    cdef dim b_row = 1 if trans_b else n, b_column = k if trans_b else 1
    cdef dim row_blocks, column_blocks, rows = ROWS, unit, i, j
    cdef dim space = LD * ROWS + CHAIN * COLUMNS
    cdef const real* start = NULL
    cdef real* workspace
    cdef real* mine
    cdef int threads = threads_for(<double> m * n * k * sizeof(real) / 200)
    if ((a.shape[1] if trans_a else a.shape[0]) != m or (b.shape[1] if trans_b else b.shape[0]) != k
            or (b.shape[0] if trans_b else b.shape[1]) != n
            or (bias is not None and (accumulate or bias.shape[0] != n))):
        raise ValueError("a, b, c and bias do not belong to one product")
    if m == 0 or n == 0:
        return
    if bias is not None:
        start = &bias[0]
    if k == 0:
        if not accumulate:
            start_from(m, n, start, &c[0, 0])
        return
    while rows > 2 * TILE_ROWS and blocks_of(m, rows) * blocks_of(n, COLUMNS) < 2 * threads:
        rows -= TILE_ROWS          # smaller blocks: only who computes an entry depends on this
    row_blocks = blocks_of(m, rows)
    column_blocks = blocks_of(n, COLUMNS)
    workspace = <real*> line_malloc(threads * space * sizeof(real))
    if workspace == NULL:
        raise MemoryError("no memory for the workspace of a matrix product")
    with nogil, parallel(num_threads=threads):
        mine = workspace + threadid() * space
        for unit in prange(row_blocks * column_blocks, schedule="static"):
            i = unit // column_blocks * rows
            j = unit % column_blocks * COLUMNS
            block(least(rows, m - i), least(COLUMNS, n - j), k,
                  &a[0, 0] + i * a_row, a_row, a_column, &b[0, 0] + j * b_column, b_row, b_column,
                  &c[i, j], n, NULL if start == NULL else start + j, accumulate,
                  mine, mine + LD * ROWS)
    line_free(workspace)
