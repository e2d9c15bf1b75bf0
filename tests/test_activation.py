"""Activations: against NumPy, to the last digits, and at the edges of the numbers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import activation
from deepfs import layers as L
from deepfs import reference
from deepfs.testing import any_work_on, check_layer

# kernel (None: NumPy), layer, twin and what the twin takes besides x
KINDS = [
    (None, L.Step(), "step", {}),
    (None, L.Identity(), "identity", {}),
    ("relu", L.ReLU(), "relu", {}),
    ("leaky_relu", L.LeakyReLU(), "leaky_relu", {}),
    ("leaky_relu", L.LeakyReLU(-0.7), "leaky_relu", {"slope": -0.7}),
    ("elu", L.ELU(), "elu", {}),
    ("elu", L.ELU(2.5), "elu", {"alpha": 2.5}),
    ("selu", L.SELU(), "selu", {}),
    ("sigmoid", L.Sigmoid(), "sigmoid", {}),
    ("tanh", L.Tanh(), "tanh", {}),
    ("softplus", L.Softplus(), "softplus", {}),
    ("silu", L.SiLU(), "silu", {}),
    ("gelu", L.GELU(), "gelu", {}),
    ("gelu_tanh", L.GELU(approximate=True), "gelu", {"approximate": True}),
    ("hard_swish", L.HardSwish(), "hard_swish", {}),
]
KERNELS = sorted({kernel for kernel, *_ in KINDS if kernel})
EXTENDED = np.finfo(np.longdouble).eps < 1e-18  # are the exact results exact?

each_kind = pytest.mark.parametrize(
    ("layer", "twin", "settings"), [case[1:] for case in KINDS], ids=[repr(c[1]) for c in KINDS]
)


def setting(name, dtype):
    """Return what the kernel takes besides the arrays."""
    return (np.array([0.3], dtype),) if name in ("elu", "leaky_relu") else ()


def forward(name, x):
    y = np.empty_like(x)
    activation.forward(getattr(activation, name), x, y, *setting(name, x.dtype))
    return y


def backward(name, x, dy):
    known = x if getattr(activation, name) in activation.takes_input else forward(name, x)
    dx = np.empty_like(x)
    activation.backward(getattr(activation, name), known, dy, dx, *setting(name, x.dtype))
    return dx


def errors(y, exact):
    """Return the distances from exact results, in units of the last place of these."""
    return np.abs(y - exact) / np.spacing(np.abs(exact).astype(y.dtype)).astype(np.longdouble)


@each_kind
def test_matches_the_twin(layer, twin, settings, dtype, tolerance, threads, rng):
    x = (3 * rng.standard_normal((3, 5, 20, 17))).astype(dtype)
    dy = rng.standard_normal(x.shape).astype(dtype)
    layer = eval(repr(layer), vars(L))
    y, cache = layer.forward(x)
    wide, wide_dy = x.astype(np.float64), dy.astype(np.float64)
    assert_allclose(y, getattr(reference, twin)(wide, **settings), **tolerance)
    right = getattr(reference, f"{twin}_backward")(wide, wide_dy, **settings)
    assert_allclose(layer.backward(dy, cache), right, **tolerance)


def test_known_values():
    """From the papers' formulas, and tables of the normal distribution: P(-10), P(-30)."""
    for layer, x, y in [
        (L.ELU(), -1, np.expm1(-1.0)),
        (L.SELU(), 1, 1.0507009873554805),
        (L.SELU(), -1e9, -1.7580993408473766),
        (L.SELU(), -1, -1.1113307378125625),
        (L.Softplus(), 0, np.log(2)),
        (L.Softplus(), -600, np.exp(-600.0)),
        (L.SiLU(), 1, 0.7310585786300049),
        (L.GELU(), 1, 0.8413447460685429),
        (L.GELU(), -10, -10 * 7.619853024160526e-24),
        (L.GELU(), -30, -30 * 4.906713927148187e-198),
        (L.GELU(approximate=True), 1, 0.8411919906082768),
        (L.HardSwish(), 1, 2 / 3),
    ]:
        assert_allclose(layer(np.array([float(x)])), [y], rtol=4e-15, err_msg=f"{layer}({x})")


