"""Bug reports of other libraries, tried here: one test per symptom, with the right value.

The threads, and what deepfs does in each case, are listed in docs/bug_reports.md.
"""

import copy
import math
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import optimizers as O
from deepfs import schedules as S
from deepfs.callbacks import EMA, Callback
from deepfs.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
)

LOG = Path(__file__).parents[1] / "docs" / "bug_reports.md"


@pytest.fixture
def rows(rng):
    """23 samples: no batch size divides them."""
    return rng.normal(size=(23, 4)), np.arange(23) % 3


def classifier(optimizer=None, loss=None, layers=None, seed=0):
    """A built model for `rows`, whose first weights depend on the seed only."""
    dfs.set_seed(seed)
    net = L.Sequential(layers or [L.Dense(5), L.ReLU(), L.Dense(3)])
    model = dfs.Model(net, loss or CrossEntropy(), optimizer or O.SGD(0.1))
    net.prepare(np.zeros((1, 4)))
    return model


def log_softmax(x):
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def moved(optimizer, w, *gradients):
    """Return an array after steps with these gradients."""
    w = np.array(w)
    for gradient in gradients:
        optimizer.update({"w": w}, {"w": np.array(gradient, w.dtype)})
    return w


class Rates(Callback):
    """Record the rate of each step."""

    def __init__(self):
        self.seen = []

    def on_train_batch_begin(self, batch, logs):
        model = self.model
        self.seen.append(round(model.optimizer.rate(model.steps + 1, model.epochs), 9))


# Losses


def test_large_logits_give_a_finite_binary_cross_entropy():
    x = np.array([[1e4, -1e4, 88.0, -104.0, 1e30]])
    t = np.array([[0.0, 1.0, 1.0, 0.0, 0.9]])
    right = [[1e4, 1e4, math.exp(-88), math.exp(-104), 1e29]]
    assert_allclose(BinaryCrossEntropy(reduction="none")(x, t), right, rtol=1e-12)
    single = BinaryCrossEntropy(reduction="none")(x[:, :2].astype("f4"), t[:, :2])
    assert_array_equal(single, np.float32([[1e4, 1e4]]))


def test_binary_cross_entropy_has_a_gradient_at_logit_0():
    loss = BinaryCrossEntropy(reduction="sum")
    assert_array_equal(loss.backward(loss.forward(np.zeros((1, 2)), [[0, 1]])[1]), [[0.5, -0.5]])


def test_confident_and_wrong_is_a_finite_loss():
    logits = np.array([[142.0, -70.0, 0.0]])
    assert CrossEntropy()(logits, [1]) == 212
    assert CrossEntropy()(logits.astype("f4"), [1]) == 212


def test_label_smoothing_leaves_ignored_samples_out(rng):
    x, label = rng.normal(size=(6, 3)), np.array([0, -100, 2, 1, -100, 2])
    weight, keep = np.array([0.2, 0.3, 2.0]), label != -100
    target = 0.8 * np.eye(3)[label[keep]] + 0.2 / 3
    terms = -(target * weight * log_softmax(x)[keep]).sum(1)
    settings = {"label_smoothing": 0.2, "class_weight": weight, "ignore_index": -100}
    mean, total = CrossEntropy(**settings), CrossEntropy(**settings, reduction="sum")
    assert_allclose(total(x, label), terms.sum(), rtol=1e-12)
    value, cache = mean.forward(x, label)
    assert_allclose(value, terms.sum() / weight[label[keep]].sum(), rtol=1e-12)
    assert_array_equal(mean.backward(cache)[~keep], 0)


def test_a_masked_class_costs_nothing_and_has_no_gradient():
    loss, logits = CrossEntropy(), np.array([[0.0, 0.0, -np.inf]])
    value, cache = loss.forward(logits, [0])
    assert_allclose(value, math.log(2), rtol=1e-15)
    assert_array_equal(loss.backward(cache), [[-0.5, 0.5, 0.0]])
    assert_allclose(loss(logits, [[0.5, 0.5, 0.0]]), math.log(2), rtol=1e-15)


def test_nan_fills_its_row_of_a_softmax_and_no_other():
    y = L.Softmax()(np.array([[np.nan, np.inf, -np.inf], [0.0, 0.0, -np.inf], [5.0, 5.0, 5.0]]))
    assert np.isnan(y[0]).all()
    assert_allclose(y[1:], [[0.5, 0.5, 0.0], [1 / 3] * 3], rtol=1e-15)


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", ">i4"])
def test_labels_and_masks_of_any_integer_type(kind, rng):
    x, label = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])
    assert CrossEntropy()(x, label.astype(kind)) == CrossEntropy()(x, label)
    assert CrossEntropy(ignore_index=-100)(x, label.astype(kind)) == CrossEntropy()(x, label)
    mask = np.eye(3)[label]
    assert BinaryCrossEntropy()(x, mask.astype(kind)) == BinaryCrossEntropy()(x, mask)


