"""Thin float32 matrix products: one row, and the last one to four columns of any other.

A register tile of `gemm` takes as long for four columns as for sixteen. Here no lane of a vector is
idle: vectors lie along the sum, or along the rows of c where a is transposed, and its columns are
next to each other. The sums of the lanes are added in one order, chains of at most CHAIN products
each. A tile of one row would wait for its two sums and go through b two vectors at a time; a row
is WIDE vectors at a time instead.

    m, columns, k   rows and columns of c, length of the sum
    packed          b turned round, (columns, k filled up with zeros), or with a transposed as it
                    is, (k, COLUMNS)
"""
from libc.string cimport memset

from cnn_core.gemm cimport ADD, CHAIN, RELU
from cnn_core.simd cimport VBYTES, shortf, transpose_4x4, vdrelu, vecf, vfill, vload, vload_some
from cnn_core.simd cimport vrelu, vstore, vstore_some
from cnn_core.types cimport blocks_of, dim, least

cdef enum:
    COLUMNS = 4         # at most: what a short vector holds
    MOST = 16           # lanes of a vector, at most
    WIDE = 8            # vectors of a row: as many loads in flight, and rows of b nearly whole


cdef inline dim lanes() noexcept nogil:
    return VBYTES // 4


cdef dim narrow_columns(dim m, dim n, dim k, dim itemsize) noexcept nogil:
    """Return how many of the last of n columns are for this module: none if m or k are few."""
    cdef dim left = n % lanes()
    if itemsize > 4 or lanes() <= COLUMNS or left > COLUMNS or m < lanes() or k < lanes():
        return 0
    return left


cdef dim row_width() noexcept nogil:
    """Return how many columns of a row are a share of work."""
    return WIDE * lanes()


cdef dim narrow_space(dim k) noexcept nogil:
    """Return how many numbers `narrow_pack` writes."""
    return COLUMNS * blocks_of(k, lanes()) * lanes()


cdef void narrow_pack(
    dim columns, dim k, const float* b, dim b_row, dim b_column,
    bint transposed,                            # a is: its step from column to column is not 1
    float* packed,
) noexcept nogil:
    """Write ``columns`` columns of b as `narrow_multiply` reads them; missing ones are zero."""
    cdef dim row = COLUMNS if transposed else 1, p, j
    cdef dim column = 1 if transposed else narrow_space(k) // COLUMNS
    memset(packed, 0, narrow_space(k) * sizeof(float))
    for p in range(k):
        for j in range(columns):
            packed[p * row + j * column] = b[p * b_row + j * b_column]


cdef inline void load(const float* at, dim left, vecf* v) noexcept nogil:
    if left >= lanes():
        vload(v[0], at)
    else:
        vload_some(v[0], at, left)


cdef inline void some(const float* at, dim left, shortf* v) noexcept nogil:
    if left >= COLUMNS:
        vload(v[0], at)
    else:
        vload_some(v[0], at, left)


cdef inline void finish(
    shortf sums, float* c, dim columns, const float* bias, const float* gate, int how,
) noexcept nogil:
    """c[columns] (+)= sums, with what `gemm.multiply` does besides."""
    cdef shortf v, zero
    vfill(zero, 0)
    if how & ADD or bias != NULL:
        some(c if how & ADD else bias, columns, &v)
        sums = v + sums
    if how & RELU:
        vrelu(sums, zero)
    if gate != NULL:
        some(gate, columns, &v)
        vdrelu(sums, v, zero)
    if columns >= COLUMNS:
        vstore(c, sums)
    else:
        vstore_some(c, sums, columns)


