"""Settings of windows as `deepfs.reference` takes them, and average pools with a ceiling."""

from __future__ import annotations

from typing import Any

from .. import reference
from .._arrays import Array, Shape
from ..layers._window import Placement, place_on_sequence, place_window

Sides = tuple[int, int, int, int]


def placed(layer: Any, shape: Shape) -> Placement:
    """Return where the windows of a layer lie on images or sequences of a shape."""
    window = layer.kernel_size, layer.stride, layer.padding, layer.dilation
    ceil = getattr(layer, "ceil_mode", False)
    if len(shape) == 3:
        return place_on_sequence(layer.label, shape[2], *window, ceil)
    return place_window(layer.label, shape[2:], *window, ceil)


def sides(place: Placement) -> Sides:
    """Return the padding: top, bottom, left, right."""
    return place.top, place.bottom, place.left, place.right


def beyond(place: Placement, shape: Shape) -> Sides:
    """Return what the last windows need beyond the padding: 0, but where sizes are rounded up."""
    h, w = (1, shape[2]) if len(shape) == 3 else shape[2:]
    (kh, kw), (sh, sw), (dh, dw) = place.kernel_size, place.stride, place.dilation
    rows = (place.oh - 1) * sh + dh * (kh - 1) + 1 - (h + place.top + place.bottom)
    columns = (place.ow - 1) * sw + dw * (kw - 1) + 1 - (w + place.left + place.right)
    return 0, max(rows, 0), 0, max(columns, 0)


def conv(layer: Any, shape: Shape) -> tuple[Any, ...]:
    return layer.stride, sides(placed(layer, shape)), layer.dilation, layer.groups


def conv1d(layer: Any, shape: Shape) -> tuple[Any, ...]:
    place = placed(layer, shape)
    return layer.stride, (place.left, place.right), layer.dilation, layer.groups


def depthwise(layer: Any, shape: Shape) -> tuple[Any, ...]:
    return layer.stride, sides(placed(layer, shape)), layer.dilation


def transposed(layer: Any, shape: Shape) -> tuple[Any, ...]:
    """Return the settings of a transposed convolution: its window lies on the output."""
    place = placed(layer, (shape[0], layer.filters, *layer.out_shape(shape[1:])[1:]))
    return layer.stride, sides(place), layer.dilation, layer.groups


def transposed_forward(layer: Any, shape: Shape) -> tuple[Any, ...]:
    """Return the same, and what the output has beyond the last windows."""
    settings, out = transposed(layer, shape), layer.out_shape(shape[1:])[1:]
    padding = settings[1]
    extra = tuple(
        out[k] + sum(padding[2 * k : 2 * k + 2]) - (shape[2 + k] - 1) * layer.stride[k]
        - layer.dilation[k] * (layer.kernel_size[k] - 1) - 1
        for k in (0, 1)
    )  # fmt: skip
    return *settings, extra


def max_pool(layer: Any, shape: Shape) -> tuple[Any, ...]:
    place = placed(layer, shape)
    padding = tuple(a + b for a, b in zip(sides(place), beyond(place, shape), strict=True))
    if len(shape) == 3:
        padding = padding[2:]
    return layer.kernel_size, layer.stride, padding, layer.dilation


def avg_pool(layer: Any, shape: Shape) -> tuple[Any, ...]:
    place = placed(layer, shape)
    window = place.kernel_size, place.stride, place.dilation
    return *window, sides(place), beyond(place, shape), layer.count_include_pad


def avg_pool2d(
    x: Array, kernel: Any, stride: Any, dilation: Any, pad: Sides, more: Sides, count: bool
) -> Array:
    """Return the mean of each window, of which only the padding may count, not what is beyond."""
    if count:
        x = reference.zero_pad2d(x, pad)
    around = more if count else added(pad, more)
    return reference.avg_pool2d(x, kernel, stride, around, dilation=dilation)


def avg_pool2d_backward(
    x: Array, dy: Array, kernel: Any, stride: Any, dilation: Any, pad: Sides, more: Sides,
    count: bool,
) -> Array:  # fmt: skip
    """Return dx."""
    if not count:
        around = added(pad, more)
        return reference.avg_pool2d_backward(x, dy, kernel, stride, around, dilation=dilation)
    padded = reference.zero_pad2d(x, pad)
    dpadded = reference.avg_pool2d_backward(padded, dy, kernel, stride, more, dilation=dilation)
    return reference.zero_pad2d_backward(x, dpadded, pad)


def added(a: Sides, b: Sides) -> Any:
    """Return the sum of two paddings."""
    return tuple(x + y for x, y in zip(a, b, strict=True))
