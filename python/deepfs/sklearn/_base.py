"""What the estimators share: from arrays of scikit-learn to a `deepfs.Model` and back."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_is_fitted,
    validate_data,
)

from .._arrays import Array
from ..callbacks import EarlyStopping
from ..layers import Layer
from ..model import Model
from ..optimizers import get as optimizer_named

MAX_SEED = 2**31 - 1


@dataclass(eq=False, repr=False)
class Estimator(BaseEstimator):  # type: ignore[misc]
    """Base of the estimators: `fit`, `partial_fit` and `predict` by a `deepfs.Model`.

    Derived classes say what the network is, and what targets and outputs mean.

    Parameters
    ----------
    optimizer : str or Optimizer
        Rule of the steps: a name of `deepfs.optimizers`, or an optimizer, whose own settings hold.
    learning_rate_init : float
        Learning rate of an optimizer given by name.
    alpha : float
        L2 regularisation (weight decay) of an optimizer given by name.
    batch_size : int or "auto"
        Samples per step; "auto" is the smaller of 200 and the number of samples.
    max_iter : int
        Number of epochs, at most.
    shuffle : bool
        Use a new order of the samples in each epoch.
    random_state : int, RandomState or None
        Seed of weights, order and split.
    tol : float
        Least change of the loss that counts as an improvement.
    verbose : bool or int
        As of `deepfs.Model.fit`; True: a line per epoch.
    warm_start : bool
        `fit` goes on with the weights that there are.
    early_stopping : bool
        Put a part of the data aside, stop by its loss, and keep the best weights. False: stop by
        the loss of the training.
    validation_fraction : float
        That part, in (0, 1).
    n_iter_no_change : int
        Epochs without improvement after which the training stops.

    Attributes
    ----------
    model_ : deepfs.Model
        The trained model; ``model_.save(path)`` writes it as safetensors.
    loss_curve_, loss_, n_iter_ : list of float, float, int
        Loss of each epoch, that of the last, and the number of epochs of the last `fit`.
    n_features_in_, feature_names_in_ : int, array of str
        Number of features of the samples, and their names if the samples were a table.

    Notes
    -----
    Names and defaults are those of scikit-learn's ``MLPClassifier``, except that ``alpha`` is 0
    here and belongs to a step, not to a sample. Samples of float64 are trained in float64.
    """

    optimizer: Any = field(default="adam", kw_only=True)
    learning_rate_init: float = field(default=0.001, kw_only=True)
    alpha: float = field(default=0.0, kw_only=True)
    batch_size: Any = field(default="auto", kw_only=True)
    max_iter: int = field(default=200, kw_only=True)
    shuffle: bool = field(default=True, kw_only=True)
    random_state: Any = field(default=None, kw_only=True)
    tol: float = field(default=1e-4, kw_only=True)
    verbose: Any = field(default=False, kw_only=True)
    warm_start: bool = field(default=False, kw_only=True)
    early_stopping: bool = field(default=False, kw_only=True)
    validation_fraction: float = field(default=0.1, kw_only=True)
    n_iter_no_change: int = field(default=10, kw_only=True)

    @abstractmethod
    def _network(self, shape: tuple[int, ...], outputs: int) -> Layer:
        """Return a network for samples of a shape."""

    @abstractmethod
    def _targets(self, y: Any, reset: bool) -> tuple[Array, int]:
        """Return targets for the loss, and the number of outputs; reset: learn what they are."""

    @abstractmethod
    def _loss(self) -> str:
        """Return the name of the loss."""

    def _shaped(self, X: Array) -> Array:
        """Return samples as the network takes them."""
        return X

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on samples X (n, features) and their targets y.

        Parameters
        ----------
        X : array_like (n, features)
            Samples. float64 trains in float64, other numbers in float64 too, float32 in float32.
        y : array_like (n,) or, for regression, (n, outputs)
            Classes, numbers or text; or numbers to predict.
        sample_weight : array_like (n,), optional
            Weight of each sample: 2 is as good as the sample twice.

        Returns
        -------
        self
        """
        goes_on = self.warm_start and hasattr(self, "model_")
        X, t, weight = self._checked(X, y, sample_weight, reset=not goes_on)
        if not goes_on:
            self._start(X, t)
        validation = None
        if self.early_stopping:
            X, t, weight, validation = self._split(X, t, weight)
        stop = EarlyStopping(
            "val_loss" if self.early_stopping else "loss",
            min_delta=self.tol,
            patience=self.n_iter_no_change,
            mode="min",
            restore_best_weights=self.early_stopping,
        )
        history = self._run(X, t, weight, self.max_iter, validation, [stop])
        before: list[float] = self.loss_curve_ if goes_on else []
        self.loss_curve_: list[float] = before + history["loss"]
        self.n_iter_ = len(history["loss"])
        self.loss_ = self.loss_curve_[-1]
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> Any:
        first = not hasattr(self, "model_")
        X, t, weight = self._checked(X, y, sample_weight, reset=first)
        if first:
            self._start(X, t)
            self.loss_curve_, self.n_iter_ = [], 0
        history = self._run(X, t, weight, 1, None, [])
        self.loss_curve_ = self.loss_curve_ + history["loss"]
        self.loss_ = self.loss_curve_[-1]
        self.n_iter_ += 1
        return self

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, reset: bool
    ) -> tuple[Array, Array, Array | None]:
        """Return samples, targets and weights as arrays; raise ValueError for wrong ones."""
        X, y = validate_data(
            self, X, y, dtype=[np.float64, np.float32], multi_output=True, reset=reset,
            ensure_min_samples=1, y_numeric=isinstance(self, RegressorMixin),
        )  # fmt: skip
        t, self._outputs = self._targets(y, reset)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        weight = self._class_weights(t, weight)
        return X, t, weight

    def _class_weights(self, t: Array, weight: Array | None) -> Array | None:
        return weight

    def _start(self, X: Array, t: Array) -> None:
        """Make a new model for such data."""
        shape = self._shaped(X[:1]).shape[1:]
        rule = self.optimizer
        if isinstance(rule, str):
            rule = optimizer_named(rule)
            rule.lr, rule.weight_decay = self.learning_rate_init, self.alpha
        seed = int(check_random_state(self.random_state).randint(MAX_SEED))
        network = self._network(shape, self._outputs)
        self.model_ = Model(network, self._loss(), rule, metrics=(), seed=seed)

    def _split(self, X: Array, t: Array, weight: Array | None) -> Any:
        """Return the part to train on, and that to validate on."""
        parts = [X, t] if weight is None else [X, t, weight]
        seed = int(check_random_state(self.random_state).randint(MAX_SEED))
        labels = t if isinstance(self, ClassifierMixin) else None
        split = train_test_split(
            *parts, test_size=self.validation_fraction, random_state=seed, stratify=labels
        )
        validation = tuple(self._shaped(split[1]) if i == 1 else each
                           for i, each in enumerate(split, 0) if i % 2)  # fmt: skip
        train = split[::2]
        return train[0], train[1], train[2] if weight is not None else None, validation

    def _run(
        self, X: Array, t: Array, weight: Array | None, epochs: int, validation: Any, stop: Any
    ) -> Any:
        size = min(200, len(X)) if self.batch_size == "auto" else self.batch_size
        return self.model_.fit(
            self._shaped(X), t, batch_size=size, epochs=epochs, validation_data=validation,
            shuffle=self.shuffle, verbose=2 if self.verbose is True else int(self.verbose),
            sample_weight=weight, callbacks=stop,
        )  # fmt: skip

    def _predicting(self, X: Any) -> Array:
        """Return samples to predict, checked."""
        check_is_fitted(self, "model_")
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        dtype = self.model_.network.built_dtype
        return self._shaped(X.astype(dtype, copy=False))


