"""Predictor: evaluate and predict with a network. It is the base class of `deepfs.Model`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._arrays import Array
from ._check import whole
from ._model_names import ModelNames
from .layers import Sequential, Softmax
from .trainer import Trainer
from .training.inputs import checked_inputs, checked_pairs


class Predictor(ModelNames):
    """What `deepfs.Model` does without training: evaluation and prediction."""

    trainer: Trainer

    def evaluate(self, x: ArrayLike, y: ArrayLike, batch_size: int = 256) -> dict[str, float]:
        """Measure loss and metrics on a data set, in inference mode.

        Parameters
        ----------
        x, y : array (n, ...)
            Inputs and targets.
        batch_size : int
            Samples at a time. It bounds the memory and does not change the result.

        Returns
        -------
        dict of float
            ``loss`` and metrics, means over all samples.

        Raises
        ------
        TypeError, ValueError
            If the data is empty, not finite, or does not fit the network.

        Examples
        --------
        >>> import deepfs as dfs
        >>> parts = dfs.layers.Identity(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
        >>> model = dfs.Model(*parts)
        >>> model.evaluate(np.array([[9.0, 0.0], [9.0, 0.0]]), np.array([0, 1]))["accuracy"]
        0.5
        """
        x, y = checked_pairs(x, y)
        return self.trainer.evaluate(x, y, whole(batch_size, "batch_size"))

    def predict(self, x: ArrayLike, batch_size: int = 256) -> Array:
        """Return the outputs of the network, in inference mode.

        Parameters
        ----------
        x : array (n, ...)
            Inputs.
        batch_size : int
            Samples at a time. It bounds the memory and does not change the result.

        Returns
        -------
        array (n, ...)
            Outputs, such as logits.

        Raises
        ------
        TypeError, ValueError
            If the inputs are empty, not finite, or do not fit the network.

        Examples
        --------
        >>> import deepfs as dfs
        >>> parts = dfs.networks.mlp(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
        >>> model = dfs.Model(*parts)
        >>> model.predict(np.zeros((3, 1, 28, 28))).shape
        (3, 10)
        """
        x = checked_inputs(x)
        outputs = self.trainer.outputs(x, x, whole(batch_size, "batch_size"))
        return np.concatenate([output for output, _ in outputs])

    def predict_proba(self, x: ArrayLike, batch_size: int = 256) -> Array:
        """Return the probability of each class: the softmax of the outputs.

        Parameters
        ----------
        x : array (n, ...)
            Inputs.
        batch_size : int
            Samples at a time. It bounds the memory and does not change the result.

        Returns
        -------
        array (n, classes)
            Probabilities. If the network ends with a `Softmax`, its outputs.

        Raises
        ------
        TypeError, ValueError
            As `predict`, and if the outputs are not ``(n, classes)``.

        Examples
        --------
        >>> import deepfs as dfs
        >>> parts = dfs.layers.Identity(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
        >>> model = dfs.Model(*parts)
        >>> model.predict_proba(np.array([[0.0, np.log(3.0)]])).round(2)
        array([[0.25, 0.75]])
        """
        outputs = self.predict(x, batch_size)
        last = self.trainer.network
        while isinstance(last, Sequential):
            last = last.layers[-1]
        if isinstance(last, Softmax):
            return outputs
        if outputs.ndim != 2:
            raise ValueError(f"probabilities need outputs (n, classes), got {outputs.shape}")
        return Softmax()(outputs)

    def predict_classes(self, x: ArrayLike, batch_size: int = 256) -> Array:
        """Return the most probable class of each sample: the index of its largest output.

        Parameters
        ----------
        x : array (n, ...)
            Inputs.
        batch_size : int
            Samples at a time. It bounds the memory and does not change the result.

        Returns
        -------
        array (n,) of int
            Classes; of equal outputs, the first.

        Raises
        ------
        TypeError, ValueError
            As `predict`.

        Examples
        --------
        >>> import deepfs as dfs
        >>> parts = dfs.layers.Identity(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
        >>> model = dfs.Model(*parts)
        >>> model.predict_classes(np.array([[0.0, 2.0], [3.0, 1.0]]))
        array([1, 0])
        """
        return self.predict(x, batch_size).argmax(axis=1)
