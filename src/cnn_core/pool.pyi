from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def winner_words(
    ow: int,
    kh: int,
    kw: int,
    itemsize: int,
) -> int: ...
def max_pool2d_forward(
    x: Array,
    y: Array,
    winners: Array | None,
    kh: int,
    kw: int,
    sh: int,
    sw: int,
    top: int,
    left: int,
) -> None: ...
def max_pool2d_backward(
    dy: Array,
    winners: Array,
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
    count: int,
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
    count: int,
) -> None: ...
