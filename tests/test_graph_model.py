"""Graphs in a model: training, files, the summary, the profile, outputs of inner layers."""

import copy
import json
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs._trees import leaves
from deepfs.inspection.wiring import source_lines
from deepfs.saving.settings import SettingsReader, all_kinds, number_of_layers, to_config
from deepfs.saving.tensors import CheckpointError


def two_heads():
    image, age = L.Input((1, 6, 6)), L.Input((2,))
    h = L.Flatten()(L.ReLU()(L.Conv2D(3, 3)(image)))
    h = L.ReLU()(L.Dense(6)(L.Concat()([h, age])))
    return dfs.Graph({"image": image, "age": age}, {"kind": L.Dense(3)(h), "size": L.Dense(1)(h)})


def two_headed_model():
    losses = {"kind": dfs.losses.CrossEntropy(), "size": dfs.losses.MeanSquaredError()}
    return dfs.Model(two_heads(), losses, dfs.optimizers.Adam(0.01))


@pytest.fixture
def batch(rng):
    x = {"image": rng.random((12, 1, 6, 6), np.float32), "age": rng.random((12, 2), np.float32)}
    return x, {"kind": np.arange(12) % 3, "size": x["age"][:, :1] * 2}


def siamese():
    tower = L.Sequential([L.Conv2D(3, 3), L.ReLU(), L.Dense(4)], name="tower")
    a, b = L.Input((1, 6, 6)), L.Input((1, 6, 6))
    difference = tower(a) - tower(b)
    return dfs.Graph((a, b), difference * difference)


def wide():
    """Return a graph in a graph, with a layer of one in the other."""
    a, b, x = L.Input((4,)), L.Input((4,)), L.Input((4,))
    dense = L.Dense(4, name="shared")
    inner = dfs.Graph((a, b), {"sum": dense(a) + b, "gate": L.Sigmoid()(b)})
    out = inner((dense(x), x))
    return dfs.Graph(x, L.ReLU()(out["sum"] * out["gate"]))


def test_it_trains(batch):
    model = two_headed_model()
    history = model.fit(*batch, batch_size=4, epochs=20, verbose=0)
    assert history["loss"][-1] < 0.5 * history["loss"][0]


# Files


@pytest.mark.parametrize("make", [two_heads, siamese, wide])
def test_a_description_makes_it_again(make, rng):
    graph = make()
    text = json.dumps(to_config(graph))
    reader = SettingsReader(all_kinds())
    again = reader.make(json.loads(text))
    assert reader.sizes[id(again)] == number_of_layers(graph)
    assert repr(again) == repr(graph)
    assert json.dumps(to_config(again)) == text
    assert again.in_shape is None


def test_a_model_is_saved_and_goes_on(batch, tmp_path):
    model = two_headed_model()
    model.fit(*batch, batch_size=4, epochs=2, verbose=0)
    model.save(tmp_path / "m.safetensors")
    loaded = dfs.load(tmp_path / "m.safetensors")
    for one in (model, loaded):
        one.fit(*batch, batch_size=4, epochs=1, shuffle=False, verbose=0)
    for ours, theirs in zip(leaves(model.predict(batch[0])), leaves(loaded.predict(batch[0])),
                            strict=True):  # fmt: skip
        assert_array_equal(ours, theirs)


def test_a_shared_layer_comes_back_as_one(rng, tmp_path):
    model = dfs.Model(wide(), dfs.losses.MeanSquaredError(), dfs.optimizers.SGD(0.1))
    x = rng.standard_normal((5, 4))
    model.train_on_batch(x, x)
    model.save(tmp_path / "m.safetensors")
    network = dfs.load(tmp_path / "m.safetensors").network
    assert network.layers[0] is network.layers[1].layers[0]
    assert_array_equal(network(x), model.network(x))


def test_a_run_is_resumed(batch, tmp_path):
    whole = two_headed_model().fit(*batch, batch_size=4, epochs=3, verbose=0)
    dfs.set_seed(0)
    two_headed_model().fit(*batch, batch_size=4, epochs=2, verbose=0, checkpoint=tmp_path)
    resumed = two_headed_model().fit(
        *batch, batch_size=4, epochs=3, verbose=0, checkpoint=tmp_path, resume=True
    )
    assert resumed == whole


