"""Convolutions of ONNX files, and the windows that they share with poolings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import layers as L
from .._arrays import Array, Shape
from ._import_file import Node
from ._import_values import Refused, Value, reads

if TYPE_CHECKING:
    from ._import_net import Importer

RANKS = (2, 3)  # axes of a sample: sequences and images


def pixels_of(x: Shape) -> int:
    """Return the number of axes of pixels, 1 or 2; refuse any other."""
    if len(x) not in RANKS:
        kind = "3-D" if len(x) == 4 else f"of {len(x) + 1} axes"
        raise Refused(
            f"its input is {kind}, and deepfs has layers for sequences (n, c, l) and images "
            "(n, c, h, w)"
        )
    return len(x) - 1


def numbers(node: Node, key: str, count: int, default: int) -> tuple[int, ...]:
    """Return an attribute of a number for each axis."""
    found = tuple(node.attributes.get(key) or [default] * count)
    if len(found) != count:
        raise Refused(f"it has {key} {list(found)}, and its input {count} axes of pixels")
    return found


def sides(pads: tuple[int, ...]) -> Any:
    """Return ONNX's (tops, lefts, bottoms, rights) as deepfs has them, an axis after the other."""
    half = len(pads) // 2
    return tuple(pad for axis in range(half) for pad in (pads[axis], pads[axis + half]))


def padding(
    node: Node, x: Shape, kernel: tuple[int, ...], stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Any:  # fmt: skip
    """Return the padding of a window, as deepfs has it."""
    auto = node.attributes.get("auto_pad", "NOTSET")
    if auto == "SAME_UPPER":
        return "same"
    if auto == "VALID":
        return "valid"
    if auto == "SAME_LOWER":  # an odd pixel comes first
        totals = [
            max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
            for size, k, s, d in zip(x[1:], kernel, stride, dilation, strict=True)
        ]
        return tuple(part for total in totals for part in (total - total // 2, total // 2))
    return sides(numbers(node, "pads", 2 * len(kernel), 0))


def each(setting: tuple[int, ...]) -> Any:
    """Return a setting of a sequence as an int, one of an image as it is."""
    return setting[0] if len(setting) == 1 else setting


@reads("Conv")
def conv(net: Importer, node: Node) -> Value:
    x, weight = net.tensor(node), net.array(node, 1)
    pixels = pixels_of(x.shape)
    if weight.ndim != pixels + 2:
        raise Refused(f"its weight has shape {weight.shape}, and its input {x.shape}")
    filters, kernel, groups = len(weight), weight.shape[2:], node.attributes.get("group", 1)
    if weight.shape[1] * groups != x.shape[0]:
        raise Refused(f"its weight has shape {weight.shape}, and its input {x.shape}")
    stride, dilation = (numbers(node, key, pixels, 1) for key in ("strides", "dilations"))
    bias = net.constant(node, 2)
    if bias is None:
        bias = net.bias_after(node, filters, pixels)
    weights = {"weight": weight} | biased(filters, bias)
    window = {
        "kernel_size": each(kernel), "stride": each(stride), "dilation": each(dilation),
        "padding": padding(node, x.shape, kernel, stride, dilation), "bias": bias is not None,
    }  # fmt: skip
    if pixels == 2 and groups == x.shape[0] > 1 and filters % groups == 0:
        layer: L.Layer = L.DepthwiseConv2D(multiplier=filters // groups, **window)
    else:
        kind = L.Conv2D if pixels == 2 else L.Conv1D
        layer = kind(filters, groups=groups, **window)
    made = net.learned(node, layer, x, weights)
    return Value(made, made.shape)


@reads("ConvTranspose")
def conv_transpose(net: Importer, node: Node) -> Value:
    x, weight = net.tensor(node), net.array(node, 1)
    pixels = pixels_of(x.shape)
    if weight.ndim != pixels + 2 or len(weight) != x.shape[0]:
        raise Refused(f"its weight has shape {weight.shape}, and its input {x.shape}")
    groups = node.attributes.get("group", 1)
    filters = weight.shape[1] * groups
    stride, dilation = (numbers(node, key, pixels, 1) for key in ("strides", "dilations"))
    kernel = weight.shape[2:]
    pads, extra = uncropped(node, x.shape, kernel, stride, dilation)
    bias = net.constant(node, 2)
    if bias is None:
        bias = net.bias_after(node, filters, pixels)
    if pixels == 1:  # a sequence as an image of one row
        x = net.call(L.Reshape((x.shape[0], 1, x.shape[1])), x)
        kernel, stride, dilation, extra = (1, *kernel), (1, *stride), (1, *dilation), (0, *extra)
        pads, weight = (0, 0, *pads), weight[:, :, None]
    window: dict[str, Any] = {
        "kernel_size": kernel, "stride": stride, "padding": pads, "dilation": dilation,
        "output_padding": extra,
    }  # fmt: skip
    layer = L.ConvTranspose2D(filters, groups=groups, bias=bias is not None, **window)
    weights = {"weight": weight} | biased(filters, bias)
    made = net.learned(node, layer, x, weights)
    return Value(made, made.shape if pixels == 2 else (made.shape[0], made.shape[2]))


def uncropped(
    node: Node, x: Shape, kernel: tuple[int, ...], stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[Any, tuple[int, ...]]:  # fmt: skip
    """Return what a transposed convolution cuts off, and its output padding.

    An ``output_shape`` states the size of the output, and ``auto_pad`` where an odd pixel is cut
    off: see ConvTranspose in the operators of ONNX.
    """
    pixels = len(kernel)
    extra = numbers(node, "output_padding", pixels, 0)
    auto = node.attributes.get("auto_pad", "NOTSET")
    wanted = node.attributes.get("output_shape")
    if wanted is None and auto in ("NOTSET", "VALID"):
        pads = (0,) * 2 * pixels if auto == "VALID" else numbers(node, "pads", 2 * pixels, 0)
        return sides(pads), extra
    wanted = wanted or [size * step for size, step in zip(x[1:], stride, strict=True)]
    cut, more = [], []
    for axis, size in enumerate(wanted[-pixels:]):
        extent = dilation[axis] * (kernel[axis] - 1) + 1
        total = stride[axis] * (x[1 + axis] - 1) + extra[axis] + extent - size
        if total < 0:  # rows that no window reaches
            total, longer = 0, extra[axis] - total
        else:
            longer = extra[axis]
        first = total // 2 if auto == "SAME_UPPER" else total - total // 2
        cut += [first, total - first]
        more.append(longer)
    return tuple(cut), tuple(more)


def biased(units: int, bias: Array | None) -> dict[str, Array]:
    """Return the bias as a weight, if there is one; refuse one of another size."""
    if bias is None:
        return {}
    if bias.size not in (1, units):
        raise Refused(f"its bias has shape {bias.shape}, and it has {units} outputs")
    return {"bias": bias.reshape(-1).repeat(units // bias.size)}
