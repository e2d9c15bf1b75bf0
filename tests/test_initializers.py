"""Initializers: their distributions, their fans, LSUV, and what they refuse."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import initializers, lsuv, reference
from deepfs import layers as L
from deepfs.initializers import Dirac, HeNormal, Orthogonal, TruncatedNormal, patch_whitening
from deepfs.random import Random
from deepfs.testing import any_work_on

DENSE, FILTERS = (300, 200), (64, 32, 5, 3)  # (in, out); (co, ci, kh, kw)
CUT = 0.8796256610342398  # standard deviation of a normal distribution cut off at 2

STD = {
    "normal": lambda fan_in, fan_out: 0.01,
    "truncated_normal": lambda fan_in, fan_out: 0.01 * CUT,
    "uniform": lambda fan_in, fan_out: 0.05 / 3**0.5,
    "lecun_normal": lambda fan_in, fan_out: (1 / fan_in) ** 0.5,
    "lecun_uniform": lambda fan_in, fan_out: (1 / fan_in) ** 0.5,
    "glorot_normal": lambda fan_in, fan_out: (2 / (fan_in + fan_out)) ** 0.5,
    "glorot_uniform": lambda fan_in, fan_out: (2 / (fan_in + fan_out)) ** 0.5,
    "xavier_normal": lambda fan_in, fan_out: (2 / (fan_in + fan_out)) ** 0.5,
    "xavier_uniform": lambda fan_in, fan_out: (2 / (fan_in + fan_out)) ** 0.5,
    "kaiming_normal": lambda fan_in, fan_out: (2 / fan_in) ** 0.5,
    "kaiming_uniform": lambda fan_in, fan_out: (2 / fan_in) ** 0.5,
    "he_normal": lambda fan_in, fan_out: (2 / fan_in) ** 0.5,
    "he_uniform": lambda fan_in, fan_out: (2 / fan_in) ** 0.5,
    "dirac": None,  # of convolutions: see below
    "orthogonal": None,  # by the shape of the matrix: see below
    "zeros": lambda fan_in, fan_out: 0,
    "ones": lambda fan_in, fan_out: 0,
    "constant": lambda fan_in, fan_out: 0,
}
PUBLIC = [n for n in initializers.__all__ if isinstance(getattr(initializers, n), type)]


@pytest.mark.parametrize("name", set(STD) - {"dirac", "orthogonal"})
@pytest.mark.parametrize(
    ("shape", "fans"), [(DENSE, (300, 200)), (FILTERS, (32 * 15, 64 * 15))], ids=["dense", "conv"]
)
def test_spread(name, shape, fans):
    assert initializers.fans(shape) == fans
    w = initializers.get(name)(shape, Random(1, 1))
    assert w.shape == shape
    assert w.std() == pytest.approx(STD[name](*fans), rel=0.02)
    assert w.mean() == pytest.approx(float(name == "ones"), abs=3 * w.std() / w.size**0.5 + 1e-12)
    if "uniform" in name:
        assert 0.999 < np.abs(w).max() / (STD[name](*fans) * 3**0.5) <= 1
    elif name == "truncated_normal":
        assert 0.0199 < np.abs(w).max() <= 0.02
    elif "normal" in name:
        assert np.abs(w).max() > 3 * w.std()  # plain, not truncated


@pytest.mark.parametrize("name", STD)
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (4, 1, 3, 3)])
def test_the_same_stream_gives_the_same_values(name, shape):
    if name == "dirac":
        shape = (*shape, 3, 1)[:4]
    first, again = (initializers.get(name)(shape, Random(5, 7)) for _ in range(2))
    assert first.shape == shape
    assert first.dtype == np.float64
    assert_array_equal(first, again)


def test_truncation_leaves_the_shape_of_the_bell():
    """No pile at the cuts: every part of the interval holds what the distribution says."""
    w = TruncatedNormal(1, 2)((500, 400), Random(3, 3)).reshape(-1)
    edges = np.linspace(-2, 2, 21)
    x = np.linspace(-2, 2, 20 * 200 + 1)
    density = np.exp(-(x**2) / 2)
    areas = [(density[200 * k : 200 * k + 200]).sum() for k in range(20)]
    wanted = w.size * np.array(areas) / sum(areas)
    counts = np.histogram(w, edges)[0]
    assert counts.sum() == w.size
    assert np.abs(counts - wanted).max() < 4 * np.sqrt(wanted.max())
    narrow = TruncatedNormal(2, 0.1)((100, 100), Random(3, 4))
    assert np.abs(narrow).max() <= 0.2
    assert narrow.std() == pytest.approx(0.2 / 3**0.5, rel=0.02)  # all but uniform


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (1, 7), (8, 3, 3, 3), (40, 4, 3, 1)])
@pytest.mark.parametrize("gain", [1, 2**0.5])
def test_orthogonal(shape, gain):
    w = Orthogonal(gain)(shape, Random(0, 2))
    assert w.shape == shape
    matrix = w.reshape(shape[0], -1) / gain
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    assert_allclose(matrix.T @ matrix, np.eye(matrix.shape[1]), atol=1e-12)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_orthogonal_matches_the_reference(shape):
    normal = Random(0, 2).normal((max(shape), min(shape)))
    wanted = reference.orthogonal(normal)
    w = Orthogonal()(shape, Random(0, 2))
    assert_allclose(w if shape[0] >= shape[1] else w.T, wanted, atol=1e-12)


def test_orthogonal_matrices_have_no_preferred_direction():
    """Without the signs, LAPACK's diagonal would be of one sign in most."""
    rng = Random(0, 9)
    corners = np.array([Orthogonal()((3, 3), rng)[0, 0] for _ in range(2000)])
    assert abs(corners.mean()) < 4 / (3 * 2000) ** 0.5
    assert (corners**2).mean() == pytest.approx(1 / 3, rel=0.07)


