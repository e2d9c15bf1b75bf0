"""The public checks: each fault they look for is found."""

from dataclasses import dataclass

import numpy as np
import pytest

import cnn_core
from deepfs import layers as L
from deepfs import losses, optimizers
from deepfs import networks as N
from deepfs.layers import Layer
from deepfs.losses import Loss
from deepfs.testing import check_gradient, check_layer, check_loss, check_optimizer
from network_cases import CHECKED

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
        if self.fault in ("remembers", "three"):
            self.last = float(x.sum())
        if self.fault in ("batch", "three") and len(x) == 0:
            raise IndexError("an empty batch")
        if self.fault == "layout" and not x.flags.c_contiguous:
            w = 2 * w
        return x**2 * w, x

    def _backward(self, dy, cache, need_dx):
        scale = 2.001 if self.fault in ("gradient", "three") else 2
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
        ("writes x", "arguments: forward changed x, its argument, at"),
        ("remembers", "forward or backward changed Square.last, an attribute"),
        ("layout", "memory layouts: y differs for an input with gaps: at"),
        ("float64", "float32 gave dx of float64"),
    ],
)
def test_faults_are_found(fault, message):
    with pytest.raises(AssertionError, match=message):
        check_layer(Square(fault), X)


def test_an_inference_that_changes_buffers_is_found():
    for training in (True, False):
        with pytest.raises(AssertionError, match="inference changed the buffer n"):
            check_layer(Square("counts"), X, training)


def test_a_failing_empty_batch_is_found():
    text = "batches of no sample and of one: IndexError: an empty batch"
    with pytest.raises(AssertionError, match=text):
        check_layer(Square("batch"), X)


def test_gradients_that_are_all_zero_are_found():
    with pytest.raises(AssertionError, match="all gradients are zero"):
        check_layer(L.ReLU(), -np.abs(X))


def test_the_last_line_says_what_was_checked():
    report = check_layer(L.Dense(3), X)
    assert len(report.checks) == 19
    assert {"gradients", "two equal runs", "saving and loading"} <= set(report.checks)
    assert repr(report).splitlines()[-1] == (
        "checked: 19 properties of Dense in training, inputs (4, 3) and (2903, 3), float64 and "
        f"float32, 1, 2 and 4 threads, level {cnn_core.level}"
    )


def test_all_failures_are_told_at_once():
    with pytest.raises(AssertionError) as raised:
        check_layer(Square("three"), X)
    lines = str(raised.value).splitlines()
    assert lines[0] == "Square in training fails 3 of 18 checks"
    assert [line.partition(":")[0] for line in lines[1:]] == [
        "gradients", "attributes", "batches of no sample and of one",
    ]  # fmt: skip


def test_shapes_of_its_own():
    report = check_layer(L.Dense(3))
    assert [name for name in report.arrays if name[0] == "x"] == [
        "x of (6, 5)", "x of (3, 4, 9)", "x of (3, 4, 7, 6)",
    ]  # fmt: skip
    assert list(check_layer(L.MaxPool2D()).arrays) == ["x"]
    layer = L.Dense(3)
    layer(np.ones((1, 11)))
    assert check_layer(layer).arrays["weight"].entries == 33
    with pytest.raises(ValueError, match=r"check_layer needs x, .* that Reshape takes: it refused"):
        check_layer(L.Reshape((7, 77)))


def test_what_is_no_layer_or_no_batch_is_refused():
    with pytest.raises(TypeError, match=r"takes a layer, got <class .*>: make one, Dense\(...\)"):
        check_layer(L.Dense, X)
    with pytest.raises(ValueError, match=r"needs a batch of samples, got \(0, 3\)"):
        check_layer(L.ReLU(), X[:0])
    with pytest.raises(ValueError, match="takes 4 dimensional input"):
        check_layer(L.MaxPool2D(), X)


