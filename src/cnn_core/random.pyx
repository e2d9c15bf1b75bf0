"""Random numbers that depend on a key and an index, never on the order they are drawn in.

Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
2011) turns a key and a counter of four words into four random words. Here the key is the seed,
and the counter is (index of the block: two words, stream, call): a stream is who draws (a layer,
an initialisation, the shuffling), a call how often it has drawn before. So any thread can draw
any number, and a resumed run needs only the seed, the stream and the call.
"""
from cython.parallel cimport prange
from libc.math cimport cos, log, sin, sqrt
from libc.stdint cimport int64_t, uint32_t, uint64_t

from cnn_core.box_muller cimport box_muller
from cnn_core.simd cimport VBYTES, vecd, vecu, vfill_u, vjoin_low, vload, vmultiply_low, vstore
from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    ROUNDS = 10         # of Philox4x32-10
    PAIR = 2            # vectors mixed at a time: one alone waits for its own products
    PIECE = 4 * BLOCKS  # numbers in single precision that are made at a time
    PAIRS = 2 * BLOCKS  # of them
    DOUBT = 64          # units of a double by which box_muller and the C library differ, at most

cdef double TWO_PI = 6.283185307179586
cdef double WORD = 2.0 ** -32       # one word as a fraction of 1


cdef inline void mix(uint32_t* words, uint32_t key0, uint32_t key1) noexcept nogil:
    """Run the rounds of Philox4x32 in place; constants are table 2 of the paper."""
    cdef uint64_t left, right
    cdef int _round
    for _round in range(ROUNDS):
        left = <uint64_t> 0xD2511F53 * words[0]
        right = <uint64_t> 0xCD9E8D57 * words[2]
        words[0] = <uint32_t> (right >> 32) ^ words[1] ^ key0
        words[1] = <uint32_t> right
        words[2] = <uint32_t> (left >> 32) ^ words[3] ^ key1
        words[3] = <uint32_t> left
        key0 = key0 + <uint32_t> 0x9E3779B9
        key1 = key1 + <uint32_t> 0xBB67AE85


cdef void philox_block(
    uint64_t seed, uint64_t index, uint32_t stream, uint32_t call,
    uint32_t* words,                # out  4
) noexcept nogil:
    """Write block ``index`` of the numbers of a stream's call."""
    words[0] = <uint32_t> index
    words[1] = <uint32_t> (index >> 32)
    words[2] = stream
    words[3] = call
    mix(words, <uint32_t> seed, <uint32_t> (seed >> 32))


cdef void philox_blocks(
    uint64_t seed, uint64_t index, uint32_t stream, uint32_t call,
    uint32_t* words,                # out  4 * BLOCKS
) noexcept nogil:
    """Write blocks ``index``, ``index`` + 1 ...: the rounds of `mix`, each word in its own vector.

    A word is the lower half of a lane. What the products leave in the upper half never matters:
    they multiply lower halves, and only a fresh product is shifted down.
    """
    cdef uint64_t lanes[2][BLOCKS]
    cdef vecu a[PAIR]
    cdef vecu b[PAIR]
    cdef vecu c[PAIR]
    cdef vecu d[PAIR]
    cdef vecu left, right, left_factor, right_factor, key0, key1, step0, step1
    cdef int size = VBYTES // 8, start = 0, _round, i, k
    vfill_u(left_factor, <uint64_t> 0xD2511F53)
    vfill_u(right_factor, <uint64_t> 0xCD9E8D57)
    vfill_u(step0, <uint64_t> 0x9E3779B9)
    vfill_u(step1, <uint64_t> 0xBB67AE85)
    for k in range(BLOCKS):
        lanes[0][k] = index + k
    while start < BLOCKS:
        vfill_u(key0, seed)
        vfill_u(key1, seed >> 32)
        for i in range(PAIR):
            vload(a[i], &lanes[0][start + i * size])
            b[i] = a[i] >> 32
            vfill_u(c[i], stream)
            vfill_u(d[i], call)
        for _round in range(ROUNDS):
            for i in range(PAIR):
                vmultiply_low(left, a[i], left_factor)
                vmultiply_low(right, c[i], right_factor)
                a[i] = right >> 32 ^ b[i] ^ key0
                b[i] = right
                c[i] = left >> 32 ^ d[i] ^ key1
                d[i] = left
            key0 = key0 + step0
            key1 = key1 + step1
        for i in range(PAIR):
            vjoin_low(left, a[i], b[i])
            vjoin_low(right, c[i], d[i])
            vstore(&lanes[0][start + i * size], left)
            vstore(&lanes[1][start + i * size], right)
        start += PAIR * size
    for k in range(BLOCKS):
        for i in range(2):
            words[4 * k + 2 * i] = <uint32_t> lanes[i][k]
            words[4 * k + 2 * i + 1] = <uint32_t> (lanes[i][k] >> 32)


cdef inline double fraction(uint32_t high, uint32_t low) noexcept nogil:
    """Return 53 random bits as a number in [0, 1)."""
    return ((<uint64_t> high << 32 | low) >> 11) * 2.0 ** -53


