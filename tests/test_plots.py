"""Pictures: what is in the Axes, and that Matplotlib's own state stays as it was."""

import builtins
import inspect
import itertools
import re
import subprocess
import sys

import numpy as np
import pytest

import deepfs as dfs
from deepfs import layers as L
from deepfs import plots

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib.figure import Figure  # noqa: E402


@pytest.fixture(scope="module")
def mnist():
    return dfs.datasets.mnist_mini()


@pytest.fixture(scope="module")
def model(mnist):
    (x, y), _ = mnist
    dfs.set_seed(0)
    net = L.Sequential([L.Conv2D(6, 5), L.ReLU(), L.MaxPool2D(2), L.Flatten(), L.Dense(10)])
    made = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(2e-3))
    made.fit(x[:500], y[:500], epochs=2, batch_size=50, verbose=0)
    return made


@pytest.fixture
def axes():
    return Figure(figsize=(6, 4)).subplots()


class Shifted:
    """A stand-in for a pipeline of `deepfs.augment`: moves to the right by one pixel an epoch."""

    def images(self, source, index, numbers, epoch, seed, scale, shift, dtype):
        return np.roll(source[index], epoch, axis=-1).astype(dtype)


CALLS = {  # every function that draws
    "activations": lambda m, x, y, **k: plots.activations(m, x[:20], **k),
    "augmentation": lambda m, x, y, **k: plots.augmentation(Shifted(), x[:2], count=2, **k),
    "confusion_matrix": lambda m, x, y, **k: plots.confusion_matrix(m, x, y, **k),
    "feature_maps": lambda m, x, y, **k: plots.feature_maps(m, x[:1], "relu_1", **k),
    "filters": lambda m, x, y, **k: plots.filters(m, **k),
    "grad_cam": lambda m, x, y, **k: plots.grad_cam(m, x[0], **k),
    "gradients": lambda m, x, y, **k: plots.gradients(m, x[:20], y[:20], **k),
    "history": lambda m, x, y, **k: plots.history(m.history, **k),
    "images": lambda m, x, y, **k: plots.images(x, y, **k),
    "learning_rate_finder": lambda m, x, y, **k: plots.learning_rate_finder(
        m.lr_find(x, y, steps=9), **k
    ),
    "misclassified": lambda m, x, y, **k: plots.misclassified(m, x, y, **k),
    "network": lambda m, x, y, **k: plots.network(m, **k),
    "saliency": lambda m, x, y, **k: plots.saliency(m, x[0], **k),
    "schedule": lambda m, x, y, **k: plots.schedule(dfs.schedules.Step(0.1, 3, 0.5), 9, **k),
    "top_losses": lambda m, x, y, **k: plots.top_losses(m, x, y, **k),
}


def texts(found):
    return [ax.get_title() for ax in found]


def test_every_function_is_called_here():
    assert CALLS.keys() | {"most_confused"} == {*plots.__all__}


@pytest.mark.parametrize("name", CALLS)
def test_draws_into_the_axes_it_is_given_and_leaves_the_rest_alone(name, model, mnist):
    import matplotlib.pyplot as plt

    (x, y), _ = mnist
    figure = plt.figure()
    other = plt.figure()
    settings = dict(matplotlib.rcParams)
    before = {k: p.value.copy() for k, p in model.network.parameters().items()}
    ax = figure.subplots()
    found = CALLS[name](model, x[:60], y[:60], ax=ax)
    panels = np.ravel(np.asarray(found, object))
    assert all(panel.figure is figure for panel in panels)
    figure.canvas.draw()
    assert plt.gcf() is other
    assert plt.get_fignums() == [figure.number, other.number]
    assert dict(matplotlib.rcParams) == settings
    for k, p in model.network.parameters().items():
        np.testing.assert_array_equal(p.value, before[k])


