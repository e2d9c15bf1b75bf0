"""Normalisation inside each sample. Kernel: ``src/cnn_core/group_norm.pyx``.

The three layers are one computation: rows of pixels x columns, whose columns fall into groups that
each have their own mean and variance. A layer says how its input is read that way.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from cnn_core import group_norm

from .._arrays import Array, Shape, empty, logical, physical
from .._check import flag, number, whole
from ._base import Layer


class _Norm(Layer):
    """What the layers below share: all but their settings and how they read their input."""

    eps: Any  # what __post_init__ makes of the fields that the layers below declare
    affine: Any

    @abstractmethod
    def _rows(self, x: Array) -> tuple[Array, int, int]:
        """Return ``x`` as C-contiguous (rows, pixels, c), and two numbers that go with it.

        Into how many groups c falls, and to how many columns a number of gamma belongs.
        """

    @abstractmethod
    def _logical(self, rows: Array, shape: Shape) -> Array:
        """Return the array of ``shape`` that `_rows` would turn into ``rows``."""

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        rows, groups, repeats = self._rows(x)
        statistics, y = np.empty((2, len(rows), groups), x.dtype), empty(rows.shape, x.dtype)
        gamma, beta = self._affine(rows, repeats)
        group_norm.group_norm_forward(rows, gamma, beta, self.eps, statistics, y)
        return self._logical(y, x.shape), (rows, repeats, statistics)

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        rows, repeats, statistics = cache
        gamma = self._affine(rows, repeats)[0]
        own = self.affine and repeats == 1
        if own:
            dgamma, dbeta = (p.dstorage.reshape(gamma.shape) for p in self.learned.values())
        else:
            dgamma, dbeta = np.zeros_like(gamma), np.zeros_like(gamma)
        dx = empty(rows.shape, rows.dtype) if need_dx else None
        group_norm.group_norm_backward(
            rows, self._rows(dy)[0], gamma, statistics, dx, dgamma, dbeta
        )
        if self.affine and not own:
            for parameter, each in zip(self.learned.values(), (dgamma, dbeta), strict=True):
                total = each.sum(axis=1, dtype=np.float64)
                parameter.dstorage += total.reshape(parameter.dstorage.shape)
        return None if dx is None else self._logical(dx, dy.shape)

    def _affine(self, rows: Array, repeats: int) -> tuple[Array, Array]:
        """Return gamma and beta as the kernel takes them: (1 or pixels, c)."""
        c = rows.shape[2]
        if not self.affine:
            return np.ones((1, c), rows.dtype), np.zeros((1, c), rows.dtype)
        gamma, beta = (p.storage.reshape(-1, c // repeats) for p in self.learned.values())
        return (gamma, beta) if repeats == 1 else (gamma.repeat(c, axis=1), beta.repeat(c, axis=1))

    def _learn(self, shape: Shape, dtype: np.dtype[Any], axes: Shape | None = None) -> None:
        if self.affine:
            self.add_parameter("gamma", shape, dtype, 1.0, axes)
            self.add_parameter("beta", shape, dtype, 0.0, axes)


class _ChannelNorm(_Norm):
    """What normalisation of groups of channels adds: a gamma and a beta for each channel."""

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        self._learn(in_shape[:1], dtype)

    def _check_channels(self, in_shape: Shape, groups: int, kind: str) -> None:
        takes, values = self.in_shape or in_shape, prod(in_shape) // max(groups, 1)
        if in_shape[0] != takes[0] or takes[0] < 1:
            raise ValueError(
                f"{self.label} takes {max(takes[0], 1)} channels, got shape {in_shape}"
            )
        if values < 2:
            raise ValueError(
                f"{self.label} needs more than 1 value per {kind} of a sample, got shape {in_shape}"
            )

    def _columns(self, x: Array) -> Array:
        """Return (n, c, ...) as C-contiguous (n, pixels, c); a copy only if needed."""
        flat = x.reshape(*x.shape[:2], prod(x.shape[2:]))
        return np.ascontiguousarray(flat.transpose(0, 2, 1))

    def _logical(self, rows: Array, shape: Shape) -> Array:
        return rows.transpose(0, 2, 1).reshape(shape)


@dataclass(eq=False)
class LayerNorm(_Norm):
    r"""Give the last axes of each sample mean 0 and variance 1; scale and shift each entry.

    .. math::
        y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    :math:`\mu` and :math:`\sigma^2` are the mean and the biased variance over the last axes, as
    people see them. Training and inference are the same.

    Parameters
    ----------
    axes : int
        How many of the last axes, 1 to 3: of images, 1 means w, 2 h and w, 3 c, h and w.
    eps : float
        Term :math:`\epsilon` under the root, above 0.
    affine : bool
        Learn gamma and beta; otherwise they are 1 and 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range, or, on call, if the input has too few
        axes, or the last are not as long as those of the first input.

    Notes
    -----
    Shapes: ``(n, c)``, ``(n, c, l)`` or ``(n, c, h, w)``, unchanged. ``gamma`` and ``beta`` have
    the shape of the normalised axes, as in ``torch.nn.LayerNorm``. A single number per mean gives
    beta. Twin: `deepfs.reference.layer_norm`.

    References
    ----------
    Ba, Kiros and Hinton, "Layer normalization", 2016, arXiv:1607.06450.

    Examples
    --------
    >>> from deepfs.layers import LayerNorm
    >>> LayerNorm()(np.array([[1.0, 3.0], [50.0, 20.0]])).round(3)
    array([[-1.,  1.],
           [ 1., -1.]])
    """

    axes: int = 1
    eps: float = 1e-5
    affine: bool = True

    input_rank = (2, 3, 4)
    changeable = frozenset({"eps"})

    def __post_init__(self) -> None:
        self.axes = whole(self.axes, "axes", 1, 3)
        self.eps = number(self.eps, "eps", "(0, inf)")
        self.affine = flag(self.affine, "affine")

    def _out_shape(self, in_shape: Shape) -> Shape:
        got = ", ".join(map(str, ("n", *in_shape)))
        if len(in_shape) < self.axes:
            raise ValueError(
                f"{self.label} over {self.axes} axes takes more than {self.axes} dimensional "
                f"input, got shape ({got})"
            )
        last = in_shape[-self.axes :]
        takes = self.in_shape[-self.axes :] if self.in_shape else last
        if last != takes or prod(last) < 1:
            ending = ", ".join(str(max(extent, 1)) for extent in takes)
            raise ValueError(f"{self.label} takes shapes (..., {ending}), got shape ({got})")
        return in_shape

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        # all of an image in the order of its memory, so that gamma lies beside x
        self._learn(in_shape[-self.axes :], dtype, (1, 2, 0) if self.axes == 3 else None)

    def _rows(self, x: Array) -> tuple[Array, int, int]:
        memory = physical(x)
        if x.ndim < 4 or self.axes == 3 or x.shape[1] == 1:
            last = prod(x.shape[-self.axes :])
            return memory.reshape(prod(x.shape[: -self.axes]), 1, last), 1, 1
        n, h, w, c = memory.shape
        if c == 0:  # nothing to normalise: no rows, of any width
            return memory.reshape(0, w if self.axes == 1 else h * w, 1), 1, 1
        return memory.reshape((n * h, w, c) if self.axes == 1 else (n, h * w, c)), c, c

    def _logical(self, rows: Array, shape: Shape) -> Array:
        if len(shape) == 4:
            shape = (shape[0], *shape[2:], shape[1])
        return logical(rows.reshape(shape))


@dataclass(eq=False)
class GroupNorm(_ChannelNorm):
    r"""Give each group of channels of each sample mean 0 and variance 1; scale and shift channels.

    .. math::
        y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    :math:`\mu` and :math:`\sigma^2` are the mean and the biased variance over the channels of the
    group and all pixels. Training and inference are the same, for a batch of any size.

    Parameters
    ----------
    groups : int
        Into how many groups of neighbouring channels the channels are divided; 1 is layer
        normalisation of whole samples, though with a gamma per channel.
    eps : float
        Term :math:`\epsilon` under the root, above 0.
    affine : bool
        Learn gamma and beta; otherwise they are 1 and 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range, or, on call, if the channels are not
        those of the first input or no multiple of the groups, or a group of a sample has one value.

    Notes
    -----
    Shapes: ``(n, c)``, ``(n, c, l)`` or ``(n, c, h, w)``, unchanged. ``gamma`` and ``beta`` are
    ``(c,)``. A group of one value would give beta whatever the input, and is refused (by PyTorch
    for a batch of one only). Twin: `deepfs.reference.group_norm`.

    References
    ----------
    Wu and He, "Group normalization", 2018, arXiv:1803.08494.

    Examples
    --------
    >>> from deepfs.layers import GroupNorm
    >>> GroupNorm(2)(np.array([[1.0, 3.0, 50.0, 20.0]])).round(3)
    array([[-1.,  1.,  1., -1.]])
    """

    groups: int
    eps: float = 1e-5
    affine: bool = True

    input_rank = (2, 3, 4)
    changeable = frozenset({"groups", "eps"})

    def __post_init__(self) -> None:
        self.groups = whole(self.groups, "groups")
        self.eps = number(self.eps, "eps", "(0, inf)")
        self.affine = flag(self.affine, "affine")

    def _out_shape(self, in_shape: Shape) -> Shape:
        if in_shape[0] % self.groups:
            raise ValueError(
                f"{self.label} takes a multiple of {self.groups} channels, got shape {in_shape}"
            )
        self._check_channels(in_shape, self.groups, "group")
        return in_shape

    def _rows(self, x: Array) -> tuple[Array, int, int]:
        return self._columns(x), self.groups, 1


@dataclass(eq=False)
class InstanceNorm(_ChannelNorm):
    r"""Give each channel of each sample mean beta and standard deviation gamma.

    .. math::
        y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    :math:`\mu` and :math:`\sigma^2` are the mean and the biased variance over the pixels of one
    channel of one sample. Training and inference are the same.

    Parameters
    ----------
    eps : float
        Term :math:`\epsilon` under the root, above 0.
    affine : bool
        Learn gamma and beta (PyTorch's default is not to); otherwise they are 1 and 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range, or, on call, if the channels are not
        those of the first input, or a channel has one pixel.

    Notes
    -----
    Shapes: ``(n, c, l)`` or ``(n, c, h, w)``, unchanged. ``gamma`` and ``beta`` are ``(c,)``.
    Twin: `deepfs.reference.instance_norm`.

    References
    ----------
    Ulyanov, Vedaldi and Lempitsky, "Instance normalization: the missing ingredient for fast
    stylization", 2016, arXiv:1607.08022.

    Examples
    --------
    >>> from deepfs.layers import InstanceNorm
    >>> InstanceNorm()(np.array([[[1.0, 3.0], [50.0, 20.0]]])).round(3)
    array([[[-1.,  1.],
            [ 1., -1.]]])
    """

    eps: float = 1e-5
    affine: bool = True

    input_rank = (3, 4)
    changeable = frozenset({"eps"})

    def __post_init__(self) -> None:
        self.eps = number(self.eps, "eps", "(0, inf)")
        self.affine = flag(self.affine, "affine")

    def _out_shape(self, in_shape: Shape) -> Shape:
        self._check_channels(in_shape, in_shape[0], "channel")
        return in_shape

    def _rows(self, x: Array) -> tuple[Array, int, int]:
        return self._columns(x), x.shape[1], 1
