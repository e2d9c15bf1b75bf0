from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def uniform(
    out: Array,
    seed: int,
    stream: int,
    call: int,
) -> None: ...
def normal(
    out: Array,
    seed: int,
    stream: int,
    call: int,
) -> None: ...
def permutation(
    out: Array,
    seed: int,
    stream: int,
    call: int,
) -> None: ...
def philox(
    counter: Array,
    key0: int,
    key1: int,
) -> None: ...
