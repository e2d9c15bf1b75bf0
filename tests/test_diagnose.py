"""`deepfs.diagnose`: each illness is planted and found; healthy models have no findings."""

import copy
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import losses, optimizers, random
from deepfs.inspection import diagnose_data
from deepfs.inspection import diagnose_findings as rules
from deepfs.inspection.diagnose_report import Diagnosis
from deepfs.inspection.diagnose_watch import NotFinite
from models import small_model

(X, Y), _ = dfs.datasets.mnist_mini()
X, Y = X[:1000], Y[:1000]


def dense_net(units=32, depth=2, activation=L.ReLU, initializer="he_normal", classes=10):
    parts = [L.Flatten()]
    for _ in range(depth):
        parts += [L.Dense(units, initializer=initializer), activation()]
    return L.Sequential([*parts, L.Dense(classes, initializer=initializer)])


def model_of(net, optimizer=None, loss=None):
    return dfs.Model(net, loss or losses.CrossEntropy(), optimizer or optimizers.SGD(0.1), seed=0)


def kinds(diagnosis):
    return {finding.kind for finding in diagnosis.findings}


def only(diagnosis, kind):
    """Return the one finding, which is of this kind."""
    assert [finding.kind for finding in diagnosis.findings] == [kind], diagnosis
    return diagnosis.findings[0]


# Healthy


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("name", "samples"),
    [("mlp", 320), ("lenet5", 320), ("mini_convnet", 160), ("simple_convnet", 128)],
)
def test_healthy_networks_have_no_findings(name, samples, seed):
    net = getattr(dfs.networks, name)()
    model = dfs.Model(net, losses.CrossEntropy(), optimizers.Adam(), seed=seed)
    assert dfs.diagnose(model, X, Y, samples=samples).findings == []


@pytest.mark.parametrize(
    "name",
    ["deep_convnet", "resnet20", "vgg_small", "alexnet_small", "mobilenet_small", "two_layer"],
)
def test_healthy_large_networks_have_no_findings(name):
    model = model_of(getattr(dfs.networks, name)(), optimizers.Adam())
    x = X[:128, :, ::2, ::2] if name == "vgg_small" else X[:128]
    assert dfs.diagnose(model, x, Y[:128], batch_size=16, steps=4).findings == []


@pytest.mark.parametrize("optimizer", [optimizers.SGD(0.1), optimizers.Momentum(0.03)])
def test_healthy_with_other_optimizers(optimizer):
    assert dfs.diagnose(model_of(dense_net(), optimizer), X, Y).healthy


def test_healthy_after_training():
    model = model_of(dfs.networks.mlp((50,)), optimizers.Adam())
    model.fit(X, Y, epochs=20, verbose=0)
    assert model.evaluate(X, Y)["accuracy"] > 0.99
    assert dfs.diagnose(model, X, Y).findings == []


def test_a_last_layer_of_zeros_is_healthy():
    net = L.Sequential([L.Flatten(), L.Dense(32), L.ReLU(), L.Dense(10, initializer="zeros")])
    assert dfs.diagnose(model_of(net), X, Y).healthy


def test_a_residual_branch_that_begins_with_zeros_is_healthy():
    """No gradient comes into the branch before the first step."""
    body = L.Sequential([L.Dense(16), L.Tanh(), L.Dense(16, initializer="zeros")])
    net = L.Sequential([L.Flatten(), L.Dense(16), L.Residual(body), L.Dense(10)])
    assert dfs.diagnose(model_of(net), X, Y).healthy


def test_healthy_regression_of_one_output():
    x = np.random.default_rng(0).normal(size=(500, 4))
    net = L.Sequential([L.Dense(16), L.Tanh(), L.Dense(1)])
    model = model_of(net, optimizers.Adam(1e-2), losses.MeanSquaredError())
    diagnosis = dfs.diagnose(model, x, x[:, :1] - x[:, 1:2])
    assert diagnosis.healthy
    assert diagnosis.chance == pytest.approx(np.var(x[:, 0] - x[:, 1]))


