from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def group_norm_forward(
    x: Array,
    gamma: Array,
    beta: Array,
    eps: float,
    statistics: Array,
    y: Array,
) -> None: ...
def group_norm_backward(
    x: Array,
    dy: Array,
    gamma: Array,
    statistics: Array,
    dx: Array | None,
    dgamma: Array,
    dbeta: Array,
) -> None: ...
