from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def add(a: Array, b: Array, y: Array, relu: bool = False, drelu: Array | None = None) -> None: ...
