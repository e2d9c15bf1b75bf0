from typing import Any, TypeAlias

from numpy.typing import NDArray
from typing_extensions import disjoint_base

_Array: TypeAlias = NDArray[Any]

@disjoint_base
class Rule:
    name: str

def step(
    rule: Rule,
    w: _Array,
    g: _Array,
    state0: _Array | None,
    state1: _Array | None,
    state2: _Array | None,
    cleared: _Array | None,
    pieces: _Array,
    groups: _Array,
    factors: _Array | None,
    sums: _Array | None,
    lr: float,
    bound: float,
    constants: tuple[float, ...],
    passes: list[Rule] | None = None,
) -> None: ...
