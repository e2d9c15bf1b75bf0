"""The settings of a training: of a TOML file, ``--set`` and options, and as a TOML file again."""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .. import networks, optimizers, preprocessing, schedules
from .._command import near
from . import _values as values
from ._sets import images_name

NO_CLASSIFIERS = {
    "autoencoder": "returns its input, train needs a network of classes: see docs/networks.md",
    "unet_small": "has classes for each pixel, train needs one for each image: see "
    "docs/networks.md",
    "pretrained": "is mini_convnet with 5 classes: see docs/transfer.md",
    "resnet": "needs a depth: resnet20, resnet32, resnet44, resnet56",
}
NETWORKS = tuple(name for name in networks.__all__ if name not in NO_CLASSIFIERS)
OPTIMIZERS = {
    name.lower(): getattr(optimizers, name)
    for name in sorted(optimizers.__all__, key=str.lower)
    if name not in ("Arena", "Group", "Optimizer", "StepContext", "get", "zeros_like")
}
# What a name makes of the rate to begin with, the number of epochs and settings of its own.
SCHEDULES: dict[str, Callable[..., schedules.Schedule]] = {
    "constant": lambda lr, epochs, **own: schedules.Constant(lr, **own),
    "cosine": lambda lr, epochs, **own: schedules.Cosine(lr, **own),
    "exponential": lambda lr, epochs, **own: schedules.Exponential(
        lr, **{"factor": 0.01 ** (1 / epochs), "by": "epoch"} | own
    ),
    "multi_step": lambda lr, epochs, **own: schedules.MultiStep(
        lr, **{"milestones": halves(epochs), "by": "epoch"} | own
    ),
    "one_cycle": lambda lr, epochs, **own: schedules.OneCycle(lr, **own),
    "plateau": lambda lr, epochs, **own: schedules.Plateau(lr, **own),
    "polynomial": lambda lr, epochs, **own: schedules.Polynomial(lr, **own),
    "step": lambda lr, epochs, **own: schedules.Step(
        lr, **{"every": max(1, -(-epochs // 3)), "by": "epoch"} | own
    ),
}
PREPROCESS = ("standardize", "zero_center", "none")
COLORS = ("rgb", "grayscale")

# The settings and what checks them, in the order in which they are printed.
KEYS: dict[str, Callable[[Any], Any]] = {
    "dataset": images_name,
    "target": values.number,
    "data": values.text,
    "image_size": values.size,
    "color_mode": values.one_of(COLORS),
    "preprocess": values.one_of(PREPROCESS),
    "augment": values.augmentations,
    "network": values.one_of(NETWORKS, NO_CLASSIFIERS),
    "epochs": values.count,
    "batch_size": values.count,
    "validation_split": values.share,
    "early_stopping": values.count,
    "best": values.file_of(".safetensors"),
    "log": values.file_of(".csv"),
    "seed": values.whole,
    "threads": values.count,
    "shards": values.count,
    "out": values.text,
    "checkpoint": values.text,
    "optimizer": values.one_of(tuple(OPTIMIZERS)),
    "schedule": values.one_of(tuple(SCHEDULES)),
}
TABLES = ("optimizer", "schedule")  # a name, and settings of what it names
SHORT = {"lr": ("optimizer", "lr"), "weight_decay": ("optimizer", "weight_decay")}
NUMBERS = ("lr", "weight_decay")  # of an optimizer

Recipe = dict[str, Any]


def halves(epochs: int) -> list[int]:
    """Return 1/2 and 3/4 of the epochs, as He et al. 2015 (32,000 and 48,000 of 64,000 steps)."""
    return sorted({max(1, epochs // 2), max(1, 3 * epochs // 4)})


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Return the settings that are given: options and ``--set`` replace those of the file.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, a setting does not exist, is of the wrong kind or is given
        twice.
    """
    recipe: Recipe = {}
    if options.config is not None:
        path = values.file_of(".toml")
        try:
            content = tomllib.loads(Path(path(options.config)).read_text("utf-8"))
        except argparse.ArgumentTypeError as error:
            raise ValueError(f"--config {error}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{options.config} is no TOML file: {error}") from None
        Source(recipe, options.config).put_all(content)
    line = Source(recipe, "")
    for each in options.set or ():
        key, equals, value = each.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"--set must be KEY=VALUE, such as optimizer.lr=0.01, got {each!r}")
        line.put(key.strip(), toml_value(value.strip()))
    for key in (*KEYS, *SHORT):
        value = getattr(options, key)
        if value is not None:
            line.put(key, value)
    return recipe


class Source:
    """Where settings come from; it may give each of them once."""

    def __init__(self, recipe: Recipe, where: str) -> None:
        self.recipe, self.who = recipe, f"{where}: " if where else ""
        self.seen: set[tuple[str, str]] = set()

    def put_all(self, content: Mapping[str, Any]) -> None:
        """Put the settings of a file, whose tables are those of optimizer and schedule."""
        for key, value in content.items():
            self.put(key, value)

    def put(self, key: str, value: Any) -> None:
        """Put a setting, by a name such as ``epochs``, ``lr`` or ``optimizer.beta1``."""
        name, _, inner = key.partition(".")
        name = name.replace("-", "_")
        if name in SHORT and not inner:
            name, inner = SHORT[name]
        if name not in KEYS or (inner and name not in TABLES):
            known = [*KEYS, *SHORT]
            raise ValueError(f"{self.who}there is no setting {key!r}{near(name, known)}")
        if name in TABLES:
            if isinstance(value, dict) and not inner:
                for each, its in value.items():
                    self.put(f"{name}.{each}", its)
                return
            inner = inner or "name"
        title = f"{name}.{inner}" if inner and inner != "name" else name
        if (name, inner) in self.seen:
            raise ValueError(f"{self.who}{title} is given twice")
        self.seen.add((name, inner))
        try:
            if inner in ("", "name"):
                value = KEYS[name](value)
            elif name == "optimizer" and inner in NUMBERS:
                value = values.number(value)
        except argparse.ArgumentTypeError as error:
            raise ValueError(f"{self.who}{title}: {error}") from None
        if name in TABLES:
            self.recipe.setdefault(name, {})[inner] = value
        else:
            self.recipe[name] = value


def optimizer_of(recipe: Recipe) -> Any:
    """Return the optimizer of a recipe, with its schedule; write down the rate to begin with."""
    table = recipe["optimizer"]
    settings = {key: value for key, value in table.items() if key != "name"}
    made = OPTIMIZERS[table["name"]](**settings)
    if "lr" not in table:
        table["lr"] = made.lr
    if "schedule" in recipe:
        made.lr = scheduled(recipe["schedule"], table["lr"], recipe["epochs"])
    return made


def scheduled(table: Recipe, lr: float, epochs: int) -> schedules.Schedule:
    """Return the schedule of a table that begins at a rate, or has it as its maximum."""
    settings = dict(table)
    if "name" not in settings:
        raise ValueError(f"schedule needs a name: {', '.join(SCHEDULES)}")
    return SCHEDULES[settings.pop("name")](lr, epochs, **settings)


def preprocess_of(name: str) -> Any:
    """Return the preprocessing of a name, by channel."""
    if name == "standardize":
        return preprocessing.Standardize(per="channel")
    return preprocessing.ZeroCenter(per="channel") if name == "zero_center" else None


def toml_value(given: str) -> Any:
    """Return what TOML means by a value; what is none, such as a name without quotes, is text."""
    try:
        content = tomllib.loads(f"value = {given}")
    except tomllib.TOMLDecodeError:
        return given
    return content["value"] if len(content) == 1 else given


def as_toml(recipe: Recipe) -> str:
    """Return a recipe as a TOML file that ``--config`` reads."""
    plain = [f"{key} = {written(recipe[key])}" for key in KEYS
             if key in recipe and key not in TABLES]  # fmt: skip
    for name in TABLES:
        if name in recipe:
            plain += ["", f"[{name}]"]
            plain += [f"{key} = {written(value)}" for key, value in recipe[name].items()]
    return "\n".join(plain)


def written(value: Any) -> str:
    """Return a value as TOML writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else repr(value)
