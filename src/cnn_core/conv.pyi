from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

PASSES: tuple[str, ...]
ALGORITHMS: tuple[str, ...]

def takes_winograd(
    kh: int,
    kw: int,
    sh: int,
    sw: int,
    dh: int,
    dw: int,
    groups: int,
) -> bool: ...
def algorithm(
    pass_name: str,
    c: int,
    co: int,
    oh: int,
    ow: int,
    kh: int,
    kw: int,
    sh: int,
    sw: int,
    top: int,
    left: int,
    dh: int,
    dw: int,
    groups: int,
    request: str = "auto",
    itemsize: int = 4,
) -> str: ...
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
    request: str = "auto",
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
    request: str = "auto",
    drelu: Array | None = None,
    residual: Array | None = None,
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
    request: str = "auto",
) -> None: ...