# Illnesses


def test_zeros_make_all_units_the_same():
    finding = only(dfs.diagnose(model_of(dense_net(initializer="zeros")), X, Y), "symmetry")
    assert finding.severity == "error"
    assert finding.layer == "dense_1, dense_2, dense_3"
    assert "he_normal" in finding.remedy


def test_a_constant_makes_all_units_the_same():
    net = L.Sequential([
        L.Conv2D(4, 3, initializer=dfs.initializers.Constant(0.1)), L.Tanh(), L.Flatten(),
        L.Dense(10),
    ])  # fmt: skip
    for steps in (0, 20):  # the last layer tells them apart
        assert "symmetry" not in kinds(dfs.diagnose(model_of(net), X, Y, samples=320, steps=steps))
    net = dense_net(8, 1, L.Tanh, dfs.initializers.Constant(0.01))
    assert only(dfs.diagnose(model_of(net), X, Y), "symmetry").layer == "dense_1"


@pytest.mark.parametrize("optimizer", [optimizers.SGD(30.0), optimizers.Adam(1.0)])
def test_a_rate_that_is_too_high(optimizer):
    finding = only(dfs.diagnose(model_of(dense_net(), optimizer), X, Y), "rate_high")
    assert finding.severity == "error"
    assert "lr_find" in finding.remedy


def test_a_rate_that_makes_nan_names_layer_pass_index_and_step():
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    net = L.Sequential([L.Dense(8, name="first"), L.Dense(1)])
    model = model_of(net, optimizers.SGD(1e10), losses.MeanSquaredError())
    diagnosis = dfs.diagnose(model, x, x[:, :1])
    finding = only(diagnosis, "rate_high")
    bad = diagnosis.first_bad
    assert bad.step >= 1
    assert bad.pass_name in ("forward", "backward", "update", "loss")
    assert f"first in {bad.where}, {bad.pass_name} pass, index {bad.index}" in finding.what


@pytest.mark.parametrize("optimizer", [optimizers.SGD(1e-6), optimizers.Adam(1e-7)])
def test_a_rate_that_is_too_low(optimizer):
    finding = only(dfs.diagnose(model_of(dense_net(), optimizer), X, Y), "rate_low")
    assert finding.severity == "warning"
    assert "Multiply" in finding.remedy


def test_a_warmup_may_begin_with_a_low_rate():
    schedule = dfs.schedules.Warmup(100_000, then=0.1, start=0.0)
    assert dfs.diagnose(model_of(dense_net(), optimizers.SGD(schedule)), X, Y).healthy


def test_inputs_that_are_not_scaled():
    diagnosis = dfs.diagnose(model_of(dense_net()), 255 * X, Y)
    finding, effect = diagnosis.findings  # the cause first
    assert (finding.kind, effect.kind) == ("inputs", "rate_high")
    assert effect.remedy == "Scale the inputs first, then look again"
    rms = np.sqrt(np.mean(np.square(255 * X, dtype=np.float64)))
    assert f"{rms:.3g} in channel or feature 0" in finding.what
    assert "x / np.float32(255)" in finding.remedy


def test_one_feature_of_another_scale():
    x = np.random.default_rng(0).normal(size=(200, 3)) * [1, 500, 1]
    model = model_of(L.Dense(2), optimizers.Adam())
    diagnosis = dfs.diagnose(model, x, (x[:, 0] > 0).astype(int))
    assert any("feature 1" in finding.what for finding in diagnosis.findings)
    norm = L.Sequential([L.BatchNorm(), L.Dense(2)])
    assert dfs.diagnose(model_of(norm), x, (x[:, 0] > 0).astype(int)).healthy


def test_inputs_that_are_tiny_or_constant():
    assert "inputs" in kinds(dfs.diagnose(model_of(dense_net()), X * 1e-5, Y))
    finding = dfs.diagnose(model_of(dense_net()), X * 0 + 1, Y).findings[0]
    assert (finding.kind, finding.severity) == ("inputs", "error")
    assert "all the same number" in finding.what


