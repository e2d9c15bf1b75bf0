"""Recipes: trainings of which it is known how long they take and how well the network does.

>>> import deepfs as dfs
>>> recipe = dfs.recipes.mnist(target=0.99)
>>> recipe.epochs, recipe.batch_size
(1, 128)
>>> (x, y), (xt, yt) = dfs.datasets.mnist_mini()
>>> model = recipe.fit(x[:1000], y[:1000], seed=0, verbose=0)  # 60,000 images reach the target
>>> model.evaluate(xt[:100], yt[:100])["accuracy"] > 0.2
True
"""

from .._public import public_names as _public_names
from .cifar10 import cifar10
from .fashion_mnist import fashion_mnist
from .mnist import mnist
from .recipe import Recipe

__all__ = ["Recipe", "cifar10", "fashion_mnist", "mnist"]


def __dir__() -> list[str]:
    return _public_names(globals())
