from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def add_column_sums(
    x: Array,
    total: Array,
) -> None: ...
def dense_backward(
    x: Array,
    dy: Array,
    weight: Array,
    dweight: Array,
    dbias: Array | None,
    dx: Array | None,
    gated: bool = False,
) -> None: ...