def test_dead_relus():
    model = model_of(dense_net())
    model.predict(X[:1])
    model.network.layers[1].parameters()["bias"].value[:28] = -100
    diagnosis = dfs.diagnose(model, X, Y)
    finding = only(diagnosis, "dead_relu")
    assert (finding.layer, finding.severity) == ("relu_1", "warning")
    assert diagnosis["relu_1"].dead == 28 / 32
    model.network.layers[1].parameters()["bias"].value[:] = -100
    finding = dfs.diagnose(model, X, Y).findings[0]
    assert (finding.kind, finding.layer, finding.severity) == ("dead_relu", "relu_1", "error")


@pytest.mark.parametrize("bias", [-100, 100])
def test_units_of_clip_beyond_either_limit_are_dead(bias):
    net = L.Sequential([L.Flatten(), L.Dense(32), L.Clip(0, 6), L.Dense(10)])
    model = model_of(net)
    model.predict(X[:1])
    assert dfs.diagnose(model, X, Y)["clip_1"].dead == 0
    model.parameters()["dense_1.bias"].value[:28] = bias
    diagnosis = dfs.diagnose(model, X, Y)
    assert diagnosis["clip_1"].dead == 28 / 32
    (finding,) = (each for each in diagnosis.findings if each.kind == "dead_relu")
    assert finding.layer == "clip_1"
    assert "beyond a limit" in finding.cause


def test_targets_beyond_the_limits_of_clip():
    net = L.Sequential([L.Flatten(), L.Dense(4), L.Clip(-2, 3)])
    y = np.random.default_rng(0).uniform(-2, 3, (len(X), 4)).astype(np.float32)
    model = dfs.Model(net, "mse", optimizers.SGD(1e-3), seed=0)
    assert "targets" not in kinds(dfs.diagnose(model, X, y))
    finding = only(dfs.diagnose(model, X, y * 2), "targets")
    assert "Clip, whose outputs are from -2 to 3" in finding.what


def test_a_dead_channel_is_dead_everywhere():
    net = L.Sequential([L.Conv2D(4, 3, padding=1), L.ReLU(), L.Flatten(), L.Dense(10)])
    model = model_of(net)
    model.predict(X[:1])
    model.network.layers[0].parameters()["bias"].value[2] = -100
    assert dfs.diagnose(model, X, Y, samples=128, steps=2)["relu_1"].dead == 0.25


def test_a_unit_that_one_sample_needs_is_not_dead():
    net = L.Sequential([L.Dense(64, bias=False), L.ReLU(), L.Dense(2)])
    model = model_of(net, optimizers.SGD(1e-3))
    model.predict(np.eye(64))
    model.parameters()["dense_1.weight"].value[...] = 2 * np.eye(64) - 1
    for size in (1, 8, 64):
        found = dfs.diagnose(model, np.eye(64), np.arange(64) % 2, batch_size=size, steps=0)
        assert found["relu_1"].dead == 0


@pytest.mark.parametrize("activation", [L.Sigmoid, L.Tanh])
def test_saturated_units(activation):
    large = dfs.initializers.Normal(3.0)
    net = L.Sequential([
        L.Flatten(), L.Dense(32, initializer=large), activation(), L.Dense(10)])  # fmt: skip
    diagnosis = dfs.diagnose(model_of(net, optimizers.SGD(0.01)), X, Y)
    finding = only(diagnosis, "saturated")
    assert finding.layer == f"{activation.__name__.lower()}_1"
    assert diagnosis[finding.layer].saturated > 0.5


