from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def augment(
    x: _Array,
    index: _Array,
    kinds: _Array,
    values: _Array,
    fill: _Array,
    scale: _Array | None,
    shift: _Array | None,
    y: _Array,
) -> None: ...
def mix(
    x: _Array,
    partner: _Array,
    share: _Array,
    box: _Array,
    y: _Array,
) -> None: ...
def draw(
    out: _Array,
    numbers: _Array,
    seed: int,
    epoch: int,
    call: int,
) -> None: ...
