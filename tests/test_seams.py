"""Where parts meet: a Loader with class names and preprocessing, and what takes data."""

import shutil

import numpy as np
import pytest

import deepfs as dfs
from deepfs import augment, preprocessing
from deepfs import layers as L

Image = pytest.importorskip("PIL.Image")
NAMES = ("dark", "grey", "light")


@pytest.fixture
def folder(tmp_path):
    """Three classes of eight pictures of 8 x 8 pixels."""
    rng = np.random.default_rng(0)
    for name, light in zip(NAMES, (40, 120, 200), strict=True):
        (tmp_path / "train" / name).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(light, light + 40, (8, 8)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "train" / name / f"{i}.png")
    return tmp_path / "train"


def loader(folder, **settings):
    settings = {"batch_size": 8, "preprocess": preprocessing.Standardize()} | settings
    return dfs.data.Loader(folder, **settings)


def model(classes=3, **settings):
    net = L.Sequential([L.Flatten(), L.Dense(classes)])
    return dfs.Model(net, "cross_entropy", dfs.optimizers.Adam(0.05), seed=0, **settings)


@pytest.fixture
def trained(folder):
    made = model()
    made.fit(loader(folder), epochs=2, verbose=0)
    return made


def without(folder, name):
    """Return a copy of a folder that lacks a class."""
    other = folder.parent / f"without_{name}"
    shutil.copytree(folder, other)
    shutil.rmtree(other / name)
    return other


def test_data_of_other_classes_is_refused_wherever_there_are_labels(trained, folder):
    plots = pytest.importorskip("matplotlib") and dfs.plots
    test = loader(without(folder, "dark"), preprocess=None)
    for take in (
        trained.evaluate,
        lambda data: trained.evaluate(data, report=True),
        lambda data: trained.fit(loader(folder), epochs=1, verbose=0, validation_data=data),
        lambda data: model().fit(loader(folder), epochs=1, verbose=0, validation_data=data),
        lambda data: dfs.diagnose(trained, data),
        lambda data: plots.confusion_matrix(trained, data),
        lambda data: plots.misclassified(trained, data),
        lambda data: plots.top_losses(trained, data),
    ):
        with pytest.raises(
            ValueError, match=r"the data set grey, light: the same numbers .*names="
        ):
            take(test)


def test_a_test_folder_that_lacks_a_class_is_numbered_by_the_models_names(trained, folder):
    pictures = dfs.datasets.from_directory(without(folder, "dark"), class_names=trained.class_names)
    whole = trained.evaluate(loader(folder, preprocess=None), report=True)
    report = trained.evaluate(pictures, report=True)
    assert report["dark"]["support"] == 0
    assert report["grey"]["recall"] == whole["grey"]["recall"]


def test_class_names_are_as_many_as_folders(folder):
    with pytest.raises(
        ValueError, match="class_names must be 3, one for each of dark, grey, light"
    ):
        loader(folder, class_names=["a", "b"])
    assert loader(folder, class_names=["a", "b", "c"]).class_names == ("a", "b", "c")


def test_plots_of_a_loader_preprocess_once_and_show_raw_pictures(trained, folder):
    pytest.importorskip("matplotlib")
    data = loader(folder, preprocess=trained.preprocess)
    raw, labels = np.stack([x / np.float32(255) for x, _ in data.source.folder]), data.y
    for draw in (dfs.plots.top_losses, dfs.plots.misclassified):
        ours, theirs = draw(trained, data, count=24), draw(trained, raw, labels, count=24)
        assert [ax.get_title() for ax in ours] == [ax.get_title() for ax in theirs]
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.images[0].get_array(), b.images[0].get_array(), atol=1e-6)


@pytest.mark.parametrize("as_folder", [False, True])
def test_plots_take_data_sets(trained, folder, as_folder):
    pytest.importorskip("matplotlib")
    data = dfs.datasets.from_directory(folder) if as_folder else loader(folder)
    assert len(dfs.plots.images(data, count=10)) == 10
    assert dfs.plots.images(data)[8].get_title() == "grey"
    assert len(dfs.plots.saliency(trained, data)) == 8
    assert len(dfs.plots.augmentation([augment.RandomVerticalFlip()], data, count=2)) == 4 * 3
    assert len(dfs.plots.gradients(trained, data)) == 1
    dfs.plots.confusion_matrix(trained, data)
    own = loader(folder, augment=[augment.RandomHorizontalFlip(p=1)])
    first, flipped = (ax.images[0].get_array() for ax in dfs.plots.augmentation(own, count=1)[:2])
    assert (first[:, ::-1] == flipped).all()
    with pytest.raises(TypeError, match="needs images beside the augmentation"):
        dfs.plots.augmentation([])


def test_a_wrong_sample_of_a_batch_can_be_found():
    class Samples:
        def __len__(self):
            return 20

        def __getitem__(self, number):
            return np.ones(4, np.float32), 5 if number == 7 else number % 2

    net = L.Dense(2)
    made = dfs.Model(net, "cross_entropy", dfs.optimizers.SGD(0.1), seed=0)
    with pytest.raises(ValueError, match="got 5 at index") as caught:
        made.fit(dfs.data.Loader(Samples(), batch_size=4), verbose=0)
    at = int(str(caught.value).split("at index ")[1].split()[0])
    numbers = caught.value.__notes__[0].split("the samples ")[1].split(", ")
    assert len(numbers) == 4
    assert numbers[at] == "7"