def test_unsigned_label_255_can_be_ignored():
    label = np.array([0, 255, 1], np.uint8)
    assert_allclose(CrossEntropy(ignore_index=255)(np.zeros((3, 4)), label), math.log(4))


def test_labels_that_wrapped_around_are_named():
    with pytest.raises(ValueError, match="labels from 0 to 299, got -56 at index 0"):
        CrossEntropy()(np.zeros((1, 300)), np.array([200]).astype(np.int8))
    below = np.array([3, 0], np.uint8) - np.uint8(1)
    with pytest.raises(ValueError, match="labels from 0 to 9, got 255 at index 1"):
        CrossEntropy()(np.zeros((2, 10)), below)
    with pytest.raises(ValueError, match="got 18446744073709551615"):
        CrossEntropy()(np.zeros((1, 3)), np.array([2**64 - 1], np.uint64))


def test_differences_of_bytes_do_not_wrap_around():
    y, t = np.array([[200]], np.uint8), np.array([[250]], np.uint8)
    assert MeanSquaredError()(y, t) == 2500
    assert MeanAbsoluteError()(y, t) == 50
    assert Huber(delta=2.0)(y, t) == 2 * (50 - 1)


def test_float64_targets_of_float32_outputs():
    loss = MeanSquaredError()
    value, cache = loss.forward(np.zeros((2, 1), np.float32), np.array([[1.0], [2.0]]))
    assert value == 2.5
    assert loss.backward(cache).dtype == np.float32


def test_the_mean_of_many_float32_terms_is_exact():
    y = np.full((3_000_000, 1), 0.1, np.float32)  # a float32 sum would be off by 1e-3
    assert_allclose(MeanAbsoluteError()(y, np.zeros_like(y)), np.float64(y[0, 0]), rtol=1e-12)


def test_probabilities_below_0_are_refused():
    with pytest.raises(ValueError, match=r"-0\.5"):
        CrossEntropy()(np.zeros((1, 3)), np.array([[1.5, -0.5, 0.0]]))


def test_yes_and_no_are_taken_as_bool(rng):
    x, yes = rng.normal(size=(4, 3)), np.arange(12).reshape(4, 3) % 2 == 1
    assert BinaryCrossEntropy()(x, yes) == BinaryCrossEntropy()(x, yes.astype(int))


# Training


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_accumulation_over_uneven_batches_is_one_large_batch(reduction, rows):
    x, y = rows
    y = np.where(np.arange(23) % 7 == 0, -1, y)  # so that batches count differently, too
    loss = CrossEntropy(class_weight=[1, 5, 0.1], ignore_index=-1, reduction=reduction)
    parts, whole = classifier(O.SGD(0.01), loss), classifier(O.SGD(0.01), loss)
    parts.fit(x, y, 5, 2, shuffle=False, verbose=0, gradient_accumulation_steps=3)
    whole.fit(x, y, 15, 2, shuffle=False, verbose=0)
    assert parts.steps == whole.steps == 4
    assert_allclose(parts.arena.values, whole.arena.values, rtol=0, atol=1e-15)


def test_history_and_evaluate_agree_on_standing_weights(rows):
    x, y = rows
    model = classifier(O.SGD(1e-15))
    history = model.fit(x, y, 5, verbose=0, validation_data=(x, y))
    right = -log_softmax(model.predict(x))[np.arange(23), y].mean()
    for value in (history["loss"][0], history["val_loss"][0], model.evaluate(x, y)["loss"]):
        assert_allclose(value, right, rtol=1e-12)


def test_the_loss_does_not_contain_the_l2_penalty(rows):
    x, y = rows
    model = classifier(O.SGD(1e-15, weight_decay=10.0))
    right = -log_softmax(model.predict(x))[np.arange(23), y].mean()
    assert_allclose(model.fit(x, y, 23, verbose=0)["loss"][0], right, rtol=1e-12)
    assert_allclose(model.evaluate(x, y)["loss"], right, rtol=1e-12)


def test_class_weights_do_not_make_evaluate_depend_on_batch_size(rows):
    x, y = rows
    weight = np.array([1, 5, 0.1])
    model = classifier(loss=CrossEntropy(class_weight=weight))
    terms = -log_softmax(model.predict(x))[np.arange(23), y] * weight[y]
    for size in (1, 4, 23):
        assert_allclose(model.evaluate(x, y, size)["loss"], terms.sum() / weight[y].sum())


