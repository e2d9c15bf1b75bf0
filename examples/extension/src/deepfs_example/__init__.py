"""Three compiled layers and an optimizer, in a package outside of deepfs."""

import cnn_core

cnn_core.extend_path(__path__)  # the kernels that were compiled for this processor

from .adabelief import AdaBelief  # noqa: E402
from .rrelu import RReLU  # noqa: E402
from .squeeze_excite import SqueezeExcite  # noqa: E402
from .swish import Swish  # noqa: E402

__all__ = ["AdaBelief", "RReLU", "SqueezeExcite", "Swish"]
