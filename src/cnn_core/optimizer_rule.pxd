# cython: cdivision=True, language_level=3
"""The frame of optimizer rules, for the modules that define some: see `optimizers.pyx`.

A rule is a function of vectors, in the letters of its paper, and two statements below it:

    cdef inline void sign_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
        w[0] = w[0] - times(s.lr, sign_of(g))

    cdef int run_sign(const Piece* p, vec* tag) noexcept nogil:
        return run(0, sign_rule[vec], p)

    sign = rule("sign", run_sign[vecf], run_sign[vecd])

The first argument of `run` is the number of its arrays of state, at most 3. The rule combines its
constants in double, as in `1 - beta1` or `lr * m_scale`, and `times` rounds the result to the
precision of the arrays; the compiler moves both out of the loop.
"""
from cnn_core.simd cimport VBYTES, vec, vecd, vecf, vfill, vload, vstore
from cnn_core.types cimport dim
from cnn_core.vmath cimport at_least, at_most, sign_of

cdef enum:
    MAX_CONSTANTS = 8       # of a rule

cdef enum:                  # what `run` may be told beside the number of arrays, added to it
    STATES = 3              # the mask of that number
    WRITES_SUMS = 4         # instead of weights: sums of squares of w, and of what the rule made
    READS_STATE = 8         # it does not write it, nor does it clear the gradient
    FACTOR_FIRST = 16       # the order of two products, see `loop`
    ANY_LENGTH = 32         # it takes pieces that are no whole number of vectors

cdef struct Settings:       # of a piece
    double lr               # of the step times that of the group
    double factor           # of the gradient; LAMB: of the step
    double bound            # of an entry of the gradient, or infinite
    double l2, l1, decay    # rates of regularisation
    double keep             # what decay leaves of a weight
    double shrink           # largest proximal step
    bint clamps             # there is L1 or a bound
    double k[MAX_CONSTANTS]  # constants of the rule

cdef struct Piece:          # entries next to each other, of one precision
    char* w
    const char* g
    char* state[3]          # NULL: the rule has no such array
    char* cleared           # zeros are written there; or NULL
    dim nbytes
    double* sums            # 2 numbers, for a rule that writes them
    Settings settings

ctypedef int (*run_function)(const Piece*, void*) noexcept nogil

cdef class Rule:
    cdef readonly str name
    cdef int traits
    cdef dim vector         # bytes
    cdef run_function run_float, run_double

cdef Rule made_rule(str name, dim vector, run_function run_float, run_function run_double)


cdef inline Rule rule(
    str name,
    int (*run_float)(const Piece*, vecf*) noexcept nogil,
    int (*run_double)(const Piece*, vecd*) noexcept nogil,
):
    """Return a rule for Python."""
    return made_rule(name, VBYTES, <run_function> run_float, <run_function> run_double)


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


cdef inline void loop(
    int traits,                             # a literal at every call
    void (*rule)(vec*, vec, vec*, const Settings*) noexcept nogil,
    bint clamps,                            # a literal, too: there is L1 or a bound
    const Piece* p,
) noexcept nogil:
    """Run a rule over whole vectors."""
    cdef int states = traits & STATES
    cdef bint writes_sums = traits & WRITES_SUMS
    cdef dim i = 0, n = p.nbytes
    cdef Settings s = p.settings           # a copy: the compiler knows that no store changes it
    cdef char* w = p.w
    cdef const char* g = p.g
    cdef char* state0 = p.state[0]
    cdef char* state1 = p.state[1]
    cdef char* state2 = p.state[2]
    cdef char* cleared = p.cleared
    cdef vec x, y, zero, penalty, w_squares, u_squares
    cdef vec own[3]
    vfill(zero, 0)
    w_squares = u_squares = own[0] = own[1] = own[2] = zero
    while i < n:
        vload(x, w + i)
        vload(y, g + i)
        if states > 0:
            vload(own[0], state0 + i)
        if states > 1:
            vload(own[1], state1 + i)
        if states > 2:
            vload(own[2], state2 + i)
        # GCC fuses the first of two products with their sum: the order of lines decides the bits
        if traits & FACTOR_FIRST:           # as when the first models were saved
            y = times(s.factor, y)
            penalty = times(s.l2, x)
        else:
            penalty = times(s.l2, x)
            y = times(s.factor, y)
        if clamps:
            y = clamped(y, s.bound) + times(s.l1, sign_of(x))
        y = y + penalty
        x = times(s.keep, x)
        if writes_sums:
            w_squares = w_squares + x * x
        rule(&x, y, own, &s)
        if not traits & READS_STATE:
            if states > 0:
                vstore(state0 + i, own[0])
            if states > 1:
                vstore(state1 + i, own[1])
            if states > 2:
                vstore(state2 + i, own[2])
            if cleared != NULL:
                vstore(cleared + i, zero)
        if writes_sums:
            u_squares = u_squares + x * x
        else:
            if clamps:
                x = x - clamped(x, s.shrink)
            vstore(w + i, x)
        i += VBYTES
    if writes_sums:
        add_lanes(w_squares, p.sums)
        add_lanes(u_squares, p.sums + 1)


cdef inline void add_lanes(vec x, double* total) noexcept nogil:
    """Add the elements of a vector to a number, one after another."""
    cdef int j
    for j in range(VBYTES // <int> (sizeof(float) if vec is vecf else sizeof(double))):
        if vec is vecf:
            total[0] += (<float*> &x)[j]
        else:
            total[0] += (<double*> &x)[j]


cdef inline int run(
    int traits,                             # a literal: arrays of state, and more of the enum
    void (*rule)(vec*, vec, vec*, const Settings*) noexcept nogil,
    const Piece* p,
) noexcept nogil:
    """Run a rule over a piece of whole vectors, if there is one; return its traits."""
    if p == NULL:
        return traits
    if p.settings.clamps:
        loop(traits, rule, True, p)
    else:
        loop(traits, rule, False, p)
    return traits
