"""Epilogues: operations that a layer does at the end of its own pass, in place of a neighbour.

An element-wise layer on its own reads and writes a whole array; at the end of a kernel the numbers
are still in registers. The bits are the same. (CUTLASS and cuBLASLt call this an epilogue, oneDNN a
post-op; DRELU is cuBLASLt's name for the gradient of a ReLU.)
"""

from __future__ import annotations

from typing import NamedTuple

from .._arrays import Array


class Epilogue(NamedTuple):
    """Operations fused into the end of `Layer._forward` or `Layer._backward`.

    A layer is asked only for those that its ``fuses_forward`` and ``fuses_backward`` name.
    """

    relu: bool = False  # forward: y = max(y + residual, 0)
    residual: Array | None = None  # forward: added to y; backward: added to dx
    drelu: bool = False  # backward: dx = 0 where the input x is not above 0
    onto: bool = False  # backward: dx may be written over residual, where drelu has been done


PLAIN = Epilogue()  # nothing is fused
