from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def augment(
    x: Array,
    index: Array,
    kinds: Array,
    values: Array,
    fill: Array,
    scale: Array | None,
    shift: Array | None,
    y: Array,
) -> None: ...
def mix(
    x: Array,
    partner: Array,
    share: Array,
    box: Array,
    y: Array,
) -> None: ...
def draw(
    out: Array,
    numbers: Array,
    seed: int,
    epoch: int,
    call: int,
) -> None: ...
