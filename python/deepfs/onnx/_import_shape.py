"""Nodes of ONNX files that change shapes and sizes: reshaping, padding, slices, resizing."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import layers as L
from .._arrays import Array
from ._import_file import Node
from ._import_fold import axes_of, integers, target_shape
from ._import_values import Refused, Value, axis_in, reads

if TYPE_CHECKING:
    from ._import_net import Importer

MOST_PIXELS = 2**20  # along a side: a file may state any size


@reads("Reshape")
def reshape(net: Importer, node: Node) -> Value:
    x = net.value(node)
    return x.reshaped(target_shape(node, net.array(node, 1), x.shape, net.batch))


@reads("Flatten")
def flatten(net: Importer, node: Node) -> Value:
    x = net.value(node)
    if axis_in(node.attributes.get("axis", 1), len(x.shape) + 1) != 1:
        raise Refused("it is not at axis 1, and deepfs keeps samples apart")
    return x.reshaped((prod(x.shape),))


@reads("Squeeze")
def squeeze(net: Importer, node: Node) -> Value:
    x, axes = net.value(node), axes_of(node, net.constant(node, 1))
    rank = len(x.shape) + 1
    if axes is None:  # the number of samples is not 1, but free
        axes = [axis for axis, extent in enumerate(x.shape, 1) if extent == 1]
    gone = {axis_in(axis, rank) for axis in axes}
    if 0 in gone or any(x.shape[axis - 1] != 1 for axis in gone):
        raise Refused(f"it removes axes {sorted(gone)} of samples of shape {x.shape}")
    return x.reshaped(tuple(e for axis, e in enumerate(x.shape, 1) if axis not in gone))


@reads("Unsqueeze")
def unsqueeze(net: Importer, node: Node) -> Value:
    x, axes = net.value(node), axes_of(node, net.constant(node, 1)) or []
    rank = len(x.shape) + 1 + len(axes)
    new = {axis_in(axis, rank) for axis in axes}
    if 0 in new:
        raise Refused("it puts an axis before the samples, and deepfs has them in front")
    left = iter(x.shape)
    return x.reshaped(tuple(1 if axis in new else next(left) for axis in range(1, rank)))


@reads("Transpose")
def transpose(net: Importer, node: Node) -> Value:
    x = net.value(node)
    rank = len(x.shape) + 1
    perm = tuple(node.attributes.get("perm") or range(rank)[::-1])
    if len(perm) != rank or perm[0] != 0:
        raise Refused(f"it moves the samples (perm={list(perm)}), and deepfs has them in front")
    axes = tuple(axis - 1 for axis in perm[1:])
    made = x.permuted(axes, str(node))
    if made is None:
        made = Value(net.settled(x), x.shape).permuted(axes, str(node))
    assert made is not None  # a settled value is plain
    return made


@reads("Pad")
def pad(net: Importer, node: Node) -> Value:
    x, pads, value = net.value(node), net.array(node, 1), net.constant(node, 2)
    if node.attributes.get("mode", "constant") != "constant":
        raise Refused(f"its mode is {node.attributes['mode']!r}, and deepfs pads with zeros")
    if value is not None and value.size and float(value.reshape(-1)[0]) != 0:
        raise Refused(f"it pads with {float(value.reshape(-1)[0]):g}, and deepfs with zeros")
    rank = len(x.shape) + 1
    axes = axes_of(node, net.constant(node, 3)) or list(range(rank))
    numbers = integers(pads)
    edges = {axis_in(axis, rank): (numbers[i], numbers[i + len(axes)])
             for i, axis in enumerate(axes)}  # fmt: skip
    return bordered(net, x, edges, "pads")


def bordered(net: Importer, x: Value, edges: dict[int, tuple[int, int]], verb: str) -> Value:
    """Return x with pixels added at the ends of axes, or cut off if the numbers are negative."""
    edges = {axis: ends for axis, ends in edges.items() if ends != (0, 0)}
    if not edges:
        return x
    if not x.plain:
        x = Value(net.settled(x), x.shape)
    rank = len(x.shape) + 1
    where = {x.axis(axis): ends for axis, ends in edges.items()}
    if rank not in (3, 4) or min(where) < 2:
        raise Refused(f"it {verb} axes {sorted(edges)}, and deepfs pixels of images and sequences")
    sides = [end for axis in range(2, rank) for end in where.get(axis, (0, 0))]
    tensor, crop, more = x.tensor, tuple(max(-s, 0) for s in sides), tuple(max(s, 0) for s in sides)
    for kinds, part in (((L.Crop1D, L.Crop2D), crop), ((L.ZeroPad1D, L.ZeroPad2D), more)):
        if any(part):
            kind: Any = kinds[rank - 3]
            tensor = net.call(kind(part), tensor)
    turned = Value(tensor, (), x.order, x.turned)
    return turned.reshaped(turned.turned_shape)


@reads("Slice")
def cut(net: Importer, node: Node) -> Value:
    x = net.value(node)
    starts, ends = integers(net.array(node, 1)), integers(net.array(node, 2))
    axes, steps = (net.constant(node, index) for index in (3, 4))
    rank = len(x.shape) + 1
    which = list(range(len(starts))) if axes is None else integers(axes)
    if steps is not None and set(integers(steps)) != {1}:
        raise Refused("it skips entries (steps), and deepfs has no layer for that")
    edges = {}
    for axis, start, end in zip(which, starts, ends, strict=True):
        axis = axis_in(axis, rank)
        if axis == 0:
            if start == 0 and end >= 2**31 - 1:
                continue
            raise Refused("it takes some of the samples, and deepfs keeps their number")
        size = x.shape[axis - 1]
        first, last, _ = slice(start, end).indices(size)
        edges[axis] = (-first, last - size)
    return bordered(net, x, edges, "cuts")


@reads("Tile")
def tile(net: Importer, node: Node) -> Value:
    """Read repeated pixels: Keras repeats them along a new axis, and joins that with theirs."""
    x, repeats = net.value(node), integers(net.array(node, 1))
    several = [axis for axis, count in enumerate(repeats) if count != 1]
    if not several:
        return x
    axis, *rest = several
    before = prod(x.shape[: axis - 1])
    ends = [prod(x.turned_shape[:end]) for end in range(1, len(x.turned_shape) + 1)]
    new = axis > 0 and not rest and x.shape[axis - 1] == 1 and before in ends
    along = (range(len(ends)) if x.order is None else x.order)[ends.index(before)] if new else 0
    if not along or len(x.tensor.shape) not in (2, 3):
        raise Refused("it repeats more than the pixels of images and sequences one by one")
    count = repeats[axis]
    if len(x.tensor.shape) == 2:
        layer: L.Layer = L.Upsample1D(count)
    else:
        layer = L.Upsample2D((count, 1) if along == 1 else (1, count))
    tensor = net.call(layer, x.tensor)
    shape = (*x.shape[: axis - 1], count, *x.shape[axis:])
    return Value(tensor, shape, x.order, x.turned)


@reads("Resize")
def resize(net: Importer, node: Node) -> Value:
    x, sizes = net.tensor(node), net.constant(node, 3)
    rank, settings = len(x.shape) + 1, node.attributes
    if rank not in (3, 4):
        raise Refused("it is not of images or sequences, which are what deepfs resizes")
    axes = [axis_in(axis, rank) for axis in settings.get("axes") or range(rank)]
    whole = (0, *x.shape)
    if sizes is not None and sizes.size:
        if settings.get("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise Refused("it keeps the ratio of height to width, and deepfs takes both sizes")
        wanted = dict(zip(axes, np.ravel(sizes), strict=True))
        out = [int(wanted[a]) if a in wanted and a > 0 else whole[a] for a in range(1, rank)]
        factors = [o / i for o, i in zip(out, x.shape, strict=True)]
    else:
        given = dict(zip(axes, map(float, np.ravel(net.array(node, 2))), strict=True))
        factors = [given.get(axis, 1.0) for axis in range(1, rank)]
        out = [int(size * f) for size, f in zip(x.shape, factors, strict=True)]
    if max(out[1:]) > MOST_PIXELS:
        raise Refused(f"it gives {out[1:]} pixels, and at most {MOST_PIXELS} a side are read")
    if out[0] != x.shape[0]:
        raise Refused("it changes the number of channels")
    size: Any = tuple(out[1:])
    pixels = x.shape[1:]
    if same_pixels(settings, pixels, size, factors[1:]):
        layer: L.Layer = nearest(pixels, size)
    elif same_line(settings, pixels, size, factors[1:]) and rank == 4:
        layer = L.Resize2D(size)
    else:
        raise Refused(
            f"its mode {settings.get('mode', 'nearest')!r}, with coordinates "
            f"{settings.get('coordinate_transformation_mode', 'half_pixel')!r}, does not give the "
            "numbers of deepfs.layers.Resize2D, which goes by the centres of pixels"
        )
    made = net.call(layer, x)
    return Value(made, made.shape)


def nearest(pixels: tuple[int, ...], size: Any) -> L.Layer:
    """Return the layer that resizes to the nearest pixels."""
    factors: Any = tuple(o // i for o, i in zip(size, pixels, strict=True))
    if tuple(i * f for i, f in zip(pixels, factors, strict=True)) == size:
        return L.Upsample1D(factors[0]) if len(size) == 1 else L.Upsample2D(factors)
    if len(size) == 1:
        raise Refused("deepfs resizes sequences by whole factors only")
    return L.Resize2D(size, method="nearest")


def coordinates(mode: str, size: int, out: int, scale: float) -> Array:
    """Return the coordinate in the input of each output pixel, as Resize of ONNX defines it."""
    i = np.arange(out)
    if mode == "asymmetric":
        return i / scale
    if mode == "align_corners":
        return i * (size - 1) / max(out - 1, 1)
    if mode == "pytorch_half_pixel" and out == 1:
        return np.zeros(1)
    if mode == "half_pixel_symmetric":
        adjusted = out / (scale * size)
        return size / 2 * (1 - adjusted) + (i + 0.5) / scale - 0.5
    return (i + 0.5) / scale - 0.5


ROUNDED: dict[str, Callable[[Array], Array]] = {
    "floor": np.floor, "ceil": np.ceil, "round_prefer_floor": lambda s: np.ceil(s - 0.5),
    "round_prefer_ceil": lambda s: np.floor(s + 0.5),
}  # fmt: skip


def same_pixels(
    settings: dict[str, object],
    pixels: tuple[int, ...],
    size: tuple[int, ...],
    factors: list[float],
) -> bool:
    """Return whether ONNX takes the pixels that `Resize2D` takes, by the nearest."""
    mode = str(settings.get("coordinate_transformation_mode", "half_pixel"))
    rounding = ROUNDED.get(str(settings.get("nearest_mode", "round_prefer_floor")))
    if (
        settings.get("mode", "nearest") != "nearest"
        or rounding is None
        or mode == "tf_crop_and_resize"
    ):
        return False
    for before, after, factor in zip(pixels, size, factors, strict=True):
        theirs = np.clip(rounding(coordinates(mode, before, after, factor)), 0, before - 1)
        ours = (2 * np.arange(after) + 1) * before // (2 * after)
        if (theirs != ours).any():
            return False
    return True


def same_line(
    settings: dict[str, object],
    pixels: tuple[int, ...],
    size: tuple[int, ...],
    factors: list[float],
) -> bool:
    """Return whether ONNX interpolates between the pixels that `Resize2D` does."""
    mode = str(settings.get("coordinate_transformation_mode", "half_pixel"))
    smooth = bool(settings.get("antialias", 0)) and any(f < 1 for f in factors)
    if settings.get("mode") != "linear" or smooth or mode == "tf_crop_and_resize":
        return False
    for before, after, factor in zip(pixels, size, factors, strict=True):
        theirs = np.clip(coordinates(mode, before, after, factor), 0, before - 1)
        ours = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
        if np.abs(theirs - ours).max(initial=0) > 1e-6 * before:
            return False
    return True