def test_the_share_that_is_saturated():
    """By the definition: the derivative is below 5 % of the largest."""
    values = np.linspace(-6, 6, 401)[:, None]
    for layer, slope in ((L.Sigmoid(), lambda y: 4 * y * (1 - y)), (L.Tanh(), lambda y: 1 - y**2)):
        net = L.Sequential([L.Dense(1, bias=False, initializer="ones"), layer, L.Dense(1)])
        model = model_of(net, optimizers.SGD(0.01), losses.MeanSquaredError())
        row = dfs.diagnose(model, values, values, batch_size=401, steps=0).rows[1]
        assert row.saturated == pytest.approx((slope(type(layer)()(values)) < 0.05).mean())


def test_a_saturated_output_is_no_illness():
    net = L.Sequential([L.Flatten(), L.Dense(1, initializer=dfs.initializers.Normal(5.0)),
                        L.Sigmoid()])  # fmt: skip
    model = model_of(net, optimizers.SGD(1e-3), losses.MeanSquaredError())
    assert "saturated" not in kinds(dfs.diagnose(model, X, (Y[:, None] > 4).astype(float)))


@pytest.mark.parametrize("seed", range(3))
def test_labels_that_were_shuffled(seed):
    y = np.random.default_rng(seed).permutation(Y)
    finding = only(dfs.diagnose(model_of(dense_net()), X, y), "labels")
    assert "nothing to do with inputs" in finding.what
    assert "one permutation" in finding.remedy


def test_labels_of_one_class():
    diagnosis = dfs.diagnose(model_of(dense_net()), X, Y * 0)
    assert "all samples have the same label" in str(diagnosis)


def test_outputs_that_explode_with_depth():
    net = dense_net(depth=12, initializer=dfs.initializers.Normal(1.0))
    finding = dfs.diagnose(model_of(net, optimizers.SGD(1e-3)), X, Y).findings[0]
    assert (finding.kind, finding.severity) == ("exploding", "error")
    assert "lsuv" in finding.remedy


def test_gradients_that_vanish():
    net = dense_net(16, depth=10, activation=L.Sigmoid, initializer="glorot_uniform")
    finding = only(dfs.diagnose(model_of(net), X, Y), "vanishing")
    assert finding.layer.startswith("dense_1")
    net = dense_net(16, depth=10, activation=L.ReLU)
    assert "vanishing" not in kinds(dfs.diagnose(model_of(net), X, Y))


def test_a_layer_that_passes_no_gradient():
    net = L.Sequential([L.Flatten(), L.Dense(16), L.Step(), L.Dense(10)])
    assert only(dfs.diagnose(model_of(net), X, Y), "vanishing").layer == "dense_1"


def test_a_loss_far_from_chance():
    net = L.Sequential([L.Flatten(), L.Dense(10, initializer=dfs.initializers.Normal(8.0))])
    diagnosis = dfs.diagnose(model_of(net, optimizers.SGD(0.01)), X, Y)
    assert kinds(diagnosis) == {"initial_loss"}
    shares = np.bincount(Y) / len(Y)
    assert diagnosis.chance == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-6)


@pytest.mark.parametrize("piece", [100 * 784, 2**20])
def test_nan_in_an_input(piece, monkeypatch):
    monkeypatch.setattr(diagnose_data, "PIECE", piece)
    x = X.copy()
    x[700, 0, 3, 5] = np.nan
    diagnosis = dfs.diagnose(model_of(dense_net()), x, Y, samples=100)
    finding = only(diagnosis, "not_finite")
    assert "sample 700" in finding.what
    assert diagnosis.first_bad == NotFinite("inputs", "data", (700, 0, 3, 5), 0)


def test_nan_in_a_weight():
    model = model_of(dense_net())
    model.predict(X[:1])
    model.network.parameters()["dense_2.weight"].value[4, 7] = np.inf
    diagnosis = dfs.diagnose(model, X, Y)
    assert only(diagnosis, "not_finite").layer == "dense_2.weight"
    assert diagnosis.first_bad == NotFinite("dense_2.weight", "weights", (4, 7), 0)


