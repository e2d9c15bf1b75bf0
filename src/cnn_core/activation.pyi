from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def relu_forward(
    x: Array,
    y: Array,
) -> None: ...
def relu_backward(
    y: Array,
    dy: Array,
    dx: Array,
) -> None: ...
def sigmoid_forward(
    x: Array,
    y: Array,
) -> None: ...
def sigmoid_backward(
    y: Array,
    dy: Array,
    dx: Array,
) -> None: ...
def tanh_forward(
    x: Array,
    y: Array,
) -> None: ...
def tanh_backward(
    y: Array,
    dy: Array,
    dx: Array,
) -> None: ...
