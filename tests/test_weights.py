"""Weights in and out: `get_weights`, `set_weights`, `load_weights` from files of both kinds."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

import deepfs as dfs
from deepfs import layers as L

X = np.random.default_rng(1).standard_normal((4, 2, 6, 6)).astype(np.float32)


def network(classes=3):
    return L.Sequential([
        L.Sequential([
            L.Conv2D(4, 3, padding=1, bias=False), L.BatchNorm(), L.ReLU(), L.Dropout(),
            L.DepthwiseConv2D(3), L.PReLU(),
        ], name="body"),
        L.ConvTranspose2D(3, 2, 2), L.MaxPool2D(2), L.Flatten(), L.Dense(5),
        L.LayerNorm(), L.Dense(classes, name="head"),
    ])  # fmt: skip


def model(classes=3, seed=0):
    dfs.set_seed(seed)
    made = dfs.Model(network(classes), dfs.losses.CrossEntropy(), dfs.optimizers.Adam(0.01))
    made.network.build((2, 6, 6))
    return made


def trained(seed=0):
    made = model(seed=seed)
    for _ in range(3):
        made.train_on_batch(X, [0, 1, 2, 0])
    return made


def bits(made):
    return {name: array.tobytes() for name, array in made.get_weights().items()}


# arrays


def test_weights_out_and_in():
    a, b = trained(), model(seed=1)
    weights = a.get_weights()
    assert list(weights)[:6] == [
        "body.conv2d_1.weight", "body.batchnorm_1.gamma", "body.batchnorm_1.beta",
        "body.batchnorm_1.running_mean", "body.batchnorm_1.running_var", "body.batchnorm_1.batches",
    ]  # fmt: skip
    random = {"body.dropout_1.key", "body.dropout_1.calls"}
    assert weights.keys() == {*a.parameters(), *a.buffers()} - random
    for given in (weights, list(weights.values()), {k: v.tolist() for k, v in weights.items()}):
        b.set_weights(model(seed=2).get_weights())
        assert (b.predict(X) != a.predict(X)).any()
        b.set_weights(given)
        assert (b.predict(X) == a.predict(X)).all()
    before = bits(a)
    for array in weights.values():
        array[...] = 7  # copies
    assert bits(a) == before


def test_the_optimizer_goes_on():
    """Weights are put back in the middle of a training: arena and state are the same."""
    a = trained()
    weights, steps = a.get_weights(), a.steps
    state = {kind: flat.copy() for kind, flat in a.state.items()}
    a.set_weights(weights)
    assert a.steps == steps
    assert all((a.state[kind] == flat).all() for kind, flat in state.items())
    a.train_on_batch(X, [0, 1, 2, 0])
    assert (a.get_weights()["head.weight"] != weights["head.weight"]).any()


def test_weights_of_a_layer_and_of_one_without():
    layer = L.Dense(2)
    layer(np.eye(3))
    layer.set_weights({"weight": np.arange(6).reshape(3, 2), "bias": [1, 2]})
    assert layer(np.array([[1.0, 0, 1]])).tolist() == [[0 + 4 + 1, 1 + 5 + 2]]
    relu = L.ReLU()
    relu(np.eye(3))
    assert relu.get_weights() == {}
    relu.set_weights({})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda w: {**w, "haed.bias": 1}, ValueError, "no weight 'haed.bias': did you mean"),
        (lambda w: {k: w[k] for k in w if k != "head.bias"}, ValueError, "needs 'head.bias' as"),
        (lambda w: {**w, "head.bias": np.ones(4)}, ValueError, r"shape \(3,\), got \(4,\)"),
        (lambda w: {**w, "head.bias": ["a", "b", "c"]}, TypeError, "head.bias"),
        (lambda w: {**w, "head.bias": 1j * np.ones(3)}, TypeError, "head.bias"),
        (lambda w: {**w, "body.batchnorm_1.batches": [0.5]}, TypeError, "is int64, got float64"),
        (lambda w: list(w.values())[:-1], ValueError, "takes 17 arrays, got 16"),
        (lambda w: "weights.h5", TypeError, "a dict or a list of arrays, got 'weights.h5'"),
        (lambda w: 3, TypeError, "a dict or a list of arrays, got 3"),
    ],
)
def test_refuses_other_arrays(change, error, message):
    made = model()
    before, given = bits(made), change(model(seed=1).get_weights())
    with pytest.raises(error, match=message):
        made.set_weights(given)
    assert bits(made) == before


def test_a_network_without_weights_says_how_to_get_some():
    made = dfs.Model(network(), "cross_entropy", dfs.optimizers.SGD())
    for act in (made.get_weights, lambda: made.set_weights({}), lambda: made.load_weights("a")):
        with pytest.raises(RuntimeError, match="build"):
            act()


# files of deepfs


def test_a_file_of_deepfs(tmp_path):
    a, b = trained(), model(seed=1)
    a.save(tmp_path / "a")
    dropout = b.network["body.dropout_1"].buffers()["key"].copy()
    report = b.load_weights(tmp_path / "a")
    assert bits(a) == bits(b)
    assert (b.network["body.dropout_1"].buffers()["key"] == dropout).all()
    assert b.steps == 0
    assert report.loaded == {name: name for name in a.get_weights()}
    assert report[1:] == ([], [], [])
    assert str(report) == "17 weights loaded"


def test_another_head(tmp_path):
    a, b = trained(), model(classes=7, seed=1)
    a.save(tmp_path / "a")
    before = bits(b)
    with pytest.raises(ValueError, match=r"nothing was loaded; of another shape: head.weight, hea"):
        b.load_weights(tmp_path / "a")
    assert bits(b) == before
    report = b.load_weights(tmp_path / "a", strict=False)
    assert report.mismatched_keys == [(n, n) for n in ("head.weight", "head.bias")]
    left = {n for n, value in bits(b).items() if value != bits(a)[n]}
    assert left == {"head.weight", "head.bias"}


def test_a_part_of_a_network(tmp_path):
    """The body alone takes the weights that the file has for it, by a mapping of its path."""
    a, body = trained(), network().layers[0]
    a.save(tmp_path / "a")
    b = dfs.Model(body, "mse", dfs.optimizers.SGD())
    b.network.build((2, 6, 6))
    with pytest.raises(ValueError, match=r"nothing was loaded; not in the file: conv2d_1.weight"):
        b.load_weights(tmp_path / "a", strict=False)
    report = b.load_weights(tmp_path / "a", {"body": ""}, strict=False)
    assert not report.missing_keys
    assert report.loaded["conv2d_1.weight"] == "body.conv2d_1.weight"
    assert {name.partition(".")[0] for name in report.unexpected_keys} == {
        "convtranspose2d_1", "dense_1", "layernorm_1", "head",
    }  # fmt: skip
    assert (b.predict(X) == a.network.layers[0](X)).all()
    rest = {"convtranspose2d_1": None, "dense_1": None, "layernorm_1": None, "head": None}
    with pytest.raises(ValueError, match="not in the network: convtranspose2d_1"):
        b.load_weights(tmp_path / "a", {"body": "", **rest})  # left out is said, too


def test_a_layer_in_several_places(tmp_path):
    """It has its weights under each name, and they are those that were saved."""

    def made():
        shared = L.Dense(4)
        net = L.Sequential([shared, L.ReLU(), shared, L.Sequential([shared, L.Dense(2)])])
        net.build((4,))
        return dfs.Model(net, "mse", dfs.optimizers.SGD(0.1))

    a, b = made(), made()
    a.save(tmp_path / "a")
    report = b.load_weights(tmp_path / "a")
    assert report.loaded.keys() == a.get_weights().keys()
    assert bits(a) == bits(b)
    theirs = {"fc1.weight": np.eye(4, dtype="f"), "fc1.bias": np.ones(4, "f"),
              "fc2.weight": np.ones((2, 4), "f"), "fc2.bias": np.ones(2, "f")}  # fmt: skip
    save_file(theirs, tmp_path / "a")  # PyTorch has it once
    b.load_weights(tmp_path / "a")
    assert b.predict(np.ones((1, 4))).tolist() == [[17, 17]]  # 4 (1 + 1 + 1 + 1) + 1


def test_a_function_maps_names(tmp_path):
    trained().save(tmp_path / "a")
    b = dfs.Model(L.Dense(3), "mse", dfs.optimizers.SGD())
    b.network.build((5,))
    found = b.load_weights(
        tmp_path / "a", lambda n: n.removeprefix("head.") if n.startswith("head.") else None, False
    )
    assert found.loaded == {"weight": "head.weight", "bias": "head.bias"}


# files of PyTorch: arrays as its modules have them


def state_dict(seed=3):
    """Return weights of the same network in PyTorch's layout, and those of deepfs, by hand."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    theirs = {
        "features.0.weight": draw(4, 2, 3, 3),
        "features.1.weight": draw(4),
        "features.1.bias": draw(4),
        "features.1.running_mean": draw(4),
        "features.1.running_var": draw(4) ** 2,
        "features.1.num_batches_tracked": np.array(12),
        "features.4.weight": draw(4, 1, 3, 3),
        "features.4.bias": draw(4),
        "features.5.weight": draw(4),
        "up.weight": draw(4, 3, 2, 2),
        "up.bias": draw(3),
        "fc1.weight": draw(5, 48),
        "fc1.bias": draw(5),
        "norm.weight": draw(5),
        "norm.bias": draw(5),
        "fc2.weight": draw(3, 5),
        "fc2.bias": draw(3),
    }
    names = {
        "body.conv2d_1.weight": "features.0.weight",
        "body.batchnorm_1.gamma": "features.1.weight",
        "body.batchnorm_1.beta": "features.1.bias",
        "body.batchnorm_1.running_mean": "features.1.running_mean",
        "body.batchnorm_1.running_var": "features.1.running_var",
        "body.batchnorm_1.batches": "features.1.num_batches_tracked",
        "body.depthwiseconv2d_1.weight": "features.4.weight",
        "body.depthwiseconv2d_1.bias": "features.4.bias",
        "body.prelu_1.slope": "features.5.weight",
        "convtranspose2d_1.weight": "up.weight",
        "convtranspose2d_1.bias": "up.bias",
        "dense_1.weight": "fc1.weight",
        "dense_1.bias": "fc1.bias",
        "layernorm_1.gamma": "norm.weight",
        "layernorm_1.beta": "norm.bias",
        "head.weight": "fc2.weight",
        "head.bias": "fc2.bias",
    }
    turned = ("fc1.weight", "fc2.weight")
    return theirs, names, {n: theirs[t].T if t in turned else theirs[t] for n, t in names.items()}


