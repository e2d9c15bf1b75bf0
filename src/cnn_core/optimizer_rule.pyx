# compiled once: the rules hold all vectors
"""Steps of optimizers over the parameters of a network, by a rule; see `optimizers.pyx`.

All arrays are flat and of one length: the parameters of a network lie in one buffer. A step runs
over pieces of it. A piece belongs to a group, with its own learning rate and regularisation, and to
an array (one parameter), with its own factor: of the gradient, to clip it, or of the step, in LAMB.
Sums over a piece are in double. The caller adds them up in order, so threads change no bits.
"""
from cython.parallel cimport prange
from libc.math cimport INFINITY
from libc.string cimport memcpy, memset

from cnn_core.memory cimport Buffer
from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport dim, real

cdef enum:
    MAX_FEW = 8             # pieces that are copied to the stack
    MAX_VECTOR = 64         # bytes


cdef class Rule:
    """A compiled rule; `step` runs it."""

    def __init__(self):
        raise TypeError("a Rule is made in Cython, see optimizer_rule.pxd")

    def __repr__(self):
        return f"<rule {self.name}>"


cdef Rule made_rule(str name, dim vector, run_function run_float, run_function run_double):
    cdef Rule made = Rule.__new__(Rule)
    if vector > MAX_VECTOR:
        raise ValueError(f"vectors must have {MAX_VECTOR} bytes at most")
    made.name, made.vector, made.run_float, made.run_double = name, vector, run_float, run_double
    made.traits = run_float(NULL, NULL)
    return made


cdef void run_piece(
    run_function run, int traits, dim vector, Piece p, double* sums, const dim* piece,
    const double* group, double factor, dim itemsize,
) noexcept nogil:
    """Do the work of `step` for one row of pieces."""
    cdef dim first = piece[0] * itemsize, nbytes = (piece[1] - piece[0]) * itemsize
    cdef Settings* s = &p.settings
    p.sums = sums
    if traits & WRITES_SUMS:
        sums[0] = sums[1] = 0
    s.factor = factor
    s.lr, s.l2, s.l1, s.decay = s.lr * group[0], group[1], group[2], group[3]
    # in LAMB, decay is a part of the step, whose length it shares
    s.keep = 1 if traits & (WRITES_SUMS | READS_STATE) else 1 - s.lr * s.decay
    s.shrink = s.lr * group[4]
    s.clamps = s.l1 != 0 or s.shrink != 0 or s.bound < INFINITY
    p.nbytes = nbytes if traits & ANY_LENGTH else nbytes - nbytes % vector
    move(&p, first)
    if p.nbytes > 0:
        run(&p, NULL)
    if p.nbytes < nbytes:
        move(&p, p.nbytes)
        run_rest(run, traits, vector, p, nbytes - p.nbytes)


cdef void move(Piece* p, dim nbytes) noexcept nogil:
    """Move the pointers."""
    cdef int j
    p.w += nbytes
    p.g += nbytes
    for j in range(3):
        if p.state[j] != NULL:
            p.state[j] += nbytes
    if p.cleared != NULL:
        p.cleared += nbytes


cdef void run_rest(run_function run, int traits, dim vector, Piece p, dim nbytes) noexcept nogil:
    """Run over entries that fill no vector: in a copy, which has zeros behind them."""
    cdef char[5 * MAX_VECTOR] copy          # w, g, three of state
    cdef Piece copied = p
    cdef int j, states = traits & STATES
    memset(copy, 0, sizeof(copy))
    copied.w, copied.g, copied.cleared, copied.nbytes = copy, copy + MAX_VECTOR, NULL, vector
    memcpy(copied.w, p.w, nbytes)
    memcpy(copy + MAX_VECTOR, p.g, nbytes)
    for j in range(states):
        copied.state[j] = copy + (2 + j) * MAX_VECTOR
        memcpy(copied.state[j], p.state[j], nbytes)
    run(&copied, NULL)
    memcpy(p.w, copied.w, nbytes)
    for j in range(states):
        memcpy(p.state[j], copied.state[j], nbytes)
    if p.cleared != NULL:
        memset(p.cleared, 0, nbytes)


