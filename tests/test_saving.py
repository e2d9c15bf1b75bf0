"""Model files: what goes in comes out, and what is not a model is refused."""

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from safetensors.numpy import load_file

import deepfs as dfs
from deepfs import layers as L
from deepfs.initializers import Normal
from deepfs.saving.tensors import TensorFile, write
from test_layers import CASES


def model_of(net, optimizer=None, **settings):
    return dfs.Model(net, dfs.losses.CrossEntropy(), optimizer or dfs.optimizers.Adam(), **settings)


@pytest.fixture
def batch(rng):
    return rng.standard_normal((8, 2, 7, 8)).astype("f"), np.arange(8) % 4


@pytest.fixture
def trained(batch):
    net = L.Sequential(
        [
            L.Conv2D(6, (3, 2), stride=(1, 2), groups=2, initializer=Normal(0.1)),
            L.BatchNorm(),
            L.Residual(L.Conv2D(6, 3, padding=1), L.Conv2D(6, 1, bias=False)),
            L.ReLU(name="last"),
            L.Dropout(0.3),
            L.Dense(4),
        ]
    )
    model = model_of(net)
    model.train_on_batch(*batch)
    return model


def test_round_trip_goes_on_training_to_the_same_bits(trained, batch, tmp_path):
    path = tmp_path / "m.safetensors"
    trained.save(path)
    other = dfs.load(path)
    assert_array_equal(other.predict(batch[0]), trained.predict(batch[0]))
    assert repr(other.network) == repr(trained.network)
    assert vars(other.optimizer) == vars(trained.optimizer)
    assert other.steps == 1
    for model in (trained, other):
        for _ in range(3):
            model.train_on_batch(batch[0], batch[1])
    assert_array_equal(other.arena.values, trained.arena.values)


def test_files_hold_logical_arrays(trained, tmp_path):
    """safetensors would store the bytes of a permuted view in the wrong order without a word."""
    path = tmp_path / "m.safetensors"
    trained.save(path)
    tensors = load_file(path)
    weight = trained.network.parameters()["conv2d_1.weight"].value
    assert not weight.flags.c_contiguous
    assert_array_equal(tensors["parameter/conv2d_1.weight"], weight)
    m = trained.arena.split(trained.state["m"])["conv2d_1.weight"]
    assert_array_equal(tensors["state/m/conv2d_1.weight"], m)


@pytest.mark.parametrize(("make", "shape"), [pytest.param(m, s, id=n) for n, m, s in CASES])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layer_comes_back(make, shape, dtype, tmp_path, rng):
    x = rng.standard_normal(shape).astype(dtype)
    layer = make()
    layer.forward(x, training=True)
    model = dfs.Model(layer, dfs.losses.MeanSquaredError(), dfs.optimizers.SGD())
    model.save(tmp_path / "m.safetensors")
    other = dfs.load(tmp_path / "m.safetensors")
    assert_array_equal(other.network(x), layer(x))
    assert other.network(x).dtype == dtype


@pytest.mark.parametrize("optimizer", [dfs.optimizers.SGD(), dfs.optimizers.Adam()])
def test_a_layer_in_two_places_comes_back_as_one(optimizer, tmp_path, rng):
    shared = L.Dense(8)
    net = L.Sequential([L.Dense(8), shared, L.Residual(shared), L.Dense(3)])
    model = model_of(net, optimizer)
    x, y = rng.standard_normal((9, 5)), np.arange(9) % 3
    model.train_on_batch(x, y)
    model.save(tmp_path / "m.safetensors")
    other = dfs.load(tmp_path / "m.safetensors")
    assert other.network.layers[1] is other.network.layers[2].body
    for each in (model, other):
        each.train_on_batch(x, y)
    assert_array_equal(other.predict(x), model.predict(x))


def test_own_layer_is_named_by_the_caller(tmp_path):
    from dataclasses import dataclass

    @dataclass(eq=False)
    class Double(L.Layer):
        factor: float = 2.0

        def _out_shape(self, in_shape):
            return in_shape

        def _forward(self, x, training):
            return x * self.factor, None

        def _backward(self, dy, cache, need_dx):
            return dy * self.factor

    model = model_of(L.Sequential([Double(3.0), L.Dense(2)]))
    y = model.predict(np.ones((1, 3)))
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(dfs.CheckpointError, match=r"names 'Double', .*load\(path, layers=\["):
        dfs.load(tmp_path / "m.safetensors")
    other = dfs.load(tmp_path / "m.safetensors", layers=[Double])
    assert_array_equal(other.predict(np.ones((1, 3))), y)


