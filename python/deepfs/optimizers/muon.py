"""Muon: momentum whose steps are made nearly orthogonal, for matrices and filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np

from cnn_core import gemm

from .._arrays import Array
from .._check import flag, number, shown, whole
from ..schedules.function import Rate
from ._arena import Span, zeros_like
from ._base import Optimizer
from ._context import StepContext
from ._groups import Group, check_names
from ._plan import Plan

A, B, C = 3.4445, -4.7750, 2.0315  # coefficients of the polynomial, from Jordan et al. 2024
RUN, LONG = 3, 2  # see `orthogonalized`


@dataclass(eq=False)
class Muon(Optimizer):
    r"""Muon optimizer: momentum, orthogonalized by the iteration of Newton and Schulz.

    Of a weight matrix, with outputs as rows and inputs as columns; filters are a row each:

    .. math::
        m_t = \mu m_{t-1} + g_t, \quad d_t = g_t + \mu m_t, \quad
        w_t = (1 - \eta \lambda) w_{t-1}
        - \eta \sqrt{\max(1, \tfrac{\text{rows}}{\text{columns}})} \; \mathrm{NS}(d_t)

    where NS starts from :math:`X = d / \lVert d \rVert` and repeats
    :math:`X \leftarrow a X + b (X X^T) X + c (X X^T)^2 X`. This brings all singular values near 1
    and keeps the singular vectors. All other parameters take steps of `AdamW`.

    Parameters
    ----------
    lr : float, Schedule or function
        Step size :math:`\eta` of matrices, above 0.
    momentum : float
        Factor :math:`\mu` of the momentum in each step, in [0, 1).
    nesterov : bool
        If False, :math:`d_t = m_t`.
    steps : int
        Iterations of Newton and Schulz, at least 1.
    adam : str or sequence of str
        Patterns of names, as of `Group`, of further parameters for AdamW, such as ``"head.*"``: the
        authors leave the last layer to it.
    adam_scale : float
        Its learning rate as a factor of ``lr``, above 0.
    beta1, beta2, eps : float
        As in `Adam`, of AdamW.
    weight_decay : float
        :math:`\lambda`, at least 0, of both.
    **options
        Settings of every `Optimizer`: clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of its range.

    Notes
    -----
    State: ``m``; ``v`` of AdamW, which stays 0 for matrices. Biases, the parameters of norms, and
    arrays with a single row or column are no matrices, nor are flat arrays without a plan. All
    weights decay by :math:`\eta \lambda`, those of AdamW, too. Five
    iterations leave singular values between 0.68 and 1.14, if none is below 1/100 of the norm.
    Products are those of the kernel for dense layers: the same bits for any number of threads.
    NumPy reference: `deepfs.reference.muon`.

    References
    ----------
    Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
    https://kellerjordan.github.io/posts/muon: the coefficients (3.4445, -4.7750, 2.0315).

    Examples
    --------
    >>> params, optimizer = {"W": np.zeros((2, 2))}, Muon(0.1)
    >>> optimizer.update(params, {"W": np.array([[3.0, 0.0], [0.0, 0.5]])})
    >>> params["W"].round(1)  # both directions take nearly the same step
    array([[-0.1,  0. ],
           [ 0. , -0.1]])
    """

    lr: Rate = 0.02
    momentum: float = 0.95
    nesterov: bool = True
    steps: int = 5
    adam: str | Sequence[str] = ()
    adam_scale: float = 0.015
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-10

    decoupled: ClassVar[bool] = True
    per_array: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.momentum = number(self.momentum, "momentum", "[0, 1)")
        self.nesterov, self.steps = flag(self.nesterov, "nesterov"), whole(self.steps, "steps")
        try:
            self.adam = Group(self.adam).names
        except TypeError:
            raise TypeError(
                f'adam must be patterns of names, such as "head.*", got {shown(self.adam)}'
            ) from None
        self.adam_scale = number(self.adam_scale, "adam_scale", "(0, inf)")
        self.beta1 = number(self.beta1, "beta1", "[0, 1)")
        self.beta2 = number(self.beta2, "beta2", "[0, 1)")
        self.eps = number(self.eps, "eps", "(0, inf)")

    def init(self, w: Array) -> dict[str, Array]:
        return {"m": zeros_like(w), "v": zeros_like(w)}

    def plan(
        self,
        spans: Sequence[Span],
        known: Plan | None = None,
        frozen: frozenset[str] = frozenset(),
        buffers: Sequence[str] = (),
    ) -> Plan:
        """Return the plan of a step; refuse patterns of ``adam`` that match no parameter."""
        plan = super().plan(spans, known, frozen, buffers)
        if plan is not known and self.adam:
            check_names([span.name for span in spans], [Group(self.adam)])
        return plan

    def _step(self, context: StepContext) -> None:
        theirs = Group(self.adam)
        for name, w, g, state, lr in context.arrays():
            m, v = state["m"], state["v"]
            vector = w.ndim < 2 or min(len(w), w.size // len(w)) < 2
            if vector or theirs.matches(name):
                m += (1 - self.beta1) * (g - m)
                v += (1 - self.beta2) * (g * g - v)
                root = np.sqrt(v / (1 - self.beta2**context.t)) + self.eps
                w -= (lr * self.adam_scale / (1 - self.beta1**context.t)) * m / root
                continue
            m *= self.momentum
            m += g
            # (in, out), as weights of layers lie in memory: then none of this copies
            axes = (*range(2, w.ndim), 1, 0) if w.ndim > 2 else (0, 1)
            d = (g + self.momentum * m if self.nesterov else m).transpose(axes)
            matrix = d.reshape(-1, d.shape[-1])
            columns, rows = matrix.shape
            factor = lr * sqrt(max(1.0, rows / columns))
            step = orthogonalized(matrix, self.steps)
            step *= factor
            w -= step.reshape(d.shape).transpose(np.argsort(axes))


def orthogonalized(d: Array, steps: int) -> Array:
    """Return a matrix with the singular vectors of another, and singular values near 1.

    An iteration multiplies the shorter side of x by a polynomial of the Gram matrix of that side.
    If the other side is LONG times as long, up to RUN polynomials P are multiplied first, as small
    matrices, and x by all of them at once: the Gram matrix of P x is P gram P. Rounding errors of
    it grow 12-fold (by A^2) from iteration to iteration: hence a new one for each run.
    """
    norm = float(np.sqrt(np.square(d, dtype=np.float64).sum()))
    x = np.ascontiguousarray(d) * d.dtype.type(1 / max(norm, 1e-7))
    short, long = sorted(x.shape)
    run, tall = RUN if long >= LONG * short else 1, len(x) > short
    gram, p, product, spare = (np.empty((short, short), x.dtype) for _ in range(4))
    out = np.empty_like(x)
    while steps > 0:  # by our own kernel: no thread changes the bits
        gemm.gemm(x, x, gram, trans_a=tall, trans_b=not tall)
        count = min(run, steps)
        for i in range(count):
            gemm.gemm(gram, gram, p)
            p *= C
            np.multiply(gram, B, out=spare)
            p += spare
            p.flat[:: short + 1] += A
            if i + 1 < count:
                gemm.gemm(p, gram, spare)
                gemm.gemm(spare, p, gram)
            if i == 0:
                p, product = product, p
            else:
                gemm.gemm(p, product, spare)
                product, spare = spare, product
        left, right = (x, product) if tall else (product, x)
        gemm.gemm(left, right, out)
        x, out = out, x
        steps -= count
    return x