def holds(made, wanted):
    weights = made.get_weights()
    return weights.keys() == wanted.keys() and all(
        (weights[n].reshape(np.shape(v)) == v).all() for n, v in wanted.items()
    )


@pytest.mark.parametrize("how", ["order", "list", "dict", "function", "head"])
def test_a_state_dict_of_pytorch(tmp_path, how):
    theirs, names, wanted = state_dict()
    save_file(theirs, tmp_path / "a", {"format": "pt"})
    modules = {t.rpartition(".")[0]: n.rpartition(".")[0] for n, t in names.items()}
    there = {t: n for n, t in names.items()}
    mapping = {
        "order": None, "list": list(theirs), "dict": modules, "function": there.__getitem__,
        "head": {"fc2": "head", "features.1": "body.batchnorm_1"},
    }[how]  # fmt: skip
    made = model()
    report = made.load_weights(tmp_path / "a", mapping)
    assert report.loaded == names
    assert holds(made, wanted)
    assert made.parameters()["head.weight"].value.tolist() == theirs["fc2.weight"].T.tolist()


def test_a_dense_layer_after_flatten(tmp_path):
    """Its inputs lie in the order (c, h, w) in both, so the result is that of the formula."""
    rng = np.random.default_rng(0)
    w, b = rng.standard_normal((5, 72)).astype("f"), rng.standard_normal(5).astype("f")
    save_file({"1.weight": w, "1.bias": b}, tmp_path / "a")
    made = dfs.Model(L.Sequential([L.Flatten(), L.Dense(5)]), "mse", dfs.optimizers.SGD())
    made.network.build((2, 6, 6))
    made.load_weights(tmp_path / "a")
    np.testing.assert_allclose(made.predict(X), X.reshape(4, 72) @ w.T + b, rtol=1e-4, atol=1e-5)