cdef inline void add_lanes(vecf* acc, shortf* total) noexcept nogil:
    """total[j] += the sum of the lanes of acc[j]."""
    cdef float all_[MOST]
    cdef float quarters[COLUMNS][COLUMNS]
    cdef float turned[COLUMNS][COLUMNS]
    cdef shortf sum, v
    cdef dim j, i
    for j in range(COLUMNS):
        vstore(all_, acc[j])
        vload(sum, all_)
        for i in range(1, lanes() // 4):
            vload(v, all_ + 4 * i)
            sum = sum + v
        vstore(quarters[j], sum)
    transpose_4x4(turned[0], 4, quarters[0], 4)
    for j in range(COLUMNS):
        vload(v, turned[j])
        total[0] = total[0] + v


cdef inline void along_k(
    dim rows,                                   # a literal, 1 or 2: more products per load of b
    dim columns, dim k, const float* a, dim a_row, const float* packed,
    float* c, dim ldc, const float* bias, const float* gate, int how,
) noexcept nogil:
    """Some rows of c, a vector of the sum at a time."""
    cdef vecf acc[2][COLUMNS]
    cdef vecf w[COLUMNS]
    cdef vecf v
    cdef shortf total[2]
    cdef dim p = 0, end, column = narrow_space(k) // COLUMNS, i, j
    for i in range(rows):
        vfill(total[i], 0)
    while p < k:
        end = least(k, p + CHAIN * lanes())
        for i in range(rows):
            for j in range(COLUMNS):
                vfill(acc[i][j], 0)
        while p < end:
            for j in range(COLUMNS):
                vload(w[j], packed + j * column + p)
            for i in range(rows):
                if p + lanes() <= k:
                    vload(v, a + i * a_row + p)
                else:
                    vload_some(v, a + i * a_row + p, k - p)
                for j in range(COLUMNS):
                    acc[i][j] = acc[i][j] + v * w[j]
            p += lanes()
        for i in range(rows):
            add_lanes(acc[i], &total[i])
    for i in range(rows):
        finish(total[i], c + i * ldc, columns, bias, NULL if gate == NULL else gate + i * ldc, how)


cdef inline void along_rows(
    dim rows, dim columns, dim k, const float* a, dim a_column, const float* packed,
    float* c, dim ldc, const float* bias, const float* gate, int how,
) noexcept nogil:
    """At most a vector of rows of c, one product of each at a time."""
    cdef vecf acc[COLUMNS]
    cdef vecf total[COLUMNS]
    cdef vecf v, w
    cdef float sums[COLUMNS][MOST]
    cdef float turned[MOST][COLUMNS]
    cdef shortf four
    cdef dim p = 0, end, i, j
    for j in range(COLUMNS):
        vfill(total[j], 0)
    while p < k:
        end = least(k, p + CHAIN)
        for j in range(COLUMNS):
            vfill(acc[j], 0)
        while p < end:
            if rows >= lanes():
                vload(v, a + p * a_column)
            else:
                vload_some(v, a + p * a_column, rows)
            for j in range(COLUMNS):
                vfill(w, packed[p * COLUMNS + j])
                acc[j] = acc[j] + v * w
            p += 1
        for j in range(COLUMNS):
            total[j] = total[j] + acc[j]
    for j in range(COLUMNS):
        vstore(sums[j], total[j])
    for i in range(0, lanes(), 4):
        transpose_4x4(turned[i], COLUMNS, sums[0] + i, MOST)
    for i in range(least(rows, lanes())):
        vload(four, turned[i])
        finish(four, c + i * ldc, columns, bias, NULL if gate == NULL else gate + i * ldc, how)


cdef void narrow_multiply(
    dim m, dim columns, dim k, const float* a, dim a_row, dim a_column, const float* packed,
    float* c, dim ldc, const float* bias, const float* gate, int how,   # as of `gemm.multiply`
) noexcept nogil:
    """c[m, columns] (+)= a[m, k] b[k, columns] (+ bias); a_row or a_column is 1."""
    cdef dim i = 0
    while i < m:
        if a_column != 1:
            along_rows(m - i, columns, k, a, a_column, packed, c, ldc, bias, gate, how)
            i += lanes()
            a += lanes()
            c += lanes() * ldc
            if gate != NULL:
                gate += lanes() * ldc
        elif m - i >= 2:
            along_k(2, columns, k, a, a_row, packed, c, ldc, bias, gate, how)
            i += 2
            a += 2 * a_row
            c += 2 * ldc
            if gate != NULL:
                gate += 2 * ldc
        else:
            along_k(1, columns, k, a, a_row, packed, c, ldc, bias, gate, how)
            i += 1


cdef inline void row_part(
    dim vectors,                                # a literal, at most WIDE
    dim columns, dim k, const float* a, const float* b, dim b_row,
    float* c, const float* bias, const float* gate, int how,
) noexcept nogil:
    """c[columns] (+)= a[k] b[k, columns], the last vector in part."""
    cdef vecf acc[WIDE]
    cdef vecf sums[WIDE]
    cdef vecf v, w, zero
    cdef dim p = 0, end, last = vectors - 1, left = columns - last * lanes(), j
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
                vload(v, b + j * lanes())
                acc[j] = acc[j] + w * v
            load(b + last * lanes(), left, &v)
            acc[last] = acc[last] + w * v
            b += b_row
            p += 1
        for j in range(vectors):
            sums[j] = sums[j] + acc[j]
    for j in range(vectors):
        left = columns - j * lanes()
        w = sums[j]
        if how & ADD or bias != NULL:
            load((c if how & ADD else bias) + j * lanes(), left, &v)
            w = v + w
        if how & RELU:
            vrelu(w, zero)
        if gate != NULL:
            load(gate + j * lanes(), left, &v)
            vdrelu(w, v, zero)
        if left >= lanes():
            vstore(c + j * lanes(), w)
        else:
            vstore_some(c + j * lanes(), w, left)


cdef void row_multiply(
    dim n, dim k, const float* a, const float* b, dim b_row,
    float* c, const float* bias, const float* gate, int how,            # as of `gemm.multiply`
) noexcept nogil:
    """c[n] (+)= a[k] b[k, n] (+ bias), for n up to WIDE vectors."""
    cdef dim vectors = blocks_of(n, lanes())
    if vectors == 8:                            # the number made a literal
        row_part(8, n, k, a, b, b_row, c, bias, gate, how)
    elif vectors == 7:
        row_part(7, n, k, a, b, b_row, c, bias, gate, how)
    elif vectors == 6:
        row_part(6, n, k, a, b, b_row, c, bias, gate, how)
    elif vectors == 5:
        row_part(5, n, k, a, b, b_row, c, bias, gate, how)
    elif vectors == 4:
        row_part(4, n, k, a, b, b_row, c, bias, gate, how)
    elif vectors == 3:
        row_part(3, n, k, a, b, b_row, c, bias, gate, how)
    elif vectors == 2:
        row_part(2, n, k, a, b, b_row, c, bias, gate, how)
    else:
        row_part(1, n, k, a, b, b_row, c, bias, gate, how)
