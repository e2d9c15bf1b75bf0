"""Gradient checkpointing: run layers again in backward. Kernels: those of the parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from .._arrays import Array, Shape
from .._trees import leaves
from ._base import Layer
from ._container import Container
from ._fusion import PLAIN, Epilogue
from ._indexing import checked_part, part_named
from ._several import Several
from .sequential import Sequential, use_once


class Kept(NamedTuple):
    """What a forward pass keeps: all that a second one needs to have the same bits."""

    x: Array
    training: bool
    end: Epilogue
    buffers: list[Array]  # those of the body before the pass, such as the calls of a dropout


@dataclass(eq=False)
class Checkpoint(Container):
    r"""Gradient checkpointing: keep only the input of some layers, and run them again in backward.

    .. math:: y = f(x), \quad dx = J_f(x)^T dy, \quad \text{with } f(x) \text{ computed again}

    Training then needs less memory: of the activations inside the body none is kept between its
    forward and its backward pass. It takes the time of one more forward pass of the body.

    Parameters
    ----------
    body : Layer or list of Layer
        The layers that run again; a list becomes a `Sequential`.

    Raises
    ------
    TypeError
        If the body is not a layer.
    ValueError
        If the body has several inputs or outputs.

    Notes
    -----
    Shapes: those of the body. Outputs, gradients and buffers have the bits of the body alone: in
    the second forward pass, dropout draws the same masks, and running statistics stay. For that,
    buffers are set to what they were before the first pass, and put back. A layer of your own must
    therefore keep what changes from call to call in buffers (`Layer.add_buffer`). As for any layer,
    weights and settings must stay between forward and backward.

    Chen's rule for a chain of n layers: about sqrt(n) checkpoints of sqrt(n) layers each. The last
    layers need none: they would run again at once. ``docs/performance.md`` has figures.
    NumPy reference: `deepfs.reference.checkpoint`.

    References
    ----------
    Chen, Xu, Zhang and Guestrin, "Training deep nets with sublinear memory cost", 2016,
    arXiv:1604.06174. ``torch.utils.checkpoint``.

    Examples
    --------
    >>> from deepfs.layers import Checkpoint, Dense, ReLU, Sequential
    >>> net = Sequential([Checkpoint([Dense(8), ReLU(), Dense(8), ReLU()]), Dense(2)])
    >>> net(np.zeros((3, 4))).shape
    (3, 2)
    >>> list(net.parameters())[:2]
    ['checkpoint_1.body.dense_1.weight', 'checkpoint_1.body.dense_1.bias']
    """

    body: Any  # a Layer, from `__post_init__` on

    transparent = True  # computes nothing itself: tables show its parts only
    recomputes: ClassVar[bool] = True  # False in copies that note what each layer returns

    def __post_init__(self) -> None:
        self.body = checked_part("Checkpoint", self.body, Sequential)
        _refuse_several(self.body)
        vars(self.body).setdefault("given_name", "body")

    @property
    def fuses_forward(self) -> frozenset[str]:  # type: ignore[override]
        """The body's, without a residual: to keep that array would take memory."""
        fused: frozenset[str] = self.body.fuses_forward & {"relu"}
        return fused

    @property
    def fuses_backward(self) -> frozenset[str]:  # type: ignore[override]
        """Fused operations of the body."""
        fused: frozenset[str] = self.body.fuses_backward
        return fused

    def named_parts(self) -> dict[str, Layer]:
        return {"body": self.body}

    def __getitem__(self, name: str) -> Layer:
        """Return a part by its name, as in names of parameters: ``"body.dense_1"``."""
        return part_named(self, name)

    def _out_shape(self, in_shape: Shape) -> Shape:
        made: Shape = self.body.out_shape(in_shape)
        return made

    def _forward(self, x: Array, training: bool, end: Epilogue = PLAIN) -> tuple[Array, Any]:
        self.check_shape(x)
        if not self.recomputes:
            return _run(self.body, x, training, end)
        buffers = [buffer.copy() for buffer in self.body.buffers().values()]
        return _run(self.body, x, training, end)[0], Kept(x, training, end, buffers)

    def _infer(self, x: Array, end: Epilogue = PLAIN) -> Array:
        self.check_shape(x)
        y: Array = self.body._infer(x) if end is PLAIN else self.body._infer(x, end)
        return y

    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, end: Epilogue = PLAIN
    ) -> Array | None:
        if isinstance(cache, Kept):
            with buffers_as(self.body, cache.buffers):
                cache = _run(self.body, cache.x, cache.training, cache.end)[1]
            if self.body._once:
                use_once(cache)
        dx: Array | None
        if end is PLAIN:
            dx = self.body._backward(dy, cache, need_dx)
        else:
            dx = self.body._backward(dy, cache, need_dx, end)
        return dx


def _run(body: Any, x: Array, training: bool, end: Epilogue) -> tuple[Array, Any]:
    """Return output and cache of the body; only a layer that fuses takes an epilogue."""
    made: tuple[Array, Any]
    made = body._forward(x, training) if end is PLAIN else body._forward(x, training, end)
    return made


@contextmanager
def buffers_as(layer: Layer, before: Sequence[Array]) -> Iterator[None]:
    """Set the buffers of a layer inside a ``with`` block; afterwards they are as they were."""
    buffers = [*layer.buffers().values()]
    now = [buffer.copy() for buffer in buffers]
    try:
        _write(buffers, before)
        yield
    finally:
        _write(buffers, now)


def _write(buffers: Sequence[Array], values: Sequence[Array]) -> None:
    """Copy values into buffers that differ: in inference mode none, so that threads may share."""
    for buffer, value in zip(buffers, values, strict=True):
        if buffer.tobytes() != value.tobytes():
            buffer[...] = value


def _refuse_several(body: Layer) -> None:
    """Raise ValueError for a layer of several inputs or outputs."""
    if not isinstance(body, Several):
        return
    outputs = len([*leaves(getattr(body, "outputs", 0))])
    if body._one and outputs == 1:
        return
    got = f"{outputs} outputs" if body._one else "a tuple or dict of inputs"
    raise ValueError(
        f"Checkpoint takes a body of one input and one output, got {body.label} with {got}: "
        "put the Checkpoint around a chain of layers, and call it in the Graph"
    )
