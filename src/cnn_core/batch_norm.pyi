from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def batch_moments(
    x: _Array,
    mean: _Array,
    inv_std: _Array,
    running_mean: _Array,
    running_var: _Array,
    momentum: float,
    unbiased: bool,
    eps: float,
) -> None: ...
def batch_norm_forward(
    x: _Array,
    mean: _Array,
    inv_std: _Array,
    gamma: _Array,
    beta: _Array,
    y: _Array,
    relu: bool = False,
    residual: _Array | None = None,
) -> None: ...
def batch_norm_backward(
    x: _Array,
    dy: _Array,
    mean: _Array,
    inv_std: _Array,
    gamma: _Array,
    dx: _Array | None,
    dgamma: _Array | None,
    dbeta: _Array | None,
    batch: bool,
    drelu: bool = False,
) -> None: ...
