from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def transpose(x: _Array, y: _Array) -> None: ...