@pytest.mark.parametrize(
    ("shape", "groups"),
    [((5, 3, 3, 3), 1), ((3, 5, 2, 3), 1), ((6, 2, 3, 1), 3), ((8, 1, 5, 5), 4), ((4, 4, 3), 2)],
)
@pytest.mark.parametrize("rest", ["zeros", "he_normal", HeNormal(), lambda s, rng: np.ones(s)])
def test_dirac(shape, groups, rest):
    w = Dirac(rest, groups)(shape, Random(0, 3))
    wanted = reference.dirac(initializers.get(rest)(shape, Random(0, 3)), groups)
    assert_array_equal(w, wanted)
    if rest == "zeros":
        assert w.sum() == np.count_nonzero(w) == groups * min(shape[0] // groups, shape[1])


@pytest.mark.parametrize("groups", [1, 2])
def test_a_dirac_convolution_is_the_identity(groups, rng, dtype):
    x = rng.standard_normal((2, 4, 7, 6)).astype(dtype)
    rest = Dirac("he_normal", groups)
    conv = L.Conv2D(8, 3, padding="same", groups=groups, initializer=rest)
    y = conv(x)
    for first in range(groups):
        each = 4 // groups
        part = slice(first * each, (first + 1) * each)
        assert_array_equal(y[:, first * 8 // groups : first * 8 // groups + each], x[:, part])
    assert np.abs(y).min(axis=(0, 2, 3)).max() > 0  # no filter of zeros
    alone = L.Conv1D(7, 3, padding="same", initializer="dirac")
    assert_array_equal(alone(x[0]), x[0])


def test_dirac_is_saved_with_its_rest(tmp_path):
    for rest, kept in ((HeNormal(), HeNormal()), (lambda s, rng: np.ones(s), "zeros")):
        net = L.Sequential([L.Conv2D(4, 3, initializer=Dirac(rest)), L.Flatten(), L.Dense(2)])
        model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
        model.train_on_batch(np.ones((2, 1, 5, 5)), np.arange(2))
        model.save(tmp_path / "model")
        loaded = dfs.load(tmp_path / "model")
        assert loaded.network.layers[0].initializer == Dirac(kept)
        weights = loaded.get_weights()
        assert_array_equal(weights["conv2d_1.weight"], model.get_weights()["conv2d_1.weight"])


@pytest.mark.parametrize("size", [2, (1, 3)])
def test_patch_whitening(size, rng, dtype, threads, tmp_path):
    """Smooth images, whose neighbours are alike: the eigenvalues differ by orders of magnitude."""
    kh, kw = (2, 2) if size == 2 else size
    x = rng.standard_normal((150, 3, 9, 8)).cumsum(3).cumsum(2).astype(dtype)
    make = patch_whitening(x, size, eps=1e-2)
    filters = 6 * kh * kw
    layer = L.Conv2D(filters, size, initializer=make, name="whiten", dtype="float64")
    y = layer(x.astype(float)).transpose(1, 0, 2, 3).reshape(filters, -1)
    w = layer.parameters()["weight"].value
    assert_allclose(w, reference.patch_whitening(x.astype(float), kh, kw, 1e-2), rtol=1e-7)
    half = filters // 2
    assert_array_equal(w[half:], -w[:half])
    moments = y[:half] @ y[:half].T / y.shape[1]
    unscaled = np.linalg.norm(w[:half].reshape(half, -1), axis=1) ** -2  # lambda + eps
    assert_allclose(moments, np.diag(1 - 1e-2 / unscaled), atol=1e-9)
    assert (np.diff(unscaled) <= 0).all()
    assert repr(make) == f"<filters ({filters}, 3, {kh}, {kw})>"
    again = copy.deepcopy(pickle.loads(pickle.dumps(make)))
    assert_array_equal(again(w.shape, Random(0)), w)


def test_patch_whitening_has_the_same_bits_for_any_number_of_threads(rng):
    x, found = rng.random((100, 3, 16, 16), np.float32), []
    for threads in (1, 2, 5):
        with any_work_on(threads):
            found.append(patch_whitening(x).filters)
    assert_array_equal(found[0], found[1])
    assert_array_equal(found[0], found[2])


def test_a_whitening_layer_is_frozen_but_for_its_bias(rng, tmp_path):
    x = rng.standard_normal((8, 2, 6, 6)).astype(np.float32)
    whiten = L.Conv2D(16, 2, initializer=patch_whitening(x), name="whiten")
    net = L.Sequential([whiten, L.ReLU(), L.Flatten(), L.Dense(2)])
    group = dfs.optimizers.Group("whiten.weight", frozen=True)
    optimizer = dfs.optimizers.SGD(0.1, groups=[group])
    model = dfs.Model(net, dfs.losses.CrossEntropy(), optimizer)
    net(x)
    before = net.get_weights()
    model.train_on_batch(x, np.arange(8) % 2)
    changed = {name for name, value in net.get_weights().items() if (value != before[name]).any()}
    assert changed == {"whiten.bias", "dense_1.weight", "dense_1.bias"}
    model.save(tmp_path / "model")
    loaded = dfs.load(tmp_path / "model")
    assert_array_equal(loaded.predict(x), model.predict(x))
    assert loaded.network.layers[0].initializer == "zeros"  # the weights are in the file


def test_every_initializer_has_a_row():
    assert (
        {initializers._snake(name) for name in PUBLIC}
        | {
            "kaiming_normal",
            "kaiming_uniform",
            "xavier_normal",
            "xavier_uniform",
        }
        == set(STD)
        == set(initializers._BY_NAME)
    )


@pytest.mark.parametrize("name", STD)
def test_layers_take_it_by_name_and_as_an_object(name):
    kinds = (name, initializers.get(name))
    for layer in (
        *(L.Dense(4, initializer=kind) for kind in kinds if name != "dirac"),
        *(L.Conv2D(4, 3, initializer=kind) for kind in kinds),
    ):
        layer.build((3, 5, 5))
        assert np.isfinite(layer.parameters()["weight"].value).all()


def test_own_functions():
    def mine(shape, rng):
        return np.zeros(shape)

    assert initializers.get(mine) is mine


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: initializers.get("he"), ValueError, "initializer must be one of constant, .*'he'"),
        (lambda: initializers.get(3), TypeError, "must be a name or a function, got 3"),
        (lambda: initializers.get(None), TypeError, "must be a name or a function, got None"),
        (lambda: initializers.Normal(-1), ValueError, r"std must be in \[0, inf\), got -1"),
        (lambda: initializers.Uniform("1"), TypeError, r"limit must be a number in \[0, inf\), go"),
        (lambda: initializers.Constant(np.nan), ValueError, r"value must be in \(-inf, inf\), got"),
        (lambda: TruncatedNormal(cut=0), ValueError, r"cut must be in \[0\.1, inf\), got 0"),
        (
            lambda: Dirac("dirak"),
            ValueError,
            "(rest|initializer) must be one of .*did you mean 'dirac'",
        ),
        (lambda: Dirac(groups=0), ValueError, "groups must be at least 1, got 0"),
        (
            lambda: Dirac()((3, 2), Random(0)),
            ValueError,
            r"convolution, \(co, ci, ...\), got \(3, 2",
        ),
        (lambda: Dirac(groups=2)((3, 1, 3, 3), Random(0)), ValueError, "in equal groups, got 3"),
        (lambda: patch_whitening(np.ones((2, 3, 1, 9))), ValueError, r"at least 2 x 2 pixels, got"),
        (
            lambda: patch_whitening(np.ones((0, 3, 4, 9))),
            ValueError,
            r"needs images \(n, c, h, w\)",
        ),
        (lambda: patch_whitening(np.full((1, 1, 2, 2), np.nan)), ValueError, "finite images, got"),
        (lambda: patch_whitening(np.ones((1, 1, 2, 2)), eps=0), ValueError, r"eps must be in \(0,"),
        (
            lambda: patch_whitening(np.ones((1, 1, 2, 2)))((9, 1, 2, 2), Random(0)),
            ValueError,
            r"shape \(8, 1, 2, 2\), got a weight \(9, .*write Conv2D\(8, \(2, 2\)\)",
        ),
        (lambda: Orthogonal(-2), ValueError, r"gain must be in \[0, inf\), got -2"),
        (lambda: Orthogonal()((3,), Random(0, 0)), ValueError, r"at least 2 axes, got \(3,\)"),
        (lambda: HeNormal()((3,), Random(0, 0)), ValueError, r"2 axes, got \(3,\)"),
        (lambda: L.Dense(2, initializer=HeNormal), TypeError, r"the class HeNormal: write HeNorm"),
        (lambda: L.Conv2D(2, 3, initializer=HeNormal), TypeError, r"write HeNormal\(\)"),
    ],
)
def test_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"must return an array of shape \(3, 2\), got \(3,\)"):
        L.Dense(2, initializer=lambda shape, rng: np.zeros(3))(np.zeros((1, 3)))


