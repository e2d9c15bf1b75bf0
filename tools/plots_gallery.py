"""Make the pictures of docs/plots.md: ``python tools/plots_gallery.py [folder]``.

Needs Matplotlib and Pillow, which makes the files small. It takes about ten seconds.
"""

import io
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import deepfs as dfs
from deepfs import layers as L
from deepfs import plots, schedules

DPI = 80
COLOURS = 96  # of a picture


def save(figure, path):
    data = io.BytesIO()
    figure.savefig(data, dpi=DPI)
    small = Image.open(data).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.1f} kB, {small.width} x {small.height} pixels")


def trained():
    (x, y), (xt, yt) = dfs.datasets.mnist_mini()
    dfs.set_seed(0)
    layers = [L.Conv2D(12, 5), L.ReLU(), L.MaxPool2D(2), L.Flatten(), L.Dense(50), L.ReLU()]
    net = L.Sequential([*layers, L.Dense(10)])
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(1e-3))
    found = model.lr_find(x, y, batch_size=200)
    model.fit(x, y, epochs=8, batch_size=50, validation_data=(xt, yt), verbose=0)
    return model, found, (xt, yt)


def training(model, found):
    figure = Figure(figsize=(9.5, 5.2), layout="constrained")
    ((a, b), (c, d)) = figure.subplots(2, 2)
    plots.history(model.history, [a, b])
    plots.learning_rate_finder(found, c)
    compared = {
        "OneCycle": schedules.OneCycle(0.1, total=1000),
        "Cosine": schedules.Warmup(50, then=schedules.Cosine(0.1, total=950)),
        "Step": schedules.Step(0.1, every=300, factor=0.3),
    }
    plots.schedule(compared, 1000, d)
    return figure


def insides(model, x):
    figure = Figure(figsize=(9.5, 6.2), layout="constrained")
    axes = figure.subplots(2, 2)
    plots.filters(model, columns=4, ax=axes[0, 0])
    plots.feature_maps(model, x[1:2], "relu_1", columns=4, count=12, ax=axes[0, 1])
    plots.grad_cam(model, x[:9], ax=axes[1, 0])
    plots.saliency(model, x[:9], ax=axes[1, 1])
    names = ("filters", "feature_maps", "grad_cam", "saliency")
    for ax, name in zip(np.ravel(axes), names, strict=True):
        ax.set_title(name)
    return figure


def resnet():
    net = dfs.networks.resnet20()
    net(np.zeros((1, 3, 32, 32), np.float32))
    return plots.network(net).figure


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    model, found, (x, y) = trained()
    save(training(model, found), folder / "training.png")
    save(plots.confusion_matrix(model, x, y).figure, folder / "confusion.png")
    save(plots.top_losses(model, x, y, count=12, columns=6)[0].figure, folder / "losses.png")
    save(insides(model, x), folder / "insides.png")
    save(resnet(), folder / "network.png")


if __name__ == "__main__":
    default = Path(__file__).parents[1] / "docs" / "pictures"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
