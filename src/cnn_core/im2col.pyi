from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def im2col(
    x: Array,
    col: Array,
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
) -> None: ...
def col2im(
    col: Array,
    dx: Array,
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
) -> None: ...
