from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

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
    x: _Array,
    weight: _Array,
    bias: _Array | None,
    y: _Array,
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
def transformed_length(
    c: int,
    co: int,
) -> int: ...
def transform_weight(
    weight: _Array,
    transformed: _Array,
) -> None: ...
def conv2d_transformed(
    x: _Array,
    transformed: _Array,
    bias: _Array | None,
    y: _Array,
    top: int,
    left: int,
    relu: bool = False,
) -> None: ...
def conv2d_backward_input(
    dy: _Array,
    weight: _Array,
    dx: _Array,
    sh: int,
    sw: int,
    top: int,
    left: int,
    dh: int,
    dw: int,
    groups: int,
    request: str = "auto",
    drelu: _Array | None = None,
    residual: _Array | None = None,
) -> None: ...
def conv2d_backward_weight(
    x: _Array,
    dy: _Array,
    dweight: _Array,
    dbias: _Array | None,
    sh: int,
    sw: int,
    top: int,
    left: int,
    dh: int,
    dw: int,
    groups: int,
    request: str = "auto",
) -> None: ...
