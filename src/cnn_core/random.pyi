from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def uniform(
    out: _Array,
    seed: int,
    stream: int,
    call: int,
) -> None: ...
def normal(
    out: _Array,
    seed: int,
    stream: int,
    call: int,
) -> None: ...
def permutation(
    out: _Array,
    seed: int,
    stream: int,
    call: int,
) -> None: ...
def philox(
    counter: _Array,
    key0: int,
    key1: int,
) -> None: ...
