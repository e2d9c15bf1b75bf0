from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def sgd_step(
    w: Array,
    g: Array,
    lr: float,
) -> None: ...
def momentum_step(
    w: Array,
    g: Array,
    v: Array,
    lr: float,
    momentum: float,
) -> None: ...
def adam_step(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    t: int,
) -> None: ...