def step(
    Rule rule not None,
    real[::1] w,                            # in, out  (n,), weights
    const real[::1] g,                      # in   (n,), gradients
    real[::1] state0, real[::1] state1, real[::1] state2,   # in, out  (n,), of the rule; or None
    real[::1] cleared,                      # out  (n,), zeros at the pieces: g itself, or None
    const Py_ssize_t[:, ::1] pieces,        # in   (pieces, 4): start, stop, group, array
    const double[:, ::1] groups,            # in   (groups, 5): lr, l2, l1, decay, shrink
    const double[::1] factors,              # in   (arrays,): of gradients, LAMB: of steps; or None
    double[:, ::1] sums,                    # out  (pieces, 2), of rules that write sums; or None
    double lr,
    double bound,                           # of an entry of a gradient, or infinite
    tuple constants,                        # of the rule, in its order; 8 at most
    list passes=None,                       # out  the rule is appended when all is done
):
    """Take a step, or half of one."""
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = w.shape[0], count = pieces.shape[0], total = 0, i
    cdef int used = rule.traits & STATES
    cdef bint writes_sums = rule.traits & WRITES_SUMS
    cdef run_function run = rule.run_float if real is float else rule.run_double
    cdef const double* factor
    cdef double* piece_sums
    cdef Piece p
    cdef Buffer workspace
    cdef dim few[4 * MAX_FEW]
    cdef dim* copied = few
    cdef dim* piece
    if (g.shape[0] != n or (used > 0 and (state0 is None or state0.shape[0] != n))
            or (used > 1 and (state1 is None or state1.shape[0] != n))
            or (used > 2 and (state2 is None or state2.shape[0] != n))
            or (cleared is not None and cleared.shape[0] != n)):
        raise ValueError("weights, gradients and state must have one length")
    if (pieces.shape[1] != 4 or groups.shape[1] != 5
            or (writes_sums and (sums is None or sums.shape[0] != count or sums.shape[1] != 2))):
        raise ValueError("pieces must have 4 columns, groups 5, sums a row of 2 for each piece")
    if len(constants) > MAX_CONSTANTS:
        raise ValueError("constants must be 8 at most")
    if count == 0:
        return
    if count > MAX_FEW:
        workspace = Buffer(4.0 * count * sizeof(dim))
        copied = <dim*> workspace.memory
    memcpy(copied, &pieces[0, 0], 4 * count * sizeof(dim))  # others may write to it meanwhile
    for i in range(count):
        piece = copied + 4 * i
        if not (0 <= piece[0] < piece[1] <= n and 0 <= piece[2] < groups.shape[0]
                and (factors is None or 0 <= piece[3] < factors.shape[0])):
            raise ValueError(f"piece {i} is not of these arrays, groups and factors")
        total += piece[1] - piece[0]
    memset(&p, 0, sizeof(p))
    p.settings.lr, p.settings.bound = lr, bound
    for i in range(len(constants)):
        p.settings.k[i] = constants[i]
    p.w, p.g = <char*> &w[0], <const char*> &g[0]
    p.state[0] = <char*> &state0[0] if used > 0 else NULL
    p.state[1] = <char*> &state1[0] if used > 1 else NULL
    p.state[2] = <char*> &state2[0] if used > 2 else NULL
    p.cleared = <char*> &cleared[0] if cleared is not None else NULL
    factor = &factors[0] if factors is not None else NULL
    piece_sums = &sums[0, 0] if writes_sums else NULL
    for i in prange(count, nogil=True, schedule="static",
                    num_threads=threads_for(<double> total * sizeof(real) * (2 + used) / 16)):
        piece = copied + 4 * i
        run_piece(run, rule.traits, rule.vector, p, piece_sums + 2 * i if writes_sums else NULL,
                  piece, &groups[piece[2], 0], factor[piece[3]] if factor != NULL else 1,
                  sizeof(real))
    if passes is not None:                  # before Python can handle a signal
        passes.append(rule)