def test_a_separable_convolution_is_two_modules(tmp_path):
    rng = np.random.default_rng(0)
    theirs = {
        "net.0.weight": rng.standard_normal((4, 1, 3, 3)).astype("f"),
        "net.1.weight": rng.standard_normal((6, 4, 1, 1)).astype("f"),
        "net.1.bias": rng.standard_normal(6).astype("f"),
    }
    save_file(theirs, tmp_path / "a")
    made = dfs.Model(L.SeparableConv2D(6, 3), "mse", dfs.optimizers.SGD())
    made.network.build((4, 8, 8))
    report = made.load_weights(tmp_path / "a")
    assert list(report.loaded) == ["depthwise_weight", "pointwise_weight", "bias"]
    for name, key in report.loaded.items():
        assert (made.get_weights()[name] == theirs[key]).all()


def test_other_dtypes(tmp_path):
    """The values of float16 and float64 are kept as far as float32 goes; counts may be missing."""
    theirs, _, wanted = state_dict()
    for dtype in (np.float16, np.float64):
        save_file({k: v.astype(dtype) for k, v in theirs.items() if v.ndim}, tmp_path / "a")
        made = model()
        made.load_weights(tmp_path / "a")
        weights = made.get_weights()
        for name, value in wanted.items():
            if np.ndim(value):
                assert (weights[name] == value.astype(dtype).astype(np.float32)).all()
        assert weights["body.batchnorm_1.batches"] == [0]


