"""Loss functions: one number that training minimizes, and its gradient.

All are called as ``loss(outputs, targets, sample_weight=None)`` and have a ``reduction``: "mean",
"sum" or "none". The mean divides by the sum of the weights. Cross-entropy has a kernel,
``softmax.pyx``; the others work on small arrays, in plain NumPy. Read ``_base.py`` first.
"""

from .._elsewhere import explain_absent as _explain_absent

# for losses of your own: public, but not part of `import *`
from ._base import REDUCTIONS as REDUCTIONS
from ._base import ElementWise as ElementWise
from ._base import Loss
from ._base import Scale as Scale
from ._base import Terms as Terms
from ._base import real_outputs as real_outputs
from ._base import weighted as weighted
from ._base import weights_of as weights_of
from .binary_cross_entropy import BinaryCrossEntropy
from .cross_entropy import CrossEntropy
from .hinge import Hinge
from .huber import Huber
from .mean_absolute_error import MeanAbsoluteError
from .mean_squared_error import MeanSquaredError
from .negative_log_likelihood import NegativeLogLikelihood

__all__ = [
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Hinge",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "NegativeLogLikelihood",
]

_explain_absent(__name__)
