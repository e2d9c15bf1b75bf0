"""``deepfs diagnose``: why a model does not learn."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..config import set_num_threads
from ..inspection.diagnose import diagnose as diagnosis
from ._model_of import model_of
from ._sets import images_for


def diagnose(options: argparse.Namespace, given: Sequence[str]) -> int:
    """Run ``deepfs diagnose``; return 1 if there are findings."""
    if options.threads:
        set_num_threads(options.threads)
    model = model_of(options)
    _, data = images_for(model, options.model, options.dataset, options.data, ("training",))
    found = diagnosis(model, data, batch_size=options.batch_size)
    print(found.table(), repr(found), sep="\n\n")
    return 0 if found.healthy else 1
