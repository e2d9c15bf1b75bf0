"""Bad input: all that is public answers by its definition or refuses.

Each setting of each class gets each bad value; then Hypothesis mixes good and bad settings with
good and bad arrays. What may come of it is an answer, whose shape and dtype are known beforehand,
or one error: a ValueError or a TypeError of one line that says who, and what it got, or a
MemoryError for what this machine cannot hold. Anything else fails: warnings are errors here, and
messages of NumPy do not read like that.

Hypothesis tries 80 to 160 examples of each operation; tools/fuzz.sh tries 25 times as many.
"""

import dataclasses
import inspect
import math
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import deepfs as dfs
from deepfs import initializers, losses, metrics, optimizers, regularizers, schedules
from deepfs import layers as L
from deepfs.random import Random


def classes(module):
    """Return the public classes of a module that have settings, by name."""
    found = {name: getattr(module, name) for name in sorted(module.__all__)}
    return {
        name: kind
        for name, kind in found.items()
        if dataclasses.is_dataclass(kind) and not inspect.isabstract(kind)
    }


LAYERS = classes(L)
LOSSES = classes(losses)
INITIALIZERS = classes(initializers)
OPTIMIZERS = classes(optimizers)
SCHEDULES = classes(schedules)
EVERY = {
    f"{module.__name__.split('.')[-1]}.{name}": kind
    for module in (L, losses, initializers, optimizers, schedules, regularizers)
    for name, kind in classes(module).items()
}


def a_function(step, targets=None):
    """A schedule of the step, a regularizer of weights, or a loss of outputs and targets."""
    if targets is not None:
        return np.square(step - targets).sum(axis=1), 2 * (step - targets)
    return 0.1 if isinstance(step, int) else (np.square(step).sum(), 2 * step)


# What a setting may be, by its name; one without a row is left at its default.
FLAG = (True, False)
SIZE = (1, 2, 3, 4)
GOOD = {
    "affine": FLAG,
    "algorithm": ("auto", "direct", "winograd"),
    "axes": (1, 2, 3),
    "bias": FLAG,
    "ceil_mode": FLAG,
    "class_weight": (None, (1, 2, 3, 0.5), [0.0, 1.0], np.ones(4)),
    "count_include_pad": FLAG,
    "cropping": (0, 1, (1, 0), (0, 1, 1, 0)),
    "dilation": (1, 1, 2, (2, 1)),
    "dtype": (None, "float32", np.float64),
    "filters": SIZE,
    "groups": (1, 1, 2, 4),
    "ignore_index": (None, 0, -1),
    "initializer": ("he_normal", "zeros", initializers.Orthogonal()),
    "decay": (0.1, 0),
    "every": SIZE,
    "factor": (1, 2, (2, 3)),
    "first": SIZE,
    "function": (a_function,),
    "kernel_size": (1, 2, 3, (1, 2), (3, 1)),
    "label_smoothing": (0, 0.1, 1),
    "length": SIZE,
    "limit": (1, 0.5),
    "lr": (0.1, 1, schedules.Cosine(0.1, 3)),
    "max_value": (None, 6, 0.5),
    "merge": ("concat", "add"),
    "method": ("bilinear", "nearest"),
    "milestones": ([2, 4], (1,), []),
    "min_value": (None, 0, -1),
    "momentum": (0.9, 0, 1),
    "multiplier": (1, 2),
    "name": (None, "a"),
    "names": ("*", ["a", "b.*"]),
    "output_padding": (0, 0, 1),
    "output_size": (1, 2, (2, 3)),
    "p": (0, 0.5, 1),
    "padding": (0, 1, (1, 0), (0, 1, 1, 0), "same", "valid"),
    "pieces": (1, 2, 4),
    "rate": (0.1, 0),
    "reduction": ("mean", "sum", "none"),
    "running_variance": ("unbiased", "biased"),
    "scaling": ("train", "test"),
    "shape": (-1, 6, (2, -1), (4, 1, 1)),
    "size": (1, 7, (2, 3)),
    "statistics": ("moving", "cumulative"),
    "std": (0, 0.5, 1e300),
    "stride": (1, 1, 2, (1, 3)),
    "textbook": FLAG,
    "then": (0.1, schedules.Step(0.1, 2)),
    "total": (2, 3, 4),
    "units": SIZE,
}
PARTS = (
    lambda: L.Dense(4),
    lambda: L.ReLU(),
    lambda: L.BatchNorm(),
    lambda: L.Dropout(0.5),
    lambda: L.Conv2D(4, 3, padding=1),
    lambda: L.GlobalAvgPool2D(),
    lambda: L.Conv2D(2**30 - 1, 2**30 - 1, padding=2**29),
)
PART = st.sampled_from(PARTS).map(lambda make: make())
MADE = {  # settings that every layer must have for its own
    "body": PART,
    "layers": st.lists(PART, min_size=1, max_size=4),
    "parts": st.lists(PART, min_size=1, max_size=3),
    "shortcut": st.none() | PART,
}

