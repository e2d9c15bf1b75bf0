"""Forecasting with Conv1D: a chaotic series against linear autoregression.

The series is the discrete form of the Mackey-Glass equation (Mackey and Glass, "Oscillation and
chaos in physiological control systems", Science, 1977),

    s[t + 1] = 0.9 s[t] + 0.2 s[t - 17] / (1 + s[t - 17]^10),

with noise of measurement. From 64 values the network predicts the one 40 steps after them.

    python examples/time_series.py           20,000 steps
    python examples/time_series.py --quick   6,000 steps
"""

import sys

import numpy as np

import deepfs as dfs
from deepfs import layers as L

quick = "--quick" in sys.argv
window, ahead, delay = 64, 40, 17
rng = np.random.default_rng(0)


def mackey_glass(steps):
    """Return a series (steps,) after the time it needs to forget its start."""
    s = np.full(delay + 1 + 500 + steps, 1.2)
    for t in range(delay, len(s) - 1):
        s[t + 1] = 0.9 * s[t] + 0.2 * s[t - delay] / (1 + s[t - delay] ** 10)
    return s[-steps:]


series = mackey_glass(6_000 if quick else 20_000)
measured = series + rng.normal(0, 0.01, len(series))
measured = ((measured - measured.mean()) / measured.std()).astype(np.float32)
x = np.lib.stride_tricks.sliding_window_view(measured[:-ahead], window)[:, None]  # (n, 1, 64)
y = measured[window - 1 + ahead :, None]  # (n, 1): the value `ahead` steps after each window

# The past trains, the future tests. Windows that share values with test windows are in neither.
split = int(0.8 * len(x))
x_test, y_test = x[split:], y[split:]
x, y = x[: split - window - ahead], y[: split - window - ahead]


def block(filters):
    """Return layers that halve the length."""
    return [
        L.Conv1D(filters, 5, padding="same", bias=False),
        L.BatchNorm(),
        L.ReLU(),
        L.AvgPool1D(2),
    ]


network = L.Sequential([*block(16), *block(32), *block(32), L.Flatten(), L.Dense(1)])
optimizer = dfs.optimizers.Adam(dfs.schedules.OneCycle(1e-2))
model = dfs.Model(network, "mean_squared_error", optimizer, seed=0)
model.fit(x, y, batch_size=64, epochs=12 if quick else 15)


def rmse(predicted):
    """Return the root mean squared error on the test part, in deviations of the series."""
    return float(np.sqrt(((predicted - y_test) ** 2).mean()))


# Two baselines: the last value again, and the best linear function of the same 64 values.
flat, flat_test = x[:, 0], x_test[:, 0]
weights = np.linalg.lstsq(np.hstack([flat, np.ones_like(y)]), y, rcond=None)[0]
last = rmse(flat_test[:, -1:])
linear = rmse(flat_test @ weights[:-1] + weights[-1])
network_error = rmse(model.predict(x_test))
print(f"root mean squared error, {ahead} steps ahead, in deviations of the series:")
print(f"  last value again       {last:.3f}")
print(f"  linear autoregression  {linear:.3f}")
print(f"  network                {network_error:.3f}")
