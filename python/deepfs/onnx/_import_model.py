"""``deepfs.onnx.load``: a network from an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .._arrays import Shape
from ..layers import Layer


def load(path: str | Path, input_shape: Shape | Mapping[str, Shape] | None = None) -> Layer:
    """Return a network that computes what an ONNX file computes, and trains on.

    Parameters
    ----------
    path : str or Path
        An ONNX file of operator set 11 to 28, as PyTorch (``torch.onnx.export``), Keras (tf2onnx)
        and `save` write it. Nothing in a file is executed, and no other file is opened.
    input_shape : tuple of int, or dict of them by name, optional
        Shapes of samples, without the batch axis, as the file has its axes. Needed where the file
        leaves height or width of its inputs free.

    Returns
    -------
    Layer
        A built network with the weights of the file: a `Sequential` if its layers are a chain, else
        a `Graph`. Several inputs or outputs are dicts by their names in the file. Give it to
        `deepfs.Model` to train it.

    Raises
    ------
    ImportError
        If onnx is not installed: ``pip install deepfs[onnx]``.
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If the file is damaged or no ONNX file, lacks arrays, keeps them in other files, or has an
        operator set or IR version that is not read.
    ValueError
        If something of the file has no counterpart in deepfs. The message lists all such nodes, by
        operator and name, each with the reason.

    Notes
    -----
    The first axis of inputs counts samples and is free, whatever number the file states. Images are
    ``(n, c, h, w)``: where a file of Keras takes ``(n, h, w, c)`` and permutes that first, the
    network takes and gives channels first, and the permutations are gone.

    Constants that a file multiplies or adds become a `BatchNorm` with fixed statistics, which
    scales and shifts.

    References
    ----------
    https://onnx.ai/onnx/operators

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import onnx
    >>> from onnx.parser import parse_model
    >>> import deepfs as dfs
    >>> text = '''<ir_version: 8, opset_import: ["": 17]> net (float[n, 2] x) => (float[n, 1] y)
    ... <float[2, 1] w = {1, 2}> {z = MatMul(x, w)  y = Relu(z)}'''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     onnx.save(parse_model(text), f"{folder}/net.onnx")
    ...     net = dfs.onnx.load(f"{folder}/net.onnx")
    >>> net(np.array([[1.0, 10.0], [-1.0, 0.0]], np.float32))
    array([[21.],
           [ 0.]], dtype=float32)
    >>> model = dfs.Model(net, "mse", dfs.optimizers.SGD(0.01))
    """
    from ._import_file import read
    from ._import_net import Importer

    importer = Importer(read(path), input_shape)
    importer.read()
    return importer.network()
