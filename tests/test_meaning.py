"""What outputs mean to a loss: predictions, default metrics, and what a Model refuses."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import losses
from deepfs.losses import BinaryCrossEntropy, CrossEntropy, Hinge, NegativeLogLikelihood

LOGITS = np.array([[2.0, -1.0, 0.5], [-3.0, 4.0, 4.0], [0.0, -0.1, -0.2]])
REGRESSION = losses.MeanSquaredError, losses.MeanAbsoluteError, losses.Huber


def model_of(loss, *last, **settings):
    network = L.Sequential([*last]) if last else L.Identity()
    return dfs.Model(network, loss, dfs.optimizers.SGD(0.1), **settings)


def own_loss(outputs, targets):
    d = outputs - targets
    return np.square(d).mean(), 2 * d / d.size


def test_one_yes_or_no_output():
    """Cases: argmax over one column is always 0, a softmax of one number always 1."""
    x = np.random.default_rng(0).normal(size=(400, 2))
    y = (x.sum(1) > 0).astype(int)
    dfs.set_seed(0)
    net = L.Sequential([L.Dense(8), L.ReLU(), L.Dense(1)])
    model = dfs.Model(net, BinaryCrossEntropy(), dfs.optimizers.Adam(0.05))
    model.fit(x, y[:, None], epochs=10, verbose=0)
    right = model.evaluate(x, y[:, None])["binary_accuracy"]
    assert right > 0.97
    classes, p = model.predict_classes(x), model.predict_proba(x)
    assert classes.shape == (400,)
    assert (classes == y).mean() == pytest.approx(right)
    assert_allclose(p, 1 / (1 + np.exp(-model.predict(x))), rtol=1e-5)
    assert p.shape == (400, 1)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 4), (3, 1, 2, 2)])
def test_shapes_of_yes_or_no(shape, rng):
    logits = rng.standard_normal(shape)
    model = model_of(BinaryCrossEntropy())
    flat = shape[:1] if shape == (3, 1) else shape
    assert_array_equal(model.predict_classes(logits), (logits > 0).astype(int).reshape(flat))
    assert_allclose(model.predict_proba(logits), 1 / (1 + np.exp(-logits)))


def test_classes_and_probabilities_of_each_loss():
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    for loss in (CrossEntropy(), NegativeLogLikelihood(), Hinge()):
        assert_array_equal(model_of(loss).predict_classes(LOGITS), [0, 1, 0])
    assert_allclose(model_of(CrossEntropy()).predict_proba(LOGITS), p)
    assert_allclose(model_of(NegativeLogLikelihood()).predict_proba(np.log(p)), p)
    log_p = model_of(NegativeLogLikelihood(), L.LogSoftmax())
    assert_allclose(log_p.predict_proba(LOGITS), p)


def test_pixels_have_classes_and_probabilities(rng):
    x = rng.standard_normal((2, 3, 4, 5))
    model = model_of(CrossEntropy())
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    assert_allclose(model.predict_proba(x), p)
    assert_array_equal(model.predict_classes(x), x.argmax(axis=1))


@pytest.mark.parametrize("loss", [*(make() for make in REGRESSION), own_loss], ids=str)
def test_numbers_have_no_classes(loss):
    model = model_of(loss)
    for what in ("classes", "probabilities"):
        method = model.predict_classes if what == "classes" else model.predict_proba
        with pytest.raises(ValueError, match=rf"no {what} from .*model\.predict\(x\)"):
            method(LOGITS)
    assert_array_equal(model.predict(LOGITS), LOGITS)


def test_a_margin_has_no_probabilities():
    with pytest.raises(ValueError, match=r"no probabilities from Hinge: .*predict_classes"):
        model_of(Hinge()).predict_proba(LOGITS)


def test_a_softmax_at_the_end_gives_probabilities_whatever_the_loss():
    for loss in (losses.MeanSquaredError(), own_loss):
        model = model_of(loss, L.Softmax())
        assert_array_equal(model.predict_proba(LOGITS), model.predict(LOGITS))
        assert_array_equal(model.predict_classes(LOGITS), [0, 1, 0])


@pytest.mark.parametrize(
    ("loss", "names"),
    [
        (CrossEntropy(), ["accuracy"]),
        (NegativeLogLikelihood(), ["accuracy"]),
        (Hinge(), ["accuracy"]),
        (BinaryCrossEntropy(), ["binary_accuracy"]),
        *((make(), []) for make in REGRESSION),
        (own_loss, []),
    ],
    ids=str,
)
def test_metrics_follow_from_the_loss(loss, names):
    model = model_of(loss)
    assert list(model.metrics) == names
    model.loss = BinaryCrossEntropy()
    assert list(model.metrics) == ["binary_accuracy"]
    model.metrics = ["mae"]
    model.loss = losses.MeanSquaredError()
    assert list(model.metrics) == ["mae"]  # chosen, so it stays
    model.metrics = "auto"
    assert list(model.metrics) == []


def test_regression_has_no_accuracy():
    """Cases: an autoencoder with an accuracy of 0.33, and a ValueError in the first step."""
    x = np.random.default_rng(0).random((64, 3, 8, 8))
    parts = losses.MeanSquaredError(), dfs.optimizers.Adam()
    model = dfs.Model(L.Conv2D(3, 3, padding="same"), *parts)
    assert list(model.fit(x, x, verbose=0).history) == ["loss"]
    model = dfs.Model(L.Dense(1), *parts, ["mae", "mse", "rmse", "r2"])
    y = x.mean(axis=(1, 2, 3))[:, None]
    logs = model.fit(x, y, verbose=0).history
    assert list(logs) == ["loss", "mae", "mse", "rmse", "r2"]
    found, d = model.evaluate(x, y, 10), model.predict(x) - y
    assert found["mae"] == pytest.approx(np.abs(d).mean(), rel=1e-6)
    assert found["rmse"] == pytest.approx(np.sqrt(found["mse"]))
    assert found["mse"] == pytest.approx(found["loss"], rel=1e-6)
    assert found["r2"] == pytest.approx(1 - np.square(d).sum() / np.square(y - y.mean()).sum())


REFUSED = [
    (CrossEntropy(), (L.Dense(2), L.Softmax()), r"leave Softmax\(\) out"),
    (CrossEntropy(), (L.Dense(2), L.Softmax(), L.Flatten()), r"leave Softmax\(\) out"),
    (CrossEntropy(), (L.Dense(2), L.Sigmoid(), L.Dropout(0.1)), r"leave Sigmoid\(\) out"),
    (CrossEntropy(), (L.Conv2D(2, 1), L.Softmax(), L.GlobalAvgPool2D()), "ends with Softmax"),
    (BinaryCrossEntropy(), (L.Dense(1), L.Sigmoid()), r"leave Sigmoid\(\) out"),
    (BinaryCrossEntropy(), (L.Dense(2), L.Softmax()), r"use CrossEntropy\(\)"),
    (BinaryCrossEntropy(), (L.Dense(2), L.LogSoftmax()), r"leave LogSoftmax\(\) out"),
    (NegativeLogLikelihood(), (L.Dense(2), L.Softmax()), r"end it with LogSoftmax\(\)"),
    (NegativeLogLikelihood(), (L.Dense(2),), r"add LogSoftmax\(\) at its end"),
    (NegativeLogLikelihood(), (L.Conv2D(2, 1), L.GlobalAvgPool2D()), "ends with Conv2D: add"),
    (CrossEntropy(), (L.Dense(1),), r"network with 1 output, .*BinaryCrossEntropy\(\)"),
    (Hinge(), (L.Dense(1), L.Identity()), "network with 1 output"),
    (NegativeLogLikelihood(), (L.Dense(1), L.LogSoftmax()), "network with 1 output"),
    (CrossEntropy(), (L.Conv2D(1, 3), L.GlobalMaxPool2D()), "network with 1 output"),
]


@pytest.mark.parametrize(("loss", "last", "message"), REFUSED, ids=lambda given: str(given)[:40])
def test_refuses_layers_that_do_not_go_with_the_loss(loss, last, message):
    """Cases: the loss stops at a floor, falls below 0, or stays 0, without a word."""
    nested = L.Sequential([L.Identity(), L.Sequential([*last])])
    for network in (nested, L.Branches([nested])):
        if isinstance(network, L.Branches) and "1 output" in message:
            continue  # its outputs may lie beside others
        with pytest.raises(ValueError, match=message):
            model_of(loss, network)
        model = dfs.Model(network, losses.MeanSquaredError(), dfs.optimizers.SGD())
        with pytest.raises(ValueError, match=message):
            model.loss = loss
        assert isinstance(model.loss, losses.MeanSquaredError)
    other = dfs.Model(L.Identity(), loss, dfs.optimizers.SGD())
    with pytest.raises(ValueError, match=message):
        other.network = nested
    assert isinstance(other.network, L.Identity)


ALLOWED = [
    (CrossEntropy(), (L.Dense(2), L.LogSoftmax())),  # a log-softmax twice is one
    (CrossEntropy(), (L.Softmax(), L.Dense(2))),
    (CrossEntropy(), (L.Dense(2), L.LeakyReLU())),
    (CrossEntropy(), (L.Conv2D(2, 1), L.ReLU(), L.GlobalAvgPool2D())),  # network in network
    (CrossEntropy(), (L.Residual(L.ReLU()),)),
    (CrossEntropy(), (L.Branches([L.ReLU(), L.Identity()]),)),
    (BinaryCrossEntropy(), (L.Dense(2),)),  # several labels
    (NegativeLogLikelihood(), (L.Dense(2), L.LogSoftmax(), L.Flatten())),
    (Hinge(), (L.Dense(2), L.ReLU())),
    (losses.MeanSquaredError(), (L.Dense(1), L.Sigmoid())),
    (own_loss, (L.Dense(1), L.Softmax())),
]


@pytest.mark.parametrize(("loss", "last"), ALLOWED, ids=lambda given: str(given)[:40])
def test_takes_what_may_be_right(loss, last):
    model_of(loss, *last)


@pytest.mark.parametrize(
    ("loss", "last", "message"),
    [
        (CrossEntropy(), L.ReLU(), "ends with ReLU, whose outputs are at least 0"),
        (CrossEntropy(), L.Tanh(), "ends with Tanh, whose outputs are from -1 to 1"),
        (CrossEntropy(), L.Branches([L.ReLU(), L.GELU()]), "ends with GELU and ReLU, whose"),
        (BinaryCrossEntropy(), L.ReLU(), "takes logits of yes or no, any numbers, got a network"),
        (Hinge(), L.Softmax(), "Hinge takes scores of classes, .* from 0 to 1"),
    ],
    ids=str,
)
def test_warns_of_what_may_be_meant(loss, last, message):
    with pytest.warns(UserWarning, match=message) as caught:
        model_of(loss, L.Dense(2), last)
    assert caught[0].filename == __file__


def test_a_built_network_says_how_many_outputs_it_has():
    net = L.Sequential([L.Conv2D(4, 3), L.Flatten(), L.Reshape((1, 4))])
    assert isinstance(model_of(CrossEntropy(), net), dfs.Model)  # who knows
    net(np.zeros((1, 1, 3, 3)))
    with pytest.raises(ValueError, match=r"at least 2 classes, got a network with 1 output"):
        dfs.Model(net, CrossEntropy(), dfs.optimizers.SGD())


@pytest.mark.parametrize("loss", [CrossEntropy(), NegativeLogLikelihood(), Hinge()], ids=str)
def test_a_loss_of_classes_needs_two(loss):
    for shape in ((4, 1), (4, 1, 3, 3)):
        with pytest.raises(ValueError, match=r"of at least 2 classes, got .*BinaryCrossEntropy"):
            loss(np.zeros(shape), np.zeros((4, *shape[2:]), int))


@pytest.mark.parametrize("last", [L.Sigmoid(), L.Softmax()], ids=str)
def test_thresholds_of_logits_are_not_for_probabilities(last):
    """Case: every sigmoid is above 0, so a threshold of 0 finds all to be yes."""
    for metric in ("binary_accuracy", dfs.metrics.subset_accuracy, "binary_f1"):
        with pytest.raises(ValueError, match=r"has the threshold 0 of logits, .*threshold=0.5"):
            model_of(losses.MeanSquaredError(), L.Dense(2), last, metrics=[metric])


def test_metrics_of_classes_are_not_for_one_output():
    for metric in ("accuracy", "top_2_accuracy"):
        with pytest.raises(ValueError, match=r"needs at least 2 outputs, .*'binary_accuracy'"):
            model_of(losses.MeanSquaredError(), L.Dense(1), metrics=metric)
    with pytest.raises(ValueError, match=r"f1_score needs at least 2 outputs, .*'binary_f1'"):
        model_of(BinaryCrossEntropy(), L.Dense(1), metrics=[dfs.metrics.f1_score])


def test_a_file_may_hold_what_is_refused_now(tmp_path):
    model = dfs.Model(L.Sequential([L.Dense(2), L.Softmax()]), losses.MeanSquaredError(),
                      dfs.optimizers.SGD())  # fmt: skip
    model.predict(LOGITS)
    vars(model.trainer)["loss"] = CrossEntropy()  # as a version before this check
    model.save(tmp_path / "m.safetensors")
    with pytest.warns(UserWarning, match=r"CrossEntropy takes logits .*leave Softmax\(\) out"):
        loaded = dfs.load(tmp_path / "m.safetensors")
    assert_array_equal(loaded.predict_proba(LOGITS), model.predict(LOGITS))  # no second softmax
    net = L.Sequential([L.Dense(1), L.Sigmoid()])
    model = dfs.Model(net, losses.MeanSquaredError(), dfs.optimizers.SGD())
    p = model.predict(LOGITS)
    vars(model.trainer)["loss"] = BinaryCrossEntropy()
    assert_array_equal(model.predict_proba(LOGITS), p)
    assert_array_equal(model.predict_classes(LOGITS), (p > 0.5).reshape(-1))


class Focal(losses.ElementWise):
    """A loss of one's own that says what outputs mean."""

    output_kind = losses.BINARY_LOGITS

    def _value(self, y, t):
        return np.square(1 / (1 + np.exp(-y)) - t)

    def _slope(self, y, t):
        p = 1 / (1 + np.exp(-y))
        return 2 * (p - t) * p * (1 - p)


