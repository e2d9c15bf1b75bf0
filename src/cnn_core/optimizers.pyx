"""Optimizer steps: one pass over weights, gradients and state, each read once and written once.

All arrays are flat and of one length: a network's parameters lie in one buffer. What a pass runs
over is a list of pieces of it. A piece belongs to a group, which has its own learning rate and
regularisation, and to an array, which has its own factor: of the gradient, to clip it, or of the
step, for LAMB. Sums over a piece are in double where they leave it, so who adds those of an array
in order gets the same bits for any number of threads.

For every entry of a piece, with the numbers of its group (lr is that of the step times its own):

    g = clamp(factor g, bound) + l2 w + l1 sign(w)
    w = (1 - lr decay) w
    w, state = rule(w, g, state)
    w = w - clamp(w, lr shrink)                 the proximal step of L1: zeros are exact

Numbers that do not change along a piece are computed in double first; the pass is in the arrays'
own precision. A new rule is a name in the first list and its twin for callers, a case in `change`,
one in `prepare` where its numbers depend on the group, and a line each in `vectors` and `states`.
"""
from cython.parallel cimport prange
from libc.math cimport INFINITY
from libc.string cimport memcpy, memset

from cnn_core.simd cimport VBYTES, vec, vecd, vecf, vfill, vgreater, vload, vselect, vsqrt, vstore
from cnn_core.threads cimport threads_for
from cnn_core.types cimport dim, real

cdef enum:
    SGD
    MOMENTUM                # a: velocity. Nesterov's too
    SQUARES                 # a: of gradients. AdaGrad, RMSProp
    CENTERED                # a, b: mean gradient
    SQUARES_MOMENTUM        # a, b: velocity
    CENTERED_MOMENTUM       # a, b: mean gradient, c: velocity
    ADADELTA                # a: squares of gradients, b: of steps
    ADAM                    # a, b: first and second moment. AdamW, NAdam, RAdam too
    AMSGRAD                 # a, b, c: largest second moment
    ADAMAX                  # a, b: largest gradient
    LION                    # a: first moment
    LAMB_MOMENTS            # a, b as ADAM; w stays: the squares of w and of the step are summed
    LAMB                    # the step itself, as long as `factors` say
    NORM                    # nothing changes: the squares of g are summed
    KINDS

cdef enum:                  # k, the constants of a piece: 0 to 8 are those of the rule, then come
    FACTOR = 9
    L2
    KEPT                    # what decay leaves of a weight
    L1
    SHRINK
    BOUND
    CONSTANTS

cdef enum:
    LANES = 16              # partial sums of a norm
    WIDEST = 16             # entries of a vector, at most

# What the callers of `step` pass. Cython exports no enum by itself.
sgd, momentum, squares, centered = SGD, MOMENTUM, SQUARES, CENTERED
squares_momentum, centered_momentum, adadelta = SQUARES_MOMENTUM, CENTERED_MOMENTUM, ADADELTA
adam, amsgrad, adamax, lion = ADAM, AMSGRAD, ADAMAX, LION
lamb_moments, lamb, norm = LAMB_MOMENTS, LAMB, NORM


cdef inline int states(int kind) noexcept nogil:
    """Return how many arrays of state a rule has."""
    if kind == SGD or kind == NORM:
        return 0
    if kind == MOMENTUM or kind == SQUARES or kind == LION:
        return 1
    if kind == CENTERED_MOMENTUM or kind == AMSGRAD:
        return 3
    return 2


cdef bint prepare(
    int kind, const double* p, const double* group, double lr, double factor, double bound,
    double* k,
) noexcept nogil:
    """Write the constants of a piece to `k`; return whether there is L1 or a bound."""
    cdef double decay = group[3]
    cdef int i
    lr = lr * group[0]
    for i in range(8):
        k[i] = p[i]
    k[FACTOR], k[L2], k[L1] = factor, group[1], group[2]
    k[KEPT] = 1 - lr * decay
    k[SHRINK], k[BOUND] = lr * group[4], bound
    if kind == MOMENTUM:
        k[1] = p[1] + p[2] * lr
        k[2] = p[3] + p[4] * lr
        k[3] = p[5] * lr
    elif kind == ADAM or kind == AMSGRAD:
        k[4] = p[4] * lr
        k[5] = p[5] * lr
    elif kind == LAMB_MOMENTS or kind == LAMB:
        k[5] = factor * lr
        k[8] = decay                # a part of the step, whose length it shares
        k[KEPT] = 1
    else:
        k[8] = p[4] * lr if kind == ADAMAX else lr
    return k[L1] != 0 or k[SHRINK] != 0 or bound < INFINITY


