"""``deepfs train``: train a network of a name on images of a name, and save it."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import callbacks, networks
from .._arrays import Array
from .._command import INTERRUPTED, printable, say
from ..config import set_num_threads
from ..data import Loader
from ..data.splits import validation_numbers
from ..distributed.launch import world
from ..losses import CrossEntropy
from ..model import Model
from ..random import set_seed
from ..saving.checkpoints import Checkpoints, paths_in
from ._augment import augmentations_of
from ._by_recipe import ByRecipe, by_recipe
from ._recipe import Recipe, as_toml, optimizer_of, preprocess_of, recipe_of
from ._sets import Images, by, images_of

# Defaults of what does not depend on the images.
DEFAULTS: Recipe = {"dataset": "mnist_mini", "optimizer": {"name": "adam"}, "epochs": 10, "seed": 0}
SMALL, MIDDLE = 48, 96  # sides in pixels up to which mini_convnet and resnet20 are the default
HELD, HELD_TO_CHOOSE = 0.2, 0.1  # shares for validation: of a folder; beside test images


def train(options: argparse.Namespace, given: Sequence[str]) -> int:
    """Run ``deepfs train``; return its exit status. Under ``mpiexec`` rank 0 prints and writes."""
    group = world()
    with group.guard(), quiet(group.rank):
        status = on_rank(options, given)
        group.agree(0)  # none ends before rank 0 has written the model
    return status


@contextlib.contextmanager
def quiet(rank: int) -> Iterator[None]:
    """Print nothing on ranks above 0; errors are told by whom they concern."""
    if not rank:
        yield
        return
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def on_rank(options: argparse.Namespace, given: Sequence[str]) -> int:
    """Run ``deepfs train`` in this process, which may be one of several."""
    recipe = recipe_of(options)
    standard = by_recipe(recipe, DEFAULTS["dataset"])
    if standard is None:
        recipe = DEFAULTS | recipe
        recipe["optimizer"] = DEFAULTS["optimizer"] | recipe["optimizer"]
        optimizer = optimizer_of(recipe)
    recipe.setdefault("seed", DEFAULTS["seed"])
    images = images_of(recipe["dataset"], recipe)
    complete(recipe, images, standard is not None)
    augment: Any = None
    if "augment" in recipe:
        augment = augmentations_of(recipe["augment"], images.shape, recipe["epochs"])
    if standard is not None:
        augment = standard.augment(augment)
    if options.dump_config:
        if standard is not None:
            print(f"# {standard.in_words()}")
        print(as_toml(recipe))
        return 0
    path = saved_as(recipe, images)
    folder = checkpoints_of(options, recipe, path)
    if "threads" in recipe:
        set_num_threads(recipe["threads"])
    set_seed(recipe["seed"])
    name, hooks = printable(recipe["dataset"]), callbacks_of(recipe)
    if standard is None:
        network = built(recipe["network"], images)  # refused before the images are read
        images.load(recipe.get("data"))
        data = Data(images, recipe, augment)
        model = Model(
            network, CrossEntropy(), optimizer, class_names=images.class_names,
            preprocess=preprocess_of(recipe["preprocess"]),
        )  # fmt: skip
        what = f"{recipe['network']} on {name}"
    else:
        images.load(recipe.get("data"))
        data = Data(images, recipe, augment, standard)
        model = standard.model(data.part, images.class_names)
        hooks = [*standard.callbacks(data.part.samples), *hooks]
        what = f"{name} {standard.in_words()}"
    print(f"{what}: {data.in_words()}\n")
    model.summary(images.shape)
    print()
    started = time.monotonic()
    try:
        history = model.fit(
            *data.given, recipe["batch_size"], recipe["epochs"], callbacks=hooks,
            validation_data=data.validation, validation_split=recipe["validation_split"] or None,
            drop_last=data.drop_last, checkpoint=folder, resume=True, shards=recipe.get("shards"),
        )  # fmt: skip
    except FloatingPointError as error:
        path = path.with_stem(f"{path.stem}-diverged")  # do not overwrite a good model
        save(model, path)
        remove(recipe, folder)
        raise FloatingPointError(f"{error}; saved as {path}") from error
    except (KeyboardInterrupt, OSError, MemoryError, ValueError) as error:
        if paths_in(folder):
            error.add_note(how_to_go_on(given))
        raise
    if history.interrupted and not model.steps:
        raise KeyboardInterrupt
    if history.interrupted:
        save(model, path)
        say(f"deepfs train: interrupted after {model.steps:,} steps, saved as {path}")
        say(how_to_go_on(given))  # a line of its own, to be copied
        return INTERRUPTED
    seconds = time.monotonic() - started
    save(model, path)
    remove(recipe, folder)
    which, x, y = data.measured()
    accuracy = model.evaluate(*x)["accuracy"]
    print()
    for hook in hooks:
        tell(hook)
    print(f"{which} accuracy {accuracy:.2%} after {seconds:.1f} s, saved as {printable(path)}")
    by_views = None if standard is None else standard.accuracy_by_views(model, x)
    print(f"{by_views}\n" if by_views else "")
    if guesses(accuracy, y):
        rate = recipe.get("optimizer", {}).get("lr")
        other = "another --lr" + ("" if rate is None else f" than {rate:g}")
        say(
            f"deepfs train: warning: {accuracy:.2%} is no better than guessing: the network has "
            f"learned nothing; try {other}, or more --epochs"
        )
    file = shlex.quote(printable(path))
    lines = [f"deepfs predict {file} IMAGE.png"]
    if "test" in images.parts:
        name = recipe["dataset"]
        command = f"deepfs evaluate {file} {shlex.quote(printable(name))}"
        if "data" in recipe:
            command += f" --data {shlex.quote(printable(recipe['data']))}"
        lines.insert(0, command)
    print("\n".join(f"{'next:' if not i else '':<5}  {line}" for i, line in enumerate(lines)))
    return 0


def save(model: Model, path: Path) -> None:
    """Save a model, which all ranks have."""
    if not world().rank:
        model.save(path)


def complete(recipe: Recipe, images: Images, by_recipe: bool = False) -> None:
    """Write down the settings that were not given, which follow from the images.

    Those of a recipe of `deepfs.recipes` are left out.
    """
    mini = images.name == "mnist_mini"
    colors = images.shape[0] == 3
    chooses = "early_stopping" in recipe or "best" in recipe
    held = 0.0
    if images.is_folder:
        recipe["image_size"] = images.shape[1:]
        recipe.setdefault("color_mode", "rgb" if colors else "grayscale")
        held = 0.0 if "validation" in images.parts else HELD
    elif chooses:  # by images that are not those of the result
        held = HELD_TO_CHOOSE
    if not by_recipe:
        recipe.setdefault("preprocess", "standardize" if images.is_folder or colors else "none")
        recipe.setdefault("augment", [])
        recipe.setdefault("network", default_network(images))
        recipe.setdefault("batch_size", 50 if mini else 32 if images.is_folder else 100)
    recipe.setdefault("validation_split", held)
    if recipe["validation_split"] and "validation" in images.parts:
        raise ValueError(
            f"--validation-split takes its images from the training set, and {images.name} has a "
            "folder of validation images: leave out one of them"
        )
    if chooses and not recipe["validation_split"] and "validation" not in images.parts:
        option = "--early-stopping" if "early_stopping" in recipe else "--best"
        raise ValueError(f"{option} needs validation images, got --validation-split 0")


def default_network(images: Images) -> str:
    """Return the name of a network that suits the size of the images."""
    if not images.is_folder:
        grey = "mini_convnet" if images.name == "mnist_mini" else "simple_convnet"
        return "resnet20" if images.shape[0] == 3 else grey
    side = max(images.shape[1:])
    return "mini_convnet" if side <= SMALL else "resnet20" if side <= MIDDLE else "resnet18"


def built(name: str, images: Images) -> Any:
    """Return a network of a name, which is built, or an error that says which images it takes."""
    network = getattr(networks, name)(classes=len(images.class_names))
    try:
        network.out_shape(images.shape)
    except ValueError as error:
        way = ": give a larger --image-size, such as 32, or" if images.is_folder else ": give"
        raise ValueError(
            f"{name} does not take images of {by(images.shape)} ({error}){way} another --network"
        ) from None
    return network


class Data:
    """The images as `Model.fit` and `evaluate` take them."""

    def __init__(
        self, images: Images, recipe: Recipe, augment: Any, standard: ByRecipe | None = None
    ) -> None:
        self.drop_last = standard is not None and standard.recipe.drop_last
        self.parts, size, share = images.parts, recipe["batch_size"], recipe["validation_split"]
        source, self.names = images.parts["training"], images.class_names
        self.training = Loader(source, size, augment=augment, drop_last=self.drop_last)
        self.given: tuple[Any, Any] = (self.training, None)
        if not images.is_folder and not augment and standard is None:
            self.given = source
        self.part, self.rest = self.training, None  # what is trained on; what is held back
        if share:
            trained, numbers, _ = validation_numbers(self.training, share, True, self.names)
            self.part, self.rest = self.training.subset(trained), self.training.subset(numbers)
        known = [self.of(part) for part in ("validation", "test") if part in self.parts]
        self.validation = known[0] if known and not share else None

    def of(self, part: str) -> Any:
        """Return validation or test images."""
        found = self.parts[part]
        return found if isinstance(found, tuple) else Loader(found)

    def in_words(self) -> str:
        """Return how many images there are."""
        held = 0 if self.rest is None else self.rest.samples
        counts = {"training": self.training.samples - held, "validation": held}
        for part in ("validation", "test"):
            if part in self.parts:
                found = self.parts[part]
                counts[part] = len(found[0] if isinstance(found, tuple) else found)
        told = [f"{count:,} {part}" for part, count in counts.items() if count]
        together = ", ".join(told[:-1]) + f" and {told[-1]}" if len(told) > 1 else told[0]
        return f"{together} images"

    def measured(self) -> tuple[str, tuple[Any, ...], Array]:
        """Return what the result is measured on: its name, images and labels."""
        for part in ("test", "validation"):
            if part in self.parts:
                found = self.of(part)
                x = found if isinstance(found, tuple) else (found,)
                return part, x, x[1] if len(x) > 1 else x[0].y
        rest = self.training if self.rest is None else self.rest
        return "training" if self.rest is None else "validation", (rest,), np.asarray(rest.y)


def saved_as(recipe: Recipe, images: Images) -> Path:
    """Return the file for the model; check that it can be written."""
    out = Path(recipe.get("out", "."))
    if out.suffix == ".safetensors" and not out.is_dir():
        path, out = out, out.parent
    else:
        path = out / f"{images.stem}-{recipe.get('network', 'recipe')}.safetensors"
    if not out.is_dir():
        raise FileNotFoundError(f"--out must be a folder that exists, got {str(out)!r}")
    check_writable(out, "--out must be a folder to write in", out)
    for key in ("best", "log"):
        if key in recipe:
            file = Path(recipe[key])
            check_writable(file.parent, f"--{key} must be a file in a folder to write in", file)
    if "best" in recipe and Path(recipe["best"]).resolve() == path.resolve():
        raise ValueError(f"--best must be another file than that of the last model, {path}")
    return path


def check_writable(folder: Path, needed: str, given: Path) -> None:
    """Raise OSError if no file can be written in a folder."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(f"{needed}, got {str(given)!r}") from error


