"""The images that a command is given by name: a data set, or a folder of pictures."""

from __future__ import annotations

import argparse
import contextlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import datasets
from .._command import near
from ..data import Loader
from ..datasets import ImageFolder
from ..datasets.folder import is_hidden

DATASETS = ("mnist_mini", "mnist", "fashion_mnist", "cifar10", "cifar100")
GREY, COLOR = (1, 28, 28), (3, 32, 32)
SHAPES = {"cifar10": COLOR, "cifar100": COLOR}  # others: GREY
CLASSES = {
    "fashion_mnist": datasets.FASHION_MNIST_CLASSES,
    "cifar10": datasets.CIFAR10_CLASSES,
    "cifar100": datasets.CIFAR100_CLASSES,
}
# Folders of a data set that is divided already, as Keras, torchvision and fastai have them.
PARTS = {
    "train": "training", "training": "training",
    "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test",
}  # fmt: skip
LARGEST = 512  # side in pixels that is taken without being asked for
CACHED = 2**30  # bytes of pictures that are kept in memory
AT_ONCE = 64  # pictures
COLORS = {1: "grayscale", 3: "rgb"}


def images_name(value: Any) -> str:
    """Return the name of a data set or of a folder that exists."""
    if not isinstance(value, str) or not value:
        raise argparse.ArgumentTypeError(f"must be text, got {value!r}")
    if value in DATASETS or Path(value).is_dir():
        return value
    if Path(value).exists():
        raise argparse.ArgumentTypeError(f"must be a folder of pictures, got the file {value!r}")
    raise argparse.ArgumentTypeError(
        f"there is no folder {value!r}, and data sets are {', '.join(DATASETS)}"
        f"{near(value, DATASETS)}"
    )


@dataclass
class Images:
    """Training, validation and test images, of which some may be lacking.

    Attributes
    ----------
    name : str
        As the command was given it.
    stem : str
        For the names of files.
    shape : (c, h, w)
    class_names : tuple of str
    parts : dict
        By "training", "validation" and "test": arrays ``(x, y)`` or an `ImageFolder`.
    """

    name: str
    stem: str
    shape: tuple[int, ...]
    class_names: tuple[str, ...]
    parts: dict[str, Any]
    is_folder: bool = True

    def load(self, root: str | None) -> None:
        """Read what is named or small enough, so that damaged pictures are found at once."""
        if not self.is_folder:
            self.parts = dict(zip(("training", "test"), arrays_of(self.name, root), strict=True))
            return
        for part in self.parts.values():
            if part.cache:
                for start in range(0, len(part), AT_ONCE):
                    part.read(np.arange(start, min(start + AT_ONCE, len(part))))


def arrays_of(name: str, root: str | None) -> Any:
    """Return training and test set of a name."""
    if name == "mnist_mini":
        if root is not None:
            raise ValueError(only_named(name))
        return datasets.mnist_mini()
    return getattr(datasets, name)(root=root)


def only_named(name: str) -> str:
    """Return in words that ``--data`` has no meaning here."""
    return f"--data is for {', '.join(DATASETS[1:])}, got it with {name}"


def images_of(name: str, recipe: Any) -> Images:
    """Return the images of a name, not read yet, of the size and colours that a recipe asks for.

    Raises
    ------
    OSError, ValueError
        If pictures are of different sizes or modes, a class has none, or there are fewer than two
        classes.
    """
    if name in DATASETS:
        shape = SHAPES.get(name, GREY)
        for key in ("image_size", "color_mode"):
            if key in recipe:
                option = f"--{key.replace('_', '-')}"
                raise ValueError(f"{option} is for folders, {name} has images of {by(shape)}")
        if name == "mnist_mini" and "data" in recipe:
            raise ValueError(only_named(name))
        names = CLASSES.get(name, datasets.MNIST_CLASSES)
        return Images(name, name, shape, tuple(names), {}, is_folder=False)
    if "data" in recipe:
        raise ValueError(only_named(name))
    size, colors = recipe.get("image_size"), recipe.get("color_mode")
    folders = parts_of(Path(name))
    first = opened(folders["training"], size, colors, None)
    names = tuple(first.class_names or ())
    if len(names) < 2:
        raise ValueError(
            f"{folders['training']} must have at least 2 classes, got only {names[0]!r}"
        )
    c, h, w = first.image_shape
    if size is None and max(h, w) > LARGEST:
        raise ValueError(
            f"{name} has pictures of {h} x {w} pixels: give the size to which they are resized, "
            "such as --image-size 64"
        )
    parts = {"training": first}
    for part, folder in folders.items():
        if part != "training":
            parts[part] = opened(folder, (h, w), COLORS[c], names)
    return Images(name, Path(name).resolve().name or "pictures", (c, h, w), names, parts)


