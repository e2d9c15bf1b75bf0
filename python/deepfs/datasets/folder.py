"""ImageFolder: the pictures of a folder that has a subfolder for each class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .._arrays import Array
from .._check import flag, one_of, pair, whole
from .._pictures import need_pillow, of_channels, picture_shape, read_bytes, resized
from .._settings import ExplainedSettings
from .._warn import warn

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm",
    ".pgm", ".pbm", ".pnm",
)  # fmt: skip
LITTER = ("thumbs.db", "desktop.ini")  # of file managers, beside hidden files
CHANNELS = {"grayscale": 1, "rgb": 3}


@dataclass(repr=False)
class ImageFolder(ExplainedSettings):
    """The pictures of a folder with a subfolder for each class, read one by one.

    It is a sequence of samples ``(image, label)``, which `deepfs.data.Loader` and `Model.fit` take.
    The name is torchvision's, the arguments are those of Keras's ``image_dataset_from_directory``.

    Parameters
    ----------
    directory : str or path-like
        The folder. The names of its subfolders, sorted, are the classes; what lies in a subfolder,
        however deep, is of its class. Hidden files and folders are left out.
    image_size : int or (int, int), optional
        Height and width to which pictures are resized. By default they are taken as they are, and
        must all be of one size.
    color_mode : {"rgb", "grayscale"}, optional
        By default that of the files, which must be the same for all.
    interpolation : {"bicubic", "bilinear", "nearest", "lanczos", "box", "hamming"}
        How pictures are resized; Pillow's filters, which average where they shrink. "bicubic" is
        what ``deepfs predict`` does.
    crop_to_aspect_ratio : bool
        Cut the middle of the shape of ``image_size`` out of a picture, so that resizing distorts
        nothing.
    pad_to_aspect_ratio : bool
        Add black at two sides of a picture instead.
    labels : {"inferred", None}
        None: a folder of pictures without labels, to predict.
    class_names : sequence of str, optional
        The classes in their order; by default the sorted subfolders. Give a validation set those of
        the training set: classes that it lacks keep their numbers.
    cache : bool
        Keep images in memory once they are read, ``n * c * h * w`` bytes, so that only the first
        epoch decodes them. The name is that of Keras's ``Dataset.cache``.

    Attributes
    ----------
    paths : list of Path
        The files, sorted by class and name: sample ``i`` is ``paths[i]``.
    targets : array (n,) of int64
        The labels.
    class_names : tuple of str
    image_shape : (c, h, w)

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder.
    ValueError
        If it has no class, or a class no picture; if pictures differ in size or mode and
        ``image_size`` or ``color_mode`` is not given. The file is named.
    ImportError
        If Pillow is not installed.

    Notes
    -----
    Images are uint8, ``(c, h, w)``; more than 8 bits are rounded to 8. What a viewer shows is
    taken: orientation, palettes and transparency as in ``deepfs predict``.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, grey in ("dark", 10), ("light", 200):
    ...         Path(folder, name).mkdir()
    ...         Image.new("L", (8, 6), grey).save(f"{folder}/{name}/a.png")
    ...     pictures = ImageFolder(folder)
    ...     image, label = pictures[1]
    >>> pictures.class_names, image.shape, image.max(), label
    (('dark', 'light'), (1, 6, 8), np.uint8(200), 1)
    """

    directory: Any
    image_size: Any = None
    color_mode: str | None = None
    interpolation: str = field(default="bicubic", kw_only=True)
    crop_to_aspect_ratio: bool = field(default=False, kw_only=True)
    pad_to_aspect_ratio: bool = field(default=False, kw_only=True)
    labels: str | None = field(default="inferred", kw_only=True)
    class_names: Sequence[str] | None = field(default=None, kw_only=True)
    cache: bool = field(default=False, kw_only=True)
    paths: list[Path] = field(init=False)
    targets: Array = field(init=False)
    image_shape: tuple[int, int, int] = field(init=False)

    _instead: ClassVar = {
        "classes": "it is called 'class_names' here",
        "samples": "zip(paths, targets) are the samples",
        "imgs": "zip(paths, targets) are the samples",
        "transform": "give augment= and preprocess= to deepfs.data.Loader",
        "batch_size": "it is an argument of deepfs.data.Loader",
        "shuffle": "it is an argument of deepfs.data.Loader",
        "validation_split": "it is an argument of Model.fit",
    }

    def __post_init__(self) -> None:
        self.directory = Path(self.directory)
        if self.image_size is not None:
            self.image_size = pair(self.image_size, "image_size")
        self.color_mode = one_of(self.color_mode, "color_mode", (None, *CHANNELS))
        filters = ("bicubic", "bilinear", "nearest", "lanczos", "box", "hamming")
        self.interpolation = one_of(self.interpolation, "interpolation", filters)
        self.crop_to_aspect_ratio = flag(self.crop_to_aspect_ratio, "crop_to_aspect_ratio")
        self.pad_to_aspect_ratio = flag(self.pad_to_aspect_ratio, "pad_to_aspect_ratio")
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise ValueError("crop_to_aspect_ratio and pad_to_aspect_ratio exclude each other")
        self.cache = flag(self.cache, "cache")
        self.labels = one_of(self.labels, "labels", ("inferred", None))
        need_pillow(self.directory)
        self.paths, self.targets = [], np.zeros(0, np.int64)
        self._find(None if self.class_names is None else checked_names(self.class_names))
        self.image_shape = self._shape()
        self.kept = Kept(self)  # of these settings: others make another one

    def _find(self, names: tuple[str, ...] | None) -> None:
        """Set paths, targets and class names."""
        if not self.directory.exists():
            raise FileNotFoundError(f"{self.directory}: no such folder")
        if not self.directory.is_dir():
            raise NotADirectoryError(f"{self.directory} must be a folder of pictures, got a file")
        strange: Counter[str] = Counter()
        if self.labels is None:
            self.paths, self.class_names = list(pictures_in(self.directory, strange)), None
            if not self.paths:
                raise ValueError(f"{self.directory} has no pictures{listed(strange)}")
        else:
            folders = {each.name: each for each in self.directory.iterdir()
                       if each.is_dir() and not is_hidden(each.name)}  # fmt: skip
            self.class_names = self._named(folders, names)
            labels = []
            for label, name in enumerate(self.class_names):
                own: Counter[str] = Counter()
                found = list(pictures_in(folders[name], own)) if name in folders else []
                if name in folders and not found:
                    raise ValueError(
                        f"the class folder {folders[name]} has no pictures{listed(own)}: fill or "
                        "remove it"
                    )
                self.paths += found
                labels += [label] * len(found)
                strange += own
            self.targets = np.array(labels, np.int64)
            if names is None:
                warn_of_parts(list(folders.values()))
        if strange:
            warn(f"{self.directory}: files that are no pictures are left out{listed(strange)}")

    def _named(self, folders: dict[str, Path], names: tuple[str, ...] | None) -> tuple[str, ...]:
        if not folders:
            loose = sum(1 for _ in pictures_in(self.directory, Counter()))
            raise ValueError(
                f"{self.directory} must have a subfolder for each class, got none"
                + (f" and {loose} pictures: labels=None takes them without labels" if loose else "")
            )
        if names is None:
            return tuple(sorted(folders))
        for folder in sorted(folders):
            if folder not in names:
                raise ValueError(f"class_names must name each subfolder, {folder!r} is missing")
        return names

    def _shape(self) -> tuple[int, int, int]:
        """Return the shape of an image; compare the files where no setting decides."""
        c = None if self.color_mode is None else CHANNELS[self.color_mode]
        if self.image_size is not None and c is not None:
            return (c, *self.image_size)
        first: tuple[int, int, int] | None = None
        for path in self.paths:
            shape = picture_shape(path)
            first = first or shape
            if c is None and shape[0] != first[0]:
                kinds = {1: "grey", 3: "in colours"}
                raise ValueError(
                    f"{path} is {kinds[shape[0]]}, the first picture, {self.paths[0]}, is "
                    f'{kinds[first[0]]}: give color_mode="rgb" or "grayscale"'
                )
            if self.image_size is None and shape[1:] != first[1:]:
                raise ValueError(
                    f"{path} has {shape[1]} x {shape[2]} pixels (height x width), the first "
                    f"picture, {self.paths[0]}, {first[1]} x {first[2]}: give image_size="
                )
        assert first is not None
        return (c or first[0], *(self.image_size or first[1:]))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> tuple[Array, int]:
        """Return an image, uint8 ``(c, h, w)``, and its label; -1 without labels."""
        at = whole(number, "the number of a sample", -len(self), len(self) - 1)
        return self.image(at), int(self.targets[at]) if len(self.targets) else -1

    def __iter__(self) -> Iterator[tuple[Array, int]]:
        return (self[number] for number in range(len(self)))

    def image(self, number: int) -> Array:
        """Return one image, uint8 ``(c, h, w)``."""
        path, (c, h, w) = self.paths[number], self.image_shape
        try:
            pixels = read_bytes(path)
        except FileNotFoundError as error:
            error.add_note(f"it was in {self.directory} when that was listed: put it back")
            raise
        if self.color_mode is None and pixels.shape[2] != c:
            raise ValueError(f"{path} has another mode than before: it was exchanged")
        if self.image_size is None and pixels.shape[:2] != (h, w):
            raise ValueError(f"{path} has another size than before: it was exchanged")
        if pixels.shape == (h, w, c):
            return pixels.transpose(2, 0, 1)
        colours = of_channels(pixels.astype(np.float32) / 255, c)
        if self.crop_to_aspect_ratio:
            colours = cropped(colours, h, w)
        elif self.pad_to_aspect_ratio:
            colours = padded(colours, h, w)
        if colours.shape[:2] != (h, w):
            colours = resized(colours, h, w, self.interpolation)
        return np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8).transpose(2, 0, 1)

    def read(self, numbers: Array) -> Array:
        """Return several images, uint8 ``(n, c, h, w)``."""
        if self.cache:
            return self.kept.read(numbers, self.image)
        images = np.empty((len(numbers), *self.image_shape), np.uint8)
        for image, number in zip(images, numbers, strict=True):
            image[...] = self.image(int(number))
        return images


class Kept:
    """The images of a folder that were read before."""

    def __init__(self, folder: ImageFolder) -> None:
        self.shape = (len(folder), *folder.image_shape)
        self.images: Array = np.empty((0, *folder.image_shape), np.uint8)
        self.there = np.zeros(len(folder), bool)

    @property
    def complete(self) -> bool:
        """Whether all are there."""
        return bool(self.there.all())

    def read(self, numbers: Array, image: Callable[[int], Array]) -> Array:
        """Return images; read those that are not there."""
        if not len(self.images):
            self.images = np.empty(self.shape, np.uint8)
        for number in numbers[~self.there[numbers]].tolist():
            self.images[number] = image(number)
            self.there[number] = True
        return self.images[numbers]


def checked_names(names: Any, name: str = "class_names") -> tuple[str, ...]:
    """Return class names, text and all different, as a tuple."""
    if isinstance(names, str) or not isinstance(names, (Sequence, np.ndarray)):
        raise TypeError(f"{name} must be a sequence of str, got {names!r:.60}")
    found = tuple(names)
    for each in found:
        if not isinstance(each, str):
            raise TypeError(f"{name} must be a sequence of str, got {each!r:.60} in it")
    for each, times in Counter(found).items():
        if times > 1:
            raise ValueError(f"{name} must differ, got {each!r} {times} times")
    if not found:
        raise ValueError(f"{name} must name at least 1 class, got none")
    return tuple(str(each) for each in found)


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is none of the user's pictures."""
    return name[0] == "." or name.lower() in LITTER or name == "__MACOSX"


