"""Calls each public .pxd of cnn_core as another package does; `test_c_api` compares the results."""
from libc.stdint cimport uint32_t
from libc.string cimport memset

from cnn_core.activation cimport activate_part
from cnn_core.activation_functions cimport SILU, TANH, silu_value
from cnn_core.add cimport add_all
from cnn_core.batch_norm cimport batch_norm_columns, batch_norm_gradient_run, batch_norm_run
from cnn_core.batch_norm cimport batch_norm_width
from cnn_core.conv cimport conv_backward_input, conv_backward_weight, conv_forward
from cnn_core.gemm cimport ADD, CHAIN, KC, RELU, multiply, pack, packed_width, product
from cnn_core.group_norm cimport group_norm_columns, group_norm_gradient_rows
from cnn_core.group_norm cimport group_norm_gradient_workspace, group_norm_rows
from cnn_core.group_norm cimport group_norm_workspace
from cnn_core.im2col cimport Window, col2im_rows, col2im_space, usable
from cnn_core.memory cimport Buffer
from cnn_core.optimizer_rule cimport Piece, Rule, Settings, rule, run, times
from cnn_core.random cimport BLOCKS, philox_block, philox_blocks
from cnn_core.reduce cimport SHORT_ROWS, add_sums, run_of_rows
from cnn_core.simd cimport VBYTES, lanes, vec, vecd, vecf, vload_tail, vstore_tail
from cnn_core.softmax cimport cross_entropy_gradient_row, cross_entropy_row, log_softmax_gradient_row
from cnn_core.softmax cimport log_softmax_row, softmax_gradient_row, softmax_row
from cnn_core.threads cimport FloatMode, flush_denormals, parallel, threads_for
from cnn_core.transpose cimport transpose_matrix
from cnn_core.types cimport blocks_of, dim, least, real
from cnn_core.vmath cimport exponential

cdef extern from *:
    """
    #include <math.h>
    #include <stdio.h>
    #include <threads.h>    /* of C11, not of cnn_core */
    static int c11_threads(void) { return thrd_success == 0 || thrd_success != thrd_error; }
    """
    int c11_threads()


def facts():
    """Return what is compiled into this module: enumerations and sizes of structs."""
    assert c11_threads()
    return {
        "Piece": sizeof(Piece), "Settings": sizeof(Settings), "Window": sizeof(Window),
        "gemm.ADD": ADD, "gemm.RELU": RELU, "gemm.CHAIN": CHAIN, "gemm.KC": KC,
        "random.BLOCKS": BLOCKS, "reduce.SHORT_ROWS": SHORT_ROWS,
        "activation_functions.SILU": SILU, "activation_functions.TANH": TANH, "VBYTES": VBYTES,
    }


cdef void map_part(
    const real* x, real* y, real* z, dim n, vec* tag,
) noexcept nogil:
    cdef dim i = 0, size = lanes(sizeof(real))
    cdef vec v, w
    while i < n:
        vload_tail(v, x + i, n - i)
        w = exponential(v)
        vstore_tail(y + i, w, n - i)
        w = silu_value(v)
        vstore_tail(z + i, w, n - i)
        i += size


def functions(const real[::1] x, real[::1] exp, real[::1] silu):
    if real is float:
        map_part(&x[0], &exp[0], &silu[0], x.shape[0], <vecf*> NULL)
    else:
        map_part(&x[0], &exp[0], &silu[0], x.shape[0], <vecd*> NULL)


def activation(const real[::1] x, const real[::1] dy, real[::1] y, real[::1] dx):
    activate_part(SILU, &x[0], <const real*> NULL, &y[0], x.shape[0], <const real*> NULL, 0, 1)
    activate_part(SILU, &x[0], &dy[0], &dx[0], x.shape[0], <const real*> NULL, 0, 1)


def add(const real[::1] a, const real[::1] b, real[::1] y):
    with nogil:
        add_all(&a[0], &b[0], <const real*> NULL, False, &y[0], a.shape[0])


def transpose(const real[:, ::1] x, real[:, ::1] y):
    transpose_matrix(x.shape[0], x.shape[1], &x[0, 0], x.shape[1], &y[0, 0], x.shape[0])


