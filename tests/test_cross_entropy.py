"""Cross-entropy: against the NumPy reference, its options by hand, the kernel, and errors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import softmax
from deepfs import reference
from deepfs.losses import CrossEntropy

LABELS = np.array([0, 3, 1, 1, 2, 0])


@pytest.fixture
def logits(rng):
    return 3 * rng.standard_normal((6, 4))


def test_matches_the_reference(logits):
    onehot = reference.class_targets(LABELS, 4)
    value, gradient = (
        f(logits, onehot) for f in (reference.cross_entropy, reference.cross_entropy_backward)
    )
    loss = CrossEntropy()
    for targets in (LABELS, LABELS.astype(np.uint8), LABELS.astype(">i4"), onehot):
        found, cache = loss.forward(logits, targets)
        assert found == pytest.approx(value, rel=1e-13)
        assert_allclose(loss.backward(cache), gradient, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("smoothing", [0, 0.3, 1])
@pytest.mark.parametrize("class_weight", [None, [1, 2, 0.5, 0]])
def test_options_match_the_reference(smoothing, class_weight, logits):
    given = None if class_weight is None else np.array(class_weight)
    wanted = reference.class_targets(LABELS, 4, smoothing, given)
    divisor = 6 if given is None else given[LABELS].sum()
    loss = CrossEntropy(smoothing, class_weight)
    value, cache = loss.forward(logits, LABELS)
    assert value == pytest.approx(reference.cross_entropy(logits, wanted) * 6 / divisor, rel=1e-13)
    gradient = reference.cross_entropy_backward(logits, wanted) * 6 / divisor
    assert_allclose(loss.backward(cache), gradient, rtol=1e-12, atol=1e-16)
    # probabilities: the same terms, over the number of samples
    soft = CrossEntropy(smoothing, class_weight)(logits, np.eye(4)[LABELS])
    assert soft == pytest.approx(value * divisor / 6, rel=1e-13)


def test_options_by_hand():
    x, y = np.log([[0.2, 0.8], [0.5, 0.5]]), np.array([0, 1])
    terms = -np.log([0.2, 0.5])
    weighted = CrossEntropy(class_weight=[3, 1])(x, y)
    assert weighted == pytest.approx((3 * terms[0] + terms[1]) / 4)
    assert CrossEntropy(ignore_index=0)(x, y) == pytest.approx(terms[1])
    assert CrossEntropy(reduction="sum")(x, y) == pytest.approx(terms.sum())
    assert_allclose(CrossEntropy(reduction="none")(x, y), terms)
    assert CrossEntropy()(x, y, [1, 3]) == pytest.approx((terms[0] + 3 * terms[1]) / 4)
    both = CrossEntropy(class_weight=[3, 1])(x, y, [1, 3])
    assert both == pytest.approx((3 * terms[0] + 3 * terms[1]) / 6)
    smooth = -(0.95 * np.log(0.2) + 0.05 * np.log(0.8)), -np.log(0.5)
    assert CrossEntropy(label_smoothing=0.1)(x, y) == pytest.approx(np.mean(smooth))


@pytest.mark.parametrize("smoothing", [0, 0.1])
@pytest.mark.parametrize("ignored", [-100, -1, 2, 99])
def test_ignored_samples_leave_both_sides_of_the_mean(ignored, smoothing, rng):
    x, y = rng.standard_normal((2, 3, 5)), rng.integers(0, 2, (2, 5))
    keep = rng.random((2, 5)) < 0.6
    loss = CrossEntropy(smoothing, [1, 2, 3], ignored)
    kept = np.moveaxis(x, 1, -1)[keep]
    wanted, cache = loss.forward(kept, y[keep])
    x[0, :, ~keep[0]] = np.inf  # whatever an ignored sample holds
    value, whole = loss.forward(x, np.where(keep, y, ignored))
    assert value == pytest.approx(wanted)
    gradient = np.moveaxis(loss.backward(whole), 1, -1)
    assert not gradient[~keep].any()
    assert_allclose(gradient[keep], loss.backward(cache), atol=1e-15)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_all_ignored_is_zero(logits, reduction):
    loss = CrossEntropy(ignore_index=-100, reduction=reduction)
    value, cache = loss.forward(logits, np.full(6, -100))
    assert not np.any(value)
    assert not loss.backward(cache).any()


def test_extreme_logits_are_finite(dtype):
    loss = CrossEntropy(reduction="none")
    largest = np.finfo(dtype).max
    x = np.array([[1e4, -1e4], [1e4, -1e4], [largest / 2, -largest / 2], [0, -np.inf]], dtype)
    value, cache = loss.forward(x, np.array([0, 1, 0, 0]))
    assert_array_equal(value, [0, 2e4, 0, 0])
    assert_array_equal(loss.backward(cache), [[0, 0], [1, -1], [0, 0], [0, 0]])


@pytest.mark.parametrize("classes", [2, 16, 31, 32, 47, 100])
def test_the_largest_logit_is_found_wherever_it_stands(classes, dtype):
    value, cache = CrossEntropy().forward(1e4 * np.eye(classes, dtype=dtype), np.arange(classes))
    assert value == 0
    assert_array_equal(CrossEntropy().backward(cache), np.zeros((classes, classes)))


def test_a_class_of_probability_0_costs_nothing_where_it_is_not_wanted():
    value = CrossEntropy()(np.array([[0.0, -np.inf]]), np.array([[1.0, 0.0]]))
    assert value == 0
    assert CrossEntropy()(np.array([[0.0, -np.inf]]), np.array([1])) == np.inf


def test_a_small_loss_keeps_its_digits():
    """The probability 1 - 1e-12 rounds to 1 in float32; its logarithm does not."""
    x = np.array([[0, -27.631021]], np.float32)
    value, cache = CrossEntropy().forward(x, np.array([0]))
    assert value == pytest.approx(1e-12, rel=1e-4)
    assert CrossEntropy().backward(cache)[0, 1] == pytest.approx(1e-12, rel=1e-5)


@pytest.mark.parametrize("classes", [2, 3, 15, 16, 17, 100])
def test_every_tail_of_a_vector(classes, dtype, tolerance, rng):
    x = rng.standard_normal((5, classes)).astype(dtype)
    y = rng.integers(0, classes, 5)
    value, cache = CrossEntropy().forward(x, y)
    onehot = np.eye(classes)[y]
    assert_allclose(value, reference.cross_entropy(x.astype(float), onehot), **tolerance)
    wanted = reference.cross_entropy_backward(x.astype(float), onehot)
    assert_allclose(CrossEntropy().backward(cache), wanted, **tolerance)


@pytest.mark.parametrize(
    ("outputs", "targets", "error", "message"),
    [
        (np.zeros((2, 3)), np.array([0, 3]), ValueError, "labels from 0 to 2, got 3 at index 1"),
        (np.zeros((2, 3)), np.array([-1, 0]), ValueError, "labels from 0 to 2, got -1 at index 0"),
        (np.zeros((2, 3)), np.array([0, 2**64 - 1], np.uint64), ValueError, f"got {2**64 - 1} at"),
        (np.zeros((2, 3)), np.array([0, 2**32]), ValueError, f"got {2**32} at index 1"),
        (np.zeros((1, 3, 2)), np.array([[0, 5]]), ValueError, r"got 5 at index \(0, 1\)"),
        (np.zeros((2, 3)), np.array([0.0, 1.0]), ValueError, "integer labels"),
        (np.zeros((2, 3)), np.zeros((2, 3), int), ValueError, "integer labels"),
        (np.zeros((2, 3)), np.zeros(3, int), ValueError, "integer labels"),
        (np.zeros((2, 3)), np.array(["a", "b"]), TypeError, "integer or float targets"),
        (np.zeros((2, 3)), np.array([True, False]), TypeError, "integer or float targets"),
        (np.zeros(3), np.zeros(3, int), ValueError, r"takes logits \(n, classes, ...\)"),
        (np.zeros((2, 2)), [[0.5, 0.5], [-0.1, 1.1]], ValueError, r"got -0.1 at index \(1, 0\)"),
        (np.zeros((2, 2)), [[0.5, np.inf], [1, 0]], ValueError, r"got inf at index \(0, 1\)"),
        (np.zeros((1, 2), np.float32), [[0, 1e39]], ValueError, "at most 3.4e.38 here, got 1e.39"),
        (np.zeros((2, 0)), np.zeros(2, int), ValueError, r"takes logits \(n, classes, ...\)"),
        (np.zeros((2, 3), complex), np.zeros(2, int), TypeError, "takes real numbers"),
    ],
)
def test_refuses(outputs, targets, error, message):
    with pytest.raises(error, match=message) as raised:
        CrossEntropy()(outputs, targets)
    # one error: no kernel's below it
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    if "got" in message and "labels" in message:  # the check of the other way is the same
        with pytest.raises(error, match=message):
            CrossEntropy(ignore_index=77)(outputs, targets)


@pytest.mark.parametrize("settings", [{"label_smoothing": 1}, {"class_weight": [2, 1]}])
def test_refuses_what_a_setting_makes_nan_or_infinite(settings):
    targets = np.array([[np.inf if "label_smoothing" in settings else 1e308, 0]])
    CrossEntropy(**settings)(np.zeros((1, 2)), np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"probabilities .* got .* at index \(0, 0\)"):
        CrossEntropy(**settings)(np.zeros((1, 2)), targets)


def test_refuses_settings(logits):
    with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\], got 2"):
        CrossEntropy(label_smoothing=2)
    with pytest.raises(TypeError, match="class_weight must be a number for each class, got 3"):
        CrossEntropy(class_weight=3)
    with pytest.raises(ValueError, match=r"class_weight must be in \[0, inf\), got -1"):
        CrossEntropy(class_weight=[1, -1])
    with pytest.raises(ValueError, match="weights of 2 classes, got outputs of 4"):
        CrossEntropy(class_weight=[1, 2])(logits, LABELS)
    with pytest.raises(ValueError, match="with ignore_index=1 takes integer labels, got prob"):
        CrossEntropy(ignore_index=1)(logits, np.eye(4)[LABELS])
    assert CrossEntropy(ignore_index=-100)(logits, np.eye(4)[LABELS]) > 0  # as PyTorch


def test_the_kernel_refuses_what_does_not_fit(logits):
    p, loss, target = np.empty_like(logits), np.empty(6), np.eye(4)[LABELS]
    forward, backward = softmax.cross_entropy_forward, softmax.cross_entropy_backward
    for bad in (
        (logits, LABELS[:5], None, None, p, loss),
        (logits, None, None, None, p, loss),
        (logits, None, target[:5], None, p, loss),
        (logits, LABELS, None, np.ones(5), p, loss),
        (logits, LABELS, None, None, p[:5], loss),
        (logits, LABELS, None, None, p, loss[:5]),
    ):
        with pytest.raises(ValueError, match="do not belong to one loss"):
            forward(*bad)
    for bad in (
        (p, LABELS[:5], None, None, 1, logits.copy()),
        (p, None, None, None, 1, logits.copy()),
        (p, LABELS, None, np.ones(7), 1, logits.copy()),
        (p, LABELS, None, None, 1, np.empty((6, 5))),
    ):
        with pytest.raises(ValueError, match="do not belong to one loss"):
            backward(*bad)
    p[:] = 7
    with pytest.raises(IndexError, match="a label must be from 0 to 3, got 4"):
        forward(logits, LABELS + 1, None, None, p, loss)
    assert (p == 7).all()
    with pytest.raises(IndexError, match="a label must be from 0 to 3, got -1"):
        backward(p, LABELS - 1, None, None, 1, logits.copy())
