"""U-Net: say of each pixel whether it belongs to a disc, a square or the background.

The images are made: discs and squares of random place, size and brightness, in noise. No pixel
tells by itself what it belongs to, and outlines must be found to the pixel: that is what the skips
of a U-Net are for (Ronneberger et al., 2015, arXiv:1505.04597). The measure is the intersection
over the union (IoU) of the pixels of each class.

    python examples/unet.py           4,000 images
    python examples/unet.py --quick   600 images
"""

import sys

import numpy as np

import deepfs as dfs
from deepfs import layers as L

quick = "--quick" in sys.argv
rng = np.random.default_rng(0)
size, names = 32, ("background", "disc", "square")


def shapes(n):
    """Return images (n, 1, 32, 32) and the class of each pixel, (n, 32, 32)."""
    row, column = np.mgrid[:size, :size]
    x = rng.normal(0, 0.3, (n, 1, size, size)).astype(np.float32)
    y = np.zeros((n, size, size), int)
    for image, classes in zip(x, y, strict=True):
        for _ in range(3):
            (r, c), radius = rng.integers(0, size, 2), rng.integers(4, 8)
            kind = rng.integers(1, 3)
            if kind == 1:
                inside = (row - r) ** 2 + (column - c) ** 2 <= radius**2
            else:
                inside = np.maximum(abs(row - r), abs(column - c)) <= 0.886 * radius  # as large
            classes[inside] = kind  # a later shape covers an earlier one
            image[0, inside] = rng.uniform(0.5, 1.5) + rng.normal(0, 0.3, inside.sum())
    return x, y


def conv(filters, h):
    """Return the output of two convolutions with batch norm and ReLU on a tensor."""
    for _ in range(2):
        h = L.Conv2D(filters, 3, padding="same", bias=False)(h)
        h = L.ReLU()(L.BatchNorm()(h))
    return h


x_in = L.Input((1, size, size))
fine = conv(8, x_in)  # 32 x 32
middle = conv(16, L.MaxPool2D(2)(fine))  # 16 x 16
coarse = conv(32, L.MaxPool2D(2)(middle))  # 8 x 8
h = conv(16, L.Concat()((L.Upsample2D(2)(coarse), middle)))
h = conv(8, L.Concat()((L.Upsample2D(2)(h), fine)))
network = dfs.Graph(x_in, L.Conv2D(len(names), 1)(h))  # logits of each pixel

x, y = shapes(600 if quick else 4_000)
x_test, y_test = shapes(200)
optimizer = dfs.optimizers.Adam(dfs.schedules.OneCycle(1e-2))
model = dfs.Model(network, "cross_entropy", optimizer, seed=0)
model.fit(x, y, batch_size=20, epochs=8 if quick else 12)


def iou(answers):
    """Return intersection over union of each class."""
    counts = dfs.metrics.confusion_matrix(y_test, answers, classes=len(names))
    both = counts.diagonal()
    return both / (counts.sum(axis=0) + counts.sum(axis=1) - both)


answers = model.predict_classes(x_test)  # (n, 32, 32)
scores = iou(answers)
# The baseline: bright pixels are shapes; whether disc or square, a single pixel does not know.
baseline = iou(np.where(x_test[:, 0] > 0.5, 1, 0))
for name, score, bright in zip(names, scores, baseline, strict=True):
    print(f"{name:10}  IoU {score:.3f}   bright pixels as discs: {bright:.3f}")

print("image, true classes and answers: o disc, # square")
for row in range(0, size, 2):  # every other row: characters are twice as high as wide
    picture = "".join(" .:oO@"[int(v)] for v in np.clip(4 * x_test[0, 0, row], 0, 5))
    print(picture, *("".join(".o#"[k] for k in kinds[0, row]) for kinds in (y_test, answers)))
