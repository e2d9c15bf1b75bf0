from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

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
    x: Array,
    y: Array,
    argmax: Array | None,
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
    kh: int,
    kw: int,
    sh: int,
    sw: int,
    top: int,
    left: int,
    y: Array | None = None,
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
    mean: int,
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
    mean: int,
) -> None: ...
