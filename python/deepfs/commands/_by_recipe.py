"""Recipes of `deepfs.recipes` as the defaults of ``deepfs train``, with what a user changes."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import recipes
from .._command import printable
from ..augment import Views
from ..callbacks import Callback
from ..data import Loader
from ..model import Model
from ..recipes.recipe import SAMPLES
from ..schedules import Schedule
from ._recipe import OPTIMIZERS, Recipe, preprocess_of, scheduled

# Data sets with a recipe.
RECIPES: dict[str, Callable[..., recipes.Recipe]] = {
    name: getattr(recipes, name) for name in ("mnist", "fashion_mnist", "cifar10")
}
NUMBERS = ("epochs", "batch_size")
OTHERS = ("preprocess", "augment", "optimizer", "schedule")


class ByRecipe:
    """A recipe of a data set, with the settings that were given in the places of its own.

    Attributes
    ----------
    recipe : recipes.Recipe
        What is trained.
    call : str
        The line that makes the recipe in Python.
    changed : list of str
        The settings of the recipe that were given.
    """

    def __init__(self, settings: Recipe) -> None:
        name = settings["dataset"]
        make = RECIPES[name]
        default = inspect.signature(make).parameters["target"].default
        target = settings.setdefault("target", default)
        self.recipe, self.call = make(target), f"dfs.recipes.{name}(target={target:g})"
        self.changed: list[str] = []
        for key in NUMBERS:  # written down; those of a dumped file are the recipe's
            own = getattr(self.recipe, key)
            if settings.setdefault(key, own) != own:
                self.changed.append(key)
                setattr(self.recipe, key, settings[key])
        self.changed += [key for key in OTHERS if key in settings]
        if "preprocess" in settings:
            self.recipe.preprocess = preprocess_of(settings["preprocess"])
        self.recipe.optimizer = self._optimizer(settings)

    def _optimizer(self, settings: Recipe) -> Any:
        """Return the optimizer with its schedule: what is given in the places of the recipe's."""
        table = dict(settings.get("optimizer", {}))
        optimizer, schedule = self.recipe.optimizer, self.recipe.optimizer.lr
        rate = table.pop("lr", None)
        if "name" in table:  # another rule, which has a rate of its own
            optimizer = OPTIMIZERS[table.pop("name")](**table)
            rate = optimizer.lr if rate is None else rate
        else:
            for name, value in table.items():
                try:
                    setattr(optimizer, name, value)
                except AttributeError as error:  # no such setting, which commands say in one line
                    raise TypeError(str(error)) from None
        if "schedule" in settings:
            rate = rate_of(schedule) if rate is None else rate
            optimizer.lr = scheduled(settings["schedule"], rate, self.recipe.epochs)
        else:
            optimizer.lr = schedule if rate is None else with_rate(schedule, rate)
        return optimizer

    def augment(self, given: list[Any] | None) -> Any:
        """Return the augmentations: those that are given, or those of the recipe."""
        if given is not None:
            self.recipe.augment = given
        return self.recipe.augment

    def model(self, training: Loader, class_names: Sequence[str]) -> Model:
        """Return a new model for training images, as `Recipe.fit` makes it."""
        recipe, preprocess = self.recipe, copy.deepcopy(self.recipe.preprocess)
        images = np.asarray(training.x[:SAMPLES])
        if preprocess is not None:
            if not preprocess.fitted:
                preprocess.fit(training.x)
            images = preprocess(images)
        return Model(
            recipe.network(images), copy.deepcopy(recipe.loss), recipe.optimizer,
            class_names=class_names, preprocess=preprocess,
        )  # fmt: skip

    def callbacks(self, samples: int) -> list[Callback]:
        """Return the callbacks for so many training images."""
        recipe = self.recipe
        rest = 0 if recipe.drop_last else recipe.batch_size - 1
        steps = recipe.epochs * ((samples + rest) // recipe.batch_size)
        return [*recipe.callbacks(steps)] if recipe.callbacks else []

    def accuracy_by_views(self, model: Model, data: tuple[Any, ...]) -> str | None:
        """Return in words how good the means over views are, by which the recipe is measured."""
        views: Views | None = self.recipe.views
        if views is None:
            return None
        accuracy = model.evaluate(*data, views=views)["accuracy"]
        return f"{accuracy:.2%} with views={views!r}, by which the recipe is measured"

    def in_words(self) -> str:
        """Return what is trained."""
        changed = f", changed: {', '.join(self.changed)}" if self.changed else ""
        return f"by the recipe {printable(self.call)}{changed}"


def by_recipe(settings: Recipe, default: str) -> ByRecipe | None:
    """Return the recipe for the data set of some settings; None if a network is named.

    Raises
    ------
    ValueError
        If there is a target, and no recipe; if no recipe reaches the target.
    """
    settings.setdefault("dataset", default)
    name = settings["dataset"]
    if name in RECIPES and "network" not in settings:
        return ByRecipe(settings)
    if "target" in settings:
        got = "--network" if name in RECIPES else printable(name)
        raise ValueError(
            f"--target chooses a recipe, of {', '.join(RECIPES)} without --network, got it with "
            f"{got}"
        )
    return None


def rate_of(schedule: Any) -> float:
    """Return the rate that a schedule begins with, or has as its maximum."""
    return float(of_rate(schedule).lr) if isinstance(schedule, Schedule) else float(schedule)


def with_rate(schedule: Any, rate: float) -> Any:
    """Return a schedule of the same form with another rate; another rate for a rate."""
    if not isinstance(schedule, Schedule):
        return rate
    made = copy.deepcopy(schedule)
    of_rate(made).lr = rate
    return made


def of_rate(schedule: Schedule) -> Any:
    """Return the schedule, or the one in it, whose setting ``lr`` is the rate."""
    for each in (schedule, *schedule._parts()):
        if hasattr(each, "lr"):
            return each
    raise ValueError(
        f"--lr has no meaning for {type(schedule).__name__} of the recipe: give a --schedule, too"
    )