def test_more_steps_than_an_epoch_has_are_named():
    x, y = np.ones((20, 4)), np.arange(20) % 2
    for data in (x, y), (dfs.data.Loader((x, y), batch_size=8),):
        with pytest.warns(UserWarning, match="an epoch has [13] steps?, fewer than steps_per_e"):
            model(2).fit(*data, steps_per_epoch=30, verbose=0)
    model(2).fit(x, y, batch_size=10, steps_per_epoch=2, verbose=0)  # says nothing


def test_a_folder_of_train_and_test_is_named(folder):
    shutil.copytree(folder, folder.parent / "test")
    with pytest.warns(UserWarning, match="the subfolders dark, grey, light: .*test and .*train"):
        dfs.datasets.from_directory(folder.parent)
    dfs.datasets.from_directory(folder)  # says nothing


def test_a_file_that_vanishes_is_named_with_its_folder(folder):
    data = loader(folder)
    (folder / "grey" / "3.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"grey/3\.png") as caught:
        model().fit(data, verbose=0)
    assert any("put it back" in note for note in caught.value.__notes__)


def test_plan_takes_a_loader(trained, folder):
    plan = trained.plan(8, loader(folder))
    assert (plan.samples, plan.steps) == (24, 3)


def test_a_history_names_the_near_name(trained):
    with pytest.raises(KeyError, match=r"no 'val_acc'.*it has loss, accuracy"):
        trained.history["val_acc"]
    with pytest.raises(KeyError, match="no 'acc': it is called 'accuracy' here"):
        trained.history["acc"]


def test_warnings_show_the_line_of_the_user():
    x, y = np.ones((20, 4)), np.arange(20.0)[:, None]
    made = dfs.Model(L.Dense(1), "mse", dfs.optimizers.SGD(50.0), seed=0)
    with pytest.warns(RuntimeWarning, match="the training diverges") as caught:
        made.fit(x, y, batch_size=5, verbose=0)
    assert {each.filename for each in caught} == {__file__}


def test_diagnose_takes_a_folder(folder):
    found = dfs.diagnose(model(), dfs.datasets.from_directory(folder))
    assert found["dense_1"].update_ratio > 0


def test_lr_find_fits_a_copy_of_the_loaders_preprocessing(folder):
    data = loader(folder)
    test = model().lr_find(data, steps=10)
    assert not data.preprocess.fitted
    data.preprocess.fit(lambda: (batch.x for batch in loader(folder, preprocess=None).parts(8)))
    np.testing.assert_array_equal(model().lr_find(data, steps=10).losses, test.losses)


def test_weights_of_a_model_with_preprocessing_warn_where_there_is_none(trained, folder, tmp_path):
    trained.save(tmp_path / "m.safetensors")
    other = model()
    other.network.build((1, 8, 8))
    with pytest.warns(UserWarning, match="write model.preprocess = deepfs.load"):
        other.load_weights(tmp_path / "m.safetensors")
    other.preprocess = dfs.load(tmp_path / "m.safetensors").preprocess
    other.load_weights(tmp_path / "m.safetensors")  # says nothing
    raw = loader(folder, preprocess=None)
    assert other.evaluate(raw)["loss"] == trained.evaluate(raw)["loss"]


def test_a_loader_prints_its_source(folder):
    assert "".join(repr(loader(folder, preprocess=None)).split()).startswith("Loader(ImageFolder(")
    arrays = dfs.data.Loader((np.zeros((5, 2)), np.zeros(5, int)))
    assert repr(arrays) == "Loader(<5 samples (2,)>)"


@pytest.mark.parametrize(("name", "way"), [
    ("epoch", "did you mean 'epochs'"), ("validation_splt", "did you mean 'validation_split'"),
    ("workers", "a Loader reads ahead in a thread"), ("nb_epoch", "it is called 'epochs' here"),
    ("initial_epoch", "resume=True"), ("zzz", "it takes x, y, "),
])  # fmt: skip
def test_fit_explains_arguments(name, way):
    with pytest.raises(TypeError, match=f"^Model.fit has no argument '{name}': .*{way}"):
        model().fit(np.zeros((4, 2)), np.zeros(4, int), **{name: 1})


@pytest.mark.parametrize(("name", "way"), [
    ("cv", "it is called 'k' here"), ("n_splits", "it is called 'k' here"),
    ("random_state", "it is called 'seed' here"), ("scoring", "metrics"),
    ("epoch", "did you mean 'epochs'"),
])  # fmt: skip
def test_cross_validate_explains_arguments(name, way):
    with pytest.raises(TypeError, match=f"^cross_validate has no argument '{name}': .*{way}"):
        dfs.cross_validate(model, np.zeros((4, 2)), np.zeros(4, int), **{name: 1})


def test_loader_explains_arguments_of_others():
    for name, way in ("num_workers", "one thread reads ahead"), ("transform", "called 'augment'"):
        with pytest.raises(TypeError, match=way):
            dfs.data.Loader((np.zeros((4, 2)), np.zeros(4, int)), **{name: None})
