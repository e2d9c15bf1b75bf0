"""Ready-made networks: functions that return a `Sequential`, whose outputs are logits."""

from .._elsewhere import explain_absent as _explain_absent
from .._public import public_names as _public_names
from .deep_convnet import deep_convnet
from .lenet5 import lenet5
from .mini_convnet import mini_convnet
from .mlp import mlp
from .resnet20 import resnet20
from .simple_convnet import simple_convnet
from .vgg_small import vgg_small

__all__ = [
    "deep_convnet",
    "lenet5",
    "mini_convnet",
    "mlp",
    "resnet20",
    "simple_convnet",
    "vgg_small",
]


def __dir__() -> list[str]:
    return _public_names(globals())


_explain_absent(__name__)
