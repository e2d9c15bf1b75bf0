"""Run the scripts of Deep Learning from Scratch through `deepfs book`, and time its steps.

    git clone https://github.com/oreilly-japan/deep-learning-from-scratch
    python benchmarks/book.py deep-learning-from-scratch            # scripts and steps
    python benchmarks/book.py deep-learning-from-scratch --scripts  # or one of them
    python benchmarks/book.py deep-learning-from-scratch --steps

The scripts run unmodified, in a copy beside the files of `deepfs book`; those that train for hours
in the book are stopped after `--stop` steps, 0 for never. Steps are timed in turns, each library in
a process of its own: the networks are the book's classes, over the book's ``common/`` and over
deepfs's. MNIST is taken as `deepfs.datasets.mnist` does; set DEEPFS_DATA. Needs Matplotlib, Pillow.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deepfs.commands.book import book

MODULES = {"two_layer_net", "layer_naive", "simple_convnet", "deep_convnet", "awesome_net"}
LONG = {"train_convnet", "train_deepnet"}
LINES = {"optimizer_compare_mnist": 4, "weight_init_compare": 3, "gradient_check": 6,
         "batch_norm_gradient_check": 10, "half_float_network": 4, "gradient_simplenet": 2,
         "buy_apple": 4, "buy_apple_orange": 6}  # fmt: skip
FOUND = {
    "overfit_dropout": r"^=== epoch:301",
    "batch_norm_test": r"^epoch:19 \| (.*)$",
    "hyperparameter_optimization": r"^Best-[1-5]\((.*)\)",
    "misclassified_mnist": r"^test accuracy:.*",
}
WORKER = """
import sys, time
sys.path[:0] = [{root!r}, {root!r} + "/ch05", {root!r} + "/ch07", {root!r} + "/ch08"]
import numpy as np
from common.optimizer import SGD, Adam
from two_layer_net import TwoLayerNet
from simple_convnet import SimpleConvNet
from deep_convnet import DeepConvNet
np.random.seed(0)
x = np.random.rand(100, 1, 28, 28).astype(np.float32)
t = np.random.randint(0, 10, 100)
kinds = dict(
    DeepConvNet=(DeepConvNet(), Adam(), x), SimpleConvNet=(SimpleConvNet(), Adam(), x),
    TwoLayerNet=(TwoLayerNet(784, 50, 10), SGD(0.1), x.reshape(100, 784)),
    gradient_check=(TwoLayerNet(784, 50, 10), None, x.reshape(100, 784)[:3]),
)
for line in sys.stdin:
    name, count = line.split()
    network, optimizer, images = kinds[name]
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(int(count)):
        if name == "gradient_check":
            network.numerical_gradient(images, np.eye(10)[t[:3]])
        else:
            optimizer.update(network.params, network.gradient(images, t))
    seconds = time.perf_counter() - wall, time.process_time() - cpu
    print(*(1000 * each / int(count) for each in seconds), flush=True)
"""


def chapters(checkout, folder):
    """Copy the chapters of the book, and what its scripts read besides."""
    for path in sorted(checkout.glob("ch0[3-8]")):
        shutil.copytree(path, folder / path.name)
    (folder / "dataset").mkdir()
    for picture in (checkout / "dataset").glob("*.png"):
        shutil.copy(picture, folder / "dataset")


def run_scripts(checkout, dtype, stop, only):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chapters(checkout, folder)
        book(folder, dtype)
        print(f"{'script':38} {'seconds':>8}  outcome ({dtype})")
        failed = 0
        for path in sorted(folder.glob("ch0*/*.py")):
            if path.stem in MODULES or (only and only not in path.as_posix()):
                continue
            limit = {"DEEPFS_BOOK_STEPS": str(stop)} if stop and path.stem in LONG else {}
            # `show` of Pillow shall not start a viewer
            quiet = {"MPLBACKEND": "Agg", "PYTHONWARNINGS": "ignore", "DISPLAY": ""}
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, path.name], cwd=path.parent, env=os.environ | quiet | limit,
                capture_output=True, text=True, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            seconds = time.perf_counter() - began
            failed += done.returncode != 0
            lines = outcome(path.stem, done.stdout if not done.returncode else done.stderr)
            print(f"{path.relative_to(folder).as_posix():38} {seconds:8.1f}  {lines[0]}")
            for line in lines[1:]:
                print(f"{'':49}{line}", flush=True)
        print(f"{failed} scripts failed")
        return failed


def outcome(stem, text):
    """Return the lines that say what a script found."""
    lines = [line for line in text.splitlines() if line.strip()]
    if stem in FOUND:
        lines = [line for line in lines if re.search(FOUND[stem], line)] or lines[-1:]
        return lines
    return lines[-LINES.get(stem, 1) :] or ["drawn"]


def time_steps(checkout, rounds):
    """Print the least time of a step of 100 images, and how many times faster deepfs is."""
    counts = {
        "DeepConvNet": (1, 4),
        "SimpleConvNet": (2, 8),
        "TwoLayerNet": (100, 300),
        "gradient_check": (1, 1),
    }  # ch05: 79,520 losses of three images
    with tempfile.TemporaryDirectory() as name:
        workers = {"the book, float64": start(checkout)}
        for dtype in ("float64", "float32"):
            folder = Path(name, dtype)
            folder.mkdir()
            chapters(checkout, folder)
            book(folder, dtype)
            workers[f"deepfs.book, {dtype}"] = start(folder)
        print(f"{'step of 100 images':16} {'':22} {'ms':>9} {'CPU ms':>9}  speed")
        for network, (slow, fast) in counts.items():
            least = {}
            for turn in range(rounds + 1):
                for kind, worker in workers.items():
                    time.sleep(0.3)  # until the threads of NumPy's OpenBLAS have stopped to spin
                    count = slow if kind.startswith("the") else fast
                    print(network, count, file=worker.stdin, flush=True)
                    took = tuple(map(float, worker.stdout.readline().split()))
                    if turn:  # the first warms up
                        least[kind] = tuple(map(min, zip(took, least.get(kind, took), strict=True)))
            base = least["the book, float64"]
            for kind, took in least.items():
                ratios = f"{base[0] / took[0]:.1f} (CPU: {base[1] / took[1]:.1f})"
                print(f"{network:16} {kind:22} {took[0]:9.2f} {took[1]:9.2f}  {ratios}", flush=True)
        for worker in workers.values():
            worker.stdin.close()
            worker.wait()


def start(root):
    code = WORKER.format(root=str(root))
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkout", type=Path, help="folder with the book's repository")
    parser.add_argument("--scripts", action="store_true", help="only run the scripts")
    parser.add_argument("--steps", action="store_true", help="only time steps")
    parser.add_argument("--dtype", default="float64", choices=("float64", "float32"))
    parser.add_argument("--stop", type=int, default=300, metavar="N",
                        help="steps after which ch07 and ch08 stop training; 0: never")  # fmt: skip
    parser.add_argument("--only", default="", metavar="PART", help="scripts whose path has this")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    failed = 0
    if not options.steps:
        failed = run_scripts(options.checkout, options.dtype, options.stop, options.only)
    if not options.scripts:
        time_steps(options.checkout, options.rounds)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