@pytest.mark.parametrize("name", CALLS)
def test_makes_a_figure_of_its_own(name, model, mnist, tmp_path):
    (x, y), _ = mnist
    found = np.ravel(np.asarray(CALLS[name](model, x[:60], y[:60]), object))
    figure = found[0].figure
    figure.savefig(tmp_path / "a.png", dpi=50)
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_pyplot_shows_a_new_figure_where_it_is_in_use():
    import matplotlib.pyplot as plt

    ax = plots.history({"loss": [1.0]})[0]
    assert plt.get_fignums() == [ax.figure.number]


def test_texts_of_a_divided_axes_do_not_overlap(model, mnist):
    (x, y), _ = mnist
    ax = Figure(figsize=(3, 4)).subplots()
    names = [f"a long name, number {k}" for k in range(10)]
    found = plots.top_losses(model, x, y, names=names, count=9, ax=ax)
    ax.figure.canvas.draw()
    boxes = [panel.title.get_window_extent() for panel in found]
    boxes += [panel.get_window_extent() for panel in found]
    for a, b in itertools.combinations(boxes, 2):
        assert a.x1 < b.x0 + 1 or b.x1 < a.x0 + 1 or a.y1 < b.y0 + 1 or b.y1 < a.y0 + 1


@pytest.mark.parametrize("name", CALLS)
def test_refuses_what_is_no_axes(name, model, mnist):
    (x, y), _ = mnist
    with pytest.raises(TypeError, match=rf"plots.{name} draws into an Axes of Matplotlib, got ax="):
        CALLS[name](model, x[:60], y[:60], ax="here")


@pytest.mark.parametrize("name", CALLS)
def test_without_matplotlib_an_error_says_what_to_type(name, model, mnist, monkeypatch):
    (x, y), _ = mnist
    known = builtins.__import__

    def without(module, *args, **kwargs):
        if module.partition(".")[0] == "matplotlib":
            raise ImportError(module)
        return known(module, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError) as error:
        CALLS[name](model, x[:60], y[:60])
    assert str(error.value) == (
        f"plots.{name} needs Matplotlib, which is not installed: pip install 'deepfs[plot]'"
    )


