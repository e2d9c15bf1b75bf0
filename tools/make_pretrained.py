"""Train the network that `deepfs.networks.pretrained` returns: MiniConvNet on digits 0 to 4.

    python tools/make_pretrained.py FOLDER [OUT]

The folder has the four original files of MNIST. The same input makes the same bytes on the same
instruction set. Weights are written as float16, which halves the file and changes no prediction
that matters: test accuracy is printed before and after.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import deepfs as dfs

OUT = Path(__file__).parents[1] / "python" / "deepfs" / "networks" / "mnist_0_to_4.safetensors"
EPOCHS, BATCH = 8, 64


def main() -> None:
    """Train, round, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with the four files of MNIST")
    parser.add_argument("out", type=Path, nargs="?", default=OUT, help="file to write")
    args = parser.parse_args()
    (x, y), (xt, yt) = dfs.datasets.mnist(args.folder)
    (x, y), (xt, yt) = ((images[labels < 5], labels[labels < 5])
                        for images, labels in ((x, y), (xt, yt)))  # fmt: skip
    steps = EPOCHS * -(-len(x) // BATCH)
    rate = dfs.schedules.OneCycle(3e-3, steps)
    network = dfs.networks.mini_convnet(classes=5)
    rule = dfs.optimizers.AdamW(rate, weight_decay=0.01)
    model = dfs.Model(network, "cross_entropy", rule, seed=0)
    model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, validation_data=(xt, yt))
    weights = {
        name: array.astype(np.float16) if array.dtype == np.float32 else array
        for name, array in model.get_weights().items()
    }
    model.set_weights(weights)
    print("test accuracy as float16:", model.evaluate(xt, yt)["accuracy"])
    save_file(weights, args.out)
    args.out.chmod(0o644)  # safetensors gives 0600
    print(args.out, args.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
