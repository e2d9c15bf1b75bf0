"""Estimators for scikit-learn: its own checks, and what its users do with estimators."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification, make_regression
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import deepfs as dfs
from deepfs import layers as L
from deepfs.sklearn import CNNClassifier, CNNRegressor, MLPClassifier, MLPRegressor

KINDS = [MLPClassifier, MLPRegressor, CNNClassifier, CNNRegressor]


@pytest.mark.filterwarnings("ignore")  # the checks cause some on purpose
@parametrize_with_checks([kind() for kind in KINDS])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def classes():
    X, y = make_classification(300, 8, n_informative=6, n_classes=3, class_sep=2, random_state=0)
    return X, np.array(["red", "green", "blue"])[y]


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600] / 16, y[:600]


def test_a_pipeline_and_a_search_over_it(classes):
    """Case: clone and cross_val_score on a Model had no get_params and no score."""
    X, y = classes
    pipeline = make_pipeline(
        StandardScaler(), MLPClassifier(max_iter=30, batch_size=50, random_state=0)
    )
    scores = cross_val_score(pipeline, X * 50 + 7, y, cv=3)
    assert scores.min() > 0.7
    search = GridSearchCV(
        pipeline,
        {"mlpclassifier__hidden_layer_sizes": [(2,), (50,)], "mlpclassifier__alpha": [0.0, 10.0]},
        cv=3,
    ).fit(X * 50 + 7, y)
    assert search.best_params_ == {
        "mlpclassifier__hidden_layer_sizes": (50,), "mlpclassifier__alpha": 0.0,
    }  # fmt: skip
    assert search.score(X * 50 + 7, y) == accuracy_score(y, search.predict(X * 50 + 7)) > 0.8


def test_clone_has_settings_and_no_weights(classes):
    X, y = classes
    fitted = MLPClassifier((7,), activation="tanh", max_iter=2, random_state=1).fit(X, y)
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    assert not hasattr(copied, "model_")
    again = copied.fit(X, y)
    assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    other = clone(fitted).set_params(random_state=2).fit(X, y)
    assert (other.predict_proba(X) != fitted.predict_proba(X)).any()


def test_text_labels_probabilities_and_their_order(classes):
    X, y = classes
    model = MLPClassifier(max_iter=50, random_state=0).fit(X, y)
    assert_array_equal(model.classes_, ["blue", "green", "red"])
    p = model.predict_proba(X)
    assert_allclose(p.sum(axis=1), 1)
    assert_array_equal(model.predict(X), model.classes_[p.argmax(axis=1)])
    assert (model.predict(X) == y).mean() == model.score(X, y) > 0.9
    with pytest.raises(ValueError, match=r"knows the classes.*got 'pink' in sample 1"):
        model.partial_fit(X[:2], np.array(["red", "pink"]))


@pytest.mark.parametrize("kind", [MLPRegressor, CNNRegressor])
def test_regression_of_one_and_of_several_numbers(kind):
    X, y = make_regression(200, 5, n_targets=2, random_state=0)
    y = (y - y.mean(axis=0)) / y.std(axis=0)
    model = kind(max_iter=100, learning_rate_init=0.01, random_state=0).fit(X, y)
    assert model.predict(X).shape == (200, 2)
    assert model.score(X, y) == r2_score(y, model.predict(X)) > 0.9
    one = kind(max_iter=1, random_state=0).fit(X, y[:, 0])
    assert one.predict(X).shape == (200,)


def test_precision_follows_the_samples(classes):
    X, y = classes
    for dtype, expected in ((np.float32, np.float32), (np.float64, np.float64), (int, np.float64)):
        model = MLPClassifier(max_iter=1).fit(X.astype(dtype), y)
        assert model.model_.network.built_dtype == expected


def test_weights_and_class_weights(classes):
    X, y = classes
    twice = np.where(y == "red", 2.0, 1.0)
    settings = {"max_iter": 5, "random_state": 0, "batch_size": 600}
    weighted = MLPClassifier(**settings).fit(X, y, sample_weight=twice)
    by_class = MLPClassifier(class_weight={"red": 2.0}, **settings).fit(X, y)
    repeated = MLPClassifier(**settings).fit(
        np.concatenate([X, X[y == "red"]]), np.concatenate([y, y[y == "red"]])
    )
    assert_allclose(by_class.predict_proba(X), weighted.predict_proba(X))
    assert_allclose(repeated.predict_proba(X), weighted.predict_proba(X), rtol=1e-6)
    plain = MLPClassifier(**settings).fit(X, y)
    assert np.abs(plain.predict_proba(X) - weighted.predict_proba(X)).max() > 1e-3
    rare = np.concatenate([np.flatnonzero(y == "red")[:10], np.flatnonzero(y == "blue")])
    balanced = MLPClassifier(class_weight="balanced", max_iter=60, random_state=0)
    balanced.fit(X[rare], y[rare])
    assert (balanced.predict(X[rare[:10]]) == "red").all()
    with pytest.raises(ValueError, match=r"class_weight must be of the classes.*got 'pink'"):
        MLPClassifier(class_weight={"pink": 2.0}).fit(X, y)
    with pytest.raises(ValueError, match="at least one non-zero"):
        MLPClassifier().fit(X, y, sample_weight=np.zeros(300))


def test_partial_fit_is_an_epoch(classes):
    X, y = classes
    settings = {"random_state": 0, "batch_size": 50}
    whole = MLPClassifier(max_iter=3, n_iter_no_change=9, **settings).fit(X, y)
    parts = MLPClassifier(**settings)
    for _ in range(3):
        parts.partial_fit(X, y)
    assert parts.n_iter_ == whole.n_iter_ == 3
    assert parts.loss_curve_[0] == whole.loss_curve_[0]
    one = MLPClassifier(**settings).partial_fit(X[:5], y[:5], classes=["blue", "green", "red"])
    assert one.predict_proba(X).shape == (300, 3)


def test_warm_start_goes_on(classes):
    X, y = classes
    model = MLPClassifier(max_iter=4, warm_start=True, random_state=0)
    model.fit(X, y)
    first = model.model_.network.parameters()["dense_1.weight"].value.copy()
    model.fit(X, y)
    assert len(model.loss_curve_) == 8
    assert model.loss_curve_[4] < model.loss_curve_[0]
    assert (model.model_.network.parameters()["dense_1.weight"].value != first).any()
    assert len(clone(model).set_params(warm_start=False).fit(X, y).fit(X, y).loss_curve_) == 4


def test_early_stopping_keeps_the_best(classes):
    X, y = classes
    settings = {"max_iter": 400, "learning_rate_init": 0.05, "random_state": 0}
    model = MLPClassifier(early_stopping=True, validation_fraction=0.3, **settings).fit(X, y)
    assert 10 < model.n_iter_ < 400
    stopped = MLPClassifier(tol=0.5, n_iter_no_change=3, **settings).fit(X, y)
    assert stopped.n_iter_ < 20


def test_images_as_rows_as_images_and_in_a_network_of_ones_own(digits):
    X, y = digits
    settings = {"max_iter": 15, "learning_rate_init": 0.01, "random_state": 0}
    rows = CNNClassifier((8,), input_shape=(1, 8, 8), **settings).fit(X, y)
    assert rows.score(X, y) > 0.95
    as_row = CNNClassifier((8,), **settings).fit(X, y)
    kernel = as_row.model_.network.parameters()["conv2d_1.weight"].value
    assert kernel.shape == (8, 1, 1, 3)

    def network(outputs):
        return L.Sequential([L.Conv2D(4, 3), L.ReLU(), L.Flatten(), L.Dense(outputs)])

    own = CNNClassifier(network=network, input_shape=(1, 8, 8), **settings).fit(X, y)
    assert own.model_.network.parameters()["conv2d_1.weight"].value.shape == (4, 1, 3, 3)
    with pytest.raises(ValueError, match="product is the number of features, 64, got"):
        CNNClassifier(input_shape=(3, 8, 8)).fit(X, y)
    with pytest.raises(TypeError, match="must return a deepfs Layer"):
        CNNClassifier(network=lambda outputs: None).fit(X, y)


def test_pickles_and_files(classes, tmp_path):
    X, y = classes
    model = MLPClassifier(max_iter=3, random_state=0).fit(X, y)
    copied = pickle.loads(pickle.dumps(model))
    assert_array_equal(copied.predict_proba(X), model.predict_proba(X))
    model.model_.save(tmp_path / "m.safetensors")
    loaded = dfs.load(tmp_path / "m.safetensors")
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_tables():
    pandas = pytest.importorskip("pandas")
    X, y = make_classification(80, 4, random_state=0)
    table = pandas.DataFrame(X, columns=list("abcd"))
    model = MLPClassifier(max_iter=5, random_state=0).fit(table, pandas.Series(y))
    assert_array_equal(model.feature_names_in_, list("abcd"))
    assert_array_equal(model.predict(table), MLPClassifier(max_iter=5, random_state=0).fit(X, y)
                       .predict(X))  # fmt: skip
    with pytest.raises(ValueError, match="feature names"):
        model.predict(table.rename(columns={"a": "z"}))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"activation": "swish"}, "activation must be"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
        ({"optimizer": "adan"}, "adam"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate_init": -1.0}, "lr"),
        ({"max_iter": -1}, "epochs"),
    ],
)
def test_wrong_settings_are_refused_by_fit(classes, wrong, message):
    with pytest.raises((TypeError, ValueError), match=message):
        MLPClassifier(**wrong).fit(*classes)