def test_own_functions(tmp_path):
    def mine(shape, rng):
        return np.full(shape, 0.5)

    def half(outputs, targets):
        return np.full(len(outputs), 0.5)

    model = model_of(L.Dense(2, initializer=mine), metrics=[half])
    y = model.predict(np.ones((1, 3)))
    model.save(tmp_path / "m.safetensors")
    with pytest.warns(UserWarning, match="metrics of your own are not in the file: half"):
        other = dfs.load(tmp_path / "m.safetensors")
    assert_array_equal(other.predict(np.ones((1, 3))), y)


def test_what_cannot_be_described_is_refused_before_writing(tmp_path):
    class Own(dfs.losses.CrossEntropy):
        pass

    class Plain(dfs.losses.Loss):
        reduction = "mean"

        def terms(self, outputs, targets, sample_weight=None):
            return outputs, 1.0, None

        def _gradient(self, cache, scale):
            return scale

    model = dfs.Model(L.Dense(2), Plain(), dfs.optimizers.SGD())
    model.predict(np.ones((1, 3)))
    with pytest.raises(TypeError, match=r"cannot be saved: a setting must be numbers, text or"):
        model.save(tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())
    model.loss = Own()
    model.save(tmp_path / "m.safetensors")
    assert isinstance(dfs.load(tmp_path / "m.safetensors", layers=[Own]).loss, Own)


def test_files_of_others(tmp_path):
    """One number of a dtype that NumPy does not have."""
    header = json.dumps({"w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(dfs.CheckpointError, match="a safetensors file, but not a deepfs model"):
        dfs.load(path)


def test_a_failed_save_leaves_the_file_before(trained, tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    trained.save(path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        trained.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_refuses_to_save_without_weights(tmp_path):
    with pytest.raises(RuntimeError, match="has seen data, got one without weights"):
        model_of(L.Dense(2)).save(tmp_path / "m.safetensors")


def rewrite(path, change):
    """Write the file again after ``change(tensors, description)``."""
    with TensorFile(path) as file:
        tensors = {name: file.read(name) for name in file.entries}
        description = file.description
    change(tensors, description)
    write(path, tensors, description)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, d: t.pop("parameter/dense_1.bias"), "lacks the array 'parameter/dense_1.bias'"),
        (lambda t, d: t.update(other=np.zeros(1)), "and the network lacks, the array 'other'"),
        (lambda t, d: t.update({"buffer/dropout_1.calls": np.zeros(2)}), "as float64.*takes int64"),
        (lambda t, d: d.update(format=99), "is of format 99, this deepfs reads up to 2"),
        (lambda t, d: d.pop("network"), "does not describe a model: 'network'"),
        (lambda t, d: d["network"].update(kind="os.system"), "names 'os.system', which deepfs"),
        (lambda t, d: d["network"].update(kind="Model"), "names 'Model', which deepfs does not"),
        (lambda t, d: d["network"].update(extra=1), "does not describe a model"),
        (lambda t, d: d.update(in_shape=[1, 2]), "does not describe a model"),
        (lambda t, d: d.update(steps=-3), "steps must be at least 0, got -3"),
        (lambda t, d: d.update(steps=float("inf")), "does not describe a model"),
        (lambda t, d: d.update(in_shape=[2, 2**40, 2**40]), "does not describe a model"),
        (lambda t, d: d.update(format=float("inf")), "a safetensors file, but not a deepfs model"),
        (lambda t, d: d.update(format="x"), "a safetensors file, but not a deepfs model"),
    ],
)
def test_refuses_files_that_are_not_this_model(change, message, trained, tmp_path):
    path = tmp_path / "m.safetensors"
    trained.save(path)
    rewrite(path, change)
    with pytest.raises(dfs.CheckpointError, match=message):
        dfs.load(path)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 not a model", b"\xff" * 100, b"\x08\0\0\0\0\0\0\0{}      "]
)
def test_refuses_other_files(content, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(dfs.CheckpointError, match=r"m.safetensors is (not )?a safetensors file"):
        dfs.load(path)


def test_refuses_a_truncated_file(trained, tmp_path):
    path = tmp_path / "m.safetensors"
    trained.save(path)
    whole = path.read_bytes()
    for length in (4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(dfs.CheckpointError, match="is not a safetensors file"):
            dfs.load(path)


def test_no_such_folder(trained, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"m.safetensors: there is no folder .*nowhere"):
        trained.save(tmp_path / "nowhere" / "m.safetensors")


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such file"):
        dfs.load(tmp_path / "nowhere")