class Broken(L.Layer):
    """Divides by 0 in one place of one sample."""

    def __init__(self, backward):
        super().__init__()
        self.backward_too = backward

    def _out_shape(self, in_shape):
        return in_shape

    def _forward(self, x, training):
        y = x.copy()
        if training and not self.backward_too:
            y[0, 2] = np.nan
        return y, None

    def _backward(self, dy, cache, need_dx):
        dx = dy.copy()
        if self.backward_too:
            dx[1, 3] = np.inf
        return dx


@pytest.mark.parametrize("backward", [False, True])
def test_nan_of_a_layer(backward):
    net = L.Sequential([L.Flatten(), L.Dense(8), Broken(backward), L.Dense(10)])
    diagnosis = dfs.diagnose(model_of(net), X, Y)
    bad = diagnosis.first_bad
    assert only(diagnosis, "not_finite").layer == bad.where == "broken_1"
    assert bad.pass_name == ("backward" if backward else "forward")
    assert bad.index[1:] == ((3,) if backward else (2,))
    order = np.random.default_rng(0).permutation(1000)
    assert bad.index[0] == order[1 if backward else 0]  # the number of the sample


def test_targets_that_do_not_fit():
    finding = only(dfs.diagnose(model_of(dense_net(classes=5)), X, Y), "targets")
    assert finding.severity == "error"
    model = model_of(dense_net(classes=1), loss=losses.MeanSquaredError())
    assert kinds(dfs.diagnose(model, X, Y.astype(float))) == {"targets"}


def test_outputs_that_do_not_fit():
    model = model_of(dense_net())
    model.network.layers = [*model.network.layers, L.Softmax()]
    finding = dfs.diagnose(model, X, Y).findings[0]
    assert finding.kind == "outputs"
    assert "leave Softmax() out" in finding.what


def test_targets_out_of_reach():
    net = L.Sequential([L.Dense(8), L.Tanh(), L.Dense(1), L.Sigmoid()])
    x = np.random.default_rng(0).normal(size=(200, 4))
    model = model_of(net, loss=losses.MeanSquaredError())
    finding = only(dfs.diagnose(model, x, 3 * x[:, :1]), "targets")
    assert "ends with Sigmoid" in finding.what


def test_all_is_frozen():
    model = model_of(dense_net())
    model.network.freeze()
    assert only(dfs.diagnose(model, X, Y), "frozen").severity == "error"
    group = optimizers.Group("*", frozen=True)
    model = model_of(dense_net(), optimizers.SGD(0.1, groups=[group]))
    assert only(dfs.diagnose(model, X, Y), "frozen")
    model = model_of(L.Sequential([L.Flatten(), L.Identity()]))
    assert "no parameters" in only(dfs.diagnose(model, X, Y % 2), "frozen").what


def test_a_part_is_frozen_and_healthy():
    model = model_of(dense_net())
    model.network.layers[1].freeze()
    assert dfs.diagnose(model, X, Y).healthy


# What it leaves as it was, and what it takes


def state_of(model):
    trainer = model.trainer
    arrays = [p.value for p in model.parameters().values()] + [*model.buffers().values()]
    arrays += [*trainer.state.values()]
    return [array.copy() for array in arrays], trainer.steps, trainer.epochs, random.get_state()


def test_the_model_stays_bit_for_bit():
    x, y = np.random.default_rng(0).normal(size=(60, 2, 8, 8)), np.arange(60) % 3
    models = []
    for asked in (False, True):
        dfs.set_seed(1)
        model = small_model()
        if asked:
            dfs.diagnose(model, x, y)
            assert model.network.built_dtype is None
        model.fit(x, y, 16, epochs=2, verbose=0)
        before = state_of(model)
        if asked:
            dfs.diagnose(model, x, y)
        for a, b in zip(before[0], state_of(model)[0], strict=True):
            assert_array_equal(a, b)
        assert before[1:] == state_of(model)[1:]
        model.fit(x, y, 16, epochs=2, verbose=0)
        models.append(model)
    for a, b in zip(state_of(models[0])[0], state_of(models[1])[0], strict=True):
        assert_array_equal(a, b)


