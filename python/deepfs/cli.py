"""The command line interface ``deepfs``: train, evaluate, predict, info, check-layer."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import check_layer, datasets, networks, optimizers
from ._arrays import Array
from ._command import INTERRUPTED, Parser, in_words, printable, streams
from ._load import load
from ._pictures import read_image
from ._version import __version__
from .config import set_num_threads, show_config
from .losses import CrossEntropy
from .model import Model
from .random import set_seed
from .saving import CheckpointError
from .saving.checkpoints import Checkpoints, paths_in

__all__ = ["main", "read_image"]

DATASETS = ("mnist_mini", "mnist", "fashion_mnist")
NETWORKS = (
    "mini_convnet", "simple_convnet", "deep_convnet", "mlp", "lenet5", "resnet20", "vgg_small",
)  # fmt: skip
OPTIMIZERS = {
    name.lower(): getattr(optimizers, name)
    for name in sorted(optimizers.__all__, key=str.lower)
    if name not in ("Arena", "Group", "Optimizer", "StepContext", "get", "zeros_like")
}
CLOTHES = [  # of Fashion-MNIST, Xiao, Rasul and Vollgraf 2017
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]  # fmt: skip
ERRORS = (
    CheckpointError, ImportError, OSError, ValueError, TypeError, RuntimeError, ArithmeticError,
    MemoryError,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns
    -------
    int
        0 if all went well; 2 after an error, which is one line; 130 after Ctrl-C.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    with streams(goes_on=given[:1] == ["train"]) as lost:
        parser = _parser()
        if not given:
            parser.print_help()
            return 0
        options = parser.parse(given)
        who = f"deepfs {options.command}"
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: _say(f"{who}: warning: {message}")
            try:
                status: int = options.run(options, given) or 0
            except BrokenPipeError:  # whoever read has seen enough
                return 0
            except ERRORS as error:
                _say(f"{who}: error: {in_words(error)}")
                return 2
            except KeyboardInterrupt as error:
                _say("; ".join([f"{who}: interrupted", *getattr(error, "__notes__", ())]))
                return INTERRUPTED
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()  # what is held back may not be written, either
        if lost:
            _say(f"{who}: error: what it printed is incomplete: {in_words(lost[0])}")
            return 2
        return status


def _say(line: Any) -> None:
    print(printable(" ".join(str(line).split())), file=sys.stderr)


def _parser() -> Parser:
    parser = Parser(
        "deepfs",
        description="Train and use convolutional networks on CPUs.",
        epilog="deepfs COMMAND --help lists the options of a command.",
    )
    parser.add_argument("--version", action="version", version=f"deepfs {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    train = command("train", _train, "Train a network and save it.")
    train.add_argument("dataset", nargs="?", default="mnist_mini", choices=DATASETS,
                       metavar="DATASET",
                       help=f"{', '.join(DATASETS)} (default: mnist_mini, which comes with "
                       "deepfs)")  # fmt: skip
    train.add_argument("--network", choices=NETWORKS, default=None, metavar="NAME",
                       help=f"{', '.join(NETWORKS)} (default: mini_convnet for mnist_mini, else "
                       "simple_convnet)")  # fmt: skip
    train.add_argument("--epochs", type=_count, default=10, metavar="N",
                       help="passes over the training images (default: 10)")  # fmt: skip
    train.add_argument("--batch-size", type=_count, default=None, metavar="N",
                       help="images per step (default: 50 for mnist_mini, else 100)")  # fmt: skip
    train.add_argument("--optimizer", choices=tuple(OPTIMIZERS), default="adam", metavar="NAME",
                       help=f"{', '.join(OPTIMIZERS)} (default: adam)")  # fmt: skip
    train.add_argument("--lr", type=_number, default=None, metavar="RATE",
                       help="learning rate (default: that of the optimizer)")  # fmt: skip
    train.add_argument("--threads", type=_count, default=None, metavar="N",
                       help="number of threads (default: all processors)")  # fmt: skip
    train.add_argument("--seed", type=_int, default=0, metavar="N",
                       help="seed of weights, shuffling and dropout (default: 0)")  # fmt: skip
    train.add_argument("--data", default=None, metavar="FOLDER",
                       help="folder with the data set (default: download it once)")  # fmt: skip
    train.add_argument("--out", default=".", metavar="FOLDER",
                       help="folder for the trained model (default: this one)")  # fmt: skip
    train.add_argument("--checkpoint", metavar="FOLDER", default=None,
                       help="folder for a checkpoint after each epoch and on Ctrl-C; if there is "
                       "one already, go on from it (default: one beside the model, removed in the "
                       "end)")  # fmt: skip
    train.add_argument("--resume", action="store_true",
                       help="go on with a training that was interrupted; give all other options "
                       "as before, only --epochs may change")  # fmt: skip

    evaluate = command("evaluate", _evaluate, "Measure a saved model on test images.")
    evaluate.add_argument("model", metavar="MODEL", help="file that train saved")
    evaluate.add_argument("dataset", choices=DATASETS, metavar="DATASET",
                          help=f"data set with the test images: {', '.join(DATASETS)}")  # fmt: skip
    evaluate.add_argument("--data", default=None, metavar="FOLDER",
                          help="folder with the data set (default: download it once)")  # fmt: skip
    evaluate.add_argument("--threads", type=_count, default=None, metavar="N",
                          help="number of threads (default: all processors)")  # fmt: skip

    predict = command("predict", _predict, "Predict the classes of images.")
    predict.epilog = (
        "Pictures are taken as a viewer shows them, resized to what the model takes. What is "
        "transparent is black. Colour profiles are not applied."
    )
    predict.add_argument("model", metavar="MODEL", help="file that train saved")
    predict.add_argument("images", nargs="+", metavar="IMAGE",
                         help="a picture (PNG, JPEG, TIFF, BMP, GIF, WebP, PPM) or an .npy file "
                         "with one image or several")  # fmt: skip
    predict.add_argument("--invert", action="store_true",
                         help="invert dark digits on a light background, since training images are "
                         "light on dark")  # fmt: skip
    command("info", _info, "Show versions, instruction set and threads.")
    check_layer.add_parser(commands)
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an int of at least 1, got {text!r}")
    return int(text)


def _int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be an int, got {text!r}") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None


def _data(name: str, folder: str | None) -> Any:
    if name == "mnist_mini":
        if folder is not None:
            raise ValueError(f"--data is for mnist and fashion_mnist, got it with {name}")
        return datasets.mnist_mini()
    return getattr(datasets, name)(root=folder)


def _info(options: argparse.Namespace, given: Sequence[str]) -> None:
    show_config()


def _train(options: argparse.Namespace, given: Sequence[str]) -> int:
    mini = options.dataset == "mnist_mini"
    network = options.network or ("mini_convnet" if mini else "simple_convnet")
    batch_size = options.batch_size or (50 if mini else 100)
    settings = {} if options.lr is None else {"lr": options.lr}
    optimizer = OPTIMIZERS[options.optimizer](**settings)
    out = Path(options.out)
    if not out.is_dir():
        raise FileNotFoundError(f"--out must be a folder that exists, got {options.out!r}")
    try:
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise OSError(f"--out must be a folder to write in, got {options.out!r}") from error
    path = out / f"{options.dataset}-{network}.safetensors"
    folder = _checkpoints(options, path)
    if options.threads:
        set_num_threads(options.threads)
    set_seed(options.seed)
    (x, y), (xt, yt) = _data(options.dataset, options.data)
    model = Model(getattr(networks, network)(), CrossEntropy(), optimizer)
    print(f"{network} on {options.dataset}: {len(x):,} training and {len(xt):,} test images\n")
    model.summary(x.shape[1:])
    print()
    started = time.monotonic()
    try:
        history = model.fit(
            x, y, batch_size, options.epochs, validation_data=(xt, yt),
            checkpoint=folder, resume=True,
        )  # fmt: skip
    except FloatingPointError as error:
        path = path.with_stem(f"{path.stem}-diverged")  # do not overwrite a good model
        model.save(path)
        _remove(options, folder)
        raise FloatingPointError(f"{error}; saved as {path}") from error
    except (KeyboardInterrupt, OSError, MemoryError) as error:
        if paths_in(folder):
            error.add_note(_how_to_go_on(given))
        raise
    if history.interrupted and not model.steps:
        raise KeyboardInterrupt
    if history.interrupted:
        model.save(path)
        _say(f"deepfs train: interrupted after {model.steps:,} steps, saved as {path}")
        _say(_how_to_go_on(given))  # a line of its own, to be copied
        return INTERRUPTED
    seconds = time.monotonic() - started
    model.save(path)
    _remove(options, folder)
    accuracy = model.evaluate(xt, yt)["accuracy"]
    print(f"\ntest accuracy {accuracy:.2%} after {seconds:.1f} s, saved as {printable(path)}\n")
    if _guesses(accuracy, yt):
        _say(
            f"deepfs train: warning: {accuracy:.2%} is no better than guessing: the network has "
            f"learned nothing; try another --lr than {optimizer.lr:g}, or more --epochs"
        )
    print(f"next:  deepfs evaluate {shlex.quote(printable(path))} {options.dataset}")
    print(f"       deepfs predict {shlex.quote(printable(path))} IMAGE.png")
    return 0


def _checkpoints(options: argparse.Namespace, path: Path) -> Path:
    """Return the folder for the checkpoints of a training, new or to be resumed."""
    folder = Path(options.checkpoint or path.with_suffix(".checkpoints"))
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"--checkpoint must be a folder, got {str(folder)!r}")
    found = folder.is_dir() and paths_in(folder)
    if options.resume and not found:
        raise FileNotFoundError(f"--resume: there is no interrupted training in {folder}")
    if found and not (options.resume or options.checkpoint):
        raise FileExistsError(
            f"{folder} has an interrupted training: add --resume to go on with it, or remove that "
            "folder to start anew"
        )
    return folder


def _remove(options: argparse.Namespace, folder: Path) -> None:
    """Remove the checkpoints of a training that is over, unless the user named their folder."""
    if options.checkpoint is None:
        Checkpoints(folder).remove()


def _how_to_go_on(given: Sequence[str]) -> str:
    command = ["deepfs", *given]
    if "--resume" not in command:
        command.append("--resume")
    return f"to go on: {shlex.join(command)}"


def _guesses(accuracy: float, labels: Array) -> bool:
    """Return whether an accuracy is that of naming the most frequent class, or by chance above."""
    chance = float(np.bincount(labels).max()) / len(labels)
    return bool(accuracy <= chance + 2 * np.sqrt(chance * (1 - chance) / len(labels)))


def _evaluate(options: argparse.Namespace, given: Sequence[str]) -> None:
    if options.threads:
        set_num_threads(options.threads)
    model = load(options.model)
    _, (x, y) = _data(options.dataset, options.data)
    started = time.monotonic()
    measured = model.evaluate(x, y)
    speed = len(x) / (time.monotonic() - started)
    print(f"{printable(options.model)} on {len(x):,} test images of {options.dataset}, "
          f"{speed:,.0f} images/s")  # fmt: skip
    for name, value in measured.items():
        print(f"{name:<9} {value:.2%}" if name == "accuracy" else f"{name:<9} {value:.4f}")


def _predict(options: argparse.Namespace, given: Sequence[str]) -> None:
    model = load(options.model)
    shape = model.network.in_shape or ()
    if len(shape) != 3:
        raise ValueError(f"{options.model} takes inputs of shape {shape}, predict needs images")
    for name in options.images:
        images = read_image(name, shape[0], shape[1], shape[2])
        for number, p in enumerate(model.predict_proba(1 - images if options.invert else images)):
            title = printable(f"{name}[{number}]" if len(images) > 1 else name)
            if p.ndim != 1:
                raise ValueError(
                    f"{options.model} has outputs of shape {p.shape}, predict needs a probability "
                    "for each class"
                )
            if len(p) == 1:  # yes or no: the probability of yes
                p = np.array([1 - p[0], p[0]])
            best = p.argsort()[::-1][:3]
            print(f"{title}: " + "  ".join(f"{_class(options.model, k)} {p[k]:.2%}" for k in best))


def _class(model: str, k: int) -> str:
    clothes = Path(model).name.startswith("fashion_mnist") and k < len(CLOTHES)
    return f"{k} ({CLOTHES[k]})" if clothes else str(k)
