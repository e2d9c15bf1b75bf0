"""Handwritten digits: train a network, evaluate it, save it, and read a digit with the file.

    python examples/mnist.py           60,000 images, downloaded once
    python examples/mnist.py --quick   5,000 images that come with deepfs

The file has all that is needed to read other digits: `deepfs predict digits.safetensors three.png`.
"""

import sys
import tempfile
from pathlib import Path

import deepfs as dfs
from deepfs import layers as L

quick = "--quick" in sys.argv
(x, y), (x_test, y_test) = dfs.datasets.mnist_mini() if quick else dfs.datasets.mnist()

network = L.Sequential(
    [
        L.Conv2D(16, 3, padding="same"),
        L.BatchNorm(),
        L.ReLU(),
        L.MaxPool2D(2),
        L.Conv2D(32, 3, padding="same"),
        L.BatchNorm(),
        L.ReLU(),
        L.MaxPool2D(2),
        L.Flatten(),
        L.Dropout(0.3),
        L.Dense(10),  # logits: the loss contains the softmax
    ]
)
optimizer = dfs.optimizers.Adam(dfs.schedules.OneCycle(1e-2))
model = dfs.Model(network, loss="cross_entropy", optimizer=optimizer, seed=0)
model.fit(x, y, batch_size=100, epochs=5, validation_data=(x_test, y_test))
accuracy = model.evaluate(x_test, y_test)["accuracy"]
print(f"{accuracy:.2%} of {len(y_test)} test images are right")

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "digits.safetensors"
    model.save(path)
    loaded = dfs.load(path)
    print(f"{path.name} has {path.stat().st_size / 1024:.0f} kB")

image = x_test[:1]  # a batch of one
probabilities = loaded.predict_proba(image)[0]
answer = probabilities.argmax()
for row in image[0, 0, ::2]:  # every other row: characters are twice as high as wide
    print("".join(" .:oO@"[int(5.99 * value)] for value in row))
print(f"This is a {answer} (probability {probabilities[answer]:.3f}); the label says {y_test[0]}")
