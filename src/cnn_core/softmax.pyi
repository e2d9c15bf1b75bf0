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
) -> None: ...
def cross_entropy_forward(
    x: Array,
    target: Array,
    log_p: Array,
    loss: Array,
) -> None: ...
def cross_entropy_backward(
    log_p: Array,
    target: Array,
    scale: Array,
    dx: Array,
) -> None: ...
