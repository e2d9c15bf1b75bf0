"""Groups: parameters with settings of their own, and how the groups of one parameter combine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf
from typing import Any, NamedTuple, TypeAlias

from .._arrays import Array
from .._check import flag, number
from .._settings import ExplainedSettings
from ..regularizers import GroupLasso, Penalty, Regularizer, Terms, from_function, terms_of

NO_DECAY = ("bias", "gamma", "beta", "slope")  # last parts of names that are not weights
LISTED = 6  # names in a message
Function: TypeAlias = Callable[[Array], tuple[float, Array]]  # penalty and gradient of weights


@dataclass(eq=True)
class Group(ExplainedSettings):
    """Parameter group: settings of the parameters whose names match a pattern.

    Parameters
    ----------
    names : str or sequence of str
        Patterns as in a shell: ``"conv2d_1.weight"``, ``"head.*"``, ``"*.weight"``. A parameter of
        a layer that is used twice has the name of its first use.
    lr_scale : float, optional
        Factor of the learning rate, at least 0.
    frozen : bool, optional
        Leave them and their state out of every step. A batch norm whose parameters are all frozen
        uses and keeps its running statistics in training, as after `deepfs.layers.Layer.freeze`;
        one without parameters goes by the names of its buffers, such as ``"*.running_mean"``.
        The same holds for other layers with buffers; random layers go on drawing.
    regularizer : Regularizer, function or sequence of them, optional
        Instead of the optimizer's ``weight_decay``; ``()`` is none. A function is taken as a
        `deepfs.regularizers.Penalty`: it returns ``(penalty, gradient)`` of the weights.
    biases : bool
        Regularise more than weights: arrays of one axis, too, and all that is called ``bias``,
        ``gamma``, ``beta`` or ``slope``.

    Notes
    -----
    Where several groups name a parameter, each setting is that of the last group that gives it.

    Examples
    --------
    >>> from deepfs.regularizers import L1
    >>> groups = [Group("conv2d_*", frozen=True), Group("*.weight", regularizer=L1(1e-5))]
    """

    names: str | Sequence[str]
    lr_scale: float | None = None
    frozen: bool | None = None
    regularizer: Regularizer | Function | Sequence[Regularizer | Function] | None = None
    biases: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.names, str):
            self.names = self.patterns
        if self.lr_scale is not None:
            self.lr_scale = number(self.lr_scale, "lr_scale", "[0, inf)")
        if self.frozen is not None:
            flag(self.frozen, "frozen")
        if isinstance(self.regularizer, (list, tuple)):
            self.regularizer = tuple(map(from_function, self.regularizer))
        self.regularizer = from_function(self.regularizer)
        for each in self.regularizers or ():
            if isinstance(each, type) and issubclass(each, Regularizer):
                raise TypeError(f"Group takes regularizers, got a class: write {each.__name__}(..)")
            if not isinstance(each, Regularizer):
                raise TypeError(f"Group takes deepfs regularizers, as L2(1e-4), got {each!r}")
        flag(self.biases, "biases")

    @property
    def patterns(self) -> tuple[str, ...]:
        names = (self.names,) if isinstance(self.names, str) else self.names
        if not isinstance(names, Sequence) or not all(isinstance(n, str) for n in names):
            raise TypeError(f"Group takes names of parameters, got {self.names!r}")
        return tuple(names)

    @property
    def regularizers(self) -> tuple[Regularizer, ...] | None:
        given: Any = self.regularizer
        if isinstance(given, Sequence) and not isinstance(given, str):
            return tuple(given)
        return None if given is None else (given,)

    def matches(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)


class ParameterSettings(NamedTuple):
    """ParameterSettings of one parameter, after all groups."""

    lr_scale: float
    frozen: bool
    terms: Terms
    penalties: tuple[Penalty | GroupLasso, ...] = ()

    def row(self) -> tuple[float, ...]:
        """Return the numbers of a group as the kernel takes them."""
        t = self.terms
        return (self.lr_scale, t.l2, t.l1, t.decay, t.shrink)


def settings_of(name: str, ndim: int, default: Terms, groups: Sequence[Group]) -> ParameterSettings:
    """Combine the groups of a parameter of this name and number of axes."""
    weight = ndim > 1 and name.rsplit(".", 1)[-1] not in NO_DECAY
    lr_scale, frozen, terms = 1.0, False, default if weight else Terms()
    penalties: tuple[Penalty | GroupLasso, ...] = ()
    for group in groups:
        if group.matches(name):
            lr_scale = lr_scale if group.lr_scale is None else group.lr_scale
            frozen = frozen if group.frozen is None else group.frozen
            if group.regularizers is not None and (weight or group.biases):
                terms = terms_of(group.regularizers)
                penalties = tuple(
                    r
                    for r in group.regularizers
                    if isinstance(r, Penalty) or (isinstance(r, GroupLasso) and not r.proximal)
                )
    terms = terms if ndim > 1 else terms._replace(limit=inf)
    return ParameterSettings(lr_scale, frozen, terms, penalties)


def checked_groups(groups: Any) -> tuple[Group, ...]:
    """Return the groups of an optimizer, or a single one, as a tuple."""
    given = tuple(groups) if isinstance(groups, (list, tuple)) else (groups,)
    for group in given:
        if not isinstance(group, Group):
            raise TypeError(f"groups must be deepfs Groups, got {group!r}")
    return given


def check_names(names: Iterable[str], groups: Sequence[Group]) -> None:
    """Refuse a pattern that matches no parameter: it is a slip of the pen."""
    names = list(names)
    for group in groups:
        for pattern in group.patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                listed = ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
                raise ValueError(f"no parameter matches {pattern!r} of a Group; there are {listed}")
