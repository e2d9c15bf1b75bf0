"""Recipes: what they consist of, that they train, and what they refuse."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import recipes
from deepfs.recipes import cifar10, fashion_mnist, mnist


@pytest.fixture(scope="module")
def digits():
    (x, y), (xt, yt) = dfs.datasets.mnist_mini()
    return x, y, xt, yt


def colours(n):
    """Return images of noise, uint8, whose class is the channel that is brightest."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 100, (n, 3, 32, 32), np.uint8), rng.integers(0, 3, n)
    x[np.arange(n), y] += 100
    return x, y


def weights(model):
    return np.concatenate([w.ravel() for w in model.get_weights().values()])


def test_digits_in_one_epoch(digits):
    """5,000 images are a twelfth of what the recipe is for; without training it is 0.1."""
    x, y, xt, yt = digits
    model = mnist().fit(x, y, seed=0, verbose=0)
    assert model.evaluate(xt, yt)["accuracy"] > 0.93
    assert model.steps == 40
    assert model.epochs == 1


@pytest.mark.parametrize(
    "recipe", [mnist(0.993), mnist(0.995), fashion_mnist(), fashion_mnist(0.935)]
)
def test_grey_images_train(recipe, digits):
    x, y, *_ = digits
    recipe.epochs, recipe.batch_size = 2, 20
    model = recipe.fit(x[:160], y[:160], seed=0, verbose=0)
    assert model.steps == 16
    assert model.history["loss"][-1] < model.history["loss"][0]


def test_colour_images_train():
    """Means of the channels alone separate the classes."""
    recipe = cifar10()
    recipe.epochs, recipe.batch_size = 4, 16
    x, y = colours(80)
    model = recipe.fit(x, y, seed=0, verbose=0)
    assert model.history["loss"][-1] < model.history["loss"][0]
    assert model.evaluate(*colours(100), views=recipe.views)["accuracy"] > 0.6


def test_size_of_the_network_for_colour_images():
    x = np.random.default_rng(0).random((2, 3, 32, 32), np.float32)
    for target, size in ((0.87, 569_656), (0.9, 1_972_792)):
        net = cifar10(target).network(x)
        assert net(x).shape == (2, 10)
        assert sum(p.value.size for p in net.parameters().values()) == size


def test_size_of_the_networks_by_muon_for_grey_images():
    x = np.random.default_rng(0).random((3, 1, 28, 28), np.float32)
    makes = mnist(0.995), fashion_mnist(0.935), fashion_mnist(0.945)
    for recipe, size in zip(makes, (141_864, 141_864, 560_168), strict=True):
        net = recipe.network(x)
        assert net(x).shape == (3, 10)
        assert net.parameters()["whiten.weight"].value.shape == (8, 1, 2, 2)
        assert sum(p.value.size for p in net.parameters().values()) == size


def test_the_first_filters_whiten_what_the_network_gets_and_stay():
    x, y = colours(40)
    recipe = cifar10()
    recipe.epochs, recipe.batch_size = 1, 8
    model = recipe.fit(x, y, seed=0, verbose=0)
    seen = dfs.preprocessing.Standardize(per="channel").fit(x)(x)
    wanted = dfs.initializers.patch_whitening(seen)((24, 3, 2, 2), None)
    found = model.get_weights()
    np.testing.assert_allclose(found["whiten.weight"], wanted, rtol=1e-6)
    assert (found["whiten.bias"] != 0).any()
    assert all((v == 1).all() for name, v in found.items() if name.endswith("gamma"))
    assert model.preprocess.fitted
    assert recipe.preprocess.fitted is False  # of the recipe, which may be fitted to other images


def test_rates_of_groups():
    """AdamW's rates are those of the groups; whitening and factors stay."""
    optimizer = cifar10().optimizer
    found = {
        name: [g for g in optimizer.groups if g.matches(name)]
        for name in ("whiten.weight", "whiten.bias", "batchnorm_1.gamma", "batchnorm_1.beta")
    }
    assert [[g.lr_scale for g in groups] for groups in found.values()] == [
        [None], [0.02], [None], [0.02]
    ]  # fmt: skip
    assert [groups[0].frozen for groups in found.values()] == [True, None, True, None]
    assert optimizer.lr.lr * optimizer.adam_scale == pytest.approx(1)