def test_the_package_is_light_and_does_not_need_pyplot():
    code = (
        "import sys, deepfs as dfs; assert 'deepfs.plots' not in sys.modules; dfs.plots.history;"
        "assert 'matplotlib' not in sys.modules; dfs.plots.history({'loss': [1.0]});"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("name", plots.__all__)
def test_every_function_has_every_section(name):
    function = getattr(plots, name)
    doc = inspect.getdoc(function)
    for section in ("Parameters", "Returns", "Raises", "Examples"):
        assert f"\n{section}\n---" in doc
    listed = re.findall(r"^([\w, ]+?)(?: : .*)?$", doc.split("Returns\n---")[0], re.MULTILINE)
    named = {part for line in listed for part in line.split(", ")}
    assert not inspect.signature(function).parameters.keys() - named


# History


def test_history_has_a_panel_for_each_metric():
    logs = {"loss": [3, 2, 1], "val_loss": [4, 3], "accuracy": [0.1, np.nan, np.inf]}
    found = plots.history(logs)
    assert texts(found) == ["loss", "accuracy"]
    training, validation = found[0].get_lines()
    np.testing.assert_array_equal(training.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(training.get_ydata(), [3, 2, 1])
    np.testing.assert_array_equal(validation.get_xdata(), [1, 2])
    np.testing.assert_array_equal(validation.get_ydata(), [4, 3])
    assert training.get_color() == validation.get_color()
    assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")
    np.testing.assert_array_equal(found[1].get_lines()[0].get_ydata(), [0.1, np.nan, np.nan])


def test_history_in_one_axes(axes):
    logs = {"loss": [1.0], "val_loss": [2.0], "f1": [0.5], "val_only": [1.0]}
    assert plots.history(dfs.History(logs), axes) is axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["loss: training", "loss: validation", "f1: training", "val_only: training"]
    colours = [line.get_color() for line in axes.get_lines()]
    assert colours[0] == colours[1]
    assert len({*colours}) == 3
    assert all(line.get_marker() == "o" for line in axes.get_lines())  # one epoch is a point


def test_history_of_some_metrics_and_of_huge_numbers():
    logs = {"loss": [1e308, -1e308], "accuracy": [0.5, 0.6]}
    assert texts(plots.history(logs, metrics=["accuracy"])) == ["accuracy"]
    found = plots.history(logs)
    found[0].figure.canvas.draw()


def test_what_history_refuses():
    for wrong, error, message in (
        ([1, 2], TypeError, "takes what fit returns, or a dict of lists"),
        ({}, ValueError, "at least 1 epoch, got none"),
        ({"loss": []}, ValueError, "at least 1 epoch, got none"),
        ({"loss": ["a"]}, TypeError, "'loss' must be a list of numbers"),
        ({"loss": 3.0}, TypeError, "'loss' must be a list of numbers"),
    ):
        with pytest.raises(error, match=message):
            plots.history(wrong)
    with pytest.raises(ValueError, match="no metric 'los': did you mean 'loss'"):
        plots.history({"loss": [1.0]}, metrics="los")
    with pytest.raises(ValueError, match="needs 2 Axes for this, got 1"):
        plots.history({"loss": [1.0], "f1": [1.0]}, [Figure().subplots()])


# Confusion


def cells(ax):
    return [text.get_text() for text in ax.texts]


def test_the_matrix_of_a_model(model, mnist):
    _, (x, y) = mnist
    matrix = dfs.metrics.confusion_matrix(y, model.predict(x))
    ax = plots.confusion_matrix(model, x, y)
    assert cells(ax) == [str(count) for count in matrix.reshape(-1)]
    shares = matrix / matrix.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), shares)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [str(k) for k in range(10)]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    one_hot = np.eye(10)[y]
    assert cells(plots.confusion_matrix(model, x, one_hot)) == cells(ax)
    wrong = matrix - np.diag(np.diag(matrix))
    found = plots.most_confused(model, x, y)
    assert sum(count for _, _, count in found) == wrong.sum() == (y != predicted(model, x)).sum()
    assert found[0][2] == wrong.max()
    i, j = int(found[0][0]), int(found[0][1])
    assert matrix[i, j] == wrong.max()
    assert all(a[2] >= b[2] for a, b in itertools.pairwise(found))
    assert plots.most_confused(model, x, y, min_val=int(wrong.max()) + 1) == []


def predicted(model, x):
    return model.predict(x).argmax(axis=1)


def test_names_of_the_model_and_of_the_call(model, mnist):
    (x, y), _ = mnist
    names = [f"digit {k}" for k in range(10)]
    model.class_names = names
    try:
        ax = plots.confusion_matrix(model, x[:50], y[:50])
        assert [tick.get_text() for tick in ax.get_yticklabels()] == names
        assert plots.grad_cam(model, x[0], "digit 3").get_title().startswith("digit 3")
        with pytest.raises(ValueError, match=r"target must be one of digit 0, .* got 'three'"):
            plots.saliency(model, x[0], "three")
        own = [f"number {k}" for k in range(10)]
        assert plots.most_confused(model, x, y, names=own)[0][0].startswith("number ")
    finally:
        model.class_names = None
    with pytest.raises(ValueError, match="no class_names: give target 'digit 3' as a number"):
        plots.grad_cam(model, x[0], "digit 3")


def test_percentages():
    matrix = [[199, 1], [10, 30]]
    assert cells(plots.confusion_matrix(matrix, normalize="true")) == ["100", "<1", "25", "75"]
    assert cells(plots.confusion_matrix(matrix, normalize="pred")) == ["95", "3", "5", "97"]
    assert cells(plots.confusion_matrix(matrix, normalize="all")) == ["83", "<1", "4", "12"]
    assert cells(plots.confusion_matrix([[0, 0], [0, 4]], normalize="true"))[:2] == ["0", "0"]


