"""Settings of `deepfs train`: options, ``--set`` and TOML files, and what they make."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import deepfs as dfs
from deepfs import augment, schedules
from deepfs.cli import main
from deepfs.commands import _recipe
from deepfs.commands._augment import ALIASES, AUGMENTATIONS, augmentations_of
from deepfs.commands._recipe import SCHEDULES, as_toml, toml_value

PAGE = Path(__file__).parents[1] / "docs" / "command_line.md"


def dumped(capsys, *arguments):
    """Return what `--dump-config` says."""
    assert main(["train", *map(str, arguments), "--dump-config"]) == 0
    return tomllib.loads(capsys.readouterr().out)


def weights(path):
    return dfs.load(path).arena.values


def test_defaults(capsys):
    assert dumped(capsys) == {
        "dataset": "mnist_mini", "preprocess": "none", "augment": [], "network": "mini_convnet",
        "epochs": 10, "batch_size": 50, "validation_split": 0.0, "seed": 0,
        "optimizer": {"name": "adam", "lr": 0.001},
    }  # fmt: skip
    found = dumped(capsys, "cifar100", "--early-stopping", 2)
    assert found["network"] == "resnet20"
    assert found["preprocess"] == "standardize"
    assert found["validation_split"] == 0.1  # not by the images of the result


def test_a_dumped_file_is_the_same_training(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--network", "mlp", "--batch-size", "500", "--epochs", "1", "--seed", "7",
               "--augment", "crop,mixup", "--optimizer", "adamw", "--weight-decay", "0.1",
               "--schedule", "cosine", "--set", "optimizer.beta1=0.8"]  # fmt: skip
    assert main(["train", *options, "--dump-config"]) == 0
    Path("run.toml").write_text(capsys.readouterr().out)
    assert main(["train", *options, "--out", "a.safetensors"]) == 0
    assert main(["train", "--config", "run.toml", "--out", "b.safetensors"]) == 0
    np.testing.assert_array_equal(weights("a.safetensors"), weights("b.safetensors"))
    optimizer = dfs.load("b.safetensors").optimizer
    assert (type(optimizer).__name__, optimizer.beta1, optimizer.weight_decay) == (
        "AdamW",
        0.8,
        0.1,
    )
    assert isinstance(optimizer.lr, schedules.Cosine)


def test_options_have_precedence_over_the_file(tmp_path, capsys):
    (tmp_path / "run.toml").write_text(
        'epochs = 3\nbatch-size = 7\naugment = ["flip"]\nlr = 0.5\n'
        '[schedule]\nname = "step"\nevery = 2\n'
    )
    found = dumped(capsys, "--config", tmp_path / "run.toml", "--epochs", 4, "--lr", 0.25)
    assert (found["epochs"], found["batch_size"], found["augment"]) == (4, 7, ["flip"])
    assert found["optimizer"]["lr"] == 0.25
    assert found["schedule"] == {"name": "step", "every": 2}


@pytest.mark.skipif(not PAGE.exists(), reason="the tests stand alone")
def test_the_file_of_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        Path("pictures", name).mkdir(parents=True)
        Image.new("RGB", (20, 30)).save(f"pictures/{name}/1.png")
    text = PAGE.read_text("utf-8").split("```toml\n")[1].split("```")[0]
    Path("run.toml").write_text(text)
    found = dumped(capsys, "--config", "run.toml", "--set", "optimizer.lr=0.01")
    wanted = tomllib.loads(text)
    wanted["optimizer"]["lr"], wanted["image_size"] = 0.01, [64, 64]
    assert {key: found[key] for key in wanted} == wanted


def test_values_of_set():
    assert toml_value("0.01") == 0.01
    assert toml_value("true") is True
    assert toml_value("[1, 2]") == [1, 2]
    assert toml_value("cosine") == "cosine"  # without quotes
    assert toml_value("flip,crop") == "flip,crop"
    assert toml_value('"a b"') == "a b"
    assert toml_value("1\nseed = 2") == "1\nseed = 2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epohcs = 3", "there is no setting 'epohcs': did you mean epochs?"),
        ("[optimiser]\nlr = 1", "there is no setting 'optimiser': did you mean optimizer?"),
        ("[network]\nname = 'mlp'", "network: invalid choice: {'name': 'mlp'} (choose from"),
        ("epochs = 0", "epochs: must be an int of at least 1, got 0"),
        ("epochs = true", "epochs: must be an int of at least 1, got True"),
        ("seed = 1.5", "seed: must be an int, got 1.5"),
        ("lr = '1'\noptimizer.lr = 1", "optimizer.lr is given twice"),
        ("batch-size = 1\nbatch_size = 1", "batch_size is given twice"),
        ("optimizer = 'adm'", "did you mean adam?"),
        ("validation_split = 1", "validation_split: must be a share of the images"),
        ("augment = ['flipp']", "augment: there is no augmentation 'flipp': did you mean flip?"),
        ("augment = 3", "augment: must be names such as flip,crop, got 3"),
        ("image_size = [1, 2, 3]", "image_size: must be N, or HxW in pixels"),
        ("best = 'm.h5'", "best: must be a file with the ending .safetensors, got 'm.h5'"),
        ("dataset = 'mnst'", "there is no folder 'mnst', and data sets are mnist_mini, "),
        ("resume = true", "there is no setting 'resume'"),
        ("network = 'unet_small'", "unet_small has classes for each pixel"),
        ("epochs = = 3", "is no TOML file: Invalid value (at line 1, column 10)"),
    ],
)  # fmt: skip
def test_wrong_files_are_one_line(text, message, tmp_path, capsys):
    path = tmp_path / "run.toml"
    path.write_text(text)
    assert main(["train", "--config", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"deepfs train: error: {path}")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lr", "1", "--set", "optimizer.lr=2"], "optimizer.lr is given twice"),
        (["--set", "lr"], "--set must be KEY=VALUE, such as optimizer.lr=0.01, got 'lr'"),
        (["--set", "optimizer.learning_rate=1"], "it is called 'lr' here"),
        (["--set", "optimizer.bta1=1"], "Adam has no argument 'bta1': did you mean 'beta1'?"),
        (["--set", "lr=fast"], "optimizer.lr: must be a number, got 'fast'"),
        (["--set", "seed.x=3"], "there is no setting 'seed.x'"),
        (["--set", "schedule.every=3"], "schedule needs a name: constant, cosine, "),
        (["--schedule", "step", "--set", "schedule.ever=3"], "Step has no argument 'ever'"),
        (["--weight-decay", "-1"], "weight_decay must be in [0, inf), got -1.0"),
        (["--set", 'augment=[{name="crop", paddings=2}]'], "RandomCrop has no argument 'paddings'"),
        (["--config", "run.json"], "--config must be a file with the ending .toml"),
        (["--config", "nowhere.toml"], "nowhere.toml: No such file or directory"),
        (["--image-size", "32"], "--image-size is for folders, mnist_mini has images of 1x28x28"),
        (["--color-mode", "rgb"], "--color-mode is for folders"),
        (["--best", "mnist_mini-mini_convnet.safetensors"], "--best must be another file"),
    ],
)  # fmt: skip
def test_wrong_settings_are_one_line(arguments, message, capsys):
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--augment", "flip,corp"], "there is no augmentation 'corp': did you mean crop?"),
        (["--schedule", "cosin"], "did you mean cosine?"),
        (["--schedule", "one-cycle"], "did you mean one_cycle?"),
        (["--network", "autoencoder"], "autoencoder returns its input"),
        (["--image-size", "0"], "must be N, or HxW in pixels, such as 64 or 48x64, got '0'"),
        (["--validation-split", "1.5"], "at least 0 and below 1, got '1.5'"),
        (["--log", "log.txt"], "must be a file with the ending .csv, got 'log.txt'"),
        (["--log", "nowhere/log.csv"], "must be a file in a folder that exists"),
        (["--early-stopping", "0"], "must be an int of at least 1, got '0'"),
    ],
)  # fmt: skip
def test_wrong_options(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", *arguments])
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_every_augmentation_has_a_name():
    made = augmentations_of([*AUGMENTATIONS], (3, 32, 24), 10)
    kinds = set(augment.__all__) - {"Pipeline", "pipeline", "Views"}  # which are of predictions
    assert {type(each).__name__ for each in made} == kinds
    by_kind = {type(each).__name__: each for each in made}
    assert by_kind["RandomCrop"].padding == 3  # an eighth of 24
    assert by_kind["Cutout"].size == (12, 12)
    assert set(ALIASES.values()) <= AUGMENTATIONS.keys()


def test_augmentations_by_the_names_of_their_classes(capsys):
    found = dumped(capsys, "--augment", "RandomHorizontalFlip, RandomCrop,MixUp")
    assert found["augment"] == ["flip", "crop", "mixup"]


@pytest.mark.parametrize("epochs", [1, 2, 10])
def test_every_schedule(epochs):
    for name in SCHEDULES:
        recipe = {"optimizer": {"name": "sgd"}, "schedule": {"name": name}, "epochs": epochs}
        rule = _recipe.optimizer_of(recipe).lr
        assert type(rule).__name__.lower() == name.replace("_", "")
        assert rule.lr == recipe["optimizer"]["lr"] == 0.01
    step = SCHEDULES["step"](1.0, 9)
    assert [round(step(epoch), 6) for epoch in (0, 2, 3, 6)] == [1, 1, 0.1, 0.01]
    assert SCHEDULES["multi_step"](1.0, 8).milestones == (4, 6)
    assert SCHEDULES["exponential"](1.0, 10)(10) == pytest.approx(0.01)


def test_a_recipe_as_toml():
    recipe = {
        "augment": ["flip", {"name": "crop", "padding": 2}], "image_size": (3, 4), "seed": 3,
        "out": 'a "b"\\ä\n', "schedule": {"name": "cosine", "end": 1e-7},
    }  # fmt: skip
    wanted = recipe | {"image_size": [3, 4]}
    assert tomllib.loads(as_toml(recipe)) == wanted


def test_early_stopping_keeps_the_best_weights(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--network", "two_layer", "--optimizer", "sgd", "--lr", "3", "--epochs", "40"]
    files = ["--early-stopping", "2", "--best", "best.safetensors", "--seed", "1"]
    assert main(["train", *options, *files]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "two_layer on mnist_mini: 4,500 training, 500 validation and 1,000 test images\n"
    )
    assert "best weights of epoch " in out
    last, best = dfs.load("mnist_mini-two_layer.safetensors"), dfs.load("best.safetensors")
    np.testing.assert_array_equal(last.arena.values, best.arena.values)
    assert last.steps >= best.steps
