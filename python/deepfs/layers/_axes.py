"""Axes of images and sequences: what is said where their number or their sizes do not fit."""

from __future__ import annotations

from collections.abc import Sequence

from .._arrays import Shape

FEW = 3  # pixels by which sizes may differ to be meant as equal
# A layer for images, and what does the same for sequences (n, c, l).
SEQUENCES = {
    "AdaptiveAvgPool2D": "AdaptiveAvgPool1D",
    "AvgPool2D": "AvgPool1D",
    "Conv2D": "Conv1D",
    "ConvTranspose2D": "Upsample1D and Conv1D",
    "Crop2D": "Crop1D",
    "DepthwiseConv2D": "Conv1D with as many groups as channels",
    "GlobalAvgPool2D": "GlobalAvgPool1D",
    "GlobalMaxPool2D": "GlobalMaxPool1D",
    "MaxPool2D": "MaxPool1D",
    "Resize2D": "Upsample1D, ZeroPad1D or Crop1D",
    "SeparableConv2D": "Conv1D with as many groups as channels, and Conv1D(filters, 1)",
    "Upsample2D": "Upsample1D",
    "ZeroPad2D": "ZeroPad1D",
}
IMAGES = {after: before for before, after in SEQUENCES.items()}


def wrong_rank(kind: str, label: str, ranks: tuple[int, ...], in_shape: Shape) -> ValueError:
    """Return the error for an input whose number of axes is none of ``ranks``.

    Examples
    --------
    >>> str(wrong_rank("Conv2D", "Conv2D", (4,), (28, 28))).partition(": ")[2]
    'for sequences, use Conv1D; for images of one channel, x[:, None]'
    """
    axes = len(in_shape) + 1
    ways = []
    if axes == 3 and kind in SEQUENCES:
        ways.append(f"for sequences, use {SEQUENCES[kind]}")
    if axes == 4 and kind in IMAGES:
        ways.append(f"for images, use {IMAGES[kind]}")
    if ranks == (axes + 1,) and axes > 1:
        ways.append(f"for {'images' if axes == 3 else 'sequences'} of one channel, x[:, None]")
    got = ", ".join(map(str, ("n", *in_shape)))
    takes = f"{label} takes {' or '.join(map(str, ranks))} dimensional input, got shape ({got})"
    return ValueError(f"{takes}: {'; '.join(ways)}" if ways else takes)


def size_hint(shapes: Sequence[Shape]) -> str:
    """Return the end of a message about shapes whose sizes differ by a few pixels; else "".

    Such differences come of halving an odd size and doubling it again. Shapes are those of samples,
    channels first.

    Examples
    --------
    >>> size_hint([(16, 8, 8), (16, 7, 7)])
    ': Crop2D((0, 1, 0, 1)) cuts 8x8 to 7x7, Resize2D((8, 8)) enlarges 7x7 to 8x8'
    >>> size_hint([(16, 8), (16, 7)])
    ': Crop1D((0, 1)) cuts 8 to 7, ZeroPad1D((0, 1)) fills 7 up to 8'
    """
    sizes = {shape[1:] for shape in shapes}
    if {len(size) for size in sizes} not in ({1}, {2}) or len(sizes) < 2:
        return ""
    least, most = (tuple(map(f, zip(*sizes, strict=True))) for f in (min, max))
    over = [b - a for a, b in zip(least, most, strict=True)]
    if max(over) > FEW or min(least) < 1:
        return ""
    if not {least, most} <= sizes:
        return ": Resize2D gives images one size"
    small, large = ("x".join(map(str, size)) for size in (least, most))
    if len(over) == 1:
        ends = f"((0, {over[0]}))"
        return (
            f": Crop1D{ends} cuts {large} to {small}, ZeroPad1D{ends} fills {small} up to {large}"
        )
    return (
        f": Crop2D((0, {over[0]}, 0, {over[1]})) cuts {large} to {small}, "
        f"Resize2D({most}) enlarges {small} to {large}"
    )
