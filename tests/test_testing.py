"""The public checks: each fault they look for is found."""

from dataclasses import dataclass

import numpy as np
import pytest

from deepfs import layers as L
from deepfs.layers import Layer
from deepfs.losses import Loss
from deepfs.testing import check_gradient, check_layer, check_loss

X = np.random.default_rng(0).standard_normal((4, 3))


@dataclass(eq=False)
class Square(Layer):
    """y = x^2, with one fault of choice."""

    fault: str = ""

    def _out_shape(self, in_shape):
        return in_shape

    def _build(self, in_shape, dtype):
        self.buffered["n"] = np.zeros(1)
        self.learned["w"] = L.Parameter(np.ones(in_shape, dtype))

    def _forward(self, x, training):
        w = self.learned["w"].storage
        if self.fault == "writes x":
            x = x if x.flags.writeable else x.copy()
            x *= 1
            x += 1e-3
        if self.fault == "counts":
            self.buffered["n"] += 1
        if self.fault == "remembers":
            self.last = float(x.sum())
        if self.fault == "batch" and len(x) == 0:
            raise IndexError("an empty batch")
        if self.fault == "layout" and not x.flags.c_contiguous:
            w = 2 * w
        return x**2 * w, x

    def _backward(self, dy, cache, need_dx):
        scale = 2.001 if self.fault == "gradient" else 2
        dw = (dy * cache**2).sum(0)
        if self.fault == "overwrites":
            self.learned["w"].dstorage[:] = dw
        elif self.fault != "forgets":
            self.learned["w"].dstorage += dw
        if self.fault == "float64":
            return (dy * scale * cache).astype(np.float64)
        return dy * scale * cache * self.learned["w"].storage


def test_a_right_layer_passes():
    check_layer(Square(), X)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("gradient", r"the gradient of x at \(0, 0\) is .*, by differences"),
        ("forgets", r"the gradient of w at \(0,\) is 0, by differences"),
        ("overwrites", "the gradient of w is not added up"),
        ("writes x", "changed x|output array is read-only|by differences"),
        ("remembers", "changed the layer beyond buffers"),
        ("layout", "differs for negative strides|differs for an input with gaps"),
        ("float64", "float32 gave dx of float64"),
    ],
)
def test_faults_are_found(fault, message):
    with pytest.raises(AssertionError, match=message):
        check_layer(Square(fault), X)


def test_an_inference_that_changes_buffers_is_found():
    check_layer(Square("counts"), X)  # a training forward may
    with pytest.raises(AssertionError, match="inference changed the buffer n"):
        check_layer(Square("counts"), X, training=False)


def test_a_failing_empty_batch_is_found():
    with pytest.raises(IndexError, match="an empty batch"):
        check_layer(Square("batch"), X)


def test_gradients_that_are_all_zero_are_found():
    with pytest.raises(AssertionError, match="all gradients are zero"):
        check_layer(L.ReLU(), -np.abs(X))


def test_check_gradient_restores_what_it_moves():
    x = X.copy()
    check_gradient(lambda a: float((a**3).sum()), x, 3 * x**2)
    assert (x == X).all()
    wrong = 3 * x**2
    wrong[0, 1] += 1e-4
    with pytest.raises(AssertionError, match=r"the gradient of x at \(0, 1\) is"):
        check_gradient(lambda a: float((a**3).sum()), x, wrong)
    with pytest.raises(AssertionError, match="must be float64 to be checked"):
        check_gradient(lambda a: 0.0, x.astype("f"), x.astype("f"))


@dataclass(eq=False)
class Squares(Loss):
    """(y - t)^2, with one fault of choice."""

    fault: str = ""
    reduction: str = "mean"

    def terms(self, outputs, targets, sample_weight=None):
        y, t = np.asarray(outputs), np.asarray(targets)
        fault = self.fault
        if fault == "float64":
            y = y.astype(np.float64)
        y, t = y.astype(y.dtype.newbyteorder("=")), t.astype(y.dtype.newbyteorder("="))
        if fault == "writes outputs" or (fault == "writes hidden" and outputs.flags.writeable):
            outputs *= 1
            outputs += 1e-3
        if fault == "writes targets" and targets.flags.writeable is False:
            targets.flags.writeable = True
            targets += 1e-3
        if fault == "remembers":
            self.last = float(y.sum())
        if fault == "empty" and len(y) == 0:
            raise IndexError("an empty batch")
        if fault == "empty value" and len(y) == 0:
            return np.ones((1, 3)), 1.0, (y, np.ones(y.shape))
        if fault == "neighbours":
            t = t + y.mean() * 0.1
        if fault == "outputs' layout" and not np.asarray(outputs).flags.c_contiguous:
            y = y + 1
        if fault == "targets' layout" and not np.asarray(targets).flags.c_contiguous:
            t = t + 1
        if fault == "weights' layout" and not np.asarray(sample_weight).flags.c_contiguous:
            t = t + 1
        weight = np.ones(y.shape, y.dtype)
        if sample_weight is not None:
            weight = (weight.T * np.asarray(sample_weight)).T.astype(y.dtype)
        return weight * (y - t) ** 2, float(weight.sum()), (y - t, weight)

    def _gradient(self, cache, scale):
        if self.fault == "upstream":
            scale = 1 / 12
        factor = {"gradient": 2.001, "zero": 0, "float64": np.float64(2)}.get(self.fault, 2)
        difference, weight = cache
        result = (factor * scale * weight * difference).astype(difference.dtype)
        if self.fault == "spends the cache":
            difference *= 0.5
        return result


LOSS_FAULTS = [
    ("gradient", r"the gradient of outputs at \(0, 0\) is .*, by differences"),
    ("zero", "the gradient is zero"),
    ("upstream", "upstream does not scale|the gradient of outputs"),
    ("writes outputs", "by differences|output array is read-only"),
    ("writes hidden", "by differences"),
    ("writes targets", "forward or backward changed the targets|for read-only arrays"),
    ("remembers", "forward or backward changed the loss"),
    ("outputs' layout", "differs for an input with gaps"),
    ("targets' layout", "differs for targets: an input with gaps"),
    ("weights' layout", "differs for weights: an input with gaps"),
    ("empty", "an empty batch"),
    ("empty value", "an empty batch gave the loss"),
    ("neighbours", "by differences|a batch of one differs"),
    ("float64", "float32 gave a gradient of float64"),
    ("spends the cache", "the second backward of a cache differs"),
]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_right_loss_passes(reduction):
    check_loss(Squares(reduction=reduction), X, X[::-1] / 3)
    check_loss(Squares(reduction=reduction), X, X[::-1] / 3, [1, 2, 0, 4])


@pytest.mark.parametrize(("fault", "message"), LOSS_FAULTS)
def test_faults_of_losses_are_found(fault, message):
    with pytest.raises((AssertionError, IndexError, ValueError), match=message):
        check_loss(Squares(fault), X, X[::-1] / 3, [1, 2, 3, 4])
