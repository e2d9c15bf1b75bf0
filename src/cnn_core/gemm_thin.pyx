"""Thin float32 matrix products: one row, and the last one to four columns of any other.

A register tile of `gemm` takes as long for four columns as for sixteen. Here no lane of a vector is
idle: vectors lie along the sum, or along the rows of c where a is transposed. The sums of the lanes
are added in one order, each over chains of at most CHAIN products. A register tile of one row has
two sums, and each addition waits for the one before; here there are ROW_VECTORS sums.

    m, columns, k   rows and columns of c, length of the sum
    packed          b transposed, (columns, k filled up with zeros); where a is transposed,
                    b as it is, (k, MAX_COLUMNS)
"""
from libc.string cimport memset

from cnn_core.gemm cimport ADD, CHAIN, RELU
from cnn_core.simd cimport MAX_LANES, SHORT_LANES, lanes, shortf, transpose_4x4, vdrelu, vecf, vfill
from cnn_core.simd cimport vload, vload_tail, vrelu, vstore, vstore_tail
from cnn_core.types cimport blocks_of, dim, least

cdef enum:
    MAX_COLUMNS = SHORT_LANES   # one short vector holds them
    ROW_VECTORS = 8             # vectors of a row at a time: enough loads in flight


cdef dim gemm_thin_columns(dim m, dim n, dim k, dim itemsize) noexcept nogil:
    """Return how many of the last of n columns this module computes: 0 if m or k is small."""
    cdef dim vector = lanes(4), left = n % vector
    if itemsize > 4 or vector <= MAX_COLUMNS or left > MAX_COLUMNS or m < vector or k < vector:
        return 0
    return left


cdef dim gemm_thin_row_width() noexcept nogil:
    """Return the columns of a row per task."""
    return ROW_VECTORS * lanes(4)


cdef dim gemm_thin_space(dim k) noexcept nogil:
    """Return the numbers that `gemm_thin_pack` writes."""
    return MAX_COLUMNS * blocks_of(k, lanes(4)) * lanes(4)


cdef void gemm_thin_pack(
    dim columns, dim k, const float* b, dim b_row, dim b_column,
    bint trans_a,                               # a's step from column to column is not 1
    float* packed,
) noexcept nogil:
    """Write ``columns`` columns of b as `gemm_thin_multiply` reads them; missing ones are zero."""
    cdef dim row = MAX_COLUMNS if trans_a else 1, p, j
    cdef dim column = 1 if trans_a else gemm_thin_space(k) // MAX_COLUMNS
    memset(packed, 0, gemm_thin_space(k) * sizeof(float))
    for p in range(k):
        for j in range(columns):
            packed[p * row + j * column] = b[p * b_row + j * b_column]


cdef inline void finish(
    shortf sums, float* c, dim columns, const float* bias, const float* drelu, int flags,
) noexcept nogil:
    """c[columns] (+)= sums, with the flags and operands of `gemm.multiply`."""
    cdef shortf v, zero
    vfill(zero, 0)
    if flags & ADD or bias != NULL:
        vload_tail(v, c if flags & ADD else bias, columns)
        sums = v + sums
    if flags & RELU:
        vrelu(sums, zero)
    if drelu != NULL:
        vload_tail(v, drelu, columns)
        vdrelu(sums, v, zero)
    vstore_tail(c, sums, columns)


