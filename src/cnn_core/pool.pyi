from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def max_pool2d_forward(
    x: Array,
    y: Array,
    argmax: Array,
    kh: int,
    kw: int,
    sh: int,
    sw: int,
    top: int,
    left: int,
) -> None: ...
def max_pool2d_backward(
    dy: Array,
    argmax: Array,
    dx: Array,
) -> None: ...
def avg_pool2d_forward(
    x: Array,
    y: Array,
    kh: int,
    kw: int,
    sh: int,
    sw: int,
    top: int,
    left: int,
    bottom: int,
    right: int,
    include_pad: bool,
) -> None: ...
def avg_pool2d_backward(
    dy: Array,
    dx: Array,
    kh: int,
    kw: int,
    sh: int,
    sw: int,
    top: int,
    left: int,
    bottom: int,
    right: int,
    include_pad: bool,
) -> None: ...
