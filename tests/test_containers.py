"""What people hand over as data means arrays, or is refused with the line that converts it."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.data.containers import Lazy, as_data

X, Y = np.eye(6), np.arange(6) % 3


def model(net=None, loss=None):
    dfs.set_seed(0)
    return dfs.Model(
        net or L.Dense(3), loss or dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.1), metrics=()
    )


def trained(x, y):
    """Return the weights after an epoch."""
    made = model()
    made.fit(x, y, verbose=0)
    return made.network.parameters()["weight"].value.copy()


class Table:
    """Stands for a table of another library that NumPy can read."""

    def __init__(self, values, **columns):
        self.values, self.columns = values, columns

    def to_numpy(self):
        return self.values

    def __array__(self, dtype=None, copy=None):
        return self.values

    def __getitem__(self, name):
        return self.columns[name]

    def __len__(self):
        return len(self.values)


class Sparse:
    nnz, shape, dtype = 6, (6, 6), np.dtype(float)

    def toarray(self):
        return X


class Samples:
    """A data set: samples by number, pairs of input and target."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return X[index], Y[index]


class Batches:
    """A loader: batches when it is iterated over."""

    def __len__(self):
        return 3

    def __iter__(self):
        return iter([(X[i : i + 2], Y[i : i + 2]) for i in range(0, 6, 2)])


class Tensor:
    """A tensor that does not convert by itself."""

    shape, dtype = (6, 6), "float32"

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("it requires grad: use x.detach().numpy()")


class WithUnit(np.ndarray):
    unit = "m"


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X.tolist(), Y.tolist()),
        (list(X), tuple(Y)),
        (tuple(map(tuple, X)), Y.tolist()),
        (np.asfortranarray(X), Y.astype(np.int8)),
        (Table(X), Table(Y)),
        (np.ma.masked_array(X), np.ma.masked_array(Y)),
        (X.view(WithUnit).view(np.ndarray), memoryview(Y.astype(np.int64))),
    ],
)
def test_these_mean_arrays(x, y):
    assert_array_equal(trained(x, y), trained(X, Y))


def test_bool_is_0_and_1():
    yes = Y > 0
    found = []
    for x, y in ((X > 0, yes), (X.astype(np.float32), yes.astype(int))):
        made = model(L.Dense(2))
        made.fit(x, y, class_weight={1: 2.0}, verbose=0)
        found.append(made.network.parameters()["weight"].value.copy())
    assert_array_equal(*found)


def boxed():
    found = np.empty(6, object)
    found[:] = list(X)
    return found


REFUSED = {
    "sparse": (Sparse(), TypeError, r"inputs as an array, got a sparse matrix, .*inputs.toarray\("),
    "generator": ((row for row in X), TypeError, r"np\.stack\(list\(\.\.\.\)\) makes an array"),
    "map": (map(list, X), TypeError, "got an iterator, map"),
    "dict": ({"a": X}, TypeError, "got a dict of 'a': only a Graph with named"),
    "boxed": (boxed(), TypeError, r"6 objects of kind ndarray: write np\.stack\(inputs\)"),
    "objects": (X.astype(object), TypeError, r"array of object, float first.*inputs.astype\(float"),
    "missing": (np.array([[1], [None]]), TypeError, "some of them None: inputs.astype"),
    "text": (X.astype(str), TypeError, "got text: classes, inputs = np.unique"),
    "a name": ("x.npy", TypeError, "got text, 'x.npy': read the file first"),
    "none": (None, TypeError, "inputs as an array, got None"),
    "set": ({1, 2}, TypeError, "got a set, which has no order"),
    "samples": (Samples(), TypeError, r"a data set, .*Samples: deepfs\.data\.Loader\(data\)"),
    "loader": (Batches(), TypeError, r"an iterable, .*train with fit\(batches\)"),
    "masked": (
        np.ma.masked_equal(X * [[0], [0], [1], [1], [1], [1]], 1.0),
        ValueError,
        "got one in sample 2",
    ),
    "fields": (np.zeros(6, [("a", "f4")]), TypeError, "the fields 'a'.*structured_to_unstructured"),
    "dates": (np.zeros(6, "M8[D]"), TypeError, r"got datetime64\[D\]: convert it"),
    "complex": (X + 1j, TypeError, "got an array of complex128"),
    "ragged": ([[1], [1, 2]], ValueError, "a list whose entries differ in shape: crop, pad"),
    "tensor": (Tensor(), TypeError, r"it requires grad: use x\.detach\(\)"),
    "unit": (X.view(WithUnit), TypeError, r"without a unit, got .*WithUnit in m: write inputs\.va"),
    "table": (
        Table(np.array([["a", 1]], object), kind=np.array(["a"]), size=np.array([1])),
        TypeError,
        "columns of other kinds, 'kind': make numbers of them",
    ),
}