def matrix_product(const real[:, ::1] a, const real[:, ::1] b, real[:, ::1] c):
    product(a.shape[0], b.shape[1], a.shape[1], &a[0, 0], False, &b[0, 0], False, &c[0, 0],
            <const real*> NULL, <const real*> NULL, RELU)


def packed_product(const real[:, ::1] a, const real[:, ::1] b, real[:, ::1] c):
    """Rows by `pack` and `multiply`, with tables of offsets; for k of at most KC."""
    cdef dim m = a.shape[0], k = a.shape[1], n = b.shape[1], ldb = packed_width(n, sizeof(real)), i
    cdef Buffer packed = Buffer(k * ldb * sizeof(real)), tables = Buffer((2 * m + k) * sizeof(dim))
    cdef dim* row = <dim*> tables.memory
    for i in range(m):
        row[i], row[m + k + i] = i * k, i * n
    for i in range(k):
        row[m + i] = i
    pack(k, n, &b[0, 0], n, 1, <real*> packed.memory)
    multiply(m, n, k, &a[0, 0], row, row + m, <real*> packed.memory, ldb, &c[0, 0], row + m + k,
             <const real*> NULL, <const real*> NULL, 0)


def columns_to_image(const real[:, ::1] col, real[:, :, ::1] dx, dim kh, dim kw):
    cdef Window window = Window(kh, kw, 1, 1, 0, 0, 1, 1)
    cdef dim h = dx.shape[0], w = dx.shape[1], c = dx.shape[2], oh = h - kh + 1, ow = w - kw + 1
    cdef Buffer space = Buffer(col2im_space(ow, w, kw, c, sizeof(real)))
    assert usable(window) and not usable(Window(0, 1, 1, 1, 0, 0, 1, 1))
    col2im_rows(&col[0, 0], col.shape[1], 0, oh, oh, ow, window, &dx[0, 0, 0], h, w, c, c,
                space.memory)


def column_sums(const real[:, ::1] x, real[::1] total):
    assert run_of_rows(x.shape[0]) % SHORT_ROWS == 0
    add_sums(&x[0, 0], x.shape[0], x.shape[1], &total[0])


def random_words(seed, index, stream, call, uint32_t[::1] one, uint32_t[::1] many):
    philox_block(seed, index, stream, call, &one[0])
    philox_blocks(seed, index, stream, call, &many[0])


def softmax(const real[:, ::1] x, const real[:, ::1] dy, real[:, :, ::1] out):
    """Softmax, its gradient, its logarithm, the gradient of that."""
    cdef dim i, c = x.shape[1]
    for i in range(x.shape[0]):
        softmax_row(&x[i, 0], &out[0, i, 0], c)
        softmax_gradient_row(&out[0, i, 0], &dy[i, 0], &out[1, i, 0], c)
        log_softmax_row(&x[i, 0], &out[2, i, 0], c)
        log_softmax_gradient_row(&out[2, i, 0], &dy[i, 0], &out[3, i, 0], c)


def cross_entropy(const real[::1] x, dim label, real[::1] p, real[::1] dx):
    loss = cross_entropy_row(&x[0], <const real*> NULL, label, &p[0], x.shape[0])
    cross_entropy_gradient_row(&p[0], <const real*> NULL, label, <real> 0.5, &dx[0], x.shape[0])
    return loss


def convolution(
    const real[:, :, :, ::1] x, const real[:, :, :, ::1] weight, const real[::1] bias,
    const real[:, :, :, ::1] dy, real[:, :, :, ::1] y, real[:, :, :, ::1] dx,
    real[:, :, :, ::1] dweight, real[::1] dbias, str request,
):
    cdef Window window = Window(weight.shape[0], weight.shape[1], 1, 1, 1, 1, 1, 1)
    cdef dim n = x.shape[0], h = x.shape[1], w = x.shape[2], c = x.shape[3]
    cdef dim oh = y.shape[1], ow = y.shape[2], co = y.shape[3]
    conv_forward(&x[0, 0, 0, 0], n, h, w, c, &weight[0, 0, 0, 0], &bias[0], &y[0, 0, 0, 0], oh, ow,
                 co, window, 1, request, False)
    conv_backward_input(&dy[0, 0, 0, 0], n, oh, ow, co, &weight[0, 0, 0, 0], &dx[0, 0, 0, 0], h, w,
                        c, window, 1, request, &x[0, 0, 0, 0], &x[0, 0, 0, 0])
    conv_backward_weight(&x[0, 0, 0, 0], n, h, w, c, &dy[0, 0, 0, 0], oh, ow, co,
                         &dweight[0, 0, 0, 0], &dbias[0], window, 1, request)


