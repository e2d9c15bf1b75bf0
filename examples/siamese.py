"""Siamese network: learn what "the same sign" means, and apply it to signs never seen before.

A sign is a line of random strokes; each drawing of it is shifted, turned, scaled and shaken. One
tower of layers maps each of two drawings to a point, and the loss draws points of one sign together
and pushes those of two signs apart (Hadsell, Chopra and LeCun, "Dimensionality reduction by
learning an invariant mapping", 2006). Whether two drawings of other signs, of which the network has
seen none, show the same sign is then answered by their distance alone. The task is that of
Omniglot (Koch, Zemel and Salakhutdinov, "Siamese neural networks for one-shot image recognition",
2015), with made signs.

    python examples/siamese.py           400 signs
    python examples/siamese.py --quick   200 signs
"""

import sys

import numpy as np

import deepfs as dfs
from deepfs import layers as L

quick = "--quick" in sys.argv
rng = np.random.default_rng(0)
size, copies, margin = 28, 20, 4.0


def signs(n):
    """Return drawings (n, copies, 1, 28, 28) of n signs."""
    corners = rng.uniform(-1, 1, (n, 1, 5, 2))  # a line of four strokes
    angle = rng.normal(0, 0.15, (n, copies))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    drawn = corners + rng.normal(0, 0.06, (n, copies, 5, 2))
    drawn = np.einsum("ijnk,nkpj->nkpi", turn, drawn) * rng.uniform(0.8, 1.1, (n, copies, 1, 1))
    drawn = size / 2 + 0.33 * size * drawn + rng.uniform(-3, 3, (n, copies, 1, 2))
    pixels = np.stack(np.mgrid[:size, :size], axis=-1).reshape(-1, 2)
    images = np.zeros((n, copies, size * size), np.float32)
    for stroke in range(4):
        start, end = drawn[:, :, stroke, None], drawn[:, :, stroke + 1, None]
        along = ((pixels - start) * (end - start)).sum(-1) / ((end - start) ** 2).sum(-1)
        nearest = start + along.clip(0, 1)[..., None] * (end - start)
        ink = 1.8 - np.linalg.norm(pixels - nearest, axis=-1)
        images = np.maximum(images, ink.clip(0, 1).astype(np.float32))
    return images.reshape(n, copies, 1, size, size)


def pairs(drawings, n):
    """Return n pairs of drawings, half of them of the same sign, and which are (1, else 0)."""
    same = np.arange(n) % 2
    first = rng.integers(0, len(drawings), n)
    other = (first + rng.integers(1, len(drawings), n)) % len(drawings)
    copy = rng.integers(0, copies, n)
    another = (copy + rng.integers(1, copies, n)) % copies
    return (drawings[first, copy], drawings[np.where(same, first, other), another]), same


def conv(filters):
    """Return layers that halve height and width."""
    return [
        L.Conv2D(filters, 3, padding="same", bias=False),
        L.BatchNorm(),
        L.ReLU(),
        L.MaxPool2D(2),
    ]


points = [L.GlobalAvgPool2D(), L.Dense(16)]
tower = L.Sequential([*conv(16), *conv(32), *conv(64), *points], name="tower")
# Called twice, it is one layer: it has one set of weights, and the gradients of both calls add up.
left, right = L.Input((1, size, size)), L.Input((1, size, size))
network = dfs.Graph((left, right), tower(left) - tower(right))


def contrastive(differences, same):
    """Return d^2 for drawings of one sign, max(0, margin - d)^2 for others; and their gradients.

    Shapes: differences (n, 16), of which d is the length; same (n,), 1 or 0.
    """
    d = np.sqrt((differences**2).sum(axis=1) + 1e-12)  # the slope of the root at 0 is infinite
    short = np.maximum(0, margin - d)
    value = np.where(same, d**2, short**2)
    slope = np.where(same, 2 * d, -2 * short)  # of the value with respect to d
    return value, (slope / d)[:, None] * differences


known, unseen = signs(200 if quick else 400), signs(50)
inputs, same = pairs(known, 4_000 if quick else 30_000)
optimizer = dfs.optimizers.Adam(dfs.schedules.OneCycle(3e-3))
model = dfs.Model(network, contrastive, optimizer, seed=0)
model.fit(inputs, same, batch_size=64, epochs=4 if quick else 8)


def by_network(inputs):
    """Return the distance of the points of each pair."""
    return np.linalg.norm(model.predict(inputs), axis=1)


def by_pixels(inputs):
    """Return the distance of the pixels of each pair: the baseline."""
    return np.linalg.norm((inputs[0] - inputs[1]).reshape(len(inputs[0]), -1), axis=1)


# Thresholds are chosen on known signs, and judged on signs that had no part in anything.
unseen_inputs, unseen_same = pairs(unseen, 2_000)
accuracy = {}
for name, distance in (("network", by_network), ("pixels", by_pixels)):
    d, d_unseen = distance(inputs), distance(unseen_inputs)
    threshold = max(np.linspace(0, d.max(), 200), key=lambda t: ((d < t) == same).mean())
    accuracy[name] = float(((d_unseen < threshold) == unseen_same).mean())
    print(f"same or not, of signs never seen, by {name}: {accuracy[name]:.1%} right")

print("Four drawings, the first two of one sign:")
for row in range(0, size, 2):  # every other row: characters are twice as high as wide
    strip = np.concatenate([unseen[0, 0], unseen[0, 1], unseen[1, 0], unseen[2, 0]], axis=-1)
    print("".join(" .:oO@"[int(5.99 * value)] for value in strip[0, row]))
