"""What every loss must do, over the table of `every_loss`; and the losses beside cross-entropy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import losses, reference
from deepfs.losses import (
    BinaryCrossEntropy,
    Hinge,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    NegativeLogLikelihood,
)
from deepfs.testing import check_loss
from every_layer import spread
from every_loss import CASES, every_loss

# those of a formula; of the others see test_own_losses.py
PUBLIC = sorted(set(losses.__all__) - {"Loss", "Combined", "FunctionLoss", "get"})


@every_loss
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "sample weights"])
def test_keeps_the_contract(make, shape, targets, reduction, weighted, rng):
    weight = rng.random(shape[0]) if weighted else None
    check_loss(make(reduction=reduction), spread(shape), targets(shape), weight)


@every_loss
def test_reductions_are_of_the_same_terms(make, shape, targets, rng):
    x, t, weight = spread(shape), targets(shape), rng.random(shape[0])
    terms = make(reduction="none")(x, t, weight)
    assert make(reduction="sum")(x, t, weight) == pytest.approx(terms.sum())
    of_one = make(reduction="mean")(x, t, np.full(shape[0], 7.0))  # a common factor cancels
    assert of_one == pytest.approx(make()(x, t))
    plain, counted, _ = make().terms(x, t)
    assert make()(x, t) == pytest.approx(plain.sum() / counted)


@every_loss
def test_a_sample_of_weight_2_counts_twice(make, shape, targets):
    x, t = spread(shape), targets(shape)
    weight = np.array([2, *[1] * (len(x) - 1)])
    twice = [np.concatenate([a[:1], a]) for a in (x, t)]
    assert make()(x, t, weight) == pytest.approx(make()(*twice))


@every_loss
def test_a_sample_of_weight_0_is_not_seen(make, shape, targets):
    x, t = spread(shape), targets(shape)
    weight = np.array([0, *[1] * (len(x) - 1)])
    wanted, cache = make().forward(x[1:], t[1:])
    x[0] = np.nan
    value, whole = make().forward(x, t, weight)
    assert value == pytest.approx(wanted)
    gradient = make().backward(whole)
    assert not gradient[0].any()
    assert_allclose(gradient[1:], make().backward(cache), atol=1e-15)


@every_loss
def test_all_weights_0_give_0(make, shape, targets):
    value, cache = make().forward(spread(shape), targets(shape), np.zeros(shape[0]))
    assert value == 0
    assert not make().backward(cache).any()


@every_loss
def test_repr_rebuilds_it(make, shape, targets):
    loss = make(reduction="sum")
    assert repr(eval(repr(loss), vars(losses))) == repr(loss)


@every_loss
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_does_not_vanish(make, shape, targets, dtype):
    x = np.full(shape, np.nan, dtype)
    assert np.isnan(make()(x, targets(shape)))


@every_loss
def test_the_largest_numbers_raise_no_warning(make, shape, targets):
    with np.errstate(all="raise", under="ignore"):
        for size in (1e30, 3e38, np.inf):
            value, cache = make().forward(np.full(shape, size, np.float32), targets(shape))
            assert make().backward(cache).shape == shape
            assert isinstance(value, float)


@every_loss
def test_refuses_outputs_that_are_not_numbers(make, shape, targets):
    for kind in (complex, bool, object, "U3"):
        with pytest.raises(TypeError, match="takes real numbers, got an array of"):
            make()(np.zeros(shape, kind), targets(shape))
    with pytest.raises(ValueError, match=r"takes a batch of outputs, got a single number"):
        make()(1.0, 1)


@every_loss
def test_refuses_targets_of_other_kinds_and_shapes(make, shape, targets):
    who, t = type(make()).__name__, targets(shape)
    for kind in (complex, bool, object, "U3"):
        if kind is bool and who == "BinaryCrossEntropy":
            continue
        with pytest.raises(TypeError, match=f"{who} takes .*targets|integer labels"):
            make()(spread(shape), np.zeros(t.shape, kind))
    for bad in (t[:-1], t[None], t[..., None], np.zeros((7, 9), t.dtype), t.dtype.type(0)):
        with pytest.raises(ValueError, match=f"{who} takes .* of shape"):
            make()(spread(shape), bad)


@every_loss
def test_refuses_wrong_sample_weights(make, shape, targets):
    x, t = spread(shape), targets(shape)
    for bad, error, message in (
        (np.ones(shape[0] + 1), ValueError, r"sample weights of shape \(.*got \(\d,\)"),
        (1.0, ValueError, r"sample weights of shape \(.*got \(\)"),
        (np.full(shape[0], -1), ValueError, r"sample weights in \[0, inf\), got -1"),
        (np.full(shape[0], np.nan), ValueError, r"sample weights in \[0, inf\), got nan"),
        (["a"] * shape[0], TypeError, "sample weights that are numbers, got <U1"),
    ):
        with pytest.raises(error, match=message):
            make()(x, t, bad)


@every_loss
def test_refuses_a_wrong_upstream_gradient(make, shape, targets):
    x, t = spread(shape), targets(shape)
    loss = make()
    _, cache = loss.forward(x, t)
    with pytest.raises(ValueError, match=r"takes as upstream gradient a number, got \(2, 2\)"):
        loss.backward(cache, np.ones((2, 2)))
    with pytest.raises(TypeError, match="takes a real upstream gradient, got"):
        loss.backward(cache, "1")
    loss = make(reduction="none")
    _, cache = loss.forward(x, t)
    with pytest.raises(ValueError, match=r"a number or an array of shape \(.*got \(77,\)"):
        loss.backward(cache, np.ones(77))
    assert_array_equal(loss.backward(cache, 2), 2 * loss.backward(cache))


@pytest.mark.parametrize("name", PUBLIC)
def test_refuses_other_reductions(name):
    with pytest.raises(ValueError, match="reduction must be one of 'mean', 'sum', 'none', got 'm'"):
        getattr(losses, name)(reduction="m")


def test_every_public_loss_has_a_row():
    assert {type(make()).__name__ for _, make, _, _ in CASES} == set(PUBLIC)


REFERENCES = [
    (BinaryCrossEntropy(), "binary_cross_entropy", (), "parts"),
    (BinaryCrossEntropy(2.5), "binary_cross_entropy", (2.5,), "parts"),
    (MeanSquaredError(), "mean_squared_error", (), "numbers"),
    (MeanAbsoluteError(), "mean_absolute_error", (), "numbers"),
    (Huber(0.7), "huber", (0.7,), "numbers"),
    (NegativeLogLikelihood(), "negative_log_likelihood", (), "labels"),
    (Hinge(0.8), "hinge", (0.8,), "labels"),
]


@pytest.mark.parametrize(
    ("loss", "function", "settings", "kind"), REFERENCES, ids=lambda a: str(a)[:24]
)
def test_matches_the_reference(loss, function, settings, kind, rng):
    x = 2 * rng.standard_normal((7, 5))
    t = {"labels": rng.integers(0, 5, 7), "parts": rng.random((7, 5))}.get(kind, x[::-1] / 2)
    value, cache = loss.forward(x, t)
    assert value == pytest.approx(getattr(reference, function)(x, t, *settings), rel=1e-13)
    wanted = getattr(reference, f"{function}_backward")(x, t, *settings)
    assert_allclose(loss.backward(cache), wanted, rtol=1e-12, atol=1e-16)


def test_textbook_squares():
    y, t = np.array([[1.0, 3.0], [0.0, 2.0]]), np.zeros((2, 2))
    assert MeanSquaredError(textbook=True)(y, t) == (5 + 2) / 2
    assert_array_equal(MeanSquaredError(True, "none")(y, t), [5, 2])
    loss = MeanSquaredError(textbook=True)
    assert_array_equal(loss.backward(loss.forward(y, t)[1]), y / 2)
    with pytest.raises(ValueError, match=r"sample weights of shape \(2,\), got \(2, 2\)"):
        loss(y, t, np.ones((2, 2)))


def test_kinks_have_the_documented_slope():
    def slope(loss, y, t):
        return loss.backward(loss.forward(np.array(y), np.array(t))[1])

    assert_array_equal(
        slope(MeanAbsoluteError("sum"), [1.0, 2.0, 0.0], [1.0, 0.0, 3.0]), [0, 1, -1]
    )
    assert_array_equal(slope(Huber(2, "sum"), [2.0, -9.0, 0.5], [0.0, 0.0, 0.0]), [2, -2, 0.5])
    assert_array_equal(slope(Hinge(), [[1.0, 0.0, 0.5]], [0]), [[-1, 0, 1]])  # 1 + 0 - 1 = 0


def test_huber_by_hand():
    y = np.array([0.5, -1.0, 3.0, -3.0])
    assert_array_equal(Huber(1, "none")(y, np.zeros(4)), [0.125, 0.5, 2.5, 2.5])
    assert_array_equal(Huber(2, "none")(y, np.zeros(4)), [0.125, 0.5, 4, 4])


def test_hinge_of_the_course_notes():
    """The three images of the notes of CS231n: cat 2.9, car 0, frog 12.9."""
    scores = np.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    assert_allclose(Hinge(reduction="none")(scores, np.arange(3)), [2.9, 0, 12.9])
    assert Hinge()(scores, np.arange(3)) == pytest.approx(15.8 / 3)


def test_binary_cross_entropy_by_hand():
    x = np.log([[3.0, 1 / 3]])  # sigmoids 0.75 and 0.25
    terms = BinaryCrossEntropy(reduction="none")(x, np.array([[1, 1]]))
    assert_allclose(terms, -np.log([[0.75, 0.25]]))
    terms = BinaryCrossEntropy([2, 3], "none")(x, np.array([[1.0, 0.5]]))
    assert_allclose(terms, [[-2 * np.log(0.75), -1.5 * np.log(0.25) - 0.5 * np.log(0.75)]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_is_stable(dtype):
    loss = BinaryCrossEntropy(reduction="none")
    x = np.array([800, -800, 800, -800, 0, -30], dtype)
    value, cache = loss.forward(x, np.array([1, 0, 0, 1, 0.5, 0]))
    assert_allclose(value, [0, 0, 800, 800, np.log(2), np.exp(-30)], rtol=1e-6)
    assert_allclose(loss.backward(cache), [0, 0, 1, -1, 0, np.exp(-30)], rtol=1e-6)


def test_binary_cross_entropy_refuses():
    x = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"targets from 0 to 1, got -1.0 at index \(0, 1\)"):
        BinaryCrossEntropy()(x, np.array([[0, -1, 0], [1, 1, 1]]))
    with pytest.raises(ValueError, match=r"weights of 2 outputs, got logits \(2, 3\)"):
        BinaryCrossEntropy([1, 2])(x, x)
    with pytest.raises(ValueError, match=r"pos_weight must be in \[0, inf\), got -1"):
        BinaryCrossEntropy(-1)
    with pytest.raises(TypeError, match=r"pos_weight must be a number in .*, got '1'"):
        BinaryCrossEntropy("1")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Huber(0), ValueError, r"delta must be in \(0, inf\), got 0"),
        (lambda: Huber(True), TypeError, r"delta must be a number in \(0, inf\), got True"),
        (lambda: Hinge(-1), ValueError, r"margin must be in \[0, inf\), got -1"),
        (lambda: Hinge(None), TypeError, r"margin must be a number in \[0, inf\), got None"),
        (lambda: MeanSquaredError(1), TypeError, "textbook must be True or False, got 1"),
        (lambda: NegativeLogLikelihood(3), TypeError, "class_weight must be a number for each"),
        (lambda: NegativeLogLikelihood([-1]), ValueError, r"class_weight must be in \[0, inf\)"),
        (lambda: NegativeLogLikelihood(ignore_index=1.0), TypeError, "ignore_index must be an int"),
    ],
)
def test_refuses_settings(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("kind", [Hinge, NegativeLogLikelihood])
def test_refuses_labels(kind):
    x = np.zeros((2, 3))
    for bad in (-1, 3, 2**62):
        with pytest.raises(ValueError, match=f"labels from 0 to 2, got {bad} at index 1"):
            kind()(x, np.array([0, bad]))
    with pytest.raises(TypeError, match="takes integer labels, got an array of float64"):
        kind()(x, np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match=r"at least 2 classes, got \(3,\)"):
        kind()(np.zeros(3), np.zeros(3, int))
    with pytest.raises(ValueError, match=r"at least 2 classes, got \(3, 0\)"):
        kind()(np.zeros((3, 0)), np.zeros(3, int))


def test_negative_log_likelihood_is_cross_entropy_of_logarithms(rng):
    x, y = rng.standard_normal((6, 4, 3)), rng.integers(0, 4, (6, 3))
    log_p = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    for settings in ({}, {"class_weight": [1, 2, 0, 4]}, {"ignore_index": 3}):
        nll, whole = NegativeLogLikelihood(**settings), losses.CrossEntropy(**settings)
        assert nll(log_p, y) == pytest.approx(whole(x, y), rel=1e-13)
    with pytest.raises(ValueError, match="weights of 2 classes, got outputs of 4"):
        NegativeLogLikelihood([1, 2])(log_p, y)


class Quartic(losses.ElementWise):
    """A loss of one's own, without settings."""

    def _value(self, y, t):
        return (y - t) ** 4

    def _slope(self, y, t):
        return 4 * (y - t) ** 3


def test_a_loss_of_ones_own_needs_no_setting():
    y, t = np.random.default_rng(0).normal(size=(2, 5, 3))
    assert Quartic()(y, t) == pytest.approx(((y - t) ** 4).mean())
    check_loss(Quartic(), y, t)