cdef inline void add_lanes(vecf* acc, shortf* total) noexcept nogil:
    """total[j] += the sum of the lanes of acc[j]."""
    cdef float all_[MAX_LANES]
    cdef float quarters[MAX_COLUMNS][MAX_COLUMNS]
    cdef float transposed[MAX_COLUMNS][MAX_COLUMNS]
    cdef shortf sum, v
    cdef dim j, i
    for j in range(MAX_COLUMNS):
        vstore(all_, acc[j])
        vload(sum, all_)
        for i in range(1, lanes(4) // 4):
            vload(v, all_ + 4 * i)
            sum = sum + v
        vstore(quarters[j], sum)
    transpose_4x4(transposed[0], 4, quarters[0], 4)
    for j in range(MAX_COLUMNS):
        vload(v, transposed[j])
        total[0] = total[0] + v


cdef inline void along_k(
    dim rows,                                   # a literal, 1 or 2: more products per load of b
    dim columns, dim k, const float* a, dim a_row, const float* packed,
    float* c, dim ldc, const float* bias, const float* drelu, int flags,
) noexcept nogil:
    """One or two rows of c, a vector of the sum at a time."""
    cdef vecf acc[2][MAX_COLUMNS]
    cdef vecf w[MAX_COLUMNS]
    cdef vecf v
    cdef shortf total[2]
    cdef dim p = 0, end, column = gemm_thin_space(k) // MAX_COLUMNS, i, j
    for i in range(rows):
        vfill(total[i], 0)
    while p < k:
        end = least(k, p + CHAIN * lanes(4))
        for i in range(rows):
            for j in range(MAX_COLUMNS):
                vfill(acc[i][j], 0)
        while p < end:
            for j in range(MAX_COLUMNS):
                vload(w[j], packed + j * column + p)
            for i in range(rows):
                vload_tail(v, a + i * a_row + p, k - p)
                for j in range(MAX_COLUMNS):
                    acc[i][j] = acc[i][j] + v * w[j]
            p += lanes(4)
        for i in range(rows):
            add_lanes(acc[i], &total[i])
    for i in range(rows):
        finish(total[i], c + i * ldc, columns, bias,
               NULL if drelu == NULL else drelu + i * ldc, flags)


cdef inline void along_rows(
    dim rows, dim columns, dim k, const float* a, dim a_column, const float* packed,
    float* c, dim ldc, const float* bias, const float* drelu, int flags,
) noexcept nogil:
    """Up to a vector of rows of c, one product of each at a time."""
    cdef vecf acc[MAX_COLUMNS]
    cdef vecf total[MAX_COLUMNS]
    cdef vecf v, w
    cdef float sums[MAX_COLUMNS][MAX_LANES]
    cdef float transposed[MAX_LANES][MAX_COLUMNS]
    cdef shortf four
    cdef dim p = 0, end, i, j
    for j in range(MAX_COLUMNS):
        vfill(total[j], 0)
    while p < k:
        end = least(k, p + CHAIN)
        for j in range(MAX_COLUMNS):
            vfill(acc[j], 0)
        while p < end:
            vload_tail(v, a + p * a_column, rows)
            for j in range(MAX_COLUMNS):
                vfill(w, packed[p * MAX_COLUMNS + j])
                acc[j] = acc[j] + v * w
            p += 1
        for j in range(MAX_COLUMNS):
            total[j] = total[j] + acc[j]
    for j in range(MAX_COLUMNS):
        vstore(sums[j], total[j])
    for i in range(0, lanes(4), 4):
        transpose_4x4(transposed[i], MAX_COLUMNS, sums[0] + i, MAX_LANES)
    for i in range(least(rows, lanes(4))):
        vload(four, transposed[i])
        finish(four, c + i * ldc, columns, bias, NULL if drelu == NULL else drelu + i * ldc, flags)


cdef void gemm_thin_multiply(
    dim m, dim columns, dim k, const float* a, dim a_row, dim a_column, const float* packed,
    float* c, dim ldc, const float* bias, const float* drelu, int flags,   # as in `gemm.multiply`
) noexcept nogil:
    """c[m, columns] (+)= a[m, k] b[k, columns] (+ bias); a_row or a_column is 1."""
    cdef dim i = 0
    while i < m:
        if a_column != 1:
            along_rows(m - i, columns, k, a, a_column, packed, c, ldc, bias, drelu, flags)
            i += lanes(4)
            a += lanes(4)
            c += lanes(4) * ldc
            if drelu != NULL:
                drelu += lanes(4) * ldc
        elif m - i >= 2:
            along_k(2, columns, k, a, a_row, packed, c, ldc, bias, drelu, flags)
            i += 2
            a += 2 * a_row
            c += 2 * ldc
            if drelu != NULL:
                drelu += 2 * ldc
        else:
            along_k(1, columns, k, a, a_row, packed, c, ldc, bias, drelu, flags)
            i += 1


cdef inline void row_part(
    dim vectors,                                # a literal, at most ROW_VECTORS
    dim columns, dim k, const float* a, const float* b, dim b_row,
    float* c, const float* bias, const float* drelu, int flags,
) noexcept nogil:
    """c[columns] (+)= a[k] b[k, columns], the last vector in part."""
    cdef vecf acc[ROW_VECTORS]
    cdef vecf sums[ROW_VECTORS]
    cdef vecf v, w, zero
    cdef dim p = 0, end, last = vectors - 1, left = columns - last * lanes(4), j
    vfill(zero, 0)
    for j in range(vectors):
        sums[j] = zero
    while p < k:
        end = least(k, p + CHAIN)
        for j in range(vectors):
            acc[j] = zero
        while p < end:
            vfill(w, a[p])
            for j in range(last):
                vload(v, b + j * lanes(4))
                acc[j] = acc[j] + w * v
            vload_tail(v, b + last * lanes(4), left)
            acc[last] = acc[last] + w * v
            b += b_row
            p += 1
        for j in range(vectors):
            sums[j] = sums[j] + acc[j]
    for j in range(vectors):
        left = columns - j * lanes(4)
        w = sums[j]
        if flags & ADD or bias != NULL:
            vload_tail(v, (c if flags & ADD else bias) + j * lanes(4), left)
            w = v + w
        if flags & RELU:
            vrelu(w, zero)
        if drelu != NULL:
            vload_tail(v, drelu + j * lanes(4), left)
            vdrelu(w, v, zero)
        vstore_tail(c + j * lanes(4), w, left)


cdef void gemm_thin_row(
    dim n, dim k, const float* a, const float* b, dim b_row,
    float* c, const float* bias, const float* drelu, int flags,            # as in `gemm.multiply`
) noexcept nogil:
    """c[n] (+)= a[k] b[k, n] (+ bias), for n up to ROW_VECTORS vectors."""
    cdef dim vectors = blocks_of(n, lanes(4))
    if vectors == 8:                            # so that the number is a literal
        row_part(8, n, k, a, b, b_row, c, bias, drelu, flags)
    elif vectors == 7:
        row_part(7, n, k, a, b, b_row, c, bias, drelu, flags)
    elif vectors == 6:
        row_part(6, n, k, a, b, b_row, c, bias, drelu, flags)
    elif vectors == 5:
        row_part(5, n, k, a, b, b_row, c, bias, drelu, flags)
    elif vectors == 4:
        row_part(4, n, k, a, b, b_row, c, bias, drelu, flags)
    elif vectors == 3:
        row_part(3, n, k, a, b, b_row, c, bias, drelu, flags)
    elif vectors == 2:
        row_part(2, n, k, a, b, b_row, c, bias, drelu, flags)
    else:
        row_part(1, n, k, a, b, b_row, c, bias, drelu, flags)
