"""Preprocessing: what is done to inputs before the network sees them, fitted on training data only.

``Model(..., preprocess=Standardize())``: `fit` fits it on the training part, the file keeps it, and
`fit`, `evaluate`, `predict` and `train_on_batch` apply it, so all of them take raw inputs. A list
is applied in turn. Names are those of Keras (`Rescale`: Rescaling), torchvision (`Normalize`) and
scikit-learn (`PCA`, `Pipeline`; `Standardize`: StandardScaler); whitening is that of CS231n.

>>> from deepfs.preprocessing import Standardize
>>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
>>> Standardize().fit(x)(x)
array([[-1., -1.],
       [ 1.,  1.]])
"""

from .._elsewhere import explain_absent as _explain_absent
from .._public import public_names as _public_names
from ._base import Preprocess
from .pca import PCA, PCAWhitening, ZCAWhitening
from .pipeline import Pipeline, get
from .rescale import Normalize, Rescale
from .standardize import Standardize, ZeroCenter

__all__ = [
    "PCA",
    "Normalize",
    "PCAWhitening",
    "Pipeline",
    "Preprocess",
    "Rescale",
    "Standardize",
    "ZCAWhitening",
    "ZeroCenter",
    "get",
]


def __dir__() -> list[str]:
    return _public_names(globals())


_explain_absent(__name__)
