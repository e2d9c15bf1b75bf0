"""Models as files: a description in JSON, and arrays; see `tensors`. Loading executes no code."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .._arrays import Array
from .._check import flag, shown, whole
from .._parts import check_kinds
from ..data.facts import SUMMARY
from ..losses import Loss
from ..metrics import _named as metrics
from ..trainer import Trainer
from .facts import describe_facts, read_facts
from .network import (
    FORMAT,
    build,
    check_arrays,
    check_buffers,
    check_fields,
    description_in,
    leaves,
)
from .settings import (
    MAX_LAYERS,
    SettingsReader,
    all_kinds,
    check_same,
    kind_of,
    number_of_layers,
    restore_moving_fields,
    to_config,
)
from .tensors import CheckpointError, TensorFile, write


def describe(trainer: Trainer) -> dict[str, Any]:
    """Return everything of a model except its arrays, in the form in which JSON returns it."""
    network = trainer.network
    if network.built_dtype is None:
        raise RuntimeError("Model.save needs a network that has seen data, got one without weights")
    if (number := number_of_layers(network)) > MAX_LAYERS:
        raise ValueError(f"a file takes at most {MAX_LAYERS} layers, got {number}")
    description = {
        "format": FORMAT,
        "network": to_config(network),
        "loss": to_config(trainer.loss),
        "optimizer": to_config(trainer.optimizer),
        "metrics": [metric_config(*named) for named in trainer.metrics.items()],
        "auto_metrics": trainer.auto_metrics,
        "check_finite": trainer.check_finite,
        "report_penalty": trainer.report_penalty,
        "in_shape": network.in_shape,
        "dtype": network.built_dtype.name,
        "steps": trainer.steps,
        "state_since": trainer.state_since,
        "epochs": trainer.epochs,
        "frozen": [name for name, layer in leaves(network) if layer.frozen],
        **describe_facts(trainer.facts),
    }
    same: dict[str, Any] = json.loads(json.dumps(description))
    return same


def metric_config(name: str, metric: Any) -> Any:
    """Return a metric as a file has it: a name of deepfs, one of an output, or a lost one."""
    if isinstance(metric, metrics.OfOutput):
        inner = metric_config(metrics.get(metric.metric)[0], metric.metric)
        return {"output": metric.output, "metric": inner}
    known = metrics.known(name) and metrics.get(name)[1] == metric
    return name if known else {"own": name}


def metrics_in(configs: list[Any]) -> tuple[list[Any], list[str]]:
    """Return the metrics that a file names, and the names of those that deepfs does not have."""
    found: list[Any] = []
    lost: list[str] = []
    for config in configs:
        output = config.get("output") if isinstance(config, dict) else None
        inner = config if output is None else config["metric"]
        name = inner["own"] if isinstance(inner, dict) else inner
        if isinstance(inner, dict) or not metrics.known(name):
            lost.append(name if output is None else f"{metrics.output_name(output)}_{name}")
        else:
            found.append(name if output is None else metrics.OfOutput(output, name))
    return found, lost


def arrays_of(trainer: Trainer) -> dict[str, Array]:
    """Return the arrays of a model by their names in a file."""
    arrays = {f"parameter/{k}": p.value for k, p in trainer.network.parameters().items()}
    arrays |= {f"buffer/{name}": buffer for name, buffer in trainer.network.buffers().items()}
    if trainer.steps:
        arena = trainer.prepare()
        for kind, flat in trainer.state.items():
            arrays |= {f"state/{kind}/{name}": view for name, view in arena.split(flat).items()}
    return arrays | trainer.facts.arrays()


def save(trainer: Trainer, path: str | Path) -> None:
    """Write a model; see `deepfs.Model.save`."""
    write(path, arrays_of(trainer), describe(trainer), lambda: describe(trainer))


def read(
    path: str | Path, own: Iterable[type] = (), loss: Loss | None = None
) -> tuple[Trainer, list[str]]:
    """Read a model that `save` wrote, with its own loss or another; see `deepfs.load`.

    Returns
    -------
    Trainer
        As it was saved.
    list of str
        Metrics that the file names and deepfs does not have.
    """
    reader = SettingsReader(all_kinds() | {kind_of(kind): kind for kind in own})
    with TensorFile(path) as file:
        description = description_in(file)
        try:
            parts = ["network", "optimizer", "preprocess", *(["loss"] if loss is None else [])]
            reader.check_kinds([description.get(part) for part in parts])
            loss = reader.make(description["loss"]) if loss is None else loss
            check_metrics(description["metrics"])
            if description["format"] == 1:
                description["metrics"] = metrics_of_0_1_0(description["metrics"], loss)
            auto = flag(description.get("auto_metrics", False), "auto_metrics")
            found, lost = metrics_in(description["metrics"])
            if auto:
                found, lost = list(loss.output_kind.metrics), []
            trainer = Trainer(
                reader.make(description["network"]),
                loss,
                reader.make(description["optimizer"]),
                dict(metrics.get(metric) for metric in found),
                flag(description["check_finite"], "check_finite"),
                flag(description.get("report_penalty", False), "report_penalty"),
            )
            for name in ("network", "loss", "optimizer"):
                check_kinds(getattr(trainer, name), name)
            check_fields(description)
            build(trainer.network, description, file)
            restore_counters(trainer, description)
            trainer.facts = read_facts(description, file, reader)
        except CheckpointError:
            raise
        except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError,
                TypeError, ValueError) as error:  # fmt: skip
            raise CheckpointError(f"{path} does not describe a model: {error}") from error
        read_arrays(trainer, file)
    trainer.auto_metrics = auto
    return trainer, lost


def restore(trainer: Trainer, file: TensorFile, rate_moves: bool = False) -> None:
    """Restore the state of a built model from a file of the same network, loss and optimizer.

    ``rate_moves`` says that the learning rate is a number that a callback changes: it is restored.

    Raises
    ------
    CheckpointError
        If the file is of another network, loss or optimizer. Then nothing has changed.
    """
    theirs = description_in(file)
    optimizer = copy.deepcopy(trainer.optimizer)
    try:
        restore_moving_fields(optimizer, theirs["optimizer"])
        if rate_moves:
            optimizer.lr = theirs["optimizer"]["lr"]
        mine = describe(trainer) | {"optimizer": json.loads(json.dumps(to_config(optimizer)))}
        theirs = {"frozen": [], "preprocess": None} | theirs
        names = ("network", "loss", "optimizer", "metrics", "in_shape", "dtype", "frozen")
        for name in (*names, "preprocess"):
            check_same(name, mine[name], theirs[name], file.path)
    except (LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"{file.path} does not describe a model: {error}") from error
    before = trainer.steps, trainer.state_since, trainer.epochs
    try:
        restore_counters(trainer, theirs)
        read_arrays(trainer, file)
    except BaseException:
        trainer.steps, trainer.state_since, trainer.epochs = before
        raise
    restore_moving_fields(trainer.optimizer, theirs["optimizer"])
    if rate_moves:
        trainer.optimizer.lr = theirs["optimizer"]["lr"]


def check_metrics(configs: Any) -> None:
    """Raise TypeError if this is not a list of what `metric_config` returns."""

    def named(config: Any) -> bool:
        return isinstance(config.get("own") if isinstance(config, dict) else config, str)

    def of_output(config: Any) -> bool:
        return isinstance(config, dict) and (
            isinstance(config.get("output"), (str, int)) and named(config.get("metric"))
        )

    if not isinstance(configs, list) or not all(named(c) or of_output(c) for c in configs):
        raise TypeError(f"metrics must be a list of names, got {shown(configs)}")


def restore_counters(trainer: Trainer, description: Mapping[str, Any]) -> None:
    """Restore the counters of steps and epochs; make the arena and the optimizer's state."""
    steps = whole(description["steps"], "steps", 0)
    since = whole(description["state_since"], "state_since", 0, steps)
    epochs = whole(description.get("epochs", 0), "epochs", 0)
    trainer.steps = steps
    trainer.prepare()
    trainer.state_since, trainer.epochs = since, epochs


def read_arrays(trainer: Trainer, file: TensorFile, beside: str = "run/") -> None:
    """Read the arrays of a model from a file: all, or none if one is missing or does not fit."""
    # a summary of the inputs is no part of the state: `fit` makes it, of the same data
    arrays = {n: a for n, a in arrays_of(trainer).items() if not n.startswith(SUMMARY)}
    check_arrays(arrays, file, lambda name: not name.startswith((beside, SUMMARY)))
    check_buffers(trainer.network, file)
    for name, array in arrays.items():
        file.read(name, array)


def metrics_of_0_1_0(names: list[str], loss: Loss) -> list[str]:
    """Return the metrics of a model of 0.1.0, where all had accuracy, whatever outputs meant."""
    kind = loss.output_kind
    if "accuracy" not in names or "accuracy" in kind.metrics:
        return names
    return list(dict.fromkeys([*(n for n in names if n != "accuracy"), *kind.metrics]))
