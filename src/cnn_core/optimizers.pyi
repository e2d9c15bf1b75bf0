from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

norm: int
sgd: int
momentum: int
dampened_momentum: int
nesterov: int
squares: int
squares_momentum: int
centered: int
centered_momentum: int
adadelta: int
adam: int
amsgrad: int
adamax: int
lion: int
lamb_moments: int
lamb: int

def step(
    kind: int,
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
    passes: list[int] | None = None,
) -> None: ...
