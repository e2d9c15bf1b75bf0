"""Names people remember from Keras and PyTorch: they work, or the error names ours."""

import copy
import importlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import optimizers, schedules
from deepfs._elsewhere import (
    FOREIGN,
    LAYER_WAYS,
    MODEL_WAYS,
    MODULES,
    OPTIMIZER_WAYS,
    PARAMETER_WAYS,
    SCHEDULE_WAYS,
)
from deepfs._names import ELSEWHERE, INSTEAD
from deepfs.losses import CrossEntropy, MeanSquaredError

X = np.random.default_rng(0).standard_normal((6, 4))


def network():
    net = L.Sequential([L.Dense(8), L.ReLU(), L.Dense(3)])
    net(X)
    return net


def model():
    return dfs.Model(network(), CrossEntropy(), optimizers.SGD(0.1), ())


# What is asked of a module, and the end of the error.
ABSENT = [
    ("", "load_model", "call deepfs.load(path)"),
    ("", "Adam", "it is deepfs.optimizers.Adam"),
    ("", "Dense", "it is deepfs.layers.Dense"),
    ("", "Sequential", "it is deepfs.layers.Sequential"),
    ("", "CrossEntropyLoss", "it is called deepfs.losses.CrossEntropy"),
    ("", "nn", "deepfs.layers has layers, deepfs.losses losses"),
    ("", "manual_seed", "call deepfs.set_seed(seed)"),
    ("", "lsvu", "did you mean 'lsuv'?"),
    ("layers", "BatchNormalization", "it is called BatchNorm here"),
    ("layers", "BatchNorm2d", "it is called BatchNorm here"),
    ("layers", "MaxPooling2D", "it is called MaxPool2D here"),
    ("layers", "MaxPool2d", "it is called MaxPool2D here"),
    ("layers", "AveragePooling2D", "it is called AvgPool2D here"),
    ("layers", "GlobalAveragePooling2D", "it is called GlobalAvgPool2D here"),
    ("layers", "LayerNormalization", "it is called LayerNorm here"),
    ("layers", "Linear", "it is called Dense here"),
    ("layers", "Concatenate", "it is called Concat here"),
    ("layers", "InputLayer", "it is called Input here"),
    ("layers", "Resizing", "it is called Resize2D here"),
    ("layers", "Conv2d", "it is called Conv2D here"),
    ("layers", "Conv2DTranspose", "it is called ConvTranspose2D here"),
    ("layers", "UpSampling2D", "it is called Upsample2D here"),
    ("layers", "AdaptiveMaxPool2d", "it is called GlobalMaxPool2D, for an output of 1 here"),
    ("layers", "Activation", "activations are layers, such as deepfs.layers.ReLU()"),
    ("layers", "Adam", "it is deepfs.optimizers.Adam"),
    ("layers", "LSTM", "derive a class from deepfs.layers.Layer"),
    ("layers", "Dence", "did you mean 'Dense'?"),
    ("losses", "SparseCategoricalCrossentropy", "it is called CrossEntropy here"),
    ("losses", "MSELoss", "it is called MeanSquaredError here"),
    ("losses", "BCEWithLogitsLoss", "it is called BinaryCrossEntropy here"),
    ("optimizers", "Nadam", "it is called NAdam here"),
    ("optimizers", "StepLR", "it is called deepfs.schedules.Step"),
    ("schedules", "ReduceLROnPlateau", "it is called Plateau here"),
    ("schedules", "LambdaLR", "it is called Function here"),
    ("regularizers", "l2", "it is called L2 here"),
    ("initializers", "XavierNormal", "it is called GlorotNormal here"),
    ("metrics", "accuracy_score", "it is called accuracy here"),
    ("callbacks", "BackupAndRestore", "call fit(checkpoint=folder)"),
    ("networks", "Dense", "it is deepfs.layers.Dense"),
]


@pytest.mark.parametrize(("module", "name", "end"), ABSENT)
def test_a_name_that_a_module_does_not_have(module, name, end):
    full = f"deepfs.{module}".rstrip(".")
    with pytest.raises(AttributeError) as caught:
        getattr(importlib.import_module(full), name)
    text = str(caught.value)
    assert text.startswith(f"module '{full}' has no attribute '{name}': ")
    assert text.endswith(end) or (module == "layers" and end in text)
    with pytest.raises(ImportError) as imported:
        exec(f"from {full} import {name}", {})
    assert str(imported.value) == text
    assert not hasattr(importlib.import_module(full), name)