def at_a_kink(report, name="x"):
    """Return how many entries were compared, and how many lie at kinks."""
    return report.arrays[name].checked, report.arrays[name].at_kinks


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (L.MaxPool2D(2), np.ones((1, 1, 4, 4))),
        (L.MaxPool2D(3, 1, 1), np.ones((2, 3, 4, 5))),  # each entry in several windows
        (L.GlobalMaxPool2D(), np.zeros((2, 3, 3, 3))),
        (L.ReLU(), np.zeros((2, 3))),
        (L.Maxout(3), np.ones((2, 6))),
        (L.HardSwish(), np.full((2, 3), 3.0)),
        (L.Clip(0, 6), np.full((2, 3), 6.0)),
        (L.Residual(L.ReLU(), L.LeakyReLU(-1.0)), np.zeros((2, 3))),
        (L.Sequential([L.Step(), L.Dense(3)]), np.zeros((2, 4))),  # a jump
    ],
    ids=lambda value: getattr(type(value), "__name__", ""),
)
def test_a_kink_is_not_called_wrong(layer, x):
    picked = min(x.size, 100)
    said = f"check_layer: {picked} of {picked} entries of x lie at kinks or ties, where there is no"
    with pytest.warns(UserWarning, match=said):
        report = check_layer(layer, x)
    assert at_a_kink(report) == (0, picked)


def test_a_network_at_zeros_has_kinks_in_its_first_layer_alone():
    """All units of the ReLU are at 0, so that the gradient of x, 0, is not between the slopes."""
    net = L.Sequential([L.Conv2D(3, 3), L.ReLU(), L.MaxPool2D(2), L.Dense(3)])
    with pytest.warns(UserWarning, match=r"of x lie at kinks .*; 3 of 3 entries of conv2d_1.bias"):
        report = check_layer(net, np.zeros((2, 2, 6, 6)))
    assert at_a_kink(report) == (0, 100)
    assert at_a_kink(report, "conv2d_1.weight") == (54, 0)
    assert at_a_kink(report, "dense_1.bias") == (3, 0)


def test_kinks_are_counted_and_the_other_entries_compared():
    x = X.copy()
    x[1:3, 0] = 0
    report = check_layer(L.ReLU(), x)
    assert at_a_kink(report) == (10, 2)
    assert (report.checked, report.at_kinks, report.arrays["x"].entries) == (10, 2, 12)
    assert repr(report).splitlines()[:2] == [
        "gradients and central differences agree in 10 entries",
        "array  entries  checked  at kinks  worst error",
    ]
    assert repr(report).splitlines()[2].split()[:4] == ["x", "12", "10", "2"]


@pytest.mark.parametrize("distance", [1e-9, -1e-8, 7e-8, 9.3e-8, -5e-7, 9e-7, 5e-6, 6.1e-6, -2e-5])
def test_kinks_near_by_are_no_fault(distance):
    x = X.copy()
    x[1, 2] = distance
    report = check_layer(L.ReLU(), x)
    assert at_a_kink(report) in ((12, 0), (11, 1))
    x[1, 1] = x[1, 2] = distance
    assert check_layer(L.Maxout(3), x).worst < 1e-6


def test_gradients_that_are_zero_at_kinks_are_no_fault():
    x = -np.abs(X)
    x[0] = 0
    with pytest.warns(UserWarning, match="all gradients are zero, and 3 entries lie at kinks or"):
        assert at_a_kink(check_layer(L.ReLU(), x)) == (9, 3)


def test_strong_curvature_is_no_fault():
    assert check_layer(L.LayerNorm(), np.ones((3, 5))).worst < 1e-6
    assert check_layer(L.LayerNorm(eps=1e-8), np.ones((3, 5))).worst < 1e-6