def test_bfloat16(tmp_path):
    """1 is 0x3f80, -2.5 is 0xc020: the upper halves of float32."""
    header = json.dumps({
        "w.weight": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]},
        "w.bias": {"dtype": "BF16", "shape": [1], "data_offsets": [4, 6]},
    })  # fmt: skip
    content = np.array([0x3F80, 0xC020, 0x3F80], "<u2").tobytes()
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header.encode() + content)
    made = dfs.Model(L.Dense(1), "mse", dfs.optimizers.SGD())
    made.network.build((2,))
    made.load_weights(tmp_path / "a")
    assert made.predict(np.array([[2.0, 3.0]])).tolist() == [[2 - 7.5 + 1]]


def resnet_names(net):
    """Return the names of torchvision for the layers of a residual network, from the definition."""
    names = {"conv2d_1": "conv1", "batchnorm_1": "bn1", "dense_1": "fc"}
    for block in range(8):
        for number in (1, 2):
            there = f"layer{block // 2 + 1}.{block % 2}"
            names[f"residual_{block + 1}.body.conv2d_{number}"] = f"{there}.conv{number}"
            names[f"residual_{block + 1}.body.batchnorm_{number}"] = f"{there}.bn{number}"
        names[f"residual_{block + 1}.shortcut.conv2d_1"] = f"{there}.downsample.0"
        names[f"residual_{block + 1}.shortcut.batchnorm_1"] = f"{there}.downsample.1"
    there = {"gamma": "weight", "beta": "bias", "batches": "num_batches_tracked"}
    split = {name: name.rpartition(".") for name in net.get_weights()}
    return {n: f"{names[layer]}.{there.get(key, key)}" for n, (layer, _, key) in split.items()}


