"""``deepfs search``: a file with settings, a space and a method; what is refused."""

import tomllib
from pathlib import Path

import pytest

pytest.importorskip("optuna")

import deepfs as dfs
from deepfs.cli import main
from deepfs.commands._sets import images_of
from deepfs.commands.search import Build, TrialImages, space_of

FILE = """
dataset = "mnist_mini"
network = "mlp"
epochs = 1

[search]
method = "random"
n_trials = 2
metric = "accuracy"
storage = "search.log"

[space]
optimizer.lr = ["log", 1e-4, 1e-2]
batch_size = [100, 250]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(capsys, text=FILE, *options):
    Path("run.toml").write_text(text)
    status = main(["search", "run.toml", *options])
    return (status, *capsys.readouterr())


def test_a_search_takes_no_target(capsys):
    status, _, error = run(capsys, "target = 0.99\n" + FILE)
    assert status == 2
    assert "target chooses a recipe of deepfs train, leave it out" in error


def test_a_search_prints_trials_and_saves_the_best(capsys):
    status, out, error = run(capsys)
    assert (status, error) == (0, "")
    assert "4,500 training, 500 validation and 1,000 test images" in out
    assert "\ntrial 0: optimizer.lr=0." in out
    assert "\ntrial 1: optimizer.lr=0." in out
    assert "\nSearch of 2 trials\nbest: val_accuracy 0." in out
    assert "of images that no trial has seen" in out
    model = dfs.load("mnist_mini-search.safetensors")
    best = tomllib.loads(Path("mnist_mini-search.toml").read_text())
    assert model.steps == 5_000 // best["batch_size"]  # validation images are trained on, too
    assert model.optimizer.lr == best["optimizer"]["lr"]
    assert main(["train", "--config", "mnist_mini-search.toml"]) == 0
    capsys.readouterr()
    _, out, _ = run(capsys, FILE, "--trials", "3")  # goes on
    assert [line[:8] for line in out.splitlines() if line[:6] == "trial "] == ["trial 2:"]


def test_folds_and_processes(capsys):
    text = FILE.replace('storage = "search.log"', "cv = 2").replace("n_trials = 2", "n_trials = 1")
    status, out, _ = run(capsys, text, "--jobs", "2", "--threads", "2", "--out", ".")
    assert status == 0
    assert "5,000 training and 1,000 test images" in out


def test_a_trial_that_fails_is_said(capsys):
    text = FILE.replace("batch_size = [100, 250]", 'optimizer.name = ["sgd", "adam"]')
    text = text.replace("epochs = 1", "epochs = 1\noptimizer.beta1 = 0.8")
    text = text.replace('"random"\nn_trials = 2', '"grid"').replace('"log", 1e-4, 1e-2', "0.01")
    status, out, _ = run(capsys, text)
    assert status == 0
    assert "optimizer.name=sgd: failed; TypeError: SGD has no argument 'beta1'" in out
    assert "Search of 2 trials, 1 failed" in out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[space]", "[spice]", "run.toml needs a table [space]: see docs/search.md"),
        ("epochs = 1", "epoch = 1", "there is no setting 'epoch': did you mean epochs?"),
        ("batch_size = [100, 250]", "batch_sise = [1]", "space.batch_sise is no setting: did you"),
        ("batch_size = [100, 250]", 'dataset = ["mnist"]', "space.dataset cannot be searched (ne"),
        ("batch_size = [100, 250]", "batch_size = [0]", "space: batch_size: must be an int of at"),
        ("batch_size = [100, 250]", "batch_size = []", "space['batch_size'] is an empty list"),
        ("1e-4, 1e-2", "1e-2, 1e-4", "space['optimizer.lr'] is an empty range"),
        ("n_trials", "trials", "[search] has no setting 'trials': did you mean n_trials?"),
        ("n_trials = 2", "n_trials = 0", "search.n_trials: must be an int of at least 1, got 0"),
        ('"random"', '"rondom"', "got 'rondom': did you mean 'random'?"),
        ("epochs = 1", 'log = "a.csv"', "log is for one training, deepfs search has many"),
        ("[search]", "[search", "is no TOML file"),
        (
            "batch_size = [100, 250]",
            "augment.crop.padding = [1]",
            "no trial has crop, write augment",
        ),
        ("batch_size = [100, 250]", "augment.corp.padding = [1]", "'corp': did you mean crop?"),
        (
            "batch_size = [100, 250]",
            "augment.crop.paddings = [1]",
            "'paddings': did you mean 'padd",
        ),
        (
            "batch_size = [100, 250]",
            "augment.crop.padding = [-1]",
            "augment.crop.padding: padding ",
        ),
        ("batch_size = [100, 250]", "augment.crop = [1]", "must name one setting of crop, such as"),
        ("batch_size = [100, 250]", 'augment = ["corp"]', "no augmentation 'corp': did you mean c"),
        ("batch_size", "augment.crop.padding = 1\naugment.RandomCrop.padding", "is given twice"),
    ],
)
def test_what_is_refused(capsys, old, new, message):
    assert old in FILE
    status, _, error = run(capsys, FILE.replace(old, new))
    assert status == 2
    assert error.startswith("deepfs search: error: ")
    assert error.count("\n") == 1
    assert message in error


def test_files_and_folders_that_are_refused(capsys):
    assert main(["search", "run.txt"]) == 2
    assert "FILE must be a file with the ending .toml" in capsys.readouterr().err
    assert "--out must be a folder that exists" in run(capsys, FILE, "--out", "none")[2]


def test_augmentations_are_searched(capsys):
    """Lists of them, and a setting of those that have it; validation images stay as they are."""
    given = "augment = [[], ['shift', 'cutout']]\n'augment.crop.padding' = ['int', 1, 3]"
    text = FILE.replace("batch_size = [100, 250]", given.replace("shift", "RandomCrop"))
    text = text.replace("n_trials = 2", "n_trials = 6").replace('network = "mlp"', "threads = 1")
    status, out, error = run(capsys, text.replace("epochs = 1", "epochs = 1\nnetwork = 'mlp'"))
    assert (status, error) == (0, "")
    assert "augment=[]" in out
    assert "augment=['RandomCrop', 'cutout'], augment.crop.padding=" in out
    best = tomllib.loads(Path("mnist_mini-search.toml").read_text())["augment"]
    assert best == [] or (best[0]["name"], best[1]) == ("crop", "cutout")


def test_a_trial_has_images_with_its_augmentations():
    images = images_of("mnist_mini", {})
    images.load(None)
    recipe = {"augment": ["flip", {"name": "crop"}], "batch_size": 5, "epochs": 4}
    trial = TrialImages(Build(recipe, images), images)
    found = [str(each) for each in trial({"augment.crop.padding": 2}).augment]
    assert found == ["RandomHorizontalFlip()", "RandomCrop(padding=2)"]
    assert recipe["augment"] == ["flip", {"name": "crop"}]
    (grows,) = trial({"augment": ["progressive_resizing"]}).augment
    assert grows.epochs == 2  # half of those of the training
    x, y = trial({"augment": []})
    assert len(x) == len(y) == 5000


def test_an_array_that_begins_with_a_scale_is_a_range():
    table = {"lr": ["log", 0.1, 1], "optimizer": {"name": ["adam", "sgd"]}, "epochs": 3}
    expected = {"lr": ("log", 0.1, 1), "optimizer.name": ["adam", "sgd"], "epochs": 3}
    assert space_of(table, "") == expected
