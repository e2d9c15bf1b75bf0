"""Regularizers: what keeps weights small. An optimizer applies them in the pass of its step.

Give one, or several, to a `deepfs.optimizers.Group` of parameters. ``weight_decay=r`` of an
optimizer is short for `L2` of rate r on all weights (for AdamW, Lion and LAMB: `WeightDecay`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from ._check import flag, number
from ._settings import ExplainedSettings

__all__ = ["L1", "L2", "ElasticNet", "MaxNorm", "Regularizer", "WeightDecay"]


class Terms(NamedTuple):
    """What regularizers come to in a step of rate lr.

    Attributes
    ----------
    l2, l1 : float
        The gradient gets l2 w + l1 sign(w).
    decay : float
        The weight, before the step, becomes (1 - lr decay) w.
    shrink : float
        The weight, after the step, goes lr shrink nearer to 0, and no further.
    limit : float
        Largest norm of the weights into a unit, after all that.
    """

    l2: float = 0.0
    l1: float = 0.0
    decay: float = 0.0
    shrink: float = 0.0
    limit: float = inf

    def penalty(self, absolute: float, squares: float) -> float:
        """Return what the objective has for weights of these sums."""
        return (self.l1 + self.shrink) * absolute + self.l2 / 2 * squares


class Regularizer(ExplainedSettings):
    """A rule that keeps weights small, as the `Terms` that the pass over the weights applies."""

    @abstractmethod
    def terms(self) -> Terms:
        """Return what it comes to."""


@dataclass
class L2(Regularizer):
    r"""Add :math:`\frac{\lambda}{2} \sum w^2` to the objective, so :math:`\lambda w` to a gradient.

    Parameters
    ----------
    rate : float
        :math:`\lambda`, at least 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range.

    Notes
    -----
    The gradient goes through the optimizer's own scaling: in Adam, weights with large gradients
    are held back less. `WeightDecay` treats all alike. Twin: `deepfs.reference.l2`.

    Examples
    --------
    >>> L2(1e-4).terms().l2
    0.0001
    """

    rate: float

    def __post_init__(self) -> None:
        self.rate = number(self.rate, "rate", "[0, inf)")

    def terms(self) -> Terms:
        return Terms(l2=self.rate)


@dataclass
class L1(Regularizer):
    r"""Add :math:`\lambda \sum |w|` to the objective: many weights end near 0, or at it.

    Parameters
    ----------
    rate : float
        :math:`\lambda`, at least 0.
    proximal : bool
        Move a weight by :math:`\eta \lambda` towards 0 after the step (:math:`\eta` its learning
        rate), and never across: zeros are exact, and stay until a gradient is large enough.
        Otherwise the gradient gets :math:`\lambda \, \mathrm{sign}(w)`, which is 0 at 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range.

    Notes
    -----
    In optimizers that scale each entry, the proximal step is not scaled, as a decoupled decay is
    not. Twin: `deepfs.reference.soft_threshold`.

    References
    ----------
    Parikh and Boyd, "Proximal algorithms", 2014, section 6.5.2.

    Examples
    --------
    >>> from deepfs.optimizers import SGD, Group
    >>> w = {"W": np.array([[0.02, -0.5]])}
    >>> sgd = SGD(0.1, groups=[Group("W", regularizer=L1(1.0, proximal=True))])
    >>> sgd.update(w, {"W": np.zeros((1, 2))})
    >>> w["W"]
    array([[ 0. , -0.4]])
    """

    rate: float
    proximal: bool = False

    def __post_init__(self) -> None:
        self.rate = number(self.rate, "rate", "[0, inf)")
        flag(self.proximal, "proximal")

    def terms(self) -> Terms:
        return Terms(shrink=self.rate) if self.proximal else Terms(l1=self.rate)


@dataclass
class ElasticNet(Regularizer):
    """Add the penalties of `L1` and `L2`.

    Parameters
    ----------
    l1, l2 : float
        Their rates, at least 0.
    proximal : bool
        As of `L1`.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range.

    References
    ----------
    Zou and Hastie, "Regularization and variable selection via the elastic net", 2005.

    Examples
    --------
    >>> ElasticNet(l1=0.25, l2=0.5).terms().penalty(absolute=2.0, squares=4.0)
    1.5
    """

    l1: float
    l2: float
    proximal: bool = False

    def __post_init__(self) -> None:
        self.l1 = number(self.l1, "l1", "[0, inf)")
        self.l2 = number(self.l2, "l2", "[0, inf)")
        flag(self.proximal, "proximal")

    def terms(self) -> Terms:
        return L1(self.l1, self.proximal).terms()._replace(l2=self.l2)


@dataclass
class WeightDecay(Regularizer):
    r"""Multiply weights by :math:`1 - \eta \lambda` before each step, whatever their gradients.

    Parameters
    ----------
    rate : float
        :math:`\lambda`, at least 0. LAMB makes it a part of the step instead.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, arXiv:1711.05101.

    Examples
    --------
    >>> WeightDecay(0.01).terms().decay
    0.01
    """

    rate: float

    def __post_init__(self) -> None:
        self.rate = number(self.rate, "rate", "[0, inf)")

    def terms(self) -> Terms:
        return Terms(decay=self.rate)


@dataclass
class MaxNorm(Regularizer):
    """Scale the weights into a unit down to a norm of at most ``limit`` after each step.

    Parameters
    ----------
    limit : float
        Above 0; 3 and 4 are common.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range.

    Notes
    -----
    A unit is a column of a matrix (in, out), and a filter ``weight[i]`` of an array of more axes;
    of a transposed convolution that is all an input channel goes to. It adds nothing to the
    objective. Twin: `deepfs.reference.max_norm`.

    References
    ----------
    Srivastava et al., "Dropout", 2014, section 5.1.

    Examples
    --------
    >>> MaxNorm(3).terms().limit
    3.0
    """

    limit: float

    def __post_init__(self) -> None:
        self.limit = number(self.limit, "limit", "(0, inf)")

    def terms(self) -> Terms:
        return Terms(limit=self.limit)


def terms_of(regularizers: Iterable[Regularizer]) -> Terms:
    """Return what several come to together: rates add up, the lowest limit counts."""
    total = Terms()
    for regularizer in regularizers:
        new = regularizer.terms()
        l2, l1, decay, shrink = (a + b for a, b in zip(total[:4], new[:4], strict=True))
        total = Terms(l2, l1, decay, shrink, min(total.limit, new.limit))
    return total
