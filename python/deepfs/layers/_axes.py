"""Numbers of axes: what is said of an input that has another number than a layer takes."""

from __future__ import annotations

from .._arrays import Shape

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
