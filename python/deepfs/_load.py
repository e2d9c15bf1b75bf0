"""Load a model from a file."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ._check import shown
from ._parts import check_kinds
from .model import Model
from .saving.model import read


def load(path: str | Path, layers: Iterable[type] = (), loss: Any = None) -> Model:
    """Load a model that `Model.save` wrote, or a checkpoint of `Model.fit`.

    The checksums of the whole file are compared before it is used. Loading takes no more memory
    than the size of the file plus 64 MB; gradients take memory from the first step on.

    Parameters
    ----------
    path : str or Path
        The file.
    layers : iterable of classes
        Your own classes of layers, losses, optimizers and schedules that the file may name. Other
        names in the file are never looked up or imported.
    loss : Loss, str, function, or tuple or dict of these, optional
        Loss of the model instead of the one in the file. A function of your own is not in the file,
        so a model that was trained with one needs it here.

    Returns
    -------
    Model
        The model as it was saved, with the optimizer's state.

    Raises
    ------
    CheckpointError
        If the file is not a model, is damaged, is of a newer version, or lacks the function that
        was its loss.
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
    ...     loaded = dfs.load(f"{folder}/m.safetensors")
    >>> bool((loaded.predict(x) == y).all())
    True
    """
    trainer, lost = read(path, layers, None if loss is None else check_kinds(loss, "loss"))
    if lost:
        text = f"{path}: metrics of your own are not in the file: {shown(', '.join(lost))[1:-1]}"
        warnings.warn(text, stacklevel=2)
    return Model._of(trainer)
