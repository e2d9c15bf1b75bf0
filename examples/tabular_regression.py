"""Regression on a table: a small network against linear least squares.

The table is Friedman's first problem (Friedman, "Multivariate adaptive regression splines", 1991):
ten columns, five of which have no effect,

    y = 10 sin(pi x1 x2) + 20 (x3 - 0.5)^2 + 10 x4 + 5 x5 + noise.

Its columns are given in different units here, as those of real tables are.

    python examples/tabular_regression.py           20,000 rows
    python examples/tabular_regression.py --quick   4,000 rows
"""

import sys

import numpy as np

import deepfs as dfs
from deepfs import layers as L

quick = "--quick" in sys.argv
rng = np.random.default_rng(0)


def friedman(rows):
    """Return a table (rows, 10) and its targets (rows, 1)."""
    x = rng.random((rows, 10))
    signal = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    signal += 10 * x[:, 3] + 5 * x[:, 4]
    y = signal + rng.normal(size=rows)
    units = 10.0 ** np.arange(-3, 7)
    return (x * units).astype(np.float32), y[:, None].astype(np.float32)


x, y = friedman(4_000 if quick else 20_000)
x_test, y_test = friedman(2_000)

y_mean, y_deviation = y.mean(), y.std()

network = L.Sequential([L.Dense(64), L.ReLU(), L.Dense(64), L.ReLU(), L.Dense(1)])
model = dfs.Model(
    network,
    loss="mean_squared_error",
    optimizer=dfs.optimizers.AdamW(dfs.schedules.Cosine(3e-3), weight_decay=1e-2),
    # Mean 0 and deviation 1 for each column, measured on the training rows alone. Without it, the
    # column of the largest numbers would rule every unit of the first layer.
    preprocess=dfs.preprocessing.Standardize(per="feature"),
    seed=0,
)
model.fit(x, (y - y_mean) / y_deviation, batch_size=64, epochs=30 if quick else 20)
predicted = model.predict(x_test) * y_deviation + y_mean

# The baseline: the line of least squares through the same rows.
scale = model.preprocess  # does not change the line, but columns of 1e-3 and 1e6 would its rounding
ones = np.ones((len(x), 1), np.float32)
weights = np.linalg.lstsq(np.hstack([scale(x), ones]), y, rcond=None)[0]
linear = scale(x_test) @ weights[:-1] + weights[-1]

mae, linear_mae = (float(abs(guess - y_test).mean()) for guess in (predicted, linear))
r2, linear_r2 = (dfs.metrics.r2_score(y_test, guess) for guess in (predicted, linear))
noise_mae, noise_r2 = np.sqrt(2 / np.pi), 1 - 1 / float(y_test.var())
print("                 mean absolute error    R^2")
print(f"least squares    {linear_mae:19.3f}  {linear_r2:5.3f}")
print(f"network          {mae:19.3f}  {r2:5.3f}")
print(f"best possible    {noise_mae:19.3f}  {noise_r2:5.3f}    (the noise of the targets)")
