"""`check_layer` finds what is wrong with a layer, and says that first and nothing else."""

import re

import numpy as np
import pytest

from deepfs.testing import check_layer
from layer_faults import FAULTS, Blocks, Right


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.layer.__name__}{f.shape}")
def test_the_fault_is_named(fault):
    x = np.random.default_rng(0).standard_normal(fault.shape)
    if not fault.says:
        check_layer(fault.layer(), x, fault.training)
        return
    with pytest.raises(AssertionError) as raised:
        check_layer(fault.layer(), x, fault.training)
    head, first, *others = str(raised.value).splitlines()
    assert re.match(fault.says, first), first
    assert re.fullmatch(
        rf"{fault.layer.__name__} in \w+ fails {1 + len(others)} of \d+ checks", head
    )


@pytest.mark.parametrize("layer", [Right, Blocks])
@pytest.mark.parametrize("training", [True, False])
def test_the_right_layer_passes(layer, training):
    for shape in ((4, 7), (2, 3, 4, 5)):
        check_layer(layer(), np.random.default_rng(0).standard_normal(shape), training)
    report = check_layer(layer(), training=training)
    assert "x of (6, 5)" in report.arrays