def test_the_same_on_any_number_of_threads():
    found = []
    for n in (1, 2, 3):
        with dfs.threads(n):
            found.append(dfs.diagnose(model_of(dense_net()), X, Y, samples=256).as_dict())
    assert found[0] == found[1] == found[2]


def test_inputs_are_preprocessed_as_fit_does_it():
    model = model_of(dense_net())
    model.preprocess = dfs.preprocessing.Standardize(per="all")
    raw = 255 * X + 1000
    assert dfs.diagnose(model, raw, Y).healthy
    assert not model.preprocess.fitted
    model.fit(raw, Y, verbose=0)
    assert dfs.diagnose(model, raw, Y).healthy
    raw[3, 0, 0, 0] = np.nan
    found = dfs.diagnose(model, raw, Y)
    assert found.first_bad == NotFinite("inputs", "data", (3, 0, 0, 0), 0)
    assert kinds(found) == {"not_finite"}


def test_a_loader_takes_the_place_of_arrays():
    expected = dfs.diagnose(model_of(dense_net()), X, Y).as_dict()
    assert dfs.diagnose(model_of(dense_net()), dfs.data.Loader((X, Y))).as_dict() == expected
    scale = dfs.preprocessing.Rescale(1 / 255)
    loader = dfs.data.Loader((255 * X, Y), preprocess=scale, augment=dfs.augment.Cutout(8))
    assert dfs.diagnose(model_of(dense_net()), loader).healthy
    model = model_of(dense_net())
    model.preprocess = scale  # once, not twice
    found = dfs.diagnose(model, loader)
    assert found["flatten_1"].std == pytest.approx(X.std(), rel=1e-2)


def test_several_inputs_outputs_and_containers():
    image, age = L.Input((1, 28, 28), name="image"), L.Input((3,), name="age")
    h = L.Residual(L.Sequential([L.Dense(16), L.ReLU(), L.Dense(16)]))(
        L.Dense(16)(L.Concat()([L.Flatten()(image), age]))
    )
    net = dfs.Graph({"image": image, "age": age}, {"digit": L.Dense(10)(h), "sum": L.Dense(1)(h)})
    both = {"digit": losses.CrossEntropy(), "sum": losses.MeanSquaredError()}
    model = model_of(net, optimizers.Adam(), both)
    ages = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    y = {"digit": Y, "sum": ages.sum(axis=1, keepdims=True)}
    diagnosis = dfs.diagnose(model, {"image": X, "age": ages}, y)
    assert diagnosis.healthy
    assert {"residual_1.body.relu_1", "dense_3"} <= {row.name for row in diagnosis.rows}
    ages[7, 1] = np.nan
    diagnosis = dfs.diagnose(model, {"image": X, "age": ages * 1e3}, y)
    assert diagnosis.first_bad.where == "inputs"
    assert any("inputs['age']" in finding.what for finding in diagnosis.findings)


def test_rows_are_what_numpy_computes():
    net = L.Sequential([L.Dense(6), L.ReLU(), L.Dense(3)])
    model = model_of(net, optimizers.SGD(0.1))
    x, y = np.random.default_rng(0).normal(size=(50, 4)), np.arange(50) % 3
    model.predict(x[:1])
    diagnosis = dfs.diagnose(model, x, y, batch_size=50, steps=1)
    w, b = (model.parameters()[f"dense_1.{name}"].value for name in ("weight", "bias"))
    h = x @ w + b
    row = diagnosis["dense_1"]
    assert (row.mean, row.std) == (pytest.approx(h.mean()), pytest.approx(h.std()))
    assert diagnosis["relu_1"].dead == ((h <= 0).all(axis=0)).mean()
    assert row.weight_norm == pytest.approx(np.sqrt((w**2).sum() + (b**2).sum()))
    step = copy.deepcopy(model)
    order = np.random.default_rng(0).permutation(50)
    step.train_on_batch(x[order], y[order])
    after = step.parameters()["dense_1.weight"].value
    assert row.update_ratio == pytest.approx(np.linalg.norm(after - w) / np.linalg.norm(w))
    assert row.gradient_norm == pytest.approx(
        np.hypot(np.linalg.norm(after - w),
                 np.linalg.norm(step.parameters()["dense_1.bias"].value - b)) / 0.1
    )  # fmt: skip
    assert diagnosis.loss == pytest.approx(model.evaluate(x, y)["loss"])


