from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def batch_moments(
    x: Array,
    mean: Array,
    inv_std: Array,
    running_mean: Array,
    running_var: Array,
    momentum: float,
    unbiased: bool,
    eps: float,
) -> None: ...
def batch_norm_forward(
    x: Array,
    mean: Array,
    inv_std: Array,
    gamma: Array,
    beta: Array,
    y: Array,
    relu: bool = False,
    residual: Array | None = None,
) -> None: ...
def batch_norm_backward(
    x: Array,
    dy: Array,
    mean: Array,
    inv_std: Array,
    gamma: Array,
    dx: Array | None,
    dgamma: Array,
    dbeta: Array,
    batch: bool,
    drelu: bool = False,
) -> None: ...