def pictures_in(folder: Path, strange: Counter[str]) -> Iterator[Path]:
    """Yield the pictures below a folder, sorted; count other files by their suffix."""
    for where, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if not is_hidden(name))
        for name in sorted(files):
            if is_hidden(name):
                continue
            path = Path(where, name)
            if path.suffix.lower() in SUFFIXES:
                yield path
            else:
                strange[path.suffix.lower() or name] += 1


def warn_of_parts(folders: list[Path]) -> None:
    """Warn if the subfolders look like ``train`` and ``test``: all have the same subfolders."""
    below = [{each.name for each in folder.iterdir() if each.is_dir()} for folder in folders]
    if len(folders) > 1 and len(below[0]) > 1 and all(names == below[0] for names in below):
        parts = " and ".join(sorted(map(str, folders))[:3])
        warn(
            f"the class folders of {folders[0].parent} all have the subfolders "
            f"{', '.join(sorted(below[0])[:5])}: if these are the classes, read {parts} instead"
        )


def listed(strange: Counter[str]) -> str:
    """Return the end of a message that names suffixes of files that are no pictures."""
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(strange.items())[:8])
    return f" ({kinds})" if kinds else ""


def cropped(colours: Array, h: int, w: int) -> Array:
    """Return the largest middle part of a picture that has the aspect ratio of h to w."""
    high, wide = colours.shape[:2]
    new_high = max(1, min(high, round(wide * h / w)))
    new_wide = max(1, min(wide, round(high * w / h)))
    top, left = (high - new_high) // 2, (wide - new_wide) // 2
    return colours[top : top + new_high, left : left + new_wide]


