"""Data as `deepfs.Model` takes them: containers that people hand over, batches, and splits."""

from .._public import public_names as _public_names
from .splits import KFold, StratifiedKFold, train_test_split

__all__ = ["KFold", "StratifiedKFold", "train_test_split"]


def __dir__() -> list[str]:
    return _public_names(globals())
