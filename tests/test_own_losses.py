"""Losses by name, from functions, and of several outputs; their sums over batches; their files."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import losses
from deepfs.losses import Combined, CrossEntropy, FunctionLoss, MeanSquaredError
from deepfs.testing import check_gradient, check_loss
from every_layer import spread
from every_loss import every_loss


def per_sample(outputs, targets):
    d = outputs - targets
    return np.square(d).mean(axis=1), 2 * d / d.shape[1]


def per_batch(outputs, targets):
    d = outputs - targets
    return np.square(d).mean(), 2 * d / d.size


def contrastive(outputs, same):
    """Return the contrastive loss of two embeddings, of Hadsell, Chopra and LeCun, 2006."""
    a, b = outputs
    d = a - b
    distance = np.sqrt(np.square(d).sum(axis=1))
    short = np.maximum(0, 1 - distance)
    value = np.where(same == 1, np.square(distance), np.square(short)) / 2
    slope = np.where(same == 1, 1, -short / np.maximum(distance, 1e-12))[:, None] * d
    return value, (slope, -slope)


@every_loss
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_sums_over_batches_are_those_of_the_set(make, shape, targets, reduction, rng):
    """The mean of the batch means would weight a term by the size of its batch."""
    loss, x, t = make(reduction=reduction), spread(shape), targets(shape)
    weight = rng.random(shape[0])
    whole, cache = loss.forward(x, t, weight)
    wanted = loss.backward(cache)
    parts = [slice(0, 1), slice(1, len(x))]
    found = [loss.sums(x[p], t[p], weight[p]) for p in parts]
    sums, divisors = (sum(arrays) for arrays in zip(*found, strict=True))
    assert sums.shape == divisors.shape == (1,)
    assert loss.value(sums, divisors) == pytest.approx(whole)
    caches = [loss.forward(x[p], t[p], weight[p])[1] for p in parts]
    gradients = [loss.backward(c, divisors=divisors) for c in caches]
    assert_allclose(np.concatenate(gradients), wanted, atol=1e-14)
    for c, p in zip(caches, parts, strict=True):
        for a, b in zip(loss.totals(c), loss.sums(x[p], t[p], weight[p]), strict=True):
            assert_array_equal(a, b)
    assert loss.value(np.zeros(1), np.zeros(1)) == 0


def test_terms_alone_have_no_value():
    loss = MeanSquaredError(reduction="none")
    with pytest.raises(ValueError, match=r'reduction="none" is no single number'):
        loss.value(*loss.sums(np.ones((2, 1)), np.ones((2, 1))))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_function_keeps_the_contract(reduction, rng):
    y, t = rng.standard_normal((2, 5, 3))
    check_loss(FunctionLoss(per_sample, reduction), y, t)
    check_loss(FunctionLoss(per_sample, reduction), y, t, rng.random(5))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_function_of_the_batch_has_its_gradient(reduction, rng):
    y, t = rng.standard_normal((2, 5, 3))
    loss = FunctionLoss(per_batch, reduction)
    value, cache = loss.forward(y, t)
    assert value == pytest.approx(np.square(y - t).mean() * (1 if reduction == "mean" else 5))
    check_gradient(lambda y: loss(y, t), y, loss.backward(cache), "outputs")
    assert loss.forward(y[:0], t[:0])[0] == 0


@pytest.mark.parametrize("function", [per_sample, per_batch])
def test_a_function_trains_as_the_loss_that_it_computes(function, rng):
    x, t = rng.standard_normal((50, 4)), rng.standard_normal((50, 2))
    found = []
    for loss in ("mse", function):
        dfs.set_seed(0)
        model = dfs.Model(L.Dense(2), loss, dfs.optimizers.Adam(0.01))
        logs = model.fit(x, t, batch_size=16, epochs=3, verbose=0).history
        found.append([*logs["loss"], model.evaluate(x, t, 7)["loss"]])
        accumulated = model.fit(x, t, batch_size=16, gradient_accumulation_steps=3, verbose=0)
        found[-1] += accumulated.history["loss"]
    assert_allclose(found[0], found[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda y, t: 1.0, TypeError, r"must return \(value, gradient\), got float"),
        (lambda y, t: (y, y), ValueError, r"one number, or one per sample, \(3,\), got \(3, 2\)"),
        (lambda y, t: (1.0, y[:1]), ValueError, r"gradient of the outputs' shape \(3, 2\), got"),
        (lambda y, t: ("a", y), TypeError, "must return real numbers, got <U1"),
        (lambda y, t: (1.0, None), ValueError, r"shape \(3, 2\), got object of shape \(\)"),
    ],
)
def test_a_function_is_told_what_it_must_return(function, error, message):
    with pytest.raises(error, match=message):
        FunctionLoss(function)(np.zeros((3, 2)), np.zeros((3, 2)))


def test_a_function_of_the_batch_takes_no_weights():
    y = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r'reduction="none" it must return one per sample'):
        FunctionLoss(per_batch, "none")(y, y)
    with pytest.raises(ValueError, match=r"per_batch returns one number .*one per sample, \(3,\)"):
        FunctionLoss(per_batch)(y, y, np.ones(3))
    with pytest.raises(TypeError, match=r"FunctionLoss takes a function .*, got 3"):
        FunctionLoss(3)


def test_a_siamese_network_trains(rng):
    """One network on two inputs, and a loss of both outputs."""
    x = np.concatenate([rng.normal(-1, 0.3, (40, 2)), rng.normal(1, 0.3, (40, 2))])
    y, left, right = np.repeat([0, 1], 40), np.arange(80), rng.permutation(80)
    pairs, same = (x[left], x[right]), (y[left] == y[right]).astype(int)
    a, b, shared = L.Input((2,)), L.Input((2,)), L.Dense(2)
    dfs.set_seed(0)
    model = dfs.Model(L.Graph((a, b), (shared(a), shared(b))), contrastive,
                      dfs.optimizers.Adam(0.05))  # fmt: skip
    history = model.fit(pairs, same, epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.3 * history[0]
    assert model.evaluate(pairs, same, 7)["loss"] == pytest.approx(
        model.evaluate(pairs, same)["loss"], rel=1e-6
    )


def test_combined_is_the_weighted_sum(rng):
    y = {"a": rng.standard_normal((6, 3)), "b": rng.standard_normal((6, 2))}
    t = {"a": rng.integers(0, 3, 6), "b": rng.standard_normal((6, 2))}
    parts = {"a": CrossEntropy(ignore_index=0), "b": MeanSquaredError(reduction="sum")}
    loss = Combined(parts, {"a": 2.0, "b": 0.5})
    wanted = 2 * parts["a"](y["a"], t["a"]) + 0.5 * parts["b"](y["b"], t["b"])
    value, cache = loss.forward(y, t)
    assert value == pytest.approx(wanted)
    gradient = loss.backward(cache, 3.0)
    for key, weight in (("a", 2.0), ("b", 0.5)):
        own = parts[key].backward(parts[key].forward(y[key], t[key])[1], 3.0)
        assert_allclose(gradient[key], weight * own)
    tuples = Combined(tuple(parts.values()), (2, 0.5))
    assert tuples((y["a"], y["b"]), [t["a"], t["b"]]) == pytest.approx(wanted)
    assert isinstance(tuples.backward(cache), tuple)
    weight = rng.random(6)
    assert loss(y, t, weight) == pytest.approx(loss(y, t, {"a": weight, "b": weight}))
    batches = [slice(0, 2), slice(2, 6)]
    sums = [loss.sums(*({k: v[p] for k, v in tree.items()} for tree in (y, t))) for p in batches]
    assert loss.value(*(sum(s) for s in zip(*sums, strict=True))) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Combined([]), ValueError, "needs at least one loss"),
        (lambda: Combined(CrossEntropy()), TypeError, "takes a tuple or dict of losses"),
        (lambda: Combined(["mse"]), TypeError, "needs a deepfs Loss per output, got 'mse'"),
        (lambda: Combined([MeanSquaredError(reduction="none")]), ValueError, "that are one number"),
        (lambda: Combined([MeanSquaredError()], [1, 2]), ValueError, "needs 1 weights, got 2"),
        (lambda: Combined([MeanSquaredError()], {"a": 1}), TypeError, "weights like its losses"),
        (lambda: Combined({"a": MeanSquaredError()}, {"b": 1}), ValueError, "a weight of 'b'"),
        (lambda: Combined([MeanSquaredError()], [-1]), ValueError, r"weight must be in \[0, inf\)"),
        (lambda: TWO({"a": ONE}, {"a": ONE}), ValueError, r"outputs of \['a', 'b'\], got \['a'\]"),
        (lambda: TWO(ONE, ONE), TypeError, r"a dict of 2 outputs, got shape \(1, 1\)"),
        (lambda: losses.get([MeanSquaredError()])([ONE, ONE], [ONE]), ValueError, "1 outputs, got"),
        (lambda: TWO.terms(ONE, ONE), TypeError, "use sums"),
        (lambda: losses.get("mean_square"), ValueError, "did you mean 'mean_squared_error'"),
        (lambda: losses.get("xyz"), ValueError, "deepfs has no loss 'xyz': one of cross_entropy"),
        (lambda: losses.get(MeanSquaredError), TypeError, r"a class: write MeanSquaredError\(\)"),
        (lambda: losses.get(1), TypeError, "Model needs a deepfs Loss, got 1"),
    ],
)
def test_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()


ONE = np.ones((1, 1))
TWO = Combined({"a": MeanSquaredError(), "b": MeanSquaredError()})


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ("cross_entropy categorical_crossentropy sparse_categorical_crossentropy CrossEntropyLoss",
         "CrossEntropy"),
        ("binary_crossentropy binary_cross_entropy BCEWithLogitsLoss", "BinaryCrossEntropy"),
        ("mse mean_squared_error MSELoss MSE MeanSquaredError", "MeanSquaredError"),
        ("mae mean_absolute_error L1Loss", "MeanAbsoluteError"),
        ("huber HuberLoss SmoothL1Loss", "Huber"),
        ("nll NLLLoss negative_log_likelihood", "NegativeLogLikelihood"),
        ("hinge", "Hinge"),
    ],
)  # fmt: skip
def test_names_of_deepfs_keras_and_pytorch(names, kind):
    for name in names.split():
        assert type(losses.get(name)).__name__ == kind
    assert losses.get(loss := MeanSquaredError()) is loss


def test_a_file_asks_for_the_function(tmp_path, rng):
    x, t = rng.standard_normal((9, 3)), rng.standard_normal((9, 2))
    model = dfs.Model(L.Dense(2), per_sample, dfs.optimizers.Adam(0.1))
    model.fit(x, t, verbose=0)
    path = tmp_path / "m.safetensors"
    model.save(path)
    with pytest.raises(dfs.CheckpointError, match=r"function of your own, per_sample, .*load\(pat"):
        dfs.load(path)
    loaded = dfs.load(path, loss=per_sample)
    assert loaded.train_on_batch(x, t) == model.train_on_batch(x, t)
    assert_array_equal(loaded.predict(x), model.predict(x))
    assert list(dfs.load(path, loss="mse").metrics) == []
    with pytest.raises(TypeError, match="Model needs a deepfs Loss, got 3"):
        dfs.load(path, loss=3)
    pickled = pickle.loads(pickle.dumps(model))
    assert pickled.evaluate(x, t) == model.evaluate(x, t)


def two_heads():
    x = L.Input((3,))
    return L.Graph(x, {"a": L.Dense(3)(x), "b": L.Dense(1)(x)})


def test_losses_of_several_outputs_come_back(tmp_path, rng):
    x = rng.standard_normal((9, 3))
    t = {"a": np.arange(9) % 3, "b": x[:, :1]}
    loss = Combined({"a": CrossEntropy(0.1), "b": losses.Huber(2)}, {"b": 0.5})
    model = dfs.Model(two_heads(), loss, dfs.optimizers.Adam(0.1))
    model.metrics = {"a": ["accuracy", "f1_micro"], "b": [dfs.metrics.mean_squared_error]}
    model.fit(x, t, verbose=0)
    model.save(tmp_path / "m.safetensors")
    loaded = dfs.load(tmp_path / "m.safetensors")
    assert repr(loaded.loss) == repr(loss)
    assert list(loaded.metrics) == ["a_accuracy", "a_f1_micro", "b_mean_squared_error"]
    assert loaded.evaluate(x, t) == model.evaluate(x, t)
    model.loss = {"a": per_class, "b": "mse"}
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(dfs.CheckpointError, match="function of your own, per_class"):
        dfs.load(tmp_path / "m.safetensors")
    again = dfs.load(tmp_path / "m.safetensors", loss={"a": per_class, "b": "mse"})
    assert again.evaluate(x, t) == model.evaluate(x, t)


def per_class(outputs, labels):
    onehot = np.eye(outputs.shape[1])[labels]
    return per_sample(outputs, onehot)


def test_a_metric_of_ones_own_does_not_come_back_as_one_of_deepfs(tmp_path, rng):
    def accuracy(outputs, targets):
        return np.zeros(len(outputs))

    x, y = rng.standard_normal((9, 3)), np.arange(9) % 2
    model = dfs.Model(L.Dense(2), "cross_entropy", dfs.optimizers.SGD(), [accuracy])
    model.train_on_batch(x, y)
    model.save(tmp_path / "m.safetensors")
    with pytest.warns(UserWarning, match="metrics of your own are not in the file: accuracy"):
        assert not dfs.load(tmp_path / "m.safetensors").metrics


def test_the_default_metrics_of_a_loaded_model_follow_its_loss(tmp_path):
    x = np.eye(4)
    model = dfs.Model(L.Dense(4), "cross_entropy", dfs.optimizers.SGD())
    model.train_on_batch(x, np.arange(4))
    model.save(tmp_path / "m.safetensors")
    assert list(dfs.load(tmp_path / "m.safetensors").metrics) == ["accuracy"]
    assert not dfs.load(tmp_path / "m.safetensors", loss="mse").metrics