LIMIT = 2**30  # bytes that a test may take, where the system can be asked to see to it
BAD = (
    *(-1, 0, 1, 2**30 - 1, 2**62, 2**63 - 1, 2**63, 10**400),
    *((2**31,) if sys.platform == "linux" else ()),  # too much memory, but there may be as much
    *(2, True, False, None, 1.5, -0.5, 1e-320, np.nan, np.inf, -np.inf, 1j),
    *("2", "", "mean", b"2", object(), dict, np.float64, initializers.HeNormal, L.ReLU),
    *((), [], (1,), (0, 0), (1, 2, 3), (2**63, 1), [2, 2], ("a", "b"), (1.5, 1), {1: 2}),
    *((None,), [[1, 2]], ([1], [2])),
    *(np.int64(2), np.float32(0.5), np.array(1), np.array([1, 2]), np.array([], object)),
)

SHAPES = (  # of a batch: the first ones fit most layers
    *((2, 4, 6, 6), (2, 4, 5, 4), (3, 4), (2, 4, 6), (1, 4, 3, 3), (1, 4), (0, 4, 6, 6), (0, 4)),
    *((2, 3, 6, 6), (1, 1), (1, 1, 1, 1), (2, 4, 1, 1), (3, 6), (2, 0, 3, 3), (2, 4, 0, 3)),
    *((), (0,), (3,), (2, 0), (1, 2, 1), (1, 2, 3, 4, 5), (0, 2**40), (0, 2**28, 2**28)),
)
KINDS = ("f4", "f8", "f4", "f8", "i8", "u1", "f2", "g", ">f8", "?", "c16", "O", "U3", "M8[s]", "V4")
VALUES = (0, 1, -1, np.nan, np.inf, -np.inf, 1e38, "spread")
NOT_ARRAYS = (None, "text", 5, [], [[1.0], [1.0, 2.0]], {"a": 1}, object(), [None], [["a"]])


def array_of(shape, kind, value):
    """Return an array whose entries are ``value``, or many values of both signs."""
    if kind == "V4":
        return np.zeros(shape, kind)
    if kind in ("i8", "u1", "U3", "M8[s]") and (value == "spread" or not abs(value) < 10):
        value = 3
    if kind == "u1":
        value = abs(value)
    with np.errstate(over="ignore"):
        if value == "spread":
            size = int(np.prod(shape))
            return np.linspace(-3, 3, size).reshape(shape).astype(kind)
        return np.full(shape, value, kind)


def small(shapes):
    return [shape for shape in shapes if 0 not in shape or max(shape) < 100]


BATCHES = st.builds(
    array_of,
    st.sampled_from((*SHAPES[:8], *SHAPES[:8], *small(SHAPES))),
    st.sampled_from(KINDS[:4]),
    st.sampled_from(VALUES),
)
ANY_BATCH = st.one_of(
    BATCHES,
    BATCHES,
    st.builds(
        array_of, st.sampled_from(SHAPES), st.sampled_from(KINDS), st.sampled_from(VALUES[:3])
    ),
    st.sampled_from(NOT_ARRAYS),
)


