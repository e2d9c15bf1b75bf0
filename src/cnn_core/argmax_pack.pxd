# cython: cdivision=True, language_level=3
"""Which pixel of a pooling window is the largest, packed into elements of the images' own type.

The *argmax* of a window is the number of its largest pixel, counted along the rows of the window.
In windows of at most MAX_PIXELS_OF_BYTE pixels it takes a byte, and a *word*, as wide as ``real``,
holds those of as many neighbouring windows as it has bytes: with windows of 2 x 2 and float32, all
of them take a sixteenth of the image. In larger windows each has a word of its own.

    argmax (n, oh, words, c)   window j: word j >> log2_windows,
                               from bit 8 (j mod 2^log2_windows) on

Words are arrays of floats that no one reads as numbers: vectors of the images' type hold them, so
that one comparison of bits tells, for a vector of channels, where a pixel is the largest.
"""
from libc.stdint cimport int64_t, uint64_t

from cnn_core.simd cimport vand_bits, vector, vequal_bits, vfill, vfill_bits, vgreater, vload
from cnn_core.simd cimport vor_bits, vselect, vstore, vunordered
from cnn_core.types cimport dim, real

cdef enum:
    MAX_PIXELS_OF_BYTE = 255        # of a window whose argmax takes a byte; 255 is no pixel
    MAX_PIXELS = 0x7fffffff         # of any window: its argmax must fit into the bits of a float


cdef inline bint has_argmax(dim kh, dim kw) noexcept nogil:
    """Return whether the argmax of a window of kh x kw pixels can be stored."""
    return <int64_t> kh * kw <= MAX_PIXELS


cdef inline dim log2_windows_of_word(dim kh, dim kw, dim itemsize) noexcept nogil:
    """Return the logarithm to base 2 of the number of windows in a word."""
    if <int64_t> kh * kw > MAX_PIXELS_OF_BYTE:
        return 0
    return 2 if itemsize == 4 else 3


cdef inline dim first_bit(dim j, dim log2_windows) noexcept nogil:
    """Return where in its word the argmax of window j begins."""
    return 8 * (j & ((1 << log2_windows) - 1))


cdef inline int64_t shifted(dim number, dim bit) noexcept nogil:
    """Return number << bit, of which bit 63 is one like the others."""
    return <int64_t> (<uint64_t> number << bit)


cdef inline int64_t no_pixel(dim bit, dim log2_windows) noexcept nogil:
    """Return the argmax of a window without pixels, in the padding: all its bits are set."""
    return shifted(255, bit) if log2_windows > 0 else -1


cdef inline void keep_larger(
    const real* pixel, int64_t number, bint numbered, vector* best, vector* argmax,
) noexcept nogil:
    """Let a pixel win if it is larger than the best so far, or NaN; ``number`` is shifted."""
    cdef vector v, wins, nan, numbers
    vload(v, pixel)
    vgreater(wins, v, best[0])
    vunordered(nan, v)
    vor_bits(wins, wins, nan)
    vselect(best[0], wins, v, best[0])
    if numbered:
        vfill_bits(numbers, number)
        vselect(argmax[0], wins, numbers, argmax[0])


cdef inline void store_argmax(real* word, vector argmax, dim bit) noexcept nogil:
    """Write an argmax to its word, beside those of the windows before."""
    cdef vector v
    if bit > 0:
        vload(v, word)
        vor_bits(argmax, argmax, v)
    vstore(word, argmax)


cdef inline void load_drelu(const real* dy, const real* y, vector* g) noexcept nogil:
    """g = dy; with y, 0 where y <= 0 or NaN."""
    cdef vector v, mask, zero
    vload(g[0], dy)
    if y != NULL:
        vfill(zero, 0)
        vload(v, y)
        vgreater(mask, v, zero)
        vand_bits(g[0], g[0], mask)


cdef inline void load_argmax(
    const real* word, dim bit, dim log2_windows, vector* argmax,
) noexcept nogil:
    """Read an argmax from its word; the bits of other windows become 0."""
    cdef vector mask
    vload(argmax[0], word)
    vfill_bits(mask, no_pixel(bit, log2_windows))
    vand_bits(argmax[0], argmax[0], mask)


cdef inline void where_argmax(vector argmax, int64_t number, vector dy, vector* dx) noexcept nogil:
    """dx = dy where the argmax is ``number``, which is shifted, else 0."""
    cdef vector mask
    vfill_bits(mask, number)
    vequal_bits(mask, argmax, mask)
    vand_bits(dx[0], dy, mask)
