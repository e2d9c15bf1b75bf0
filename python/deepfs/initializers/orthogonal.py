"""Orthogonal initializer."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from .._check import number
from .._check import shape as shape_of
from .._settings import ExplainedSettings
from ..random import Random
from ._base import Array


@dataclass
class Orthogonal(ExplainedSettings):
    """Orthogonal initializer: a uniformly random orthogonal matrix times ``gain``.

    Parameters
    ----------
    gain : float
        Length of the rows or columns, at least 0. The square root of 2 suits ReLU.

    Raises
    ------
    ValueError, TypeError
        If ``gain`` is not a finite number of at least 0, or, on call, if the shape has fewer than
        two axes.

    Notes
    -----
    Shapes: (in, out) as it is; (co, ci/groups, kh, kw) as a matrix (co, ci/groups * kh * kw). Its
    rows are orthonormal if they are fewer than the columns, else its columns. It is the Q of a QR
    decomposition of normal numbers, with the signs that make the diagonal of R positive.
    NumPy reference: `deepfs.reference.orthogonal`, by the Gram-Schmidt method.

    References
    ----------
    Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks", 2013, arXiv:1312.6120. Mezzadri, "How to generate random matrices from
    the classical compact groups", 2006, arXiv:math-ph/0609050 (signs).

    Examples
    --------
    >>> from deepfs.random import Random
    >>> w = Orthogonal()((5, 3), Random(0, 0))
    >>> bool(np.allclose(w.T @ w, np.eye(3)))
    True
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        self.gain = number(self.gain, "gain", "[0, inf)")

    def __call__(self, shape: tuple[int, ...], rng: Random) -> Array:
        shape = shape_of(shape)
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs a shape of at least 2 axes, got {shape}")
        rows, columns = shape[0], prod(shape[1:])
        q, r = np.linalg.qr(rng.normal((max(rows, columns), min(rows, columns))))
        q *= np.where(np.diag(r) < 0, -1, 1)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)
