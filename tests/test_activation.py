"""Activations: against NumPy, to the last digits, and at the edges of the numbers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from activations import backward, check_errors, check_limits, check_reference, forward
from cnn_core import activation
from deepfs import layers as L
from deepfs.testing import check_layer

# kernel (None: NumPy), layer, reference function and its arguments besides x
KINDS = [
    (None, L.Step(), "step", {}),
    (None, L.Identity(), "identity", {}),
    ("relu", L.ReLU(), "relu", {}),
    ("clip", L.Clip(0, 6), "clip", {"min_value": 0, "max_value": 6}),
    ("clip", L.Clip(-0.7, None), "clip", {"min_value": -0.7}),
    ("clip", L.Clip(None, 0.4), "clip", {"max_value": 0.4}),
    ("leaky_relu", L.LeakyReLU(), "leaky_relu", {}),
    ("leaky_relu", L.LeakyReLU(-0.7), "leaky_relu", {"slope": -0.7}),
    ("elu", L.ELU(), "elu", {}),
    ("elu", L.ELU(2.5), "elu", {"alpha": 2.5}),
    ("selu", L.SELU(), "selu", {}),
    ("scaled_elu", L.SELU(2.0, 3.0), "selu", {"alpha": 2.0, "scale": 3.0}),
    ("sigmoid", L.Sigmoid(), "sigmoid", {}),
    ("tanh", L.Tanh(), "tanh", {}),
    ("softplus", L.Softplus(), "softplus", {}),
]
KERNELS = sorted(
    {kernel for kernel, *_ in KINDS if kernel} | {"silu", "gelu", "gelu_tanh", "hard_swish"}
)

each_kind = pytest.mark.parametrize(
    ("layer", "function", "settings"), [case[1:] for case in KINDS], ids=[repr(c[1]) for c in KINDS]
)


@each_kind
def test_matches_the_reference(layer, function, settings, dtype, tolerance, threads, rng):
    check_reference(layer, function, settings, dtype, tolerance, rng)


def test_known_values():
    """From the papers' formulas."""
    for layer, x, y in [
        (L.ELU(), -1, np.expm1(-1.0)),
        (L.SELU(), 1, 1.0507009873554805),
        (L.SELU(), -1e9, -1.7580993408473766),
        (L.SELU(), -1, -1.1113307378125625),
        (L.SELU(2, 3), -1, 6 * np.expm1(-1.0)),
        (L.SELU(2, 3), 2, 6),
        (L.Softplus(), 0, np.log(2)),
        (L.Softplus(), -600, np.exp(-600.0)),
    ]:
        assert_allclose(layer(np.array([float(x)])), [y], rtol=4e-15, err_msg=f"{layer}({x})")


def test_selu_keeps_mean_and_variance(rng):
    y = L.SELU()(rng.standard_normal(1_000_000))
    assert abs(y.mean()) < 0.005
    assert abs(y.var() - 1) < 0.01


@pytest.mark.parametrize(
    ("name", "exact", "few"),
    [
        ("tanh", np.tanh, 3),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x)), 3),
        ("selu", lambda x: SELU * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))), 2),
        ("scaled_elu", lambda x: 1.25 * np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0))), 2),
        ("softplus", lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), 3),
    ],
)
@pytest.mark.parametrize("spread", [1e-30, 1e-3, 0.4, 3, 30, 300])
def test_errs_in_the_last_place_only(name, exact, few, spread, dtype, rng):
    check_errors(name, exact, few, spread, dtype, rng)


SELU, SELU_ALPHA = np.longdouble("1.0507009873554804934"), np.longdouble("1.6732632423543772848")


@pytest.mark.parametrize(
    ("layer", "at", "slope"),
    [
        (L.Step(), [0, 0, 0, 0, 1, 1], 0),
        (L.Identity(), [-np.inf, -1e30, -0.0, 0, 1e30, np.inf], 1),
        (L.ReLU(), [0, 0, -0.0, 0, 1e30, np.inf], 0),
        (L.Clip(0, 6), [0, 0, -0.0, 0, 6, 6], 0),
        (L.Clip(-1, None), [-1, -1, -0.0, 0, 1e30, np.inf], 1),
        (L.Clip(None, 2), [-np.inf, -1e30, -0.0, 0, 2, 2], 1),
        (L.LeakyReLU(0.5), [-np.inf, -5e29, -0.0, 0, 1e30, np.inf], 0.5),
        (L.PReLU(per_channel=False), [-np.inf, -2.5e29, -0.0, 0, 1e30, np.inf], 0.25),
        (L.SELU(2, 3), [-6, -6, -0.0, 0, 3e30, np.inf], 6),
        (L.ELU(0.5), [-0.5, -0.5, -0.0, 0, 1e30, np.inf], 0.5),
        (L.Sigmoid(), [0, 0, 0.5, 0.5, 1, 1], 0.25),
        (L.Tanh(), [-1, -1, -0.0, 0, 1, 1], 1),
        (L.Softplus(), [0, 0, np.log(2), np.log(2), 1e30, np.inf], 0.5),
    ],
    ids=repr,
)
def test_limits_zeros_and_nan(layer, at, slope, dtype):
    check_limits(layer, at, slope, dtype)