def test_selu_keeps_mean_and_variance(rng):
    y = L.SELU()(rng.standard_normal(1_000_000))
    assert abs(y.mean()) < 0.005
    assert abs(y.var() - 1) < 0.01


def normal_tail(a):
    """Return the part of the normal distribution above a: a series, or Laplace's fraction."""
    total, term, fraction = a.copy(), a.copy(), a.copy()
    for k in range(1, 60):
        term *= a * a / (2 * k + 1)
        total += term
    for k in range(400, 0, -1):
        fraction = a + k / fraction
    density = np.exp(-a * a / 2) / np.sqrt(2 * np.longdouble(np.pi) + 2.4492935982947064e-16)
    return np.where(a < 2, 0.5 - density * total, density / fraction)


def exact_gelu(x):
    tail = normal_tail(np.maximum(np.abs(x), np.longdouble(1e-40)))
    return x * np.where(x > 0, 1 - tail, tail)


@pytest.mark.parametrize(
    ("name", "exact", "few"),
    [
        ("tanh", np.tanh, 3),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x)), 3),
        ("selu", lambda x: SELU * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))), 2),
        ("softplus", lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), 3),
        ("silu", lambda x: x / (1 + np.exp(-x)), 4),
        ("gelu", exact_gelu, 12),
        ("hard_swish", lambda x: x * np.clip(x + 3, 0, 6) / 6, 2),
    ],
)
@pytest.mark.parametrize("spread", [1e-30, 1e-3, 0.4, 3, 30, 300])
def test_errs_in_the_last_place_only(name, exact, few, spread, dtype, rng):
    """Relative to the result: small ones, near 0 and far below, are as exact."""
    if not EXTENDED:
        pytest.skip("no precision to compare with")
    least = (-13, -87) if dtype == np.float32 else (-37, -700)
    x = np.clip(rng.uniform(-spread, spread, 20_001), least[name != "gelu"], None).astype(dtype)
    y = forward(name, x)
    right = exact(x.astype(np.longdouble))
    counts = np.abs(right) >= np.finfo(dtype).tiny
    assert errors(y, right)[counts].max() < few


SELU, SELU_ALPHA = np.longdouble("1.0507009873554804934"), np.longdouble("1.6732632423543772848")


@pytest.mark.parametrize(
    ("layer", "at", "slope"),
    [
        (L.Step(), [0, 0, 0, 0, 1, 1], 0),
        (L.Identity(), [-np.inf, -1e30, -0.0, 0, 1e30, np.inf], 1),
        (L.ReLU(), [0, 0, -0.0, 0, 1e30, np.inf], 0),
        (L.LeakyReLU(0.5), [-np.inf, -5e29, -0.0, 0, 1e30, np.inf], 0.5),
        (L.PReLU(per_channel=False), [-np.inf, -2.5e29, -0.0, 0, 1e30, np.inf], 0.25),
        (L.ELU(0.5), [-0.5, -0.5, -0.0, 0, 1e30, np.inf], 0.5),
        (L.Sigmoid(), [0, 0, 0.5, 0.5, 1, 1], 0.25),
        (L.Tanh(), [-1, -1, -0.0, 0, 1, 1], 1),
        (L.Softplus(), [0, 0, np.log(2), np.log(2), 1e30, np.inf], 0.5),
        (L.SiLU(), [0, 0, -0.0, 0, 1e30, np.inf], 0.5),
        (L.GELU(), [0, 0, -0.0, 0, 1e30, np.inf], 0.5),
        (L.GELU(approximate=True), [0, 0, -0.0, 0, 1e30, np.inf], 0.5),
        (L.HardSwish(), [-0.0, -0.0, -0.0, 0, 1e30, np.inf], 0.5),
    ],
    ids=repr,
)
def test_limits_zeros_and_nan(layer, at, slope, dtype):
    layer = eval(repr(layer), vars(L))
    x = np.array([-np.inf, -1e30, -0.0, 0.0, 1e30, np.inf, np.nan], dtype)
    y, cache = layer.forward(x)
    assert_allclose(y, np.array([*at, np.nan], dtype), rtol=1e-6)
    # a step at -0 is 0; all others that are 0 at 0 keep its sign
    assert_array_equal(np.signbit(y[:-1]), np.signbit(np.array(at)))
    dx = layer.backward(np.ones_like(x), cache)
    assert_allclose(dx[2:4], slope, rtol=1e-6)
    assert np.isfinite(dx[:6]).all()


