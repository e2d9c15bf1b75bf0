"""Folders of pictures: classes, sizes, modes, and every way in which files can be wrong."""

import os
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs._pictures import read_image
from deepfs.data import Loader
from deepfs.datasets import ImageFolder, from_directory

Image = pytest.importorskip("PIL.Image")


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def grey(seed=0, h=6, w=8):
    return np.random.default_rng(seed).integers(0, 256, (h, w), np.uint8)


def colours(seed=0, h=6, w=8):
    return np.random.default_rng(seed).integers(0, 256, (h, w, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Three classes of four grey pictures."""
    for label, name in enumerate(("bird", "cat", "dog")):
        for number in range(4):
            save(tmp_path / "set" / name / f"{number}.png", grey(10 * label + number))
    return tmp_path / "set"


def test_classes_are_the_sorted_subfolders(folder):
    pictures = from_directory(folder)
    assert pictures.class_names == ("bird", "cat", "dog")
    assert [path.relative_to(folder).as_posix() for path in pictures.paths[3:6]] == [
        "bird/3.png", "cat/0.png", "cat/1.png",
    ]  # fmt: skip
    assert_array_equal(pictures.targets, np.repeat([0, 1, 2], 4))
    image, label = pictures[5]
    assert label == 1
    assert_array_equal(image, grey(11)[None])
    assert len(pictures) == 12
    assert pictures.image_shape == (1, 6, 8)
    assert_array_equal(pictures[-1][0], grey(23)[None])
    assert_array_equal(pictures.read(np.array([7, 0])), [grey(13)[None], grey(0)[None]])


def test_pictures_below_a_class_are_of_it_and_hidden_ones_of_none(folder):
    save(folder / "cat" / "more" / "9.jpg", grey())
    save(folder / "cat" / ".hidden.png", grey())
    save(folder / ".git" / "a.png", grey())
    save(folder / "__MACOSX" / "a.png", grey())
    (folder / "cat" / "Thumbs.db").write_bytes(b"1")
    pictures = ImageFolder(folder)
    assert pictures.class_names == ("bird", "cat", "dog")
    assert len(pictures) == 13
    assert pictures.paths[8] == folder / "cat" / "more" / "9.jpg"


def test_colours_are_channels_first_and_can_become_grey(tmp_path):
    save(tmp_path / "a" / "0.png", colours())
    assert_array_equal(from_directory(tmp_path)[0][0], colours().transpose(2, 0, 1))
    made = from_directory(tmp_path, color_mode="grayscale")[0][0]
    assert_array_equal(made[0], np.rint(colours() @ np.array([0.299, 0.587, 0.114])))
    save(tmp_path / "a" / "0.png", grey())
    assert_array_equal(from_directory(tmp_path, color_mode="rgb")[0][0], [grey()] * 3)


def test_resizing_is_what_predict_of_the_command_line_does(tmp_path):
    path = tmp_path / "a" / "0.png"
    save(path, colours(0, 20, 31))
    made = from_directory(tmp_path, (12, 10))[0][0]
    assert_array_equal(made, np.rint(255 * read_image(str(path), 3, 12, 10)[0]))
    assert from_directory(tmp_path, 9).image_shape == (3, 9, 9)


def test_the_aspect_ratio_is_kept_by_cropping_or_padding(tmp_path):
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 200
    save(tmp_path / "a" / "0.png", wide)
    assert (from_directory(tmp_path, 10, crop_to_aspect_ratio=True)[0][0] == 200).all()
    padded = from_directory(tmp_path, 30, pad_to_aspect_ratio=True)[0][0][0]
    assert_array_equal(padded[10:20], wide)
    assert not padded[:10].any()
    assert not padded[20:].any()
    with pytest.raises(ValueError, match="exclude each other"):
        from_directory(tmp_path, 30, pad_to_aspect_ratio=True, crop_to_aspect_ratio=True)


def test_a_validation_folder_has_the_classes_of_the_training_folder(folder, tmp_path):
    save(tmp_path / "val" / "dog" / "0.png", grey())
    pictures = from_directory(tmp_path / "val", class_names=["bird", "cat", "dog"])
    assert pictures[0][1] == 2
    with pytest.raises(ValueError, match="must name each subfolder, 'bird' is missing"):
        from_directory(folder, class_names=["cat", "dog"])


def test_pictures_without_labels(folder):
    loader = Loader(from_directory(folder / "cat", labels=None), 3)
    assert [len(x) for x in loader] == [3, 1]
    assert from_directory(folder / "cat", labels=None)[0][1] == -1


def model(c=1):
    L = dfs.layers
    net = L.Sequential([L.Flatten(), L.Dense(3)])
    return dfs.Model(net, "cross_entropy", dfs.optimizers.SGD(0.1), seed=0)


@pytest.mark.parametrize("cache", [False, True])
def test_training_on_a_folder(folder, cache):
    """As on its arrays; the class names and numbers from 0 to 1 come with it."""
    pictures = from_directory(folder, cache=cache)
    x = (np.stack([image for image, _ in pictures]) * np.float32(1 / 255)).astype(np.float32)
    mine, theirs = model(), model()
    mine.fit(pictures, epochs=2, verbose=0)
    theirs.fit(x, pictures.targets, epochs=2, verbose=0)
    assert mine.history["loss"] == theirs.history["loss"]
    assert mine.class_names == ("bird", "cat", "dog")
    assert_array_equal(mine.predict(pictures), theirs.predict(x))
    again = model()
    again.fit(Loader(folder), epochs=2, verbose=0)
    assert again.history == mine.history


def test_cached_pictures_are_read_once(folder):
    loader = Loader(from_directory(folder, cache=True), 5)
    before = loader.x[:]
    contents = {path: path.read_bytes() for path in loader.source.folder.paths}
    for path in contents:
        path.unlink()
    assert_array_equal(loader.x[:], before)
    assert loader.source.in_memory
    for path, content in contents.items():
        path.write_bytes(content)
    loader.source.folder.image_size = (6, 8)  # other settings: nothing is known of these
    assert not loader.source.in_memory


# what is wrong with files


def test_no_folder_no_classes_no_pictures(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        from_directory(tmp_path / "nowhere")
    with pytest.raises(NotADirectoryError, match=r"0\.png must be a folder"):
        from_directory(folder / "cat" / "0.png")
    with pytest.raises(ValueError, match=r"cat must have a subfolder for each class, got none and "
                                         r"4 pictures: labels=None"):  # fmt: skip
        from_directory(folder / "cat")
    (folder / "ant").mkdir()
    with pytest.raises(ValueError, match=r"the class folder .*ant has no pictures: fill or remove"):
        from_directory(folder)
    (folder / "ant" / "a.xcf").write_bytes(b"1")
    with pytest.raises(ValueError, match=r"ant has no pictures \(1 \.xcf\)"):
        from_directory(folder)


def test_files_that_are_no_pictures_are_named_in_a_warning(folder):
    (folder / "cat" / "notes.txt").write_text("hello")
    (folder / "dog" / "LICENSE").write_text("hello")
    with pytest.warns(UserWarning, match=r"left out \(1 \.txt, 1 LICENSE\)"):
        assert len(from_directory(folder)) == 12


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (grey(0, 6, 9), r"9\.png has 6 x 9 pixels .*0\.png, 6 x 8: give image_size="),
        (colours(), r'9\.png is in colours, the first .*0\.png, is grey: give color_mode="rgb"'),
    ],
)
def test_pictures_that_differ_are_named_before_the_first_step(folder, pixels, message):
    save(folder / "dog" / "9.png", pixels)
    with pytest.raises(ValueError, match=message):
        from_directory(folder)
    assert from_directory(folder, 6, "rgb").image_shape == (3, 6, 6)


@pytest.mark.parametrize("damage", ["text", "half", "empty"])
def test_damaged_pictures_are_named(folder, damage):
    path = folder / "dog" / "2.png"
    content = path.read_bytes()
    path.write_bytes({"text": b"no picture", "half": content[:-30], "empty": b""}[damage])
    with pytest.raises(ValueError, match=r"dog.2\.png must be a PNG"):
        model().fit(from_directory(folder), verbose=0)
    with pytest.raises(ValueError, match=r"dog.2\.png must be a PNG"):
        list(Loader(from_directory(folder, 6, "rgb"), 4))


class During(dfs.callbacks.Callback):
    def __init__(self, act):
        self.act = act

    def on_train_batch_end(self, number, logs):
        if self.model.steps == 2:
            self.act()


def test_a_picture_that_vanishes_during_the_training_is_named_and_the_state_kept(folder, tmp_path):
    path = folder / "dog" / "2.png"
    content = path.read_bytes()
    whole = model()
    whole.fit(Loader(folder, 2), epochs=3, verbose=0)
    made = model()
    settings = {"epochs": 3, "verbose": 0, "checkpoint": tmp_path / "run"}
    with pytest.raises(FileNotFoundError) as info:
        made.fit(Loader(folder, 2), **settings, callbacks=During(path.unlink))
    assert info.value.filename == str(path)
    assert made.steps > 2
    path.write_bytes(content)
    resumed = model()
    resumed.fit(Loader(folder, 2), **settings, callbacks=During(int), resume=True)
    assert resumed.history == whole.history


def test_a_picture_that_is_exchanged_during_the_training_is_named(folder):
    path = folder / "dog" / "2.png"
    with pytest.raises(ValueError, match=r"2\.png has another size than before"):
        model().fit(
            Loader(folder, 2), epochs=3, verbose=0,
            callbacks=During(lambda: save(path, grey(0, 9, 9))),
        )  # fmt: skip


def test_another_folder_is_another_run(folder, tmp_path):
    settings = {"epochs": 1, "verbose": 0, "checkpoint": tmp_path / "run"}
    model().fit(from_directory(folder), **settings)
    os.rename(folder / "cat" / "2.png", folder / "cat" / "7.png")
    with pytest.raises(dfs.CheckpointError, match=r"fit\.loader\.files"):
        model().fit(from_directory(folder), **settings, resume=True)


def test_names_of_others_are_explained():
    with pytest.raises(TypeError, match="'class_names'"):
        ImageFolder(".", classes=["a"])
    with pytest.raises(ValueError, match="color_mode must be one of None, 'grayscale', 'rgb'"):
        ImageFolder(".", color_mode="gray")


def test_a_camera_turns_its_pictures(tmp_path):
    """The size in the header is that before turning."""
    (tmp_path / "a").mkdir()
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(grey()).save(tmp_path / "a" / "0.jpg", exif=exif, quality=100)
    with warnings.catch_warnings(action="error"):
        pictures = from_directory(tmp_path)
    assert pictures[0][0].shape == pictures.image_shape == (1, 8, 6)


def test_without_pillow_the_line_that_installs_it_is_said(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"pip install 'deepfs\[images\]'"):
        from_directory(folder)
