"""Augmentation: random changes of training images, new in each epoch.

Names follow ``torchvision.transforms.v2``. A list of transforms is what a loader takes as
``augment``; each changes what the one before it has returned. A function ``f(image, rng)`` is a
transform, too. `ProgressiveResizing`, `MixUp` and `CutMix` take the finished images of a batch and
stand at the end.

What happens to an image is a function of the seed, the epoch and the number of the sample alone:
neither threads nor batches nor an interruption of the training change it.
"""

from .._elsewhere import explain_absent as _explain_absent
from .._public import public_names as _public_names
from ._pipeline import Pipeline, pipeline
from .affine import RandomAffine
from .color import ColorJitter
from .crop import RandomCrop
from .cutout import Cutout
from .flips import AlternatingFlip, RandomHorizontalFlip, RandomVerticalFlip
from .mixing import CutMix, MixUp
from .resizing import ProgressiveResizing
from .views import Views

__all__ = [
    "AlternatingFlip",
    "ColorJitter",
    "CutMix",
    "Cutout",
    "MixUp",
    "Pipeline",
    "ProgressiveResizing",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomVerticalFlip",
    "Views",
    "pipeline",
]


def __dir__() -> list[str]:
    return _public_names(globals())


_explain_absent(__name__)
