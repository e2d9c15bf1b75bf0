"""2D convolution. Kernels: ``src/cnn_core/conv.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from cnn_core import conv

from .. import config, initializers
from .._arrays import Array, Shape, channels_first, channels_last, empty
from .._check import MAX_EXTENT, flag, one_of, whole
from .._repr import one_line
from ._base import Layer
from ._fusion import PLAIN, Epilogue
from ._window import Placement, checked_window, place_window

# What describes a window to every kernel: see `Conv2D._window`.
KernelWindow: TypeAlias = tuple[int, int, int, int, int, int, int, str]


@dataclass(eq=False)
class Conv2D(Layer):
    r"""2D convolution of images (cross-correlation, as in every framework).

    .. math::
        y_{o,i,j} = b_o + \sum_{c,a,b} w_{o,c,a,b} \,
                    x_{c,\; i s_h + a d_h - p_{top},\; j s_w + b d_w - p_{left}}

    Parameters
    ----------
    filters : int
        Number of channels of the output.
    kernel_size : int or (int, int)
        Height and width of the window, in entries.
    stride : int or (int, int)
        Step from window to window, in pixels.
    padding : int, (int, int), (top, bottom, left, right), "same" or "valid"
        Zeros around the image, in pixels. "same" gives an output of ceil(size / stride) pixels, an
        odd row or column of zeros at the bottom or right; "valid" pads nothing.
    dilation : int or (int, int)
        Step from entry to entry of the window, in pixels.
    groups : int
        Number of parts into which channels and filters are divided; the filters of a part are
        applied to the channels of that part only.
    bias : bool
        Add a learned number per filter.
    initializer : str or function
        Initial values of the weight, see `deepfs.initializers`; the bias starts at 0.
    algorithm : {"auto", "direct", "winograd"}
        "winograd" needs 3x3 windows at stride 1, without dilation and groups. It is faster there,
        with rounding errors of up to 1e-5 of the largest value instead of 1e-6. It computes tiles
        of 4x4 outputs from 6x6 pixels, and that value is the largest *of the tile*: a pixel of 1e6
        moves outputs of its tile by about 1, also those whose window does not reach it; infinity
        or NaN makes them NaN. "direct" never does that: each output depends on its window alone.
        "auto" uses Winograd's algorithm where it is faster; ``deepfs.config.winograd = False``
        stops that for all layers. float64 never uses it.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; ValueError on call, if the window exceeds
        the image, or the number of channels does not fit the weight or the groups.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, filters, oh, ow)``,
    oh = floor((h + top + bottom - dh (kh - 1) - 1) / sh) + 1.
    ``weight`` is ``(filters, c / groups, kh, kw)``, ``bias`` ``(filters,)``.
    NumPy reference: `deepfs.reference.conv2d`.

    References
    ----------
    LeCun et al., "Gradient-based learning applied to document recognition", 1998.
    Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015, arXiv:1509.09308.

    Examples
    --------
    >>> from deepfs.layers import Conv2D
    >>> Conv2D(16, 3, padding="same")(np.zeros((2, 3, 8, 8))).shape
    (2, 16, 8, 8)
    """

    filters: int
    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: str | int | tuple[int, int] | tuple[int, int, int, int] = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    bias: bool = True
    initializer: str | initializers.Initializer = "he_normal"
    algorithm: str = "auto"

    input_rank = (4,)
    fuses_forward, fuses_backward = frozenset({"relu"}), frozenset({"residual", "drelu"})
    changeable = frozenset({"stride", "padding", "dilation", "algorithm"})

    def __post_init__(self) -> None:
        self.filters = whole(self.filters, "filters", most=MAX_EXTENT)
        self._checked = checked_window(self.kernel_size, self.stride, self.padding, self.dilation)
        self.kernel_size, self.stride, self.padding, self.dilation = self._checked
        self.groups = whole(self.groups, "groups")
        self.bias = flag(self.bias, "bias")
        initializers.get(self.initializer)
        check_algorithm(self)

    def _out_shape(self, in_shape: Shape) -> Shape:
        check_channels(self, in_shape, self.filters, self.groups)
        return self.filters, *self._place(*in_shape[1:])[:2]

    def _place(self, h: int, w: int) -> Placement:
        return place_window(self.label, (h, w), *self._checked)

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        shape = (self.filters, in_shape[0] // self.groups, *self._checked.kernel_size)
        self.add_parameter("weight", shape, dtype, self.initializer, axes=(2, 3, 1, 0))
        if self.bias:
            self.add_parameter("bias", (self.filters,), dtype)

    def multiply_adds(self, in_shape: Shape) -> int:
        products = in_shape[0] // self.groups * prod(self._checked.kernel_size)
        return prod(self.out_shape(in_shape)) * products

    def _window(self, place: Placement) -> KernelWindow:
        """Return the arguments that describe the window to every kernel, after the arrays."""
        (sh, sw), (dh, dw) = place.stride, place.dilation
        request = self.algorithm if config.winograd or self.algorithm != "auto" else "direct"
        return sh, sw, place.top, place.left, dh, dw, self.groups, request

    def algorithm_for(self, in_shape: Shape, pass_name: str = "forward") -> str:
        """Return how a built layer computes a pass: one of ``cnn_core.conv.ALGORITHMS``.

        The kernel chooses, for "forward", "backward_input" (the gradient of the images) and
        "backward_weight" alike.
        """
        place = self._place(*in_shape[1:])
        (kh, kw), c, co = place.kernel_size, in_shape[0], self.filters
        window, itemsize = self._window(place), np.dtype(self.built_dtype).itemsize
        return conv.algorithm(
            pass_name, c, co, place.oh, place.ow, kh, kw, *window, itemsize=itemsize
        )

    def _forward(self, x: Array, training: bool, end: Epilogue = PLAIN) -> tuple[Array, Any]:
        self.check_shape(x)
        place = self._place(*x.shape[2:])
        window = self._window(place)
        x = channels_last(x)
        y = empty((len(x), place.oh, place.ow, self.filters), x.dtype)
        bias = self.learned["bias"].storage if self.bias else None
        conv.conv2d_forward(x, self.learned["weight"].storage, bias, y, *window, relu=end.relu)
        return channels_first(y), (x, window)

    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, end: Epilogue = PLAIN
    ) -> Array | None:
        window: KernelWindow
        (x, window), dy = cache, channels_last(dy)
        weight = self.learned["weight"]
        dbias = self.learned["bias"].dstorage if self.bias else None
        if self._learns():
            conv.conv2d_backward_weight(x, dy, weight.dstorage, dbias, *window)
        if not need_dx:
            return None
        residual = None if end.residual is None else channels_last(end.residual)
        dx = residual if end.onto and residual is not None else empty(x.shape, x.dtype)
        conv.conv2d_backward_input(
            dy, weight.storage, dx, *window, drelu=x if end.drelu else None, residual=residual
        )
        return channels_first(dx)


def check_algorithm(layer: Any) -> None:
    """Raise ValueError if the algorithm that a convolution asks for does not exist or serve it."""
    one_of(layer.algorithm, "algorithm", ("auto", "direct", "winograd"))
    settings = (*layer.kernel_size, *layer.stride, *layer.dilation, layer.groups)
    if layer.algorithm == "winograd" and not conv.takes_winograd(*settings):
        raise ValueError(
            f'{layer.label} with algorithm="winograd" must have 3x3 windows at stride 1, '
            f"without dilation and groups, got {one_line(layer)}"
        )


def check_channels(layer: Layer, in_shape: Shape, filters: int, groups: int) -> None:
    """Raise ValueError if a convolution cannot take the channels of an input."""
    c, takes = in_shape[0], layer.in_shape[0] if layer.in_shape else in_shape[0]
    if c != takes or c < 1:
        kind = "image" if len(in_shape) == 3 else "input"
        raise ValueError(
            f"{layer.label} takes {max(takes, 1)} channels, got an {kind} of shape {in_shape}"
        )
    if c % groups or filters % groups:
        raise ValueError(
            f"{layer.label} must cut {c} channels and {filters} filters into equal groups, "
            f"got groups={groups}"
        )
