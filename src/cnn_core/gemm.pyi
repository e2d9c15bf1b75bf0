from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def gemm(
    a: Array,
    b: Array,
    c: Array,
    bias: Array | None = None,
    trans_a: bool = False,
    trans_b: bool = False,
    accumulate: bool = False,
    relu: bool = False,
    drelu: Array | None = None,
) -> None: ...