cdef inline vec greater_of(vec a, vec b) noexcept nogil:
    """Return the greater, and NaN if b is NaN."""
    cdef vec mask
    vgreater(mask, a, b)
    vselect(a, mask, a, b)
    return a


cdef inline vec clamped(vec x, vec bound) noexcept nogil:
    """Return x between -bound and bound; NaN stays."""
    cdef vec mask
    vgreater(mask, x, bound)
    vselect(x, mask, bound, x)
    bound = -bound
    vgreater(mask, bound, x)
    vselect(x, mask, bound, x)
    return x


cdef inline vec sign_of(vec x) noexcept nogil:
    """Return 1, -1, or x itself where it is zero or NaN."""
    cdef vec mask, zero, one, sign
    vfill(zero, 0)
    vfill(one, 1)
    vgreater(mask, x, zero)
    vselect(sign, mask, one, x)
    vgreater(mask, zero, x)
    vselect(sign, mask, -one, sign)
    return sign


cdef inline vec root(vec x) noexcept nogil:
    """Return the square root."""
    vsqrt(x, x)
    return x


cdef inline vec lamb_step(vec w, vec a, vec b, vec* k) noexcept nogil:
    """Return the step of LAMB before it gets its length."""
    return k[4] * a / (k[6] * root(b) + k[7]) + k[8] * w


cdef inline void change(
    int kind,                               # a literal at every call
    vec* w, vec g, vec* a, vec* b, vec* c, vec* k,
) noexcept nogil:
    """Apply a rule to a vector of each array."""
    cdef vec r, zero
    if kind == SGD:
        w[0] = w[0] - k[8] * g
    elif kind == MOMENTUM:
        a[0] = k[0] * a[0] + k[1] * g
        w[0] = w[0] + k[2] * a[0] + k[3] * g
    elif kind == ADADELTA:
        a[0] = k[0] * a[0] + k[1] * (g * g)
        r = root(b[0] + k[2]) / root(a[0] + k[2]) * g
        b[0] = k[0] * b[0] + k[1] * (r * r)
        w[0] = w[0] - k[8] * r
    elif kind == ADAMAX:
        a[0] = k[0] * a[0] + k[1] * g
        b[0] = greater_of(k[2] * b[0], greater_of(g, -g) + k[7])
        w[0] = w[0] - k[8] * a[0] / b[0]
    elif kind == LION:
        w[0] = w[0] - k[8] * sign_of(k[0] * a[0] + k[1] * g)
        a[0] = k[2] * a[0] + k[3] * g
    elif kind == ADAM or kind == AMSGRAD or kind == LAMB_MOMENTS:
        a[0] = k[0] * a[0] + k[1] * g
        b[0] = k[2] * b[0] + k[3] * (g * g)
        r = b[0]
        if kind == AMSGRAD:
            c[0] = greater_of(c[0], r)
            r = c[0]
        if kind != LAMB_MOMENTS:
            w[0] = w[0] - (k[4] * a[0] + k[5] * g) / (k[6] * root(r) + k[7])
    else:
        a[0] = k[0] * a[0] + k[1] * (g * g)
        r = a[0]
        if kind == CENTERED or kind == CENTERED_MOMENTUM:
            b[0] = k[0] * b[0] + k[1] * g
            vfill(zero, 0)
            r = greater_of(zero, r - b[0] * b[0])       # below 0 by rounding alone
        r = g / (root(r) + k[2])
        if kind == SQUARES_MOMENTUM:
            r = k[3] * b[0] + r
            b[0] = r
        elif kind == CENTERED_MOMENTUM:
            r = k[3] * c[0] + r
            c[0] = r
        w[0] = w[0] - k[8] * r