def outputs_of(net, x):
    """Return the output of each part of a Sequential on a batch in training."""
    found = {}
    for name, part in net.named_parts().items():
        x = found[name] = part.forward(x, training=True)[0]
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lsuv_gives_each_layer_unit_variance(dtype, rng):
    net = L.Sequential([
        L.Conv2D(8, 3), L.ReLU(), L.BatchNorm(), L.MaxPool2D(2), L.Conv2D(16, 3, stride=2),
        L.Tanh(), L.Dropout(0.4), L.Dense(30), L.ReLU(), L.Dense(7),
    ])  # fmt: skip
    x = (5 + 40 * rng.random((60, 2, 12, 11))).astype(dtype)
    net(x)
    buffers = {name: b.copy() for name, b in net.buffers().items()}
    found = lsuv(net, x)
    assert list(found) == ["conv2d_1", "conv2d_2", "dense_1", "dense_2"]
    for name, buffer in net.buffers().items():
        assert_array_equal(buffer, buffers[name])
    for name, y in outputs_of(net, x).items():
        if name in found:
            assert found[name] == pytest.approx(1, abs=1e-3)
            assert y.var() == pytest.approx(found[name], rel=1e-4)  # the same dropout mask, too
    for name in found:
        w = net.parameters()[f"{name}.weight"].value
        matrix = w.reshape(len(w), -1).astype(float)
        matrix = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
        product = matrix.T @ matrix
        assert_allclose(product / product[0, 0], np.eye(len(product)), atol=1e-5)
        assert "_forward" not in vars(net.named_parts()[name])


