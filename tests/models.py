"""A model small enough to train in a blink, with every kind of state."""

import deepfs as dfs
from deepfs import layers as L


def small_model(metrics=("accuracy",), lr=1e-2, dtype=None, **settings):
    net = L.Sequential(
        [L.Conv2D(6, 3), L.BatchNorm(), L.ReLU(), L.MaxPool2D(2), L.Dropout(0.2), L.Dense(3)],
        dtype=dtype,
    )
    loss = dfs.losses.CrossEntropy()
    return dfs.Model(net, loss, dfs.optimizers.Adam(lr), metrics, **settings)
