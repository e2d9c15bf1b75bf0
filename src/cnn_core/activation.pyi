from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

relu: int
sigmoid: int
tanh: int
elu: int
selu: int
softplus: int
leaky_relu: int
hard_swish: int
silu: int
gelu: int
gelu_tanh: int
slope: int
clip: int
scaled_elu: int
takes_input: frozenset[int]

def forward(
    kind: int,
    x: _Array,
    y: _Array,
    parameter: _Array | None = None,
) -> None: ...
def backward(
    kind: int,
    x_or_y: _Array,
    dy: _Array,
    dx: _Array,
    parameter: _Array | None = None,
) -> None: ...
