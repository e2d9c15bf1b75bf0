from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def conv2d_forward(
    x: Array,
    weight: Array,
    bias: Array | None,
    y: Array,
    sh: int,
    sw: int,
    top: int,
    left: int,
    dh: int,
    dw: int,
    groups: int,
    winograd: bool = False,
    relu: bool = False,
) -> None: ...
def conv2d_backward_input(
    dy: Array,
    weight: Array,
    dx: Array,
    sh: int,
    sw: int,
    top: int,
    left: int,
    dh: int,
    dw: int,
    groups: int,
    winograd: bool = False,
    gate: Array | None = None,
    plus: Array | None = None,
) -> None: ...
def conv2d_backward_weight(
    x: Array,
    dy: Array,
    dweight: Array,
    dbias: Array | None,
    sh: int,
    sw: int,
    top: int,
    left: int,
    dh: int,
    dw: int,
    groups: int,
    winograd: bool = False,
) -> None: ...
