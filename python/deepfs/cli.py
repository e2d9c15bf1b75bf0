"""The command line interface ``deepfs``: train, search, evaluate, predict, plan and others."""

from __future__ import annotations

import argparse
import contextlib
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from . import networks
from ._command import INTERRUPTED, Parser, in_options, in_words, say, streams
from ._pictures import read_image
from ._version import __version__
from .commands import _values as values
from .commands import bench_layer, book, check_layer, export, lab, new_layer, search
from .commands._augment import AUGMENTATIONS
from .commands._by_recipe import RECIPES
from .commands._model_of import add_model
from .commands._recipe import COLORS, NETWORKS, NO_CLASSIFIERS, OPTIMIZERS, PREPROCESS, SCHEDULES
from .commands._sets import DATASETS, images_name
from .commands.diagnose import diagnose
from .commands.evaluate import evaluate
from .commands.plan import plan
from .commands.predict import predict
from .commands.train import train
from .config import show_config
from .distributed.launch import told_by_another
from .saving import CheckpointError

__all__ = ["main", "read_image"]

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
    with streams(goes_on=given[:1] in (["train"], ["search"])) as lost:
        parser = _parser()
        if not given:
            parser.print_help()
            return 0
        options = parser.parse(given)
        who = f"deepfs {options.command}"
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: say(
                f"{who}: warning: {in_options(str(message))}"
            )
            try:
                status: int = options.run(options, given) or 0
            except BrokenPipeError:  # whoever read has seen enough
                return 0
            except ERRORS as error:
                if told_by_another(error):
                    return 2
                say(f"{who}: error: {in_words(error)}")
                return 2
            except KeyboardInterrupt as error:
                say("; ".join([f"{who}: interrupted", *getattr(error, "__notes__", ())]))
                return INTERRUPTED
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()  # what is held back may not be written, either
        if lost:
            say(f"{who}: error: what it printed is incomplete: {in_words(lost[0])}")
            return 2
        return status


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

    _add_train(command("train", train, "Train a network and save it."))

    sub = command("evaluate", evaluate, "Measure a saved model on test images.")
    add_model(sub, "file that train saved")
    _add_images(sub, "test images: their folder, with a subfolder for each class, or ")
    sub.add_argument("--report", action="store_true",
                     help="precision, recall and F1 score of each class, calibration")  # fmt: skip
    _add_data(sub)
    _add_threads(sub)

    sub = command("predict", predict, "Predict the classes of images.")
    sub.epilog = (
        "A line per image: its path, the class, the probability. Pictures are taken as a viewer "
        "shows them, resized to what the model takes. What is transparent is black. Colour "
        "profiles are not applied."
    )
    add_model(sub, "file that train saved")
    sub.add_argument("images", nargs="+", metavar="IMAGE",
                     help="a picture (PNG, JPEG, TIFF, BMP, GIF, WebP, PPM), a folder of pictures, "
                     "or an .npy file with one image or several")  # fmt: skip
    sub.add_argument("--top", type=values.count, default=1, metavar="N",
                     help="classes to print, the most probable first (default: 1)")  # fmt: skip
    sub.add_argument("--plot", default=None, metavar="FILE.png",
                     help="draw the images with their classes (needs Matplotlib)")  # fmt: skip
    sub.add_argument("--invert", action="store_true",
                     help="invert dark digits on a light background, since training images are "
                     "light on dark")  # fmt: skip

    sub = command("plan", plan, "Predict memory and time of a training.")
    add_model(sub, f"file that train saved, or {', '.join(networks.__all__)}", "MODEL_OR_NETWORK")
    sub.add_argument("--batch-size", type=values.count, default=100, metavar="N",
                     help="images per step (default: 100)")  # fmt: skip
    sub.add_argument("--samples", type=values.count, default=None, metavar="N",
                     help="images of an epoch, for its time (default: none)")  # fmt: skip
    sub.add_argument("--input", type=values.shape, default=None, metavar="C,H,W",
                     help="shape of an image (default: the model's, or 1,28,28)")  # fmt: skip
    _add_threads(sub)

    sub = command("diagnose", diagnose, "Find out why a saved model does not learn.")
    sub.epilog = "The exit status is 1 if there are findings."
    add_model(sub, "file that train saved, or a checkpoint")
    _add_images(sub, "training images: their folder, with a subfolder for each class, or ")
    _add_data(sub)
    sub.add_argument("--batch-size", type=values.count, default=32, metavar="N",
                     help="images per step of the trial (default: 32)")  # fmt: skip
    _add_threads(sub)
    export.add_parser(commands)
    command("info", _info, "Show versions, instruction set and threads.")
    book.add_parser(commands)
    new_layer.add_parser(commands)
    bench_layer.add_parser(commands)
    check_layer.add_parser(commands)
    lab.add_parser(commands)
    search.add_parser(commands)
    return parser


def _add_images(parser: Any, text: str, **settings: Any) -> None:
    """Add the argument that names a data set or a folder."""
    parser.add_argument("dataset", type=images_name, metavar="DATASET_OR_FOLDER",
                        help=f"{text}{', '.join(DATASETS)}", **settings)  # fmt: skip


def _add_data(parser: Any) -> None:
    parser.add_argument("--data", type=values.text, default=None, metavar="FOLDER",
                        help="folder with the files of a data set (default: download them once)",
                        )  # fmt: skip