@pytest.mark.parametrize(("x", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_these_are_refused_with_the_way_out(x, error, message):
    made = model()
    with pytest.raises(error, match=message):
        made.fit(x, Y, verbose=0)
    with pytest.raises(error, match=message):
        made.predict(x)
    with pytest.raises(error, match=message):
        made.train_on_batch(x, Y)
    assert made.steps == 0
    with pytest.raises(error, match=message.replace("inputs", "targets")):
        made.fit(X, x, verbose=0) if x is not None else as_data(None, "targets")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["inputs", "targets"])
def test_what_is_not_finite_is_named_before_the_first_step(bad, where):
    x, t = np.random.default_rng(0).normal(size=(200, 6)), np.zeros((200, 1))
    {"inputs": x, "targets": t}[where][150, 0] = bad
    made = model(L.Dense(1), dfs.losses.MeanSquaredError())
    with pytest.raises(ValueError, match=rf"finite {where}, got NaN or infinity in sample 150"):
        made.fit(x, t, shuffle=False, verbose=0)
    with pytest.raises(ValueError, match="in sample 150"):
        made.evaluate(x, t)
    with pytest.raises(FloatingPointError, match=rf"the {where} have NaN or .* in sample 150 of"):
        made.train_on_batch(x, t)
    assert made.steps == 0


def test_numbers_that_the_dtype_cannot_hold():
    made = model(L.Dense(3, dtype="float32"))
    x = X.copy()
    x[2] = 1e300
    with pytest.raises(ValueError, match=r"float32 can hold, at most .* got 1e\+300 in sample 2"):
        made.predict(x)
    assert np.isfinite(model(L.Dense(3, dtype="float64")).predict(x)).all()


@pytest.mark.parametrize(
    ("y", "net", "loss", "message"),
    [
        (Y[:, None], 3, dfs.losses.CrossEntropy(), r"write y\[:, 0\]"),
        (np.eye(3, dtype=int)[Y], 3, dfs.losses.CrossEntropy(), r"write y\.astype\(float\)"),
        (Y * 1.0, 1, dfs.losses.MeanSquaredError(), r"write y\[:, None\]"),
        (Y % 2, 1, dfs.losses.BinaryCrossEntropy(), r"write y\[:, None\]"),
    ],
)
def test_targets_of_another_shape_get_the_line_that_mends_them(y, net, loss, message):
    with pytest.raises((TypeError, ValueError), match=message):
        model(L.Dense(net), loss).fit(X, y, verbose=0)


def test_inputs_without_an_axis_get_the_line_that_adds_it():
    net = L.Sequential([L.Conv2D(2, 3), L.Dense(3)])
    for use in (lambda m, x: m.fit(x, Y, verbose=0), lambda m, x: m.predict(x)):
        with pytest.raises(ValueError, match=r"takes 4 dimensional input.*x\[:, None\] adds an ax"):
            use(model(net), np.ones((6, 8, 8)))


@pytest.mark.parametrize(
    ("x", "net", "warning"),
    [
        (np.ones((6, 9, 9, 3)), L.Conv2D(2, 3, padding="same"), r"channels-last.*transpose\(0, 3"),
        (np.full((6, 1, 9, 9), 200, np.uint8), L.Conv2D(2, 3), r"write x / np\.float32\(255\)"),
    ],
)
def test_images_as_files_have_them_draw_a_warning(x, net, warning):
    made = model(L.Sequential([net, L.Dense(3)]))
    with pytest.warns(UserWarning, match=warning) as caught:
        made.fit(x, Y, verbose=0)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("x", "net"),
    [
        (np.ones((6, 9, 9, 3)), L.Flatten()),  # every order is as good as another
        (np.ones((6, 3, 9, 9)), L.Conv2D(2, 3)),
        (np.ones((6, 2, 2, 3)), L.Conv2D(2, 1)),
        (np.full((6, 1, 9, 9), 15, np.uint8), L.Conv2D(2, 3)),
    ],
)
def test_these_images_draw_none(x, net):
    model(L.Sequential([net, L.Dense(3)])).fit(x, Y, verbose=0)