def test_special_numbers(dtype):
    tiny = np.finfo(dtype).tiny
    x = np.array([np.nan, -np.inf, np.inf, -0.0, 0.0, tiny, -tiny], dtype)
    assert_array_equal(forward("relu", x), [np.nan, 0, np.inf, -0.0, 0, tiny, 0])
    assert_array_equal(forward("sigmoid", x), [np.nan, 0, 1, 0.5, 0.5, 0.5, 0.5])
    y = forward("tanh", x)
    assert_array_equal(y, [np.nan, -1, 1, 0, 0, tiny, -tiny])
    assert_array_equal(np.signbit(y[3:5]), [True, False])
    last = -87 if dtype == np.float32 else -708  # results below the smallest normal number are 0
    for name in ("sigmoid", "softplus"):
        low = forward(name, np.array([last, last - 2, last - 15, last - 50], dtype))
        assert low[0] == pytest.approx(np.exp(dtype(last)), rel=1e-5)
        assert not low[1:].any()
    assert_array_equal(forward("sigmoid", np.array([89, 711], dtype)), 1)


@pytest.mark.parametrize("name", KERNELS)
def test_no_finite_number_overflows(name, dtype, rng):
    most = np.log10(np.finfo(dtype).max) - 0.1
    x = 10 ** rng.uniform(-most, most, 4000) * rng.choice([-1, 1], 4000)
    x = np.concatenate([x, np.arange(-900, 900, 0.25)]).astype(dtype)
    assert np.isfinite(forward(name, x)).all()
    assert np.isfinite(backward(name, x, np.ones_like(x))).all()


@pytest.mark.parametrize("name", KERNELS)
def test_the_place_in_the_array_does_not_matter(name, dtype, threads, rng):
    """Vectors, their rest, blocks and threads: each number has the same bits."""
    x = (5 * rng.standard_normal(20_011)).astype(dtype)
    y, dy = forward(name, x), np.cos(x)
    dx = backward(name, x, dy)
    assert_array_equal(forward(name, np.roll(x, 5)), np.roll(y, 5))
    for n in range(1, 36):
        assert_array_equal(forward(name, x[-n:].copy()), y[-n:])
        assert_array_equal(backward(name, x[:n].copy(), dy[:n].copy()), dx[:n])


def test_relu_has_no_slope_at_zero():
    layer = L.ReLU()
    y, cache = layer.forward(np.array([[-1.0, 0.0, 2.0, np.nan]]))
    assert_array_equal(layer.backward(np.ones((1, 4)), cache), [[0, 0, 1, 0]])


def test_clip_has_no_slope_at_its_limits_and_beyond(dtype):
    layer = L.Clip(-1, 6)
    x = np.array([[-2, -1, -0.5, 0, 5, 6, 7, np.nan]], dtype)
    y, cache = layer.forward(x)
    assert_array_equal(y, [[-1, -1, -0.5, 0, 5, 6, 6, np.nan]])
    assert_array_equal(layer.backward(np.ones_like(x), cache), [[0, 0, 1, 1, 1, 0, 0, 0]])


def test_an_activation_is_one_call_of_the_kernel(rng):
    """SELU with constants of its own was a second pass in NumPy; its output is what it caches."""
    for layer in (L.Clip(0, 6), L.SELU(2, 3)):
        y, cache = layer._forward(rng.standard_normal((3, 5)), training=True)
        assert np.shares_memory(y, cache)


def test_step_has_no_gradient(dtype):
    """Not even for what is not a number; so `check_layer` rightly refuses it on its own."""
    layer = L.Step()
    y, cache = layer.forward(np.array([[-1, 0, 2]], dtype))
    assert y.dtype == dtype
    assert_array_equal(layer.backward(np.array([[1, np.nan, np.inf]]), cache), [[0, 0, 0]])
    assert layer.backward(y, cache, need_dx=False) is None
    with pytest.raises(AssertionError, match="all gradients are zero"):
        check_layer(layer, np.array([[-1.0, 2.0], [3.0, 4.0]]))