def test_lsuv_of_shortcuts_and_of_a_layer_in_two_places(rng):
    shared = L.Dense(6)
    net = L.Sequential([L.Dense(6), L.Residual(shared, L.Dense(6, bias=False)), shared])
    x = rng.standard_normal((50, 9))
    found = lsuv(net, x, tolerance=1e-7)
    assert list(found) == ["dense_1", "residual_1.body", "residual_1.shortcut"]
    first = net.layers[0](x)
    for y in (first, shared(first), net.layers[1].shortcut(first)):
        assert y.var() == pytest.approx(1, abs=1e-6)


def test_lsuv_stops_where_the_tolerance_is_reached(rng):
    x = rng.standard_normal((4000, 20))
    net = L.Dense(20)
    assert lsuv(net, x, tolerance=0.1)["Dense"] != pytest.approx(1, abs=1e-4)  # rotated, not scaled
    w = net.parameters()["weight"].value
    assert_allclose(w.T @ w, np.eye(20), atol=1e-12)
    assert lsuv(net, x, tolerance=1e-9)["Dense"] == pytest.approx(1, abs=1e-9)


def test_lsuv_makes_a_deep_network_learn(rng):
    """Thirty layers of 0.05 let nothing through."""
    x, y = rng.standard_normal((100, 10)), rng.integers(0, 2, 100)
    layers = [k for _ in range(30) for k in (L.Dense(16, initializer="uniform"), L.Tanh())]
    net = L.Sequential([*layers, L.Dense(2)])
    assert np.ptp(net(x), axis=0).max() < 1e-6
    lsuv(net, x)
    assert np.ptp(net(x), axis=0).min() > 0.1
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.01))
    assert np.isfinite(model.train_on_batch(x, y)["loss"])