@st.composite
def settings_of(draw, kind):
    """Draw settings of a class: good ones, of which none, one or two are then made bad."""
    fields = [field for field in dataclasses.fields(kind) if field.init]
    drawn = {}
    for field in fields:
        if field.name in MADE:
            drawn[field.name] = draw(MADE[field.name])
        elif field.name in GOOD:
            drawn[field.name] = draw(st.sampled_from(GOOD[field.name]))
        elif field.default is dataclasses.MISSING:
            drawn[field.name] = draw(st.sampled_from(SIZE))
    if "algorithm" in drawn and draw(st.booleans()):
        drawn |= {"algorithm": "auto", "padding": 1}
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 1, 2))) if fields else 0):
        drawn[draw(st.sampled_from(fields)).name] = draw(st.sampled_from(BAD))
    return drawn


REFUSES = r"\b(got|exceeds|cannot compare)\b"  # what follows is what came


class Refused(Exception):  # noqa: N818 - an outcome, not a failure
    """The one other outcome that is allowed."""


def answer(call, *names):
    """Return what ``call`` returns; raise `Refused` for an error that says what is wrong."""
    try:
        return call()
    except (ValueError, TypeError, MemoryError) as error:
        check_error(error, names)
        raise Refused from None


def check_error(error, names):
    """Fail unless an error is one line that tells who got what."""
    text, memory = str(error), isinstance(error, MemoryError)
    said = re.search("no memory|Unable to allocate" if memory else REFUSES, text)
    assert said, f"does not say what it got: {error!r}"
    assert "\n" not in text, f"is not one line: {error!r}"
    assert memory or any(re.search(rf"\b{name}\b", text) for name in names), f"names none: {text}"
    assert error.__suppress_context__ or error.__context__ is None, f"is not one: {error!r}"


def state(layer):
    """Return the bytes of all that a layer learns and keeps, gradients too."""
    parameters = layer.parameters().values()
    arrays = [*(p.value for p in parameters), *(p.grad for p in parameters)]
    return [array.tobytes() for array in (*arrays, *layer.buffers().values())]


