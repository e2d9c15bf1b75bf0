"""Predictor: evaluate and predict with a network. It is the base class of `deepfs.Model`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import preprocessing
from ._check import checked_names, flag, shown, whole
from ._labels import labels_of
from ._model_names import ModelNames
from ._trees import Tree, map_tree
from ._warn import warn
from .augment import Views
from .data.batches import Batch, DataSet, ended, unprepared
from .data.loader import Loader, as_loader
from .data.summary import what_is_far
from .inference._plan import AT_ONCE
from .inspection.inner import Watched, joined
from .losses import OutputKind
from .losses._output_kinds import BINARY_LOGITS
from .preprocessing import Preprocess
from .trainer import Trainer
from .training.class_names import check_names
from .training.evaluation import check_report, evaluation_report
from .training.finite import forms
from .training.inputs import checked_data, checked_inputs
from .training.loaders import check_inputs

# inputs of a call that are compared with those of the training: of arrays, of what may be files
COMPARED, COMPARED_OF_SET = 256, 32


def size_of(batch_size: Any, data: DataSet) -> int:
    """Return how many samples to take at a time: what is asked for, or the loader's number."""
    if batch_size is not None:
        return whole(batch_size, "batch_size")
    own: int = getattr(data, "batch_size", AT_ONCE)
    return own


def checked_views(views: Any) -> Views | None:
    """Return the views; raise TypeError if they are something else."""
    if views is not None and not isinstance(views, Views):
        raise TypeError(
            f"views must be views of images, got {shown(views)}: write augment.Views() for mirror "
            "images, augment.Views.mirror_and_shift() for six views"
        )
    return views


