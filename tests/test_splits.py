"""Splits and cross-validation: who is where, what is refused, nothing leaks."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs.data import KFold, StratifiedKFold, train_test_split
from deepfs.data.batches import DataSet
from deepfs.data.splits import validation_numbers
from deepfs.preprocessing import Standardize

rng = np.random.default_rng(0)
Y = np.repeat([0, 1, 2], [60, 30, 10])  # sorted, which a split by position would not survive
X = rng.normal(size=(100, 4)) + Y[:, None]


def test_train_test_split_is_a_partition_and_repeats():
    x1, x2, y1, y2 = train_test_split(X, Y, test_size=0.25, seed=3)
    assert (len(x1), len(x2)) == (75, 25)
    assert_array_equal(np.sort(np.concatenate([x1, x2]), axis=0), np.sort(X, axis=0))
    for x, y in ((x1, y1), (x2, y2)):  # inputs and targets stay together
        rows = [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in x]
        assert_array_equal(Y[rows], y)
    again = train_test_split(X, Y, test_size=0.25, seed=3)
    for a, b in zip(again, (x1, x2, y1, y2), strict=True):
        assert_array_equal(a, b)
    assert (train_test_split(X, Y, seed=4)[0] != x1).any()
    assert (np.diff(y1) < 0).any()  # shuffled


def test_stratified_parts_have_the_same_shares():
    _, _, y1, y2 = train_test_split(X, Y, test_size=0.2, stratify=Y, seed=0)
    assert_array_equal(np.bincount(y2), [12, 6, 2])
    assert_array_equal(np.bincount(y1), [48, 24, 8])
    _, _, _, y2 = train_test_split(X, Y, test_size=7, stratify=Y, seed=0)
    assert_array_equal(np.bincount(y2), [4, 2, 1])  # 4.2, 2.1 and 0.7 samples


def test_split_in_order_and_of_other_kinds():
    _, x2, _, y2 = train_test_split(X, list(Y), test_size=0.1, shuffle=False)
    assert_array_equal(x2, X[90:])
    assert y2 == list(Y[90:])
    a, b = train_test_split(DataSet(X, Y), test_size=30, stratify=Y, seed=0)
    assert (a.samples, b.samples) == (70, 30)
    assert a.shapes() == {"inputs": [70, 4], "targets": [70]}
    assert_array_equal(np.bincount(b.take(slice(None)).y), [18, 9, 3])


def test_shares_are_rounded_up_as_in_scikit_learn():
    for n, size, test in ((10, 0.25, 3), (10, 0.3, 3), (100, 0.07, 7), (5, 0.99, 4)):
        assert len(train_test_split(np.arange(n), test_size=size)[1]) == test


def test_k_folds_are_partitions():
    for n in (10, 11, 14):
        folds = list(KFold(4, seed=1).split(np.zeros(n)))
        tests = np.concatenate([test for _, test in folds])
        assert_array_equal(np.sort(tests), np.arange(n))
        sizes = [len(test) for _, test in folds]
        assert max(sizes) - min(sizes) <= 1
        for train, test in folds:
            assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(n))


def test_stratified_folds_have_each_class_to_within_one_sample():
    for seed in range(3):
        counts = [
            np.bincount(Y[t], minlength=3) for _, t in StratifiedKFold(4, seed=seed).split(X, Y)
        ]
        assert np.ptp(counts, axis=0).max() <= 1
        assert np.ptp(np.sum(counts, axis=1)) <= 1
    assert_array_equal(np.sum(counts, axis=0), [60, 30, 10])


def test_folds_by_scikit_learn_without_shuffling():
    theirs = pytest.importorskip("sklearn.model_selection")
    for (a, b), (c, d) in zip(KFold(3, False).split(X), theirs.KFold(3).split(X), strict=True):
        assert_array_equal(a, c)
        assert_array_equal(b, d)


SPLITS_REFUSED = [
    (lambda: train_test_split(X, Y[:5]), "one length, got \\[100, 5\\]"),
    (lambda: train_test_split(X, test_size=1.5), r"test_size must be in \(0, 1\)"),
    (lambda: train_test_split(X, test_size=100), "test_size must be at most 99"),
    (lambda: train_test_split(X, stratify=Y, shuffle=False), "keeps the order"),
    (lambda: train_test_split(X, stratify=Y, test_size=2), r"class 2 \(10 samples\) out of"),
    (lambda: train_test_split(X[:3], stratify=[0, 0, 1]), r"class 1 \(1 sample\) out of the test"),
    (lambda: train_test_split(X, stratify=X[:, 0]), "stratifies by labels, got numbers"),
    (lambda: KFold(1), "n_splits must be at least 2"),
    (lambda: KFold(5).split(X[:3]), "5 folds needs as many samples, got 3"),
    (lambda: StratifiedKFold(11).split(X, Y), r"fewer of class 2 \(10 samples\)"),
    (lambda: StratifiedKFold(3).split(X), "needs the labels"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "text"), SPLITS_REFUSED)
def test_refuses(act, text):
    with pytest.raises((TypeError, ValueError), match=text):
        act()


# validation_split


def make(outputs=3, loss="cross_entropy", **settings):
    net = dfs.layers.Dense(outputs)
    return dfs.Model(net, loss, dfs.optimizers.SGD(0.1), seed=0, **settings)


def test_validation_split_is_stratified_and_always_the_same():
    train, rest, lacking = validation_numbers(DataSet(X, Y), 0.1, True, None)
    assert_array_equal(np.bincount(Y[rest]), [6, 3, 1])
    assert not lacking
    assert_array_equal(np.sort(np.concatenate([train, rest])), np.arange(100))
    by_hand, split = make(), make()
    dfs.set_seed(5)
    a = split.fit(X, Y, epochs=2, validation_split=0.1, verbose=0)
    b = by_hand.fit(X[train], Y[train], epochs=2, validation_data=(X[rest], Y[rest]), verbose=0)
    assert a == b
    assert "val_accuracy" in a.history
    one_hot = np.eye(3)[Y]
    assert_array_equal(validation_numbers(DataSet(X, one_hot), 0.1, True, None)[1], rest)


def test_validation_split_of_yes_or_no_and_of_numbers():
    yes = (Y == 2).astype(float)[:, None]
    rest = validation_numbers(DataSet(X, yes), 0.2, True, None, True)[1]
    assert yes[rest].sum() == 2
    make(1, "binary_cross_entropy").fit(X, yes, validation_split=0.2, verbose=0)
    history = make(1, "mse").fit(X, X[:, :1], validation_split=0.2, verbose=0)
    assert "val_loss" in history.history


def test_weights_are_split_along():
    weight = np.ones(100)
    train, _, _ = validation_numbers(DataSet(X, Y), 0.5, True, None)
    weight[np.setdiff1d(np.arange(100), train)] = 1e6  # would change the training
    a = make().fit(X, Y, validation_split=0.5, sample_weight=weight, verbose=0)
    b = make().fit(X, Y, validation_split=0.5, verbose=0)
    assert a["loss"] == b["loss"]
    assert a["accuracy"] == b["accuracy"]


def test_small_classes_stay_in_training_with_a_warning():
    y = np.r_[Y[:-1], 3]
    model = make(4, class_names=["a", "b", "c", "emu"])
    with pytest.warns(UserWarning, match=r"leaves emu \(1 sample\) without validation samples"):
        model.fit(X, y, validation_split=0.1, verbose=0)
    with pytest.warns(UserWarning, match=r"class 1 \(30 samples\), class 2 \(10 samples\) without"):
        make().fit(X, Y, validation_split=0.01, verbose=0)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"validation_split": 1.0}, r"validation_split must be in \(0, 1\), got 1.0"),
        ({"validation_split": 0.999}, "of 100 samples leaves a part empty"),
        ({"validation_split": 0.1, "validation_data": (X, Y)}, "got both"),
    ],
)
def test_validation_split_refuses(settings, text):
    with pytest.raises(ValueError, match=text):
        make().fit(X, Y, verbose=0, **settings)


def test_an_iterable_cannot_be_split():
    with pytest.raises(TypeError, match="an iterable cannot be split: give fit validation_data"):
        make().fit([(X, Y)], validation_split=0.1, verbose=0)


class OwnSet(DataSet):
    """As a loader: samples are made when they are asked for."""

    def __init__(self, x, y):
        super().__init__(x, y)
        self.class_names = ("a", "b", "c")
        self.epochs = set()

    def take(self, index, epoch=None, seed=0):
        self.epochs.add(epoch)
        return super().take(index)


def test_subsets_of_subsets_and_of_other_data_sets():
    data = OwnSet(X, Y)
    part = data.subset(np.arange(50, 100)).subset(np.arange(0, 50, 2))
    assert part.samples == 25
    assert_array_equal(part.take(np.array([1, 3])).x, X[[52, 56]])
    assert_array_equal(part.take(slice(0, 2)).x, X[[50, 52]])
    assert_array_equal(np.concatenate([b.y for b in part.parts(10)]), Y[50:100:2])
    assert_array_equal(part.y, Y[50:100:2])
    part.take(slice(0, 1), 7)
    assert data.epochs == {None, 7}


def test_fit_takes_a_data_set_with_its_names():
    a, b = make(preprocess=Standardize()), make(preprocess=Standardize())
    one = a.fit(OwnSet(X, Y), epochs=2, validation_split=0.2, verbose=0)
    assert one == b.fit(X, Y, epochs=2, validation_split=0.2, verbose=0)
    assert a.class_names == ("a", "b", "c")
    assert a.evaluate(OwnSet(X, Y)) == b.evaluate(X, Y)
    assert_array_equal(a.predict(OwnSet(X, Y)), b.predict(X))
    with pytest.raises(ValueError, match="the same numbers would mean others"):
        make(class_names=["b", "a", "c"]).fit(OwnSet(X, Y), verbose=0)


# cross-validation


def build():
    net = dfs.layers.Sequential([dfs.layers.Dense(8), dfs.layers.ReLU(), dfs.layers.Dense(3)])
    return dfs.Model(net, "cross_entropy", dfs.optimizers.Adam(0.05), preprocess=Standardize())


def test_cross_validate_measures_on_the_other_fold():
    models = []

    def remembered():
        models.append(build())
        return models[-1]

    result = dfs.cross_validate(remembered, X, Y, k=4, seed=1, epochs=3)
    assert len(models) == len(result.scores) == len(result.histories) == 4
    for model, score, (train, test) in zip(models, result.scores, result.folds, strict=True):
        assert_array_equal(model.preprocess.mean, Standardize().fit(X[train]).mean)
        assert score == model.evaluate(X[test], Y[test])
        assert np.ptp(np.bincount(Y[test]) - np.array([15, 7.5, 2.5])) <= 1
    accuracies = [score["accuracy"] for score in result.scores]
    assert result["accuracy"] == accuracies
    assert result.mean["accuracy"] == pytest.approx(sum(accuracies) / 4)
    assert result.std["accuracy"] == pytest.approx(np.std(accuracies))
    last = repr(result).splitlines()[-2].split()
    assert last == ["mean", f"{result.mean['loss']:.4g}", f"{result.mean['accuracy']:.4g}"]


def test_cross_validation_repeats_with_its_seed_and_leaves_the_process_alone():
    dfs.set_seed(3)
    state = dfs.random.get_state()
    a = dfs.cross_validate(build, X, Y, k=3, seed=1, epochs=2)
    assert dfs.random.get_state() == state
    assert a.scores == dfs.cross_validate(build, OwnSet(X, Y), k=3, seed=1, epochs=2).scores
    assert a.scores != dfs.cross_validate(build, X, Y, k=3, seed=2, epochs=2).scores


def test_cross_validation_of_numbers_and_with_weights():
    def build():
        return dfs.Model(dfs.layers.Dense(1), "mse", dfs.optimizers.Adam(0.05))

    result = dfs.cross_validate(build, X, X[:, :1], k=2, seed=0, sample_weight=np.arange(100.0))
    assert {*result.mean} == {"loss"}
    plain = dfs.cross_validate(build, X, X[:, :1], k=2, seed=0)
    assert plain.mean != result.mean


def shared():
    one = build()
    return lambda: one


def with_fitted():
    scaler = Standardize()
    return lambda: make(preprocess=scaler)


CV_REFUSED = [
    (lambda: dfs.cross_validate(build(), X, Y), TypeError, "a function that returns a Model"),
    (lambda: dfs.cross_validate(shared(), X, Y, k=2), ValueError, "return a new model each time"),
    (lambda: dfs.cross_validate(with_fitted(), X, Y, k=2), ValueError, "make the preprocessing in"),
    (lambda: dfs.cross_validate(build, X, Y, k=1), ValueError, "k must be at least 2"),
    (lambda: dfs.cross_validate(build, X), TypeError, "needs targets y"),
    (lambda: dfs.cross_validate(build, X, Y[:9]), ValueError, "as many targets as inputs"),
    (lambda: dfs.cross_validate(build, X, Y, k=11), ValueError, r"class 2 \(10 samples\)"),
    (lambda: dfs.cross_validate(build, X, Y, validation_data=(X, Y)), TypeError, "takes no valida"),
    (lambda: dfs.cross_validate(lambda: 1, X, Y), TypeError, "must return a Model, got 1"),
]


@pytest.mark.parametrize(("act", "error", "text"), CV_REFUSED)
def test_cross_validation_refuses(act, error, text):
    with pytest.raises(error, match=text):
        act()


def test_cross_validation_refuses_a_preprocessing_that_folds_share():
    data = OwnSet(X, Y)
    data.preprocess = Standardize().fit(X)
    with pytest.raises(ValueError, match="which all folds would share: give it to the Model"):
        dfs.cross_validate(build, data, k=2)
