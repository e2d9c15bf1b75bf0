from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def group_norm_forward(
    x: _Array,
    gamma: _Array,
    beta: _Array,
    eps: float,
    statistics: _Array,
    y: _Array,
) -> None: ...
def group_norm_backward(
    x: _Array,
    dy: _Array,
    gamma: _Array,
    statistics: _Array,
    dx: _Array | None,
    dgamma: _Array,
    dbeta: _Array,
) -> None: ...