@pytest.fixture(autouse=True, scope="module")
def _bounded_memory():
    """Bound the memory of the process, so that what cannot fit is refused and not swapped."""
    if sys.platform != "linux":
        yield
        return
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + LIMIT, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def examples(number):
    """Return the settings of a test: the same examples every time, and no clock."""
    return settings(
        max_examples=round(number * float(os.environ.get("DEEPFS_EXAMPLES", 2))),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def use(made):
    """Do with an object of a class what it is there for."""
    repr(made)
    if isinstance(made, L.Layer):
        for shape in ((2, 4, 6, 6), (2, 4, 6), (2, 4)):
            if made.input_rank is None or len(shape) in made.input_rank:
                y, cache = made.forward(np.ones(shape, np.float32), training=True)
                assert made.backward(y, cache).shape == shape
                return
    elif isinstance(made, losses.Loss):
        value, cache = made.forward(np.zeros((2, 4)), np.zeros((2, 4)))
        assert np.shape(value) in ((), (2,), (2, 4))
        assert made.backward(cache).shape == (2, 4)
    elif isinstance(made, optimizers.Optimizer):
        w, g = np.ones(6), np.linspace(-1, 1, 6)
        state = made.init(w)
        for t in (1, 2):
            made.step(w, g, state, t)
        assert w.shape == (6,)
    elif isinstance(made, schedules.Schedule):
        for count in (0, 1, 7, 10**6):
            assert 0 <= made.at(count, count) < math.inf
    elif isinstance(made, regularizers.Regularizer):
        assert all(term >= 0 for term in made.terms())
    elif isinstance(made, optimizers.Group):
        assert made.matches("no such name") in (True, False)
    else:
        values = made((4, 3), Random(0, 0))
        assert values.shape == (4, 3)


@pytest.mark.parametrize("name", EVERY)
def test_every_setting_with_every_bad_value(name):
    kind = EVERY[name]
    fields = [field for field in dataclasses.fields(kind) if field.init]
    for field in fields:
        for bad in BAD:
            needed = {
                other.name: (PARTS[0](),) if other.name in ("layers", "parts") else PARTS[0]()
                if other.name == "body" else GOOD.get(other.name, (0.5,))[0]
                for other in fields if other.default is dataclasses.MISSING
            }  # fmt: skip
            tried = needed | {field.name: bad}
            try:
                made = answer(lambda tried=tried: kind(**tried), kind.__name__, field.name)
                answer(lambda made=made: use(made), kind.__name__, *(f.name for f in fields))
            except Refused:
                pass
            except Exception as error:
                error.add_note(f"{name} with {field.name}={bad!r}")
                raise


@pytest.mark.parametrize("name", LAYERS)
@examples(60)
@given(data=st.data())
def test_layers(name, data):
    kind = LAYERS[name]
    given_settings = data.draw(settings_of(kind))
    names = [name, *given_settings]
    try:
        layer = answer(lambda: kind(**given_settings), *names)
    except Refused:
        return
    if isinstance(layer, L.Sequential | L.Branches | L.Residual):
        names += [type(part()).__name__ for part in PARTS]
    for batch in (BATCHES, ANY_BATCH):
        x, training = data.draw(batch), data.draw(st.booleans())
        before = state(layer)
        try:
            run_layer(layer, x, training, names)
        except Refused:
            assert not before or state(layer) == before  # refused: nothing has moved


def run_layer(layer, x, training, names):
    """Check all of a step; raise `Refused` if the layer does not take ``x``."""
    y, cache = answer(lambda: layer.forward(x, training), *names)
    assert y.shape == (len(x), *layer.out_shape(np.shape(x)[1:]))
    assert y.dtype == layer.built_dtype
    assert layer(x).shape == y.shape
    before = state(layer)
    with pytest.raises(Refused):
        answer(lambda: layer.backward(np.zeros((*y.shape, 1)), cache), *names)
    assert state(layer) == before
    dx = answer(lambda: layer.backward(np.ones(y.shape), cache), *names)
    assert dx.shape == np.shape(x)
    assert dx.dtype == y.dtype


LABELS = st.builds(
    lambda shape, kind, value, first: with_first(np.full(shape, value, kind), first),
    st.sampled_from([(2,), (3,), (0,), (2, 6, 6), (2, 6), (1,), (), (1, 3, 3)]),
    st.sampled_from(["i8", "i8", "i8", "u1", "i4", "f4", "?", "O"]),
    st.sampled_from([0, 1, 1, 3]),
    st.sampled_from([0, 0, 0, -1, 4, 2**31, -(2**63)]),
)


def with_first(labels, first):
    """Put another label in the first place, if it is an int that fits there."""
    if labels.size and labels.dtype.kind in "i" and abs(first) < 2 ** (8 * labels.itemsize - 1):
        labels.flat[0] = first
    return labels


TARGETS = st.one_of(LABELS, LABELS, BATCHES, ANY_BATCH)
WEIGHTS = st.sampled_from(
    (
        *[None] * 8,
        *(np.ones(2), np.ones(3), np.ones((2, 6, 6)), np.zeros(2), -np.ones(2), "a", 1),
        *(np.full(2, np.nan), np.full(3, np.inf), np.array(["a", "b"]), [[1], [1, 2]]),
    )
)
UPSTREAM = st.sampled_from((1.0, 1.0, 1, 0, -2.5, np.nan, None, "1", np.ones(2), np.ones((9, 9))))


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"Combined", "FunctionLoss"}))
@examples(80)
@given(data=st.data())
def test_losses(name, data):
    kind = LOSSES[name]
    given_settings = data.draw(settings_of(kind))
    names = [name, *given_settings]
    try:
        loss = answer(lambda: kind(**given_settings), *names)
        outputs, targets = data.draw(st.one_of(BATCHES, BATCHES, ANY_BATCH)), data.draw(TARGETS)
        if data.draw(st.booleans()) and not isinstance(targets, np.ndarray | str | None):
            targets = np.zeros(getattr(outputs, "shape", 3))
        weight = data.draw(WEIGHTS)
        value, cache = answer(lambda: loss.forward(outputs, targets, weight), *names)
        shape = np.shape(outputs)
        if loss.reduction == "none":
            assert value.shape in (shape, shape[:1] + shape[2:], shape[:1])
        else:
            assert isinstance(value, float)
        for upstream in (1.0, data.draw(UPSTREAM)):
            dx = answer(lambda given=upstream: loss.backward(cache, given), *names)
            assert dx.shape == shape
            kind = np.asarray(outputs).dtype
            wide = kind.kind == "f" and kind.itemsize >= 8  # long double is computed in float64
            assert dx.dtype == (np.float64 if wide else np.float32)
    except Refused:
        pass