def test_the_names_of_torchvision(tmp_path):
    """Norms of equal width follow their convolutions: ``bn1`` is before ``layer1.0.bn1``."""
    net = dfs.networks.resnet18(3)
    net.build((3, 33, 33))
    names, rng = resnet_names(net), np.random.default_rng(0)
    theirs = {}
    for name, value in net.get_weights().items():
        new = rng.integers(0, 9, value.shape).astype(value.dtype)
        new = new.reshape(()) if name.endswith("batches") else new
        theirs[names[name]] = np.ascontiguousarray(new.T) if name == "dense_1.weight" else new
    save_file(theirs, tmp_path / "a")
    made = dfs.Model(net, "cross_entropy", dfs.optimizers.SGD())
    assert made.load_weights(tmp_path / "a").loaded == names
    other = dfs.networks.resnet18(7)
    other.build((3, 33, 33))
    report = dfs.Model(other, "cross_entropy", dfs.optimizers.SGD()).load_weights(
        tmp_path / "a", strict=False
    )
    assert report.missing_keys == ["dense_1.weight", "dense_1.bias"]
    assert report.unexpected_keys == ["fc.bias", "fc.weight"]


def pair(names, tmp_path):
    """Return a model of two equal layers, and a file with two modules of these names."""
    theirs = {}
    for number, name in enumerate(names):
        theirs |= {f"{name}.weight": np.full((2, 2), number, "f"), f"{name}.bias": np.ones(2, "f")}
    save_file(theirs, tmp_path / "a")
    made = dfs.Model(L.Sequential([L.Dense(2), L.Dense(2)]), "mse", dfs.optimizers.SGD())
    made.network.build((2,))
    return made


@pytest.mark.parametrize(
    ("names", "known"),
    [(("fc2", "fc10"), True), (("a.9.b", "a.10.a"), True), (("tail", "head"), False),
     (("body.0", "head.0"), False), (("fc", "fc2"), False), (("norm", "layer1.norm"), False)],
)  # fmt: skip
def test_an_order_that_names_do_not_tell_is_asked_for(names, known, tmp_path):
    made = pair(names, tmp_path)
    if known:
        made.load_weights(tmp_path / "a")
        assert made.get_weights()["dense_2.weight"].tolist() == [[1, 1], [1, 1]]
        return
    with pytest.raises(ValueError, match=r"does not tell the order of .* mapping=list\(module"):
        made.load_weights(tmp_path / "a", strict=False)
    order = [f"{name}.{key}" for name in names for key in ("weight", "bias")]
    made.load_weights(tmp_path / "a", order)
    assert made.get_weights()["dense_2.weight"].tolist() == [[1, 1], [1, 1]]
    made.load_weights(tmp_path / "a", {names[1]: "dense_1"})  # the other follows
    assert made.get_weights()["dense_1.weight"].tolist() == [[1, 1], [1, 1]]


def test_norms_of_a_preactivation_network_are_not_guessed(tmp_path):
    """There bn1 comes before conv1, and the last norm, without a number, after all blocks."""
    rng = np.random.default_rng(0)
    theirs = {}
    for block in ("0", "1"):
        theirs[f"layer.{block}.conv1.weight"] = rng.random((4, 4, 3, 3), np.float32)
    for norm in ("layer.0.bn1", "layer.1.bn1", "bn"):
        keys = ("weight", "bias", "running_mean", "running_var")
        theirs |= {f"{norm}.{key}": rng.random(4, np.float32) for key in keys}
    save_file(theirs, tmp_path / "a")
    block = [lambda: L.BatchNorm(), lambda: L.Conv2D(4, 3, padding=1, bias=False)]
    net = L.Sequential([make() for make in (*block, *block, block[0])])
    made = dfs.Model(net, "mse", dfs.optimizers.SGD())
    made.network.build((4, 5, 5))
    with pytest.raises(ValueError, match="does not tell the order"):
        made.load_weights(tmp_path / "a")