def _add_threads(parser: Any) -> None:
    parser.add_argument("--threads", type=values.count, default=None, metavar="N",
                        help="number of threads (default: all processors)")  # fmt: skip


def _add_train(train: argparse.ArgumentParser) -> None:
    train.epilog = (
        "Names of --augment take settings in a file, as do those of --optimizer and --schedule: "
        "see docs/command_line.md."
    )
    options = _Group(train, "images")
    _add_images(
        options.group, "folder of pictures with a subfolder for each class, or ", nargs="?",
        default=None,
    )  # fmt: skip
    _add_data(options.group)
    options.add("--image-size", values.size, "N|HxW",
                "resize pictures of a folder to so many pixels (default: they are all of one "
                "size)")  # fmt: skip
    options.add("--color-mode", None, "MODE",
                "rgb or grayscale (default: as the pictures are)", COLORS)  # fmt: skip
    options.add("--preprocess", None, "NAME",
                f"{', '.join(PREPROCESS)}: by channel, of training images (default: standardize "
                "for folders and CIFAR, none for MNIST)", PREPROCESS)  # fmt: skip
    options.add("--augment", values.augmentations, "NAME,...",
                f"random changes of training images: {', '.join(AUGMENTATIONS)}")  # fmt: skip
    options.add("--validation-split", values.share, "SHARE",
                "share of the training images to validate on (default: 0.2 of a folder that is "
                "not divided; 0.1 of a data set with --early-stopping or --best; else test images "
                "are validated on)")  # fmt: skip

    options = _Group(train, "network and steps")
    options.add("--target", values.number, "ACCURACY",
                f"for {', '.join(RECIPES)} without --network: the least recipe that reaches it, "
                "such as 0.99; what is not given is the recipe's (default: the quickest)",
                )  # fmt: skip
    options.add("--network", values.one_of(NETWORKS, NO_CLASSIFIERS), "NAME",
                f"{', '.join(NETWORKS)} (default: that of a recipe, or by the images)",
                )  # fmt: skip
    options.add("--epochs", values.count, "N",
                "passes over the training images (default: the recipe's, or 10)")  # fmt: skip
    options.add("--batch-size", values.count, "N",
                "images per step (default: the recipe's; 50 for mnist_mini, 32 for a folder, else "
                "100)")  # fmt: skip
    options.add("--optimizer", None, "NAME",
                f"{', '.join(OPTIMIZERS)} (default: the recipe's, or adam)",
                tuple(OPTIMIZERS))  # fmt: skip
    options.add("--lr", values.number, "RATE", "learning rate (default: that of the optimizer)")
    options.add("--weight-decay", values.number, "RATE",
                "weight decay (default: that of the optimizer)")  # fmt: skip
    options.add("--schedule", None, "NAME",
                f"how the learning rate changes: {', '.join(SCHEDULES)} (default: constant)",
                tuple(SCHEDULES))  # fmt: skip
    options.add("--early-stopping", values.count, "PATIENCE",
                "stop after so many epochs in which val_loss has not improved; keep the best "
                "weights")  # fmt: skip
    options.add("--seed", values.whole, "N",
                "seed of weights, shuffling, dropout and augmentation (default: 0)")  # fmt: skip
    _add_threads(options.group)
    options.add("--shards", values.count, "N",
                "parts of each batch, shared by the processes of mpiexec (default: their number)",
                )  # fmt: skip

    options = _Group(train, "files")
    options.add("--out", values.text, "FOLDER|FILE",
                "folder for the trained model, or its file, .safetensors (default: this folder)",
                )  # fmt: skip
    options.add("--best", values.file_of(".safetensors"), "FILE",
                "also save the model of the epoch with the least val_loss")  # fmt: skip
    options.add("--log", values.file_of(".csv"), "FILE.csv", "write the numbers of each epoch")
    options.add("--checkpoint", values.text, "FOLDER",
                "folder for a checkpoint after each epoch and on Ctrl-C; if there is one already, "
                "go on from it (default: one beside the model, removed in the end)")  # fmt: skip
    options.group.add_argument("--resume", action="store_true",
                               help="go on with a training that was interrupted; give all other "
                               "options as before, only --epochs may change")  # fmt: skip
    options.add("--config", values.text, "FILE.toml",
                "take settings from a file; options have precedence")  # fmt: skip
    options.group.add_argument("--set", action="append", metavar="KEY=VALUE",
                               help="a setting as in the file, such as optimizer.lr=0.01 or "
                               "schedule.name=cosine; may be repeated")  # fmt: skip
    options.group.add_argument("--dump-config", action="store_true",
                               help="print what holds as such a file, and do not train",
                               )  # fmt: skip


class _Group:
    """A group of options of one argument, which are None where they are not given."""

    def __init__(self, parser: argparse.ArgumentParser, title: str) -> None:
        self.group = parser.add_argument_group(title)

    def add(
        self,
        name: str,
        kind: Callable[[Any], Any] | None,
        metavar: str,
        text: str,
        choices: Sequence[str] | None = None,
    ) -> None:
        self.group.add_argument(name, type=kind or str, default=None, metavar=metavar, help=text,
                                choices=choices)  # fmt: skip


def _info(options: argparse.Namespace, given: Sequence[str]) -> None:
    show_config()
