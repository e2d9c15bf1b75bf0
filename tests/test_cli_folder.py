"""`deepfs train FOLDER`, `evaluate` and `predict`: pictures of three shapes, and bad folders."""

import io
import re
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import deepfs as dfs
from deepfs.cli import main

SHAPES = ("circle", "square", "triangle")


def picture(kind, rng, side=16):
    """Return a light shape on a dark ground, at a random place."""
    image = Image.new("RGB", (side, side), tuple(int(v) for v in rng.integers(0, 60, 3)))
    draw, r = ImageDraw.Draw(image), int(rng.integers(3, 6))
    x, y = rng.integers(r, side - r, 2).tolist()
    light = tuple(int(v) for v in rng.integers(120, 255, 3))
    if kind == "circle":
        draw.ellipse((x - r, y - r, x + r, y + r), fill=light)
    elif kind == "square":
        draw.rectangle((x - r, y - r, x + r, y + r), fill=light)
    else:
        draw.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=light)
    return image


def draw_folder(folder, count, seed, side=16):
    rng = np.random.default_rng(seed)
    for kind in SHAPES:
        Path(folder, kind).mkdir(parents=True)
        for number in range(count):
            picture(kind, rng, side).save(f"{folder}/{kind}/{number:02d}.png")


def train(*arguments):
    assert main(["train", *map(str, arguments)]) == 0


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with pictures, new ones, and a model that was trained on the first."""
    folder = tmp_path_factory.mktemp("shapes")
    draw_folder(folder / "shapes", 100, 0)
    draw_folder(folder / "new", 2, 1)
    train(folder / "shapes", "--epochs", 15, "--lr", "0.003", "--augment", "flip", "--out", folder)
    return folder


MODEL = "shapes-mini_convnet.safetensors"


def test_predict_names_the_class_of_a_new_image(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    names = [f"new/{kind}/{number:02d}.png" for kind in SHAPES for number in range(2)]
    assert main(["predict", MODEL, *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == names
    right = [line.split(": ")[1].split()[0] == line.split("/")[1] for line in lines]
    assert sum(right) >= 5
    assert main(["predict", MODEL, "new"]) == 0  # a folder
    assert capsys.readouterr().out.splitlines() == lines


def test_predict_is_what_the_model_says(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    model = dfs.load(MODEL)
    assert model.class_names == SHAPES
    p = model.predict_proba(dfs.data.Loader("new", shuffle=False))[0]
    assert main(["predict", MODEL, "new/circle/00.png", "--top", "2"]) == 0
    best = np.argsort(p)[::-1][:2]
    told = "  ".join(f"{SHAPES[k]} {p[k]:.2%}" for k in best)
    assert capsys.readouterr().out == f"new/circle/00.png: {told}\n"


def test_predict_resizes_as_in_training(tmp_path, place, capsys):
    draw_folder(tmp_path / "large", 6, 0, side=24)
    train(
        tmp_path / "large",
        "--image-size",
        "12x10",
        "--epochs",
        1,
        "--out",
        tmp_path / "m.safetensors",
    )
    model = dfs.load(tmp_path / "m.safetensors")
    assert model.network.in_shape == (3, 12, 10)
    pictures = dfs.datasets.from_directory(tmp_path / "large", image_size=(12, 10))
    p = model.predict_proba(dfs.data.Loader(pictures))[0]
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "m.safetensors"), str(pictures.paths[0])]) == 0
    told = float(capsys.readouterr().out.split()[-1].strip("%")) / 100
    assert told == pytest.approx(p.max(), abs=0.01)  # training rounds resized pictures to 8 bits


def test_evaluate_a_folder(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert main(["evaluate", MODEL, "new"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{MODEL} on 6 images of new, ")
    measured = dfs.load(MODEL).evaluate(dfs.data.Loader("new"))
    assert lines[1:] == [
        f"loss      {measured['loss']:.4f}",
        f"accuracy  {measured['accuracy']:.2%}",
    ]
    shutil.copytree("new/square", "part/square")  # a class alone keeps its number
    assert main(["evaluate", MODEL, "part", "--report"]) == 0
    out = capsys.readouterr().out
    assert "precision     recall   f1-score    support" in out
    assert [line.split()[-1] for line in out.splitlines() if line.split()[:1] == ["square"]] == [
        "2"
    ]


def test_a_folder_that_is_divided(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(place / "shapes", "div/train")
    draw_folder("div/val", 3, 2)
    draw_folder("div/test", 4, 3)
    train(
        "div",
        "--epochs",
        1,
        "--best",
        "best.safetensors",
        "--log",
        "log.csv",
        "--out",
        "m.safetensors",
    )
    out = capsys.readouterr().out
    assert out.startswith("mini_convnet on div: 300 training, 9 validation and 12 test images\n")
    assert "best model, val_loss " in out
    assert "test accuracy " in out
    assert "next:  deepfs evaluate m.safetensors div\n       deepfs predict m.safetensors " in out
    assert dfs.load("best.safetensors").class_names == SHAPES
    assert Path("log.csv").read_text().startswith("epoch,loss,accuracy,val_loss,val_accuracy\n0,")
    assert main(["evaluate", "m.safetensors", "div"]) == 0
    assert "on 12 images of div/test, " in capsys.readouterr().out
    assert main(["train", "div", "--validation-split", "0.1"]) == 2
    assert "div has a folder of validation images" in capsys.readouterr().err
    Path("div/val/star").mkdir()
    assert main(["train", "div"]) == 2
    error = "div/val has the class 'star', known are circle, square, triangle"
    assert error in capsys.readouterr().err


def test_plot(place, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(place)
    monkeypatch.setattr("deepfs.commands.predict.MOST", 4)
    assert main(["predict", MODEL, "new", "--plot", str(tmp_path / "p.png")]) == 0
    assert "has the first 4 of 6 images" in capsys.readouterr().err
    with Image.open(tmp_path / "p.png") as picture:
        assert (
            len(np.unique(np.asarray(picture).reshape(-1, picture.mode.count("A") + 3), axis=0))
            > 20
        )
    for name, told in (("p.xyz", "an ending such as .png"), ("no/p.png", "a folder that exists")):
        assert main(["predict", MODEL, "new", "--plot", name]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert f"{told}" in err


def test_plot_without_matplotlib(place, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["predict", str(place / MODEL), str(place / "new"), "--plot", "p.png"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Matplotlib, which is not installed: pip install 'deepfs[plot]'\n" in err


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """Folders that are no training set, each for another reason."""
    root = tmp_path_factory.mktemp("bad")
    for name in ("one/a", "empty/a", "empty/b", "none", "sizes/a", "sizes/b", "modes/a", "modes/b",
                 "broken/a", "broken/b", "huge/a", "huge/b"):  # fmt: skip
        (root / name).mkdir(parents=True)
    for name in ("one/a/1.png", "empty/a/1.png", "sizes/a/1.png", "modes/a/1.png", "none/1.png"):
        Image.new("L", (20, 30)).save(root / name)
    Image.new("L", (20, 31)).save(root / "sizes/b/1.png")
    Image.new("RGB", (20, 30)).save(root / "modes/b/1.png")
    noise = np.random.default_rng(0).integers(0, 255, (16, 16)).astype(np.uint8)
    for name in ("a/1", "a/2", "b/1", "b/2"):
        Image.fromarray(noise).save(root / f"broken/{name}.png")
    cut = root / "broken/b/2.png"
    cut.write_bytes(cut.read_bytes()[:80])
    for name in "ab":
        Image.new("L", (600, 10)).save(root / f"huge/{name}/1.png")
    (root / "text.txt").write_text("no picture")
    return root


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one"], "one must have at least 2 classes, got only 'a'"),
        (["none"], "none must have a subfolder with pictures for each class, got no subfolder"),
        (["empty"], "the class folder empty/b has no pictures: fill or remove it"),
        (["sizes"], "sizes/b/1.png has 31 x 20 pixels (height x width), the first picture, "),
        (["sizes"], "sizes/a/1.png, 30 x 20: give --image-size, such as --image-size 64\n"),
        (["modes"], "give --color-mode rgb or grayscale\n"),
        (["broken"], "broken/b/2.png must be a PNG"),
        (["broken", "--image-size", "9", "--color-mode", "rgb"], "broken/b/2.png must be a PNG"),
        (["huge"], "huge has pictures of 10 x 600 pixels: give the size to which they are resized"),
        (["GOOD", "--data", "."], "--data is for mnist, fashion_mnist, cifar10, cifar100, got it"),
        (["GOOD", "--network", "alexnet_small", "--image-size", "8"],
         "alexnet_small does not take images of 3x8x8 ("),
        (["GOOD", "--augment", "mixup,flip"], "MixUp"),
        (["GOOD", "--early-stopping", "2", "--validation-split", "0"],
         "--early-stopping needs validation images, got --validation-split 0"),
        (["GOOD", "--best", "shapes-mini_convnet.safetensors"], "--best must be another file"),
        (["GOOD", "--out", "text.txt"], "--out must be a folder that exists, got 'text.txt'"),
    ],
)  # fmt: skip
def test_bad_folders_are_one_line(arguments, message, bad, place, monkeypatch, capsys):
    monkeypatch.chdir(bad)
    good = str(place / "shapes")
    before = sorted(bad.iterdir())
    assert main(["train", *(good if each == "GOOD" else each for each in arguments)]) == 2
    out, error = capsys.readouterr()
    assert message in error
    assert error.startswith("deepfs train: error: ")
    assert error.count("\n") == 1
    assert out == ""  # nothing has begun
    assert sorted(bad.iterdir()) == before  # nothing was written


@pytest.mark.parametrize(
    ("option", "file", "message"),
    [
        ("--log", "log.csv", "--log must be a file in a folder to write in, got 'shut/log.csv'"),
        (
            "--best",
            "m.safetensors",
            "--best must be a file in a folder to write in, got 'shut/m.sa",
        ),
        ("--out", "", "--out must be a folder to write in, got 'shut'"),
        ("--out", "m.safetensors", "--out must be a folder to write in, got 'shut'"),
    ],
)
def test_folders_that_cannot_be_written(option, file, message, tmp_path, monkeypatch, capsys):
    def temporary(dir):
        if dir.name == "shut":
            raise PermissionError(13, "Permission denied")
        return io.BytesIO()

    monkeypatch.chdir(tmp_path)
    Path("shut").mkdir()
    monkeypatch.setattr("tempfile.TemporaryFile", temporary)
    assert main(["train", option, f"shut/{file}"]) == 2
    out, error = capsys.readouterr()
    assert message in error
    assert (out, error.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "MODEL", "bad/modes"], "modes has the class 'a', known are circle, square"),
        (
            ["evaluate", "MODEL", "mnist_mini"],
            "takes images of 3x16x16, those of mnist_mini are 1x28x28",
        ),
        (["predict", "MODEL", "bad/empty/b"], "empty/b has no pictures"),
        (["predict", "MODEL", "bad/broken/b/2.png"], "broken/b/2.png must be a PNG"),
        (["predict", "bad/text.txt", "new"], "text.txt is not a safetensors file"),
        (["predict", "nowhere.safetensors", "new"], "nowhere.safetensors: no such file"),
    ],
)
def test_bad_questions_are_one_line(arguments, message, bad, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    words = [
        MODEL if a == "MODEL" else str(bad / a[4:]) if a[:4] == "bad/" else a for a in arguments
    ]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_networks_that_suit_the_size(tmp_path, capsys):
    for side, network in ((48, "mini_convnet"), (49, "resnet20"), (97, "resnet18")):
        draw_folder(tmp_path / str(side), 1, 0, side)
        train(tmp_path / str(side), "--dump-config")
        assert f'network = "{network}"\n' in capsys.readouterr().out


def test_the_result_is_that_of_the_validation_images(place, tmp_path, capsys):
    train(place / "shapes", "--epochs", 2, "--out", tmp_path / "m.safetensors")
    out = capsys.readouterr().out
    held = re.findall(r"val_accuracy (\d\.\d{4})", out)[-1]
    assert held != re.findall(r" accuracy (\d\.\d{4})", out)[-1]
    assert f"\nvalidation accuracy {float(held):.2%} after " in out
    assert "240 training and 60 validation images\n" in out
    preprocess = dfs.load(tmp_path / "m.safetensors").preprocess
    assert preprocess.per == "channel"
    assert preprocess.mean.shape == (3,)


def test_files_that_are_no_pictures_are_named_once(tmp_path, capsys):
    draw_folder(tmp_path / "shapes", 1, 0)
    (tmp_path / "shapes" / "circle" / "notes.txt").write_text("round")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        train(tmp_path / "shapes", "--dump-config")
    err = capsys.readouterr().err
    assert err.endswith("shapes: files that are no pictures are left out (1 .txt)\n")
    assert err.count("\n") == 1


def test_few_validation_images_are_no_sign_of_guessing(tmp_path, place, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # two classes are not among them
        train(place / "shapes", "--validation-split", "0.005", "--epochs", 8, "--lr", "0.003",
              "--out", tmp_path)  # fmt: skip
    out, err = capsys.readouterr()
    assert "validation accuracy 100.00%" in out
    assert "guessing" not in err
    assert "--validation-split 0.005 leaves " in err
    assert err.endswith(" without validation samples: a larger share has them\n")
