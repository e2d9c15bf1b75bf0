"""Sliding windows: settings and output size, the same rule for convolution and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from .._check import one_of, pair
from .._check import padding as checked_padding

Pair: TypeAlias = tuple[int, int]
Padding: TypeAlias = str | tuple[int, int, int, int]


class Window(NamedTuple):
    """The checked settings of a window: pairs, and the padding as four numbers or a name."""

    kernel_size: Pair
    stride: Pair
    padding: Padding
    dilation: Pair


def checked_window(kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1) -> Window:
    """Return the settings of a window, checked.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.
    """
    return Window(
        pair(kernel_size, "kernel_size"),
        pair(stride, "stride"),
        checked_padding(padding),
        pair(dilation, "dilation"),
    )


class Placement(NamedTuple):
    """Size of the output of a window over an image, and the padding on each side, in pixels."""

    oh: int
    ow: int
    top: int
    bottom: int
    left: int
    right: int
    kernel_size: tuple[int, int]  # of the window that was placed: read with its place, not apart
    stride: tuple[int, int]
    dilation: tuple[int, int]


@lru_cache(maxsize=4096)  # every layer asks twice per step, with the same arguments
def place_window(
    who: str,
    image: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair = (1, 1),
    ceil_mode: bool = False,
    needs_pixels: bool = False,
) -> Placement:
    """Return the output size of a window, and its padding.

    oh = floor((h + top + bottom - dh (kh - 1) - 1) / sh) + 1, and ow likewise. ``"same"`` pads by
    max((ceil(h / sh) - 1) sh + dh (kh - 1) + 1 - h, 0) rows in total, an odd row at the bottom (as
    TensorFlow). ``ceil_mode`` rounds up, but drops a window that would begin beyond the image and
    its leading padding (as PyTorch and ONNX). With ``needs_pixels`` no window may miss the image.

    Raises
    ------
    ValueError
        If the window does not fit once, or if a window that needs pixels has none.
    """
    out, before, after = [], [], []
    wide = f" dilated by {dilation[0]}x{dilation[1]}" if dilation != (1, 1) else ""
    for axis in (0, 1):
        windows, first, last = _along(
            image[axis], kernel[axis], stride[axis],
            padding if isinstance(padding, str) else padding[2 * axis : 2 * axis + 2],
            dilation[axis], ceil_mode,
        )  # fmt: skip
        if windows < 1:
            padded = f" padded to {image[0]}x{image[1]} + {padding}" if padding != "valid" else ""
            raise ValueError(
                f"{who} window {kernel[0]}x{kernel[1]}{wide} exceeds the image, "
                f"{image[0]}x{image[1]}{padded if first or last else ''}"
            )
        if needs_pixels and _misses(
            windows, image[axis], kernel[axis], stride[axis], first, dilation[axis]
        ):
            raise ValueError(
                f"{who} window {kernel[0]}x{kernel[1]}{wide} must contain a pixel everywhere, got "
                f"one with only padding of the image, {image[0]}x{image[1]} + {padding}"
            )
        out.append(windows)
        before.append(first)
        after.append(last)
    (oh, ow), (top, left), (bottom, right) = out, before, after
    return Placement(oh, ow, top, bottom, left, right, kernel, stride, dilation)


@lru_cache(maxsize=4096)
def place_on_sequence(
    who: str,
    length: int,
    kernel: int,
    stride: int,
    padding: str | Pair,
    dilation: int = 1,
    ceil_mode: bool = False,
    needs_entries: bool = False,
) -> Placement:
    """Return the same for a window over a sequence, as one over an image of height 1.

    Raises
    ------
    ValueError
        If the window does not fit once, or if a window that needs entries has none.
    """
    windows, left, right = _along(length, kernel, stride, padding, dilation, ceil_mode)
    wide = f" dilated by {dilation}" if dilation > 1 else ""
    if windows < 1:
        padded = f" padded by {left} and {right}" if left or right else ""
        raise ValueError(
            f"{who} window {kernel}{wide} exceeds the sequence, {length} entries{padded}"
        )
    if needs_entries and _misses(windows, length, kernel, stride, left, dilation):
        raise ValueError(
            f"{who} window {kernel}{wide} must contain an entry everywhere, but somewhere has only "
            f"padding of the sequence, {length} entries padded by {left} and {right}"
        )
    return Placement(1, windows, 0, 0, left, right, (1, kernel), (1, stride), (1, dilation))


def _along(
    size: int, kernel: int, step: int, padding: str | tuple[int, ...], dilation: int,
    ceil_mode: bool,
) -> tuple[int, int, int]:  # fmt: skip
    """Return how many windows fit along an axis, 0 if none, and the padding at both ends."""
    extent = dilation * (kernel - 1) + 1
    if padding == "same":
        total = max((-(-size // step) - 1) * step + extent - size, 0)
        first, last = total // 2, total - total // 2
    elif padding == "valid":
        first = last = 0
    else:
        first, last = map(int, padding)
    free = size + first + last - extent  # pixels beyond the first window
    windows = free // step + 1
    if ceil_mode and free % step and windows * step < size + first:
        windows += 1
    return max(windows, 0) if size > 0 else 0, first, last


def _misses(windows: int, size: int, kernel: int, step: int, first: int, dilation: int) -> bool:
    """Return whether a window along an axis has no entry on ``size`` pixels, only in the padding.

    Of those that begin in front of the pixels, the first entry at pixel 0 or after it decides.
    """
    for begin in range(-first, min(0, windows * step - first), step):
        entry = -(begin // dilation)
        if entry >= kernel or begin + entry * dilation >= size:
            return True
    return (windows - 1) * step - first >= size


def past_extent(padding: Padding | Pair, extents: Sequence[int]) -> bool:
    """Return whether a padding is as wide as the window, which then lies in it."""
    if isinstance(padding, str):
        return False
    return any(max(padding[2 * i : 2 * i + 2]) >= extents[i] for i in range(len(extents)))


def ends(value: Any) -> str | Pair:
    """Return the padding of a sequence, checked: ``"same"``, ``"valid"`` or (left, right)."""
    if isinstance(value, str):
        return str(one_of(value, "padding", ("same", "valid")))
    return pair(value, "padding", 0)