def test_a_loss_of_ones_own_says_what_outputs_mean():
    model = model_of(Focal())
    assert list(model.metrics) == ["binary_accuracy"]
    assert_array_equal(model.predict_classes(LOGITS), LOGITS > 0)
    with pytest.raises(ValueError, match=r"Focal takes logits and computes the sigmoid itself"):
        model_of(Focal(), L.Sigmoid())


def test_kinds_are_one_in_copies_and_pickles():
    for kind in (losses.CLASS_LOGITS, losses.NUMBERS, losses.UNKNOWN):
        assert copy.deepcopy(kind) is kind
        assert pickle.loads(pickle.dumps(kind)) is kind
    assert repr(losses.BINARY_LOGITS) == "<outputs that are logits of yes or no>"
    with pytest.raises(ValueError, match=r"model.predict"):
        losses.NUMBERS.classes(LOGITS)


def heads():
    x = L.Input((3,))
    h = L.ReLU()(L.Dense(8)(x))
    return x, L.Dense(3)(h), L.Dense(1)(h)


def test_every_output_has_its_kind(rng):
    x, digit, size = heads()
    data = rng.standard_normal((20, 3))
    y = {"digit": np.arange(20) % 3, "size": data[:, :1]}
    model = dfs.Model(L.Graph(x, {"digit": digit, "size": size}),
                      {"digit": CrossEntropy(ignore_index=2), "size": "mse"},
                      dfs.optimizers.SGD(0.01))  # fmt: skip
    assert list(model.metrics) == ["digit_accuracy"]
    outputs, keep = model.predict(data), y["digit"] != 2
    found = model.evaluate(data, y, 7)
    right = (outputs["digit"].argmax(1) == y["digit"])[keep].mean()
    assert found["digit_accuracy"] == pytest.approx(right)
    assert list(model.predict_classes(data)) == ["digit"]
    assert_array_equal(model.predict_classes(data)["digit"], outputs["digit"].argmax(1))
    model.metrics = {"digit": ["accuracy", "f1_score"], "size": "r2"}
    names = ["digit_accuracy", "digit_f1_score", "size_r2"]
    assert list(model.metrics) == names
    scores = model.evaluate(data, y, 7)
    assert scores["size_r2"] == pytest.approx(dfs.metrics.r2_score(y["size"], outputs["size"]))
    assert {*names} <= model.fit(data, y, verbose=0).history.keys()