def test_norms_before_their_convolutions_are_not_guessed(tmp_path):
    """``a.bn1`` would come out after ``a.conv1``, and ``b.bn1`` behind the end."""
    theirs = {"a.conv1.weight": np.ones((4, 4, 3, 3), "f"), "b.conv1.weight": np.ones((4, 4, 1, 1))}
    for norm in ("a.bn1", "b.bn1"):
        keys = ("weight", "bias", "running_mean", "running_var")
        theirs |= {f"{norm}.{key}": np.ones(4, "f") for key in keys}
    save_file(theirs, tmp_path / "a")
    net = L.Sequential([
        L.BatchNorm(), L.Conv2D(4, 3, bias=False), L.BatchNorm(), L.Conv2D(4, 1, bias=False),
    ])  # fmt: skip
    made = dfs.Model(net, "mse", dfs.optimizers.SGD())
    made.network.build((4, 5, 5))
    with pytest.raises(ValueError, match=r"does not tell the order of 'a.bn1', 'b.bn1', which"):
        made.load_weights(tmp_path / "a")


def test_more_modules_than_layers_are_left_out(tmp_path):
    """Which of them are meant cannot be known; the dict says it."""
    made = pair(("fc1", "fc2", "fc3"), tmp_path)
    with pytest.raises(ValueError, match=r"not in the file: dense_1.weight, .*: fc1.bias, fc1.w"):
        made.load_weights(tmp_path / "a", strict=False)
    report = made.load_weights(tmp_path / "a", {"fc3": "dense_1", "fc1": None}, strict=False)
    assert report.loaded["dense_1.weight"] == "fc3.weight"
    assert report.loaded["dense_2.weight"] == "fc2.weight"
    assert report.unexpected_keys == ["fc1.bias", "fc1.weight"]


@pytest.mark.parametrize(
    ("change", "mapping", "error", "message"),
    [
        (lambda t: t.pop("fc2.bias"), None, ValueError,
         "not in the file: head.weight, head.bias; not in the network: fc2.weight. strict=False"),
        (lambda t: t.update(extra=np.ones(3)), None, ValueError, "not in the network: extra"),
        (lambda t: t["up.weight"].fill(np.nan), None, ValueError, "'up.weight' that are not finit"),
        (lambda t: t.update({"up.bias": np.full(3, 1e300)}), None, ValueError, "finite in float32"),
        (lambda t: t.update({"up.bias": np.ones(3, int)}), None, ValueError, "as int64, 'convtra"),
        (lambda t: None, {"fc3": "head"}, ValueError, "mapping names 'fc3', which is not in the f"),
        (lambda t: None, {"fc2": "haed"}, ValueError, "network lacks: did you mean 'head.bias'"),
        (lambda t: None, {"fc2": "dense_1", "fc1": "dense_1"}, ValueError, "and for another name"),
        (lambda t: None, {"fc2": "dense_1", "fc1": "head"}, ValueError, "another shape: dense_1"),
        (lambda t: None, {"fc2": 3}, TypeError, "must give a name or None for 'fc2.bias', got 3"),
        (lambda t: None, ["fc9.weight"], ValueError, "mapping names 'fc9.weight', which is not in"),
        (lambda t: None, "fc", TypeError, "mapping must be None, a dict or function of names"),
        (lambda t: t.update({"fc2.weight": t["fc2.weight"].T.copy()}), {"fc2": "head"}, ValueError,
         r"PyTorch has 'head.weight' as \(3, 5\); arrays in the layout of deepfs are for"),
    ],
)  # fmt: skip
def test_refuses_other_files(change, mapping, error, message, tmp_path):
    theirs, _, _ = state_dict()
    change(theirs)
    save_file(theirs, tmp_path / "a")
    made = model()
    before = bits(made)
    with pytest.raises(error, match=message):
        made.load_weights(tmp_path / "a", mapping)
    assert bits(made) == before