cdef inline void rule(
    int kind,                               # a literal at every call
    real* w, const real* g, real* a, real* b, real* c, real* cleared, dim n,
    const double* numbers, bint l1, double* sums, vec* lane,
) noexcept nogil:
    """Run over whole vectors; `l1`: there is L1 or a bound. `lane` only names the vector type."""
    cdef dim size = VBYTES // sizeof(real), i = 0
    cdef int j
    cdef vec k[CONSTANTS]
    cdef vec x, y, va, vb, vc, zero, ww, uu
    for j in range(CONSTANTS):
        vfill(k[j], numbers[j])
    vfill(zero, 0)
    va = vb = vc = ww = uu = zero
    while i < n:
        vload(x, w + i)
        if states(kind) > 0:
            vload(va, a + i)
        if states(kind) > 1:
            vload(vb, b + i)
        if states(kind) > 2:
            vload(vc, c + i)
        if kind == LAMB:
            x = x - k[5] * lamb_step(x, va, vb, k)
        else:
            vload(y, g + i)
            y = k[FACTOR] * y
            if l1:
                y = clamped(y, k[BOUND]) + k[L1] * sign_of(x)
            y = y + k[L2] * x
            x = k[KEPT] * x
            change(kind, &x, y, &va, &vb, &vc, k)
            if states(kind) > 0:
                vstore(a + i, va)
            if states(kind) > 1:
                vstore(b + i, vb)
            if states(kind) > 2:
                vstore(c + i, vc)
            if cleared != NULL:
                vstore(cleared + i, zero)
        if kind == LAMB_MOMENTS:
            y = lamb_step(x, va, vb, k)
            ww = ww + x * x
            uu = uu + y * y
        else:
            if l1:
                x = x - clamped(x, k[SHRINK])
            vstore(w + i, x)
        i += size
    if kind == LAMB_MOMENTS:
        for j in range(<int> size):
            sums[0] += (<real*> &ww)[j]
            sums[1] += (<real*> &uu)[j]


cdef inline void vectors(
    int kind, real* w, const real* g, real* a, real* b, real* c, real* cleared, dim n,
    const double* k, bint l1, double* sums, vec* lane,
) noexcept nogil:
    """Run over n entries, a whole number of vectors: one loop for each rule."""
    if kind == SGD:
        rule(SGD, w, g, a, b, c, cleared, n, k, l1, sums, lane)
    elif kind == MOMENTUM:
        rule(MOMENTUM, w, g, a, b, c, cleared, n, k, l1, sums, lane)
    elif kind == SQUARES:
        rule(SQUARES, w, g, a, b, c, cleared, n, k, l1, sums, lane)
    elif kind == CENTERED:
        rule(CENTERED, w, g, a, b, c, cleared, n, k, l1, sums, lane)
    elif kind == SQUARES_MOMENTUM:
        rule(SQUARES_MOMENTUM, w, g, a, b, c, cleared, n, k, l1, sums, lane)
    elif kind == CENTERED_MOMENTUM:
        rule(CENTERED_MOMENTUM, w, g, a, b, c, cleared, n, k, l1, sums, lane)
    elif kind == ADADELTA:
        rule(ADADELTA, w, g, a, b, c, cleared, n, k, l1, sums, lane)
    elif kind == ADAM:
        rule(ADAM, w, g, a, b, c, cleared, n, k, l1, sums, lane)
    elif kind == AMSGRAD:
        rule(AMSGRAD, w, g, a, b, c, cleared, n, k, l1, sums, lane)
    elif kind == ADAMAX:
        rule(ADAMAX, w, g, a, b, c, cleared, n, k, l1, sums, lane)
    elif kind == LION:
        rule(LION, w, g, a, b, c, cleared, n, k, l1, sums, lane)
    elif kind == LAMB_MOMENTS:
        rule(LAMB_MOMENTS, w, g, a, b, c, cleared, n, k, l1, sums, lane)
    elif kind == LAMB:
        rule(LAMB, w, g, a, b, c, cleared, n, k, l1, sums, lane)


