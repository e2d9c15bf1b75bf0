from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def resample(
    x: _Array,
    y: _Array,
    rows: _Array,
    row_weights: _Array,
    columns: _Array,
    column_weights: _Array,
) -> None: ...
