"""Optimizers: rules that turn gradients into better weights."""

from .._check import shown as _shown
from .._elsewhere import explain_absent as _explain_absent
from .._names import hint as _hint
from .._public import public_names as _public_names
from ._arena import Arena, zeros_like
from ._base import Optimizer
from ._context import StepContext
from ._groups import Group
from .adagrad import AdaDelta, AdaGrad, RMSProp
from .adam import Adam, Adamax, AdamW
from .lamb import LAMB
from .lion import Lion
from .muon import Muon
from .nadam import NAdam
from .radam import RAdam
from .sgd import SGD, Momentum, Nesterov

__all__ = [
    "LAMB",
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Arena",
    "Group",
    "Lion",
    "Momentum",
    "Muon",
    "NAdam",
    "Nesterov",
    "Optimizer",
    "RAdam",
    "RMSProp",
    "StepContext",
    "get",
    "zeros_like",
]


def __dir__() -> list[str]:
    return _public_names(globals())


_BY_NAME: dict[str, type[Optimizer]] = {
    kind.__name__.lower(): kind
    for kind in (LAMB, SGD, AdaDelta, AdaGrad, Adam, AdamW, Adamax, Lion, Momentum, Muon, NAdam,
                 Nesterov, RAdam, RMSProp)
}  # fmt: skip


def get(optimizer: str | Optimizer) -> Optimizer:
    """Return an optimizer of a name, with its default settings; return an optimizer unchanged.

    Names are those of the classes in any case: ``"adam"``, ``"SGD"``, ``"rmsprop"``.

    Raises
    ------
    ValueError
        If no optimizer has that name.
    TypeError
        If it is neither a name nor an optimizer, such as a class: write ``Adam()``.

    Examples
    --------
    >>> get("adam").lr
    0.001
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str):
        kind = _BY_NAME.get(optimizer.replace("_", "").lower())
        if kind is None:
            names = ", ".join(map(repr, _BY_NAME))
            raise ValueError(
                f"optimizer must be one of {names}, got {optimizer!r}{_hint(optimizer, _BY_NAME)}"
            )
        return kind()  # type: ignore[call-arg]
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an object, got a class: write {optimizer.__name__}()")
    raise TypeError(
        f"optimizer must be a name, such as 'adam', or an optimizer of deepfs, got "
        f"{_shown(optimizer)}"
    )


_explain_absent(__name__)
