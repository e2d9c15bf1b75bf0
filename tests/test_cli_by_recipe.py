"""`deepfs train` by the recipes of `deepfs.recipes`: defaults, what is given, the same bits."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import datasets
from deepfs.cli import main
from deepfs.commands._by_recipe import RECIPES, by_recipe, rate_of
from deepfs.data.splits import validation_numbers

(X, Y), (XT, YT) = datasets.mnist_mini()
DIGITS = (X[:150], Y[:150]), (XT[:30], YT[:30])


def colours(root=None):
    """Return images that stand for CIFAR-10."""
    numbers = np.random.default_rng(0)
    x = numbers.random((60, 3, 32, 32), np.float32)
    return (x[:50], np.arange(50) % 10), (x[50:], np.arange(10))


@pytest.fixture(autouse=True)
def small_sets(monkeypatch, tmp_path):
    for name in ("mnist", "fashion_mnist"):
        monkeypatch.setattr(datasets, name, lambda root=None: DIGITS)
    monkeypatch.setattr(datasets, "cifar10", colours)
    monkeypatch.chdir(tmp_path)


def dumped(capsys, *arguments):
    assert main(["train", *map(str, arguments), "--dump-config"]) == 0
    text = capsys.readouterr().out
    return text.splitlines()[0], tomllib.loads(text)


def trained(*arguments):
    assert main(["train", *map(str, arguments)]) == 0


def weights(path):
    return dfs.load(path).arena.values


@pytest.mark.parametrize("name", RECIPES)
def test_a_data_set_alone_is_trained_by_its_recipe(name, capsys):
    recipe = RECIPES[name]()
    first, found = dumped(capsys, name)
    assert first.startswith(f"# by the recipe dfs.recipes.{name}(target=0.")
    target = found.pop("target")
    assert first == f"# by the recipe dfs.recipes.{name}(target={target:g})"
    assert found == {
        "dataset": name, "epochs": recipe.epochs, "batch_size": recipe.batch_size,
        "validation_split": 0.0, "seed": 0,
    }  # fmt: skip


def test_a_target_takes_another_recipe(capsys):
    first, found = dumped(capsys, "mnist", "--target", "0.993")
    assert first == "# by the recipe dfs.recipes.mnist(target=0.993)"
    assert found["epochs"] == dfs.recipes.mnist(0.993).epochs


def test_it_has_the_bits_of_the_recipe(capsys):
    trained("mnist", "--batch-size", 50, "--seed", 3)
    said = capsys.readouterr().out
    assert said.startswith(
        "mnist by the recipe dfs.recipes.mnist(target=0.99), changed: batch_size: 150 training and "
        "30 test images\n"
    )
    assert "mnist-recipe.safetensors" in said
    recipe = dfs.recipes.mnist()
    recipe.batch_size = 50
    dfs.set_seed(3)
    model = recipe.fit(*DIGITS[0], verbose=0)
    assert_array_equal(weights("mnist-recipe.safetensors"), model.arena.values)
    loaded = dfs.load("mnist-recipe.safetensors")
    assert loaded.class_names == tuple(datasets.MNIST_CLASSES)
    assert loaded.loss.label_smoothing == model.loss.label_smoothing


def test_the_recipe_of_colours_with_callbacks_views_and_a_validation_split(capsys):
    trained("cifar10", "--epochs", 2, "--batch-size", 15, "--validation-split", 0.2)
    said = capsys.readouterr().out
    assert "changed: epochs, batch_size: 40 training, 10 validation and 10 test images" in said
    assert "% with views=Views(shift=1), by which the recipe is measured" in said
    loaded = dfs.load("cifar10-recipe.safetensors")
    assert loaded.steps == 4  # whole batches alone
    x, y = colours()[0]
    numbers, _, _ = validation_numbers(dfs.data.Loader((x, y)), 0.2, True, loaded.class_names)
    preprocess = dfs.preprocessing.Standardize(per="channel")
    preprocess.fit(x[numbers])  # to what is trained on alone
    assert_array_equal(loaded.preprocess(x), preprocess(x))


def test_a_dumped_file_is_the_same_training(capsys):
    options = ["fashion_mnist", "--epochs", "1", "--lr", "0.004", "--augment", "crop",
               "--set", "optimizer.beta1=0.8", "--preprocess", "standardize"]  # fmt: skip
    assert main(["train", *options, "--dump-config"]) == 0
    Path("run.toml").write_text(capsys.readouterr().out)
    trained(*options, "--out", "a.safetensors")
    trained("--config", "run.toml", "--out", "b.safetensors")
    said = capsys.readouterr().out
    assert said.count("changed: epochs, preprocess, augment, optimizer:") == 2
    assert_array_equal(weights("a.safetensors"), weights("b.safetensors"))
    loaded = dfs.load("b.safetensors")
    assert type(loaded.optimizer).__name__ == "Adam"
    assert (loaded.optimizer.beta1, loaded.optimizer.lr.lr) == (0.8, 0.004)
    assert type(loaded.optimizer.lr) is type(dfs.recipes.fashion_mnist().optimizer.lr)


def test_it_goes_on_where_it_was_interrupted(monkeypatch, capsys):
    options = [
        "train",
        "cifar10",
        "--target",
        "0.9",
        "--epochs",
        "2",
        "--batch-size",
        "20",
        "--out",
    ]
    assert main([*options, "whole.safetensors"]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(dfs.augment.ProgressiveResizing, "resized", broken_in_the_second)
        assert main([*options, "part.safetensors"]) == 2
    capsys.readouterr()
    assert main([*options, "part.safetensors", "--resume"]) == 0
    assert "epoch 1/2" not in capsys.readouterr().out
    assert_array_equal(weights("whole.safetensors"), weights("part.safetensors"))
    recipe = dfs.recipes.cifar10(0.9)
    recipe.epochs, recipe.batch_size = 2, 20
    dfs.set_seed(0)
    model = recipe.fit(*colours()[0], verbose=0)
    assert_array_equal(weights("whole.safetensors"), model.arena.values)


def broken_in_the_second(self, x, epoch, resized=dfs.augment.ProgressiveResizing.resized):
    if epoch:
        raise OSError("the lights went out")
    return resized(self, x, epoch)


@pytest.mark.parametrize(
    ("given", "check"),
    [
        ({"epochs": 3}, lambda r: r.epochs == 3),
        ({"optimizer": {"lr": 0.5}}, lambda r: r.optimizer.lr.lr == 0.5),
        ({"optimizer": {"weight_decay": 0.5}}, lambda r: r.optimizer.weight_decay == 0.5),
        ({"optimizer": {"name": "sgd"}}, lambda r: r.optimizer.lr.lr == dfs.optimizers.SGD().lr),
        (
            {"optimizer": {"name": "sgd", "lr": 0.3}},
            lambda r: (type(r.optimizer).__name__, r.optimizer.lr.lr) == ("SGD", 0.3),
        ),
        (
            {"schedule": {"name": "cosine"}},
            lambda r: r.optimizer.lr.lr == rate_of(dfs.recipes.mnist().optimizer.lr),
        ),
        ({"preprocess": "standardize"}, lambda r: r.preprocess.per == "channel"),
        ({"preprocess": "none"}, lambda r: r.preprocess is None),
    ],
)
def test_what_is_given_stands_in_the_place_of_the_recipe(given, check):
    found = by_recipe({"dataset": "mnist", **given}, "mnist_mini")
    assert check(found.recipe)
    assert found.changed == [*given]
    assert found.recipe.network is dfs.recipes.mnist().network


def test_a_named_network_is_trained_as_ever(capsys):
    _, found = dumped(capsys, "mnist", "--network", "mlp")
    assert found == {
        "dataset": "mnist", "preprocess": "none", "augment": [], "network": "mlp", "epochs": 10,
        "batch_size": 100, "validation_split": 0.0, "seed": 0,
        "optimizer": {"name": "adam", "lr": 0.001},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mnist", "--target", "0.99", "--network", "mlp"], "--target chooses a recipe, of mnist, "
         "fashion_mnist, cifar10 without --network, got it with --network"),
        (["--target", "0.9"], "got it with mnist_mini"),
        (["mnist", "--target", "0.9999"], "mnist has recipes for 0.99"),
        (["mnist", "--target", "high"], "must be a number, got 'high'"),
        (["mnist", "--set", "optimizer.beta9=1"], "beta9"),
    ],
)  # fmt: skip
def test_refuses(arguments, message, capsys):
    try:
        status = main(["train", *arguments])
    except SystemExit as error:
        status = error.code
    said = capsys.readouterr().err
    assert status == 2
    assert message in said
    assert said.count("\n") == 1
