from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def add_column_sums(
    x: _Array,
    total: _Array,
) -> None: ...
