from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def im2col(
    x: _Array,
    col: _Array,
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
    col: _Array,
    dx: _Array,
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