def test_every_output_is_checked(rng):
    x, digit, size = heads()
    sgd = dfs.optimizers.SGD()
    graph = L.Graph(x, (L.Identity()(L.Softmax()(digit)), size))
    with pytest.raises(ValueError, match=r"output 0: CrossEntropy .*leave Softmax\(\) out"):
        dfs.Model(graph, ("cross_entropy", "mse"), sgd)
    with pytest.raises(ValueError, match=r"output 1: Hinge needs at least 2 classes"):
        dfs.Model(L.Graph(x, (digit, size)), ("cross_entropy", "hinge"), sgd)
    with pytest.raises(ValueError, match=r"is of one output, .*metrics=\{0: 'accuracy'\}"):
        dfs.Model(L.Graph(x, (digit, size)), ("cross_entropy", "mse"), sgd, "accuracy")
    with pytest.raises(ValueError, match=r"has outputs \[0, 1\], got a metric of 'digit'"):
        dfs.Model(L.Graph(x, (digit, size)), ("cross_entropy", "mse"), sgd, {"digit": "accuracy"})
    model = dfs.Model(L.Graph(x, (digit, size)), ("cross_entropy", "mse"), sgd)
    classes, none = model.predict_classes(rng.standard_normal((4, 3)))
    assert classes.shape == (4,)
    assert none is None
    regression = dfs.Model(L.Graph(x, (digit, size)), ("mse", "mae"), sgd)
    with pytest.raises(ValueError, match=r"no classes from Combined"):
        regression.predict_classes(np.zeros((1, 3)))


