"""Callbacks: code that runs at given moments of `deepfs.Model.fit`."""

from .._elsewhere import explain_absent as _explain_absent
from .._public import public_names as _public_names
from ._base import Callback
from .averaging import EMA, SWA, update_bn
from .csv_logger import CSVLogger
from .diagnose import Diagnose
from .early_stopping import EarlyStopping
from .json_logger import JSONLogger
from .lambda_callback import LambdaCallback
from .learning_rate_scheduler import LearningRateScheduler
from .lookahead import Lookahead
from .model_checkpoint import ModelCheckpoint
from .reduce_lr_on_plateau import ReduceLROnPlateau
from .tensor_board import TensorBoard
from .terminate_on_nan import TerminateOnNaN

__all__ = [
    "EMA",
    "SWA",
    "CSVLogger",
    "Callback",
    "Diagnose",
    "EarlyStopping",
    "JSONLogger",
    "LambdaCallback",
    "LearningRateScheduler",
    "Lookahead",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
    "update_bn",
]


def __dir__() -> list[str]:
    return _public_names(globals())


_explain_absent(__name__)