def test_many_classes_with_long_names(axes):
    names = [f"a class with a very long name, number {k}" for k in range(100)]
    matrix = np.diag(np.arange(100))
    ax = plots.confusion_matrix(matrix, names=names)
    ax.figure.canvas.draw()
    labels = [tick.get_text() for tick in ax.get_xticklabels()]
    assert len(labels) == 100
    assert max(map(len, labels)) <= 20
    assert labels[42].endswith("42")
    assert not ax.texts  # no room
    plots.confusion_matrix(matrix, names=names, ax=axes)  # a small one: not all names
    assert 10 < len(axes.get_xticklabels()) < 60
    boxes = [tick.get_window_extent() for tick in axes.get_yticklabels()]
    assert all(a.y0 > b.y1 - 1 for a, b in itertools.pairwise(boxes))


def test_one_sample(model, mnist):
    (x, y), _ = mnist
    ax = plots.confusion_matrix(model, x[:1], y[:1])
    assert sum(map(int, cells(ax))) == 1
    assert len(plots.images(x[:1])) == 1
    assert len(plots.top_losses(model, x[:1], y[:1])) == 1
    assert len(plots.activations(model, x[:1])) == 1
    assert len(plots.gradients(model, x[:1], y[:1])) == 2
    assert plots.saliency(model, x[:1]).shape == (1,)


def test_a_loader_has_inputs_and_labels():
    """`parts(size)` and `take(index)` of `data.batches.DataSet` are all that is asked of it."""
    from deepfs.data.batches import DataSet

    x = np.eye(3)[:, None, None]
    y = np.array([0, 1, 1])

    class Fake:
        network = L.Identity()
        network(x[:, 0, 0])

        def predict(self, given):
            return given.take(slice(None)).x[:, 0, 0] if isinstance(given, DataSet) else given

        def predict_classes(self, given):
            return self.predict(given).argmax(axis=1)

        def predict_proba(self, given):
            return given[:, 0, 0]

    loader = DataSet(x, y)
    assert plots.most_confused(Fake(), loader) == [("1", "2", 1)]
    found = plots.misclassified(Fake(), loader)
    assert texts(found) == ["true 1\nsaid 2 (100 %)"]
    np.testing.assert_array_equal(np.asarray(found[0].images[0].get_array()), x[2, 0])


def test_what_the_matrix_refuses(model, mnist):
    (x, y), _ = mnist
    for args, error, message in (
        (([[1, 2]],), ValueError, r"takes a square matrix of counts, got \(1, 2\)"),
        (([[1, -2], [0, 0]],), ValueError, "a matrix of counts, at least 0"),
        (([[0.5, 0.5], [0, 1]],), ValueError, "takes counts, got parts"),
        ((np.eye(2), x), TypeError, "a matrix, or a model with inputs and targets"),
        (("model",), TypeError, "needs inputs beside the model"),
        (("model", x, y), TypeError, "takes a deepfs.Model, got 'model'"),
        ((model, x), TypeError, "needs the right classes beside the inputs"),
        ((model, x, y[:5]), ValueError, r"label for each of \(\d+,\) predictions, got \(5,\)"),
        ((model, x, y + 0.5), TypeError, "needs integer labels or probabilities, got float64"),
    ):
        with pytest.raises(error, match=message):
            plots.confusion_matrix(*args)
    with pytest.raises(ValueError, match="names must have one of each of 2 classes, got 1"):
        plots.confusion_matrix(np.eye(2), names=["a"])
    with pytest.raises(TypeError, match="names must be a list"):
        plots.confusion_matrix(np.eye(2), names="ab")
    with pytest.raises(ValueError, match="normalize must be one of"):
        plots.confusion_matrix(np.eye(2), normalize="rows")


# Images


def pixels(ax):
    return np.asarray(ax.images[0].get_array())