@pytest.mark.parametrize("name", FOREIGN)
def test_every_foreign_name_leads_to_a_name_that_there_is(name):
    home, _, here = FOREIGN[name].partition(".")
    if home in MODULES:
        here = here.partition(",")[0]
        there = importlib.import_module(f"deepfs.{home}")
        assert hasattr(there, here)
    else:
        assert " " in FOREIGN[name]  # words


def test_names_that_nobody_uses():
    with pytest.raises(AttributeError, match=r"^module 'deepfs.layers' has no attribute 'qqqq'$"):
        L.qqqq  # noqa: B018
    with pytest.raises(AttributeError, match=r"^module 'deepfs' has no attribute '__qqqq__'$"):
        dfs.__qqqq__  # noqa: B018
    assert importlib.import_module("deepfs.trainer").Trainer  # private modules are there


def test_a_look_for_a_private_module_imports_nothing():
    code = "import sys; from deepfs import _check; print('deepfs.layers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n", done.stderr


# A constructor with an argument as others call it, and the end of the error.
ARGUMENTS = [
    (lambda **kw: L.Dense(3, **kw), "activation", "after this one, such as ReLU()"),
    (lambda **kw: L.Dense(3, **kw), "use_bias", "it is called 'bias' here"),
    (lambda **kw: L.Dense(3, **kw), "input_shape", "the first input decides"),
    (lambda **kw: L.Dense(3, **kw), "in_features", "the first input decides"),
    (lambda **kw: L.Dense(3, **kw), "kernel_initializer", "it is called 'initializer' here"),
    (lambda **kw: L.Dense(3, **kw), "kernel_regularizer", "Group(names, regularizer=...)"),
    (lambda **kw: L.Dense(**kw), "out_features", "it is called 'units' here"),
    (lambda **kw: L.Conv2D(8, 3, **kw), "strides", "it is called 'stride' here"),
    (lambda **kw: L.Conv2D(8, 3, **kw), "dilation_rate", "it is called 'dilation' here"),
    (lambda **kw: L.Conv2D(8, 3, **kw), "data_format", "images are (n, c, h, w)"),
    (lambda **kw: L.Conv2D(8, 3, **kw), "padding_mode", "images are padded with zeros"),
    (lambda **kw: L.Conv2D(8, 3, **kw), "in_channels", "the first input decides"),
    (lambda **kw: L.MaxPool2D(**kw), "pool_size", "it is called 'kernel_size' here"),
    (lambda **kw: L.Dropout(**kw), "rate", "it is called 'p' here"),
    (lambda **kw: L.Dropout(**kw), "keep_prob", "p = 1 - keep_prob, the probability to drop"),
    (lambda **kw: L.Dropout(**kw), "seed", "or call deepfs.set_seed(seed) before"),
    (lambda **kw: L.Dropout(**kw), "inplace", "leave it out: outputs are new arrays"),
    (lambda **kw: L.BatchNorm(**kw), "epsilon", "it is called 'eps' here"),
    (lambda **kw: L.BatchNorm(**kw), "axis", "axis 1 has the channels, and the last axes the pix"),
    (lambda **kw: L.BatchNorm(**kw), "num_features", "the first input decides"),
    (lambda **kw: L.BatchNorm(**kw), "track_running_stats", 'use statistics="fixed"'),
    (lambda **kw: L.LeakyReLU(**kw), "negative_slope", "it is called 'slope' here"),
    (lambda **kw: L.Residual(L.ReLU(), **kw), "downsample", "it is called 'shortcut' here"),
    (lambda **kw: CrossEntropy(**kw), "from_logits", "the loss says what outputs mean"),
    (lambda **kw: CrossEntropy(**kw), "weight", "it is called 'class_weight' here"),
    (lambda **kw: MeanSquaredError(**kw), "size_average", "use reduction"),
    (lambda **kw: optimizers.Adam(**kw), "learning_rate", "it is called 'lr' here"),
    (lambda **kw: optimizers.Adam(**kw), "betas", "it is called 'beta1' or 'beta2' here"),
    (lambda **kw: optimizers.Adam(**kw), "clipnorm", "it is called 'clip_norm' or 'clip_each' he"),
    (lambda **kw: optimizers.Adam(**kw), "params", "come with step(network), or by Model"),
    (lambda **kw: optimizers.SGD(**kw), "momentum", "use the optimizer Momentum"),
    (lambda **kw: optimizers.SGD(**kw), "nesterov", "use the optimizer Nesterov"),
    (lambda **kw: schedules.Step(0.1, **kw), "step_size", "it is called 'every' or 'lr' here"),
    (lambda **kw: schedules.Step(0.1, 3, **kw), "gamma", "it is called 'factor' here"),
    (lambda **kw: schedules.Cosine(0.1, **kw), "T_max", "it is called 'total' here"),
    (lambda **kw: schedules.Cosine(0.1, 5, **kw), "optimizer", "give the schedule to the opt"),
    (lambda **kw: schedules.OneCycle(0.1, 5, **kw), "pct_start", "it is called 'rise' here"),
    (lambda **kw: schedules.Warmup(then=0.1, **kw), "warmup_epochs", "it is called 'length' here"),
    (lambda **kw: dfs.Model(None, None, None, **kw), "criterion", "it is called 'loss' here"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "name", "end"), ARGUMENTS)