@pytest.mark.parametrize("clip", ["clip_norm", "clip_value"])
def test_a_nan_gradient_is_refused_before_anything_moves(clip):
    w = {"a": np.ones(3), "b": np.ones(1)}
    with pytest.raises(FloatingPointError, match="gradient of 'a'"):
        O.Adam(0.1, **{clip: 1.0}).update(w, {"a": np.array([0, np.nan, 1]), "b": np.ones(1)})
    assert_array_equal(np.concatenate([*w.values()]), 1)


def test_clipping_by_norm_at_its_edges():
    assert_array_equal(moved(O.SGD(1.0, clip_norm=1.0), [1.0, 1.0], [0.0, 0.0]), 1)
    assert_array_equal(moved(O.SGD(1.0, clip_norm=1.0), [0.0, 0.0], [0.3, -0.4]), [-0.3, 0.4])
    huge = moved(O.SGD(1.0, clip_norm=1.0), np.float32([0, 0]), [3e30, -4e30])
    assert_allclose(huge, [-0.6, 0.8], rtol=2e-6)
    for bound in (-1.0, 0.0, np.nan):
        with pytest.raises(ValueError, match=r"clip_norm must be in \(0, inf\)"):
            O.SGD(1.0, clip_norm=bound)


def test_weight_decay_spares_biases_and_norms(rng):
    net = L.Sequential([L.Dense(3), L.BatchNorm(), L.Dense(2)])
    net(rng.normal(size=(2, 4)))
    for optimizer in (O.SGD(0.1, weight_decay=0.5), O.AdamW(0.1, weight_decay=0.5)):
        w = {name: np.ones(p.value.shape) for name, p in net.parameters().items()}
        optimizer.update(w, {name: np.zeros(v.shape) for name, v in w.items()})
        for name, value in w.items():
            assert_allclose(value, 0.95 if name.endswith("weight") else 1.0, rtol=1e-15)


def test_adamw_decays_the_weights_of_the_step_before():
    adamw = moved(O.AdamW(0.1, weight_decay=0.5), [[2.0]], [[1.0]])
    assert_allclose(adamw, 2.0 - 0.1 * (1 / (1 + 1e-8) + 0.5 * 2.0), rtol=1e-14)
    # eps stands beside the corrected root: 1e-12 / (1e-12 + 1e-8)
    assert_allclose(moved(O.Adam(1.0), [0.0], [1e-12]), -1e-12 / (1e-12 + 1e-8), rtol=1e-9)


@pytest.mark.parametrize("kind", [O.Adam, O.AdamW, O.LAMB, O.NAdam, O.RAdam, O.Adamax])
def test_settings_that_divide_by_0_are_refused(kind):
    for name, value in (("beta1", 1.0), ("beta2", 1.0), ("beta2", -0.1), ("eps", 0.0)):
        with pytest.raises(ValueError, match=rf"{name} must be in"):
            kind(**{name: value})


def test_lamb_moves_weights_of_0():
    w = moved(O.LAMB(0.1), [0.0, 0.0, 0.0], [1.0, -1.0, 0.0])
    assert_allclose(w, [-0.1 / (1 + 1e-6), 0.1 / (1 + 1e-6), 0.0], rtol=1e-9)


def test_two_fits_go_on_where_one_would(rows):
    twice, once = classifier(O.Adam(0.01)), classifier(O.Adam(0.01))
    for _ in range(2):
        twice.fit(*rows, 7, shuffle=False, verbose=0)
    once.fit(*rows, 7, 2, shuffle=False, verbose=0)
    assert_array_equal(twice.arena.values, once.arena.values)


def test_one_optimizer_for_two_models_leaks_nothing(rows):
    shared = O.Adam(0.01)
    first, second, alone = classifier(shared), classifier(shared, seed=1), classifier(O.Adam(0.01))
    for _ in range(3):
        first.train_on_batch(*rows)
        second.train_on_batch(*rows)
        alone.train_on_batch(*rows)
    assert_array_equal(first.arena.values, alone.arena.values)


def test_an_average_used_for_a_second_model_starts_anew(rows):
    used, new = EMA(0.9), EMA(0.9)
    classifier().fit(*rows, verbose=0, callbacks=[used])
    averages = []
    for average in (used, new):  # as in cross-validation: one list of callbacks, several models
        model = classifier(seed=1)
        dfs.set_seed(2)
        model.fit(*rows, 5, 2, verbose=0, callbacks=[average])
        with average.swapped():
            averages.append(model.arena.values.copy())
    assert used.updates == new.updates == 10
    assert_array_equal(*averages)