@pytest.mark.parametrize(
    ("x", "settings", "error", "message"),
    [
        (np.zeros((0, 3)), {}, ValueError, r"lsuv needs at least 1 sample, got inputs of shape"),
        (np.zeros((4, 3)), {}, ValueError, r'that vary, got variance 0\.0 from Dense "dense_1"'),
        (np.full((4, 3), np.nan), {}, ValueError, r"that vary, got variance nan from Dense"),
        (np.ones((4, 3)), {"tolerance": 0}, ValueError, r"tolerance must be in \(0, 1\), got 0"),
        (np.ones((4, 3)), {"max_steps": 0}, ValueError, "max_steps must be at least 1, got 0"),
        (np.ones((4, 5)), {}, ValueError, r"takes inputs of 3 numbers"),
        (np.array([["a"]]), {}, TypeError, "takes real numbers"),
    ],
)
def test_lsuv_refuses_and_changes_nothing(x, settings, error, message):
    net = L.Sequential([L.Dense(4), L.Dense(5)])
    net.build((3,), np.float64)
    before = [p.value.copy() for p in net.parameters().values()]
    with pytest.raises(error, match=message):
        lsuv(net, x, **settings)
    for p, value in zip(net.parameters().values(), before, strict=True):
        assert_array_equal(p.value, value)
    assert all("_forward" not in vars(part) for part in net.layers)


def test_lsuv_says_when_it_fails(rng):
    net = L.Dense(4)
    net.build((3,), np.float64)
    net.parameters()["bias"].value = [0, 0, 9, 0]
    with pytest.raises(RuntimeError, match=r"variance 15\.2 from Dense after 10 steps, not 1"):
        lsuv(net, rng.standard_normal((50, 3)))
    with pytest.raises(TypeError, match="lsuv needs a deepfs Layer, got 'net'"):
        lsuv("net", np.ones((1, 3)))