def test_nothing_that_matches_is_an_error_without_strict_too(tmp_path):
    save_file({"a.weight": np.ones((9, 9), "f")}, tmp_path / "a")
    with pytest.raises(ValueError, match="nothing was loaded"):
        model().load_weights(tmp_path / "a", strict=False)


@pytest.mark.parametrize(
    ("start", "message"),
    [(b"PK\3\4", "a zip archive, as torch.save writes it, which is not read because"),
     (b"\x80\x02}q", "a pickle, as torch.save"), (b"\x89HDF\r\n", "HDF5, as Keras writes it")],
)  # fmt: skip
def test_other_formats_are_named(start, message, tmp_path):
    (tmp_path / "a").write_bytes(start + bytes(100))
    with pytest.raises(dfs.CheckpointError, match=message):
        model().load_weights(tmp_path / "a")


def test_damaged_files_are_refused(tmp_path):
    made = model()
    before = bits(made)
    theirs, _, _ = state_dict()
    save_file(theirs, tmp_path / "torch")
    trained().save(tmp_path / "deepfs")
    for name in ("torch", "deepfs"):
        content = (tmp_path / name).read_bytes()
        for length in (0, 7, 8, 100, len(content) // 2, len(content) - 1):
            (tmp_path / "a").write_bytes(content[:length])
            with pytest.raises(dfs.CheckpointError):
                made.load_weights(tmp_path / "a")
    flipped = bytearray(content)
    flipped[-3] ^= 1
    (tmp_path / "a").write_bytes(flipped)
    with pytest.raises(dfs.CheckpointError, match="is damaged"):
        made.load_weights(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        made.load_weights(tmp_path / "none")
    assert bits(made) == before


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
    ],
)
def test_hostile_headers_are_refused(entry, tmp_path):
    header = json.dumps({"a.weight": entry}).encode()
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(dfs.CheckpointError, match="is not a safetensors file"):
        model().load_weights(tmp_path / "a")


# freeze up to a part


def frozen(net):
    return [name for name, p in net.parameters().items() if p.frozen]


def test_freeze_until_a_part():
    made = trained()
    net = made.network
    net.freeze(until="head")
    assert frozen(net) == [n for n in net.parameters() if not n.startswith("head")]
    before = bits(made)
    made.train_on_batch(X, [0, 1, 2, 0])
    assert {n for n, b in bits(made).items() if b != before[n]} == {"head.weight", "head.bias"}
    net.freeze(until="body.depthwiseconv2d_1")  # later stages thaw earlier layers
    assert frozen(net) == [f"body.{n}" for n in (
        "conv2d_1.weight", "batchnorm_1.gamma", "batchnorm_1.beta")]  # fmt: skip
    net.freeze(until="body")
    assert not frozen(net)
    with pytest.raises(KeyError, match="has no part 'haed'"):
        net.freeze(until="haed")
    with pytest.raises(KeyError, match="has no parts"):
        net.freeze(until="head.weight")
    with pytest.raises(TypeError, match="until must be the name of a part, got 3"):
        net.freeze(until=3)
    assert not frozen(net)
    net.freeze()
    assert net.frozen


def test_freeze_until_a_part_of_a_graph_and_before_it_is_built():
    net = dfs.networks.unet_small()
    net.freeze(until="convtranspose2d_2")
    net.build((1, 8, 8))
    learns = [n for n, p in net.parameters().items() if not p.frozen]
    assert learns[0] == "convtranspose2d_2.weight"
    assert not any(n.startswith("convtranspose2d_1") for n in learns)


def test_a_layer_on_both_sides_learns():
    shared = L.Dense(4)
    net = L.Sequential([shared, L.Dense(4), shared])
    net.build((4,))
    net.freeze(until="dense_2")
    assert not shared.frozen
