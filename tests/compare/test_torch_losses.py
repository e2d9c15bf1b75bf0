"""Every loss against PyTorch, on random settings, in float64; skipped where PyTorch is not.

A row of LOSSES draws settings and returns a loss, the same of PyTorch as a function of outputs and
targets, outputs and targets. Values must agree to 1e-12 of their size, gradients to 1e-7.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from deepfs import losses

torch = pytest.importorskip("torch")
F = torch.nn.functional

SEEDS = range(14)


def drawn_reduction(rng):
    return ("mean", "sum", "none")[rng.integers(3)]


def logits(rng):
    """Return outputs (n, c) or (n, c, h, w), and labels for them."""
    n, c = map(int, rng.integers(2, 7, 2))
    rest = tuple(map(int, rng.integers(2, 4, 2))) if rng.random() < 0.4 else ()
    return rng.standard_normal((n, c, *rest)) * 3, rng.integers(0, c, (n, *rest))


def cross_entropy(rng):
    x, labels = logits(rng)
    c, reduction = x.shape[1], drawn_reduction(rng)
    smoothing = float(rng.random()) if rng.random() < 0.5 else 0.0
    weight = rng.random(c) + 0.1 if rng.random() < 0.5 else None
    ignored = int(rng.integers(0, c)) if rng.random() < 0.5 else None
    if ignored is not None:
        labels.flat[0] = (ignored + 1) % c  # PyTorch's mean over nothing is NaN
    ours = losses.CrossEntropy(smoothing, weight, ignored, reduction)

    def theirs(x, t):
        w = None if weight is None else torch.from_numpy(weight)
        at = -100 if ignored is None else ignored
        return F.cross_entropy(x, t, w, ignore_index=at, reduction=reduction,
                               label_smoothing=smoothing)  # fmt: skip

    return ours, theirs, x, labels


def cross_entropy_of_probabilities(rng):
    x, _ = logits(rng)
    targets = rng.random(x.shape)
    targets /= targets.sum(1, keepdims=True)
    smoothing, reduction = float(rng.random()), drawn_reduction(rng)
    weight = rng.random(x.shape[1]) + 0.1 if rng.random() < 0.5 else None
    ours = losses.CrossEntropy(smoothing, weight, reduction=reduction)

    def theirs(x, t):
        w = None if weight is None else torch.from_numpy(weight)
        return F.cross_entropy(x, t, w, reduction=reduction, label_smoothing=smoothing)

    return ours, theirs, x, targets


def negative_log_likelihood(rng):
    x, labels = logits(rng)
    reduction = drawn_reduction(rng)
    weight = rng.random(x.shape[1]) + 0.1 if rng.random() < 0.5 else None
    ours = losses.NegativeLogLikelihood(class_weight=weight, reduction=reduction)

    def theirs(x, t):
        w = None if weight is None else torch.from_numpy(weight)
        return F.nll_loss(x, t, w, reduction=reduction)

    return ours, theirs, x, labels


def hinge(rng):
    """PyTorch divides by the number of classes."""
    n, c = map(int, rng.integers(2, 7, 2))
    margin, reduction = float(rng.uniform(0.1, 2)), drawn_reduction(rng)

    def theirs(x, t):
        return c * F.multi_margin_loss(x, t, margin=margin, reduction=reduction)

    x, labels = rng.standard_normal((n, c)), rng.integers(0, c, n)
    return losses.Hinge(margin, reduction=reduction), theirs, x, labels


def of_numbers(ours, theirs, target=lambda rng, shape: rng.standard_normal(shape)):
    """Return an operation on outputs and targets of one shape."""

    def operation(rng):
        shape = tuple(map(int, rng.integers(1, 6, rng.integers(1, 5))))
        reduction = drawn_reduction(rng)
        their = lambda x, t: theirs(x, t, reduction=reduction)  # noqa: E731
        return ours(reduction=reduction), their, rng.standard_normal(shape), target(rng, shape)

    return operation


def huber(rng):
    delta, reduction = float(rng.uniform(0.1, 2)), drawn_reduction(rng)

    def theirs(x, t):
        return F.huber_loss(x, t, delta=delta, reduction=reduction)

    x, t = rng.standard_normal((2, 4, 3))
    return losses.Huber(delta, reduction=reduction), theirs, x, t


LOSSES = {
    "cross entropy": cross_entropy,
    "cross entropy of probabilities": cross_entropy_of_probabilities,
    "negative log likelihood": negative_log_likelihood,
    "hinge": hinge,
    "mean squared error": of_numbers(losses.MeanSquaredError, F.mse_loss),
    "mean absolute error": of_numbers(losses.MeanAbsoluteError, F.l1_loss),
    "binary cross entropy": of_numbers(
        losses.BinaryCrossEntropy,
        F.binary_cross_entropy_with_logits,
        lambda rng, shape: rng.random(shape),
    ),
    "huber": huber,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", LOSSES)
def test_agrees(name, seed):
    rng = np.random.default_rng([seed, *name.encode()])
    loss, theirs, x, targets = LOSSES[name](rng)
    tx = torch.from_numpy(x).requires_grad_()
    wanted = theirs(tx, torch.from_numpy(targets))
    value, cache = loss.forward(x, targets)
    assert_allclose(value, wanted.detach().numpy(), rtol=1e-12, atol=1e-12)
    upstream = rng.standard_normal(np.shape(value))
    wanted.backward(torch.from_numpy(np.asarray(upstream)))
    assert_allclose(loss.backward(cache, upstream), tx.grad.numpy(), rtol=0, atol=1e-7)