def test_an_argument_by_another_name(make, name, end):
    with pytest.raises(TypeError, match=rf"has no argument '{name}': ") as caught:
        make(**{name: 1})
    assert end in str(caught.value)


def test_tables_do_not_contradict():
    for name, here in ELSEWHERE.items():
        assert name not in here
    assert all(text[0] not in ":." for text in INSTEAD.values())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.Sequential(), r"Sequential needs its layers when it is made: Sequential\(\[lay"),
        (lambda: L.Sequential(L.ReLU(), L.ReLU()), r"Sequential takes one list: Sequential\(\[lay"),
        (lambda: L.Branches(L.ReLU(), "add", L.ReLU()), r"Branches takes one list: Branches"),
        (lambda: L.Sequential(L.ReLU()), r"takes a list of layers, got .*: put it in a list, \[la"),
        (lambda: L.Sequential(L.ReLU() for _ in "ab"), r"make a list of it, list\(\.\.\.\)"),
        (lambda: L.Sequential({"a": L.ReLU()}), r"give the names to the layers, \[Dense\(8, name"),
        (lambda: L.Sequential([("a", L.ReLU())]), "give the name to the layer, name='a'"),
        (lambda: L.Sequential([L.ReLU]), r"Sequential takes layers, .*: write ReLU\(\.\.\.\)"),
        (lambda: L.Sequential([L.ReLU(), "relu"]), r"got 'relu': write ReLU\(\)"),
        (lambda: L.Sequential(["log_softmax"]), r"got 'log_softmax': write LogSoftmax\(\)"),
        (lambda: L.Sequential(["nothing"]), "takes layers, got 'nothing'$"),
        (lambda: L.Sequential([[L.ReLU()]]), r"write \*layers, or Sequential\(layers\)"),
        (lambda: L.Sequential([np.tanh]), "derive a class from deepfs.layers.Layer"),
        (lambda: L.Residual("relu"), r"Residual takes layers, got 'relu': write ReLU\(\)"),
        (lambda: L.Residual([None]), "Residual takes layers, got None"),
        (lambda: L.ReLU(3), "ReLU takes at most 0 arguments without a name, got 1"),
        (lambda: L.Dense(3, True, "zeros", 4), r"takes at most 3 .* \(units, bias, init.* 4$"),
        (lambda: optimizers.Adam(network().parameters()), "Adam takes a learning rate, got .*step"),
        (lambda: optimizers.Adam(network()), r"parameters come with optimizer.step\(network\)"),
    ],
)  # fmt: skip
def test_refuses_by_what_to_write(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize(
    ("made", "ways"),
    [(L.ReLU, LAYER_WAYS), (network, LAYER_WAYS), (optimizers.Adam, OPTIMIZER_WAYS),
     (lambda: L.Parameter(X), PARAMETER_WAYS), (model, MODEL_WAYS),
     (lambda: schedules.Step(0.1, 3), SCHEDULE_WAYS)],
    ids=["layer", "container", "optimizer", "parameter", "model", "schedule"],
)  # fmt: skip
def test_attributes_of_others_are_explained(made, ways):
    made = made()
    for name, way in ways.items():
        with pytest.raises(AttributeError) as caught:
            getattr(made, name)
        assert str(caught.value).endswith(f"has no attribute {name!r}: {way}")
        assert not hasattr(made, name)
        if not isinstance(made, L.Parameter):
            assert name not in dir(made)
        with pytest.raises(AttributeError):
            setattr(made, name, 1)


def test_a_class_of_ones_own_may_have_such_an_attribute():
    class Scale(L.Layer):
        def _out_shape(self, in_shape):
            return in_shape

        def _build(self, in_shape, dtype):
            self.weight = self.add_parameter("weight", (1,), dtype, "ones")

        def _forward(self, x, training):
            return self.weight.value * x, x

        def _backward(self, dy, cache, need_dx):
            return dy

        @property
        def kernel(self):
            return self.weight.value

    scale = Scale()
    assert_array_equal(scale(X), X)
    assert (scale.kernel, scale.weight.value) == (1, 1)


def test_containers_are_lists_of_layers():
    net = network()
    first, relu, last = net.layers
    assert (net[0], net[-1], net["dense_1"], net["relu_1"]) == (first, last, first, relu)
    assert (len(net), list(net), list(reversed(net))) == (3, [*net.layers], [last, relu, first])
    assert (relu in net, "relu_1" in net, L.ReLU() in net, "relu_2" in net) == (True,) * 2 + (
        False,
    ) * 2
    outer = L.Sequential([net, L.Residual([L.Dense(3), L.ReLU()])])
    assert outer["sequential_1.dense_2"] is last
    assert outer["residual_1.body.dense_1"] is outer[1].body[0]
    assert outer[1]["body"] is outer[1].body
    features = net[:-1]
    assert (type(features), features.layers) == (L.Sequential, (first, relu))
    assert_array_equal(features(X), np.maximum(first(X), 0))
    assert_array_equal(net[::2](X), last(first(X)))


def test_slices_keep_settings():
    parts = L.Branches([L.Dense(4), L.Dense(4), L.Dense(4)], merge="add", name="sum")
    parts(X)
    two = parts[1:]
    assert (two.merge, len(two), two.name) == ("add", 2, None)
    np.testing.assert_allclose(two(X), parts[1](X) + parts[2](X))


@pytest.mark.parametrize(
    ("key", "kind", "message"),
    [
        (3, IndexError, "Sequential has 3 parts, got the index 3"),
        (slice(0, 0), IndexError, "Sequential has no parts in this slice"),
        ("dense_3", KeyError, "Sequential has no part 'dense_3': it has dense_1, relu_1, dense_2"),
        ("dense_1.weight", KeyError, r'Dense \\"dense_1\\" has no parts, got'),
        (None, TypeError, "Sequential finds parts by number, name or slice, got None"),
        (1.0, TypeError, "got 1.0"),
    ],
)
def test_refuses_to_find(key, kind, message):
    with pytest.raises(kind, match=message.replace('\\\\"', '"')):
        network()[key]


def test_parts_are_replaced_by_index_and_name():
    net = network()
    net[-1] = L.Dense(5)
    assert net(X).shape == (6, 5)
    net["dense_2"] = L.Dense(2)
    assert net(X).shape == (6, 2)
    assert net.parameters()["dense_2.weight"].shape == (8, 2)
    with pytest.raises(TypeError, match="takes layers, got 'relu'"):
        net[1] = "relu"


def test_a_list_is_added_to_layers():
    """The idiom for another head."""
    net = network()
    net.layers = net.layers[:-1] + [L.Dense(5)]  # noqa: RUF005
    assert net(X).shape == (6, 5)
    net.layers = [L.Dense(8)] + net.layers[1:]  # noqa: RUF005
    assert net(X).shape == (6, 5)
    assert L.Sequential(net.layers[:-1] + (L.Dense(4),))(X).shape == (6, 4)  # noqa: RUF005
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert type(copied.layers[1:]) is type(net.layers)
        assert_array_equal(copied(X), net(X))
    with pytest.raises(TypeError):
        net.layers + 1


@pytest.mark.parametrize("act", [
    lambda net: net.layers.append(L.ReLU()),
    lambda net: net.layers.pop(),
    lambda net: net.layers.insert(0, L.ReLU()),
    lambda net: net.layers.__setitem__(0, L.ReLU()),
    lambda net: net.layers.__delitem__(0),
    lambda net: L.Branches([L.ReLU()]).parts.extend([]),
])  # fmt: skip
def test_layers_do_not_change_in_place(act):
    net = network()
    with pytest.raises((AttributeError, TypeError), match=r"net.layers = \[\*net.layers, layer\]"):
        act(net)
    assert len(net) == 3


def test_lists_are_parts():
    dfs.set_seed(0)
    residual = L.Residual([L.Dense(4), L.ReLU()], shortcut=[L.Dense(4)])
    y = residual(X)
    dfs.set_seed(0)
    long = L.Residual(L.Sequential([L.Dense(4), L.ReLU()]), L.Sequential([L.Dense(4)]))
    assert_array_equal(long(X), y)
    assert list(residual.parameters()) == list(long.parameters())
    fresh = L.Residual(L.ReLU())
    fresh.body = [L.Dense(4), L.Tanh()]  # assignment is the constructor
    assert fresh(X).shape == X.shape
    branches = L.Branches([[L.Dense(3), L.ReLU()], L.Dense(2)])
    assert branches(X).shape == (6, 5)
    assert next(iter(branches.parameters())) == "sequential_1.dense_1.weight"
    with pytest.raises(ValueError, match="Branches needs at least one layer, got none"):
        L.Branches([[]])


def test_entries_of_parameters_cannot_be_exchanged():
    net = network()
    before = net.parameters()["dense_1.bias"].value.copy()
    message = r"'dense_1.bias' cannot be exchanged: write found\['dense_1.bias'\].value = \.\.\."
    for layer, name in ((net, "dense_1.bias"), (net[0], "bias")):
        with pytest.raises(TypeError, match=message.replace("dense_1.bias", name)):
            layer.parameters()[name] = np.ones(8)
    acts = (
        lambda found: found.update(a=1),
        lambda found: found.pop("dense_1.bias"),
        lambda found: found.__delitem__("dense_1.bias"),
        lambda found: found.clear(),
    )
    for act in acts:
        with pytest.raises(TypeError, match=r"this dict is not the layer: write .*dict\(found\)"):
            act(net.parameters())
    norm = L.BatchNorm()
    norm(X)
    with pytest.raises(TypeError, match=r"write into its array, found\['running_mean'\]\[\.\.\.\]"):
        norm.buffers()["running_mean"] = np.ones(4)
    assert_array_equal(net.parameters()["dense_1.bias"].value, before)
    net.parameters()["dense_1.bias"].value = np.ones(8)
    assert_array_equal(net[0].parameters()["bias"].value, 1)
    own = dict(net.parameters())
    own["mine"] = None  # a dict of one's own
    found = pickle.loads(pickle.dumps(net.parameters()))
    assert type(found) is type(net.parameters())
    assert copy.deepcopy(net.parameters()).keys() == found.keys()


def test_parameters_are_arrays_to_numpy():
    p = network()[0].parameters()["weight"]
    assert (p.shape, p.size) == ((4, 8), 32)
    assert_array_equal(np.asarray(p), p.value)
    assert np.array(p, np.float32).dtype == np.float32
    assert np.square(p).sum() == np.square(p.value).sum()


def test_a_model_has_what_its_network_has():
    made = model()
    assert_array_equal(made(X), made.predict(X))
    assert made.layers == made.network.layers
    assert made.parameters().keys() == made.network.parameters().keys()
    assert made.buffers() == {}
    single = dfs.Model(L.Dense(3), CrossEntropy(), optimizers.SGD())
    assert single.layers == (single.network,)
    with pytest.raises(AttributeError, match="Model has no attribute 'compile': write Model"):
        made.compile(loss="mse")
    with pytest.raises(AttributeError, match=r"write model.network.layers = \[\.\.\.\]"):
        made.layers = []


@pytest.mark.parametrize("name", ["adam", "SGD", "rmsprop", "AdamW", "nesterov", "ada_grad"])
def test_optimizers_by_name(name):
    kind = name.replace("_", "").lower()
    made = optimizers.get(name)
    assert type(made).__name__.lower() == kind
    assert optimizers.get(made) is made


def test_every_rule_has_a_name():
    rules = {
        kind
        for kind in map(vars(optimizers).get, optimizers.__all__)
        if isinstance(kind, type) and issubclass(kind, optimizers.Optimizer)
    }
    assert {type(optimizers.get(kind.__name__)) for kind in rules - {optimizers.Optimizer}} == (
        rules - {optimizers.Optimizer}
    )


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ("rmsporp", ValueError, "optimizer must be one of .*, got 'rmsporp': did you mean 'rmspro"),
        ("lbfgs", ValueError, "optimizer must be one of 'lamb', 'sgd', .*, got 'lbfgs'"),
        (optimizers.Adam, TypeError, r"must be an object, got a class: write Adam\(\)"),
        (None, TypeError, "must be a name, such as 'adam', or an optimizer of deepfs, got None"),
    ],
)
def test_refuses_what_is_no_optimizer(given, kind, message):
    with pytest.raises(kind, match=message):
        optimizers.get(given)