def callbacks_of(recipe: Recipe) -> list[callbacks.Callback]:
    """Return the callbacks that a recipe asks for."""
    hooks: list[callbacks.Callback] = []
    if "early_stopping" in recipe:
        hooks.append(callbacks.EarlyStopping(patience=recipe["early_stopping"]))
    if "best" in recipe:
        hooks.append(callbacks.ModelCheckpoint(recipe["best"], save_best_only=True))
    if "log" in recipe:
        hooks.append(callbacks.CSVLogger(recipe["log"]))
    return hooks


def tell(hook: callbacks.Callback) -> None:
    """Print what a callback has done."""
    if isinstance(hook, callbacks.EarlyStopping) and hook.best_epoch is not None:
        stopped = ""
        if hook.stopped_epoch is not None:
            stopped = f"stopped after epoch {hook.stopped_epoch + 1}, "
        print(f"{stopped}best weights of epoch {hook.best_epoch + 1}: "
              f"{hook.monitor} {hook.best:.4f}")  # fmt: skip
    if isinstance(hook, callbacks.ModelCheckpoint) and hook.best is not None:
        print(f"best model, {hook.monitor} {hook.best:.4f}, saved as "
              f"{printable(hook.best_model_path)}")  # fmt: skip
    if isinstance(hook, callbacks.CSVLogger):
        print(f"log of the epochs in {printable(hook.filename)}")


