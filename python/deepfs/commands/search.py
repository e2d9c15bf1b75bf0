"""``deepfs search``: search settings of a training, as a file tells, and save the best model."""

from __future__ import annotations

import argparse
import copy
import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import callbacks
from .._command import INTERRUPTED, near, printable, say
from ..config import set_num_threads
from ..losses import CrossEntropy
from ..model import Model
from ..random import set_seed
from ..tuning.search import need_optuna, search
from . import _values as values
from ._augment import (
    AUGMENTATIONS,
    augmentation_name,
    augmentation_of,
    augmentations_of,
    table_of,
    with_setting,
)
from ._recipe import KEYS, TABLES, Recipe, Source, as_toml, optimizer_of, preprocess_of
from ._sets import Images, images_of
from .train import (
    DEFAULTS,
    HELD,
    HELD_TO_CHOOSE,
    Data,
    built,
    check_writable,
    complete,
)

RANGES = ("log", "uniform", "int")
# Settings of a search in the file, and what checks them; the names are those of `deepfs.search`.
SEARCH: dict[str, Callable[[Any], Any]] = {
    "method": values.text, "n_trials": values.count, "n_jobs": values.whole,
    "storage": values.text, "study_name": values.text, "cv": values.count, "metric": values.text,
    "pruner": values.text, "rounds": values.count,
}  # fmt: skip
# Settings that may be searched.
SPACE = ("network", "epochs", "batch_size", "lr", "weight_decay", "augment", *TABLES)
SIDE = 32  # pixels of images with which settings of augmentations are tried
NONE_HERE = ("best", "log", "checkpoint")  # settings of train that are files of one training


def add_parser(commands: Any) -> None:
    """Add the command to those of ``deepfs``."""
    text = "Search settings of a training, such as learning rate and network."
    parser = commands.add_parser("search", help=text, description=text)
    parser.epilog = (
        "FILE.toml has settings as of deepfs train --config, and the tables [search] and [space]: "
        "see docs/search.md. It needs Optuna: pip install 'deepfs[search]'."
    )
    parser.add_argument("file", metavar="FILE.toml", help="settings, space and method")
    parser.add_argument("--trials", type=values.count, default=None, metavar="N",
                        help="number of trials, in all (default: that of the file)")  # fmt: skip
    parser.add_argument("--jobs", type=values.count, default=None, metavar="N",
                        help="processes beside each other (default: that of the file, or 1)",
                        )  # fmt: skip
    parser.add_argument("--storage", type=values.text, default=None, metavar="FILE|URL",
                        help="where trials are kept, such as search.db; the same command goes on "
                        "with it (default: that of the file, or nowhere)")  # fmt: skip
    parser.add_argument("--threads", type=values.count, default=None, metavar="N",
                        help="number of threads, of all processes (default: all processors)",
                        )  # fmt: skip
    parser.add_argument("--out", type=values.text, default=".", metavar="FOLDER",
                        help="folder for the best model and its settings (default: this folder)",
                        )  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, given: Sequence[str]) -> int:
    need_optuna()
    recipe, settings, space = read(options.file)
    for option, name in (("trials", "n_trials"), ("jobs", "n_jobs"), ("storage", "storage")):
        value = getattr(options, option)
        if value is not None:
            settings[name] = value
    if options.threads is not None:
        recipe["threads"] = options.threads
    folder = Path(options.out)
    if not folder.is_dir():
        raise FileNotFoundError(f"--out must be a folder that exists, got {options.out!r}")
    check_writable(folder, "--out must be a folder to write in", folder)
    images = images_of(recipe["dataset"], recipe)
    if "validation" not in images.parts and "cv" not in settings:
        recipe.setdefault("validation_split", HELD if images.is_folder else HELD_TO_CHOOSE)
    own_split = recipe.get("validation_split") or None
    complete(recipe, images)
    augment = augmentations_of(recipe["augment"], images.shape, recipe["epochs"])
    if "threads" in recipe:
        set_num_threads(recipe["threads"])
    set_seed(recipe["seed"])
    images.load(recipe.get("data"))
    if "cv" in settings:
        recipe["validation_split"] = 0.0
    data = Data(images, recipe, augment)
    fit: dict[str, Any] = {
        name: recipe[name] for name in ("epochs", "batch_size") if name not in space
    }
    if "cv" not in settings:
        fit["validation_split"], fit["validation_data"] = own_split, None
        if own_split is None:
            fit["validation_data"] = data.validation
    if "early_stopping" in recipe:
        fit["callbacks"] = [callbacks.EarlyStopping(patience=recipe["early_stopping"])]
    build = Build(recipe, replace(images, parts={}))
    augmented = any(name.partition(".")[0] == "augment" for name in space)
    trained_on = TrialImages(build, images) if augmented else as_searched(data)
    print(f"search on {printable(recipe['dataset'])}: {data.in_words()}\n", flush=True)
    found = search(build, space, trained_on, seed=recipe["seed"], **settings, **fit)
    if found.interrupted or found.best_model is None:
        say(f"deepfs search: interrupted after {len(found.log)} trials")
        if "storage" in settings:
            say(f"to go on: {shlex.join(['deepfs', *given])}")
        return INTERRUPTED
    path = folder / f"{images.stem}-search.safetensors"
    found.best_model.save(path)
    best = build.recipe_of(found.best_settings)
    optimizer_of(best)  # writes down its rate
    config = path.with_suffix(".toml")
    config.write_text(f"{as_toml(best)}\n", "utf-8")
    print(f"\n{found}\n")
    if "test" in images.parts:
        accuracy = found.best_model.evaluate(*data.measured()[1])["accuracy"]
        print(f"test accuracy {accuracy:.2%}, of images that no trial has seen")
    print(f"the best model, trained on all training images, saved as {printable(path)}")
    print(f"next:  deepfs train --config {shlex.quote(printable(config))}")
    return 0


