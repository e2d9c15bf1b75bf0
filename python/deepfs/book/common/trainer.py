"""`Trainer`, with the names of the book's ``common/trainer.py``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._arrays import Array
from ..._names import hint
from . import optimizer as optimizers
from .optimizer import *  # noqa: F403

__all__ = ["Trainer", *optimizers.__all__]

KINDS: dict[str, Any] = {
    name.lower(): getattr(optimizers, name) for name in optimizers.__all__ if name != "np"
}


class Trainer:
    """Trains a network that has ``gradient``, ``loss``, ``accuracy`` and ``params``.

    As in the book, batches are drawn with replacement by ``np.random``, and accuracies are computed
    at steps that ``train_size / mini_batch_size``, a fraction maybe, divides.

    Parameters
    ----------
    network : object
        The network.
    x_train, t_train, x_test, t_test : array
        Training and test data.
    epochs, mini_batch_size : int
        Passes over the training data, samples of a step.
    optimizer, optimizer_param : str, dict
        Name and settings of the optimizer: SGD, Momentum, Nesterov, AdaGrad, RMSprop, Adam.
    evaluate_sample_num_per_epoch : int, optional
        Samples whose accuracy is computed after an epoch. By default all.
    verbose : bool
        Whether to print each loss and each accuracy.
    """

    def __init__(
        self,
        network: Any,
        x_train: Array,
        t_train: Array,
        x_test: Array,
        t_test: Array,
        epochs: int = 20,
        mini_batch_size: int = 100,
        optimizer: str = "SGD",
        optimizer_param: dict[str, Any] = {"lr": 0.01},  # noqa: B006 - never changed; the book's
        evaluate_sample_num_per_epoch: int | None = None,
        verbose: bool = True,
    ) -> None:
        if optimizer.lower() not in KINDS:
            raise ValueError(
                f"Trainer has no optimizer {optimizer!r}{hint(optimizer.lower(), KINDS)} "
                f"(it has {', '.join(kind.__name__ for kind in KINDS.values())})"
            )
        self.network, self.verbose = network, verbose
        self.x_train, self.t_train = x_train, t_train
        self.x_test, self.t_test = x_test, t_test
        self.epochs, self.batch_size = epochs, mini_batch_size
        self.evaluate_sample_num_per_epoch = evaluate_sample_num_per_epoch
        self.optimizer = KINDS[optimizer.lower()](**optimizer_param)
        self.train_size = len(x_train)
        self.iter_per_epoch = max(self.train_size / mini_batch_size, 1)
        self.max_iter = int(epochs * self.iter_per_epoch)
        self.current_iter = self.current_epoch = 0
        self.train_loss_list: list[Any] = []
        self.train_acc_list: list[Any] = []
        self.test_acc_list: list[Any] = []

    def train_step(self) -> None:
        """Take a step on a random batch."""
        chosen = np.random.choice(self.train_size, self.batch_size)
        x, t = self.x_train[chosen], self.t_train[chosen]
        self.optimizer.update(self.network.params, self.network.gradient(x, t))
        loss = self.network.loss(x, t)
        self.train_loss_list.append(loss)
        if self.verbose:
            print(f"train loss:{loss}")
        if self.current_iter % self.iter_per_epoch == 0:
            self._end_epoch()
        self.current_iter += 1

    def _end_epoch(self) -> None:
        self.current_epoch += 1
        few = slice(self.evaluate_sample_num_per_epoch)
        train = self.network.accuracy(self.x_train[few], self.t_train[few])
        test = self.network.accuracy(self.x_test[few], self.t_test[few])
        self.train_acc_list.append(train)
        self.test_acc_list.append(test)
        if self.verbose:
            print(f"=== epoch:{self.current_epoch}, train acc:{train}, test acc:{test} ===")

    def train(self) -> None:
        """Take all steps; in the end, print the accuracy of all test data."""
        for _ in range(self.max_iter):
            self.train_step()
        test = self.network.accuracy(self.x_test, self.t_test)
        if self.verbose:
            print("=============== Final Test Accuracy ===============")
            print(f"test acc:{test}")
