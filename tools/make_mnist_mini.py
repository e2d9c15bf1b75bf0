"""Make the bundled subset of MNIST from a folder that holds the four original files.

Usage: ``python tools/make_mnist_mini.py FOLDER [OUT]``. The same input makes the same bytes. Needs
zopfli (``pip install zopfli``), whose gzip files are 6 % smaller: a third of the wheel is digits.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np
import zopfli.gzip
from numpy.typing import NDArray

from deepfs.datasets import mnist, write_idx

OUT = Path(__file__).parents[1] / "python" / "deepfs" / "datasets" / "data"
PER_CLASS = {"train": 500, "t10k": 100}


def select(labels: NDArray[np.int64], per_class: int) -> NDArray[np.intp]:
    """Choose as many of each class, evenly over the whole file, and shuffle them.

    The halves of a file differ: the first 5,000 test images are the easier ones.
    """
    chosen = np.concatenate(
        [
            where[np.arange(per_class) * len(where) // per_class]
            for where in (np.flatnonzero(labels == digit) for digit in range(10))
        ]
    )
    # the one generator whose stream NumPy promises never to change
    return np.random.RandomState(0).permutation(chosen)


def main() -> None:
    """Read, select, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with the four files of MNIST")
    parser.add_argument("out", type=Path, nargs="?", default=OUT, help="folder to write to")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for split, (x, y) in zip(PER_CLASS, mnist(args.folder, dtype="uint8"), strict=True):
        chosen = select(y, PER_CLASS[split])
        write_idx(args.out / f"{split}-images-idx3-ubyte.gz", x[chosen, 0])
        write_idx(args.out / f"{split}-labels-idx1-ubyte.gz", y[chosen].astype(np.uint8))
    for path in args.out.glob("*.gz"):
        path.write_bytes(zopfli.gzip.compress(gzip.decompress(path.read_bytes())))


if __name__ == "__main__":
    main()