cdef double square_sum(const real* x, dim n) noexcept nogil:
    """Return the sum of squares, in double."""
    cdef double lanes[LANES]
    cdef double total = 0
    cdef dim i
    cdef int j
    for j in range(LANES):
        lanes[j] = 0
    for i in range(n // LANES):
        for j in range(LANES):
            lanes[j] += <double> x[i * LANES + j] * x[i * LANES + j]
    for i in range(n // LANES * LANES, n):
        lanes[0] += <double> x[i] * x[i]
    for j in range(LANES):
        total += lanes[j]
    return total


cdef void whole(
    int kind, real* w, const real* g, real* a, real* b, real* c, real* cleared, dim n,
    const double* k, bint l1, double* sums,
) noexcept nogil:
    if real is float:
        vectors(kind, w, g, a, b, c, cleared, n, k, l1, sums, <vecf*> NULL)
    else:
        vectors(kind, w, g, a, b, c, cleared, n, k, l1, sums, <vecd*> NULL)


cdef void run(
    int kind, real* w, const real* g, real* a, real* b, real* c, real* cleared, dim n,
    const double* k, bint l1, double* sums,
) noexcept nogil:
    """Run over n entries. Those that fill no vector go through the same loop, in a copy."""
    cdef dim size = VBYTES // sizeof(real), rest = n % size, count = n - rest
    cdef real copy[5 * WIDEST]
    cdef real* state[3]
    cdef size_t nbytes = rest * sizeof(real)
    cdef int j
    if count > 0:
        whole(kind, w, g, a, b, c, cleared, count, k, l1, sums)
    if rest == 0:
        return
    state[0], state[1], state[2] = a, b, c
    memset(copy, 0, sizeof(copy))
    memcpy(copy, w + count, nbytes)
    memcpy(copy + size, g + count, nbytes)
    for j in range(states(kind)):
        memcpy(copy + (j + 2) * size, state[j] + count, nbytes)
    whole(kind, copy, copy + size, copy + 2 * size, copy + 3 * size, copy + 4 * size,
          <real*> NULL, size, k, l1, sums)
    memcpy(w + count, copy, nbytes)
    for j in range(states(kind)):
        memcpy(state[j] + count, copy + (j + 2) * size, nbytes)
    if cleared != NULL:
        memset(cleared + count, 0, nbytes)


cdef void piece(
    int kind, real* w, const real* g, real* a, real* b, real* c, real* cleared, const dim* row,
    const double* group, double factor, double lr, double bound, const double* p, double* sums,
) noexcept nogil:
    """Do the work of `step` for one row of pieces."""
    cdef dim start = row[0], n = row[1] - row[0]
    cdef double k[CONSTANTS]
    cdef bint l1
    sums[0] = sums[1] = 0
    if kind == NORM:
        sums[0] = square_sum(g + start, n)
        return
    l1 = prepare(kind, p, group, lr, factor, bound, k)
    run(kind, w + start, g + start,
        a + start if a != NULL else a, b + start if b != NULL else b,
        c + start if c != NULL else c, cleared + start if cleared != NULL else cleared,
        n, k, l1, sums)


def step(
    int kind,                               # one of the names of this module
    real[::1] w,                            # in, out  (n,), weights
    const real[::1] g,                      # in   (n,), gradients
    real[::1] a, real[::1] b, real[::1] c,  # in, out  (n,), state; None where the rule has none
    real[::1] cleared,                      # out  (n,), zeros at the pieces: g itself, or None
    const Py_ssize_t[:, ::1] pieces,        # in   (pieces, 4): start, stop, group, array
    const double[:, ::1] groups,            # in   (groups, 5): lr, l2, l1, decay, shrink
    const double[::1] factors,              # in   (arrays,): of gradients; LAMB: of steps
    double[:, ::1] sums,                    # out  (pieces, 2): NORM g^2; LAMB_MOMENTS w^2, step^2
    double lr,
    double bound,                           # of an entry of a gradient, or infinite
    double p0=0, double p1=0, double p2=0, double p3=0,
    double p4=0, double p5=0, double p6=0, double p7=0,     # numbers of the rule: `prepare`
):
    """Take a step, or half of one."""
    cdef dim n = w.shape[0], count = pieces.shape[0], total = 0, i
    cdef int used
    cdef double p[8]
    cdef real* pw
    cdef const real* pg
    cdef real* pa = NULL
    cdef real* pb = NULL
    cdef real* pc = NULL
    cdef real* pz = NULL
    if not 0 <= kind < KINDS:
        raise ValueError("kind must be of this module")
    used = states(kind)
    if (g.shape[0] != n or (used > 0 and (a is None or a.shape[0] != n))
            or (used > 1 and (b is None or b.shape[0] != n))
            or (used > 2 and (c is None or c.shape[0] != n))
            or (cleared is not None and cleared.shape[0] != n)):
        raise ValueError("weights, gradients and state must have one length")
    if pieces.shape[1] != 4 or groups.shape[1] != 5 or sums.shape[0] != count or sums.shape[1] != 2:
        raise ValueError("pieces must have 4 columns, groups 5, sums a row of 2 for each piece")
    for i in range(count):
        if not (0 <= pieces[i, 0] < pieces[i, 1] <= n and 0 <= pieces[i, 2] < groups.shape[0]
                and 0 <= pieces[i, 3] < factors.shape[0]):
            raise ValueError(f"piece {i} is not of these arrays, groups and factors")
        total += pieces[i, 1] - pieces[i, 0]
    if count == 0:
        return
    p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7] = p0, p1, p2, p3, p4, p5, p6, p7
    pw, pg = &w[0], &g[0]
    if used > 0:
        pa = &a[0]
    if used > 1:
        pb = &b[0]
    if used > 2:
        pc = &c[0]
    if cleared is not None:
        pz = &cleared[0]
    for i in prange(count, nogil=True, schedule="static",
                    num_threads=threads_for(<double> total * sizeof(real) * (2 + used) / 16)):
        piece(kind, pw, pg, pa, pb, pc, pz, &pieces[i, 0], &groups[pieces[i, 2], 0],
              factors[pieces[i, 3]], lr, bound, p, &sums[i, 0])
