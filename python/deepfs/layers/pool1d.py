"""Pooling of sequences. Kernels: those of `MaxPool2D` and `AvgPool2D`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import ArrayLike

from cnn_core import pool

from .._arrays import Array, Shape, channels_first, channels_last, empty
from .._check import MAX_EXTENT, flag, whole
from ._base import Layer
from ._fusion import PLAIN, Epilogue
from ._window import Placement, ends, past_extent, place_on_sequence
from .pool import indices_of, max_pool_backward, max_pool_forward, max_window, mean_window


class _Pool1D(Layer):
    """Base of max and average pooling: the window."""

    input_rank = (3,)
    # types of the fields of the layers below, before __post_init__ has run
    kernel_size: Any
    stride: Any
    padding: Any
    ceil_mode: bool
    dilation: Any

    def __post_init__(self) -> None:
        self.kernel_size = whole(self.kernel_size, "kernel_size", most=MAX_EXTENT)
        stride = self.kernel_size if self.stride is None else self.stride
        self.stride = whole(stride, "stride", most=MAX_EXTENT)
        self.padding = ends(self.padding)
        self.ceil_mode = flag(self.ceil_mode, "ceil_mode")
        self.dilation = whole(self.dilation, "dilation", most=MAX_EXTENT)
        extent = self.dilation * (self.kernel_size - 1) + 1
        if past_extent(self.padding, (extent,)):
            wide = "" if self.dilation == 1 else f", which covers {extent}"
            raise ValueError(
                f"{self.label} padding must be less than the window {self.kernel_size}{wide}, "
                f"got {self.padding}"
            )

    def _out_shape(self, in_shape: Shape) -> Shape:
        return in_shape[0], self._place(in_shape[1]).ow

    def _place(self, length: int) -> Placement:
        window = self.kernel_size, self.stride, self.padding, self.dilation
        return place_on_sequence(self.label, length, *window, self.ceil_mode, True)


@dataclass(eq=False)
class MaxPool1D(_Pool1D):
    r"""1D max pooling: the largest value of each window of a sequence.

    .. math:: y_{c,i} = \max_a x_{c,\; i s + a d - p_{left}}

    A sequence is pooled as an image of height 1, by the kernels of `MaxPool2D`.

    Parameters
    ----------
    kernel_size : int
        Width of the window, in entries.
    stride : int, optional
        Step from window to window. By default ``kernel_size``: windows tile the sequence.
    padding : int, (left, right), "same" or "valid"
        Entries of -inf at both ends, fewer than the window covers.
    ceil_mode : bool
        Round the output length up, as PyTorch does with it.
    dilation : int
        Step from entry to entry of the window; 1 is an ordinary window.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; ValueError on call, if the window exceeds
        the sequence or contains no entry of it somewhere.

    Notes
    -----
    Shapes: ``(n, c, l)`` to ``(n, c, (l + left + right - d (k - 1) - 1) // s + 1)``.
    Of equal values in a window, the first gets the gradient. NaN counts as the largest value.
    NumPy reference: `deepfs.reference.max_pool1d`.

    References
    ----------
    ``torch.nn.MaxPool1d``, ``keras.layers.MaxPooling1D``.

    Examples
    --------
    >>> from deepfs.layers import MaxPool1D
    >>> MaxPool1D(2)(np.array([[[1.0, 3, 2, 0, 5, 4]]]))
    array([[[3., 2., 5.]]])
    """

    kernel_size: int = 2
    stride: int | None = None
    padding: str | int | tuple[int, int] = 0
    ceil_mode: bool = False
    dilation: int = field(default=1, metadata={"omitted": 1})

    fuses_backward = frozenset({"drelu"})

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        n, c, length = x.shape
        place = self._place(length)
        window = max_window(place)
        y, argmax = max_pool_forward(x[:, :, None], 1, place.ow, window, True)
        return channels_first(y)[:, :, 0], (argmax, y, (n, c, 1, length), window)

    def _infer(self, x: Array) -> Array:  # type: ignore[override]
        self.check_shape(x)
        place = self._place(x.shape[2])
        y, _ = max_pool_forward(x[:, :, None], 1, place.ow, max_window(place), False)
        return channels_first(y)[:, :, 0]

    def with_indices(self, x: ArrayLike) -> tuple[Array, Array]:
        """Return the output for the batch ``x``, and which entries its numbers come from.

        The indices are int64, in the shape of the output. They count the entries of a sequence, in
        each channel, as with PyTorch's ``return_indices``. ONNX numbers all entries of ``x``:
        channel k of sequence m adds (m c + k) l.

        Examples
        --------
        >>> from deepfs.layers import MaxPool1D
        >>> y, indices = MaxPool1D(2).with_indices(np.array([[[1.0, 3, 2, 0, 5, 4]]]))
        >>> indices
        array([[[1, 2, 4]]])
        """
        x = self.prepare(x)
        self.check_shape(x)
        place = self._place(x.shape[2])
        window = max_window(place)
        y, argmax = max_pool_forward(x[:, :, None], 1, place.ow, window, True)
        indices = indices_of(argmax, place.ow, x.shape[2], window)
        return channels_first(y)[:, :, 0], channels_first(indices)[:, :, 0]

    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, end: Epilogue = PLAIN
    ) -> Array | None:
        if not need_dx:
            return None
        return max_pool_backward(channels_last(dy[:, :, None]), cache, end.drelu)[:, :, 0]


@dataclass(eq=False)
class AvgPool1D(_Pool1D):
    r"""1D average pooling: the mean of each window of a sequence.

    .. math:: y_{c,i} = \frac{1}{N} \sum_a x_{c,\; i s + a d - p_{left}}

    A sequence is pooled as an image of height 1, by the kernels of `AvgPool2D`.

    Parameters
    ----------
    kernel_size : int
        Width of the window, in entries.
    stride : int, optional
        Step from window to window. By default ``kernel_size``: windows tile the sequence.
    padding : int, (left, right), "same" or "valid"
        Entries at both ends, fewer than the window covers.
    ceil_mode : bool
        Round the output length up, as PyTorch does with it.
    count_include_pad : bool
        Count the padding as entries of value 0 and divide by the size of the window (PyTorch's
        default). Otherwise divide by the number of entries of the sequence in the window.
    dilation : int
        Step from entry to entry of the window; 1 is an ordinary window.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; ValueError on call, if the window exceeds
        the sequence or contains no entry of it somewhere.

    Notes
    -----
    Shapes: ``(n, c, l)`` to ``(n, c, (l + left + right - d (k - 1) - 1) // s + 1)``.
    Each entry of a window gets an equal share of the window's gradient.
    NumPy reference: `deepfs.reference.avg_pool1d`.

    References
    ----------
    ``torch.nn.AvgPool1d``, ``keras.layers.AveragePooling1D``.

    Examples
    --------
    >>> from deepfs.layers import AvgPool1D
    >>> AvgPool1D(2)(np.array([[[1.0, 3, 2, 0, 5, 4]]]))
    array([[[2. , 1. , 4.5]]])
    """

    kernel_size: int = 2
    stride: int | None = None
    padding: str | int | tuple[int, int] = 0
    ceil_mode: bool = False
    count_include_pad: bool = False
    dilation: int = field(default=1, metadata={"omitted": 1})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.count_include_pad = flag(self.count_include_pad, "count_include_pad")

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        n, c, length = x.shape
        place = self._place(length)
        window = mean_window(place, self.count_include_pad)
        y = empty((n, 1, place.ow, c), x.dtype)
        pool.avg_pool2d_forward(channels_last(x[:, :, None]), y, *window)
        return channels_first(y)[:, :, 0], (x.shape, window)

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        (n, c, length), window = cache
        dx = empty((n, 1, length, c), dy.dtype)
        pool.avg_pool2d_backward(channels_last(dy[:, :, None]), dx, *window)
        return channels_first(dx)[:, :, 0]