@pytest.mark.parametrize("make", [L.LeakyReLU, L.PReLU, L.GELU, L.ELU], ids=lambda k: k.__name__)
def test_only_the_relu_is_left_to_its_neighbours(make, rng):
    x = rng.standard_normal((2, 3, 6, 6))
    conv, layer, dense = L.Conv2D(4, 3), make(), L.Dense(2)
    y = L.Sequential([conv, layer, dense])(x)
    assert_array_equal(y, dense(layer(conv(x))))


def test_settings_out_of_range():
    for make, text in [
        (lambda: L.LeakyReLU(np.inf), r"slope must be in \(-inf, inf\), got inf"),
        (lambda: L.LeakyReLU(np.nan), r"slope must be in \(-inf, inf\), got nan"),
        (lambda: L.ELU(-1), r"alpha must be in \[0, inf\), got -1"),
        (lambda: L.ELU(alpha=np.inf), r"alpha must be in \[0, inf\), got inf"),
        (lambda: L.SELU(alpha=-1), r"alpha must be in \[0, inf\), got -1"),
        (lambda: L.SELU(scale=0), r"scale must be in \(0, inf\), got 0"),
        (lambda: L.Clip(np.inf, 6), r"min_value must be in \(-inf, inf\), got inf"),
        (lambda: L.Clip(6, 6), r"min_value must be below max_value, got 6.0 and 6.0"),
        (lambda: L.Clip(None, None), "Clip must have min_value, max_value or both, got None and"),
    ]:
        with pytest.raises(ValueError, match=text):
            make()
    for make, text in [
        (lambda: L.LeakyReLU("0.1"), r"slope must be a number in \(-inf, inf\), got '0.1'"),
        (lambda: L.LeakyReLU(None), r"slope must be a number in \(-inf, inf\), got None"),
        (lambda: L.ELU(True), r"alpha must be a number in \[0, inf\), got True"),
        (lambda: L.SELU(scale="x"), r"scale must be a number in \(0, inf\), got 'x'"),
        (lambda: L.Clip("0", 6), r"min_value must be a number in \(-inf, inf\), got '0'"),
        (lambda: L.Clip(0, max_val=6), "no argument 'max_val': it is called 'max_value' here"),
        (lambda: L.ReLU(max_value=6), r"no argument 'max_value': use the layer Clip\(0, max_value"),
        (lambda: L.SELU(gamma=3), "SELU has no argument 'gamma': it is called 'scale' here"),
    ]:
        with pytest.raises(TypeError, match=text):
            make()


def test_settings_must_fit_the_dtype():
    for layer in (
        *(L.LeakyReLU(-1e39), L.ELU(1e39), L.SELU(1e39), L.SELU(scale=1e39), L.SELU(1e20, 1e20)),
        *(L.Clip(-1e39, None), L.Clip(None, 1e39)),
    ):
        with pytest.raises(ValueError, match=r" computes in float32, which cannot hold -?1e"):
            layer(np.ones((2, 3), np.float32))
        assert_array_equal(layer(np.ones((2, 3))), getattr(layer, "scale", 1))
    with pytest.raises(ValueError, match=r"Clip computes in float32, in which both limits are 1.0"):
        L.Clip(1, 1 + 1e-12)(np.ones((2, 3), np.float32))


def test_kernels_refuse_what_would_crash():
    x = np.zeros(3)
    for kind, y in [(0, np.zeros(2)), (-1, x.copy()), (99, x.copy())]:
        with pytest.raises(ValueError, match="kind must be of this module, and x and y of one len"):
            activation.forward(kind, x, y)
        with pytest.raises(ValueError, match="this module, and x_or_y, dy and dx of one length"):
            activation.backward(kind, x, x, y)
    with pytest.raises(ValueError, match="kind must be of this module, and x and y of one length"):
        activation.forward(activation.slope, x, x.copy())
    for name, numbers in [("clip", 1), ("clip", 3), ("scaled_elu", None)]:
        wrong = None if numbers is None else np.zeros(numbers)
        with pytest.raises(ValueError, match="clip and scaled_elu take two parameters"):
            activation.forward(getattr(activation, name), x, x.copy(), wrong)
    for name, numbers in [("elu", 0), ("leaky_relu", 2), ("elu", None), ("relu", 1), ("slope", 1)]:
        wrong = None if numbers is None else np.zeros(numbers)
        with pytest.raises(ValueError, match="elu and leaky_relu, and they alone, take a par"):
            activation.backward(getattr(activation, name), x, x, x.copy(), wrong)
