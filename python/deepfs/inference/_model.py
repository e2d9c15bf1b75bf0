"""`InferenceModel`: an immutable model that only predicts."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, NoReturn

import numpy as np

from .._arrays import Array, Shape, ignore_overflow
from .._check import shown, whole
from .._labels import labels_of
from .._names import hint
from .._trees import Tree, leaves, map_tree
from ..layers import Layer
from ..losses._output_kinds import BINARY_LOGITS, OutputKind
from ..preprocessing import Preprocess
from ._fixed import fix, fixed_network, sharing
from ._plan import AT_ONCE, Plans


class InferenceModel:
    """A model that only predicts: immutable, for any number of threads and processes.

    `Model.predictor` makes one of a trained model, `load` one of a model's file. It has a copy of
    the weights, read-only, the preprocessing and the names of the classes; no gradients, no
    optimizer and no history. Its answers have the bits of those of the model at that moment.

    A pickle of it is about as large as the weights. Like any pickle, load it only if you trust
    where it comes from, and with the version of deepfs that wrote it; a model's file is for
    everything else. ``docs/serving.md`` tells of threads, processes and HTTP.

    Examples
    --------
    >>> import deepfs as dfs
    >>> model = dfs.Model(dfs.networks.mlp(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    >>> x = np.ones((2, 1, 28, 28), np.float32)
    >>> y = model.predict(x)
    >>> predictor = model.predictor()
    >>> bool((predictor(x) == y).all())
    True
    >>> predictor.weights["dense_3.bias"][0] = 1
    Traceback (most recent call last):
    ValueError: assignment destination is read-only
    """

    __slots__ = (
        "__weakref__", "_class_names", "_kind", "_loss", "_network", "_plans", "_preprocess",
    )  # fmt: skip

    _class_names: tuple[str, ...] | None
    _kind: OutputKind
    _loss: str  # what messages call the loss
    _network: Layer
    _plans: Plans
    _preprocess: Preprocess | None

    def __init__(self) -> None:
        raise TypeError(
            "InferenceModel is made by model.predictor(), or by InferenceModel.load(path)"
        )

    @classmethod
    def _of(
        cls,
        network: Layer,
        preprocess: Preprocess | None,
        class_names: tuple[str, ...] | None,
        kind: OutputKind,
        loss: str,
    ) -> InferenceModel:
        """Return one of these parts, which nothing else changes any more."""
        made = object.__new__(cls)
        parts: dict[str, Any] = {"network": network, "preprocess": preprocess}
        parts |= {"class_names": class_names, "kind": kind, "loss": loss, "plans": Plans(network)}
        for name, part in parts.items():
            object.__setattr__(made, f"_{name}", part)
        return made

    @classmethod
    def load(
        cls, path: str | Path, layers: Iterable[type] = (), loss: Any = None
    ) -> InferenceModel:
        """Load from a file that `Model.save` wrote, or a checkpoint, what inference needs.

        It is faster than ``deepfs.load(path).predictor()``, and the same.

        Parameters
        ----------
        path, layers, loss
            As of `deepfs.load`.

        Raises
        ------
        CheckpointError, FileNotFoundError
            As `deepfs.load`.

        Examples
        --------
        >>> import tempfile
        >>> import deepfs as dfs
        >>> model = dfs.Model(dfs.networks.mlp(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
        >>> y = model.predict(np.ones((1, 1, 28, 28)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/m.safetensors")
        ...     predictor = dfs.InferenceModel.load(f"{folder}/m.safetensors")
        >>> bool((predictor(np.ones((1, 1, 28, 28))) == y).all())
        True
        """
        from ._read import read

        if loss is not None:
            from .._parts import check_kinds  # takes 40 ms

            loss = check_kinds(loss, "loss")
        found = read(path, layers, loss)
        return cls._of(found.network, found.preprocess, found.class_names, *meaning(found))

    def __call__(self, x: Tree) -> Tree:
        """Return the outputs of the network: short for ``predict(x)``."""
        return self.predict(x)

    def predict(self, x: Tree, batch_size: int | None = None) -> Tree:
        """Return the outputs of the network.

        Parameters
        ----------
        x : array (n, ...)
            Inputs, before preprocessing; a tuple or dict of them for a network of several.
        batch_size : int, optional
            Samples at a time, by default 256. It bounds the memory. Results of different sizes
            agree to rounding, and in float64 to the last bit: see ``docs/numerics.md``.

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
        >>> model = dfs.Model(dfs.networks.mlp(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
        >>> model.train_on_batch(np.ones((1, 1, 28, 28)), np.array([3]))["accuracy"] <= 1
        True
        >>> model.predictor().predict(np.zeros((3, 1, 28, 28))).shape
        (3, 10)
        """
        if batch_size is None and type(x) is np.ndarray and self._preprocess is None:
            y = self._plans.run(x)  # a small batch of a known shape
            if y is not None:
                return y
        size = AT_ONCE if batch_size is None else whole(batch_size, "batch_size")
        if not self._fits(x):
            x = self._checked(x)
        samples = len(next(iter(leaves(x))))
        parts = [
            self._outputs(map_tree(lambda leaf, i=start: leaf[i : i + size], x))
            for start in range(0, samples, size)
        ]
        return map_tree(lambda *outputs: np.concatenate(outputs), *parts)

    def _outputs(self, x: Tree) -> Tree:
        """Return the outputs for checked inputs."""
        if self._preprocess is None:
            return self._network(x)
        x = self._preprocess(x)
        y = self._plans.run(x)
        return self._network(x) if y is None else y

    def _fits(self, x: Any) -> bool:
        """Return whether ``x`` is surely an array that the network takes."""
        if type(x) is not np.ndarray or x.dtype.kind not in "iuf" or not x.size:
            return False
        shape = x.shape[1:]
        if self._preprocess is not None:
            try:
                shape = self._preprocess.out_shape(shape)
            except Exception:  # of a class of the user's: `_checked` says what it raises
                return False
        if shape != self._network.in_shape:
            return False
        if x.dtype.kind != "f":
            return True
        if self._preprocess is None and x.dtype != self._network.built_dtype:
            with ignore_overflow():
                x = x.astype(self._network.built_dtype)
        return bool(np.isfinite(x).all())

    def _checked(self, x: Any) -> Tree:
        """Return inputs as arrays, or say what is wrong with them, as `Model.predict` does."""
        from ..data.batches import DataSet  # these imports take 100 ms
        from ..training.inputs import checked_inputs

        if isinstance(x, DataSet):
            raise TypeError(
                f"InferenceModel takes arrays, got a {type(x).__name__}: model.predict takes it; "
                "here, call predict for each of its batches"
            )
        facts = SimpleNamespace(preprocess=self._preprocess, summary=None)
        known: Any = SimpleNamespace(
            network=self._network, loss=None, facts=facts, build=lambda _: None
        )
        return checked_inputs(known, x)

    def predict_proba(self, x: Tree, batch_size: int | None = None) -> Tree:
        """Return the probabilities that the outputs stand for; see `Model.predict_proba`.

        Raises
        ------
        TypeError, ValueError
            As `predict`; ValueError if the loss is of scores or numbers, or a function.

        Examples
        --------
        >>> import deepfs as dfs
        >>> parts = dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
        >>> model = dfs.Model(*parts)
        >>> logs = model.train_on_batch(np.eye(2), np.array([0, 1]))
        >>> model.predictor().predict_proba(np.eye(2)).sum(axis=1).round(6).tolist()
        [1.0, 1.0]
        """
        if self._kind.no_probabilities:
            raise ValueError(f"no probabilities from {self._loss}: {self._kind.no_probabilities}")
        return self._kind.probabilities(self.predict(x, batch_size))

    def predict_classes(self, x: Tree, batch_size: int | None = None) -> Tree:
        """Return the most probable class of each sample; see `Model.predict_classes`.

        Raises
        ------
        TypeError, ValueError
            As `predict`; ValueError if the loss is of numbers, or a function.

        Examples
        --------
        >>> import deepfs as dfs
        >>> parts = dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
        >>> model = dfs.Model(*parts)
        >>> logs = model.train_on_batch(np.eye(2), np.array([0, 1]))
        >>> model.predictor().predict_classes(np.eye(2)).shape
        (2,)
        """
        if self._kind.no_classes:
            raise ValueError(f"no classes from {self._loss}: {self._kind.no_classes}")
        return self._kind.classes(self.predict(x, batch_size))

    def predict_labels(self, x: Tree, batch_size: int | None = None) -> Any:
        """Return the name of the most probable class of each sample; see `Model.predict_labels`.

        Raises
        ------
        TypeError, ValueError
            As `predict_classes`; ValueError if the model has no class names.

        Examples
        --------
        >>> import deepfs as dfs
        >>> parts = dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
        >>> model = dfs.Model(*parts, class_names=["cat", "dog"])
        >>> logs = model.train_on_batch(np.eye(2), np.array([0, 1]))
        >>> model.predictor().predict_labels(np.eye(2)).shape
        (2,)
        """
        if self._class_names is None:
            raise ValueError(
                'the model has no class names: write model.class_names = ["cat", "dog", ...] and '
                "call model.predictor() again, or call predict_classes(x) for their numbers"
            )
        classes = self.predict_classes(x, batch_size)
        several = self._kind is BINARY_LOGITS and classes.ndim > 1
        return labels_of(self._class_names, classes, several)

    @property
    def network(self) -> Layer:
        """A copy of the network that shares the read-only weights."""
        return sharing(self._network)

    @property
    def weights(self) -> MappingProxyType[str, Array]:
        """Parameters and buffers of the network by name: arrays that cannot be written."""
        return MappingProxyType(self._network._weights())

    @property
    def in_shape(self) -> Shape | Tree:
        """Shape of a sample as the network takes it: after preprocessing, without the batch axis.

        Of a network of several inputs, the tuple or dict of their shapes.
        """
        return self._network.in_shape

    @property
    def out_shape(self) -> Shape | Tree:
        """Shape of the outputs for such a sample."""
        return self._network.out_shape(self._network.in_shape or ())

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype in which the network computes: float32 or float64."""
        return np.dtype(self._network.built_dtype)

    @property
    def preprocess(self) -> Preprocess | None:
        """A copy of what is done to inputs before the network sees them, or None."""
        return copy.deepcopy(self._preprocess)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes in the order of their numbers, or None."""
        return self._class_names

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(
            f"InferenceModel.{name} cannot be set, it is immutable: change the model, then call "
            "model.predictor() again"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"InferenceModel.{name} cannot be deleted, it is immutable")

    def __getattr__(self, name: str) -> NoReturn:
        known = [public for public in dir(type(self)) if public[0] != "_"]
        raise AttributeError(
            f"InferenceModel has no attribute {name!r}{training(name) or hint(name, known)}"
        )

    def __copy__(self) -> InferenceModel:
        return self

    def __deepcopy__(self, memo: Any) -> InferenceModel:
        return self

    def __reduce__(self) -> Any:
        parts = self._network, self._preprocess, self._class_names, self._kind, self._loss
        return unpickled, parts

    def __repr__(self) -> str:
        numbers = sum(p.size for p in self._network.parameters().values())
        names = "" if self._class_names is None else f", classes {shown(list(self._class_names))}"
        return f"<InferenceModel: {self.in_shape} to {self.out_shape}, {numbers:,} weights{names}>"


def training(name: str) -> str:
    """Return the end of a message about what a `Model` has and this has not."""
    ways = ("fit", "train_on_batch", "evaluate", "optimizer", "loss", "metrics", "history", "save")
    return f": {name} is of the Model that it was made of" if name in ways else ""


def meaning(model: Any) -> tuple[OutputKind, str]:
    """Return what the outputs of a network mean, and what messages call its loss."""
    loss = model.loss
    kind: OutputKind = loss.output_kind.in_network(model.network)
    return kind, str(getattr(loss, "label", type(loss).__name__))


def inference_model(model: Any) -> InferenceModel:
    """Return the `InferenceModel` of a `Model`; see `Model.predictor`."""
    network, preprocess = model.network, model.preprocess
    if network.built_dtype is None:
        raise RuntimeError(
            "Model.predictor needs a network that has seen data, got one without weights: call "
            "fit, or network.build(in_shape) with the shape of a sample"
        )
    if preprocess is not None and not preprocess.fitted:
        raise RuntimeError(f"Model.predictor needs a fitted preprocessing, got {preprocess!r}")
    kept = fixed_network(network), copy.deepcopy(preprocess), model.class_names
    return InferenceModel._of(*kept, *meaning(model))


def unpickled(network: Layer, *parts: Any) -> InferenceModel:
    """Return the `InferenceModel` of a pickle."""
    fix(network)
    return InferenceModel._of(network, *parts)