def layer_norm(
    const real[:, ::1] x, const real[:, ::1] dy, const real[::1] gamma, const real[::1] beta,
    double eps, real[:, ::1] statistics, real[:, ::1] y, real[:, ::1] dx,
    real[::1] dgamma, real[::1] dbeta,
):
    cdef dim rows = x.shape[0], values = x.shape[1]
    cdef dim c = group_norm_columns(1, values, 1, sizeof(real))
    cdef dim size = group_norm_workspace(c, sizeof(real))
    cdef dim size_back = group_norm_gradient_workspace(c, sizeof(real))
    cdef Buffer space = Buffer(max(size, size_back))
    memset(space.memory, 0, size)
    group_norm_rows(&x[0, 0], rows, values, c, 1, eps, &gamma[0], &beta[0], c, &statistics[0, 0],
                    &statistics[1, 0], &y[0, 0], <char*> space.memory)
    memset(space.memory, 0, size_back)
    group_norm_gradient_rows(&x[0, 0], &dy[0, 0], rows, values, c, 1, &gamma[0], c,
                             <const real*> &statistics[0, 0], <const real*> &statistics[1, 0],
                             &dx[0, 0], &dgamma[0], &dbeta[0], <char*> space.memory)


def batch_norm(
    const real[:, ::1] x, const real[:, ::1] dy, const real[:, ::1] given,
    real[:, ::1] y, real[:, ::1] dx,
):
    """``given``: mean, scale and beta; then mean, mean of dy, slope and scale."""
    cdef dim rows = x.shape[0], c = x.shape[1], wide = batch_norm_width(c, sizeof(real)), k
    cdef Buffer space = Buffer(7 * wide * sizeof(real))
    cdef real* columns = <real*> space.memory
    for k in range(7):
        batch_norm_columns(&given[k, 0], c, columns + k * wide, wide)
    batch_norm_run(&x[0, 0], <const real*> NULL, &y[0, 0], rows * c, columns, wide, False)
    batch_norm_gradient_run(&x[0, 0], &dy[0, 0], &dx[0, 0], rows * c, columns + 3 * wide, wide,
                            False)


cdef inline void halving_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """state = (state + g) / 2; w -= lr state."""
    state[0] = times(0.5, state[0] + g)
    w[0] = w[0] - times(s.lr, state[0])

cdef int run_halving(const Piece* p, vec* tag) noexcept nogil:
    return run(1, halving_rule[vec], p)

halving = rule("halving", run_halving[vecf], run_halving[vecd])


cdef struct Seen:
    int* times
    float* tiny
    int calls
    bint nested

cdef void see(void* context, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    cdef Seen* seen = <Seen*> context
    cdef Seen inner = Seen(seen.times, seen.tiny, 0, False)
    cdef Py_ssize_t i
    if seen.nested:
        parallel(see_again, &inner, stop - start, 1e9)
    for i in range(start, stop):
        seen.times[i] += 1
        seen.tiny[i] = seen.tiny[i] * <float> 0.5
    if start == 0:                      # one part alone does
        seen.calls += inner.calls

cdef void see_again(void* context, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    (<Seen*> context).calls += 1

def visits(int[::1] times, float[::1] tiny, double work, bint nested=False):
    """Count how often `parallel` comes to each index; halve the numbers of ``tiny`` on its way.

    Return how many parts a call in the body makes of the first part.
    """
    cdef Seen seen = Seen(&times[0], &tiny[0], 0, nested)
    with nogil:
        parallel(see, &seen, times.shape[0], work)
        parallel(see, NULL, 0, work)    # nothing to do, nothing is done
        parallel(see, NULL, -1, work)
    return seen.calls


cdef void note_size(void* context, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    (<Py_ssize_t*> context)[start] = stop - start

def part_sizes(Py_ssize_t[::1] sizes, double work):
    """Write the length of each part at its first index."""
    parallel(note_size, &sizes[0], sizes.shape[0], work)


def threads_of(double work):
    cdef FloatMode _mode = flush_denormals()
    return threads_for(work), blocks_of(10, 4), least(2, 3)
