from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def softmax(
    x: _Array,
    y: _Array,
    logarithm: bool = False,
) -> None: ...
def softmax_backward(
    y: _Array,
    dy: _Array,
    dx: _Array,
    logarithm: bool = False,
) -> None: ...
def cross_entropy_forward(
    x: _Array,
    label: _Array | None,
    target: _Array | None,
    weight: _Array | None,
    p: _Array,
    loss: _Array,
) -> float: ...
def right_class(
    x: _Array,
    label: _Array,
    right: _Array,
) -> None: ...
def cross_entropy_backward(
    p: _Array,
    label: _Array | None,
    target: _Array | None,
    weight: _Array | None,
    scale: float,
    dx: _Array,
) -> None: ...
