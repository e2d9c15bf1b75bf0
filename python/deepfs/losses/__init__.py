"""Loss functions: one number that training minimizes, and its gradient.

All are called as ``loss(outputs, targets, sample_weight=None)`` and have a ``reduction``: "mean",
"sum" or "none". The mean divides by the sum of the weights. `Combined` is a loss of several
outputs, `FunctionLoss` a function of your own, and `get` makes losses of names.
Cross-entropy has a kernel, ``softmax.pyx``; the others work on small arrays, in plain NumPy. Read
``_base.py`` first.
"""

from .._elsewhere import explain_absent as _explain_absent

# for losses of your own: public, but not part of `import *`
from .._public import public_names as _public_names
from ._base import REDUCTIONS as REDUCTIONS
from ._base import ElementWise as ElementWise
from ._base import Loss
from ._base import Scale as Scale
from ._base import Terms as Terms
from ._base import real_outputs as real_outputs
from ._base import weighted as weighted
from ._base import weights_of as weights_of
from ._get import get
from ._output_kinds import BINARY_LOGITS as BINARY_LOGITS
from ._output_kinds import CLASS_LOGITS as CLASS_LOGITS
from ._output_kinds import LOG_PROBABILITIES as LOG_PROBABILITIES
from ._output_kinds import NUMBERS as NUMBERS
from ._output_kinds import SCORES as SCORES
from ._output_kinds import UNKNOWN as UNKNOWN
from ._output_kinds import OutputKind as OutputKind
from .binary_cross_entropy import BinaryCrossEntropy
from .combined import Combined
from .cross_entropy import CrossEntropy
from .function import FunctionLoss
from .hinge import Hinge
from .huber import Huber
from .mean_absolute_error import MeanAbsoluteError
from .mean_squared_error import MeanSquaredError
from .negative_log_likelihood import NegativeLogLikelihood

__all__ = [
    "BinaryCrossEntropy",
    "Combined",
    "CrossEntropy",
    "FunctionLoss",
    "Hinge",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "NegativeLogLikelihood",
    "get",
]


def __dir__() -> list[str]:
    return _public_names(globals())


_explain_absent(__name__)
