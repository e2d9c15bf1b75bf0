from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def drop(
    x: Array,
    y: Array,
    p: float,
    scale: float,
    seed: int,
    stream: int,
    call: int,
) -> None: ...
