from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def add_column_sums(
    x: Array,
    total: Array,
) -> None: ...
