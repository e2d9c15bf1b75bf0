from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def resample(
    x: Array,
    y: Array,
    rows: Array,
    row_weights: Array,
    columns: Array,
    column_weights: Array,
) -> None: ...
