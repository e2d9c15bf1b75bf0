"""Exporter: what a model becomes outside of training: a file of ONNX, an inference model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .inference._model import InferenceModel, inference_model
from .predictor import Predictor


class Exporter(Predictor):
    """What `deepfs.Model` gives to other programs and processes."""

    def predictor(self) -> InferenceModel:
        """Return an immutable copy for inference, without optimizer, gradients and history.

        Returns
        -------
        InferenceModel
            It gives the same bits, in any number of threads, starts fast in a new process, and its
            pickle is about as large as the weights: see ``docs/serving.md``.

        Raises
        ------
        RuntimeError
            If the network is not built, or the preprocessing not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> import deepfs as dfs
        >>> parts = dfs.networks.mlp(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
        >>> model = dfs.Model(*parts)
        >>> model.predict(np.zeros((1, 1, 28, 28))).shape
        (1, 10)
        >>> model.predictor()
        <InferenceModel: (1, 28, 28) to (10,), 89,610 weights>
        """
        return inference_model(self)

    def export(
        self,
        path: str | Path,
        *,
        input_shape: Any = None,
        input_dtype: str | None = None,
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        dtype: Any = None,
    ) -> None:
        """Write network, preprocessing and class names to an ONNX file, for other programs.

        Parameters
        ----------
        path : str or Path
            The file, such as ``"m.onnx"``. It is written atomically.
        input_shape : tuple of int, optional
            Shape of a sample, before preprocessing. By default that of the network.
        input_dtype : str, optional
            dtype of the inputs, such as ``"uint8"``. By default that of the network.
        input_names, output_names : sequence of str, optional
            Names of inputs and outputs. By default "input" and "output", or those of a `Graph`.
        dtype : {"float32", "float64"}, optional
            dtype of weights and outputs. By default that of the network.

        Raises
        ------
        ImportError
            If onnx is not installed.
        TypeError, ValueError, RuntimeError, OSError
            As `deepfs.onnx.save`, which explains all of this.

        Examples
        --------
        >>> import deepfs as dfs
        >>> parts = dfs.networks.mlp(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
        >>> model = dfs.Model(*parts)
        >>> model.export("mlp.onnx", input_shape=(1, 28, 28))  # doctest: +SKIP
        """
        from .onnx import save

        save(
            self.trainer.network, path, input_shape=input_shape, input_dtype=input_dtype,
            input_names=input_names, output_names=output_names, dtype=dtype,
            preprocess=self.preprocess, class_names=self.class_names,
        )  # fmt: skip
