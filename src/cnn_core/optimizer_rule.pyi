from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

class Rule:
    name: str

def step(
    rule: Rule,
    w: Array,
    g: Array,
    state0: Array | None,
    state1: Array | None,
    state2: Array | None,
    cleared: Array | None,
    pieces: Array,
    groups: Array,
    factors: Array | None,
    sums: Array | None,
    lr: float,
    bound: float,
    constants: tuple[float, ...],
    passes: list[Rule] | None = None,
) -> None: ...