def test_a_graph_of_one_output_is_seen_through():
    x, digit, size = heads()
    with pytest.raises(ValueError, match=r"ends with Sigmoid"):
        model_of(BinaryCrossEntropy(), L.Graph(x, L.Flatten()(L.Sigmoid()(size))))
    with pytest.raises(ValueError, match=r"network with 1 output"):
        model_of(CrossEntropy(), L.Graph(x, size))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model_of(CrossEntropy(), L.Graph(x, L.Add()([digit, L.ReLU()(digit)])))


@pytest.mark.parametrize("change", ["replace", "layers"])
def test_outputs_are_checked_again_when_the_last_layer_is_exchanged(change):
    x, y = np.eye(6, dtype=np.float32), np.arange(6) % 3
    model = model_of(CrossEntropy(), L.Dense(3, name="head"))
    logs = model.train_on_batch(x, y)
    assert logs["loss"] > 0
    before = model.network.parameters()["head.weight"].value.copy()
    if change == "replace":
        model.network.replace("head", L.Sequential([L.Dense(3), L.Softmax()]))
    else:
        model.network.layers = [*model.network.layers, L.Softmax()]
    for use in (
        lambda: model.train_on_batch(x, y),
        lambda: model.train_on_batch(x, y),  # refused, the exchange is not taken the second time
        lambda: model.fit(x, y, verbose=0),
        lambda: model.evaluate(x, y),
    ):
        with pytest.raises(ValueError, match="computes the softmax itself"):
            use()
    assert model.steps == 1
    if change == "layers":
        assert_array_equal(model.network.parameters()["head.weight"].value, before)


