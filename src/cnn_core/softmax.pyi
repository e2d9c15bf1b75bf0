from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def softmax(
    x: Array,
    y: Array,
    logarithm: bool = False,
) -> None: ...
def softmax_backward(
    y: Array,
    dy: Array,
    dx: Array,
    logarithm: bool = False,
) -> None: ...
def cross_entropy_forward(
    x: Array,
    label: Array | None,
    target: Array | None,
    weight: Array | None,
    p: Array,
    loss: Array,
) -> float: ...
def right_class(
    x: Array,
    label: Array,
    right: Array,
) -> None: ...
def cross_entropy_backward(
    p: Array,
    label: Array | None,
    target: Array | None,
    weight: Array | None,
    scale: float,
    dx: Array,
) -> None: ...
