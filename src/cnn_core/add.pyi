from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def add(
    a: _Array, b: _Array, y: _Array, relu: bool = False, drelu: _Array | None = None
) -> None: ...