cdef void uniform_block(const uint32_t* words, real* out, dim n) noexcept nogil:
    """One block as numbers in [0, 1): 4 of 24 bits, or 2 of 53."""
    cdef dim i
    for i in range(n):
        if real is float:
            out[i] = (words[i] >> 8) * <float> (2.0 ** -24)
        else:
            out[i] = fraction(words[2 * i], words[2 * i + 1])


cdef void normal_block(const uint32_t* words, real* out, dim n) noexcept nogil:
    """One block as standard normal numbers (Box and Muller 1958): 2 pairs, or 1."""
    cdef dim i
    cdef double radius, angle
    for i in range((n + 1) // 2):
        if real is float:
            radius = sqrt(-2 * log((words[2 * i] + 1.0) * WORD))
            angle = TWO_PI * WORD * words[2 * i + 1]
        else:
            radius = sqrt(-2 * log(1 - fraction(words[0], words[1])))
            angle = TWO_PI * fraction(words[2], words[3])
        out[2 * i] = <real> (radius * cos(angle))
        if 2 * i + 1 < n:
            out[2 * i + 1] = <real> (radius * sin(angle))


cdef void normal_piece(
    uint64_t index, uint64_t seed, uint32_t stream, uint32_t call,
    float* out,                     # out  PIECE
) noexcept nogil:
    """Blocks ``index``, ``index`` + 1 ... as normal numbers, with the bits of `normal_block`."""
    cdef uint32_t words[PIECE]
    cdef uint64_t lanes[2][PAIRS]
    cdef double numbers[2][PAIRS]
    cdef uint64_t bits, near = 0
    cdef vecu first, second
    cdef vecd a, b
    cdef int size = VBYTES // 8, i, k
    philox_blocks(seed, index, stream, call, words)
    for i in range(PAIRS):
        lanes[0][i], lanes[1][i] = words[2 * i], words[2 * i + 1]
    i = 0
    while i < PAIRS:
        vload(first, &lanes[0][i])
        vload(second, &lanes[1][i])
        box_muller(first, second, &a, &b)
        vstore(&numbers[0][i], a)
        vstore(&numbers[1][i], b)
        i += size
    for k in range(2):
        for i in range(PAIRS):
            bits = (<const uint64_t*> numbers[k])[i] + DOUBT - (1 << 28)
            near |= (bits & 0x1fffffff) < 2 * DOUBT
            out[2 * i + k] = <float> numbers[k][i]
    if near:
        for k in range(BLOCKS):
            normal_block(words + 4 * k, out + 4 * k, 4)


cdef void fill(
    real* out, dim first, dim n, uint64_t seed, uint32_t stream, uint32_t call, bint normal,
) noexcept nogil:
    """Entries first ... first + n of the whole array; first is a multiple of PIECE."""
    cdef uint32_t words[4]
    cdef dim per = 16 // sizeof(real), i = 0
    if real is float:
        while normal and i + PIECE <= n:
            normal_piece((first + i) // per, seed, stream, call, out + i)
            i += PIECE
    while i < n:
        philox_block(seed, (first + i) // per, stream, call, words)
        if normal:
            normal_block(words, out + i, least(per, n - i))
        else:
            uniform_block(words, out + i, least(per, n - i))
        i += per


cdef enum:
    FILL_TASK = 1024    # entries that a thread takes at a time


def uniform(
    real[::1] out,          # out  (n,)
    uint64_t seed, uint32_t stream, uint32_t call,
):
    """Fill ``out`` with uniform numbers in [0, 1)."""
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = out.shape[0], b
    for b in prange(blocks_of(n, FILL_TASK), nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * 3)):
        fill(&out[b * FILL_TASK], b * FILL_TASK, least(FILL_TASK, n - b * FILL_TASK), seed, stream,
             call, False)


def normal(
    real[::1] out,          # out  (n,)
    uint64_t seed, uint32_t stream, uint32_t call,
):
    """Fill ``out`` with standard normal numbers."""
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = out.shape[0], b
    for b in prange(blocks_of(n, FILL_TASK), nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * (2 if sizeof(real) == 4 else 20))):
        fill(&out[b * FILL_TASK], b * FILL_TASK, least(FILL_TASK, n - b * FILL_TASK), seed, stream,
             call, True)


def permutation(
    int64_t[::1] out,       # out  (n,)
    uint64_t seed, uint32_t stream, uint32_t call,
):
    """Fill ``out`` with a random order of 0 ... n - 1 (Fisher and Yates)."""
    cdef dim n = out.shape[0], i, j
    cdef uint32_t words[4]
    cdef int64_t taken
    with nogil:
        for i in range(n):
            out[i] = i
        for i in range(n - 1, 0, -1):
            philox_block(seed, i, stream, call, words)
            j = <dim> ((<uint64_t> words[0] << 32 | words[1]) % <uint64_t> (i + 1))
            taken = out[i]
            out[i] = out[j]
            out[j] = taken


def philox(uint32_t[::1] counter, uint32_t key0, uint32_t key1):
    """Replace the four words of ``counter`` by four random words: the generator itself."""
    if counter.shape[0] != 4:
        raise ValueError("the counter must have 4 words")
    mix(&counter[0], key0, key1)
