"""``deepfs predict``: name the classes of pictures."""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import plots
from .._arrays import Array
from .._command import printable, say
from .._pictures import read_image
from ..datasets import FASHION_MNIST_CLASSES
from ..datasets.folder import pictures_in
from ..plots._figure import need_matplotlib
from ._model_of import model_of
from ._sets import image_shape

MOST = 100  # images of a plot


def predict(options: argparse.Namespace, given: Sequence[str]) -> None:
    """Run ``deepfs predict``."""
    if options.plot is not None:
        check_plot(options.plot)
    model = model_of(options)
    shape = image_shape(model, options.model, "predict")
    shown: list[tuple[Array, str]] = []
    count = 0
    for name in files_of(options.images):
        images = read_image(name, *shape)
        images = 1 - images if options.invert else images
        for number, p in enumerate(probabilities(model, name, images)):
            title = printable(f"{name}[{number}]" if len(images) > 1 else name)
            if p.ndim != 1:
                raise ValueError(
                    f"{options.model} has outputs of shape {p.shape}, predict needs a probability "
                    "for each class"
                )
            if len(p) == 1:  # yes or no: the probability of yes
                p = np.array([1 - p[0], p[0]])
            best = p.argsort(kind="stable")[::-1][: options.top]
            told = [f"{class_name(model, options.model, k)} {p[k]:.2%}" for k in best]
            print(f"{title}: " + "  ".join(told))
            count += 1
            if options.plot is not None and len(shown) < MOST:
                shown.append((images[number], told[0]))
    if options.plot is not None:
        axes = plots.images(np.stack([image for image, _ in shown]),
                            titles=[told for _, told in shown], count=MOST)  # fmt: skip
        np.asarray(axes).flat[0].figure.savefig(options.plot)
        if count > MOST:
            say(f"deepfs predict: {options.plot} has the first {MOST} of {count:,} images")


def files_of(names: Sequence[str]) -> Iterator[str]:
    """Yield files, and the pictures of folders."""
    for name in names:
        if not Path(name).is_dir():
            yield name
            continue
        found = sorted(map(str, pictures_in(Path(name), Counter())))
        if not found:
            raise ValueError(f"{name} has no pictures")
        yield from found


def probabilities(model: Any, name: str, images: Array) -> Array:
    """Return the probabilities of images of a file; a warning names it, and the option to give."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found: Array = model.predict_proba(images)
    for each in caught:
        warnings.warn(f"{name}: {each.message}", stacklevel=2)
    return found


def class_name(model: Any, path: str, k: int) -> str:
    """Return the name of a class, or its number."""
    if model.class_names is not None and k < len(model.class_names):
        return printable(model.class_names[k])
    # files of deepfs 0.1 have no names
    clothes = Path(path).name.startswith("fashion_mnist") and k < len(FASHION_MNIST_CLASSES)
    return f"{k} ({FASHION_MNIST_CLASSES[k]})" if clothes else str(k)


def check_plot(name: str) -> None:
    """Raise an error if Matplotlib is not there, or cannot write such a file."""
    need_matplotlib("--plot")
    from matplotlib.figure import Figure

    path, kinds = Path(name), sorted(Figure().canvas.get_supported_filetypes())
    if path.suffix[1:].lower() not in kinds:
        raise ValueError(
            f"--plot must be a file with an ending such as .png, .pdf or .svg, got {name!r}"
        )
    if not path.resolve().parent.is_dir():
        raise FileNotFoundError(f"--plot must be a file in a folder that exists, got {name!r}")
