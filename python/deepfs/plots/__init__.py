"""Pictures of data, training and networks, drawn by Matplotlib: ``pip install 'deepfs[plot]'``.

Each function takes ``ax=``: an Axes to draw into, an array of them for a picture of several parts,
or None for a new figure. It returns the Axes that it drew into; ``.figure.savefig("name.png")``
writes a file. Colours of text and lines, fonts and backgrounds are those of Matplotlib's settings,
which are left alone.
"""

from .._public import public_names as _public_names
from .attribution import grad_cam, saliency
from .augmentation import augmentation
from .confusion import confusion_matrix, most_confused
from .filters import feature_maps, filters
from .histograms import activations, gradients
from .history import history
from .images import images
from .mistakes import misclassified, top_losses
from .network import network
from .rates import learning_rate_finder, schedule

__all__ = [
    "activations",
    "augmentation",
    "confusion_matrix",
    "feature_maps",
    "filters",
    "grad_cam",
    "gradients",
    "history",
    "images",
    "learning_rate_finder",
    "misclassified",
    "most_confused",
    "network",
    "saliency",
    "schedule",
    "top_losses",
]


def __dir__() -> list[str]:
    return _public_names(globals())
