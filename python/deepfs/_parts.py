"""What a model is made of, and the check that each part must pass, now and when it is replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

from numpy.typing import ArrayLike

from . import losses, optimizers
from . import metrics as metrics_module
from ._arrays import Array
from ._check import flag
from .layers import Layer
from .losses import Loss
from .losses._output_kinds import check_metrics
from .optimizers import Optimizer

T = TypeVar("T")
Metric: TypeAlias = Callable[[Array, Array], ArrayLike]


class Metrics(dict[str, Metric]):
    """Metrics by name: what is put in is checked."""

    def __setitem__(self, name: str, metric: Metric) -> None:
        if not isinstance(name, str) or name == "loss" or not callable(metric):
            raise TypeError(f"a metric is a name and a function, got {name!r} and {metric!r}")
        super().__setitem__(name, metric)


KINDS = {"network": Layer, "loss": Loss, "optimizer": Optimizer}


def check_kinds(part: Any, name: str) -> Any:
    """Return a network, loss or optimizer if it is one.

    Raises
    ------
    TypeError, ValueError
        If it is not, or if the loss has ``reduction="none"``.
    """
    if name == "loss":
        part = losses.get(part)
    if name == "optimizer" and isinstance(part, str):
        part = optimizers.get(part)
    if not isinstance(part, KINDS[name]):
        raise TypeError(f"Model needs a deepfs {KINDS[name].__name__}, got {part!r}")
    if name == "loss" and part.reduction == "none":
        raise ValueError('Model needs a loss that is one number, got reduction="none"')
    return part


def check_meaning(network: Layer, loss: Loss, metrics: Mapping[str, Metric]) -> None:
    """Raise ValueError, or warn, if a network's outputs are not what loss and metrics take."""
    loss.output_kind.check(loss, network)
    check_metrics(loss, network, metrics)


def named_metrics(metrics: Any, name: str = "metrics") -> dict[str, Metric]:
    """Return metrics by name; raise ValueError for unknown ones and for two of the same name."""
    if metrics is None:
        metrics = ()
    if isinstance(metrics, str) or callable(metrics):
        metrics = (metrics,)
    if isinstance(metrics, Metrics):  # those of another model
        metrics = metrics.values()
    metrics = of_outputs(metrics) if isinstance(metrics, Mapping) else tuple(metrics)
    if any(isinstance(metric, (tuple, list)) for metric in metrics):
        metrics = of_outputs(dict(enumerate(metrics)))
    named = [metrics_module.get(metric) for metric in metrics]
    names = ["loss", *(found for found, _ in named)]
    for found in names:
        if names.count(found) > 1:
            raise ValueError(f"Model needs {name} of different names, got {found!r} twice")
    return Metrics(named)


def of_outputs(metrics: Mapping[Any, Any]) -> list[Metric]:
    """Return metrics of several outputs, given one, or a list of them, for each."""
    return [
        metrics_module.OfOutput(key, metric)
        for key, given in metrics.items()
        for metric in (given if isinstance(given, (tuple, list)) else (given,))
    ]


# what may be replaced, and the function that checks it
CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "network": check_kinds,
    "loss": check_kinds,
    "optimizer": check_kinds,
    "metrics": named_metrics,
    "check_finite": flag,
    "report_penalty": flag,
    "stop_training": flag,
}


class Delegated(Generic[T]):
    """An attribute of `deepfs.Model`, stored in its trainer; read-only if not in CHECKS."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, model: Any, owner: type | None = None) -> T:
        if model is None:
            return self  # type: ignore[return-value]
        value: T = getattr(model.trainer, self.name)
        return value

    def __set__(self, model: Any, value: Any) -> None:
        if self.fset is None:
            raise AttributeError(f"Model.{self.name} follows from training: it cannot be assigned")
        setattr(model.trainer, self.name, value)

    @property
    def fset(self) -> Callable[[Any, str], Any] | None:
        """The check of a new value; None if there is none, as of a read-only property."""
        return CHECKS.get(self.name)
