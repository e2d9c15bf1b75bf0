"""1D convolution. Kernels: those of `Conv2D`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import initializers
from .._arrays import Array, Shape
from .._check import MAX_EXTENT, flag, one_of, whole
from ._base import Layer
from ._fusion import PLAIN, Epilogue
from ._parameter import Parameter
from ._window import Placement, Window, ends, place_on_sequence
from .conv import Conv2D, check_channels


class _Row(Parameter):
    """The weight of windows of height 1, without the axis of the height."""

    __slots__ = ()

    def logical(self, storage: Array) -> Array:
        return super().logical(storage)[:, :, 0]


@dataclass(eq=False)
class Conv1D(Layer):
    r"""1D convolution of sequences, such as sound or measurements.

    .. math:: y_{o,i} = b_o + \sum_{c,a} w_{o,c,a} \, x_{c,\; i s + a d - p_{left}}

    A sequence is computed as an image of height 1, by the kernels of `Conv2D`.

    Parameters
    ----------
    filters : int
        Number of channels of the output.
    kernel_size : int
        Width of the window, in entries.
    stride : int
        Step from window to window.
    padding : int, (left, right), "same" or "valid"
        Zeros at both ends. "same" gives an output of length ceil(length / stride), an odd zero at
        the right; "valid" pads nothing.
    dilation : int
        Step from entry to entry of the window.
    groups : int
        Number of parts into which channels and filters are divided; the filters of a part are
        applied to the channels of that part only.
    bias : bool
        Add a learned number per filter.
    initializer : str or function
        Initial values of the weight, see `deepfs.initializers`; the bias starts at 0.
    algorithm : {"auto", "direct"}
        Both are the same here: Winograd's algorithm needs windows of 3x3.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; ValueError on call, if the window exceeds
        the sequence, or the number of channels does not fit the weight or the groups.

    Notes
    -----
    Shapes: ``(n, c, l)`` to ``(n, filters, ol)``, ol = floor((l + left + right - d (k - 1) - 1) /
    s) + 1. ``weight`` is ``(filters, c / groups, k)``, ``bias`` ``(filters,)``.
    NumPy reference: `deepfs.reference.conv1d`.

    References
    ----------
    Waibel et al., "Phoneme recognition using time-delay neural networks", 1989.
    ``torch.nn.Conv1d``.

    Examples
    --------
    >>> from deepfs.layers import Conv1D
    >>> difference = Conv1D(1, 2, initializer=lambda shape, rng: np.array([[[-1.0, 1.0]]]))
    >>> difference(np.array([[[1.0, 2, 4, 8]]]))
    array([[[1., 2., 4.]]])
    """

    filters: int
    kernel_size: int
    stride: int = 1
    padding: str | int | tuple[int, int] = 0
    dilation: int = 1
    groups: int = 1
    bias: bool = True
    initializer: str | initializers.Initializer = "he_normal"
    algorithm: str = "auto"

    input_rank = (3,)
    fuses_forward, fuses_backward = frozenset({"relu"}), frozenset({"drelu"})

    def __post_init__(self) -> None:
        self.filters = whole(self.filters, "filters", most=MAX_EXTENT)
        self.kernel_size = whole(self.kernel_size, "kernel_size", most=MAX_EXTENT)
        self.stride = whole(self.stride, "stride", most=MAX_EXTENT)
        self.padding = self._ends = ends(self.padding)
        self.dilation = whole(self.dilation, "dilation", most=MAX_EXTENT)
        self.groups = whole(self.groups, "groups")
        self.bias = flag(self.bias, "bias")
        initializers.get(self.initializer)
        one_of(self.algorithm, "algorithm", ("auto", "direct"))

    def _window(self) -> Window:
        """Return the window on an image of height 1."""
        sides = self._ends if isinstance(self._ends, str) else (0, 0, *self._ends)
        return Window((1, self.kernel_size), (1, self.stride), sides, (1, self.dilation))

    def _out_shape(self, in_shape: Shape) -> Shape:
        check_channels(self, in_shape, self.filters, self.groups)
        return self.filters, self._place(in_shape[1]).ow

    def _place(self, length: int) -> Placement:
        return place_on_sequence(
            self.label, length, self.kernel_size, self.stride, self._ends, self.dilation
        )

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        c, length = in_shape
        self._conv = Conv2D(self.filters, *self._window(), self.groups, self.bias, "zeros")
        shape = (self.filters, c // self.groups, self.kernel_size)
        try:
            self._conv.build((c, 1, length), dtype, self._budget)
        except MemoryError as error:  # which names the layer inside, and its axis of the height
            raise MemoryError(f"no memory for a weight of shape {shape}") from error
        weight = self.add_parameter("weight", shape, dtype, self.initializer)
        row = _Row(weight.value[:, :, None], self._conv.learned["weight"].axes)
        self.learned = {**self._conv.learned, "weight": row}
        vars(self._conv)["learned"] = self.learned

    def algorithm_for(self, in_shape: Shape, pass_name: str = "forward") -> str:
        return self._conv.algorithm_for((in_shape[0], 1, in_shape[1]), pass_name)

    def multiply_adds(self, in_shape: Shape) -> int:
        return self._conv.multiply_adds((in_shape[0], 1, in_shape[1]))

    def _forward(self, x: Array, training: bool, end: Epilogue = PLAIN) -> tuple[Array, Any]:
        self.check_shape(x)
        y, cache = self._conv._forward(x[:, :, None], training, end)
        return y[:, :, 0], cache

    def _infer(self, x: Array, end: Epilogue = PLAIN) -> Array:
        self.check_shape(x)
        return self._conv._forward(x[:, :, None], False, end)[0][:, :, 0]

    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, end: Epilogue = PLAIN
    ) -> Array | None:
        dx = self._conv._backward(dy[:, :, None], cache, need_dx, end)
        return None if dx is None else dx[:, :, 0]
