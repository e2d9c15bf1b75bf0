"""Progressive resizing: sizes by formula, images against NumPy, training, resuming, refusals."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import augment as A
from deepfs import layers as L
from deepfs import reference

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (30, 1, 16, 12), dtype=np.uint8)
LABELS = np.arange(30) % 3
SEEN = []


def network(*body):
    return L.Sequential(
        [L.Conv2D(4, 3, padding=1), L.BatchNorm(), L.ReLU(), *body, L.GlobalAvgPool2D(), L.Dense(3)]
    )


class Sizes(L.Layer):
    """A layer that notes the shapes of its inputs in training."""

    def _out_shape(self, in_shape):
        return in_shape

    def _forward(self, x, training):
        if training:
            SEEN.append(x.shape)
        return x.copy(), None

    def _backward(self, dy, cache, need_dx):
        return dy.copy() if need_dx else None


@pytest.mark.parametrize(
    ("resizing", "side", "sizes"),
    [
        (A.ProgressiveResizing(4), 32, [16, 20, 24, 28, 32, 32]),
        (A.ProgressiveResizing(4), 28, [16, 16, 20, 24, 28, 28]),  # 14, 17.5, 21, 24.5
        (A.ProgressiveResizing(2, 0.25, 1), 30, [8, 19, 30]),  # 7.5, 18.75
        (A.ProgressiveResizing(1, 0.01, 4), 30, [4, 30]),  # at least one increment
        (A.ProgressiveResizing(2, 0.9, 8), 12, [8, 8, 12]),  # 10.8, 11.4
        (A.ProgressiveResizing(1, 0.5, 64), 20, [20, 20]),  # at most the whole
        (A.ProgressiveResizing(1), 29, [16, 29]),  # which is no multiple
        (A.ProgressiveResizing(3, 1.0), 30, [30, 30]),  # not rounded up beyond it
    ],
)
def test_sizes_follow_the_formula(resizing, side, sizes):
    assert [resizing.size(side, 2 * side, e)[0] for e in range(len(sizes))] == sizes
    assert resizing.size(side, 40, 99) == (side, 40)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [0.25, 0.5, 0.7, 0.95])
def test_images_are_those_of_the_reference(dtype, scale, rng):
    x = rng.standard_normal((3, 5, 16, 13)).astype(dtype)
    resizing = A.ProgressiveResizing(1, scale, 1)
    y = A.pipeline(resizing).resize(x, 0)
    size = resizing.size(16, 13, 0)
    assert y.shape == (3, 5, *size)
    assert y.dtype == dtype
    assert_allclose(y, reference.shrink(x, size), rtol=1e-5, atol=1e-6)
    flat = A.pipeline(resizing).resize(np.full_like(x, 3), 0)
    assert_allclose(flat, 3, rtol=1e-6)  # the weights sum to 1
    assert A.pipeline(resizing).resize(x, 1) is x


def test_by_hand():
    x = np.array([[[[0.0, 0, 0, 8]]]])  # a pixel of the result is 2 wide, its triangle 4
    y = A.ProgressiveResizing(1, 0.5, 1).resized(x.repeat(2, axis=2), 0)
    # centre 2.5; distances 1.5, 0.5, 0.5 and those of pixel 0 beyond 1: weights 1/4, 3/4, 3/4
    assert_allclose(y, [[[[0.0, 8 * 0.75 / 1.75]]]])


def test_the_loader_resizes_after_the_preprocessing_in_training_alone():
    augment = [A.RandomCrop(1), A.ProgressiveResizing(2), A.MixUp(0.4)]
    loader = dfs.data.Loader((IMAGES, LABELS), 10, augment=augment,
                             preprocess=dfs.preprocessing.Standardize())  # fmt: skip
    loader.preprocess.fit(IMAGES)  # a mean and a deviation for each pixel
    numbers = np.array([3, 29, 4])
    small, whole = loader.take(numbers, 0, 7), loader.take(numbers, 2, 7)
    assert small.x.shape == (3, 1, 8, 8)  # 6 of 12 columns are rounded to 8
    assert whole.x.shape == (3, 1, 16, 12)
    assert loader.take(numbers).x.shape == (3, 1, 16, 12)
    plain = dfs.data.Loader((IMAGES, LABELS), augment=[A.RandomCrop(1)],
                            preprocess=loader.preprocess)  # fmt: skip
    wanted = reference.shrink(plain.take(numbers, 0, 7).x, (8, 8))
    alone = dfs.data.Loader((IMAGES, LABELS), augment=augment[:2], preprocess=loader.preprocess)
    assert_allclose(alone.take(numbers, 0, 7).x, wanted, rtol=1e-5, atol=1e-5)


def fit(folder=None, stop=None, resume=False):
    """Return the weights of a training on images that grow, perhaps stopped after some steps."""
    SEEN.clear()
    model = dfs.Model(network(Sizes()), "cross_entropy", "adam", seed=2)
    loader = dfs.data.Loader((IMAGES / np.float32(255), LABELS), 10, augment=[
        A.RandomHorizontalFlip(), A.ProgressiveResizing(3)])  # fmt: skip

    class Stop(dfs.callbacks.Callback):
        def on_train_batch_end(self, batch, logs):
            if self.model.steps == stop:
                raise OverflowError("the lights went out")

    model.fit(
        loader, epochs=4, verbose=0, callbacks=[Stop()], checkpoint=folder,
        checkpoint_every=1 if folder else None, resume=resume,
        validation_data=(IMAGES / np.float32(255), LABELS),
    )  # fmt: skip
    return model, [*SEEN]


def test_a_training_sees_growing_images_and_predicts_whole_ones():
    model, seen = fit()
    sizes = [shape[2:] for shape in seen]
    assert sizes == [(8, 8)] * 3 + [(12, 8)] * 3 + [(12, 12)] * 3 + [(16, 12)] * 3
    assert model.network.in_shape == (1, 16, 12)
    assert model.predict(IMAGES / np.float32(255)).shape == (30, 3)
    assert len(model.history["val_loss"]) == 4


@pytest.mark.parametrize("stop", [2, 3])
def test_a_resumed_training_has_the_same_bits(stop, tmp_path):
    wanted = fit()[0].network.get_weights()
    with pytest.raises(OverflowError):
        fit(tmp_path, stop)
    model, seen = fit(tmp_path, resume=True)
    assert len(seen) <= 13 - stop
    for name, value in model.network.get_weights().items():
        assert_array_equal(value, wanted[name])


def test_threads_and_shards_see_the_same_images():
    found = []
    for threads in (1, 2):
        with dfs.threads(threads):
            found.append(fit()[0].network.get_weights())
    for one, other in zip(*(each.values() for each in found), strict=True):
        assert_array_equal(one, other)


def refused(net, augment, message, x=IMAGES):
    model = dfs.Model(net, "cross_entropy", "sgd")
    before = None if net.built_dtype is None else net.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(dfs.data.Loader((x / np.float32(255), LABELS), 10, augment=augment), verbose=0)
    assert model.steps == 0
    assert before is None or all(map(np.array_equal, before.values(), net.get_weights().values()))


def test_networks_for_one_size_are_refused():
    flat = L.Sequential([L.Conv2D(2, 3), L.ReLU(), L.Flatten(), L.Dense(3)])
    message = (
        r"ProgressiveResizing needs a network for images of any size: smaller ones, \(1, 8, 8\), "
        r"are refused \(.*Dense.*\): put GlobalAvgPool2D\(\) before the first Dense"
    )
    refused(flat, A.ProgressiveResizing(2), message)
    flat(np.zeros((1, 1, 16, 12), np.float32))
    refused(flat, A.ProgressiveResizing(2), message)
    deep = network(L.MaxPool2D(2), L.MaxPool2D(2), L.MaxPool2D(2))
    refused(deep, A.ProgressiveResizing(1, 0.25), "or take a larger initial_scale")


def test_outputs_of_pixels_are_refused():
    with pytest.raises(ValueError, match=r"with the same outputs, got \(3, 8, 8\) for images"):
        dfs.Model(L.Conv2D(3, 1), "cross_entropy", "sgd").fit(
            dfs.data.Loader(
                (IMAGES / np.float32(255), IMAGES[:, 0] % 3), 10, augment=A.ProgressiveResizing(2)
            ),
            verbose=0,
        )


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: A.ProgressiveResizing(0), ValueError, "epochs must be at least 1, got 0"),
        (lambda: A.ProgressiveResizing(1, 0), ValueError, r"initial_scale must be in \(0, 1\]"),
        (lambda: A.ProgressiveResizing(1, 1, 0), ValueError, "size_increment must be at least 1"),
        (
            lambda: A.pipeline([A.ProgressiveResizing(1), A.Cutout(2)]),
            ValueError,
            "so it must stand at the end of the list, before MixUp and CutMix, got Cutout behind",
        ),
        (
            lambda: A.pipeline([A.MixUp(), A.ProgressiveResizing(1)]),
            ValueError,
            "MixUp mixes finished images, .* got ProgressiveResizing behind it",
        ),
        (
            lambda: A.pipeline([A.ProgressiveResizing(1)] * 2),
            ValueError,
            "ProgressiveResizing may stand in the list once, got it twice",
        ),
        (
            lambda: dfs.data.Loader(
                (np.zeros((4, 9)), LABELS[:4]), augment=A.ProgressiveResizing(1)
            ),
            ValueError,
            r"ProgressiveResizing takes images \(c, h, w\), got samples of shape \(9,\)",
        ),
    ],
)
def test_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()
