"""Predictor: evaluate and predict with a network. It is the base class of `deepfs.Model`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._arrays import Array
from ._check import whole
from ._settings import ExplainedSettings
from ._trees import leaves, map_tree
from .inspection.inner import Watched
from .layers import Sequential, Softmax
from .trainer import Trainer
from .training.inputs import checked_inputs, checked_pairs


class Predictor(ExplainedSettings):
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

    def outputs_of(self, x: ArrayLike, names: str | Sequence[str], batch_size: int = 256) -> Any:
        """Return the outputs of inner layers, in inference mode.

        Parameters
        ----------
        x : array (n, ...)
            Inputs, as `predict` takes them.
        names : str or sequence of str
            Names of layers or containers, as in the summary and in the names of parameters.
        batch_size : int
            Samples at a time. It bounds the memory of all but the results, and does not change
            them.

        Returns
        -------
        array (n, ...) or dict of array
            The output of the one layer, or a dict of outputs by name. Of a layer that occurs
            several times, a tuple of outputs in the order in which they are computed.

        Raises
        ------
        KeyError
            If the network has no layer of that name.
        TypeError, ValueError
            As `predict`.

        Examples
        --------
        >>> import deepfs as dfs
        >>> parts = dfs.networks.mlp((32,)), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
        >>> model = dfs.Model(*parts)
        >>> x = np.zeros((3, 1, 28, 28))
        >>> model.outputs_of(x, "relu_1").shape
        (3, 32)
        >>> {name: y.shape for name, y in model.outputs_of(x, ["dense_1", "dense_2"]).items()}
        {'dense_1': (3, 32), 'dense_2': (3, 10)}
        """
        x, batch_size = checked_inputs(x), whole(batch_size, "batch_size")
        network, wanted = self.trainer.network, [names] if isinstance(names, str) else [*names]
        network.prepare(map_tree(lambda a: a[:1], x))
        watched = Watched(network, wanted)
        found: dict[str, list[Any]] = {name: [] for name in wanted}
        for start in range(0, len(next(leaves(x))), batch_size):
            part = slice(start, start + batch_size)
            for name, output in watched(map_tree(lambda a, part=part: a[part], x)).items():
                found[name].append(output)
        joined = {name: joined_batches(outputs) for name, outputs in found.items()}
        return joined[names] if isinstance(names, str) else joined


def joined_batches(batches: list[Any]) -> Any:
    """Return outputs of batches as those of all samples; they may be trees of trees."""
    first = batches[0]
    if isinstance(first, (tuple, dict)):
        keys = first if isinstance(first, dict) else range(len(first))
        joined = {key: joined_batches([batch[key] for batch in batches]) for key in keys}
        return joined if isinstance(first, dict) else tuple(joined.values())
    return np.concatenate(batches)