def test_a_plateau_used_for_a_second_model_starts_anew(rows):
    optimizer = O.SGD(S.Plateau(0.1, factor=0.5, patience=0, threshold=0.9))
    classifier(optimizer).fit(*rows, epochs=3, verbose=0)
    assert optimizer.rate(1) == 0.025
    rates = Rates()
    classifier(optimizer, seed=1).fit(*rows, 23, 1, verbose=0, callbacks=[rates])
    assert rates.seen == [0.1]


def test_an_average_has_the_batch_statistics_of_its_model(rows):
    x, y = rows
    model, average = classifier(layers=[L.Dense(3), L.BatchNorm()]), EMA(0.9)
    model.fit(x + 5, y, 8, 3, verbose=0, callbacks=[average])
    buffers = {name: buffer.copy() for name, buffer in model.network.buffers().items()}
    assert abs(buffers["batchnorm_1.running_mean"]).max() > 0.1
    with average.swapped():
        for name, buffer in model.network.buffers().items():
            assert_array_equal(buffer, buffers[name])


def test_a_shared_layer_takes_one_step_and_stays_shared(rng, tmp_path):
    x, t = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    layer = L.Dense(4, bias=False)
    model = dfs.Model(L.Sequential([layer, layer]), MeanSquaredError(), O.AdamW(0.1), ())
    model.network.prepare(x)
    w = layer.parameters()["weight"].value.copy()
    dy = 2 * (x @ w @ w - t) / t.size
    right = moved(O.AdamW(0.1), w, x.T @ (dy @ w.T) + (x @ w).T @ dy)
    model.train_on_batch(x, t)
    assert_allclose(layer.parameters()["weight"].value, right, rtol=1e-12)
    model.save(tmp_path / "m")
    copies = copy.deepcopy(model), pickle.loads(pickle.dumps(model)), dfs.load(tmp_path / "m")
    model.train_on_batch(x, t)
    for other in copies:
        first, second = other.network.layers
        assert first is second
        other.train_on_batch(x, t)
        assert_array_equal(other.predict(x), model.predict(x))


def test_evaluate_inside_a_callback_changes_nothing(rows):
    class Evaluate(Callback):
        def on_train_batch_end(self, batch, logs):
            self.model.evaluate(*rows)

    layers = [L.Dense(5), L.BatchNorm(), L.Dropout(0.5), L.Dense(3)]
    weights = []
    for callbacks in ([Evaluate()], []):
        model = classifier(layers=copy.deepcopy(layers))
        model.fit(*rows, 6, 3, verbose=0, callbacks=callbacks)
        weights.append(model.arena.values.copy())
    assert_array_equal(*weights)


# Schedules


def test_a_schedule_by_epoch_changes_with_the_epoch(rows):
    model, rates = classifier(O.SGD(S.Step(0.1, every=2, by="epoch"))), Rates()
    model.fit(*rows, 12, 5, verbose=0, callbacks=[rates])
    assert rates.seen == [0.1] * 4 + [0.01] * 4 + [0.001] * 2


def test_no_rate_is_lost_between_warm_up_and_what_follows():
    schedule = S.Warmup(5, then=S.Step(1.0, every=1), start=0.0)
    assert [round(schedule(n), 9) for n in range(8)] == [0, 0.2, 0.4, 0.6, 0.8, 1, 0.1, 0.01]


def test_a_warm_up_longer_than_an_epoch_goes_on_rising(rows):
    model, rates = classifier(O.SGD(S.Warmup(10, then=1.0, start=0.0))), Rates()
    model.fit(*rows, 5, 3, verbose=0, callbacks=[rates])  # 5 steps an epoch
    assert rates.seen == [*(n / 10 for n in range(10)), *[1.0] * 5]


def test_a_resumed_run_has_the_rates_of_an_uninterrupted_one(rows, tmp_path):
    def model():
        return classifier(O.Momentum(S.Warmup(5, then=S.Cosine(0.1, 30))))

    whole, first, second = Rates(), Rates(), Rates()
    straight = model()
    straight.fit(*rows, 8, 4, verbose=0, callbacks=[whole])
    model().fit(*rows, 8, 2, verbose=0, callbacks=[first], checkpoint=tmp_path)
    resumed = model()
    resumed.fit(*rows, 8, 4, verbose=0, callbacks=[second], checkpoint=tmp_path, resume=True)
    assert first.seen + second.seen == whole.seen
    assert_array_equal(resumed.arena.values, straight.arena.values)