class Predictor(ModelNames):
    """What `deepfs.Model` does without training: evaluation and prediction."""

    trainer: Trainer

    @property
    def preprocess(self) -> Preprocess | None:
        """What is done to inputs before the network sees them, see `deepfs.preprocessing`."""
        return self.trainer.facts.preprocess

    @preprocess.setter
    def preprocess(self, new: Any) -> None:
        made = preprocessing.get(new)
        if made is not None and forms(self.trainer)[0] is not None:
            raise ValueError(
                "preprocess is of inputs that are one array, got a network of several: preprocess "
                "each before fit and predict"
            )
        self.trainer.facts.preprocess = made

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes in the order of their numbers, or None."""
        return self.trainer.facts.class_names

    @class_names.setter
    def class_names(self, new: Any) -> None:
        names = checked_names(new)
        check_names(self.trainer, names)
        self.trainer.facts.class_names = names

    def evaluate(
        self,
        x: Tree,
        y: Tree = None,
        batch_size: int | None = None,
        *,
        sample_weight: Tree = None,
        report: bool = False,
        views: Views | None = None,
    ) -> Any:
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
        report : bool
            Return a report instead: precision, recall and F1 score of each class, confusion matrix,
            top-k accuracy and calibration; of a network whose outputs are numbers, their errors.
        views : augment.Views, optional
            Test-time augmentation: measure the mean of the outputs for several views of an image.

        Returns
        -------
        dict of float, or report
            ``loss`` and metrics over all samples. A report has them, too, and prints as that of
            scikit-learn: see ``docs/evaluation.md``.

        Raises
        ------
        TypeError, ValueError
            If the data is empty, not finite, or does not fit the network; if there is no report,
            because the loss does not say what outputs mean.

        Examples
        --------
        >>> import deepfs as dfs
        >>> parts = dfs.layers.Identity(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
        >>> model = dfs.Model(*parts)
        >>> model.evaluate(np.array([[9.0, 0.0], [9.0, 0.0]]), np.array([0, 1]))["accuracy"]
        0.5
        """
        views = checked_views(views)
        if flag(report, "report"):
            check_report(self.trainer)
        data = checked_data(self.trainer, as_loader(x) or x, y, sample_weight)
        size = size_of(batch_size, data)
        if report:
            return evaluation_report(self.trainer, data, size, views)
        return self.trainer.evaluate(data, size, views=views)

    def predict(
        self, x: Tree, batch_size: int | None = None, *, views: Views | None = None
    ) -> Tree:
        """Return the outputs of the network, in inference mode.

        Parameters
        ----------
        x : array (n, ...)
            Inputs, or a `data.Loader`.
        batch_size : int, optional
            Samples at a time, by default 256, or those of the loader. It bounds the memory. Results
            of different sizes agree to rounding, and in float64 to the last bit: see
            ``docs/numerics.md``.
        views : augment.Views, optional
            As of `evaluate`.

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
        views = checked_views(views)
        with ended(self._batches(x, batch_size, compare=True)) as batches:
            network = self.trainer.network
            if views is None:
                parts = [network(batch.x) for batch in batches]
            else:
                parts = [views(network, batch.x) for batch in batches]
        return map_tree(lambda *outputs: np.concatenate(outputs), *parts)

    def _batches(self, x: Tree, batch_size: int | None, compare: bool = False) -> Iterator[Batch]:
        """Return batches of inputs as the network takes them, preprocessed once.

        With ``compare``, warn of inputs that lie far from those of the training.
        """
        facts, x = self.trainer.facts, as_loader(x) or x
        if isinstance(x, DataSet):
            size, raw = size_of(batch_size, x), unprepared(x)
            if isinstance(x, Loader):
                check_inputs(self.trainer, x)
            if compare and facts.summary is not None:
                self._compare(raw.take(slice(0, COMPARED_OF_SET)).x)
            if facts.preprocess is not None:
                x = raw.prepared(facts.preprocess)
            return x.parts(size)
        x, size = checked_inputs(self.trainer, x), size_of(batch_size, x)
        if compare and facts.summary is not None and not isinstance(x, (tuple, dict)):
            self._compare(x[: min(COMPARED, size)])
        data = DataSet(x, x)
        if facts.preprocess is not None:
            data = data.prepared(facts.preprocess)
        return data.parts(size)

    def _compare(self, x: Any) -> None:
        """Warn if raw inputs lie far from those of the training."""
        summary = self.trainer.facts.summary
        difference = "" if summary is None else what_is_far(summary, x)
        if difference:
            warn(difference)

    def predict_proba(
        self, x: Tree, batch_size: int | None = None, *, views: Views | None = None
    ) -> Tree:
        """Return the probabilities that the outputs stand for, as the loss says.

        Parameters
        ----------
        x : array (n, ...)
            Inputs, or a `data.Loader`.
        batch_size : int, optional
            Samples at a time, by default 256, or those of the loader. It bounds the memory. Results
            of different sizes agree to rounding, and in float64 to the last bit: see
            ``docs/numerics.md``.
        views : augment.Views, optional
            As of `evaluate`.

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
        return kind.probabilities(self.predict(x, batch_size, views=views))

    def predict_classes(
        self, x: Tree, batch_size: int | None = None, *, views: Views | None = None
    ) -> Tree:
        """Return the most probable class of each sample, as the loss says.

        Parameters
        ----------
        x : array (n, ...)
            Inputs, or a `data.Loader`.
        batch_size : int, optional
            Samples at a time, by default 256, or those of the loader. It bounds the memory. Results
            of different sizes agree to rounding, and in float64 to the last bit: see
            ``docs/numerics.md``.
        views : augment.Views, optional
            As of `evaluate`.

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
        return kind.classes(self.predict(x, batch_size, views=views))

    def predict_labels(
        self, x: Tree, batch_size: int | None = None, *, views: Views | None = None
    ) -> Any:
        """Return the name of the most probable class of each sample.

        Parameters
        ----------
        x : array (n, ...)
            Inputs, or a `data.Loader`.
        batch_size : int
            Samples at a time, as of `predict`.
        views : augment.Views, optional
            As of `evaluate`.

        Returns
        -------
        array of str (n, ...)
            ``class_names`` of what `predict_classes` returns. For labels that do not exclude each
            other (`losses.BinaryCrossEntropy` of several outputs): a list of lists of names.

        Raises
        ------
        TypeError, ValueError
            As `predict_classes`; ValueError if the model has no class names.

        Examples
        --------
        >>> import deepfs as dfs
        >>> parts = dfs.layers.Identity(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
        >>> model = dfs.Model(*parts, class_names=["cat", "dog"])
        >>> model.predict_labels(np.array([[0.0, 2.0], [3.0, 1.0]])).tolist()
        ['dog', 'cat']
        """
        names = self.class_names
        if names is None:
            raise ValueError(
                'the model has no class names: write model.class_names = ["cat", "dog", ...], '
                "or call predict_classes(x) for their numbers"
            )
        classes = self.predict_classes(x, batch_size, views=views)
        check_names(self.trainer, names)
        several = self.trainer.loss.output_kind is BINARY_LOGITS and classes.ndim > 1
        return labels_of(names, classes, several)

    def outputs_of(self, x: Tree, names: str | Sequence[str], batch_size: int | None = None) -> Any:
        """Return the outputs of inner layers, in inference mode.

        Parameters
        ----------
        x : array (n, ...)
            Inputs, as `predict` takes them.
        names : str or sequence of str
            Names of layers or containers, as in the summary and in the names of parameters.
        batch_size : int
            Samples at a time. It bounds the memory of all but the results, and changes no more
            than rounding.

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
        with ended(self._batches(x, batch_size)) as batches:
            watched = Watched(self.trainer.network, wanted)  # which is built now
            found = joined([watched(batch.x) for batch in batches])
        return found[names] if isinstance(names, str) else found

    def _output_kind(self) -> OutputKind:
        return self.trainer.loss.output_kind.in_network(self.trainer.network)

    def _loss_name(self) -> str:
        loss = self.trainer.loss
        return str(getattr(loss, "label", type(loss).__name__))
