"""Data as `deepfs.Model` takes them: `Loader`, of arrays, folders and files; and splits."""

from .._elsewhere import explain_absent as _explain_absent
from .._public import public_names as _public_names
from .loader import Loader
from .splits import KFold, StratifiedKFold, train_test_split

__all__ = ["KFold", "Loader", "StratifiedKFold", "train_test_split"]


def __dir__() -> list[str]:
    return _public_names(globals())


_explain_absent(__name__)
