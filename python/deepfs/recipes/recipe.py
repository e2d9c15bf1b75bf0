"""What a recipe is: all that a training needs but the data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import preprocessing
from .._arrays import Array
from .._check import flag, shown, whole
from .._settings import ExplainedSettings
from ..augment import Views
from ..augment._pipeline import pipeline
from ..callbacks import Callback
from ..data import Loader
from ..data.batches import DataSet
from ..layers import Layer
from ..losses import CrossEntropy, Loss
from ..model import Model
from ..optimizers import Optimizer

SAMPLES = 5000  # images that a network may be made for


@dataclass(eq=False)
class Recipe(ExplainedSettings):
    """Recipe: network, loss, optimizer and all other settings of a training.

    `mnist`, `fashion_mnist` and `cifar10` return one. Every setting may be changed before `fit`,
    which leaves the recipe as it is, so that it may be fitted again.

    Parameters
    ----------
    network : function
        Returns a new network for training images (n, c, h, w), a few thousand of them, as the
        network will get them: an initializer may look at them, see
        `deepfs.initializers.patch_whitening`.
    optimizer : Optimizer
        With its schedule as ``lr``.
    epochs : int
        At least 1.
    batch_size : int
        Images per step, at least 1.
    loss : Loss, optional
        By default `deepfs.losses.CrossEntropy`.
    augment : augmentation or sequence of these
        Random changes of training images, see `deepfs.augment`.
    preprocess : preprocessing, optional
        See `deepfs.preprocessing`. `fit` fits it to the images, if it is not fitted.
    callbacks : function, optional
        Returns new callbacks for a training of so many steps.
    views : augment.Views, optional
        Test-time augmentation with which the accuracy was measured:
        ``model.evaluate(x, y, views=recipe.views)``.
    drop_last : bool
        Leave out the last batch of an epoch if it is smaller than the others.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Examples
    --------
    >>> import deepfs as dfs
    >>> recipe = dfs.recipes.Recipe(lambda x: dfs.networks.mlp(), dfs.optimizers.Adam(), epochs=1)
    >>> (x, y), _ = dfs.datasets.mnist_mini()
    >>> recipe.fit(x[:200], y[:200], verbose=0).steps
    2
    """

    network: Callable[[Array], Layer]
    optimizer: Optimizer
    epochs: int
    batch_size: int = 100
    loss: Loss | None = None
    augment: Any = ()
    preprocess: Any = None
    callbacks: Callable[[int], Sequence[Callback]] | None = None
    views: Views | None = None
    drop_last: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.network, Layer) or not callable(self.network):
            raise TypeError(
                f"network must be a function that returns one, got {shown(self.network)}: write "
                "lambda x: ..."
            )
        if not isinstance(self.optimizer, Optimizer):
            raise TypeError(f"optimizer must be an Optimizer, got {shown(self.optimizer)}")
        self.epochs = whole(self.epochs, "epochs")
        self.batch_size = whole(self.batch_size, "batch_size")
        self.loss = CrossEntropy() if self.loss is None else self.loss
        if not isinstance(self.loss, Loss):
            raise TypeError(f"loss must be a Loss, got {shown(self.loss)}")
        pipeline(self.augment)
        self.preprocess = preprocessing.get(self.preprocess)
        if self.callbacks is not None and not callable(self.callbacks):
            raise TypeError(
                f"callbacks must be a function of the number of steps, got {shown(self.callbacks)}:"
                " write lambda steps: [...]"
            )
        if self.views is not None and not isinstance(self.views, Views):
            raise TypeError(f"views must be augment.Views or None, got {shown(self.views)}")
        self.drop_last = flag(self.drop_last, "drop_last")

    @property
    def schedule(self) -> Any:
        """The learning rate of the optimizer: a schedule or a number."""
        return self.optimizer.lr

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        seed: int | None = None,
        callbacks: Sequence[Callback] = (),
        **options: Any,
    ) -> Model:
        """Train a new network.

        Parameters
        ----------
        x, y : array (n, c, h, w), array (n,)
            Images and numbers of their classes; or any other source of a `deepfs.data.Loader` as
            ``x`` alone.
        seed : int, optional
            Random seed of the model; by default that of `deepfs.set_seed`.
        callbacks : sequence of Callback
            Further ones, after those of the recipe.
        **options
            To `deepfs.Model.fit`: ``validation_data``, ``verbose``, ``checkpoint``, ``resume``...

        Returns
        -------
        Model
            The trained model; ``model.history`` has its logs.

        Raises
        ------
        TypeError, ValueError
            If the data do not fit the network or the loss, or are a `deepfs.data.Loader`; for an
            option that the recipe has.
        FloatingPointError
            If the loss is not finite, as of `deepfs.Model.fit`.
        """
        own = sorted({"batch_size", "epochs", "drop_last"} & options.keys())
        if own:
            raise TypeError(
                f"{own[0]} is a setting of the recipe: write recipe.{own[0]} = {options[own[0]]!r}"
            )
        if isinstance(x, DataSet):
            kind = type(x).__name__
            raise TypeError(
                f"fit makes the Loader itself, with the recipe's augment= and batch_size=, got x "
                f"as a {kind}: give fit what the {kind} was made of"
            )
        loader = Loader(
            x if y is None else (x, y), self.batch_size, augment=self.augment,
            drop_last=self.drop_last,
        )  # fmt: skip
        preprocess = copy.deepcopy(self.preprocess)
        images = np.asarray(loader.x[:SAMPLES])
        if preprocess is not None:
            if not preprocess.fitted:
                preprocess.fit(loader.x)
            images = preprocess(images)
        model = Model(
            self.network(images), copy.deepcopy(self.loss), copy.deepcopy(self.optimizer),
            seed=seed, preprocess=preprocess,
        )  # fmt: skip
        hooks = self.callbacks(self.epochs * len(loader)) if self.callbacks else ()
        model.fit(loader, epochs=self.epochs, callbacks=[*hooks, *callbacks], **options)
        return model
