"""Predictor: evaluate and predict with a network. It is the base class of `deepfs.Model`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np

from ._model_names import ModelNames
from ._trees import Tree, map_tree
from .inspection.inner import Watched, joined
from .losses import OutputKind
from .trainer import Trainer
from .training.loaders import data_to_evaluate, inputs_in_parts


class Predictor(ModelNames):
    """What `deepfs.Model` does without training: evaluation and prediction."""

    trainer: Trainer

    def evaluate(
        self, x: Tree, y: Tree = None, batch_size: int | None = None, *, sample_weight: Tree = None
    ) -> dict[str, float]:
        """Measure loss and metrics on a data set, in inference mode.

        Parameters
        ----------
        x, y : array (n, ...)
            Inputs and targets; or a `data.Loader` alone.
        batch_size : int, optional
            Samples at a time, by default 256, or those of the loader. It bounds the memory. Results
            of different sizes agree to rounding, and in float64 to the last bit: see
            ``docs/numerics.md``.
        sample_weight : array (n,), optional
            Weight of each sample in the loss. Metrics are not weighted.

        Returns
        -------
        dict of float
            ``loss`` and metrics over all samples.

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
        data, size = data_to_evaluate(self.trainer, x, y, batch_size, sample_weight)
        return self.trainer.evaluate(data, size)

    def predict(self, x: Tree, batch_size: int | None = None) -> Tree:
        """Return the outputs of the network, in inference mode.

        Parameters
        ----------
        x : array (n, ...)
            Inputs, or a `data.Loader`.
        batch_size : int, optional
            Samples at a time, by default 256, or those of the loader. It bounds the memory. Results
            of different sizes agree to rounding, and in float64 to the last bit: see
            ``docs/numerics.md``.

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
        with closing(inputs_in_parts(self.trainer, x, batch_size)) as inputs:
            parts = [self.trainer.network(part) for part in inputs]
        return map_tree(lambda *outputs: np.concatenate(outputs), *parts)

    def predict_proba(self, x: Tree, batch_size: int | None = None) -> Tree:
        """Return the probabilities that the outputs stand for, as the loss says.

        Parameters
        ----------
        x : array (n, ...)
            Inputs, or a `data.Loader`.
        batch_size : int, optional
            Samples at a time, by default 256, or those of the loader. It bounds the memory. Results
            of different sizes agree to rounding, and in float64 to the last bit: see
            ``docs/numerics.md``.

        Returns
        -------
        array of the outputs' shape
            `losses.CrossEntropy`: the softmax along axis 1; `losses.BinaryCrossEntropy`: the
            sigmoid, the probability of 1; `losses.NegativeLogLikelihood`: the exponential. If the
            network ends with a `Softmax`: its outputs. Of several outputs, a dict of those that
            have probabilities, or a tuple with None for the others.

        Raises
        ------
        TypeError, ValueError
            As `predict`; ValueError if the loss is of scores or numbers, or a function.

        Examples
        --------
        >>> import deepfs as dfs
        >>> parts = dfs.layers.Identity(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
        >>> model = dfs.Model(*parts)
        >>> model.predict_proba(np.array([[0.0, np.log(3.0)]])).round(2)
        array([[0.25, 0.75]])
        """
        kind = self._output_kind()
        if kind.no_probabilities:
            raise ValueError(f"no probabilities from {self._loss_name()}: {kind.no_probabilities}")
        return kind.probabilities(self.predict(x, batch_size))

    def predict_classes(self, x: Tree, batch_size: int | None = None) -> Tree:
        """Return the most probable class of each sample, as the loss says.

        Parameters
        ----------
        x : array (n, ...)
            Inputs, or a `data.Loader`.
        batch_size : int, optional
            Samples at a time, by default 256, or those of the loader. It bounds the memory. Results
            of different sizes agree to rounding, and in float64 to the last bit: see
            ``docs/numerics.md``.

        Returns
        -------
        array of int
            For losses of classes, the index of the largest output along axis 1, ``(n, ...)``; of
            equal outputs, the first. For `losses.BinaryCrossEntropy`, 1 where the logit is above 0,
            else 0: ``(n,)`` for one output, else of the outputs' shape. Of several outputs, a dict
            of those that have classes, or a tuple with None for the others.

        Raises
        ------
        TypeError, ValueError
            As `predict`; ValueError if the loss is of numbers, or a function.

        Examples
        --------
        >>> import deepfs as dfs
        >>> parts = dfs.layers.Identity(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
        >>> model = dfs.Model(*parts)
        >>> model.predict_classes(np.array([[0.0, 2.0], [3.0, 1.0]]))
        array([1, 0])
        """
        kind = self._output_kind()
        if kind.no_classes:
            raise ValueError(f"no classes from {self._loss_name()}: {kind.no_classes}")
        return kind.classes(self.predict(x, batch_size))

    def outputs_of(self, x: Tree, names: str | Sequence[str], batch_size: int | None = None) -> Any:
        """Return the outputs of inner layers, in inference mode.

        Parameters
        ----------
        x : array (n, ...)
            Inputs, as `predict` takes them.
        names : str or sequence of str
            Names of layers or containers, as in the summary and in the names of parameters.
        batch_size : int, optional
            Samples at a time, by default 256, or those of the loader. It bounds the memory of all
            but the results, and changes no more than rounding.

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
        wanted = [names] if isinstance(names, str) else [*names]
        watched = Watched(self.trainer.network, wanted)
        with closing(inputs_in_parts(self.trainer, x, batch_size)) as inputs:
            found = joined([watched(part) for part in inputs])
        return found[names] if isinstance(names, str) else found

    def _output_kind(self) -> OutputKind:
        return self.trainer.loss.output_kind.in_network(self.trainer.network)

    def _loss_name(self) -> str:
        loss = self.trainer.loss
        return str(getattr(loss, "label", type(loss).__name__))
