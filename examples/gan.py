"""GAN: two networks, a training loop of one's own, and digits that nobody wrote.

A generator makes digits of random numbers, a discriminator tells them from real ones, and each
learns from the other (Goodfellow et al., 2014, arXiv:1406.2661; the layers follow DCGAN, Radford
et al., 2015, arXiv:1511.06434). How good the digits are is measured by the Frechet distance (Heusel
et al., 2017, arXiv:1706.08500) between made and real images, in the outputs of a third network,
which was trained to read real digits.

    python examples/gan.py           60,000 images, downloaded once
    python examples/gan.py --quick   5,000 images that come with deepfs

The last samples are shown as text, and written to gan.png if Pillow is installed.
"""

import sys

import numpy as np

import deepfs as dfs
from deepfs import layers as L

quick = "--quick" in sys.argv
(x, y), (x_test, _) = dfs.datasets.mnist_mini() if quick else dfs.datasets.mnist()
dfs.set_seed(0)
rng = np.random.default_rng(0)
batch_size, noise_size = 64, 32
steps, width = (300, 16) if quick else (4_000, 32)

generator = L.Sequential(
    [
        L.Dense(2 * width * 7 * 7, bias=False),
        L.Reshape((2 * width, 7, 7)),
        L.BatchNorm(),
        L.ReLU(),
        L.ConvTranspose2D(width, 4, stride=2, padding=1, bias=False),  # 14 x 14
        L.BatchNorm(),
        L.ReLU(),
        L.ConvTranspose2D(1, 4, stride=2, padding=1),  # 28 x 28
        L.Sigmoid(),
    ]
)
discriminator = L.Sequential(
    [
        L.Conv2D(width, 4, stride=2, padding=1),  # 14 x 14
        L.LeakyReLU(0.2),
        L.Conv2D(2 * width, 4, stride=2, padding=1, bias=False),  # 7 x 7
        L.BatchNorm(),
        L.LeakyReLU(0.2),
        L.Flatten(),
        L.Dense(1),  # a logit: above 0 for "real"
    ]
)
loss = dfs.losses.BinaryCrossEntropy()
generator_step = dfs.optimizers.Adam(1e-3, beta1=0.5)
discriminator_step = dfs.optimizers.Adam(5e-4, beta1=0.5)
real, fake = np.ones((batch_size, 1), np.float32), np.zeros((batch_size, 1), np.float32)


def noise(n):
    """Return the input of the generator, (n, noise_size)."""
    return rng.normal(size=(n, noise_size)).astype(np.float32)


for step in range(1, steps + 1):
    # The discriminator learns to tell real images from made ones. The gradients of both batches
    # add up. They are separate batches, so that batch norm sees only one kind at a time.
    made, generator_cache = generator.forward(noise(batch_size), training=True)
    discriminator_loss = 0.0
    for images, target in ((x[rng.integers(0, len(x), batch_size)], real), (made, fake)):
        outputs, cache = discriminator.forward(images, training=True)
        value, loss_cache = loss.forward(outputs, target)
        discriminator.backward(loss.backward(loss_cache), cache, need_dx=False)
        discriminator_loss += value / 2
    discriminator_step.step(discriminator)
    discriminator.zero_grad()

    # The generator learns to be taken for real: its gradient comes through the discriminator,
    # whose own gradients of this pass are dropped.
    outputs, cache = discriminator.forward(made, training=True)
    generator_loss, loss_cache = loss.forward(outputs, real)
    d_made = discriminator.backward(loss.backward(loss_cache), cache)
    generator.backward(d_made, generator_cache, need_dx=False)
    generator_step.step(generator)
    generator.zero_grad()
    discriminator.zero_grad()
    if step % (steps // 10) == 0:
        losses = f"discriminator {discriminator_loss:.3f}, generator {generator_loss:.3f}"
        print(f"step {step}: {losses}")

reader = dfs.Model(dfs.networks.mini_convnet(), "cross_entropy", dfs.optimizers.Adam(2e-3), seed=0)
reader.fit(x, y, batch_size=100, epochs=2 if quick else 1, verbose=0)


def frechet(images, others):
    """Return the Frechet distance of the reader's outputs, as of two normal distributions."""
    outputs, other = reader.predict(images), reader.predict(others)
    c, other_c = np.cov(outputs, rowvar=False), np.cov(other, rowvar=False)
    # the trace of the root of a product: its eigenvalues are real and at least 0, up to rounding
    root = np.sqrt(np.linalg.eigvals(c @ other_c).real.clip(0)).sum()
    shift = ((outputs.mean(axis=0) - other.mean(axis=0)) ** 2).sum()
    return float(shift + np.trace(c) + np.trace(other_c) - 2 * root)


samples = generator(noise(len(x_test)))
random_pixels = rng.permuted(x_test.reshape(len(x_test), -1), axis=1).reshape(x_test.shape)
distance = {
    "test images": frechet(x_test, x),
    "made images": frechet(samples, x),
    "test images, pixels shuffled": frechet(random_pixels, x),
}
print("Frechet distance from the training images:")
for name, value in distance.items():
    print(f"  {name:28}  {value:7.2f}")

grid = samples[:24].reshape(3, 8, 28, 28).transpose(0, 2, 1, 3).reshape(3 * 28, 8 * 28)
for row in grid[::4, ::2]:
    print("".join(" .:oO@"[int(5.99 * value)] for value in row))
try:
    from PIL import Image
except ImportError:
    print("For a picture: pip install pillow")
else:
    Image.fromarray((255 * grid).astype(np.uint8)).resize((896, 336)).save("gan.png")
    print("gan.png has the samples as a picture")