def changed(config, **settings):
    return {**copy.deepcopy(config), **settings}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"calls": [[0, 0]]}, "the number of a value must be at most 1, got 2"),
        ({"calls": [[0, 1], [1, 2]]}, "the number of a value must be at most 0, got 1"),
        ({"calls": [[0, -1], [1, 1]]}, "the number of a value must be at least 0, got -1"),
        ({"calls": [[0, 0.0], [1, 1]]}, "the number of a value must be an int, got 0.0"),
        ({"calls": [[0, "0"], [1, 1]]}, "the number of a value must be an int, got '0'"),
        ({"calls": [[0, 0], [2, 1]]}, "the number of a layer must be at most 1, got 2"),
        ({"calls": [[0, 0], [True, 1]]}, "the number of a layer must be an int, got True"),
        ({"calls": [[0, 0], 1]}, "a call must be (layer, values), got 1"),
        ({"calls": [[0, 0], [1, 1], [1, 1]]}, "no output of Graph depends on"),
        ({"calls": 5}, "Graph takes tuples of layers and calls"),
        ({"calls": [[0, [0, 0]], [1, 1]]}, "takes one input, got 2"),
        ({"layers": []}, "the number of a layer must be"),
        ({"layers": 3}, "Graph takes tuples of layers and calls"),
        ({"layers": ["Dense", "ReLU"]}, "Graph takes layers, got 'Dense'"),
        ({"layers": None}, "Graph takes tuples of layers and calls"),
        ({"outputs": 3}, "the number of a value must be at most 2, got 3"),
        ({"outputs": {"kind": "dict", "entries": {"y": None}}}, "of a value must be an int"),
        ({"inputs": 0}, "Graph takes symbolic tensors as inputs"),
        ({"inputs": []}, "Graph needs at least one of its inputs"),
        ({"inputs": {"kind": "Input", "shape": [-3], "name": None}}, "must be at least 0, got -3"),
        ({"inputs": {"kind": "Input", "shape": "x", "name": None}}, "must be a tuple of ints"),
        ({"inputs": {"kind": "Input", "shape": [3], "name": 7}}, "must be a str, got 7"),
    ],
)
def test_a_wrong_description_is_refused(settings, message):
    x = L.Input((3,))
    config = json.loads(json.dumps(to_config(dfs.Graph(x, L.ReLU()(L.Dense(2)(x))))))
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        SettingsReader(all_kinds()).make(changed(config, **settings))


def test_a_description_of_endless_calls_is_refused():
    x = L.Input((3,))
    config = json.loads(json.dumps(to_config(dfs.Graph(x, L.ReLU()(L.ReLU()(x))))))
    for _ in range(40):  # each calls the one before twice
        config = changed(config, layers=[config], calls=[[0, 0], [0, 1]])
    with pytest.raises(CheckpointError, match="the file names more than 10000 layers"):
        SettingsReader(all_kinds()).make(config)


# What is shown


def test_the_summary_says_what_layers_take(batch, capsys):
    model = two_headed_model()
    model.train_on_batch(*batch)
    model.summary()
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    assert out.splitlines()[-4:] == [
        "conv2d_1 takes image",
        "concat_1 takes flatten_1, age",
        "dense_3 takes relu_2",
        "the network returns kind = dense_2, size = dense_3",
    ]
    network = siamese()
    assert source_lines(network) == [
        "tower takes input 1", "tower takes input 2", "subtract_1 takes tower, tower",
        "multiply_1 takes subtract_1, subtract_1",
    ]  # fmt: skip
    assert source_lines(wide()) == [
        "graph_1 takes shared, input",
        "graph_1.shared takes input 1",
        "graph_1.add_1 takes shared, input 2",
        "graph_1.sigmoid_1 takes input 2",
        "graph_1 returns sum = add_1, gate = sigmoid_1",
    ]
    assert not source_lines(dfs.networks.mlp())


