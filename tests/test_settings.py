"""Settings: checked whenever they are set, as in the constructor, and no others taken."""

import numpy as np
import pytest

import deepfs as dfs
from deepfs import layers as L


@pytest.mark.parametrize(
    ("made", "name", "value", "error", "message"),
    [
        (L.Dropout(0.5), "p", 2, ValueError, "p must be in"),
        (L.MaxPool2D(2), "kernel_size", 0, ValueError, "kernel_size must be a positive int"),
        (dfs.losses.CrossEntropy(), "label_smoothing", -1, ValueError, "label_smoothing"),
        (dfs.optimizers.Adam(), "beta1", 1.5, ValueError, "beta1"),
        (dfs.optimizers.SGD(), "lr", "fast", TypeError, "lr"),
        (dfs.schedules.Cosine(0.1, 10), "total", 0.5, TypeError, "total"),
    ],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_refuses_what_the_constructor_refuses_and_keeps_what_was(made, name, value, error, message):
    before = dict(vars(made))
    with pytest.raises(error, match=message):
        setattr(made, name, value)
    assert vars(made) == before


def test_what_follows_from_a_setting_follows():
    pool = L.MaxPool2D(2)
    pool.kernel_size = 3
    assert (pool.kernel_size, pool.stride) == ((3, 3), (3, 3))
    pool.stride = 1
    pool.kernel_size = 2
    assert pool.stride == (1, 1)


@pytest.mark.parametrize(
    ("name", "made", "message"),
    [
        ("momentun", L.BatchNorm(), "did you mean 'momentum'"),
        ("out_features", L.Dense(3), "it is called 'units' here"),
        ("learning_rate", dfs.optimizers.Adam(), "it is called 'lr' here"),
        ("anything", L.ReLU(), "ReLU has no attribute 'anything'"),
        ("trainable", L.Dense(3), r"call freeze\(\) or unfreeze\(\)"),
    ],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_refuses_what_is_no_setting(name, made, message):
    with pytest.raises(AttributeError, match=message):
        setattr(made, name, 1)
    assert not hasattr(made, name)


def test_a_built_layer_keeps_the_settings_of_its_arrays():
    dense = L.Dense(3)
    dense(np.ones((2, 4)))
    with pytest.raises(AttributeError, match=r"has been built with it. Make a new layer, Dense"):
        dense.units = 5
    assert dense(np.ones((2, 4))).shape == (2, 3)


def test_a_change_that_does_not_fit_the_input_is_refused():
    pool = L.MaxPool2D(2)
    pool(np.ones((2, 3, 4, 4)))
    with pytest.raises(ValueError, match="window"):
        pool.kernel_size = 5
    assert pool.kernel_size == (2, 2)
    conv = L.Conv2D(2, 3)
    conv(np.ones((2, 3, 6, 6)))
    with pytest.raises((AttributeError, ValueError)):
        conv.dilation = 9
    assert conv.dilation == (1, 1)


def test_a_layer_without_arrays_is_built_anew():
    shape = L.Reshape((2, 6))
    shape(np.ones((2, 12)))
    shape.shape = (3, 4)
    assert shape(np.ones((2, 12))).shape == (2, 3, 4)
