"""What the outputs of a network mean to a loss: logits, log-probabilities, scores or numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from .._arrays import Array
from .._warn import warn
from ..layers import Sigmoid, Softmax
from ..metrics import _named as named
from ._ends import KEEPING, POOLING, OutputOf, ends_of, outputs_of

# What the outputs of a layer are that cannot be any number.
BOUNDS = {
    "ReLU": "at least 0",
    "Softplus": "above 0",
    "Tanh": "from -1 to 1",
    "Clip": "limited",
    "Step": "0 or 1",
    "ELU": "bounded below",
    "SELU": "bounded below",
    "GELU": "bounded below",
    "SiLU": "bounded below",
    "HardSwish": "bounded below",
}
_warn_only: ContextVar[bool] = ContextVar("warn_only", default=False)


class OutputKind:
    """What outputs mean, and what follows from it.

    Attributes
    ----------
    name : str
        What errors call the outputs.
    metrics : tuple
        The metrics that a model has by default.
    no_probabilities, no_classes : str
        Why there are none, and what to do; "" if there are.
    """

    name = "numbers of unknown meaning"
    metrics: tuple[Any, ...] = ()
    no_probabilities = no_classes = ""

    def __repr__(self) -> str:
        return f"<outputs that are {self.name}>"

    def __reduce__(self) -> Any:  # each kind is one object, in copies and pickles too
        names = [name for name, kind in globals().items() if kind is self]
        return names[0] if names else super().__reduce__()

    def probabilities(self, outputs: Any) -> Any:
        """Return the probabilities that outputs stand for; raise ValueError if there are none."""
        raise ValueError(self.no_probabilities)

    def classes(self, outputs: Any) -> Any:
        """Return the most probable class of each sample; raise ValueError if there are none."""
        raise ValueError(self.no_classes)

    def check(self, loss: Any, network: Any) -> None:
        """Raise ValueError, or warn, if a network cannot give outputs of this kind."""

    def in_network(self, network: Any) -> OutputKind:
        """Return the kind of the outputs of a network trained with it.

        If the last layer is a `Softmax`, whatever the loss, outputs are probabilities.
        """
        last = ends_of(network)
        if last and all(isinstance(layer, Softmax) for layer in last):
            return PROBABILITIES
        return self


class _ClassLogits(OutputKind):
    name = "logits of classes"
    metrics = ("accuracy",)

    def probabilities(self, outputs: Array) -> Array:
        return Softmax()(outputs)  # along axis 1, also of pixels

    def classes(self, outputs: Array) -> Array:
        if outputs.ndim < 2 or outputs.shape[1] < 2:
            raise ValueError(
                f"classes need outputs (n, classes, ...) of at least 2, got {outputs.shape}"
            )
        return outputs.argmax(axis=1)

    def check(self, loss: Any, network: Any) -> None:
        refuse_one_output(loss, network)
        ends = names(network, KEEPING | POOLING)
        if ends == {"Softmax"}:
            refuse(
                f"{who(loss)} takes logits and computes the softmax itself, got a network that "
                "ends with Softmax, whose loss could not reach 0: leave Softmax() out; "
                "model.predict_proba(x) returns the probabilities"
            )
        if ends == {"Sigmoid"}:
            refuse(
                f"{who(loss)} takes logits, any numbers, got a network that ends with Sigmoid: "
                "leave Sigmoid() out; for labels that do not exclude each other use "
                "BinaryCrossEntropy()"
            )
        warn_of_bounds(loss, network, BOUNDS)


class _BinaryLogits(OutputKind):
    name = "logits of yes or no"
    metrics = ("binary_accuracy",)

    def probabilities(self, outputs: Array) -> Array:
        return Sigmoid()(outputs)

    def classes(self, outputs: Array) -> Array:
        return of_one((outputs > 0).astype(np.int64))

    def in_network(self, network: Any) -> OutputKind:
        last = ends_of(network)
        if last and all(isinstance(layer, Sigmoid) for layer in last):
            return BINARY_PROBABILITIES
        return super().in_network(network)

    def check(self, loss: Any, network: Any) -> None:
        ends = names(network, KEEPING | POOLING)
        if ends == {"Sigmoid"}:
            refuse(
                f"{who(loss)} takes logits and computes the sigmoid itself, got a network that "
                "ends with Sigmoid, whose loss could not reach 0: leave Sigmoid() out; "
                "model.predict_proba(x) returns the probabilities"
            )
        if ends and ends <= {"Softmax", "LogSoftmax"}:
            last = ends.pop()
            refuse(
                f"{who(loss)} takes logits of yes or no, got a network that ends with {last}: "
                f"leave {last}() out; for classes that exclude each other use CrossEntropy()"
            )
        warn_of_bounds(loss, network, BOUNDS)


class _LogProbabilities(_ClassLogits):
    name = "log-probabilities of classes"

    def probabilities(self, outputs: Array) -> Array:
        return np.exp(outputs)

    def check(self, loss: Any, network: Any) -> None:
        refuse_one_output(loss, network)
        ends = names(network, KEEPING | POOLING)
        if ends == {"Softmax"}:
            refuse(
                f"{who(loss)} takes log-probabilities, got a network that ends with Softmax, "
                "which gives probabilities: end it with LogSoftmax(), or leave Softmax() out "
                "and use CrossEntropy()"
            )
        elif ends and "LogSoftmax" not in ends:
            refuse(
                f"{who(loss)} takes log-probabilities, got a network that ends with "
                f"{' and '.join(sorted(ends))}: add LogSoftmax() at its end, or use "
                "CrossEntropy(), which takes logits"
            )


class _Scores(_ClassLogits):
    name = "scores of classes"
    no_probabilities = (
        "its outputs are scores with a margin, which have no probabilities: "
        "model.predict_classes(x) returns the classes; CrossEntropy() trains for probabilities"
    )

    def probabilities(self, outputs: Array) -> Array:
        raise ValueError(self.no_probabilities)

    def check(self, loss: Any, network: Any) -> None:
        refuse_one_output(loss, network)
        narrow = {"Softmax": "from 0 to 1", "Sigmoid": "from 0 to 1"}
        warn_of_bounds(loss, network, narrow | {k: BOUNDS[k] for k in ("Tanh", "Step")})


class _Numbers(OutputKind):
    name = "numbers"
    no_probabilities = "its outputs are numbers, not logits: model.predict(x) returns them"
    no_classes = f"{no_probabilities}, and a rule of your own makes classes of them"


class _Unknown(OutputKind):
    no_probabilities = no_classes = (
        "it does not say what outputs mean: use model.predict(x) and a rule of your own, or, in a "
        "class of a loss, set output_kind = deepfs.losses.CLASS_LOGITS or another kind"
    )


class _Probabilities(_ClassLogits):
    """Those of a network that ends with a softmax."""

    name = "probabilities of classes"

    def probabilities(self, outputs: Array) -> Array:
        return outputs


class _BinaryProbabilities(_BinaryLogits):
    """Those of a network that ends with a sigmoid."""

    name = "probabilities of yes"

    def probabilities(self, outputs: Array) -> Array:
        return outputs

    def classes(self, outputs: Array) -> Array:
        return of_one((outputs > 0.5).astype(np.int64))


class SeveralOutputs(OutputKind):
    """The kinds of several outputs, by name or number.

    Of outputs without probabilities or classes, a dict leaves out the name, a tuple has None.
    """

    name = "of several kinds"

    def __init__(self, kinds: Mapping[Any, OutputKind]) -> None:
        self.kinds = dict(kinds)

    def __reduce__(self) -> Any:
        return SeveralOutputs, (self.kinds,)

    @property
    def metrics(self) -> tuple[Any, ...]:  # type: ignore[override]
        """Those of each output."""
        return tuple(
            named.OfOutput(key, metric)
            for key, kind in self.kinds.items()
            for metric in kind.metrics
        )

    @property
    def no_probabilities(self) -> str:  # type: ignore[override]
        """Why no output has any; "" if one has."""
        return self._why("no_probabilities")

    @property
    def no_classes(self) -> str:  # type: ignore[override]
        """Why no output has any; "" if one has."""
        return self._why("no_classes")

    def _why(self, what: str) -> str:
        reasons = [getattr(kind, what) for kind in self.kinds.values()]
        return str(reasons[0]) if all(reasons) else ""

    def _of_each(self, what: str, outputs: Any) -> Any:
        found = {
            key: None if getattr(kind, f"no_{what}") else getattr(kind, what)(outputs[key])
            for key, kind in self.kinds.items()
        }
        if isinstance(outputs, Mapping):
            return {key: made for key, made in found.items() if made is not None}
        return tuple(found.values())

    def probabilities(self, outputs: Any) -> Any:
        return self._of_each("probabilities", outputs)

    def classes(self, outputs: Any) -> Any:
        return self._of_each("classes", outputs)

    def check(self, loss: Any, network: Any) -> None:
        for key, part in loss.parts():
            try:
                part.output_kind.check(part, OutputOf(network, key))
            except ValueError as error:
                raise ValueError(f"output {key!r}: {error}") from None

    def in_network(self, network: Any) -> OutputKind:
        return SeveralOutputs(
            {key: kind.in_network(OutputOf(network, key)) for key, kind in self.kinds.items()}
        )


def of_one(found: Array) -> Array:
    """Return classes (n,) for outputs (n, 1), in the outputs' shape for others."""
    return found.reshape(-1) if found.shape[1:] == (1,) else found