def padded(colours: Array, h: int, w: int) -> Array:
    """Return a picture with black at two sides, so that it has the aspect ratio of h to w."""
    high, wide = colours.shape[:2]
    more_high = max(high, round(wide * h / w)) - high
    more_wide = max(wide, round(high * w / h)) - wide
    sides = [(more // 2, more - more // 2) for more in (more_high, more_wide)]
    return np.pad(colours, [*sides, (0, 0)])


def from_directory(
    directory: str | os.PathLike[str],
    image_size: int | tuple[int, int] | None = None,
    color_mode: str | None = None,
    **settings: Any,
) -> ImageFolder:
    """Return the pictures of a folder with a subfolder for each class.

    Keras's ``image_dataset_from_directory``, without batches: give it to `deepfs.data.Loader` for
    batches and augmentation, or to `Model.fit` as it is.

    Parameters
    ----------
    directory, image_size, color_mode, **settings
        As of `ImageFolder`.

    Returns
    -------
    ImageFolder

    Raises
    ------
    OSError, ValueError
        As `ImageFolder` does.

    Examples
    --------
    >>> from deepfs.datasets import from_directory
    >>> pictures = from_directory("pictures", image_size=(64, 64))  # doctest: +SKIP
    """
    return ImageFolder(directory, image_size, color_mode, **settings)