def read(file: str) -> tuple[Recipe, dict[str, Any], dict[str, Any]]:
    """Return the settings of the training, of the search, and the space, of a file."""
    path = values.file_of(".toml")
    try:
        content = tomllib.loads(Path(path(file)).read_text("utf-8"))
    except argparse.ArgumentTypeError as error:
        raise ValueError(f"FILE {error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no TOML file: {error}") from None
    tables = {name: content.pop(name, None) for name in ("search", "space")}
    for name, table in tables.items():
        if not isinstance(table, dict) or (name == "space" and not table):
            raise ValueError(f"{file} needs a table [{name}]: see docs/search.md")
    recipe: Recipe = {}
    Source(recipe, file).put_all(content)
    for name in NONE_HERE:
        if name in recipe:
            raise ValueError(f"{file}: {name} is for one training, deepfs search has many")
    if "target" in recipe:
        raise ValueError(f"{file}: target chooses a recipe of deepfs train, leave it out")
    recipe = DEFAULTS | recipe
    recipe["optimizer"] = DEFAULTS["optimizer"] | recipe["optimizer"]
    space = space_of(tables["space"], file)
    check_augmented(recipe, space, file)
    return recipe, settings_of(tables["search"], file), space


def settings_of(table: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Return the settings of the search."""
    found = {}
    for name, value in table.items():
        if name not in SEARCH:
            raise ValueError(f"{file}: [search] has no setting {name!r}{near(name, [*SEARCH])}")
        try:
            found[name] = SEARCH[name](value)
        except argparse.ArgumentTypeError as error:
            raise ValueError(f"{file}: search.{name}: {error}") from None
    return found


def space_of(table: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Return the space: an array that begins with the name of a scale is a range."""
    found: dict[str, Any] = {}
    for name, value in flat(table).items():
        first = name.partition(".")[0].replace("-", "_")
        if first not in SPACE:
            known = ", ".join(SPACE)
            way = near(first, SPACE) or f" ({known} can be)"
            what = "cannot be searched" if first in KEYS else "is no setting"
            raise ValueError(f"{file}: space.{name} {what}{way}")
        is_range = isinstance(value, list) and bool(value) and value[0] in RANGES
        tried = value[1:] if is_range else value if isinstance(value, list) else [value]
        of_augment = first == "augment" and "." in name
        key = augment_setting(name, tried, file) if of_augment else name
        for each in () if of_augment else tried:  # said before the first trial
            Source({}, f"{file}: space").put(name, each)
        if key in found:
            raise ValueError(f"{file}: space.{key} is given twice")
        found[key] = tuple(value) if is_range else value
    return found


def augment_setting(name: str, tried: Sequence[Any], file: str) -> str:
    """Return ``augment.crop.padding`` of a name that means it; refuse wrong names and values."""
    _, kind, *setting = name.split(".")
    known = augmentation_name(kind)
    if known is None:
        near_one = near(kind, [*AUGMENTATIONS])
        raise ValueError(f"{file}: space.{name}: there is no augmentation {kind!r}{near_one}")
    if len(setting) != 1:
        raise ValueError(
            f"{file}: space.{name} must name one setting of {known}, such as augment.crop.padding"
        )
    for each in tried:
        try:
            augmentation_of(known, SIDE, {setting[0]: each})
        except (TypeError, ValueError) as error:
            raise ValueError(f"{file}: space.{name}: {error}") from None
    return f"augment.{known}.{setting[0]}"


def check_augmented(recipe: Recipe, space: Mapping[str, Any], file: str) -> None:
    """Refuse a setting of an augmentation that no trial has."""
    lists = space.get("augment", [recipe.get("augment", [])])
    lists = lists if isinstance(lists, list) else [lists]
    names = {table_of(each)["name"] for one in lists for each in values.augmentations(one)}
    for key in space:
        kind = key.split(".")[1] if key.startswith("augment.") else ""
        if kind and kind not in names:
            raise ValueError(
                f'{file}: space.{key}: no trial has {kind}, write augment = ["{kind}"] in the file'
            )


def flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with the keys of inner tables joined by dots."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": each for inner, each in flat(value).items()}
        else:
            found[name] = value
    return found


