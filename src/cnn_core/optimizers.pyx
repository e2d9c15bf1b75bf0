"""Optimizer steps: one pass over weights, gradients and state, each read once and written once.

All arrays are flat and of one length: the parameters of a network lie in one buffer. A step runs
over pieces of it. A piece belongs to a group, with its own learning rate and regularisation, and to
an array (one parameter), with its own factor: of the gradient, to clip it, or of the step, in LAMB.
Sums over a piece are in double. The caller adds them up in order, so threads change no bits.

For every entry of a piece, with the settings of its group (lr is that of the step times its own):

    g = clamp(factor g, bound) + l2 w + l1 sign(w)
    w = (1 - lr decay) w
    w, state = rule(w, g, state)
    w = w - clamp(w, lr shrink)                 the proximal step of L1: zeros are exact

A rule is one function of vectors, in the letters of its paper. It combines its constants in double,
as in `1 - beta1` or `lr * m_scale`, and `times` rounds the result to the precision of the arrays;
the compiler moves both out of the loop. To add a rule: write the function, put its name into the
two lists below and into the stub, and a line into `run_rule`.
"""
from cython.parallel cimport prange
from libc.math cimport INFINITY
from libc.string cimport memcpy, memset

from cnn_core.memory cimport Buffer
from cnn_core.simd cimport MAX_LANES, VBYTES, vec, vecd, vecf, vfill, vload, vstore
from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport dim, real
from cnn_core.vmath cimport absolute, at_least, at_most, greater_of, root, sign_of

cdef enum:                  # rules; the first hexadecimal digit counts their arrays of state
    NORM = 0x00             # changes nothing: the squares of g are summed
    SGD
    MOMENTUM = 0x10
    DAMPENED_MOMENTUM
    NESTEROV
    SQUARES
    LION
    SQUARES_MOMENTUM = 0x20
    CENTERED
    ADADELTA
    ADAM
    ADAMAX
    LAMB_MOMENTS
    LAMB
    CENTERED_MOMENTUM = 0x30
    AMSGRAD

cdef object kinds = {       # what callers of `step` pass: Cython exports no enum by itself
    NORM: "norm", SGD: "sgd", MOMENTUM: "momentum", DAMPENED_MOMENTUM: "dampened_momentum",
    NESTEROV: "nesterov", SQUARES: "squares", LION: "lion", SQUARES_MOMENTUM: "squares_momentum",
    CENTERED: "centered", CENTERED_MOMENTUM: "centered_momentum", ADADELTA: "adadelta",
    ADAM: "adam", AMSGRAD: "amsgrad", ADAMAX: "adamax", LAMB_MOMENTS: "lamb_moments", LAMB: "lamb",
}
globals().update({name: kind for kind, name in kinds.items()})

cdef enum:
    MAX_CONSTANTS = 8       # of a rule
    NORM_SUMS = 16          # partial sums of a norm
    MAX_FEW = 8             # pieces that are copied to the stack

cdef struct Settings:       # of a piece
    double lr               # of the step times that of the group
    double factor           # of the gradient; LAMB: of the step
    double bound            # of an entry of the gradient, or infinite
    double l2, l1, decay    # rates of regularisation
    double keep             # what decay leaves of a weight
    double shrink           # largest proximal step
    bint clamps             # there is L1 or a bound
    double k[MAX_CONSTANTS]  # constants of the rule


cdef inline int states(int kind) noexcept nogil:
    """Return how many arrays of state a rule has."""
    return kind >> 4


cdef inline bint sums_up(int kind) noexcept nogil:
    """Return whether a rule writes sums: of g^2, or of w^2 and u^2."""
    return kind == NORM or kind == LAMB_MOMENTS


cdef inline vec splat(double number, vec like) noexcept nogil:
    """Return a vector of a number, rounded to the precision of `like`."""
    vfill(like, number)
    return like


cdef inline vec times(double number, vec x) noexcept nogil:
    """Return number x; the number is rounded to the precision of x first."""
    return splat(number, x) * x


