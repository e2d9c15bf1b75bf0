"""A Gaussian process on a page: what it expects between the trials, and where the next may pay."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

NOISE = 1e-6  # variance added to the diagonal, so that the matrix can be factored


def kernel(a: Any, b: Any, length: float) -> Any:
    """Return how alike the values at a and b are thought to be: 1 where a = b, 0 far apart."""
    return np.exp(-((a[:, None] - b) ** 2) / (2 * length**2))


def surrogate(x: Any, y: Any, at: Any, length: float) -> tuple[Any, Any]:
    """Return mean and standard deviation of a Gaussian process that went through (x, y).

    Source: Rasmussen and Williams, "Gaussian processes for machine learning", 2006, algorithm 2.1.
    """
    shift, scale = y.mean(), max(float(y.std()), 1e-3)
    lower = np.linalg.cholesky(kernel(x, x, length) + NOISE * np.eye(len(x)))
    weights = np.linalg.solve(lower.T, np.linalg.solve(lower, (y - shift) / scale))
    across = kernel(x, at, length)
    explained = (np.linalg.solve(lower, across) ** 2).sum(axis=0)
    return shift + scale * across.T @ weights, scale * np.sqrt(np.maximum(1 - explained, 0))


def expected_improvement(mean: Any, deviation: Any, best: float) -> Any:
    """Return by how much a trial is expected to be below ``best``; worse ones count as 0.

    Source: Jones, Schonlau and Welch, "Efficient global optimization", 1998, equation 15.
    """
    safe = np.maximum(deviation, 1e-12)
    z = (best - mean) / safe
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    below = 0.5 * (1 + np.array([math.erf(each / math.sqrt(2)) for each in z]))
    return (best - mean) * below + safe * density
