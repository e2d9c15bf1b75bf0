"""Learning rate schedules: pass one to any optimizer as its ``lr``.

A schedule is a function of a count from 0: ``schedule(7)`` is the rate of the eighth step, or of
the eighth epoch with ``by="epoch"``. So it can be plotted. After their end, schedules stay at their
last value. There is no ``scheduler.step()``: the optimizer counts steps, and `Model.fit` epochs; in
a loop of your own, ``end_epoch`` of the model or the optimizer ends one. A plain function is a
schedule, too: ``Adam(lambda step: 1e-3 * 0.99**step)``, see `Function`.
"""

from .._elsewhere import explain_absent as _explain_absent
from .._public import public_names as _public_names
from ._base import MOVES as MOVES  # for schedules of one's own, not for `import *`
from ._base import Schedule
from .cyclic import Cosine, CosineRestarts, OneCycle
from .decay import Constant, Exponential, InverseTime, MultiStep, Polynomial, Step
from .function import Function
from .plateau import Plateau
from .warmup import Warmup

__all__ = [
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Exponential",
    "Function",
    "InverseTime",
    "MultiStep",
    "OneCycle",
    "Plateau",
    "Polynomial",
    "Schedule",
    "Step",
    "Warmup",
]


def __dir__() -> list[str]:
    return _public_names(globals())


_explain_absent(__name__)
