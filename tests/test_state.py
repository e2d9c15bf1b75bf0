"""What a layer owns: parts that are frozen, and parts that are exchanged."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.optimizers import Group
from deepfs.saving.tensors import TensorFile, write


def small(optimizer=None):
    parts = [L.Conv2D(4, 3), L.BatchNorm(), L.ReLU(), L.Dense(5), L.ReLU(), L.Dense(3)]
    optimizer = optimizer or dfs.optimizers.Adam()
    return dfs.Model(L.Sequential(parts), dfs.losses.CrossEntropy(), optimizer)


@pytest.fixture
def batch(rng):
    return rng.random((8, 2, 5, 5), np.float32), rng.integers(0, 3, 8)


def arrays(model):
    found = {name: p.value for name, p in model.network.parameters().items()}
    return {name: a.copy() for name, a in (found | model.network.buffers()).items()}


def changed(before, after):
    return {name for name in before if (before[name] != after[name]).any()}


def test_frozen_before_the_first_data(batch):
    model = small()
    model.network.layers[0].freeze()
    model.network.layers[1].frozen = True
    model.network.build((2, 5, 5))
    before = arrays(model)
    model.train_on_batch(*batch)
    names = {f"dense_{i}.{kind}" for i in (1, 2) for kind in ("weight", "bias")}
    assert changed(before, arrays(model)) == names


def test_frozen_above_what_learns(batch):
    model = small()
    model.network.layers[3].freeze()
    model.network.build((2, 5, 5))
    before = arrays(model)
    model.train_on_batch(*batch)
    assert before.keys() - changed(before, arrays(model)) == {"dense_1.weight", "dense_1.bias"}


def test_frozen_and_unfrozen_between_steps(batch):
    model = small()
    model.train_on_batch(*batch)
    for part in (model.network.layers[1], model.network.layers[3]):
        part.freeze()
        before = arrays(model)
        model.train_on_batch(*batch)
        parts = {name.partition(".")[0] for name in changed(before, arrays(model))}
        assert parts == {"conv2d_1", "batchnorm_1", "dense_1", "dense_2"} - {
            name for name, inner in model.network.named_parts().items() if inner.frozen
        }
    model.network.unfreeze()
    before = arrays(model)
    model.train_on_batch(*batch)
    assert changed(before, arrays(model)) == before.keys()


def test_a_batch_norm_that_a_group_freezes_keeps_its_statistics(batch):
    model = small(dfs.optimizers.SGD(groups=[Group("batchnorm_1.*", frozen=True)]))
    model.predict(batch[0])
    before = arrays(model)
    model.train_on_batch(*batch)
    assert not any(name.startswith("batchnorm") for name in changed(before, arrays(model)))
    norm = model.network.layers[1]
    assert not norm.fixed  # but in the steps of that model
    norm.forward(np.ones((4, 4, 3, 3), np.float32), training=True)
    assert norm.buffers()["batches"][0] == 1


@pytest.mark.parametrize("frozen", [False, True])
def test_the_gradient_below_fixed_statistics(frozen, rng):
    """They are numbers, not functions of the batch."""
    norm = L.BatchNorm(statistics="moving" if frozen else "fixed")
    x, dy = rng.standard_normal((2, 4, 3, 2, 2))
    norm(x)
    norm.buffers()["running_var"][...] = [4, 9, 16]
    norm.frozen = frozen
    _, cache = norm.forward(x, training=True)
    inv_std = 1 / np.sqrt(np.array([4, 9, 16]) + norm.eps)
    assert_allclose(norm.backward(dy, cache), dy * inv_std.reshape(3, 1, 1), rtol=1e-12)


def test_what_is_frozen_is_frozen_in_a_file(batch, tmp_path):
    model = small()
    model.network.layers[0].freeze()
    model.train_on_batch(*batch)
    model.save(tmp_path / "m.safetensors")
    loaded = dfs.load(tmp_path / "m.safetensors")
    assert [layer.frozen for layer in loaded.network.layers][:2] == [True, False]
    for each in (model, loaded, copy.deepcopy(model)):
        each.train_on_batch(*batch)
        assert_array_equal(each.arena.values, model.arena.values)


def test_a_file_has_room_for_its_layers(batch, tmp_path):
    """No 160 MB are made for what a file of a few kilobytes describes."""
    path = tmp_path / "m.safetensors"
    model = dfs.Model(L.Sequential([L.Dense(3)]), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    model.predict(np.ones((1, 5), np.float32))
    model.save(path)
    with TensorFile(path) as file:
        arrays = {name: file.read(name) for name in file.entries}
        description = file.description
    description["network"]["layers"][0]["units"] = 2**23
    write(path, arrays, description)
    with pytest.raises(dfs.CheckpointError, match=r"too small for its layers: .* \(5, 8388608\)"):
        dfs.load(path)


def test_a_part_that_is_exchanged_learns(batch):
    model = small()
    model.train_on_batch(*batch)
    old = model.network.replace("dense_2", L.Dense(7))
    assert model.predict(batch[0]).shape == (8, 7)
    assert old.parameters()["weight"].value.shape == (5, 3)
    before = arrays(model)
    model.train_on_batch(*batch)
    assert changed(before, arrays(model)) == before.keys()


def test_a_fused_relu_that_is_exchanged(batch):
    model = small()
    model.predict(batch[0])
    model.network.replace("relu_2", L.Tanh())
    x = batch[0]
    for part in model.network.layers:
        x = part(x)
    assert_array_equal(model.predict(batch[0]), x)


def test_a_copy_trains_itself(batch):
    model = small()
    model.train_on_batch(*batch)
    copied = copy.deepcopy(model)
    before, own = arrays(model), arrays(copied)
    copied.train_on_batch(*batch)
    assert not changed(before, arrays(model))
    assert changed(own, arrays(copied)) == own.keys()


def test_another_optimizer_has_no_state_of_the_one_before(batch):
    model = small()
    model.train_on_batch(*batch)
    model.optimizer = dfs.optimizers.SGD(0.1)
    model.train_on_batch(*batch)
    assert model.state == {}


def test_a_single_sample_is_refused_before_statistics_move():
    norms = [L.BatchNorm() for _ in range(2)]
    net = L.Sequential([L.Dense(4), L.Dropout(0.5), L.Reshape((1, 2, 2)), norms[0], L.AvgPool2D(2),
                        L.Flatten(), norms[1]])  # fmt: skip
    net(np.ones((2, 3)))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        net.forward(np.ones((1, 3)), training=True)
    assert norms[0].buffers()["batches"][0] == 0


def test_a_summary_counts_a_layer_in_two_places_once(capsys):
    shared = L.Dense(4)
    net = L.Sequential([shared, L.ReLU(), shared])
    dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD()).summary((4,))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3] == "20 parameters, float32, 80 B"