def test_convolutions_start_as_the_identity_and_random_filters():
    net = cifar10().network(np.random.default_rng(0).random((2, 3, 32, 32), np.float32))
    net.build((3, 32, 32))
    w = net.parameters()["conv2d_4.weight"].value  # 64 to 128
    assert_array_equal(w[:64, :, 1, 1], np.eye(64))
    assert np.count_nonzero(w[:64]) == 64
    limit = (64 * 9) ** -0.5
    assert 0.99 * limit < abs(w[64:]).max() <= limit


def test_images_grow_to_their_full_size():
    *_, resizing = cifar10(0.9).augment
    sides = [resizing.size(32, 32, epoch) for epoch in range(cifar10(0.9).epochs)]
    assert sides == [(16, 16)] * 2 + [(32, 32)] * 5
    assert cifar10(0.9).network(np.ones((1, 3, 32, 32), np.float32))(
        np.ones((2, 3, 16, 16), np.float32)
    ).shape == (2, 10)


def test_a_recipe_can_be_fitted_again(digits):
    x, y, *_ = digits
    recipe = mnist()
    before = repr(recipe)
    first, second, other = (recipe.fit(x[:300], y[:300], seed=s, verbose=0) for s in (0, 0, 1))
    assert_array_equal(weights(first), weights(second))
    assert (weights(first) != weights(other)).any()
    assert repr(recipe) == before
    assert first.optimizer is not recipe.optimizer


def test_other_sources_and_options(digits):
    x, y, xt, yt = digits
    recipe, seen = mnist(), []
    hook = dfs.callbacks.LambdaCallback(on_epoch_end=lambda *args: seen.append(args))
    source = list(zip(x[:300], y[:300], strict=True))
    model = recipe.fit(
        source, seed=0, verbose=0, callbacks=[hook], validation_data=(xt[:50], yt[:50])
    )
    assert len(seen) == 1
    assert "val_accuracy" in model.history
    alike = recipe.fit(x[:300], y[:300], seed=0, verbose=0)
    assert_array_equal(weights(model), weights(alike))


def test_settings_by_name():
    recipe = mnist()
    assert isinstance(recipe.schedule, dfs.schedules.OneCycle)
    assert recipe.schedule is recipe.optimizer.lr
    assert recipe.loss.label_smoothing == 0.05
    changed = copy.copy(recipe)
    changed.epochs = 3
    assert (recipe.epochs, changed.epochs) == (1, 3)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_targets(name):
    make = getattr(recipes, name)
    epochs = [make(target).epochs for target in (0.5, 0.86)]
    assert epochs[0] == epochs[1]
    with pytest.raises(ValueError, match=rf"^{name} has recipes for 0\.\d+.*, got target=0.999$"):
        make(0.999)
    with pytest.raises(TypeError, match=r"target must be a number in \(0, 1\), got '99 %'"):
        make("99 %")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"network": dfs.networks.mlp()}, TypeError, "write lambda x: ..."),
        ({"optimizer": "adam"}, TypeError, "optimizer must be an Optimizer, got 'adam'"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"loss": "mse"}, TypeError, "loss must be a Loss, got 'mse'"),
        ({"augment": "flip"}, TypeError, "flip"),
        ({"callbacks": [dfs.callbacks.EMA()]}, TypeError, r"write lambda steps: \[\.\.\.\]"),
        ({"views": True}, TypeError, "views must be augment.Views or None, got True"),
        ({"drop_last": 1}, TypeError, "drop_last must be True or False"),
        ({"lr": 1}, TypeError, "lr"),
    ],
)
def test_bad_settings(settings, error, message):
    given = {"network": lambda x: dfs.networks.mlp(), "optimizer": dfs.optimizers.Adam()}
    with pytest.raises(error, match=message):
        recipes.Recipe(**{"epochs": 1, **given, **settings})


def test_settings_of_the_recipe_are_no_options(digits):
    x, y, *_ = digits
    with pytest.raises(TypeError, match=r"write recipe\.epochs = 3"):
        mnist().fit(x[:10], y[:10], epochs=3)
    with pytest.raises(TypeError, match="give fit what the Loader was made of"):
        mnist().fit(dfs.data.Loader((x[:10], y[:10])))
