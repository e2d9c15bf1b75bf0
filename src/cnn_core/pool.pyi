from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

mean_of_pixels: int
mean_with_padding: int
mean_undivided: int

def argmax_words(
    ow: int,
    kh: int,
    kw: int,
    itemsize: int,
) -> int: ...
def max_pool2d_forward(
    x: _Array,
    y: _Array,
    argmax: _Array | None,
    kh: int,
    kw: int,
    sh: int,
    sw: int,
    top: int,
    left: int,
    dh: int = 1,
    dw: int = 1,
) -> None: ...
def max_pool2d_backward(
    dy: _Array,
    argmax: _Array,
    dx: _Array,
    kh: int,
    kw: int,
    sh: int,
    sw: int,
    top: int,
    left: int,
    dh: int = 1,
    dw: int = 1,
    y: _Array | None = None,
) -> None: ...
def avg_pool2d_forward(
    x: _Array,
    y: _Array,
    kh: int,
    kw: int,
    sh: int,
    sw: int,
    top: int,
    left: int,
    bottom: int,
    right: int,
    mean: int,
    dh: int = 1,
    dw: int = 1,
) -> None: ...
def avg_pool2d_backward(
    dy: _Array,
    dx: _Array,
    kh: int,
    kw: int,
    sh: int,
    sw: int,
    top: int,
    left: int,
    bottom: int,
    right: int,
    mean: int,
    dh: int = 1,
    dw: int = 1,
) -> None: ...