def by(shape: Sequence[int]) -> str:
    """Return a shape in words: 3x32x32."""
    return "x".join(map(str, shape))


def parts_of(folder: Path) -> dict[str, Path]:
    """Return the folders of training, validation and test images, by these names."""
    found = {each.name: each for each in sorted(folder.iterdir())
             if each.is_dir() and not is_hidden(each.name)}  # fmt: skip
    if not found:
        raise ValueError(
            f"{folder} must have a subfolder with pictures for each class, got no subfolder"
        )
    parts = {PARTS[name.lower()]: path for name, path in found.items() if name.lower() in PARTS}
    if len(parts) == len(found) and "training" in parts:
        return parts
    return {"training": folder}


def opened(folder: Path, size: Any, colors: Any, names: tuple[str, ...] | None) -> ImageFolder:
    """Return the pictures of a folder with a subfolder for each class; keep them if they are few.

    With names, other classes are refused.
    """
    if names is not None:
        for each in sorted(folder.iterdir()):
            if each.is_dir() and not is_hidden(each.name) and each.name not in names:
                raise ValueError(
                    f"{folder} has the class {each.name!r}, known are {', '.join(names)}"
                )
    made = ImageFolder(folder, size, colors, class_names=names, cache=True)
    c, h, w = made.image_shape
    if len(made) * c * h * w > CACHED:
        vars(made)["cache"] = False  # an assignment would look at all files once more
    return made


def images_for(
    model: Any, path: str, name: str, root: str | None, parts: Sequence[str]
) -> tuple[str, Loader]:
    """Return in words what a model is asked about, and a `Loader` of it: the first part there is.

    The pictures of a folder are resized to what the model takes, its classes are the model's.
    """
    if name in DATASETS:
        expected, shape = model.network.in_shape or (), SHAPES.get(name, GREY)
        if len(expected) == 3 and expected != shape:
            raise ValueError(
                f"{path} takes images of {by(expected)}, those of {name} are {by(shape)}"
            )
        part = next(part for part in parts if part != "validation")
        x, y = arrays_of(name, root)[part == "test"]
        names: Any = CLASSES.get(name, datasets.MNIST_CLASSES)
        told, data = f"{part} images of {name}", Loader((x, y), class_names=names)
    else:
        if root is not None:
            raise ValueError(only_named(name))
        shape = image_shape(model, path, "a folder")
        if shape[0] not in COLORS:
            raise ValueError(f"{path} takes images of {shape[0]} channels, pictures have 1 or 3")
        folders = parts_of(Path(name))
        folder = next(folders[part] for part in parts if part in folders)
        told = f"images of {folder}"
        data = Loader(opened(folder, shape[1:], COLORS[shape[0]], model.class_names))
        names = data.class_names
    if model.class_names is None:
        with contextlib.suppress(ValueError):  # the network has another number of outputs
            model.class_names = names
    elif tuple(names) != model.class_names:
        warnings.warn(
            f"the classes of {path} are {', '.join(model.class_names)}, those of {name} "
            f"{', '.join(names)}: they are compared by their numbers",
            stacklevel=2,
        )
    return told, data


def image_shape(model: Any, path: str, who: str) -> tuple[int, int, int]:
    """Return the shape of the images that a model takes."""
    shape: Any = model.network.in_shape or ()
    if len(shape) != 3:
        raise ValueError(f"{path} takes inputs of shape {shape}, {who} needs images")
    return (shape[0], shape[1], shape[2])
