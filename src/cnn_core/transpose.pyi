from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def transpose(x: Array, y: Array) -> None: ...