BAD_SHAPES = (
    *((2, 3), (4, 3), (4, 2, 3, 3), (3,), (), (0, 3), (3, 0), (0,), (1, 1)),
    *(5, -1, (-1, 2), (2, -1), (1.5, 2), ("a", "b"), "ab", None, (2**62, 2), (2**31, 2**31)),
    *((2**63, 1), (0, 2**63 - 1), (True, 2), [3, 4], np.array([2, 3]), ((1, 2), 3)),
)


@pytest.mark.parametrize("name", INITIALIZERS)
@examples(40)
@given(data=st.data())
def test_initializers(name, data):
    kind = INITIALIZERS[name]
    given_settings = data.draw(settings_of(kind))
    shape = data.draw(st.sampled_from(BAD_SHAPES))
    names = [name, *given_settings, "shape", "initializer"]
    try:
        made = answer(lambda: kind(**given_settings), *names)
        values = answer(lambda: made(shape, Random(0, 0)), *names)
    except Refused:
        return
    assert values.shape == tuple(shape)
    assert values.dtype == np.float64


METRICS = {
    "accuracy": (),
    "binary_accuracy": ("threshold",),
    "subset_accuracy": ("threshold",),
    "top_k_accuracy": ("k",),
    "confusion_matrix": ("classes",),
    "classification_report": (),
    "expected_calibration_error": ("bins",),
    "precision_score": ("average", "zero_division"),
    "recall_score": ("average", "zero_division"),
    "f1_score": ("average", "zero_division"),
    "roc_auc_score": ("average",),
    "binary_precision": ("average", "zero_division", "threshold"),
    "binary_recall": ("average", "zero_division", "threshold"),
    "binary_f1": ("average", "zero_division", "threshold"),
    "mean_absolute_error": (),
    "mean_squared_error": (),
    "rmse": (),
    "r2_score": ("multioutput",),
}
PER_SAMPLE = ("accuracy", "binary_accuracy", "subset_accuracy", "top_k_accuracy")
ERRORS = ("mean_absolute_error", "mean_squared_error", "rmse", "r2_score")
MAY_BE = {"k": SIZE, "bins": SIZE, "threshold": (0.0, 0.5),
          "classes": (None, 4, 6), "zero_division": (0, 1),
          "multioutput": ("uniform_average", "raw_values")}  # fmt: skip
AVERAGES = ("macro", "micro", "weighted", None)


def test_every_metric_has_a_row():
    functions = {name for name in metrics.__all__ if name.islower()}
    assert functions - {"get", "without_ignored"} == set(METRICS)