@dataclass(eq=False, repr=False)
class Classifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """Base of the classifiers: an `Estimator` whose targets are classes.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        Weight of each class: a factor of the sample weight.

    Attributes
    ----------
    classes_ : array (classes,)
        The classes, sorted.
    """

    class_weight: Any = field(default=None, kw_only=True)

    def _loss(self) -> str:
        return "cross_entropy"

    def _targets(self, y: Any, reset: bool) -> tuple[Array, int]:
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if reset and not getattr(self, "_known_classes", False):
            self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes, got 1 class: "
                f"{self.classes_.tolist()[0]!r}"
            )
        t = np.searchsorted(self.classes_, y)
        at = np.minimum(t, len(self.classes_) - 1)
        unknown = self.classes_[at] != y
        if unknown.any():
            raise ValueError(
                f"{type(self).__name__} knows the classes {self.classes_[:10].tolist()}, got "
                f"{y[unknown].tolist()[0]!r} in sample {int(unknown.argmax())}"
            )
        return at, len(self.classes_)

    def _class_weights(self, t: Array, weight: Array | None) -> Array | None:
        if self.class_weight is None:
            return weight
        by_class = self.class_weight
        if not isinstance(by_class, str):
            numbers = {name: i for i, name in enumerate(self.classes_)}
            unknown = [name for name in by_class if name not in numbers]
            if unknown:
                raise ValueError(
                    f"class_weight must be of the classes {self.classes_[:10].tolist()}, "
                    f"got {unknown[0]!r}"
                )
            by_class = {numbers[name]: value for name, value in by_class.items()}
        own = compute_sample_weight(by_class, t)
        return own if weight is None else own * weight

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """Train one epoch on a part of the data.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`.
        classes : array_like, optional
            All classes, needed at the first call unless ``y`` has them all.

        Returns
        -------
        self
        """
        if classes is not None and not hasattr(self, "model_"):
            self.classes_, self._known_classes = np.unique(classes), True
        return self._partial_fit(X, y, sample_weight)

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, (n, classes), in the order of ``classes_``."""
        X = self._predicting(X)
        return self.model_.predict_proba(X)

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each sample, (n,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]


@dataclass(eq=False, repr=False)
class Regressor(RegressorMixin, Estimator):  # type: ignore[misc]
    """Base of the regressors."""

    def _loss(self) -> str:
        return "mean_squared_error"

    def _targets(self, y: Any, reset: bool) -> tuple[Array, int]:
        y = check_array(y, ensure_2d=False, dtype=[np.float64, np.float32])
        if reset:
            self._one_column = y.ndim == 1
        t = y.reshape(len(y), -1)
        return t, t.shape[1]

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train one epoch on a part of the data.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`.

        Returns
        -------
        self
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> Array:
        """Return the numbers predicted, in the form of the targets of `fit`."""
        X = self._predicting(X)
        y = self.model_.predict(X)
        return y[:, 0] if self._one_column else y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
