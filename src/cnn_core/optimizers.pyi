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
    p0: float = ...,
    p1: float = ...,
    p2: float = ...,
    p3: float = ...,
    p4: float = ...,
    p5: float = ...,
    p6: float = ...,
    p7: float = ...,
) -> None: ...
