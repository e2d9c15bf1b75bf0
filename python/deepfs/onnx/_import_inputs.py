"""Inputs of ONNX files: of which shape and dtype their samples are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._arrays import Shape
from .._check import shown, whole
from .._names import hint
from ._import_file import Entry, OnnxFile
from ._import_values import Refused


def given_shapes(file: OnnxFile, given: Any) -> dict[str, Shape]:
    """Return the shapes of samples that a caller gives, by the names of inputs.

    Raises
    ------
    TypeError, ValueError
        If it is no shape, or names an input that there is not.
    """
    names = [entry.name for entry in file.inputs]
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        if len(names) != 1:
            raise ValueError(
                f"input_shape must be a dict, as {file.path} has {len(names)} inputs: write "
                f"input_shape={{{', '.join(f'{name!r}: (...)' for name in names)}}}"
            )
        given = {names[0]: given}
    for name, shape in given.items():
        if name not in names:
            raise ValueError(
                f"input_shape names {name!r}, which is no input of {file.path}"
                f"{hint(str(name), names)}"
            )
        if not isinstance(shape, (tuple, list)):
            raise TypeError(f"input_shape must be a tuple of ints, got {shown(shape)}")
    return {
        name: tuple(whole(extent, "each entry of input_shape") for extent in shape)
        for name, shape in given.items()
    }


def sample_shape(entry: Entry, takers: set[str], given: Shape | None) -> Shape:
    """Return the shape of a sample; ``takers`` are the operators that take the input."""
    if entry.dtype not in (np.float32, np.float64) and (
        entry.dtype.kind not in "iu" or takers - {"Cast", "Shape"}
    ):
        raise Refused(f"it is {entry.dtype}, and deepfs computes in float32 and float64")
    extents = entry.extents
    if given is not None:
        if extents is not None and not fits(extents, given):
            raise Refused(f"input_shape is {given}, and the file has {written(extents)}")
        return given
    if extents is None or None in extents[1:]:
        raise Refused(
            f"its shape is {written(extents)}: write load(path, input_shape={{{entry.name!r}: "
            "(3, 224, 224)}}), the shape of a sample as the file has its axes"
        )
    if not extents or 0 in extents:
        raise Refused(f"its shape is {written(extents)}, and deepfs takes arrays of samples")
    return tuple(extent for extent in extents[1:] if extent is not None)


def fits(extents: tuple[int | None, ...], given: Shape) -> bool:
    """Return whether a shape of a sample is one that the file admits."""
    return len(extents) == len(given) + 1 and all(
        theirs in (None, ours) for theirs, ours in zip(extents[1:], given, strict=True)
    )


def written(extents: tuple[int | None, ...] | None) -> str:
    """Return a shape as messages show it."""
    if extents is None:
        return "unknown"
    return f"({', '.join('free' if extent is None else str(extent) for extent in extents)})"