def test_images_of_every_kind(rng):
    grey = rng.integers(0, 256, (2, 1, 4, 5), np.uint8)
    np.testing.assert_allclose(pixels(plots.images(grey)[1]), grey[1, 0] / 255, atol=1e-7)
    assert plots.images(grey)[0].images[0].get_clim() == (0, 1)
    colour = rng.random((2, 3, 4, 5))
    np.testing.assert_array_equal(pixels(plots.images(colour)[1]), colour[1].transpose(1, 2, 0))
    far = np.array([-3.0, 0, 1, 5]).reshape(1, 1, 2, 2)
    np.testing.assert_allclose(pixels(plots.images(far)[0]), [[0, 3 / 8], [4 / 8, 1]])
    huge = np.array([-1e308, 1e308, np.nan, 0]).reshape(1, 1, 2, 2)
    np.testing.assert_allclose(pixels(plots.images(huge)[0]), [[0, 1], [0, 0.5]])
    assert pixels(plots.images(grey > 99)[0]).max() == 1
    assert texts(plots.images(grey, [1, 0], names=["a", "b"])) == ["b", "a"]
    assert texts(plots.images(grey, titles=["$x", 3])) == ["$x", "3"]
    assert len(plots.images(np.zeros((40, 1, 2, 2)), count=30)) == 30


def test_what_images_refuses():
    for x, error, message in (
        (np.zeros((4, 4)), ValueError, r"takes images \(n, c, h, w\), got \(4, 4\)"),
        (np.zeros((3, 4, 4)), ValueError, r"x\[None\] for one image, x\[:, None\] for 3 grey"),
        (np.zeros((1, 4, 4, 3)), ValueError, r"write x.transpose\(0, 3, 1, 2\)"),
        (np.zeros((1, 5, 8, 8)), ValueError, r"1 \(grey\) or 3 \(RGB\) channels, got 5"),
        (np.zeros((0, 1, 8, 8)), ValueError, r"got \(0, 1, 8, 8\)"),
        (np.full((1, 1, 2, 2), "a"), TypeError, "images of numbers"),
    ):
        with pytest.raises(error, match=message):
            plots.images(x)
    with pytest.raises(ValueError, match="a text for each image, got 1"):
        plots.images(np.zeros((2, 1, 2, 2)), titles=["a"])


def test_misclassified_shows_the_surest_mistakes(model, mnist):
    _, (x, y) = mnist
    p, said = model.predict_proba(x), predicted(model, x)
    wrong = np.flatnonzero(said != y)
    order = wrong[np.argsort(-p[wrong, said[wrong]], kind="stable")]
    found = plots.misclassified(model, x, y, count=5)
    assert len(found) == 5
    for ax, i in zip(found, order, strict=False):
        np.testing.assert_array_equal(pixels(ax), x[i, 0])
        assert ax.get_title().startswith(f"true {y[i]}\nsaid {said[i]} (")
    right = np.flatnonzero(said == y)[:3]
    ax = Figure().subplots()
    assert len(plots.misclassified(model, x[right], y[right], ax=ax)) == 0
    assert ax.texts[0].get_text() == "none of 3 images is misclassified"


def test_top_losses(model, mnist):
    _, (x, y) = mnist
    losses = -np.log(model.predict_proba(x)[np.arange(len(y)), y])
    order = np.argsort(-losses)
    found = plots.top_losses(model, x, y, count=4)
    for ax, i in zip(found, order, strict=False):
        np.testing.assert_array_equal(pixels(ax), x[i, 0])
        assert ax.get_title().endswith(f"loss {losses[i]:.3g}")


def test_top_losses_of_numbers_and_binary_classes(rng):
    x = rng.random((6, 1, 3, 3))
    net = L.Sequential([L.Flatten(), L.Dense(1)])
    model = dfs.Model(net, dfs.losses.MeanSquaredError(), dfs.optimizers.SGD())
    y = rng.random((6, 1))
    errors = ((model.predict(x) - y) ** 2)[:, 0]
    found = plots.top_losses(model, x, y, count=2)
    assert texts(found) == [f"loss {e:.3g}" for e in sorted(errors)[:-3:-1]]
    model = dfs.Model(net, dfs.losses.BinaryCrossEntropy(), dfs.optimizers.SGD())
    y = 1 - model.predict_classes(x)
    found = plots.misclassified(model, x, y)
    p = model.predict_proba(x)[:, 0]
    surest = np.argmax(np.maximum(p, 1 - p))
    assert found[0].get_title().startswith(f"true {y[surest]}\nsaid {1 - y[surest]} (")
    assert f"({100 * max(p[surest], 1 - p[surest]):.0f} %)" in found[0].get_title()


