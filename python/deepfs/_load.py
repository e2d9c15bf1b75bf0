"""Reading a model from a file."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

from .model import Model
from .saving.model import read


def load(path: str | Path, layers: Iterable[type] = ()) -> Model:
    """Read a model that `Model.save` wrote, or `Model.fit` as a checkpoint.

    Every byte of the file is checked before it is used. It takes no more memory than the file and
    64 MB, and gradients, which are none before the first step.

    Parameters
    ----------
    path : str or Path
        Of the file.
    layers : iterable of classes
        Layers, losses, optimizers and schedules of your own that the file may name. Nothing else
        that it names is looked up or imported.

    Returns
    -------
    Model
        As it was saved, the optimizer's state included.

    Raises
    ------
    CheckpointError
        If the file is not a model, is damaged, or is of a newer version.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import tempfile
    >>> import deepfs as dfs
    >>> model = dfs.Model(dfs.networks.mlp(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    >>> x = np.ones((1, 1, 28, 28), np.float32)
    >>> y = model.predict(x)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/m.safetensors")
    ...     twin = dfs.load(f"{folder}/m.safetensors")
    >>> bool((twin.predict(x) == y).all())
    True
    """
    trainer, lost = read(path, layers)
    if lost:
        text = f"{path}: metrics of your own are not in the file: {', '.join(lost)}"
        warnings.warn(text, stacklevel=2)
    return Model._of(trainer)