@pytest.mark.parametrize(
    ("patience", "cooldown", "cut_after"),
    [(0, 0, [*range(1, 10)]), (2, 0, [3, 6, 9]), (2, 1, [3, 7]), (4, 0, [5])],
)
def test_a_plateau_cuts_after_one_epoch_more_than_its_patience(patience, cooldown, cut_after):
    schedule, cuts = S.Plateau(1.0, factor=0.5, patience=patience, cooldown=cooldown), []
    for epoch in range(10):  # the first one is the best
        before = schedule(0)
        schedule.observe({"loss": 1.0})
        cuts += [epoch] if schedule(0) < before else []
    assert cuts == cut_after


def test_nan_is_no_improvement():
    schedule = S.Plateau(1.0, factor=0.5, patience=1)
    for loss, rate in ((3.0, 1.0), (np.nan, 1.0), (np.nan, 0.5), (2.0, 0.5)):
        schedule.observe({"loss": loss})
        assert schedule(0) == rate
    assert schedule.best == 2


def test_a_cosine_keeps_above_its_end_and_counts_far():
    single = [S.Cosine(5e-4, 3000, end=5e-6)(n) for n in range(3100)]
    cycles = [S.CosineRestarts(5e-4, 300, end=5e-6)(n) for n in range(3000)]
    assert min(single) == single[-1] == 5e-6
    assert 5e-6 <= min(cycles) < 5.1e-6
    assert max(cycles) == 5e-4
    assert_allclose(S.Cosine(0.1, 10**9)(5 * 10**8), 0.05, rtol=1e-12)
    assert S.Cosine(0.1, 10**9)(10**9) == 0


# Layers


def test_batch_norm_divides_by_n_and_keeps_the_unbiased_variance(rng):
    x = rng.normal(size=(4, 2, 3, 3))
    for kind, ddof in (("unbiased", 1), ("biased", 0)):
        norm = L.BatchNorm(momentum=0.9, running_variance=kind)
        y, _ = norm.forward(x, training=True)
        var = x.var((0, 2, 3), keepdims=True)
        assert_allclose(y, (x - x.mean((0, 2, 3), keepdims=True)) / np.sqrt(var + 1e-5), atol=1e-12)
        right = 0.9 + 0.1 * x.var((0, 2, 3), ddof=ddof)
        assert_allclose(norm.buffers()["running_var"], right, rtol=1e-14)


def test_batch_norm_of_one_batch_is_the_same_in_inference(rng):
    norm, x = L.BatchNorm(momentum=0.0, running_variance="biased"), rng.normal(size=(2, 3, 4, 4))
    assert_allclose(norm.forward(x, training=True)[0], norm(x), rtol=0, atol=1e-14)


def test_batch_norm_refuses_one_value_and_stays_finite(rng):
    norm = L.BatchNorm()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        norm.forward(np.ones((1, 4)), training=True)
    assert_array_equal(norm.buffers()["running_var"], 1)
    image = L.BatchNorm()
    y, _ = image.forward(rng.normal(size=(1, 2, 5, 5)), training=True)  # 25 values per channel
    assert_allclose(y.std((0, 2, 3)), 1, atol=1e-4)


@pytest.mark.parametrize("kind", [L.LayerNorm, L.BatchNorm, L.InstanceNorm])
def test_norms_of_constant_inputs_have_finite_gradients(kind, rng):
    x, norm = np.full((3, 4, 2, 2), 7.0), kind()
    y, cache = norm.forward(x, training=True)
    assert_array_equal(y, 0)
    assert np.isfinite(norm.backward(rng.normal(size=x.shape), cache)).all()
    with pytest.raises(ValueError, match=r"eps must be in \(0, inf\), got 0"):
        kind(eps=0)


LIMITS = {  # value and slope far on the left and far on the right
    L.Sigmoid: ((0, 0), (1, 0)),
    L.Tanh: ((-1, 0), (1, 0)),
    L.Softplus: ((0, 0), (1e4, 1)),
    L.SiLU: ((0, 0), (1e4, 1)),
    L.GELU: ((0, 0), (1e4, 1)),
    L.ELU: ((-1, 0), (1e4, 1)),
    L.HardSwish: ((0, 0), (1e4, 1)),
}


@pytest.mark.parametrize("kind", LIMITS)
def test_activations_have_their_limits_at_large_inputs(kind, dtype):
    (left, left_slope), (right, right_slope) = LIMITS[kind]
    for far in (105.0, 800.0, 1e4, 1e30):
        layer = kind()
        y, cache = layer.forward(np.array([[-far, far]], dtype), training=True)
        grows = right > 1
        assert_allclose(y, [[left, dtype(far) if grows else right]], rtol=0, atol=1e-30)
        slope = layer.backward(np.ones((1, 2), dtype), cache)
        assert_allclose(slope, [[left_slope, right_slope]], rtol=0, atol=1e-30)


