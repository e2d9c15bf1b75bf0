# compiled once: it is as fast as memory
"""A dense layer, y = x W + b, and its gradients dW = x^T dy, db = sum of dy, dx = dy W^T.

    n, k, units   samples, inputs, outputs

Forward is one matrix product; backward is two, and a sum over the samples. `gemm` reads a matrix by
rows or by columns, so no transpose is written down, and it does at the end of a product what would
take another pass over the result: add the bias, or apply the ReLU of a neighbouring layer.

With one sample, each weight takes part in one multiplication per product, and reading the weights
takes all the time. Both products of the backward pass then go through them together, unpacked.

Like every kernel, this one has three kinds of functions. A `def` checks shapes, in constant time,
so that no call from Python can reach beyond an array; ``in`` and ``out`` say which arrays it reads
and writes. A `cdef` function marked ``nogil`` computes on pointers and checks nothing. What varies
between float32 and float64 is the type `real` alone: the code is compiled for both. Threads share
out blocks of work that do not depend on each other, so results have the same bits for any number
of threads.
"""
from cython.parallel cimport prange

from cnn_core.gemm cimport ADD, RELU, product
from cnn_core.reduce cimport add_sums
from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    TASK_INPUTS = 32    # inputs that a thread takes at a time, for one sample
    CHAINS = 16         # partial sums of a dot product, which do not wait for each other


def dense_forward(
    const real[:, ::1] x,           # in   (n, k)
    const real[:, ::1] weight,      # in   (k, units)
    const real[::1] bias,           # in   (units,), or None
    real[:, ::1] y,                 # out  (n, units), overwritten
    bint relu=False,                # in the end, turn negative results into 0
):
    """Write x W + b to ``y``."""
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = x.shape[0], k = x.shape[1], units = y.shape[1]
    if (k == 0 or y.shape[0] != n or weight.shape[0] != k or weight.shape[1] != units
            or (bias is not None and bias.shape[0] != units)):
        raise ValueError("x, weight, bias and y do not belong to one dense layer")
    if n > 0 and units > 0:
        product(n, units, k, &x[0, 0], False, &weight[0, 0], False, &y[0, 0],
                NULL if bias is None else &bias[0], NULL, RELU if relu else 0)


def dense_backward(
    const real[:, ::1] x,           # in   (n, k)
    const real[:, ::1] dy,          # in   (n, units)
    const real[:, ::1] weight,      # in   (k, units)
    real[:, ::1] dweight,           # out  (k, units), added to; or None
    real[::1] dbias,                # out  (units,), added to; or None
    real[:, ::1] dx,                # out  (n, k), overwritten; or None
    bint drelu=False,               # dx = 0 where x <= 0 or NaN
):
    """Add x^T dy to ``dweight`` and the sum of dy to ``dbias``; write dy W^T to ``dx``."""
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = x.shape[0], k = x.shape[1], units = dy.shape[1]
    if (dy.shape[0] != n or weight.shape[0] != k or weight.shape[1] != units
            or (dweight is not None and (dweight.shape[0] != k or dweight.shape[1] != units))
            or (dbias is not None and dbias.shape[0] != units)
            or (dx is not None and (dx.shape[0] != n or dx.shape[1] != k))):
        raise ValueError("x, dy, weight and the gradients do not belong to one dense layer")
    if min(n, k, units) == 0:
        if dx is not None:
            dx[...] = 0             # a sum over nothing
        return
    if dbias is not None:
        add_sums(&dy[0, 0], n, units, &dbias[0])
    if n == 1:
        with nogil:
            backward_of_one_sample(k, units, &x[0, 0], &dy[0, 0], &weight[0, 0],
                                   NULL if dweight is None else &dweight[0, 0],
                                   NULL if dx is None else &dx[0, 0], drelu)
        return
    if dweight is not None:
        product(k, units, n, &x[0, 0], True, &dy[0, 0], False, &dweight[0, 0], NULL, NULL, ADD)
    if dx is not None:
        product(n, k, units, &dy[0, 0], False, &weight[0, 0], True, &dx[0, 0], NULL,
                &x[0, 0] if drelu else NULL, 0)


cdef void backward_of_one_sample(
    dim k, dim units, const real* x, const real* dy, const real* weight,
    real* dweight, real* dx,                        # or NULL
    bint drelu,
) noexcept nogil:
    """Do the work of `dense_backward` but for the bias; threads share out the inputs."""
    cdef dim task, p
    for task in prange(blocks_of(k, TASK_INPUTS), schedule="static",
                       num_threads=threads_for(<double> k * units * sizeof(real) / 30)):
        p = task * TASK_INPUTS
        backward_of_inputs(least(TASK_INPUTS, k - p), units, x + p, dy, weight + p * units,
                           NULL if dweight == NULL else dweight + p * units,
                           NULL if dx == NULL else dx + p, drelu)


cdef void backward_of_inputs(
    dim inputs, dim units, const real* x, const real* dy, const real* weight,   # of these inputs
    real* dweight, real* dx, bint drelu,
) noexcept nogil:
    """dweight += x^T dy and dx = dy weight^T, for some inputs of one sample."""
    cdef dim p, j
    for p in range(inputs):
        if dweight != NULL:
            for j in range(units):
                dweight[j] = dweight[j] + x[p] * dy[j]
            dweight += units
        if dx != NULL:
            dx[p] = 0 if drelu and not x[p] > 0 else dot(dy, weight, units)
        weight += units


cdef inline real dot(const real* a, const real* b, dim n) noexcept nogil:
    """Return the sum of a[j] b[j]."""
    cdef real sums[CHAINS]
    cdef real total = 0
    cdef dim i, j
    for j in range(CHAINS):
        sums[j] = 0
    for i in range(n // CHAINS):
        for j in range(CHAINS):
            sums[j] = sums[j] + a[i * CHAINS + j] * b[i * CHAINS + j]
    for j in range(n // CHAINS * CHAINS, n):
        total = total + a[j] * b[j]
    for j in range(8):
        sums[j] = sums[j] + sums[j + 8]
    for j in range(4):
        sums[j] = sums[j] + sums[j + 4]
    return total + ((sums[0] + sums[1]) + (sums[2] + sums[3]))