def test_special_numbers(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([np.nan, -np.inf, np.inf, -0.0, 0.0, tiny, -tiny], dtype)
    assert_array_equal(forward("relu", x), [np.nan, 0, np.inf, -0.0, 0, tiny, 0])
    assert_array_equal(forward("sigmoid", x), [np.nan, 0, 1, 0.5, 0.5, 0.5, 0.5])
    y = forward("tanh", x)
    assert_array_equal(y, [np.nan, -1, 1, 0, 0, tiny, -tiny])
    assert_array_equal(np.signbit(y[3:5]), [True, False])
    # these die out through the subnormal numbers, they do not fall to 0 at the last normal one
    last = -103 if dtype == np.float32 else -744
    for name in ("sigmoid", "softplus"):
        low = forward(name, np.array([last, last - 15], dtype))
        assert 0 < low[0] < np.finfo(dtype).tiny
        assert low[1] == 0
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


def test_corners_of_hard_swish(dtype):
    layer = L.HardSwish()
    y, cache = layer.forward(np.array([-3, 3, np.nan], dtype))
    assert_array_equal(y, [-0.0, 3, np.nan])
    assert_array_equal(layer.backward(np.ones(3, dtype), cache), [0, 1, np.nan])


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
    ]:
        with pytest.raises(ValueError, match=text):
            make()
    for make, text in [
        (lambda: L.LeakyReLU("0.1"), r"slope must be a number in \(-inf, inf\), got '0.1'"),
        (lambda: L.LeakyReLU(None), r"slope must be a number in \(-inf, inf\), got None"),
        (lambda: L.ELU(True), r"alpha must be a number in \[0, inf\), got True"),
        (lambda: L.GELU("tanh"), "approximate must be True or False, got 'tanh'"),
    ]:
        with pytest.raises(TypeError, match=text):
            make()


def test_settings_must_fit_the_dtype():
    for layer in (L.LeakyReLU(-1e39), L.ELU(1e39)):
        with pytest.raises(ValueError, match=r"LU computes in float32, which cannot hold -?1e"):
            layer(np.ones((2, 3), np.float32))
        assert_array_equal(layer(np.ones((2, 3))), 1)


def test_kernels_refuse_what_would_crash():
    x = np.zeros(3)
    for kind, y in [(0, np.zeros(2)), (-1, x.copy()), (99, x.copy())]:
        with pytest.raises(ValueError, match="kind must be of this module, and x and y of one len"):
            activation.forward(kind, x, y)
        with pytest.raises(ValueError, match="must be of this module, and known, dy and dx of one"):
            activation.backward(kind, x, x, y)
    with pytest.raises(ValueError, match="kind must be of this module, and x and y of one length"):
        activation.forward(activation.slope, x, x.copy())
    for name, numbers in [("elu", 0), ("leaky_relu", 2), ("elu", None), ("relu", 1), ("slope", 1)]:
        wrong = None if numbers is None else np.zeros(numbers)
        with pytest.raises(ValueError, match="elu and leaky_relu, and they alone, take a setting"):
            activation.backward(getattr(activation, name), x, x, x.copy(), wrong)


@pytest.mark.parametrize(
    "shape", [(4, 1), (5, 3), (3, 17), (9, 64), (2, 5, 4, 3), (3, 16, 7, 7), (2, 9000), (2, 4, 9)]
)
@pytest.mark.parametrize("per_channel", [True, False])
def test_prelu_matches_the_twin(shape, per_channel, dtype, tolerance, threads, rng):
    layer = L.PReLU(per_channel)
    x = rng.standard_normal(shape).astype(dtype)
    layer(x)
    slope = layer.parameters()["slope"]
    assert_array_equal(slope.value, np.full(shape[1] if per_channel else 1, 0.25))
    slope.value = rng.standard_normal(slope.value.shape)
    y, cache = layer.forward(x)
    assert_allclose(y, reference.prelu(x, slope.value), **tolerance)
    dy = rng.standard_normal(shape).astype(dtype)
    dx = layer.backward(dy, cache)
    right, dslope = reference.prelu_backward(*(a.astype(float) for a in (x, dy, slope.value)))
    assert_allclose(dx, right, **tolerance)
    assert_allclose(slope.grad, dslope, rtol=0, atol=10 * tolerance["atol"])


