"""``deepfs plan``: memory and time of a training."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .. import networks
from ..config import set_num_threads
from ..losses import CrossEntropy, MeanSquaredError
from ..model import Model
from ._model_of import model_of


def plan(options: argparse.Namespace, given: Sequence[str]) -> None:
    """Run ``deepfs plan``."""
    if options.threads:
        set_num_threads(options.threads)
    if options.model in networks.__all__:
        if options.layer:
            raise ValueError(f"--layer is for a file, got the network {options.model}")
        loss = MeanSquaredError() if options.model == "autoencoder" else CrossEntropy()
        model = Model(getattr(networks, options.model)(), loss, "adam")
        shape = options.input or (1, 28, 28)
    elif Path(options.model).exists():
        model, shape = model_of(options), options.input
    else:
        raise FileNotFoundError(
            f"there is no file {options.model!r}, and networks are {', '.join(networks.__all__)}"
        )
    print(model.plan(options.batch_size, options.samples, shape))
