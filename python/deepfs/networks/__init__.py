"""Ready-made networks: functions that return one, whose outputs are logits.

`autoencoder` returns its input, `unet_small` logits of each pixel.
"""

from .._elsewhere import explain_absent as _explain_absent
from .._public import public_names as _public_names
from .alexnet_small import alexnet_small
from .autoencoder import autoencoder
from .deep_convnet import deep_convnet
from .densenet_small import densenet_small
from .inception_small import inception_small
from .lenet5 import lenet5
from .mini_convnet import mini_convnet
from .mlp import mlp
from .mobilenet_small import mobilenet_small
from .pretrained import pretrained
from .resnet import resnet, resnet18, resnet20, resnet32, resnet44, resnet56
from .simple_convnet import simple_convnet
from .squeezenet_small import squeezenet_small
from .two_layer import two_layer
from .unet_small import unet_small
from .vgg_small import vgg_small

__all__ = [
    "alexnet_small",
    "autoencoder",
    "deep_convnet",
    "densenet_small",
    "inception_small",
    "lenet5",
    "mini_convnet",
    "mlp",
    "mobilenet_small",
    "pretrained",
    "resnet",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "simple_convnet",
    "squeezenet_small",
    "two_layer",
    "unet_small",
    "vgg_small",
]


def __dir__() -> list[str]:
    return _public_names(globals())


_explain_absent(__name__)
