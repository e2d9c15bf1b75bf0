"""Estimators for scikit-learn: `MLPClassifier`, `MLPRegressor`, `CNNClassifier`, `CNNRegressor`.

They need scikit-learn: ``pip install deepfs[sklearn]``.
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as _error:
    raise ImportError(
        "deepfs.sklearn needs scikit-learn: pip install deepfs[sklearn]", name="sklearn"
    ) from _error

from .._public import public_names as _public_names
from .cnn import CNNClassifier, CNNRegressor
from .mlp import MLPClassifier, MLPRegressor

__all__ = ["CNNClassifier", "CNNRegressor", "MLPClassifier", "MLPRegressor"]


def __dir__() -> list[str]:
    return _public_names(globals())
