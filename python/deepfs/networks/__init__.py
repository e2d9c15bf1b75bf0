"""Networks: functions that return a layer. They put out logits, without a softmax."""

from .deep_convnet import deep_convnet
from .mini_convnet import mini_convnet
from .mlp import mlp
from .simple_convnet import simple_convnet

__all__ = ["deep_convnet", "mini_convnet", "mlp", "simple_convnet"]
