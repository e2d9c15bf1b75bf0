"""Print a hash of each of several trainings, for comparing two builds: every line must be the same.

    DEEPFS_ISA=v2 python tools/wasm_bits.py > native
    node tools/wasm_run.mjs PYODIDE WHEELS tools/wasm_bits.py > wasm

Neither v2 nor WebAssembly has fused multiply-adds, so both round in the same places. What browsers
do otherwise is used on the way: files, profiles and evaluation without threads and without the
package safetensors.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from time import perf_counter

import numpy as np

import cnn_core
import deepfs as dfs
from deepfs import layers as L

WORDS = sys.maxsize.bit_length() + 1  # bits of an index


def digest(*arrays: np.ndarray) -> str:
    """Return a hash of the bytes of arrays."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def trained(make: Callable[[], L.Layer], samples: int, epochs: int = 1) -> dfs.Model:
    """Return a network after some steps on the digits that come with deepfs."""
    dfs.set_seed(0)
    (x, y), _ = dfs.datasets.mnist_mini()
    optimizer = dfs.optimizers.Adam(1e-3)
    model = dfs.Model(make(), loss=dfs.losses.CrossEntropy(), optimizer=optimizer)
    model.fit(x[:samples], y[:samples], 50, epochs, verbose=0)
    return model


def readme() -> L.Layer:
    """Return the network of the README."""
    block = L.Sequential([L.Conv2D(16, 3, padding="same"), L.BatchNorm(), L.ReLU()])
    parts = [L.Conv2D(16, 3, padding="same"), L.BatchNorm(), L.ReLU(), L.MaxPool2D(2)]
    return L.Sequential([*parts, L.Residual(block), L.Flatten(), L.Dropout(0.3), L.Dense(10)])


def overlapping() -> L.Layer:
    """Return a network of double precision whose pooling windows overlap: 8 in a word of argmax.

    Normal numbers of double precision show in their last bit which logarithm and sine the C library
    has, so the initial weights are of other numbers.
    """
    own = "glorot_uniform"
    parts = [L.Conv2D(6, 5, stride=2, initializer=own), L.LayerNorm(), L.GELU()]
    parts += [L.MaxPool2D(3, stride=1), L.DepthwiseConv2D(3, initializer=own), L.AvgPool2D(2)]
    return L.Sequential([*parts, L.Dense(10, initializer=own)], dtype="float64")


def networks(images: np.ndarray, labels: np.ndarray) -> None:
    """Print hashes of predictions after training."""
    makers: dict[str, tuple[Callable[[], L.Layer], int]] = {
        "readme": (readme, 1000),
        "overlapping windows, float64": (overlapping, 400),
        "mini_convnet": (dfs.networks.mini_convnet, 1000),
        "lenet5": (dfs.networks.lenet5, 500),
        "mlp": (dfs.networks.mlp, 1000),
        "simple_convnet": (dfs.networks.simple_convnet, 200),
    }
    for name, (make, samples) in makers.items():
        model = trained(make, samples)
        print(f"{name}: {digest(model.predict(images))}")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m.safetensors")
        model.save(path)
        model.save(path)  # in place of the first
        loaded = dfs.load(path)
        print(f"loaded: {digest(loaded.predict(images))}")
        with open(path, "rb") as file:
            content = bytearray(file.read())
        content[-1] ^= 1
        with open(path, "wb") as file:
            file.write(content)
        try:
            dfs.load(path)
        except dfs.CheckpointError as error:
            print(str(error).replace(path, "a damaged file"))
    report = model.evaluate(images, labels)
    print(
        f"evaluated: {report}, {dfs.metrics.confusion_matrix(labels, model.predict(images)).sum()}"
    )
    pretrained = dfs.networks.pretrained()
    print(f"pretrained: {digest(pretrained(images[:50]))}")


def limits() -> None:
    """Print what is refused because no memory could hold it."""
    conv = L.Conv2D(1, 1, stride=2**29, padding=2**29)
    try:
        conv(np.zeros((1, 1, 3, 3)))
    except (MemoryError, ValueError) as error:
        print(f"far padding: {type(error).__name__}")
    adaptive = L.AdaptiveAvgPool1D(40_000)  # 60,000 * 40,000 is beyond 2^31
    y, cache = adaptive.forward(np.arange(60_000.0).reshape(1, 1, -1), training=True)
    print(f"shares: {digest(y, adaptive.backward(y, cache))}")


def main() -> None:
    """Print all hashes; to the error stream, what each build is and how long it took."""
    start = perf_counter()
    _, (images, labels) = dfs.datasets.mnist_mini()
    networks(images[:500], labels[:500])
    limits()
    trained(dfs.networks.mlp, 100).profile(images[:50], labels[:50])
    took = perf_counter() - start
    print(f"{cnn_core.level}, {WORDS} bits: {took:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