class Recorded:
    """An array outside memory, which writes down how it is read."""

    def __init__(self, values):
        self.values, self.reads = values, []
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, index):
        assert isinstance(index, slice)
        self.reads.append((index.start, index.stop))
        return self.values[index]

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("read as a whole")


def test_arrays_outside_memory_are_read_by_slices(rng):
    x, y = rng.normal(size=(90, 6)), rng.integers(0, 3, 90)
    fits = []
    for take in (Recorded, np.asarray):
        made, given = model(), take(x)
        history = made.fit(given, y, batch_size=16, epochs=2, validation_data=(given, y), verbose=0)
        fits.append((history.history, made.evaluate(given, y, 16), made.predict(given, 16)))
    (history, measured, outputs), (history2, measured2, outputs2) = fits
    assert (history, measured) == (history2, measured2)
    assert_array_equal(outputs, outputs2)
    recorded = Recorded(rng.normal(size=(10**5, 20)))
    model().predict(recorded, batch_size=64)
    rows = [stop - start for start, stop in recorded.reads]
    assert max(rows) * 20 <= 2**18  # to look for what is not finite; a batch is less


def test_picked_samples_come_in_the_order_they_were_asked_for(rng):
    values = rng.normal(size=(20, 3))
    lazy = Lazy(Recorded(values), "inputs")
    for picked in (rng.permutation(20), np.array([3, 3, 4, 0, 19]), np.array([], int)):
        assert_array_equal(lazy[picked], values[picked])
    assert_array_equal(lazy[5:9], values[5:9])
    assert len(lazy[18:25]) == 2
    lazy.source.values = values[:, :2]
    with pytest.raises(ValueError, match=r"inputs\[0:2\] must be \(2, 3\), as the shape"):
        lazy[:2]


def test_memory_follows_the_batch(tmp_path):
    """A check of all samples of a large file takes a MB, not the file."""
    import tracemalloc

    path = tmp_path / "x.npy"
    np.save(path, np.zeros((4000, 3, 32, 32), np.float32))  # 49 MB
    x = np.load(path, mmap_mode="r")
    made = model(L.Sequential([L.GlobalAvgPool2D(), L.Dense(3)]))
    made.fit(x[:8], Y[[0] * 8], epochs=0, verbose=0)
    tracemalloc.start()
    made.fit(x, np.zeros(4000, int), epochs=0, verbose=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e6


def test_other_libraries():
    pandas, sparse = pytest.importorskip("pandas"), pytest.importorskip("scipy.sparse")
    frame = pandas.DataFrame(X, index=list("abcdef"))
    assert_array_equal(trained(frame, pandas.Series(Y, index=list("fedcba"))), trained(X, Y))
    with pytest.raises(TypeError, match="columns of other kinds, 'b'"):
        model().fit(pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]}), [0, 1], verbose=0)
    with pytest.raises(TypeError, match="got text: classes, targets"):
        model().fit(X, pandas.Series(list("abcabc")), verbose=0)
    with pytest.raises(ValueError, match="NaN or infinity in sample 1"):
        model().fit(pandas.DataFrame({"a": pandas.array([1, None], "Int64")}), [0, 1], verbose=0)
    for kind in (sparse.csr_matrix, sparse.coo_array):
        with pytest.raises(TypeError, match=r"write inputs\.toarray\(\)"):
            model().fit(kind(X), Y, verbose=0)