def test_outputs_are_checked_once_for_one_last_layer():
    with pytest.warns(UserWarning, match="at least 0") as caught:
        model = model_of(CrossEntropy(), L.Dense(3), L.ReLU())
    assert len(caught) == 1
    x, y = np.eye(6), np.arange(6) % 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(x, y, verbose=0)
        copy.deepcopy(model).fit(x, y, verbose=0)
        model.evaluate(x, y)
    model.network.layers = [model.network.layers[0], L.Tanh()]
    with pytest.warns(UserWarning, match="from -1 to 1"):
        model.fit(x, y, verbose=0)


def test_heads_are_checked_again_when_one_is_exchanged():
    given = L.Input((4,))
    net = dfs.Graph(given, {"a": L.Dense(3, name="a")(given), "b": L.Dense(2, name="b")(given)})
    loss = {"a": "cross_entropy", "b": "mean_squared_error"}
    model = dfs.Model(net, loss, dfs.optimizers.SGD(0.1))
    x, y = np.eye(4), {"a": np.arange(4) % 3, "b": np.zeros((4, 2))}
    model.fit(x, y, verbose=0)
    net.replace("a", L.Sequential([L.Dense(3), L.Softmax()]))
    with pytest.raises(ValueError, match="output 'a': CrossEntropy takes logits"):
        model.fit(x, y, verbose=0)
