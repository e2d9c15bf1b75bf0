"""Means: loss and metrics over batches, as sums of terms over what they are divided by."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np

from . import metrics as metrics_module
from ._arrays import Array
from ._trees import Tree
from .losses import Combined, Loss
from .metrics._accumulators import Accumulator, PerSample, total_of
from .metrics._named import OfOutput, accumulator, output_name

SEPARATOR = ":"  # between the name of a metric and that of an array of its state


class Means:
    """What a model measures over the batches of an epoch or of a data set.

    The mean of batch means would weight a term by the size of its batch. So sums and divisors are
    added apart, and divided at the end: training, validation and `Model.evaluate` give the same
    numbers for the same weights, whatever the batches.

    Parameters
    ----------
    loss : Loss
        The loss whose sums are added.
    metrics : dict of metric
        What else is measured, by name.
    """

    def __init__(self, loss: Loss, metrics: Mapping[str, Any]) -> None:
        self.loss = loss
        self.sums: Array | None = None
        self.divisors: Array | None = None
        self.metrics = metrics
        self.accumulators = {name: maker_of(metric)() for name, metric in metrics.items()}
        self.steps = 0
        self.per_step: dict[str, float] = {}  # sums of numbers that a step has one of

    def add(self, loss_cache: Any, outputs: Tree, targets: Tree) -> dict[str, float]:
        """Add a batch, given the cache of its loss; return what was measured beside the loss."""
        return self.add_totals(*self.loss.totals(loss_cache), outputs, targets)

    def add_totals(
        self, sums: Array, divisors: Array, outputs: Tree, targets: Tree
    ) -> dict[str, float]:
        """Add a batch, given the totals of its loss, which another process may have computed."""
        logs: dict[str, float] = {}
        several = isinstance(self.loss, Combined)
        if several:
            logs = losses_of(self.loss, sums, divisors)
        if self.sums is None or self.divisors is None:
            self.sums, self.divisors = sums, divisors
        else:
            self.sums, self.divisors = self.sums + sums, self.divisors + divisors
        counts_all = not several and loss_ignores(self.loss) is None
        y, t = outputs, targets
        for name, metric in self.accumulators.items():
            if not counts_all:
                y, t = counted(self.loss, self.metrics[name], outputs, targets)
            if type(metric) is PerSample:
                total, weight = metric.total, metric.weight
                metric.add(y, t)
                more = metric.weight - weight
                logs[name] = metric.finish((metric.total - total) / more) if more else 0.0
                continue
            metric.add(y, t)
            own = maker_of(self.metrics[name])()  # of the batch alone, beside that of the whole
            own.add(y, t)
            logs[name] = own.of_batch()
        return logs

    def add_step(self, logs: Mapping[str, float]) -> None:
        """Add numbers of one step, such as the norm of its gradients: their mean is over steps."""
        self.steps += 1
        for name, value in logs.items():
            self.per_step[name] = self.per_step.get(name, 0.0) + value

    def load_means(self, totals: Mapping[str, float], samples: int) -> None:
        """Continue from means times samples, which checkpoints of version 0.1.0 hold."""
        for name, total in totals.items():
            if name == "loss":
                self.sums, self.divisors = np.array([total]), np.array([float(samples)])
            elif name in self.metrics:
                self.accumulators[name].load_state(
                    {"total": np.array(total), "weight": np.array(float(samples))}
                )
            else:
                self.steps, self.per_step[name] = samples, total

    def names(self) -> list[str]:
        """Return the names of what `values` will hold after a batch."""
        parts = self.loss.parts() if isinstance(self.loss, Combined) else ()
        return ["loss", *(f"{output_name(key)}_loss" for key, _ in parts), *self.metrics]

    def values(self) -> dict[str, float]:
        """Return the loss and the metrics so far."""
        logs: dict[str, float] = {}
        if self.sums is not None and self.divisors is not None:
            logs = losses_of(self.loss, self.sums, self.divisors)
        logs |= {name: metric.value() for name, metric in self.accumulators.items()}
        return logs | {name: total / self.steps for name, total in self.per_step.items()}

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return numbers and arrays from which `load_state` continues with the same bits."""
        arrays = {
            f"{name}{SEPARATOR}{key}": array
            for name, metric in self.accumulators.items()
            for key, array in metric.state().items()
        }
        if self.sums is not None and self.divisors is not None:
            arrays |= {"sums": self.sums, "divisors": self.divisors}
        return {"steps": self.steps, "per_step": self.per_step}, arrays

    def load_state(self, numbers: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Continue from what `state` returned."""
        self.steps = int(numbers["steps"])
        self.per_step = {str(name): float(value) for name, value in numbers["per_step"].items()}
        if "sums" in arrays:
            self.sums = np.asarray(arrays["sums"], np.float64)
            self.divisors = np.asarray(arrays["divisors"], np.float64)
        for name, metric in self.accumulators.items():
            own = {
                key.removeprefix(f"{name}{SEPARATOR}"): array
                for key, array in arrays.items()
                if key.startswith(f"{name}{SEPARATOR}")
            }
            metric.load_state(own)


def of_batch(
    loss: Loss, metrics: Mapping[str, Any], loss_cache: Any, outputs: Tree, targets: Tree
) -> dict[str, float]:
    """Return what `Means.add` does for one batch alone, sooner: nothing is kept."""
    several = isinstance(loss, Combined)
    logs = losses_of(loss, *loss.totals(loss_cache)) if several else {}
    counts_all = not several and loss_ignores(loss) is None
    y, t = outputs, targets
    for name, metric in metrics.items():
        if not counts_all:
            y, t = counted(loss, metric, outputs, targets)
        maker = maker_of(metric)
        if maker.func is PerSample:
            values = maker.args[0](y, t)
            logs[name] = maker.args[1](total_of(values) / values.size) if values.size else 0.0
            continue
        own = maker()
        own.add(y, t)
        logs[name] = own.of_batch()
    return logs


def share_of(loss: Loss, loss_cache: Any, means: Means, total: float, samples: int) -> float:
    """Return the factor of the gradient of one batch of several; their sum will divide it.

    ``means`` has this batch already, ``total`` is the sum of the factors before it.
    """
    share = factor_of(loss, loss_cache, samples)
    if isinstance(loss, Combined) and averages(loss):
        check_alike(loss, loss.totals(loss_cache)[1], means, total, samples)
    return share


def factor_of(loss: Loss, loss_cache: Any, samples: int) -> float:
    """Return what `share_of` does, of a batch alone: several losses are not compared."""
    if not isinstance(loss, Combined):
        return loss.divisor(loss_cache)
    return float(samples) if averages(loss) else 1.0


def check_alike(loss: Combined, divisors: Array, means: Means, total: float, samples: int) -> None:
    """Raise ValueError if several losses do not have one divisor for all batches of a step."""
    all_divisors = means.divisors
    assert all_divisors is not None
    alike = np.allclose(divisors / samples, all_divisors / (total + samples), 1e-9, 0)
    if not alike or any(part.reduction == "sum" for _, part in loss.parts()):
        raise ValueError(
            "gradient_accumulation_steps and shards need losses that all divide by the number of "
            "samples: with weights, ignored labels or sums, several losses do not"
        )


def averages(loss: Loss) -> bool:
    """Return whether the loss is a mean."""
    parts = [part for _, part in loss.parts()] if isinstance(loss, Combined) else [loss]
    return any(part.reduction == "mean" for part in parts)


def counted(loss: Any, metric: Any, outputs: Tree, targets: Tree) -> tuple[Tree, Tree]:
    """Return outputs and targets without those that the loss ignores."""
    if isinstance(metric, OfOutput) and isinstance(loss, Combined):
        key, loss = metric.output, dict(loss.parts())[metric.output]
        if loss_ignores(loss) is None:
            return outputs, targets
        y, t = metrics_module.without_ignored(outputs[key], targets[key], loss.ignore_index)
        return {key: y}, {key: t}
    if loss_ignores(loss) is None:
        return outputs, targets
    return metrics_module.without_ignored(outputs, targets, loss.ignore_index)


@lru_cache(maxsize=256)
def _maker(metric: Any) -> partial[Accumulator]:
    """Return what makes accumulators of a metric: to find out takes as long as a small step."""
    made = accumulator(metric)
    if type(made) is PerSample:
        return partial(PerSample, made.metric, made.finish)  # type: ignore[return-value]
    return partial(accumulator, metric)


def maker_of(metric: Any) -> partial[Accumulator]:
    """Return a function that makes a new accumulator of a metric."""
    try:
        return _maker(metric)
    except TypeError:  # it cannot be hashed
        return partial(accumulator, metric)


def loss_ignores(loss: Loss) -> int | None:
    """Return the label that a loss ignores, or None."""
    return getattr(loss, "ignore_index", None)


def losses_of(loss: Loss, sums: Array, divisors: Array) -> dict[str, float]:
    """Return ``loss``, and ``NAME_loss`` of each output if there are several."""
    logs = {"loss": loss.value(sums, divisors)}
    if isinstance(loss, Combined):
        logs |= {f"{key}_loss": value for key, value in loss.values(sums, divisors).items()}
    return logs