def test_the_profile_counts_layers_of_several_inputs(batch):
    model = two_headed_model()
    model.train_on_batch(*batch)
    profile = model.profile(*batch, repeats=2)
    assert profile["concat_1"].forward.nbytes == 2 * 12 * (48 + 2) * 4
    assert profile["relu_1"].calls == 0  # fused
    assert profile["dense_2"].forward.multiply_adds == 12 * 6 * 3


# Outputs of inner layers


def test_outputs_of_inner_layers_are_those_of_the_layers_alone(rng):
    body = L.Sequential([L.Conv2D(4, 3, padding=1), L.BatchNorm(), L.ReLU(), L.Conv2D(4, 1)])
    network = L.Sequential([
        L.Conv2D(4, 3, padding=1), L.ReLU(), L.Residual(body), L.ReLU(),
        L.Branches([L.Conv2D(2, 1), L.MaxPool2D(3, 1, 1)]), L.Dense(3),
    ])  # fmt: skip
    model = dfs.Model(network, dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.1))
    x = rng.standard_normal((7, 2, 6, 6)).astype(np.float32)
    model.train_on_batch(x, np.arange(7) % 3)
    conv, relu, residual, last, branches, dense = network.layers
    wanted = {"conv2d_1": conv(x)}
    wanted["relu_1"] = h = relu(wanted["conv2d_1"])
    inner = h
    for name, layer in body.named_parts().items():
        wanted[f"residual_1.body.{name}"] = inner = layer(inner)
    wanted |= {"residual_1.body": inner, "residual_1": inner + h}
    wanted["relu_2"] = h = last(wanted["residual_1"])
    wanted["branches_1.conv2d_1"] = branches.parts[0](h)
    wanted["branches_1"] = h = branches(h)
    wanted["dense_1"] = dense(h)
    before = model.predict(x)
    for batch_size in (256, 3):
        got = model.outputs_of(x, list(wanted), batch_size)
        assert list(got) == list(wanted)
        for name, output in wanted.items():
            assert_allclose(got[name], output, rtol=0 if batch_size > 7 else 1e-4, err_msg=name)
    assert (got["conv2d_1"] < 0).any()
    assert_array_equal(model.outputs_of(x, "dense_1"), before)
    assert "_infer" not in vars(conv)  # the network itself was not touched
    assert_array_equal(model.predict(x), before)


def test_outputs_of_layers_in_a_graph(batch, rng):
    model = two_headed_model()
    x = batch[0]
    model.train_on_batch(*batch)
    got = model.outputs_of(x, ["conv2d_1", "concat_1", "dense_3"], batch_size=5)
    assert_array_equal(got["dense_3"], model.predict(x)["size"])
    assert_array_equal(got["conv2d_1"], model.network.layers[0](x["image"]))
    flat = np.maximum(got["conv2d_1"], 0).reshape(12, -1)
    assert_array_equal(got["concat_1"], np.concatenate([flat, x["age"]], axis=1))


def test_of_a_layer_that_runs_twice_both_outputs(rng):
    network = siamese()
    a, b = rng.random((2, 6, 1, 6, 6), np.float32)
    model = dfs.Model(network, dfs.losses.MeanSquaredError(), dfs.optimizers.SGD(0.1))
    tower = network.layers[0]
    first, second = model.outputs_of((a, b), "tower", batch_size=4)
    assert_array_equal(first, tower(a))
    assert_array_equal(second, tower(b))
    assert len(model.outputs_of((a, b), "tower.relu_1")) == 2


def test_outputs_of_a_graph_inside(rng):
    model = dfs.Model(wide(), dfs.losses.MeanSquaredError(), dfs.optimizers.SGD(0.1))
    x = rng.random((5, 4))
    got = model.outputs_of(x, "graph_1", batch_size=2)
    assert_array_equal(got["gate"], L.Sigmoid()(x))


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ("conv2d_2", KeyError, "the network has no layer 'conv2d_2': did you mean 'conv2d_1'?"),
        (["x"], KeyError, "the network has no layer 'x': it has conv2d_1, relu_1, flatten_1, "),
        ([3], TypeError, "the name of a layer must be a str, got 3"),
    ],
)
def test_unknown_layers_are_refused(names, error, message, batch):
    with pytest.raises(error, match=re.escape(message)):
        two_headed_model().outputs_of(batch[0], names)
