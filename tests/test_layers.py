"""What every layer must do, over the table of `every_layer`."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from deepfs import layers as L
from deepfs.testing import any_work_on, check_layer
from every_layer import CASES, every_layer, spread


@every_layer
@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
def test_keeps_the_contract(make, shape, training):
    check_layer(make(), spread(shape), training)


@every_layer
def test_shape_rule_is_the_shape(make, shape):
    layer = make()
    y = layer(spread(shape))
    assert (len(y), *layer.out_shape(shape[1:])) == y.shape
    assert make().out_shape(shape[1:]) == y.shape[1:]  # and before it is built


@every_layer
def test_repr_rebuilds_it(make, shape):
    layer = make()
    again = eval(repr(layer), vars(L))  # repr is a public way to write settings down
    assert repr(again) == repr(layer)


@every_layer
def test_refuses_what_is_not_numbers(make, shape):
    for bad in (np.zeros(shape, complex), np.zeros(shape, bool), np.zeros(shape, object)):
        with pytest.raises(TypeError, match="takes real numbers, got an array of"):
            make()(bad)


@every_layer
def test_integers_become_float32(make, shape):
    assert make()(np.ones(shape, np.uint8)).dtype == np.float32


@every_layer
def test_a_built_layer_keeps_its_dtype(make, shape):
    layer = make()
    layer(np.ones(shape, np.float32))
    assert layer(np.ones(shape)).dtype == np.float32


@every_layer
def test_nan_does_not_vanish(make, shape):
    x = spread(shape)
    x.flat[:] = np.nan
    layer = make()
    y = layer(x)
    if isinstance(layer, L.ZeroPad2D):  # has zeros of its own
        top, bottom, left, right = layer.padding
        y = y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]
    if isinstance(layer, L.ZeroPad1D):
        y = y[:, :, layer.padding[0] : y.shape[2] - layer.padding[1]]
    assert np.isnan(y).all()


@every_layer
def test_wrong_gradient_shape_is_refused(make, shape):
    layer = make()
    y, cache = layer.forward(spread(shape))
    with pytest.raises(ValueError, match=r"takes the gradient of an output \(.*got \(1, 1, 1\)"):
        layer.backward(np.zeros((1, 1, 1)), cache)


def test_every_public_layer_has_a_row():
    # Step has no gradient to compare: its row is below a layer that has, and test_activation.py
    # checks that a row of its own would fail.
    used = {"Step"}
    for _, make, _ in CASES:
        layer = make()
        used.add(type(layer).__name__)
        if isinstance(layer, L.Graph):  # layers of several inputs have a row in one
            used |= {type(part).__name__ for part in layer.layers}
    assert used == set(L.__all__) - {"Input", "Layer", "Parameter"}


def test_large_layers_give_the_same_bits_for_any_number_of_threads(rng, dtype):
    """Above the break-even, with many blocks of work for each thread."""
    net = L.Sequential(
        [
            L.Conv2D(24, 3, padding=1),
            L.BatchNorm(),
            L.ReLU(),
            L.Conv2D(20, 5, stride=2, groups=2),
            L.MaxPool2D(3, 2, padding=1),
            L.Dropout(0.3),
            L.AvgPool2D(2),
            L.Dense(33),
        ]
    )
    x = rng.standard_normal((37, 4, 31, 29)).astype(dtype)
    net(x)
    first = None
    for n in (1, 2, 3, 4, 8):
        copied = pickle.loads(pickle.dumps(net))
        with any_work_on(n):
            y, cache = copied.forward(x, training=True)
            dx = copied.backward(np.cos(np.arange(y.size, dtype=dtype)).reshape(y.shape), cache)
        state = [y, dx, *(p.grad for p in copied.parameters().values()), *copied.buffers().values()]
        first = first or state
        for wanted, got in zip(first, state, strict=True):
            assert_array_equal(got, wanted)


def test_inference_from_many_threads(rng):
    from concurrent.futures import ThreadPoolExecutor

    net = L.Sequential([L.Conv2D(8, 3), L.BatchNorm(), L.ReLU(), L.MaxPool2D(2), L.Dense(4)])
    batches = [rng.standard_normal((5, 3, 12, 12)) for _ in range(16)]
    wanted = [net(x) for x in batches]
    with ThreadPoolExecutor(4) as pool:
        for y, right in zip(pool.map(net, batches), wanted, strict=True):
            assert_array_equal(y, right)


def test_first_use_from_many_threads():
    from concurrent.futures import ThreadPoolExecutor

    x = np.ones((2, 30), np.float32)
    for _ in range(20):
        net = L.Sequential([L.Dense(20), L.Dense(20), L.Dense(20)])
        with ThreadPoolExecutor(4) as pool:
            outputs = list(pool.map(net, [x] * 8))
        for y in outputs:
            assert_array_equal(y, net(x))


def test_a_parameter_may_be_one_number():
    p = L.Parameter(np.array(1.0))
    p.value = 3.0
    assert p.value.shape == ()
    assert float(p.storage) == 3


def test_assigning_a_parameter_copies():
    layer = L.Conv2D(2, 3)
    layer(np.zeros((1, 1, 5, 5)))
    weight = layer.parameters()["weight"]
    given = np.arange(18.0).reshape(2, 1, 3, 3)
    memory = weight.storage
    weight.value = given
    assert weight.storage is memory
    assert_array_equal(weight.value, given)
    given[:] = 0
    assert weight.value.any()
    with pytest.raises(ValueError, match=r"shape \(2, 1, 3, 3\) cannot take \(3,\)"):
        weight.value = np.zeros(3)


def test_backward_before_forward():
    with pytest.raises(RuntimeError, match=r'Dense "d".backward needs the cache of a forward'):
        L.Dense(2, name="d").backward(np.zeros((1, 2)), None)


def test_a_number_is_not_a_batch():
    with pytest.raises(ValueError, match="ReLU takes a batch, got a single number"):
        L.ReLU()(3.0)


@pytest.mark.parametrize("dtype", ["float16", "int32", "nonsense", 3])
def test_refuses_other_dtypes(dtype):
    with pytest.raises(ValueError, match='dtype must be "float32" or "float64", got'):
        L.Dense(2, dtype=dtype)(np.zeros((1, 2)))


def test_own_dtype_wins():
    assert L.Dense(2, dtype="float64")(np.zeros((1, 2), np.float32)).dtype == np.float64


def test_a_copy_learns_on_its_own():
    layer = L.Dense(2)
    layer(np.ones((1, 3)))
    copied = copy.deepcopy(layer)
    copied.parameters()["weight"].value = np.zeros((3, 2))
    assert layer.parameters()["weight"].value.any()
