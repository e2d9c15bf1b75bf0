"""Denoising autoencoder: digits through 32 numbers, against PCA with as many.

A network sees a noisy digit, must describe it by 32 numbers, and draws the clean digit from them
(Vincent et al., "Extracting and composing robust features with denoising autoencoders", 2008).
Principal components are the best that linear functions of 32 numbers can do for clean digits.

    python examples/autoencoder.py           60,000 images, downloaded once
    python examples/autoencoder.py --quick   5,000 images that come with deepfs
"""

import sys

import numpy as np

import deepfs as dfs
from deepfs import layers as L

quick = "--quick" in sys.argv
(x, _), (x_test, _) = dfs.datasets.mnist_mini() if quick else dfs.datasets.mnist()
code, deviation = 32, 0.4


encoder = L.Sequential(
    [
        L.Conv2D(16, 3, stride=2, padding=1, bias=False),  # 14 x 14
        L.BatchNorm(),
        L.ReLU(),
        L.Conv2D(32, 3, stride=2, padding=1, bias=False),  # 7 x 7
        L.BatchNorm(),
        L.ReLU(),
        L.Flatten(),
        L.Dense(code),
    ],
    name="encoder",
)
decoder = L.Sequential(
    [
        L.Dense(32 * 7 * 7, bias=False),
        L.BatchNorm(),
        L.ReLU(),
        L.Reshape((32, 7, 7)),
        L.ConvTranspose2D(16, 4, stride=2, padding=1, bias=False),  # 14 x 14
        L.BatchNorm(),
        L.ReLU(),
        L.ConvTranspose2D(1, 4, stride=2, padding=1),  # 28 x 28
        L.Sigmoid(),
    ],
    name="decoder",
)
model = dfs.Model(
    # in training, the first layer adds new noise to each batch; in prediction, none
    L.Sequential([L.GaussianNoise(deviation), encoder, decoder]),
    loss="mean_squared_error",
    optimizer=dfs.optimizers.Adam(dfs.schedules.OneCycle(5e-3)),
    seed=0,
)


model.fit(x, x, batch_size=100, epochs=8 if quick else 10)

# PCA: the eigenvectors of the covariance of clean images, of the largest eigenvalues.
clean = x.reshape(len(x), -1)
mean = clean.mean(axis=0)
components = np.linalg.eigh(np.cov(clean, rowvar=False))[1][:, -code:]
noise = np.random.default_rng(0).normal(0, deviation, x_test.shape)
seen = (x_test + noise).astype(np.float32)
flat = seen.reshape(len(seen), -1) - mean
by_pca = (flat @ components @ components.T + mean).reshape(seen.shape)
by_network = model.predict(seen)


def error(images):
    """Return the mean squared error per pixel."""
    return float(((images - x_test) ** 2).mean())


noise_error, pca_error, network_error = error(seen), error(by_pca), error(by_network)
print(f"mean squared error: noisy images {noise_error:.4f}, PCA {pca_error:.4f}, ", end="")
print(f"network {network_error:.4f}")
for row in range(0, 28, 2):  # noisy, PCA, network, clean, side by side
    strips = [images[0, 0, row] for images in (seen, by_pca, by_network, x_test)]
    print("".join(" .:oO@"[int(5.99 * v)] for v in np.clip(np.concatenate(strips), 0, 1)))