# Insides


def test_augmentation_shows_each_image_and_its_versions(rng):
    x = rng.integers(0, 256, (2, 1, 4, 5), np.uint8)
    found = plots.augmentation(Shifted(), x, count=2)
    assert texts(found) == ["original", "epoch 1", "epoch 2"] * 2
    np.testing.assert_allclose(pixels(found[3]), x[1, 0] / 255, atol=1e-6)
    np.testing.assert_allclose(pixels(found[5]), np.roll(x[1, 0], 1, -1) / 255, atol=1e-6)


def test_filters(model):
    weight = model.network.parameters()["conv2d_1.weight"].value
    found = plots.filters(model)
    assert len(found) == 6
    np.testing.assert_array_equal(pixels(found[4]), weight[4, 0])
    low, high = found[0].images[0].get_clim()
    assert -low == high == np.abs(weight).max()
    with pytest.raises(ValueError, match="channel must be below 1 in 'conv2d_1', got 2"):
        plots.filters(model, channel=2)
    with pytest.raises(KeyError, match="no layer 'conv2d': did you mean 'conv2d_1'"):
        plots.filters(model, "conv2d")
    with pytest.raises(ValueError, match="no weights that are images"):
        plots.filters(model, "relu_1")
    with pytest.raises(ValueError, match=r"weights \(864, 10\), which are no images"):
        plots.filters(model, "dense_1")


def test_filters_in_colour_and_of_a_dense_layer(rng):
    net = L.Sequential([L.Flatten(), L.Dense(2)])
    net(rng.random((1, 3, 4, 5)))
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    weight = net.parameters()["dense_1.weight"].value
    one = weight[:, 1].reshape(3, 4, 5).transpose(1, 2, 0)
    wanted = (one / np.abs(weight).max() + 1) / 2
    np.testing.assert_allclose(pixels(plots.filters(model)[1]), wanted, atol=1e-6)
    unbuilt = dfs.Model(L.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    for call in (plots.filters, plots.network):
        with pytest.raises(RuntimeError, match=r"summary\(in_shape\)"):
            call(unbuilt)


def test_feature_maps(model, mnist):
    (x, _), _ = mnist
    maps = model.outputs_of(x[:1], "relu_1")[0]
    found = plots.feature_maps(model, x[0], "relu_1", count=4)
    assert texts(found) == ["0", "1", "2", "3"]
    np.testing.assert_array_equal(pixels(found[3]), maps[3])
    with pytest.raises(ValueError, match=r"takes one image \(1, c, h, w\), got \(2, 1, 28, 28\)"):
        plots.feature_maps(model, x[:2], "relu_1")
    with pytest.raises(ValueError, match="whose output is"):
        plots.feature_maps(model, x[:1], "dense_1")
    with pytest.raises(TypeError, match="takes the name of a layer, got 1"):
        plots.feature_maps(model, x[:1], 1)


def test_maps_of_attribution(model, mnist):
    from deepfs.inspection import attribution

    (x, _), _ = mnist
    heat, classes = attribution.grad_cam(model.network, x[:3], 7)
    found = plots.grad_cam(model, x[:3], 7)
    assert [title[0] for title in texts(found)] == ["7"] * 3
    np.testing.assert_array_equal(np.asarray(found[1].images[1].get_array()), heat[1])
    assert list(found[1].images[1].get_extent()) == [-0.5, 27.5, 27.5, -0.5]
    maps, classes = attribution.saliency(model.network, x[:3])
    found = plots.saliency(model, x[:3])
    assert texts(found) == [str(k) for k in classes]
    np.testing.assert_array_equal(pixels(found[2]), maps[2])


def test_preprocessing_of_the_model_comes_first(model, mnist):
    from deepfs.inspection import attribution

    class Prepared:
        network, predict, predict_classes = model.network, model.predict, model.predict_classes

        def preprocess(self, x):
            return 2 * x - 1

    (x, _), _ = mnist
    wanted = attribution.saliency(model.network, 2 * x[:1] - 1, 3)[0]
    np.testing.assert_array_equal(pixels(plots.saliency(Prepared(), x[:1], 3)[0]), wanted[0])


def test_histograms(model, mnist):
    (x, y), _ = mnist
    values = model.outputs_of(x[:50], "relu_1").astype(float)
    (ax,) = plots.activations(model, x[:50])
    name, moments, zeros = ax.get_title().split("\n")
    assert name == "relu_1"
    assert moments == f"mean {values.mean():.3g}, sd {values.std():.3g}"
    assert zeros == f"{100 * (values == 0).mean():.3g} % are 0"
    heights = [patch.get_height() for patch in ax.patches]
    counts, _ = np.histogram(values, 40, (0, values.max()))
    np.testing.assert_allclose(heights, 100 * counts / values.size)
    found = plots.gradients(model, x[:50], y[:50], of="outputs", layers=["dense_1"])
    p = model.predict_proba(x[:50])
    gradient = ((p - np.eye(10)[y[:50]]) / 50).astype(np.float32)
    assert f"sd {gradient.std():.3g}" in found[0].get_title()
    with pytest.raises(KeyError, match="no layer 'relu1': did you mean 'relu_1'"):
        plots.activations(model, x[:5], ["relu1"])
    with pytest.raises(ValueError, match="of must be one of 'weights', 'outputs'"):
        plots.gradients(model, x[:5], y[:5], of="biases")
    with pytest.raises(ValueError, match="at least 1 name"):
        plots.activations(model, x[:5], [])


def test_learning_rates(model, mnist, axes):
    (x, y), _ = mnist
    net = dfs.networks.mlp((16,))
    test = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD()).lr_find(x, y, steps=60)
    plots.learning_rate_finder(test, axes)
    raw, smooth, line = axes.get_lines()
    np.testing.assert_array_equal(raw.get_ydata(), test.losses)
    np.testing.assert_array_equal(smooth.get_ydata(), test.smooth)
    np.testing.assert_array_equal(smooth.get_xdata(), test.lrs)
    assert line.get_xdata()[0] == test.suggestion
    assert axes.get_xscale() == "log"
    with pytest.raises(TypeError, match=r"takes what model.lr_find\(x, y\) returns, got \[1\]"):
        plots.learning_rate_finder([1])
    none = type(test)(*[np.zeros(0)] * 3)
    with pytest.raises(ValueError, match="took no step"):
        plots.learning_rate_finder(none)