cdef inline vec clamped(vec x, double bound) noexcept nogil:
    """Return x between -bound and bound; NaN stays."""
    return at_most(at_least(x, -bound), bound)


# Rules. w, g, state: vectors of weights, gradients and state; s: settings, constants.

cdef inline void sgd(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """w = w - lr g."""
    w[0] = w[0] - times(s.lr, g)


cdef inline void momentum(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """v = alpha v - lr g;  w = w + v."""
    cdef double alpha = s.k[0]
    cdef vec v = state[0]
    v = times(alpha, v) - times(s.lr, g)
    w[0] = w[0] + v
    state[0] = v


cdef inline void dampened_momentum(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """v = alpha v + (1 - dampening) g;  w = w - lr v."""
    cdef double alpha = s.k[0], dampening = s.k[1]
    cdef vec v = state[0]
    v = times(alpha, v) + times(1 - dampening, g)
    w[0] = w[0] - times(s.lr, v)
    state[0] = v


cdef inline void nesterov(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """v = alpha v - lr g;  w = w + alpha v - lr g."""
    cdef double alpha = s.k[0]
    cdef vec v = state[0]
    v = times(alpha, v) + times(-s.lr, g)   # -lr: no common product, two fused multiply-adds
    w[0] = w[0] + times(alpha, v) - times(s.lr, g)
    state[0] = v


cdef inline void squares(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """v = keep v + gain g^2;  w = w - lr g / (sqrt(v) + eps)."""
    cdef double keep = s.k[0], gain = s.k[1], eps = s.k[2]  # RMSProp: rho, 1 - rho; AdaGrad: 1, 1
    cdef vec v = state[0]
    v = times(keep, v) + times(gain, g * g)
    w[0] = w[0] - times(s.lr, g / (root(v) + splat(eps, v)))
    state[0] = v


cdef inline void squares_momentum(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """v as in `squares`;  b = mu b + g / (sqrt(v) + eps);  w = w - lr b."""
    cdef double keep = s.k[0], gain = s.k[1], eps = s.k[2], mu = s.k[3]
    cdef vec v = state[0], b = state[1]
    v = times(keep, v) + times(gain, g * g)
    b = times(mu, b) + g / (root(v) + splat(eps, v))
    w[0] = w[0] - times(s.lr, b)
    state[0], state[1] = v, b


cdef inline void centered(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """v as in `squares`;  m = keep m + gain g;  w = w - lr g / (sqrt(v - m^2) + eps)."""
    cdef double keep = s.k[0], gain = s.k[1], eps = s.k[2]
    cdef vec v = state[0], m = state[1]
    v = times(keep, v) + times(gain, g * g)
    m = times(keep, m) + times(gain, g)
    # only rounding takes v - m^2 below 0
    w[0] = w[0] - times(s.lr, g / (root(at_least(v - m * m, 0)) + splat(eps, v)))
    state[0], state[1] = v, m


cdef inline void centered_momentum(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """v and m as in `centered`;  b = mu b + g / (sqrt(v - m^2) + eps);  w = w - lr b."""
    cdef double keep = s.k[0], gain = s.k[1], eps = s.k[2], mu = s.k[3]
    cdef vec v = state[0], m = state[1], b = state[2]
    v = times(keep, v) + times(gain, g * g)
    m = times(keep, m) + times(gain, g)
    b = times(mu, b) + g / (root(at_least(v - m * m, 0)) + splat(eps, v))
    w[0] = w[0] - times(s.lr, b)
    state[0], state[1], state[2] = v, m, b


cdef inline void adadelta(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """h = rho h + (1 - rho) g^2;  u = sqrt(d + eps) / sqrt(h + eps) g;
    d = rho d + (1 - rho) u^2;  w = w - lr u."""
    cdef double rho = s.k[0]
    cdef vec h = state[0], d = state[1], eps = splat(s.k[1], g), u
    h = times(rho, h) + times(1 - rho, g * g)
    u = root(d + eps) / root(h + eps) * g
    d = times(rho, d) + times(1 - rho, u * u)
    w[0] = w[0] - times(s.lr, u)
    state[0], state[1] = h, d


cdef inline void adam(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
    w = w - lr (m_scale m + g_scale g) / (root_scale sqrt(v) + eps)."""
    # Adam: m_scale = 1 / (1 - beta1^t), g_scale = 0, root_scale = 1 / sqrt(1 - beta2^t)
    cdef double beta1 = s.k[0], beta2 = s.k[1]
    cdef double m_scale = s.k[2], g_scale = s.k[3], root_scale = s.k[4], eps = s.k[5]
    cdef vec m = state[0], v = state[1]
    m = times(beta1, m) + times(1 - beta1, g)
    v = times(beta2, v) + times(1 - beta2, g * g)
    w[0] = w[0] - (times(s.lr * m_scale, m) + times(s.lr * g_scale, g)) / (
        times(root_scale, root(v)) + splat(eps, v))
    state[0], state[1] = m, v


cdef inline void amsgrad(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """m, v as in `adam`;  v_max = max(v_max, v);
    w = w - lr m_scale m / (root_scale sqrt(v_max) + eps)."""
    cdef double beta1 = s.k[0], beta2 = s.k[1], m_scale = s.k[2], root_scale = s.k[3], eps = s.k[4]
    cdef vec m = state[0], v = state[1], v_max = state[2]
    m = times(beta1, m) + times(1 - beta1, g)
    v = times(beta2, v) + times(1 - beta2, g * g)
    v_max = greater_of(v_max, v)
    w[0] = w[0] - times(s.lr * m_scale, m) / (times(root_scale, root(v_max)) + splat(eps, v))
    state[0], state[1], state[2] = m, v, v_max


cdef inline void adamax(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """m = beta1 m + (1 - beta1) g;  u = max(beta2 u, abs(g) + eps);  w = w - lr m_scale m / u."""
    cdef double beta1 = s.k[0], beta2 = s.k[1], m_scale = s.k[2], eps = s.k[3]
    cdef vec m = state[0], u = state[1]
    m = times(beta1, m) + times(1 - beta1, g)
    u = greater_of(times(beta2, u), absolute(g) + splat(eps, u))
    w[0] = w[0] - times(s.lr * m_scale, m) / u
    state[0], state[1] = m, u


cdef inline void lion(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """w = w - lr sign(beta1 m + (1 - beta1) g);  m = beta2 m + (1 - beta2) g."""
    cdef double beta1 = s.k[0], beta2 = s.k[1]
    cdef vec m = state[0]
    w[0] = w[0] - times(s.lr, sign_of(times(beta1, m) + times(1 - beta1, g)))
    state[0] = times(beta2, m) + times(1 - beta2, g)


cdef inline void lamb_moments(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """m, v as in `adam`. First half of LAMB: the squares of w and of `lamb_update` are summed."""
    cdef double beta1 = s.k[0], beta2 = s.k[1]
    state[0] = times(beta1, state[0]) + times(1 - beta1, g)
    state[1] = times(beta2, state[1]) + times(1 - beta2, g * g)


cdef inline vec lamb_update(vec w, vec* state, const Settings* s) noexcept nogil:
    """Return u = m_scale m / (root_scale sqrt(v) + eps) + decay w."""
    cdef double m_scale = s.k[2], root_scale = s.k[3], eps = s.k[4]
    cdef vec m = state[0], v = state[1]
    return times(m_scale, m) / (times(root_scale, root(v)) + splat(eps, v)) + times(s.decay, w)


cdef inline void lamb(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """w = w - lr factor u, with u of `lamb_update`. Second half of LAMB."""
    w[0] = w[0] - times(s.factor * s.lr, lamb_update(w[0], state, s))


cdef inline void loop(
    int kind,                               # a literal at every call
    void (*rule)(vec*, vec, vec*, const Settings*) noexcept nogil,
    bint clamps,                            # a literal, too: there is L1 or a bound
    real* w, const real* g, real** state, real* cleared, dim n,
    const Settings* settings, double* sums,
) noexcept nogil:
    """Run a rule over whole vectors."""
    cdef dim size = VBYTES // sizeof(real), i = 0
    cdef int j
    cdef Settings s = settings[0]           # a copy: the compiler knows that no store changes it
    cdef real* state0 = state[0]
    cdef real* state1 = state[1]
    cdef real* state2 = state[2]
    cdef vec x, y, zero, penalty, w_squares, u_squares
    cdef vec own[3]
    vfill(zero, 0)
    w_squares = u_squares = own[0] = own[1] = own[2] = zero
    while i < n:
        vload(x, w + i)
        vload(y, g + i)
        if states(kind) > 0:
            vload(own[0], state0 + i)
        if states(kind) > 1:
            vload(own[1], state1 + i)
        if states(kind) > 2:
            vload(own[2], state2 + i)
        # GCC fuses the first of two products with their sum: the order of lines decides the bits
        if kind <= SQUARES:                 # as when the first models were saved
            y = times(s.factor, y)
            penalty = times(s.l2, x)
        else:
            penalty = times(s.l2, x)
            y = times(s.factor, y)
        if clamps:
            y = clamped(y, s.bound) + times(s.l1, sign_of(x))
        y = y + penalty
        x = times(s.keep, x)
        rule(&x, y, own, &s)
        if kind != LAMB:                    # its first half has done this
            if states(kind) > 0:
                vstore(state0 + i, own[0])
            if states(kind) > 1:
                vstore(state1 + i, own[1])
            if states(kind) > 2:
                vstore(state2 + i, own[2])
            if cleared != NULL:
                vstore(cleared + i, zero)
        if kind == LAMB_MOMENTS:
            y = lamb_update(x, own, &s)
            w_squares = w_squares + x * x
            u_squares = u_squares + y * y
        else:
            if clamps:
                x = x - clamped(x, s.shrink)
            vstore(w + i, x)
        i += size
    if kind == LAMB_MOMENTS:
        for j in range(<int> size):
            sums[0] += (<real*> &w_squares)[j]
            sums[1] += (<real*> &u_squares)[j]


cdef inline void run_rule(
    int kind, bint clamps, real* w, const real* g, real** state, real* cleared, dim n,
    const Settings* s, double* sums, vec* tag,
) noexcept nogil:
    """Run over n entries, a whole number of vectors: one loop for each rule."""
    if kind == SGD:
        loop(SGD, sgd[vec], clamps, w, g, state, cleared, n, s, sums)
    elif kind == MOMENTUM:
        loop(MOMENTUM, momentum[vec], clamps, w, g, state, cleared, n, s, sums)
    elif kind == DAMPENED_MOMENTUM:
        loop(DAMPENED_MOMENTUM, dampened_momentum[vec], clamps, w, g, state, cleared, n, s, sums)
    elif kind == NESTEROV:
        loop(NESTEROV, nesterov[vec], clamps, w, g, state, cleared, n, s, sums)
    elif kind == SQUARES:
        loop(SQUARES, squares[vec], clamps, w, g, state, cleared, n, s, sums)
    elif kind == SQUARES_MOMENTUM:
        loop(SQUARES_MOMENTUM, squares_momentum[vec], clamps, w, g, state, cleared, n, s, sums)
    elif kind == CENTERED:
        loop(CENTERED, centered[vec], clamps, w, g, state, cleared, n, s, sums)
    elif kind == CENTERED_MOMENTUM:
        loop(CENTERED_MOMENTUM, centered_momentum[vec], clamps, w, g, state, cleared, n, s, sums)
    elif kind == ADADELTA:
        loop(ADADELTA, adadelta[vec], clamps, w, g, state, cleared, n, s, sums)
    elif kind == ADAM:
        loop(ADAM, adam[vec], clamps, w, g, state, cleared, n, s, sums)
    elif kind == AMSGRAD:
        loop(AMSGRAD, amsgrad[vec], clamps, w, g, state, cleared, n, s, sums)
    elif kind == ADAMAX:
        loop(ADAMAX, adamax[vec], clamps, w, g, state, cleared, n, s, sums)
    elif kind == LION:
        loop(LION, lion[vec], clamps, w, g, state, cleared, n, s, sums)
    elif kind == LAMB_MOMENTS:
        loop(LAMB_MOMENTS, lamb_moments[vec], clamps, w, g, state, cleared, n, s, sums)
    elif kind == LAMB:
        loop(LAMB, lamb[vec], clamps, w, g, state, cleared, n, s, sums)


cdef void run_vectors(
    int kind, real* w, const real* g, real** state, real* cleared, dim n,
    const Settings* s, double* sums,
) noexcept nogil:
    if real is float and s.clamps:
        run_rule(kind, True, w, g, state, cleared, n, s, sums, <vecf*> NULL)
    elif real is float:
        run_rule(kind, False, w, g, state, cleared, n, s, sums, <vecf*> NULL)
    elif s.clamps:
        run_rule(kind, True, w, g, state, cleared, n, s, sums, <vecd*> NULL)
    else:
        run_rule(kind, False, w, g, state, cleared, n, s, sums, <vecd*> NULL)


cdef void run(
    int kind, real* w, const real* g, real** state, real* cleared, dim n,
    const Settings* s, double* sums,
) noexcept nogil:
    """Run over n entries. Those that fill no vector go through the same loop, in a copy."""
    cdef dim size = VBYTES // sizeof(real), rest = n % size, count = n - rest
    cdef real copy[5 * MAX_LANES]           # w, g, three of state
    cdef real* copied_state[3]
    cdef size_t nbytes = rest * sizeof(real)
    cdef int j
    if count > 0:
        run_vectors(kind, w, g, state, cleared, count, s, sums)
    if rest == 0:
        return
    memset(copy, 0, sizeof(copy))
    memcpy(copy, w + count, nbytes)
    memcpy(copy + size, g + count, nbytes)
    for j in range(3):
        copied_state[j] = copy + (j + 2) * size
    for j in range(states(kind)):
        memcpy(copied_state[j], state[j] + count, nbytes)
    run_vectors(kind, copy, copy + size, copied_state, <real*> NULL, size, s, sums)
    memcpy(w + count, copy, nbytes)
    for j in range(states(kind)):
        memcpy(state[j] + count, copied_state[j], nbytes)
    if cleared != NULL:
        memset(cleared + count, 0, nbytes)


cdef double square_sum(const real* x, dim n) noexcept nogil:
    """Return the sum of squares, in double."""
    cdef double part[NORM_SUMS]
    cdef double total = 0
    cdef dim i, j
    memset(part, 0, sizeof(part))
    for i in range(n // NORM_SUMS):
        for j in range(NORM_SUMS):
            part[j] += <double> x[i * NORM_SUMS + j] * x[i * NORM_SUMS + j]
    for i in range(n // NORM_SUMS * NORM_SUMS, n):
        part[0] += <double> x[i] * x[i]
    for j in range(NORM_SUMS):
        total += part[j]
    return total


cdef void run_piece(
    int kind, real* w, const real* g, real** state, real* cleared, const dim* piece,
    const double* group, double factor, const Settings* of_step, double* sums,
) noexcept nogil:
    """Do the work of `step` for one row of pieces."""
    cdef dim start = piece[0], n = piece[1] - piece[0]
    cdef real* own[3]
    cdef Settings s = of_step[0]
    cdef int j
    if sums_up(kind):
        sums[0] = sums[1] = 0
    if kind == NORM:
        sums[0] = square_sum(g + start, n)
        return
    s.factor = factor
    s.lr, s.l2, s.l1, s.decay = s.lr * group[0], group[1], group[2], group[3]
    # in LAMB, decay is a part of the step, whose length it shares
    s.keep = 1 if kind == LAMB_MOMENTS or kind == LAMB else 1 - s.lr * s.decay
    s.shrink = s.lr * group[4]
    s.clamps = s.l1 != 0 or s.shrink != 0 or s.bound < INFINITY
    for j in range(3):
        own[j] = state[j] + start if state[j] != NULL else NULL
    run(kind, w + start, g + start, own, cleared + start if cleared != NULL else NULL, n, &s, sums)


def step(
    int kind,                               # one of the names of this module
    real[::1] w,                            # in, out  (n,), weights
    const real[::1] g,                      # in   (n,), gradients
    real[::1] state0, real[::1] state1, real[::1] state2,   # in, out  (n,), of the rule; or None
    real[::1] cleared,                      # out  (n,), zeros at the pieces: g itself, or None
    const Py_ssize_t[:, ::1] pieces,        # in   (pieces, 4): start, stop, group, array
    const double[:, ::1] groups,            # in   (groups, 5): lr, l2, l1, decay, shrink
    const double[::1] factors,              # in   (arrays,): of gradients, LAMB: of steps; or None
    double[:, ::1] sums,                    # out  (pieces, 2), of NORM and LAMB_MOMENTS; or None
    double lr,
    double bound,                           # of an entry of a gradient, or infinite
    tuple constants,                        # of the rule, in its order; 8 at most
    list passes=None,                       # out  the kind is appended when all is done
):
    """Take a step, or half of one."""
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = w.shape[0], count = pieces.shape[0], total = 0, i
    cdef int used = states(kind)
    cdef Settings s
    cdef const double* factor
    cdef double* piece_sums
    cdef real* zeros
    cdef real* state[3]
    cdef Buffer workspace
    cdef dim few[4 * MAX_FEW]
    cdef dim *copied = few, *piece
    if kind not in kinds:
        raise ValueError("kind must be of this module")
    if (g.shape[0] != n or (used > 0 and (state0 is None or state0.shape[0] != n))
            or (used > 1 and (state1 is None or state1.shape[0] != n))
            or (used > 2 and (state2 is None or state2.shape[0] != n))
            or (cleared is not None and cleared.shape[0] != n)):
        raise ValueError("weights, gradients and state must have one length")
    if (pieces.shape[1] != 4 or groups.shape[1] != 5
            or (sums_up(kind) and (sums is None or sums.shape[0] != count or sums.shape[1] != 2))):
        raise ValueError("pieces must have 4 columns, groups 5, sums a row of 2 for each piece")
    if len(constants) > MAX_CONSTANTS:
        raise ValueError("constants must be 8 at most")
    if count == 0:
        return
    if count > MAX_FEW:
        workspace = Buffer(4 * count * sizeof(dim))
        copied = <dim*> workspace.memory
    memcpy(copied, &pieces[0, 0], 4 * count * sizeof(dim))  # others may write to it meanwhile
    for i in range(count):
        piece = copied + 4 * i
        if not (0 <= piece[0] < piece[1] <= n and 0 <= piece[2] < groups.shape[0]
                and (factors is None or 0 <= piece[3] < factors.shape[0])):
            raise ValueError(f"piece {i} is not of these arrays, groups and factors")
        total += piece[1] - piece[0]
    memset(&s, 0, sizeof(s))
    s.lr, s.bound = lr, bound
    for i in range(len(constants)):
        s.k[i] = constants[i]
    state[0] = &state0[0] if used > 0 else NULL
    state[1] = &state1[0] if used > 1 else NULL
    state[2] = &state2[0] if used > 2 else NULL
    zeros = &cleared[0] if cleared is not None else NULL
    factor = &factors[0] if factors is not None else NULL
    piece_sums = &sums[0, 0] if sums_up(kind) else NULL
    for i in prange(count, nogil=True, schedule="static",
                    num_threads=threads_for(<double> total * sizeof(real) * (2 + used) / 16)):
        piece = copied + 4 * i
        run_piece(kind, &w[0], &g[0], state, zeros, piece, &groups[piece[2], 0],
                  factor[piece[3]] if factor != NULL else 1, &s,
                  piece_sums + 2 * i if piece_sums != NULL else NULL)
    if passes is not None:                  # before Python can handle a signal
        passes.append(kind)