@pytest.mark.parametrize(
    ("settings", "size", "out"),
    [
        ({"kernel_size": 1, "stride": 2}, (6, 7), (3, 4)),
        ({"kernel_size": 3, "stride": 4}, (8, 10), (2, 3)),
        ({"kernel_size": 2, "stride": 2, "padding": 1}, (5, 5), (3, 3)),
        ({"kernel_size": 3, "stride": 3, "padding": 1}, (5, 5), (2, 2)),
    ],
)
def test_no_window_of_max_pooling_lies_in_the_padding(settings, size, out):
    y = L.MaxPool2D(**settings, ceil_mode=True)(np.full((1, 1, *size), -1.0))
    assert y.shape == (1, 1, *out)
    assert_array_equal(y, -1)


def test_padding_never_wins_a_maximum():
    with pytest.raises(ValueError, match="padding must be less than the window 2x2"):
        L.MaxPool2D(2, padding=2)(np.ones((1, 1, 2, 2)))
    with pytest.raises(ValueError, match="must contain a pixel everywhere"):
        L.MaxPool2D(2, 1, "same", dilation=4)(np.ones((1, 1, 2, 2)))
    lowest = np.full((1, 1, 2, 2), -3e38, np.float32)
    assert (L.MaxPool2D(3, 1, padding=2)(lowest) == lowest[0, 0, 0, 0]).all()
    assert L.MaxPool2D(3, padding=1)(lowest).item() == lowest[0, 0, 0, 0]


def test_an_average_counts_no_pixel_beyond_the_padding():
    x = np.arange(49.0).reshape(1, 1, 7, 7)
    y = L.AvgPool2D(2, stride=3, ceil_mode=True, count_include_pad=True)(x)
    assert_array_equal(y[0, 0], [[4, 7, 9.5], [25, 28, 30.5], [42.5, 45.5, 48]])
    row = np.arange(1.0, 6).reshape(1, 1, 1, 5)
    y = L.AvgPool2D((1, 2), ceil_mode=True, count_include_pad=True)(row)
    assert_array_equal(y[0, 0], [[1.5, 3.5, 5.0]])
    padded = L.AvgPool2D(3, stride=2, padding=1, ceil_mode=True, count_include_pad=True)
    corner = padded(np.ones((1, 1, 6, 6)))[0, 0]  # the last row: 1 of 2 rows, 3 of 3 columns
    assert_allclose(corner[3], [2 / 6, 3 / 6, 3 / 6, 1 / 4], rtol=1e-15)


def ones(kind, *args, **settings):
    """A layer of windows full of ones: its outputs are sums."""
    return kind(1, *args, bias=False, initializer="ones", **settings)


def test_same_padding_lies_on_the_right_and_below_if_it_is_odd():
    y = ones(L.Conv2D, 3, stride=2, padding="same")(np.ones((1, 1, 6, 6)))
    assert_array_equal(y[0, 0], [[9, 9, 6], [9, 9, 6], [6, 6, 4]])
    y = ones(L.Conv2D, 3, stride=(3, 4), padding="same")(np.ones((1, 1, 12, 12)))
    assert_array_equal(y[0, 0], np.full((4, 3), 9))
    y = ones(L.Conv2D, 4, padding="same")(np.ones((1, 1, 5, 5)))
    assert_array_equal(y[0, 0], np.outer([3, 4, 4, 3, 2], [3, 4, 4, 3, 2]))


def test_height_and_width_are_not_mixed_up():
    for settings, size, out in (
        ({"kernel_size": 3, "stride": 2, "padding": (1, 1, 0, 0)}, (7, 5), (4, 2)),
        ({"kernel_size": (1, 7), "padding": (0, 3)}, (8, 8), (8, 8)),
        ({"kernel_size": 3, "stride": (2, 3)}, (32, 32), (15, 10)),
    ):
        assert L.Conv2D(1, **settings)(np.ones((1, 1, *size))).shape[2:] == out


def test_a_dilated_transposed_convolution_has_the_right_size_and_place():
    assert ones(L.ConvTranspose2D, 3, dilation=2)(np.ones((1, 1, 10, 10))).shape == (1, 1, 14, 14)
    x = np.arange(1.0, 10).reshape(3, 3)
    spread = np.zeros((9, 9))
    for i, j in np.ndindex(3, 3):
        spread[2 * i : 2 * i + 5 : 2, 2 * j : 2 * j + 5 : 2] += x[i, j]
    y = ones(L.ConvTranspose2D, 3, stride=2, padding=2, dilation=2)(x[None, None])
    assert_array_equal(y[0, 0], spread[2:-2, 2:-2])