@pytest.mark.parametrize("per_channel", [True, False])
def test_prelu_learns_the_same_bits_with_any_number_of_threads(per_channel, dtype, rng):
    x, dy = rng.standard_normal((2, 12, 24, 40, 41)).astype(dtype)
    first = None
    for n in (1, 2, 3, 4, 7):
        layer = L.PReLU(per_channel)
        with any_work_on(n):
            y, cache = layer.forward(x)
            assert layer.backward(dy, cache, need_dx=False) is None
        first = layer.parameters()["slope"].grad if first is None else first
        assert_array_equal(layer.parameters()["slope"].grad, first)
    assert first.any()


def test_prelu_refuses():
    with pytest.raises(TypeError, match="per_channel must be True or False, got 1"):
        L.PReLU(1)
    layer = L.PReLU(name="p")
    layer(np.zeros((2, 4, 3, 3)))
    with pytest.raises(ValueError, match=r'PReLU "p" takes 4 channels, got shape \(5, 3, 3\)'):
        layer(np.zeros((2, 5, 3, 3)))
    with pytest.raises(ValueError, match=r"PReLU takes 1 channels, got shape \(0,\)"):
        L.PReLU()(np.zeros((2, 0)))
    with pytest.raises(ValueError, match=r"PReLU needs an axis of channels, got shape \(\)"):
        L.PReLU()(np.zeros(3))
    assert_array_equal(L.PReLU(per_channel=False)(np.array([-4.0, 4.0])), [-1, 4])


@pytest.mark.parametrize("shape", [(4, 12), (3, 12, 5, 4), (2, 24, 3), (0, 12)])
@pytest.mark.parametrize("pieces", [1, 2, 3, 12])
def test_maxout_matches_the_twin(shape, pieces, dtype, rng):
    x = rng.integers(-3, 3, shape).astype(dtype)  # full of ties
    layer = L.Maxout(pieces)
    y, cache = layer.forward(x)
    assert_array_equal(y, reference.maxout(x, pieces))
    dy = rng.standard_normal(y.shape).astype(dtype)
    assert_array_equal(layer.backward(dy, cache), reference.maxout_backward(x, dy, pieces))


def test_maxout_of_special_numbers(dtype):
    x = np.array([[-np.inf, -np.inf, 1, np.nan, 2, np.nan, -0.0, 0.0]], dtype)
    layer = L.Maxout(2)
    y, cache = layer.forward(x)
    assert_array_equal(y, [[-np.inf, np.nan, np.nan, 0]])
    dx = layer.backward(np.array([[1, 2, np.inf, np.nan]], dtype), cache)
    assert_array_equal(dx, [[1, 0, 0, 2, 0, np.inf, np.nan, 0]])


def test_maxout_of_many_pieces(rng):
    x = rng.standard_normal((2, 600))
    layer = L.Maxout(300)
    y, cache = layer.forward(x)
    assert_array_equal(layer.backward(y, cache), np.where(np.isin(x, y), x, 0))


@pytest.mark.parametrize(("pieces", "got"), [(3, (4, 5, 5)), (5, (0, 2, 2)), (2**62, (4, 1, 1))])
def test_maxout_needs_a_multiple(pieces, got):
    text = rf'Maxout "m" takes a multiple of {pieces} channels, got shape \({got[0]}, '
    with pytest.raises(ValueError, match=text):
        L.Maxout(pieces, name="m")(np.zeros((2, *got)))
    with pytest.raises(ValueError, match=r"takes a multiple of 2 channels, got shape \(\)"):
        L.Maxout(2)(np.zeros(4))


def test_maxout_needs_pieces():
    for pieces in (0, -1, 2**63 - 1):
        with pytest.raises(ValueError, match=r"pieces must be at (least 1|most \d+), got"):
            L.Maxout(pieces)
    for pieces in (2.0, "2", None, True):
        with pytest.raises(TypeError, match=f"pieces must be an int, got {pieces!r}"):
            L.Maxout(pieces)