@pytest.mark.parametrize("name", METRICS)
@examples(50)
@given(data=st.data())
def test_metrics(name, data):
    more = {}
    for setting in METRICS[name]:
        if data.draw(st.booleans()):
            choices = st.sampled_from(MAY_BE.get(setting, AVERAGES))
            more[setting] = data.draw(choices | st.sampled_from(BAD))
    outputs = data.draw(st.one_of(BATCHES, LABELS, ANY_BATCH))
    targets = data.draw(TARGETS)
    function = getattr(metrics, name)
    try:
        first = next(iter(inspect.signature(function).parameters))
        given = (targets, outputs) if first == "y_true" else (outputs, targets)
        value = answer(lambda: function(*given, **more), name, *more, "TopKAccuracy")
    except Refused:
        return
    if name in PER_SAMPLE:
        assert value.shape == np.shape(outputs)[:1]
    elif name == "classification_report":
        assert 0 <= value.accuracy <= 1
    elif name == "confusion_matrix":
        assert value.sum() == np.size(targets) or np.shape(outputs) == np.shape(targets)
    elif name in ERRORS:
        assert np.ndim(value) == (more.get("multioutput") == "raw_values")
    elif more.get("average", "macro") is None:
        assert value.ndim == 1
    else:
        assert 0 <= value <= 1


@pytest.mark.parametrize("setting", ["tolerance", "max_steps", "x", "network"])
@examples(60)
@given(data=st.data())
def test_lsuv(setting, data):
    net = L.Sequential([L.Dense(3), L.ReLU(), L.Dense(2)])
    good = {"network": net, "x": np.linspace(-1, 1, 40).reshape(10, 4) ** 3}
    bad = data.draw(ANY_BATCH if setting == "x" else st.sampled_from(BAD))
    try:
        found = answer(
            lambda: dfs.lsuv(**good | {setting: bad}),
            "lsuv",
            "Sequential",
            "Dense",
            setting,
        )
    except (Refused, RuntimeError):
        return
    assert set(found) == {"dense_1", "dense_2"}


W = np.arange(6.0)
W_BAD = (
    *(W.astype("f4"), W.astype("i8"), W.astype(complex), W.astype(object), W.astype(">f8")),
    *(np.ones(5), np.ones((2, 3)), np.array(1.0), np.ones(0), np.arange(12.0)[::2], W[::-1]),
    np.frombuffer(W.tobytes()),  # read-only
    *(np.full(6, np.nan), np.full(6, np.inf), list(W), None, "w", 3.0, {"a": W}),
)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("setting", ["w", "g", "t", "params", "grads"])
def test_optimizers(name, setting):
    kind = OPTIMIZERS[name]
    if not issubclass(kind, optimizers.Optimizer):
        return
    for bad in (*W_BAD, -1, 0, 2**31, 2**62, 2**63 - 1, True, 1.5, np.nan):
        optimizer, w, g = kind(), W.copy(), np.cos(W)
        try:
            if setting in ("params", "grads"):
                given = {"params": {"a": w}, "grads": {"a": g}} | {setting: {"a": bad}}
                answer(lambda o=optimizer, k=given: o.update(**k), name, setting, "a")
            else:
                given = {"w": w, "g": g, "state": optimizer.init(w), "t": 1} | {setting: bad}
                answer(lambda o=optimizer, k=given: o.step(**k), name, setting)
        except (Refused, FloatingPointError):
            np.testing.assert_array_equal(w, W)
        except Exception as error:
            error.add_note(f"{name} with {setting}={bad!r}")
            raise