def test_output_padding_shows_more_of_the_result_not_zeros():
    layer = ones(L.ConvTranspose2D, 3, stride=2, padding=1, output_padding=1)
    assert_array_equal(layer(np.ones((1, 1, 1, 1)))[0, 0], np.ones((2, 2)))


def test_dropout_scales_in_training_and_is_the_identity_in_inference():
    x = np.arange(1.0, 1001)[None]
    y, _ = L.Dropout(0.3).forward(x, training=True)
    kept = y != 0
    assert 0.6 < kept.mean() < 0.8
    assert_allclose(y[kept], x[kept] / 0.7, rtol=1e-14)
    assert_array_equal(L.Dropout(0.3)(x), x)
    assert_array_equal(L.Dropout(0.0).forward(x, training=True)[0], x)
    assert_array_equal(L.Dropout(1.0).forward(x, training=True)[0], 0)


def test_the_fan_in_of_a_group_is_that_of_its_channels():
    conv = L.Conv2D(128, 3, groups=8, initializer="he_normal")
    conv(np.zeros((1, 64, 4, 4)))
    weight = conv.parameters()["weight"].value
    assert weight.shape == (128, 8, 3, 3)
    assert_allclose(weight.std(), math.sqrt(2 / (8 * 9)), rtol=0.03)


def test_filters_of_an_orthogonal_convolution_are_orthonormal():
    conv = L.Conv2D(8, 3, initializer="orthogonal")
    conv(np.zeros((1, 4, 5, 5)))
    w = conv.parameters()["weight"].value.reshape(8, 36)
    assert_allclose(w @ w.T, np.eye(8), atol=1e-12)


# Data


def test_bytes_are_summed_and_averaged_as_numbers():
    x = np.full((1, 1, 20, 20), 250, np.uint8)
    assert ones(L.Conv2D, 20)(x).item() == 250 * 400
    assert L.GlobalAvgPool2D()(x).item() == 250
    assert_array_equal(L.AvgPool2D(2)(x), 250)
    assert_array_equal(L.Residual(L.Identity())(x[:, 0, 0]), 500)
    assert_array_equal(L.MaxPool2D(2)(np.full((1, 1, 2, 2), -5, np.int8)), -5)


def test_half_and_extended_precision_are_taken_without_loss():
    half = np.array([[1.5, -2.25]], np.float16)
    assert_array_equal(ones(L.Dense)(half), np.float32([[-0.75]]))
    y = ones(L.Dense)(np.array([[1 + 1e-12]], np.longdouble))
    assert y.dtype == np.float64
    assert_allclose(y, 1 + 1e-12, rtol=1e-15)


def test_a_masked_array_is_refused(rows):
    x = np.ma.masked_array(rows[0], mask=rows[0] > 2)
    with pytest.raises((TypeError, ValueError), match="mask"):
        classifier().fit(x, rows[1], verbose=0)


def test_predictions_keep_the_order_of_the_inputs(rows, rng):
    x, y = rows
    model, before = classifier(), (x.copy(), y.copy())
    history = model.fit(x, y, 5, verbose=0, validation_data=(x, y))
    order = rng.permutation(23)
    assert_array_equal(model.predict(x[order], 7), model.predict(x, 4)[order])
    assert_allclose(model.evaluate(x[order], y[order])["loss"], history["val_loss"][0], rtol=1e-12)
    assert_array_equal(x, before[0])
    assert_array_equal(y, before[1])


def test_each_epoch_has_all_samples_in_another_order():
    seen = []

    class Spy(L.Identity):
        def _forward(self, x, training):
            seen.append(x[:, 0].tolist())
            return super()._forward(x, training)

    model = dfs.Model(L.Sequential([Spy(), L.Dense(2)]), CrossEntropy(), O.SGD(0.1))
    x = np.arange(24.0)[:, None]
    for _ in range(2):  # also those of another fit
        model.fit(x, np.arange(24) % 2, 24, 2, verbose=0)
    orders = [order for order in seen if len(order) == 24]
    assert len(orders) == len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == x[:, 0].tolist() for order in orders)


def test_the_random_numbers_of_numpy_are_left_alone(rows):
    weights = []
    for seed in (3, 99):
        np.random.seed(seed)
        before = np.random.get_state()[1].copy()
        model = classifier(layers=[L.Dense(4), L.Dropout(0.5), L.Dense(3)])
        model.fit(*rows, 5, 2, verbose=0)
        assert_array_equal(np.random.get_state()[1], before)
        weights.append(model.arena.values.copy())
    assert_array_equal(*weights)


