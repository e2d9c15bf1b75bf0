from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

sgd: int
momentum: int
squares: int
centered: int
squares_momentum: int
centered_momentum: int
adadelta: int
adam: int
amsgrad: int
adamax: int
lion: int
lamb_moments: int
lamb: int
norm: int

def step(
    kind: int,
    w: Array,
    g: Array,
    a: Array | None,
    b: Array | None,
    c: Array | None,
    cleared: Array | None,
    pieces: Array,
    groups: Array,
    factors: Array,
    sums: Array,
    lr: float,
    bound: float,
    p0: float = 0,
    p1: float = 0,
    p2: float = 0,
    p3: float = 0,
    p4: float = 0,
    p5: float = 0,
    p6: float = 0,
    p7: float = 0,
) -> None: ...
