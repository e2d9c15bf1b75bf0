"""Handwritten digits: train a network, evaluate it, save it, and read a digit with the file.

    python examples/mnist.py           60,000 images, downloaded once
    python examples/mnist.py --quick   5,000 images that come with deepfs

Network, optimizer, schedule and number of epochs are those of a recipe whose accuracy is known, see
python/deepfs/recipes/mnist.py. `fashion_mnist.py` puts all of that together by hand.

The file has all that is needed to read other digits: `deepfs predict digits.safetensors three.png`.
"""

import sys
import tempfile
from pathlib import Path

import deepfs as dfs

quick = "--quick" in sys.argv
(x, y), (x_test, y_test) = dfs.datasets.mnist_mini() if quick else dfs.datasets.mnist()

recipe = dfs.recipes.mnist(target=0.99)
if quick:
    recipe.epochs = 4  # of the few images
model = recipe.fit(x, y, seed=0, validation_data=(x_test, y_test))
model.summary()
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
