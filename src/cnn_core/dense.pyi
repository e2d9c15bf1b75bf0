from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def dense_forward(
    x: Array,
    weight: Array,
    bias: Array | None,
    y: Array,
    relu: bool = False,
) -> None: ...
def dense_backward(
    x: Array,
    dy: Array,
    weight: Array,
    dweight: Array,
    dbias: Array | None,
    dx: Array | None,
    drelu: bool = False,
) -> None: ...