def checkpoints_of(options: argparse.Namespace, recipe: Recipe, path: Path) -> Path:
    """Return the folder for the checkpoints of a training, new or to be resumed."""
    own = recipe.get("checkpoint")
    folder = Path(own or path.with_suffix(".checkpoints"))
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"--checkpoint must be a folder, got {str(folder)!r}")
    found = folder.is_dir() and paths_in(folder)
    if options.resume and not found:
        raise FileNotFoundError(f"--resume: there is no interrupted training in {folder}")
    if found and not (options.resume or own):
        raise FileExistsError(
            f"{folder} has an interrupted training: add --resume to go on with it, or remove that "
            "folder to start anew"
        )
    return folder


def remove(recipe: Recipe, folder: Path) -> None:
    """Remove the checkpoints of a training that is over, unless the user named their folder."""
    if "checkpoint" not in recipe and not world().rank:
        Checkpoints(folder).remove()


def how_to_go_on(given: Sequence[str]) -> str:
    """Return the command that goes on with a training."""
    ranks = world().size
    command = [*(["mpiexec", "-n", str(ranks)] if ranks > 1 else []), "deepfs", *given]
    if "--resume" not in command:
        command.append("--resume")
    return f"to go on: {shlex.join(command)}"


def guesses(accuracy: float, labels: Array) -> bool:
    """Return whether an accuracy is that of naming the most frequent class, or by chance above."""
    if accuracy == 1:  # of very few images, or of one class: nothing is known
        return False
    chance = float(np.bincount(labels.astype(np.intp)).max()) / len(labels)
    return bool(accuracy <= chance + 2 * np.sqrt(chance * (1 - chance) / len(labels)))