def test_schedules(axes):
    cosine = dfs.schedules.Cosine(0.1, total=50)
    plots.schedule(cosine, 60, axes)
    wanted = [cosine(k) for k in range(60)]
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), wanted)
    by_epoch = dfs.schedules.Step(0.1, every=1, factor=0.5, by="epoch")
    ax = plots.schedule({"a": by_epoch, "b": 0.05}, 4)
    assert ax.get_xlabel() == "epoch"
    np.testing.assert_array_equal(ax.get_lines()[1].get_ydata(), [0.05] * 4)
    ax = plots.schedule(dfs.optimizers.SGD(by_epoch), 6, steps_per_epoch=3)
    assert ax.get_xlabel() == "step"
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), [0.1] * 3 + [0.05] * 3)
    ax = plots.schedule(lambda step: 1.0 + step, 3)
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), [1, 2, 3])
    both = dfs.schedules.Warmup(2, then=by_epoch)
    with pytest.raises(ValueError, match="together need steps_per_epoch="):
        plots.schedule(both, 10)
    assert len(plots.schedule(both, 10, steps_per_epoch=4).get_lines()) == 1
    with pytest.raises(TypeError, match="takes a schedule, a rate, a function or an optimizer"):
        plots.schedule("cosine", 10)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        plots.schedule(cosine, 0)


# Diagrams


