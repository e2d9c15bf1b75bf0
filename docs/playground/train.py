import numpy as np
import deepfs as dfs
from playground import page

dfs.set_seed(0)
(x, y), (xt, yt) = dfs.datasets.mnist_mini()  # 5,000 digits, and 1,000 to test
model = dfs.Model(
    dfs.networks.mini_convnet(),
    loss=dfs.losses.CrossEntropy(),
    optimizer=dfs.optimizers.Adam(0.001),
)
page.watch(model, xt)

rng = np.random.default_rng(0)
for epoch in range(10):
    for batch in np.split(rng.permutation(5000), 100):
        logs = model.train_on_batch(x[batch], y[batch])
        await page.step(logs)  # draws; pause, stop and a new rate reach the training here
    model.end_epoch()
    await page.epoch(model.evaluate(xt, yt))
