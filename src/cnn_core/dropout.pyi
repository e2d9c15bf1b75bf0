from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def drop(
    x: _Array,
    y: _Array,
    p: float,
    scale: float,
    seed: int,
    stream: int,
    call: int,
) -> None: ...