def who(loss: Any) -> str:
    """Return what messages call a loss."""
    return str(getattr(loss, "label", type(loss).__name__))


def names(network: Any, passing: frozenset[str]) -> set[str]:
    """Return the names of the classes of the last layers."""
    return {type(layer).__name__ for layer in ends_of(network, passing)}


def refuse_one_output(loss: Any, network: Any) -> None:
    """Refuse a network with one output where a loss compares classes."""
    if outputs_of(network) == 1:
        refuse(
            f"{who(loss)} needs at least 2 classes, got a network with 1 output, whose loss would "
            "not depend on it: one output per class, or BinaryCrossEntropy() for yes or no"
        )


def warn_of_bounds(loss: Any, network: Any, bounds: Mapping[str, str]) -> None:
    """Warn of a last layer that cannot give all numbers."""
    ends = names(network, KEEPING)
    if ends and ends <= bounds.keys():
        last = " and ".join(sorted(ends))
        warn(
            f"{who(loss)} takes {loss.output_kind.name}, any numbers, got a network that ends with "
            f"{last}, whose outputs are {bounds[min(ends)]}: unless that is meant, leave it out"
        )


def check_metrics(loss: Any, network: Any, metrics: Mapping[str, Any]) -> None:
    """Raise ValueError for metrics that are surely not of these outputs."""
    kind = loss.output_kind
    for name, metric in metrics.items():
        of_part = isinstance(metric, named.OfOutput)
        if isinstance(kind, SeveralOutputs) and of_part and metric.output not in kind.kinds:
            raise ValueError(
                f"Model has outputs {list(kind.kinds)}, got a metric of {metric.output!r}"
            )
        several = isinstance(kind, SeveralOutputs)
        if several and not of_part and named.of_one_output(metric):
            key = next(iter(kind.kinds))
            raise ValueError(
                f"metric {name} is of one output, got a loss of {list(kind.kinds)}: "
                f"metrics={{{key!r}: {name!r}}}"
            )
        inner = metric.metric if of_part else metric
        where = OutputOf(network, metric.output) if of_part else network
        threshold = named.threshold_of(inner)
        if threshold == 0 and {"Sigmoid", "Softmax"} & names(where, KEEPING | POOLING):
            refuse(
                f"metric {name} has the threshold 0 of logits, got a network whose outputs are "
                f"probabilities: functools.partial(deepfs.metrics.{named.plain_name(inner)}"
                ", threshold=0.5)"
            )
        instead = named.binary_instead(inner)
        if instead and outputs_of(where) == 1:
            refuse(f"metric {name} needs at least 2 outputs, got a network with 1: use {instead!r}")


def end_layers(loss: Any, network: Any) -> list[Any]:
    """Return the layers on which the checks above depend."""
    if isinstance(loss.output_kind, SeveralOutputs):
        outputs = [OutputOf(network, key) for key, _ in loss.parts()]
    else:
        outputs = [network]
    return [layer for output in outputs for layer in ends_of(output, KEEPING | POOLING)]


@contextmanager
def only_warning() -> Iterator[None]:
    """Turn what `refuse` refuses into warnings: a model from a file was made before."""
    token = _warn_only.set(True)
    try:
        yield
    finally:
        _warn_only.reset(token)


def refuse(message: str) -> None:
    """Raise ValueError, or warn inside of `only_warning`."""
    if not _warn_only.get():
        raise ValueError(message)
    warn(message)


CLASS_LOGITS = _ClassLogits()
BINARY_LOGITS = _BinaryLogits()
LOG_PROBABILITIES = _LogProbabilities()
SCORES = _Scores()
NUMBERS = _Numbers()
UNKNOWN = _Unknown()
PROBABILITIES = _Probabilities()
BINARY_PROBABILITIES = _BinaryProbabilities()
