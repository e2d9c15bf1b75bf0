"""Write a network as an ONNX file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._arrays import Shape, float_dtype
from .._check import checked_names, one_of, shown
from .._check import shape as checked_shape
from .._trees import Tree, is_shape, leaves, map_shapes, map_tree
from .._version import __version__
from ..layers import Graph, Layer
from ..layers._several import Several
from ..layers._symbolic import entries
from ..preprocessing import Preprocess
from ..preprocessing import get as preprocess_of
from ..saving.tensors import destination, remove_orphans, replacing
from . import (  # noqa: F401 they register what writes each layer
    _export_activations,
    _export_containers,
    _export_norms,
    _export_resize,
    _export_shapes,
    _export_windows,
)
from ._export_graph import OnnxGraph, Value
from ._export_preprocessing import preprocessed, raw_shape
from ._need import need_onnx

INPUTS = ("float32", "float64", "uint8", "int8", "uint16", "int16", "int32", "int64")


def save(
    network: Layer,
    path: str | Path,
    *,
    input_shape: Any = None,
    input_dtype: str | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dtype: DTypeLike | None = None,
    preprocess: Preprocess | None = None,
    class_names: Sequence[str] | None = None,
) -> None:
    """Write a network to an ONNX file, as it is in inference; the number of samples stays open.

    For a model, `deepfs.Model.export` calls this with the model's preprocessing and class names.

    Parameters
    ----------
    network : Layer
        The network, or any layer.
    path : str or Path
        The file, such as ``"m.onnx"``. It is written atomically: after an error, an earlier file of
        that name is as it was.
    input_shape : tuple of int, or tuple or dict of them, optional
        Shape of a sample, without the batch axis, in the form of the network's inputs; before
        preprocessing, if there is one. By default that for which the network was built. It is fixed
        in the file.
    input_dtype : str, optional
        dtype of the inputs: float32, float64, uint8, int8, uint16, int16, int32 or int64. By
        default that of the network. Pictures are often given as "uint8".
    input_names, output_names : sequence of str, optional
        Names of inputs and outputs, in their order. By default those of a `Graph` that has a dict
        of them, or an ``Input`` with a name; else "input" and "output", of several "input_1", ...
    dtype : {"float32", "float64"}, optional
        dtype of the weights and the outputs. By default that of the network. Runtimes have few
        operators for float64.
    preprocess : Preprocess, optional
        What is done to inputs first, see `deepfs.preprocessing`.
    class_names : sequence of str, optional
        Names of the classes; they are kept in the metadata ``class_names``, as a JSON list.

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError
        If a layer has no ONNX form: ``docs/onnx.md`` shows how it gets one.
    ValueError, RuntimeError
        If shapes, names or dtypes do not fit, preprocessing has not been fitted, the weights exceed
        2 GB, the shape is neither given nor known, or onnx refuses nodes of a ``to_onnx``.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import os, tempfile
    >>> import deepfs as dfs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "lenet5.onnx")
    ...     dfs.onnx.save(dfs.networks.lenet5(), path, input_shape=(1, 28, 28))
    ...     print(os.listdir(folder))
    ['lenet5.onnx']
    """
    onnx = need_onnx("deepfs.onnx.save")
    if not isinstance(network, Layer):
        way = ": write model.export(path)" if hasattr(network, "network") else ""
        raise TypeError(f"deepfs.onnx.save takes a network, got {shown(network)}{way}")
    target, earlier = destination(Path(path).expanduser())
    preprocess, names = preprocess_of(preprocess), checked_names(class_names)
    raw, shapes = shapes_of(network, input_shape, preprocess)
    if network.built_dtype is None:
        network.build(shapes)
    own: Any = network.built_dtype
    graph = OnnxGraph(onnx, float_dtype(own if dtype is None else dtype))
    model = model_of(graph, network, raw, input_dtype, input_names, output_names, preprocess)
    if names is not None:
        onnx.helper.set_model_props(model, {"class_names": json.dumps(names)})
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ValueError(
            f"{path} has not been written, onnx refuses the nodes; check the to_onnx of your own "
            f"layers: {error}"
        ) from error
    remove_orphans(target.parent)
    with replacing(target, earlier) as file:
        file.write(model.SerializeToString())


def shapes_of(network: Layer, given: Any, preprocess: Preprocess | None) -> tuple[Any, Any]:
    """Return the shapes of samples before and after preprocessing; check them.

    Raises
    ------
    ValueError, RuntimeError
        If they are not known, or not those of the network.
    """
    known = network.in_shape
    if known is None and isinstance(network, Graph):
        known = network._declared
    if given is not None and not isinstance(given, (tuple, list, dict)):
        raise TypeError(f"input_shape must be a tuple such as (3, 32, 32), got {shown(given)}")
    shapes = known if given is None else map_shapes(checked_shape, given)
    if shapes is None:
        raise RuntimeError(
            f"{network.label} has not seen data: give the shape of a sample, such as "
            "input_shape=(3, 32, 32)"
        )
    if preprocess is None:
        shapes = network._matched(shapes) if isinstance(network, Several) else shapes
        return shapes, shapes
    if not is_shape(shapes):
        raise ValueError(
            f"preprocess is of inputs that are one array, got a network of {len(shapes)}"
        )
    preprocess._check_fitted()
    raw = raw_shape(preprocess, shapes) if given is None else shapes
    preprocess._check_shape(raw)
    after = preprocess.out_shape(raw)
    if given is None and after != known:
        raise ValueError(
            f"{type(preprocess).__name__} makes samples of shape {after}, the network takes "
            f"{known}: give input_shape, the shape of a sample before preprocessing"
        )
    return raw, after


def model_of(
    graph: OnnxGraph,
    network: Layer,
    shapes: Any,
    input_dtype: str | None,
    input_names: Sequence[str] | None,
    output_names: Sequence[str] | None,
    preprocess: Preprocess | None,
) -> Any:
    """Return the ONNX model of a network for samples of ``shapes``, with its preprocessing."""
    helper, dtype = graph.onnx.helper, graph.dtype
    takes = np.dtype(dtype if input_dtype is None else one_of(input_dtype, "input_dtype", INPUTS))
    inputs = named(network, shapes, input_names, "input")
    for name in inputs:
        graph.unique(name)
    described = [described_as(graph, name, takes, shape)
                 for name, shape in zip(inputs, entries(shapes), strict=True)]  # fmt: skip
    x = like(shapes, inputs)
    graph.note(x, shapes)
    given = takes
    if preprocess is not None:
        x = preprocessed(graph, preprocess, x, takes)
        given = np.dtype(np.float64 if takes == np.float64 else np.float32)
    if given != dtype:
        x = map_tree(lambda value: graph.cast(value, dtype), x)
    in_shape = shapes if preprocess is None else preprocess.out_shape(shapes)
    y = graph.layer(network, x, "", in_shape)
    out_shapes = map_tree(graph.shape_of, y)
    outputs = named(network, out_shapes, output_names, "output")
    give_names(graph, [*leaves(y)], outputs)
    made = helper.make_graph(
        graph.nodes,
        network.name or type(network).__name__,
        described,
        [described_as(graph, name, dtype, shape)
         for name, shape in zip(outputs, entries(out_shapes), strict=True)],
        [graph.onnx.numpy_helper.from_array(array, name)
         for name, array in graph.constants.items()],
    )  # fmt: skip
    opset = [helper.make_opsetid("", graph.opset)]
    return helper.make_model(
        made, opset_imports=opset, ir_version=helper.find_min_ir_version_for(opset),
        producer_name="deepfs", producer_version=__version__,
    )  # fmt: skip


def described_as(graph: OnnxGraph, name: str, dtype: np.dtype[Any], shape: Shape) -> Any:
    """Return what an ONNX graph says of an input or output; the batch axis is open."""
    helper = graph.onnx.helper
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    return helper.make_tensor_value_info(name, kind, ["batch", *shape])


def like(shapes: Any, names: Sequence[str]) -> Tree:
    """Return names in the form of shapes: one, a tuple or a dict."""
    if is_shape(shapes):
        return names[0]
    return dict(zip(shapes, names, strict=True)) if isinstance(shapes, dict) else tuple(names)


def named(network: Layer, shapes: Any, given: Sequence[str] | None, what: str) -> list[str]:
    """Return the names of inputs or outputs.

    Raises
    ------
    TypeError, ValueError
        If those that are given are no different strings, or not as many as there are.
    """
    count = len([*entries(shapes)])
    if given is not None:
        names = [given] if isinstance(given, str) else [*given]
        if not all(isinstance(name, str) and name for name in names):
            raise TypeError(f"{what}_names must be strings, got {shown(given)}")
        if len(names) != count or len({*names}) != count:
            raise ValueError(
                f"{what}_names must be {count} different names, one for each {what}, got "
                f"{shown(given)}"
            )
        return names
    if isinstance(shapes, dict):
        return [*shapes]
    names = [what] if count == 1 else [f"{what}_{number + 1}" for number in range(count)]
    if what == "input" and isinstance(network, Graph):
        own = [tensor.name for tensor in leaves(network.inputs)]
        names = [mine or name for mine, name in zip(own, names, strict=True)]
        if len({*names}) != count:
            raise ValueError(f"inputs must have different names, got {names}: give input_names")
    return names


def give_names(graph: OnnxGraph, values: list[Value], names: list[str]) -> None:
    """Give the outputs of the network their names.

    Raises
    ------
    ValueError
        If an input has the same name.
    """
    made = {output for node in graph.nodes for output in node.output}
    for value, name in zip(values, names, strict=True):
        if graph.unique(name) != name:
            raise ValueError(
                f"{name!r} is the name of an output and of another value: give other output_names"
            )
        if value in made and values.count(value) == 1:
            graph.rename(value, name)
        else:  # an input, or an output that is there twice
            graph.nodes.append(graph.onnx.helper.make_node("Identity", [value], [name], name=name))