def test_constant_outputs_are_not_right_everywhere():
    outputs, label = np.ones((20, 10)), np.arange(20) % 10
    assert dfs.metrics.top_k_accuracy(outputs, label, k=5).mean() == 0.5
    assert dfs.metrics.accuracy(outputs, label).mean() == 0.1
    assert dfs.metrics.top_k_accuracy(outputs, label, k=10).mean() == 1


def test_f1_of_classes_that_do_not_occur():
    labels = np.array([1, 6, 6, 3])  # of two label arrays, the order does not matter
    assert dfs.metrics.f1_score(labels, labels) == 1
    assert dfs.metrics.f1_score(np.array([0, 0]), np.array([1, 1])) == 0
    assert_allclose(dfs.metrics.f1_score(np.array([1, 1]), np.array([0, 1])), (0 + 2 / 3) / 2)


# Files and processes


def test_paths_with_spaces_and_letters_of_any_script(rows, tmp_path):
    model = classifier(O.Adam(0.01))
    model.train_on_batch(*rows)
    folder = tmp_path / "mon été 模型 #1 100%"
    folder.mkdir()
    for path in (folder / "größe ü.safetensors", str(folder / "'двa' \"b\"")):
        model.save(path)
        assert_array_equal(dfs.load(path).predict(rows[0]), model.predict(rows[0]))
    model.fit(*rows, verbose=0, checkpoint=folder / "läufe")
    assert len([*(folder / "läufe").iterdir()]) == 1


def test_loading_neither_writes_nor_needs_to(rows, tmp_path):
    model, path = classifier(), tmp_path / "model"
    model.train_on_batch(*rows)
    model.save(path)
    path.chmod(0o400)
    tmp_path.chmod(0o500)
    before = path.stat().st_mtime_ns, tmp_path.stat().st_mtime_ns
    try:
        assert_array_equal(dfs.load(path).predict(rows[0]), model.predict(rows[0]))
        assert (path.stat().st_mtime_ns, tmp_path.stat().st_mtime_ns) == before
        assert [*tmp_path.iterdir()] == [path]
    finally:
        tmp_path.chmod(0o700)


def test_a_loaded_model_takes_what_the_saved_one_took(rows, tmp_path):
    x = rows[0].astype(np.float32)
    model = dfs.Model(L.Sequential([L.Dense(4), L.ReLU(), L.Dense(3)]), CrossEntropy(), O.Adam())
    model.train_on_batch(x, rows[1])
    model.save(tmp_path / "model")
    loaded = dfs.load(tmp_path / "model")
    for given in (x, x.astype(np.float64), x.astype(">f4"), x[:, ::-1][:, ::-1]):
        assert_array_equal(loaded.predict(given), model.predict(x))


def test_a_relative_folder_is_that_of_the_start(rows, tmp_path, monkeypatch):
    class Move(Callback):
        def on_epoch_begin(self, epoch, logs):
            os.chdir(tmp_path)

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    classifier().fit(*rows, verbose=0, checkpoint="run", callbacks=[Move()])
    assert len([*(tmp_path / "here" / "run").iterdir()]) == 1


def test_a_tilde_is_the_home_folder(rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    classifier().fit(*rows, verbose=0, checkpoint="~/run")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize("streams", ["sys.stdout = sys.stderr = None", "sys.stdout.close()"])
def test_fit_does_not_need_streams(streams, tmp_path):
    code = f"""
import sys, numpy as np, deepfs as dfs
model = dfs.Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
{streams}
model.fit(np.eye(4), np.arange(4) % 2, epochs=2)
model.save("trained")
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)
    assert dfs.load(tmp_path / "trained").epochs == 2


@pytest.mark.parametrize("home", [None, "/proc/no/home"])
def test_neither_a_home_nor_a_writable_folder_is_needed(home):
    env = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME")}
    if home:
        env |= {"HOME": home, "XDG_CACHE_HOME": home}
    code = "import deepfs as dfs; dfs.show_config(); print(len(dfs.datasets.mnist_mini()[0][0]))"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("5000\n")


@pytest.mark.skipif(not LOG.exists(), reason="the tests stand alone")
def test_the_log_names_these_tests():
    named = set(re.findall(r"`(test_\w+)`", LOG.read_text()))
    own = {n for n in globals() if n.startswith("test_") and "log_names" not in n}
    sources = (path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert (
        own <= named <= {n for text in sources for n in re.findall(r"^def (test_\w+)", text, re.M)}
    )