def test_reports():
    model = model_of(dense_net(initializer="zeros"))
    diagnosis = dfs.diagnose(model, X, Y)
    text = repr(diagnosis)
    assert text.startswith("Diagnosis of 6 layers on 1,000 samples: 1 finding; loss 2.303")
    assert "error: dense_1, dense_2, dense_3: all units have the same weights" in text
    assert max(map(len, f"{text}\n{diagnosis.table()}".splitlines())) <= 100
    assert "<table>" in diagnosis._repr_html_()
    again = Diagnosis.from_dict(json.loads(json.dumps(diagnosis.as_dict())))
    assert again == diagnosis
    with pytest.raises(KeyError, match="has no layer 'dense_9'"):
        diagnosis["dense_9"]


def test_what_it_refuses():
    model = model_of(dense_net())
    for arguments, words in (
        (("model", X, Y), "diagnose takes a deepfs.Model, got 'model'"),
        ((model, X), "diagnose needs targets beside the inputs, got y=None"),
    ):
        with pytest.raises(TypeError, match=words):
            dfs.diagnose(*arguments)
    with pytest.raises(ValueError, match="a target for each input, at least 1"):
        dfs.diagnose(model, X, Y[:3])
    with pytest.raises(ValueError, match="samples must be"):
        dfs.diagnose(model, X, Y, samples=0)


def test_it_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dfs.diagnose(model_of(dense_net(initializer=dfs.initializers.Normal(1e20))), X, Y)


def test_the_page_has_the_thresholds():
    page = (Path(__file__).parents[1] / "docs" / "diagnose.md").read_text()
    for name, value in rules.thresholds().items():
        assert f"| `{name}` | {value:g} |" in page, name


# In `fit`


def test_the_callback_reports_and_does_not_change_the_training(capsys):
    results = []
    for every in (None, 1, 2):
        dfs.set_seed(3)
        model = model_of(dense_net(), optimizers.Momentum(0.03))
        callback = dfs.callbacks.Diagnose(X, Y, every=every or 1, samples=64, steps=2)
        model.fit(X, Y, epochs=4, verbose=0, callbacks=[callback] if every else [])
        results.append(state_of(model))
        if every:
            assert list(callback.reports) == list(range(every - 1, 4, every))
            assert all(isinstance(each, Diagnosis) for each in callback.reports.values())
    for other in results[1:]:
        assert results[0][1:] == other[1:]
        for a, b in zip(results[0][0], other[0], strict=True):
            assert_array_equal(a, b)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("verbose", [True, False])
def test_the_callback_prints_a_finding_once(verbose, capsys):
    model = model_of(dense_net(initializer="zeros"))
    callback = dfs.callbacks.Diagnose(X, Y, samples=64, steps=2, verbose=verbose)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    printed = capsys.readouterr().out
    assert printed.count("epoch 1: error: dense_1, dense_2, dense_3: all units") == verbose
    assert "epoch 2" not in printed


def test_reports_are_kept_in_checkpoints(tmp_path):
    def run(epochs):
        model = model_of(dense_net(initializer="zeros"))
        callback = dfs.callbacks.Diagnose(X, Y, samples=64, steps=2, verbose=False)
        model.fit(X, Y, 200, epochs=epochs, verbose=0, callbacks=[callback],
                  checkpoint=tmp_path, resume=True)  # fmt: skip
        return callback.reports

    first, both = run(1), run(2)
    assert list(both) == [0, 1]
    assert both[0] == first[0]