def overlap(ax):
    """Return pairs of boxes that overlap, and boxes that are narrower than their texts."""
    ax.figure.canvas.draw()
    boxes = [patch.get_window_extent() for patch in ax.patches]
    found = [
        (a, b) for i, a in enumerate(boxes) for b in boxes[:i]
        if a.x0 < b.x1 - 1 and b.x0 < a.x1 - 1 and a.y0 < b.y1 - 1 and b.y0 < a.y1 - 1
    ]  # fmt: skip
    for box, text in zip(boxes, [t for t in ax.texts if t.get_text()], strict=True):
        inside = text.get_window_extent()
        if inside.x0 < box.x0 or inside.x1 > box.x1 or inside.y0 < box.y0 or inside.y1 > box.y1:
            found.append((text.get_text(), box))
    return found


def labels(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def test_the_diagram_of_a_chain(model):
    ax = plots.network(model)
    assert labels(ax) == [
        "input\n1x28x28", "Conv2D 5x5, ReLU\n6x24x24", "MaxPool2D 2x2\n6x12x12", "Flatten\n864",
        "Dense\n10",
    ]  # fmt: skip
    assert not overlap(ax)


def unet():
    x = L.Input((1, 16, 16), name="x")
    a = L.ReLU()(L.Conv2D(4, 3, padding=1)(x))
    b = L.ReLU()(L.Conv2D(4, 3, padding=1)(L.MaxPool2D(2)(a)))
    c = L.ReLU()(L.Conv2D(8, 3, padding=1)(L.MaxPool2D(2)(b)))
    b = L.Conv2D(4, 3, padding=1)(L.Concat()([L.Upsample2D(2)(c), b]))
    return dfs.Graph(x, L.Conv2D(2, 1)(L.Concat()([L.Upsample2D(2)(b), a])))


def inception():
    parts = [L.Conv2D(2, 1), [L.Conv2D(2, 1), L.Conv2D(2, 3, padding=1)], L.Identity()]
    return L.Sequential([L.Conv2D(4, 3), L.Branches(parts), L.ReLU(), L.Flatten(), L.Dense(2)])


@pytest.mark.parametrize(
    ("make", "shape", "boxes"),
    [
        (dfs.networks.resnet20, (3, 32, 32), 33),
        (dfs.networks.deep_convnet, (1, 28, 28), 13),
        (unet, (1, 16, 16), 12),
        (inception, (1, 8, 8), 8),
    ],
)
def test_no_box_overlaps_another(make, shape, boxes):
    net = make()
    net(np.zeros((1, *shape), np.float32))
    ax = plots.network(net)
    assert len(ax.patches) == boxes
    assert not overlap(ax)


def test_what_a_box_takes():
    from deepfs.plots._network_graph import boxes_of

    net = unet()
    net(np.zeros((1, 1, 16, 16)))
    boxes = boxes_of(net)
    joins = [(i, box) for i, box in enumerate(boxes) if box.group == "Concat"]
    first, second = (box.inputs for _, box in joins)
    assert [boxes[i].kinds for i in first] == [["Upsample2D"], ["Conv2D 3x3", "ReLU"]]
    assert boxes[first[1]].shape == (4, 8, 8)
    assert boxes[second[1]].shape == (4, 16, 16)
    for box in boxes:
        assert all(boxes[i].row < box.row for i in box.inputs)
    assert len({(box.row, box.lane) for box in boxes}) == len(boxes)


def test_the_diagram_of_several_inputs_and_outputs():
    a, b = L.Input((4,), name="left"), L.Input((3,), name="right")
    h = L.Concat()([L.Dense(5)(a), L.Dense(5)(b)])
    net = dfs.Graph({"left": a, "right": b}, {"p": L.Dense(2)(h), "q": L.Dense(1)(h)})
    net({"left": np.zeros((1, 4)), "right": np.zeros((1, 3))})
    ax = plots.network(net)
    assert sorted(labels(ax)) == sorted(
        ["left\n4", "right\n3", "Dense\n5", "Dense\n5", "Concat\n10", "Dense\n2", "Dense\n1"]
    )
    assert not overlap(ax)
    with pytest.raises(TypeError, match="takes a model or a network, got 3"):
        plots.network(3)