IMAGES, ROWS = np.zeros((2, 3, 8, 8)), np.zeros((2, 3))
FOUND = [  # by these tests, or before them
    (lambda: L.Conv2D(2**62, 1), ValueError, "filters must be at most"),
    (lambda: L.Dense(2**62), ValueError, "units must be at most"),
    (
        lambda: L.Conv2D(2**30 - 1, 2**30 - 1, padding=2**29, name="big")(IMAGES),
        MemoryError,
        r'Conv2D "big": no memory for an array of shape \(1073741823, 3, 1073741823',
    ),
    (lambda: L.AdaptiveAvgPool2D(2**30 - 1)(IMAGES[:0]), MemoryError, "no memory for an array"),
    (lambda: L.MaxPool2D(2**31), ValueError, "at most 1073741823, got 2147483648"),
    (lambda: L.MaxPool2D(np.array([2, 2])), TypeError, "positive int or two of them, got array"),
    (lambda: L.Dense(2, name=5)(ROWS), TypeError, "name of a layer must be a str, got 5"),
    (lambda: L.Sequential([L.ReLU(name=5)]), TypeError, "name of a layer must be a str, got 5"),
    (lambda: L.Dense(2, dtype="a")(ROWS), ValueError, "dtype must be .* got 'a'"),
    (
        lambda: L.Dense(2)([[1], [1, 2]]),
        ValueError,
        "Dense takes arrays, got a list of unequal rows",
    ),
    (lambda: L.Dropout(10**400), ValueError, r"p must be in \[0, 1\], got 10000"),
    (lambda: L.Dropout(np.array([0.5])), TypeError, r"p must be a number in \[0, 1\], got array"),
    (lambda: losses.Huber(reduction=np.ones(2)), ValueError, "reduction must be one of"),
    (lambda: losses.CrossEntropy(class_weight=np.array(1)), TypeError, "class_weight must be"),
    (lambda: initializers.HeNormal()((-1, 2), Random()), ValueError, "of shape must be at least 0"),
    (lambda: initializers.Zeros()(5, Random()), TypeError, "shape must be a tuple of ints, got 5"),
    (lambda: Random(-1), ValueError, "seed must be at least 0, got -1"),
    (lambda: metrics.f1_score(ROWS, ROWS, np.ones(2)), ValueError, "average must be one of"),
]


@pytest.mark.parametrize(("call", "error", "message"), FOUND)
def test_what_was_found(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("initializer", [initializers.HeNormal, np.zeros.__class__, 5, None])
@pytest.mark.parametrize("make", [L.Dense, L.DropConnect, lambda n, **k: L.Conv2D(n, 1, **k)])
def test_an_initializer_is_a_name_or_an_object(make, initializer):
    if make is L.DropConnect:
        make = lambda n, **k: L.DropConnect(n, 0.5, **k)  # noqa: E731
    with pytest.raises(TypeError, match="initializer must be"):
        make(2, initializer=initializer)


def test_a_refused_batch_moves_no_buffer():
    net = L.Sequential([L.Dropout(0.5), L.BatchNorm(), L.Dense(2)])
    net(np.ones((4, 3)))
    before = state(net)
    for x, message in (
        (np.ones((2, 3, 4, 4)), "Dense .* takes inputs of 3 numbers"),
        (np.ones((1, 3)), "BatchNorm .* needs more than 1 value per channel in training"),
        (np.ones(1), "BatchNorm .* takes 2 or 3 or 4 dimensional input"),
    ):
        with pytest.raises(ValueError, match=message):
            net.forward(x, training=True)
        assert state(net) == before


def test_a_last_batch_of_one_is_refused_before_the_first_step():
    net = L.Sequential([L.Dense(4), L.BatchNorm(), L.Dense(2)])
    model = dfs.Model(net, losses.CrossEntropy(), dfs.optimizers.SGD())
    x, y = np.ones((9, 3), np.float32), np.zeros(9, int)
    for batch_size in (1, 2, 4, 8):
        with pytest.raises(ValueError, match=r"more than 1 value .* the last batch of an epoch"):
            model.fit(x, y, batch_size, verbose=0)
        assert model.steps == 0
    assert model.fit(x, y, 3, verbose=0)


def test_numbers_that_are_not_finite_give_no_warning():
    x = np.full((2, 3), np.inf, np.float32)
    for layer in (L.BatchNorm(1), L.Dropout(1, scaling="test"), L.GaussianNoise(1e300)):
        for training in (True, False):
            y, cache = layer.forward(x, training)
            if not (training and isinstance(layer, L.Dropout)):  # which drops all of it
                assert not np.isfinite(y).any()
            assert layer.backward(x, cache).shape == x.shape


def test_layer_norm_of_images_without_channels():
    layer = L.LayerNorm()
    y, cache = layer.forward(np.zeros((2, 0, 5, 4)))
    assert y.shape == (2, 0, 5, 4)
    assert layer.backward(y, cache).shape == y.shape
    assert layer(np.ones((2, 3, 5, 4))).shape == (2, 3, 5, 4)
