from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def gemm(
    a: _Array,
    b: _Array,
    c: _Array,
    bias: _Array | None = None,
    trans_a: bool = False,
    trans_b: bool = False,
    accumulate: bool = False,
    relu: bool = False,
    drelu: _Array | None = None,
) -> None: ...