@dataclass(eq=False)
class WrongReLU(Layer):
    """A ReLU, with one fault of choice."""

    fault: str = ""

    def _out_shape(self, in_shape):
        return in_shape

    def _forward(self, x, training):
        if self.fault == "float32":
            return np.maximum(x, 0).astype(np.float32).astype(x.dtype), x
        if self.fault == "single" and x.dtype == np.float32:
            return np.maximum(x, 0), x - np.float32(0.02)
        return np.maximum(x, 0), x

    def _backward(self, dy, cache, need_dx):
        dx = np.where(cache > 0, dy, 0).astype(dy.dtype)
        if self.fault == "scale":
            dx *= 1.00001
        if self.fault == "above":
            dx[cache >= 2] = 0
        if self.fault == "zero":
            dx[:] = 0
        if self.fault == "at 1":
            dx[cache == 1] *= 2
        return dx


@pytest.mark.parametrize("fault", ["scale", "above", "zero", "at 1", "float32"])
def test_faults_are_found_beside_kinks(fault):
    x = np.array([[0, 0, 0, 0], [0, 1, 2, 3.0]])
    with pytest.warns(UserWarning, match="5 of 8 entries of x lie at kinks"):
        check_layer(WrongReLU(), x)
    with pytest.raises(AssertionError, match=r"the gradient of x at \(.*\) is .*, by differences"):
        check_layer(WrongReLU(fault), x)


def test_a_gradient_that_is_zero_everywhere_is_called_so():
    with pytest.raises(
        AssertionError, match=r"is 0, by differences .*; all of the gradient is zero"
    ):
        check_layer(WrongReLU("zero"), np.ones((2, 3)))


def test_a_gradient_that_is_wrong_in_float32_alone_is_found():
    x = X.copy()
    x[0, 0] = 0.01
    with pytest.raises(AssertionError, match="float32: dx"):
        check_layer(WrongReLU("single"), x)


def test_float32_over_a_kink_is_counted():
    """Numbers that differ in float64 alone: in float32, another one is the largest."""
    x = np.array([[[[1.0, 1 + 1e-9], [0, 0]]], [[[0.5, 0.25], [0, 0]]]])
    report = check_layer(L.MaxPool2D(2), x)
    assert report.float32_at_kinks == 2
    assert "\n2 entries differ in float32, at kinks\n" in repr(report)


def test_losses_at_kinks():
    y = np.array([[1.0, 2.0], [3.0, 4.0]])
    t = y.copy()
    t[0, 0] += 1
    with pytest.warns(UserWarning, match="check_loss: 3 of 4 entries of outputs lie at kinks"):
        report = check_loss(losses.MeanAbsoluteError(), y, t)
    assert at_a_kink(report, "outputs") == (1, 3)
    with pytest.warns(UserWarning, match="check_loss: 4 of 4 entries of outputs lie at kinks"):
        check_loss(losses.MeanAbsoluteError(), y, y)
    with pytest.raises(AssertionError, match="the gradient is zero: no output changes the loss"):
        check_loss(losses.MeanSquaredError(), y, y)


def test_an_optimizer_is_reported():
    report = check_optimizer(optimizers.Adam())
    assert repr(report).startswith("weights in float32 and float64 agree in 20,003 entries\n")
    assert report.worst < 1e-4


def test_fewer_entries_are_checked_if_asked():
    report = check_layer(L.Dense(7), np.random.default_rng(0).random((4, 30)), entries=5)
    assert [array.checked for array in report.arrays.values()] == [5, 5, 5]
    assert [array.entries for array in report.arrays.values()] == [120, 210, 7]


@pytest.mark.parametrize("name", CHECKED)  # the others are in test_networks
def test_networks_pass_at_random_inputs(name):
    """`tools/gradients.py` takes 50 inputs, and all layers."""
    image = (3, 8, 8) if name in ("resnet20", "vgg_small") else (1, 28, 28)
    for seed in range(2):
        x = np.random.default_rng(seed).standard_normal((3, *image))
        report = check_layer(getattr(N, name)(), x, seed=seed, entries=1)
        assert report.checked + report.at_kinks == len(report.arrays)
        assert report.worst < 1e-6


