"""Augmentations by short names, with settings that follow the size of the images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import augment

AFFINE: dict[str, Any] = {"degrees": 10.0, "translate": 0.1, "scale": (0.9, 1.1)}
# What a name makes of images with a shorter side of so many pixels, and settings of its own.
AUGMENTATIONS: dict[str, Callable[..., Any]] = {
    "flip": lambda side, **own: augment.RandomHorizontalFlip(**own),
    "vertical_flip": lambda side, **own: augment.RandomVerticalFlip(**own),
    "alternating_flip": lambda side, **own: augment.AlternatingFlip(**own),
    # an eighth: 4 of 32, as He et al. 2015
    "crop": lambda side, **own: augment.RandomCrop(**{"padding": max(1, side // 8)} | own),
    "affine": lambda side, **own: augment.RandomAffine(**AFFINE | own),
    "color_jitter": lambda side, **own: augment.ColorJitter(
        **{"brightness": 0.2, "contrast": 0.2} | own
    ),
    # half: 16 of 32, as DeVries and Taylor 2017
    "cutout": lambda side, **own: augment.Cutout(**{"size": max(1, side // 2)} | own),
    "progressive_resizing": lambda side, **own: augment.ProgressiveResizing(**{"epochs": 1} | own),
    "mixup": lambda side, **own: augment.MixUp(**own),
    "cutmix": lambda side, **own: augment.CutMix(**own),
}
ALIASES = {  # the names of the classes, in small letters
    "randomhorizontalflip": "flip",
    "randomverticalflip": "vertical_flip",
    "alternatingflip": "alternating_flip",
    "randomcrop": "crop",
    "randomaffine": "affine",
    "colorjitter": "color_jitter",
    "progressiveresizing": "progressive_resizing",
}


def augmentation_name(name: str) -> str | None:
    """Return the short name of an augmentation, given it or the name of the class."""
    name = name.lower().replace("-", "_")
    name = ALIASES.get(name.replace("_", ""), name)
    return name if name in AUGMENTATIONS else None


def augmentations_of(names: Sequence[Any], shape: Sequence[int], epochs: int) -> list[Any]:
    """Return the augmentations of names, or of tables of a name and settings.

    ``epochs`` are those of the training: images grow over the first half of them.
    """
    side, made = min(shape[1:]), []
    for each in names:
        table = table_of(each)
        name = table.pop("name")
        if name == "progressive_resizing":
            table.setdefault("epochs", max(1, epochs // 2))
        made.append(augmentation_of(name, side, table))
    return made


def augmentation_of(name: str, side: int, settings: Mapping[str, Any]) -> Any:
    """Return the augmentation of a short name, with settings of its own."""
    own = {key: tuple(value) if isinstance(value, list) else value
           for key, value in settings.items()}  # fmt: skip
    return AUGMENTATIONS[name](side, **own)


def table_of(each: Any) -> dict[str, Any]:
    """Return an augmentation of a recipe as a table, a copy."""
    return dict(each) if isinstance(each, dict) else {"name": each}


def with_setting(names: Sequence[Any], name: str, setting: str, value: Any) -> list[Any]:
    """Return augmentations of a recipe, those of a name with a setting.

    Examples
    --------
    >>> with_setting(["flip", "crop"], "crop", "padding", 2)
    ['flip', {'name': 'crop', 'padding': 2}]
    """
    tables = map(table_of, names)
    return [table | {setting: value} if table["name"] == name else each
            for each, table in zip(names, tables, strict=True)]  # fmt: skip
