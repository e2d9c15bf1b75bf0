from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def dense_forward(
    x: _Array,
    weight: _Array,
    bias: _Array | None,
    y: _Array,
    relu: bool = False,
) -> None: ...
def dense_backward(
    x: _Array,
    dy: _Array,
    weight: _Array,
    dweight: _Array | None,
    dbias: _Array | None,
    dx: _Array | None,
    drelu: bool = False,
) -> None: ...
