"""A learning rate as a function of one's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from .._check import number, shown
from ._base import Schedule

# a learning rate as an optimizer takes it
Rate: TypeAlias = float | Schedule | Callable[[int], float]
EPOCHS = ("epoch", "epochs", "epoch_index")  # names of an argument that counts epochs


@dataclass
class Function(Schedule):
    """Function schedule: the rate is what a function of the count returns.

    An optimizer takes such a function as its ``lr`` itself. Then the name of its argument decides
    what is counted: ``lambda epoch: ...`` counts epochs, any other name steps.

    Parameters
    ----------
    function : function or None
        ``function(count) -> rate``, at least 0, for ``count`` steps, or epochs, taken so far: 0
        before the first. It must not depend on anything else. A file does not have it: a loaded
        schedule has None, and must be given a function before it is used.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range. When it is called, if the function
        returns no number, or one below 0, or if there is no function.

    Examples
    --------
    >>> from deepfs.optimizers import SGD
    >>> [round(Function(lambda step: 0.1 * 0.5**step)(count), 3) for count in range(4)]
    [0.1, 0.05, 0.025, 0.013]
    >>> SGD(lambda epoch: 0.1 / (1 + epoch)).lr.by
    'epoch'
    """

    function: Callable[[int], float] | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.function is not None:
            check_function(self.function, "function")

    def __call__(self, count: float) -> float:
        if self.function is None:
            raise ValueError(
                "the schedule needs a function, got None, because files do not keep it: assign it, "
                "model.optimizer.lr = function"
            )
        rate = self.function(count)  # type: ignore[arg-type]
        return number(rate, f"the learning rate after {count} {self.by}s", "[0, inf)")


def check_function(function: Any, name: str) -> None:
    """Raise TypeError if this is not a function of one number."""
    if isinstance(function, type):
        made = function.__name__
        raise TypeError(f"{name} must be an object, got the class {made}: write {made}(...)")
    if not callable(function):
        raise TypeError(f"{name} must be a function of the step, got {shown(function)}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a function in C, it is not always known
        return
    try:
        signature.bind(0)
    except TypeError:
        raise TypeError(f"{name} must take one number, got a function of {signature}") from None


def from_function(lr: Any, name: str) -> Any:
    """Return a schedule of a plain function; return anything else as it is."""
    if isinstance(lr, Schedule) or not callable(lr):
        return lr
    check_function(lr, name)
    try:
        first = next(iter(inspect.signature(lr).parameters), "")
    except (TypeError, ValueError):
        first = ""
    return Function(lr, by="epoch" if first in EPOCHS else "step")
