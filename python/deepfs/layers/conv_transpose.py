"""Transposed convolution: the adjoint of `Conv2D`, by the same kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_core import conv, reduce

from .. import initializers
from .._arrays import Array, Shape, channels_first, channels_last, empty
from .._check import MAX_EXTENT, flag, pair, whole
from ._base import Layer
from ._window import checked_window
from .conv import Conv2D, KernelWindow, check_algorithm, check_channels


@dataclass(eq=False)
class ConvTranspose2D(Layer):
    r"""2D transposed convolution (deconvolution): each pixel is spread over a window of the output.

    .. math::
        y_{o,\; i s_h + a d_h - p_{top},\; j s_w + b d_w - p_{left}} \mathrel{+}=
            \sum_{c} w_{c,o,a,b} \, x_{c,i,j}

    for all pixels i, j and entries a, b of the window, starting from the bias; products outside the
    output are dropped. As matrices, a convolution is :math:`y = W x` and this is :math:`y = W^T x`.

    Parameters
    ----------
    filters : int
        Number of channels of the output.
    kernel_size : int or (int, int)
        Height and width of the window, in entries.
    stride : int or (int, int)
        Step from window to window, in pixels of the output.
    padding : int, (int, int), (top, bottom, left, right), "same" or "valid"
        Pixels cut off the output: the padding of the convolution that is transposed. "same" gives
        an output of size * stride, and allows no ``output_padding``.
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
        See `Conv2D`.
    output_padding : int or (int, int)
        Rows added at the bottom and columns added at the right, fewer than the stride or the
        dilation. It chooses among the output sizes that a strided convolution maps to one size.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; ValueError on call, if the output would
        have no pixels, or the number of channels does not fit the weight or the groups.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, filters, oh, ow)``,
    oh = (h - 1) sh - top - bottom + dh (kh - 1) + 1 + output_padding.
    ``weight`` is ``(c, filters / groups, kh, kw)``, ``bias`` ``(filters,)``. Initializers count
    fans by that shape, as PyTorch's and Keras's do.
    NumPy reference: `deepfs.reference.conv_transpose2d`.

    References
    ----------
    Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016,
    arXiv:1603.07285. ``torch.nn.ConvTranspose2d``.

    Examples
    --------
    >>> from deepfs.layers import ConvTranspose2D
    >>> ConvTranspose2D(1, 2, stride=2, initializer="ones")(np.array([[[[1.0, 2.0]]]]))[0, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
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
    output_padding: int | tuple[int, int] = 0

    input_rank = (4,)

    def __post_init__(self) -> None:
        self.filters = whole(self.filters, "filters", most=MAX_EXTENT)
        self._checked = checked_window(self.kernel_size, self.stride, self.padding, self.dilation)
        self.kernel_size, self.stride, self.padding, self.dilation = self._checked
        self.groups = whole(self.groups, "groups")
        self.bias = flag(self.bias, "bias")
        initializers.get(self.initializer)
        check_algorithm(self)
        self.output_padding = self._extra = pair(self.output_padding, "output_padding", 0)
        window = self._checked
        steps = [max(pair) for pair in zip(window.stride, window.dilation, strict=True)]
        if self.padding == "same":
            steps = [1, 1]
        if any(extra >= step for extra, step in zip(self._extra, steps, strict=True)):
            raise ValueError(
                f"{self.label} must have an output_padding below the stride or the dilation, and "
                f'none with padding="same", got {self.output_padding}'
            )

    def _out_shape(self, in_shape: Shape) -> Shape:
        check_channels(self, in_shape, self.filters, self.groups)
        sizes = [self._size(axis, size) for axis, size in enumerate(in_shape[1:])]
        if min(in_shape[1:]) < 1 or not 1 <= min(sizes) <= max(sizes) <= MAX_EXTENT:
            raise ValueError(
                f"{self.label} must give an image of 1 to {MAX_EXTENT} pixels a side, "
                f"got {sizes[0]}x{sizes[1]} from {in_shape[1]}x{in_shape[2]}"
            )
        return self.filters, sizes[0], sizes[1]

    def _size(self, axis: int, size: int) -> int:
        """Return the size of the output along an axis."""
        kernel_size, stride, padding, dilation = self._checked
        if padding == "same":
            return size * stride[axis]
        cut = 0 if isinstance(padding, str) else sum(padding[2 * axis :][:2])
        extent = dilation[axis] * (kernel_size[axis] - 1) + 1
        return (size - 1) * stride[axis] + extent - cut + self._extra[axis]

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        self._adjoint = Conv2D(  # from output images to input images
            in_shape[0], *self._checked, self.groups, False, self.initializer, self.algorithm
        )
        self._adjoint.build(self._out_shape(in_shape), dtype, self._budget)
        self.learned["weight"] = self._adjoint.learned["weight"]
        if self.bias:
            self.add_parameter("bias", (self.filters,), dtype)

    def algorithm_for(self, in_shape: Shape, pass_name: str = "forward") -> str:
        adjoint = {"forward": "backward_input", "backward_input": "forward"}
        return self._adjoint.algorithm_for(
            self._out_shape(in_shape), adjoint.get(pass_name, pass_name)
        )

    def multiply_adds(self, in_shape: Shape) -> int:
        return self._adjoint.multiply_adds(self._out_shape(in_shape))

    def _window(self, oh: int, ow: int) -> KernelWindow:
        """Return what describes the window of the adjoint to every kernel, after the arrays."""
        return self._adjoint._window(self._adjoint._place(oh, ow))

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        n, oh, ow = len(x), *self._out_shape(x.shape[1:])[1:]
        x, y = channels_last(x), empty((n, oh, ow, self.filters), x.dtype)
        weight = self.learned["weight"].storage
        conv.conv2d_backward_input(x, weight, y, *self._window(oh, ow))
        if self.bias:
            row = np.tile(self.learned["bias"].storage, ow)  # long rows: fast for few channels
            y.reshape(n * oh, len(row))[...] += row
        return channels_first(y), x

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        x, dy = cache, channels_last(dy)
        weight, window = self.learned["weight"], self._window(*dy.shape[1:3])
        learns = self._learns()
        if learns:
            conv.conv2d_backward_weight(dy, x, weight.dstorage, None, *window)
        if learns and self.bias:
            rows = dy.reshape(-1, self.filters)
            reduce.add_column_sums(rows, self.learned["bias"].dstorage)
        if not need_dx:
            return None
        dx = empty(x.shape, x.dtype)
        conv.conv2d_forward(dy, weight.storage, None, dx, *window)
        return channels_first(dx)
