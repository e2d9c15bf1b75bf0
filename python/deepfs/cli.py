"""The command line interface ``deepfs``: train, evaluate, predict, info."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import datasets, networks, optimizers
from ._load import load
from ._pictures import read_image
from .config import set_num_threads, show_config
from .losses import CrossEntropy
from .model import Model
from .random import set_seed
from .saving import CheckpointError

DATASETS = ("mnist_mini", "mnist", "fashion_mnist")
NETWORKS = (
    "mini_convnet", "simple_convnet", "deep_convnet", "mlp", "lenet5", "resnet20", "vgg_small",
)  # fmt: skip
OPTIMIZERS = {
    name.lower(): getattr(optimizers, name)
    for name in sorted(optimizers.__all__, key=str.lower)
    if name not in ("Arena", "Group", "Optimizer", "StepContext", "zeros_like")
}
CLOTHES = [  # of Fashion-MNIST, Xiao, Rasul and Vollgraf 2017
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or print one line with the error and return 2."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (CheckpointError, ImportError, OSError, ValueError, TypeError, RuntimeError,
            ArithmeticError, MemoryError) as error:  # fmt: skip
        print(f"deepfs {options.command}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("deepfs: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "deepfs", description="Train and use convolutional networks on CPUs."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    train = command("train", _train, "Train a network and save it.")
    train.add_argument("dataset", nargs="?", default="mnist_mini", choices=DATASETS,
                       help="data set (default: mnist_mini, which comes with deepfs)")  # fmt: skip
    train.add_argument("--network", choices=NETWORKS, default=None,
                       help="mini_convnet for mnist_mini, else simple_convnet")  # fmt: skip
    train.add_argument("--epochs", type=_count, default=10,
                       help="passes over the training images (default: 10)")  # fmt: skip
    train.add_argument("--batch-size", type=_count, default=None,
                       help="images per step (default: 50 for mnist_mini, else 100)")  # fmt: skip
    train.add_argument(
        "--optimizer",
        choices=tuple(OPTIMIZERS),
        default="adam",
        metavar="NAME",
        help=f"optimizer (default: adam): {', '.join(OPTIMIZERS)}",
    )
    train.add_argument("--lr", type=float, default=None,
                       help="learning rate (default: that of the optimizer)")  # fmt: skip
    train.add_argument("--threads", type=_count, default=None,
                       help="number of threads (default: all processors)")  # fmt: skip
    train.add_argument("--seed", type=int, default=0,
                       help="seed of weights, shuffling and dropout (default: 0)")  # fmt: skip
    train.add_argument("--data", default=None,
                       help="folder with the data set (default: download)")  # fmt: skip
    train.add_argument("--checkpoint", metavar="FOLDER", default=None,
                       help="write a checkpoint to this folder after each epoch; resume from the "
                       "last one, if there is one")  # fmt: skip
    train.add_argument("--out", default=".",
                       help="folder for the trained model (default: this one)")  # fmt: skip

    evaluate = command("evaluate", _evaluate, "Measure a saved model on test images.")
    evaluate.add_argument("model", help="file that train saved")
    evaluate.add_argument("dataset", choices=DATASETS, help="data set with the test images")
    evaluate.add_argument("--data", default=None,
                          help="folder with the data set (default: download)")  # fmt: skip
    evaluate.add_argument("--threads", type=_count, default=None,
                          help="number of threads (default: all processors)")  # fmt: skip

    predict = command("predict", _predict, "Predict the classes of images.")
    predict.add_argument("model", help="file that train saved")
    predict.add_argument("images", nargs="+", metavar="IMAGE", help="PNG, JPEG or .npy file")
    predict.add_argument("--invert", action="store_true",
                         help="invert dark digits on a light background, since training images are "
                         "light on dark")  # fmt: skip
    command("info", lambda options: show_config(), "Show versions, instruction set and threads.")
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an int of at least 1, got {text!r}")
    return int(text)


def _data(name: str, folder: str | None) -> Any:
    if name == "mnist_mini":
        if folder is not None:
            raise ValueError(f"--data is for mnist and fashion_mnist, got it with {name}")
        return datasets.mnist_mini()
    return getattr(datasets, name)(root=folder)


def _train(options: argparse.Namespace) -> None:
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
    if options.threads:
        set_num_threads(options.threads)
    set_seed(options.seed)
    (x, y), (xt, yt) = _data(options.dataset, options.data)
    model = Model(getattr(networks, network)(), CrossEntropy(), optimizer)
    print(f"{network} on {options.dataset}: {len(x):,} training and {len(xt):,} test images\n")
    model.summary(x.shape[1:])
    print()
    started = time.monotonic()
    path = out / f"{options.dataset}-{network}.safetensors"
    try:
        history = model.fit(
            x, y, batch_size, options.epochs, validation_data=(xt, yt),
            checkpoint=options.checkpoint, resume=options.checkpoint is not None,
        )  # fmt: skip
    except FloatingPointError as error:
        path = path.with_stem(f"{path.stem}-diverged")  # do not overwrite a good model
        model.save(path)
        raise FloatingPointError(f"{error}; saved as {path}") from error
    seconds = time.monotonic() - started
    if history.interrupted:
        print(f"\ninterrupted after {model.steps} steps")
    model.save(path)
    accuracy = model.evaluate(xt, yt)["accuracy"]
    print(f"\ntest accuracy {accuracy:.2%} after {seconds:.1f} s, saved as {path}\n")
    print(f"next:  deepfs evaluate {path} {options.dataset}")
    print(f"       deepfs predict {path} IMAGE.png")


def _evaluate(options: argparse.Namespace) -> None:
    if options.threads:
        set_num_threads(options.threads)
    model = load(options.model)
    _, (x, y) = _data(options.dataset, options.data)
    started = time.monotonic()
    measured = model.evaluate(x, y)
    speed = len(x) / (time.monotonic() - started)
    print(f"{options.model} on {len(x):,} test images of {options.dataset}, {speed:,.0f} images/s")
    for name, value in measured.items():
        print(f"{name:<9} {value:.2%}" if name == "accuracy" else f"{name:<9} {value:.4f}")


def _predict(options: argparse.Namespace) -> None:
    model = load(options.model)
    shape = model.network.in_shape or ()
    if len(shape) != 3:
        raise ValueError(f"{options.model} takes inputs of shape {shape}, predict needs images")
    for name in options.images:
        images = read_image(name, shape[0], shape[1], shape[2])
        for number, p in enumerate(model.predict_proba(1 - images if options.invert else images)):
            title = f"{name}[{number}]" if len(images) > 1 else name
            best = p.argsort()[::-1][:3]
            print(f"{title}: " + "  ".join(f"{_class(options.model, k)} {p[k]:.2%}" for k in best))


def _class(model: str, k: int) -> str:
    clothes = Path(model).name.startswith("fashion_mnist") and k < len(CLOTHES)
    return f"{k} ({CLOTHES[k]})" if clothes else str(k)
