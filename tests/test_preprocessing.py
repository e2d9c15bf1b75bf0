"""Preprocessing: right values, exactness, fitted on training data alone, applied once, kept."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import preprocessing as P

rng = np.random.default_rng(0)
IMAGES = rng.normal(3, 2, (60, 3, 4, 5))
TABLE = rng.normal(size=(80, 6)) @ rng.normal(size=(6, 6)) + 7


def parts(x, size=7):
    return lambda: (x[i : i + size] for i in range(0, len(x), size))


@pytest.mark.parametrize(
    ("per", "axes"), [("feature", 0), ("channel", (0, 2, 3)), ("all", (0, 1, 2, 3))]
)
def test_standardize_and_zero_center_by_numpy(per, axes):
    mean, std = IMAGES.mean(axes, keepdims=True), IMAGES.std(axes, keepdims=True)
    assert_allclose(P.ZeroCenter(per).fit(IMAGES)(IMAGES), IMAGES - mean, rtol=0, atol=1e-14)
    scaler = P.Standardize(per).fit(parts(IMAGES))
    assert_allclose(scaler(IMAGES), (IMAGES - mean) / std, rtol=0, atol=1e-13)
    assert scaler.mean.shape == {"feature": (3, 4, 5), "channel": (3,), "all": ()}[per]


def pca_by_svd(x):
    """Return mean, axes and variances (divided by n) by another way."""
    mean = x.mean(axis=0)
    _, s, vt = np.linalg.svd(x - mean, full_matrices=False)
    axes = vt.T
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return mean, axes * signs, s**2 / len(x)


def test_pca_and_whitening_by_svd():
    mean, axes, variance = pca_by_svd(TABLE)
    rotated = (TABLE - mean) @ axes
    pca = P.PCA(4).fit(parts(TABLE))
    assert_allclose(pca(TABLE), rotated[:, :4], rtol=0, atol=1e-10)
    assert_allclose(pca.variance_ratio, (variance / variance.sum())[:4], rtol=1e-10)
    white = rotated / np.sqrt(variance + 1e-5)
    assert_allclose(P.PCAWhitening().fit(TABLE)(TABLE), white, rtol=0, atol=1e-8)
    zca = P.ZCAWhitening(eps=0.1).fit(IMAGES)
    mean, axes, variance = pca_by_svd(IMAGES.reshape(60, -1))
    wanted = (IMAGES.reshape(60, -1) - mean) @ axes / np.sqrt(variance + 0.1) @ axes.T
    # 60 samples of 60 numbers: the last axis has no variance, and is arbitrary
    assert_allclose(zca(IMAGES), wanted.reshape(IMAGES.shape), rtol=0, atol=1e-6)


def test_by_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    scalers = pytest.importorskip("sklearn.preprocessing")
    wanted = scalers.StandardScaler().fit_transform(TABLE)
    assert_allclose(P.Standardize().fit(TABLE)(TABLE), wanted, rtol=0, atol=1e-12)
    theirs = decomposition.PCA(3).fit(TABLE)
    mine = P.PCA(3).fit(TABLE)
    assert_allclose(np.abs(mine(TABLE)), np.abs(theirs.transform(TABLE)), rtol=0, atol=1e-10)
    assert_allclose(mine.variance * 80 / 79, theirs.explained_variance_, rtol=1e-10)
    whitened = decomposition.PCA(3, whiten=True).fit_transform(TABLE)
    mine = P.PCAWhitening(3, eps=1e-12).fit(TABLE)(TABLE)
    assert_allclose(np.abs(mine), np.abs(whitened) * np.sqrt(80 / 79), rtol=0, atol=1e-9)


def test_share_of_variance_chooses_components():
    _, _, variance = pca_by_svd(TABLE)
    shares = np.cumsum(variance) / variance.sum()
    for share in (0.5, 0.9, 0.999):
        assert P.PCA(share).fit(TABLE).out_shape((6,)) == (int((shares < share).sum()) + 1,)


def test_whitened_data_has_the_identity_as_covariance():
    for kind in (P.PCAWhitening, P.ZCAWhitening):
        y = kind(eps=1e-12).fit(TABLE)(TABLE)
        assert_allclose(y.T @ y / len(y), np.eye(6), rtol=0, atol=1e-8)


def test_sums_are_exact_far_from_zero_and_for_huge_numbers():
    x = 1e9 + np.arange(1000.0)[:, None] % 2  # naive sums of squares lose it all
    scaler = P.Standardize().fit(parts(x, 33))
    assert (scaler.mean, scaler.std) == (1e9 + 0.5, 0.5)
    assert_array_equal(np.unique(scaler(x)), [-1, 1])
    huge = np.array([[1e30], [3e30]], np.float32)
    assert_allclose(P.Standardize().fit(huge)(huge), [[-1], [1]], rtol=1e-6)
    a, b = (P.Standardize().fit(parts(IMAGES, size)) for size in (1, 60))
    assert_allclose(a.mean, b.mean, rtol=1e-15)
    assert_allclose(a.std, b.std, rtol=1e-14)


def test_constant_features_become_zero_and_are_named():
    x = np.column_stack([np.arange(10.0), np.full(10, 0.1), np.full(10, 1e10)]).astype(np.float32)
    scaler = P.Standardize().fit(parts(x, 3))
    assert_array_equal(scaler.constant, [False, True, True])
    assert_array_equal(scaler(x)[:, 1:], 0)
    assert scaler(np.float32([[1, 0.1, 1e10 + 2048]]))[0, 2] == 2048


@pytest.mark.parametrize(
    "steps",
    [
        [P.Rescale(2, -1)],
        [P.Normalize((1, 2, 3), 2)],
        [P.ZeroCenter("all")],
        [P.Standardize("channel")],
        [P.Rescale(0.5), P.Standardize("channel"), P.ZeroCenter(), P.Normalize(1, (1, 2, 4))],
    ],
    ids=repr,
)
def test_affine_is_the_same_transformation(steps):
    pipeline = P.Pipeline(steps).fit(IMAGES)
    scale, shift = pipeline.affine((3, 4, 5))
    assert scale.shape == shift.shape
    assert scale.shape in ((3,), (3, 4, 5))
    if scale.ndim == 1:
        scale, shift = scale[:, None, None], shift[:, None, None]
    assert_allclose(pipeline(IMAGES), IMAGES * scale + shift, rtol=0, atol=1e-12)


def test_whitening_is_not_affine_for_a_loader():
    assert P.PCA(2).fit(TABLE).affine((6,)) is None
    assert P.Pipeline([P.Rescale(2), P.PCA(2)]).fit(TABLE).affine((6,)) is None


def test_each_step_is_fitted_to_what_is_before_it():
    pipeline = P.get([P.Rescale(10, 5), P.Standardize(), P.PCA(2)]).fit(parts(TABLE))
    standard = (TABLE - TABLE.mean(0)) / TABLE.std(0)
    assert_allclose(pipeline(TABLE), P.PCA(2).fit(standard)(standard), rtol=0, atol=1e-9)


def test_dtypes_and_the_input_stays():
    x = IMAGES.copy()
    scaler = P.Standardize().fit(x)
    assert scaler(x).dtype == np.float64
    assert scaler(x.astype(np.float32)).dtype == scaler(x.astype(int)).dtype == np.float32
    assert P.Rescale(1 / 255)(np.array([[255]], np.uint8)) == np.float32(1)
    for kind in (P.Standardize(), P.PCA(2), P.ZCAWhitening(), P.Normalize(1, 2)):
        kind.fit(x)(x)
    assert_array_equal(x, IMAGES)


def test_per_channel_takes_images_of_another_size():
    scaler = P.Standardize("channel").fit(IMAGES)
    assert scaler(np.ones((2, 3, 9, 9))).shape == (2, 3, 9, 9)


def consumed():
    iterator = iter([TABLE])
    return lambda: iterator


REFUSED = [
    (lambda: P.Rescale(0), ValueError, "scale must not be 0"),
    (lambda: P.Normalize((1, 2), (1, 2, 3)), ValueError, "got 2 and 3"),
    (lambda: P.Normalize(0, (1, 0)), ValueError, r"entry of std must be in \(0, inf\), got 0"),
    (lambda: P.Normalize((1, 2), 1)(TABLE), ValueError, "numbers for 2 channels, got .*6"),
    (lambda: P.PCAWhitening(eps=0), ValueError, "eps must be in"),
    (lambda: P.PCA(7).fit(TABLE), ValueError, "7 components needs as many .* 80 samples of 6"),
    (lambda: P.PCA().fit(TABLE[:1]), ValueError, "needs at least 2 samples, got 1"),
    (lambda: P.PCA().fit(np.zeros((2, 3, 100, 100))), ValueError, "at most 16384 .*, got 30000"),
    (lambda: P.Standardize()(TABLE), RuntimeError, "not fitted: Model.fit does it .*fit.x."),
    (lambda: P.Standardize().fit(TABLE)(IMAGES), ValueError, r"shape \(6,\), got \(3, 4, 5\)"),
    (lambda: P.Standardize("channel").fit(IMAGES)(TABLE), ValueError, "of 3 channels, got shape"),
    (lambda: P.Standardize().fit(TABLE * np.nan), ValueError, "finite inputs, got .* sample 0"),
    (lambda: P.Standardize().fit(lambda: iter([])), ValueError, "at least 1 sample, got none"),
    (lambda: P.Standardize().fit(lambda: iter([TABLE, IMAGES])), ValueError, "one shape"),
    (lambda: P.Standardize().fit(consumed()), RuntimeError, "got 80, then 0: .* not an iterator"),
    (lambda: P.get(P.Standardize), TypeError, r"write Standardize\(\)"),
    (lambda: P.get(np.log), TypeError, "a function would not be in the file"),
    (lambda: P.get("standardize"), TypeError, "must be of deepfs.preprocessing"),
    (lambda: P.Pipeline([]), TypeError, "at least 1"),
    (lambda: P.Pipeline([one := P.Rescale(2), one]), ValueError, "got one twice"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "error", "text"), REFUSED)
def test_refuses(act, error, text):
    with pytest.raises(error, match=text):
        act()


def test_settings_do_not_change_once_fitted():
    scaler = P.Standardize().fit(TABLE)
    with pytest.raises(AttributeError, match="per cannot change: it has been fitted"):
        scaler.per = "all"
    scaler.reset()
    scaler.per = "all"
    assert not scaler.fitted


# in a model


def make(preprocess=None, **settings):
    net, sgd = dfs.layers.Dense(2), dfs.optimizers.SGD(0.1)
    return dfs.Model(net, "cross_entropy", sgd, seed=0, preprocess=preprocess, **settings)


LABELS = (TABLE[:, 0] > 7).astype(int)


def test_a_model_with_it_is_a_model_of_prepared_inputs():
    """Applied exactly once by each method: bit for bit."""
    scaler = P.Standardize().fit(TABLE)
    x = scaler(TABLE)
    mine, plain = make(P.Standardize()), make()
    a = mine.fit(TABLE, LABELS, epochs=3, verbose=0, validation_data=(TABLE[:9], LABELS[:9]))
    b = plain.fit(x, LABELS, epochs=3, verbose=0, validation_data=(x[:9], LABELS[:9]))
    assert a == b
    assert mine.preprocess.fitted
    assert mine.train_on_batch(TABLE[:8], LABELS[:8]) == plain.train_on_batch(x[:8], LABELS[:8])
    assert mine.evaluate(TABLE, LABELS) == plain.evaluate(x, LABELS)
    assert_array_equal(mine.predict(TABLE), plain.predict(x))
    assert_array_equal(mine.predict_proba(TABLE, 7), plain.predict_proba(x, 7))
    assert_array_equal(mine.predict(TABLE.tolist()), plain.predict(x))
    batches = [(TABLE[i : i + 20], LABELS[i : i + 20]) for i in range(0, 80, 20)]
    prepared = [(scaler(u), v) for u, v in batches]
    assert mine.fit(batches, verbose=0) == plain.fit(prepared, verbose=0)
    report = mine.evaluate(TABLE, LABELS, report=True)
    assert report["loss"] == mine.evaluate(TABLE, LABELS)["loss"]


def test_it_is_fitted_to_the_training_part_alone():
    model = make(P.Standardize())
    model.fit(TABLE, LABELS, validation_split=0.25, verbose=0)
    train, rest, _ = dfs.data.splits.validation_numbers(
        dfs.data.batches.DataSet(TABLE, LABELS), 0.25, True, None
    )
    assert (len(train), len(rest)) == (60, 20)
    assert_allclose(model.preprocess.mean, TABLE[train].mean(0), rtol=1e-14)
    before = model.preprocess.mean.copy()
    model.fit(TABLE[:20], LABELS[:20], verbose=0)  # fitted once
    assert_array_equal(model.preprocess.mean, before)


def test_it_may_change_the_shape():
    model = make([P.Rescale(0.1), P.PCA(3)])
    model.fit(TABLE, LABELS, verbose=0)
    assert model.network.in_shape == (3,)
    assert model.predict(TABLE).shape == (80, 2)


def test_integers_of_images_are_no_surprise_with_it():
    images = rng.integers(0, 256, (20, 1, 4, 4), np.uint8)
    net = dfs.layers.Sequential([dfs.layers.Flatten(), dfs.layers.Dense(2)])
    model = dfs.Model(net, "cross_entropy", dfs.optimizers.SGD(), preprocess=P.Rescale(1 / 255))
    model.fit(images, np.arange(20) % 2, verbose=0)  # no warning, and a warning is an error here
    assert model.network.built_dtype == np.float32


def test_before_fit_it_must_be_fitted():
    model = make(P.Standardize())
    for act in (
        lambda: model.predict(TABLE),
        lambda: model.evaluate(TABLE, LABELS),
        lambda: model.train_on_batch(TABLE, LABELS),
    ):
        with pytest.raises(RuntimeError, match=r"Standardize\(\) is not fitted: Model.fit"):
            act()
    with pytest.raises(
        RuntimeError, match=r"cannot fit Standardize.* to an iterable: fit it before"
    ):
        model.fit([(TABLE, LABELS)], verbose=0)
    test = model.lr_find(TABLE, LABELS, steps=5)  # fits a copy
    assert not model.preprocess.fitted
    assert len(test.lrs) == 5


def test_an_error_in_fit_leaves_it_unfitted():
    model = make(P.Standardize())
    with pytest.raises(ValueError, match="labels from 0 to 1"):
        model.fit(TABLE, LABELS + 5, verbose=0)
    assert not model.preprocess.fitted


def test_several_inputs_are_refused():
    a, b = dfs.layers.Input((2,), name="a"), dfs.layers.Input((2,), name="b")
    net = dfs.Graph({"a": a, "b": b}, dfs.layers.Dense(2)(dfs.layers.Add()([a, b])))
    with pytest.raises(ValueError, match="of inputs that are one array, got a network of several"):
        dfs.Model(net, "cross_entropy", dfs.optimizers.SGD(), preprocess=P.Rescale(2))


class Fifths(P.Preprocess):
    def _apply(self, x):
        return x / 5


FILES = [
    P.Standardize(),
    [P.Rescale(0.5), P.Standardize("channel")],
    P.PCA(0.9),
    P.ZCAWhitening(eps=0.1),
    [P.Normalize(7, 2), P.PCAWhitening(3)],
    Fifths(),
]


@pytest.mark.parametrize("preprocess", FILES, ids=repr)
def test_files_keep_it(preprocess, tmp_path):
    model = make(preprocess)
    model.fit(TABLE, LABELS, verbose=0, checkpoint=tmp_path / "run")
    model.save(tmp_path / "m.safetensors")
    paths = [tmp_path / "m.safetensors", *(tmp_path / "run").iterdir()]
    for path in paths:
        loaded = dfs.load(path, layers=[Fifths])
        assert repr(loaded.preprocess) == repr(model.preprocess)
        assert_array_equal(loaded.predict(TABLE), model.predict(TABLE))


def test_a_resumed_run_has_the_same_bits(tmp_path):
    whole = make(P.Standardize())
    history = whole.fit(TABLE, LABELS, 16, 4, validation_split=0.2, verbose=0)
    for epochs in (2, 4):
        model = make(P.Standardize())
        again = model.fit(TABLE, LABELS, 16, epochs, validation_split=0.2, verbose=0,
                          checkpoint=tmp_path, resume=True)  # fmt: skip
    assert again == history
    assert_array_equal(model.predict(TABLE), whole.predict(TABLE))
    with pytest.raises(dfs.CheckpointError, match="preprocess"):
        make(P.ZeroCenter()).fit(TABLE, LABELS, 16, 5, validation_split=0.2, verbose=0,
                                 checkpoint=tmp_path, resume=True)  # fmt: skip


def test_swa_recomputes_statistics_of_prepared_inputs():
    dfs.set_seed(0)
    net = dfs.layers.Sequential([dfs.layers.BatchNorm(), dfs.layers.Dense(2)])
    model = dfs.Model(net, "cross_entropy", dfs.optimizers.SGD(), preprocess=P.Standardize())
    swa = dfs.callbacks.SWA(0, data=TABLE)
    model.fit(TABLE, LABELS, verbose=0, callbacks=swa)
    with swa.swapped():
        mean = next(b for name, b in net.buffers().items() if "running_mean" in name)
        assert_allclose(mean, 0, atol=1e-10)


@pytest.mark.parametrize(
    ("preprocess", "name", "change"),
    [
        (P.Standardize(), "std", lambda a: -a),
        (P.Standardize(), "std", lambda a: a[:3]),
        (P.Standardize("all"), "mean", lambda a: a.reshape(1)),
        (P.PCA(3), "axes", lambda a: a[:, :2]),
        (P.PCA(3), "variance", lambda a: a * np.nan),
        (P.PCA(3), "total", lambda a: a.astype(np.float32)),
    ],
)
def test_arrays_of_a_changed_file_are_refused(preprocess, name, change):
    arrays = preprocess.fit(TABLE).arrays()
    fresh = type(preprocess)()
    if isinstance(preprocess, P.Standardize):
        fresh.per = preprocess.per
    with pytest.raises(ValueError, match="must"):
        fresh.load_arrays(arrays | {name: change(arrays[name])})
    assert not fresh.fitted
    with pytest.raises(ValueError, match="needs the arrays"):
        fresh.load_arrays({"other": arrays[name]})
    fresh.load_arrays(arrays)
    assert_array_equal(fresh(TABLE), preprocess(TABLE))


def test_it_is_shown():
    model = make(P.Standardize(), class_names=["no", "yes"])
    assert "preprocess: Standardize(), not fitted yet" in repr(model)
    assert "classes: no, yes" in repr(model)