class Build:
    """Make the model of a recipe with the settings of a trial in it; it can be pickled."""

    def __init__(self, recipe: Recipe, images: Images) -> None:
        self.recipe, self.images = recipe, images

    def recipe_of(self, params: Mapping[str, Any]) -> Recipe:
        """Return the recipe of a trial."""
        recipe = copy.deepcopy(self.recipe)
        source = Source(recipe, "")
        for name, value in params.items():
            if not name.startswith("augment."):
                source.put(name, value)
        for name, value in params.items():
            if name.startswith("augment."):
                _, kind, setting = name.split(".")
                recipe["augment"] = with_setting(recipe["augment"], kind, setting, value)
        return recipe

    def __call__(self, params: Mapping[str, Any]) -> Model:
        recipe = self.recipe_of(params)
        return Model(
            built(recipe["network"], self.images), CrossEntropy(), optimizer_of(recipe),
            class_names=self.images.class_names, preprocess=preprocess_of(recipe["preprocess"]),
        )  # fmt: skip


class TrialImages:
    """Give the training images with the augmentations of a trial; it can be pickled."""

    def __init__(self, build: Build, images: Images) -> None:
        self.build, self.images = build, images

    def __call__(self, params: Mapping[str, Any]) -> Any:
        recipe = self.build.recipe_of(params)
        augment = augmentations_of(recipe["augment"], self.images.shape, recipe["epochs"])
        return as_searched(Data(self.images, recipe | {"validation_split": 0.0}, augment))


def as_searched(data: Data) -> Any:
    """Return the training images as `deepfs.search` takes them."""
    x, y = data.given
    return x if y is None else (x, y)