@dataclass(eq=False)
class Sums(Layer):
    """Of two inputs, by name, two outputs: a + b and a - b squared, with a fault of choice."""

    fault: str = ""

    def _out_shape(self, in_shape):
        return (in_shape["a"], in_shape["a"])

    def build(self, in_shape, dtype=np.float32, budget=None):
        vars(self).update(learned={}, buffered={}, in_shape=in_shape, built_dtype=np.dtype(dtype))

    def prepare(self, x):
        if self.built_dtype is None:
            self.build({name: array.shape[1:] for name, array in x.items()}, x["a"].dtype)
        return {name: np.asarray(array, self.built_dtype) for name, array in x.items()}

    def forward(self, x, training=False):
        return self._forward(self.prepare(x), training)

    def backward(self, dy, cache, need_dx=True):
        return self._backward([np.asarray(part, self.built_dtype) for part in dy], cache, need_dx)

    def _forward(self, x, training):
        return (x["a"] + x["b"], (x["a"] - x["b"]) ** 2), x

    def _backward(self, dy, cache, need_dx):
        back = 2 * (cache["a"] - cache["b"]) * dy[1]
        return {"a": dy[0] + back, "b": dy[0] + back if self.fault else dy[0] - back}


def test_a_layer_of_several_inputs():
    report = check_layer(Sums(), {"a": X, "b": X[::-1] + 1})
    assert list(report.arrays) == ["x['a']", "x['b']"]
    assert report.checked == 24
    with pytest.raises(AssertionError, match=r"the gradient of x\['b'\] at \(0, 0\) is"):
        check_layer(Sums("sign"), {"a": X, "b": X[::-1] + 1})


def test_a_graph_of_several_inputs_and_outputs():
    image, age = L.Input((2, 5, 5)), L.Input((3,))
    h = L.Concat()([L.Flatten()(L.ReLU()(L.Conv2D(3, 3)(image))), age])
    net = L.Graph({"image": image, "age": age}, (L.Dense(2)(h), L.Dense(1, name="one")(h)))
    rng = np.random.default_rng(0)
    x = {"image": rng.standard_normal((3, 2, 5, 5)), "age": rng.standard_normal((3, 3))}
    report = check_layer(net, x)
    assert list(report.arrays)[:2] == ["x['image']", "x['age']"]
    assert report.worst < 1e-6
    assert report.at_kinks == 0
    x["image"][:] = 0
    with pytest.warns(UserWarning, match=r"100 of 100 entries of x\['image'\] lie at kinks"):
        assert at_a_kink(check_layer(net, x), "x['age']") == (9, 0)


def test_check_gradient_knows_kinks():
    """A function is compared beside the kink; an array must lie between the slopes."""
    x = np.array([-1.0, 0.0, 3.0, 4.0, 5.0])
    f = lambda a: float(np.maximum(a, 0).sum() + (a**2).sum())  # noqa: E731
    right = lambda a: (a > 0) + 2 * a  # noqa: E731
    for gradient in (right(x), right, (x >= 0) + 2 * x, lambda a: (a >= 0) + 2 * a):
        report = check_gradient(f, x, gradient)
        assert at_a_kink(report) == (4, 1)
    for gradient in (right(x) - 1e-4 * (x == 0), lambda a: right(a) * np.where(abs(a) < 1, 2, 1)):
        with pytest.raises(AssertionError, match=r"the gradient of x at \(1,\) is"):
            check_gradient(f, x, gradient)
    with pytest.warns(UserWarning, match="check_gradient: 1 of 1 entries of w lie at kinks"):
        check_gradient(lambda a: float(abs(a).sum()), np.zeros(1), np.zeros(1), "w")


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
    ("zero", "is 0, by differences .*; all of the gradient is zero"),
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
