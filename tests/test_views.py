"""Views at prediction: against the mean by hand, in all methods of a model, what they refuse."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import reference
from deepfs.augment import Views
from deepfs.data import Loader

EVERY = [Views(), Views(False, 1), Views.mirror_and_shift(), Views(shift=3)]


@pytest.fixture
def data(rng):
    return rng.integers(0, 256, (20, 3, 7, 6), np.uint8), rng.integers(0, 3, 20)


def model(data, loss=None, dtype="float64", **settings):
    """A trained model on raw pixels, with a preprocessing and class names."""
    layers = [L.Conv2D(4, 3), L.BatchNorm(), L.ReLU(), L.Flatten(), L.Dense(3)]
    net = L.Sequential(layers, dtype=dtype)
    made = dfs.Model(
        net, loss or dfs.losses.CrossEntropy(), dfs.optimizers.Adam(0.01), seed=0,
        preprocess=dfs.preprocessing.Rescale(1 / 255), class_names=["a", "b", "c"], **settings,
    )  # fmt: skip
    made.fit(*data, 10, verbose=0)
    return made


def by_hand(made, x, views):
    """Each preprocessed image alone, each view of it by the definition."""
    parts = [
        sum(weight * made.network(view[None])
            for weight, view in reference.views(image, views.mirror, views.shift))
        for image in made.preprocess(x)
    ]  # fmt: skip
    return np.concatenate(parts)


@pytest.mark.parametrize("views", EVERY, ids=repr)
def test_is_the_mean_of_the_outputs(views, data):
    made, (x, y) = model(data), data
    wanted = by_hand(made, x, views)
    outputs = made.predict(x, 7, views=views)
    assert_allclose(outputs, wanted, rtol=1e-12, atol=1e-13)
    assert np.abs(outputs - made.predict(x)).max() > 1e-3
    e = np.exp(wanted)
    p = e / e.sum(axis=1, keepdims=True)
    assert_allclose(made.predict_proba(x, views=views), p, rtol=1e-12)
    assert_array_equal(made.predict_classes(x, views=views), wanted.argmax(1))
    names = np.array(["a", "b", "c"])[wanted.argmax(1)]
    assert_array_equal(made.predict_labels(x, views=views), names)
    loss, accuracy = -np.log(p[np.arange(20), y]).mean(), (wanted.argmax(1) == y).mean()
    measured = made.evaluate(x, y, 6, views=views)
    assert measured == pytest.approx({"loss": loss, "accuracy": accuracy}, rel=1e-12)
    report = made.evaluate(x, y, report=True, views=views)
    assert report.accuracy == pytest.approx(accuracy)


def test_weights_add_up_to_one_and_count():
    for views, count in zip(EVERY, (2, 3, 6, 6), strict=True):
        seen = reference.views(np.zeros((1, 5, 5)), views.mirror, views.shift)
        assert len(seen) == count
        assert sum(weight for weight, _ in seen) == 1
        assert_array_equal(views(lambda x: x.mean((1, 2, 3)), np.ones((2, 1, 5, 5))), [1, 1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_takes_loaders_and_keeps_the_dtype(dtype, data):
    made, views = model(data, dtype=dtype), Views.mirror_and_shift()
    outputs = made.predict(data[0], views=views)
    assert outputs.dtype == dtype
    loader = Loader(data, batch_size=8)
    assert_allclose(made.predict(loader, views=views), outputs, rtol=2e-5, atol=1e-6)
    measured, alone = (made.evaluate(*given, views=views) for given in ((loader,), data))
    assert measured == pytest.approx(alone, rel=1e-5)


def test_outputs_in_a_dict(rng):
    x = L.Input((1, 4, 4))
    flat = L.Flatten()(x)
    net = dfs.Graph(x, {"a": L.Dense(2)(flat), "b": L.Dense(3)(flat)})
    losses = {"a": dfs.losses.CrossEntropy(), "b": dfs.losses.MeanSquaredError()}
    made, images = dfs.Model(net, losses, dfs.optimizers.SGD()), rng.random((5, 1, 4, 4))
    both = made.predict(images, views=Views())
    one, other = made.predict(images), made.predict(images[..., ::-1].copy())
    for name in ("a", "b"):
        assert_allclose(both[name], (one[name] + other[name]) / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda m, x: Views(False), ValueError, "must mirror or shift, got mirror=False, shift=0"),
        (lambda m, x: Views(shift=-1), ValueError, "shift must be at least 0, got -1"),
        (lambda m, x: Views(2), TypeError, "mirror must be"),
        (lambda m, x: m.predict(x, views=True), TypeError, "got True: write augment.Views()"),
        (lambda m, x: m.evaluate(x, x[:, 0, 0, 0], views=Views), TypeError, "views must be views"),
        (lambda m, x: m.predict(x, views=Views(shift=6)), ValueError, r"shift=6, got \(20, 3, 7"),
    ],
)
def test_refuses(act, error, message, data):
    with pytest.raises(error, match=message):
        act(model(data), data[0])


def test_views_are_of_images(rng):
    made = dfs.Model(L.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    with pytest.raises(ValueError, match=r"takes images \(n, c, h, w\) larger .* got \(4, 3\)"):
        made.predict(rng.random((4, 3)), views=Views())
