"""Networks as ONNX files: what onnxruntime and onnx's own evaluator compute from them."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnxruntime as ort
from onnx.reference import ReferenceEvaluator

import deepfs as dfs
from deepfs import layers as L
from deepfs import preprocessing as P
from deepfs.cli import main
from every_layer import CASES, every_layer, spread
from network_cases import CASES as NETWORKS

ort.set_default_logger_severity(3)  # refusals that are wanted are printed otherwise

# Of the largest output: other orders of addition; Winograd's algorithm in deepfs. See the issue.
DIRECT, WINOGRAD = 1e-5, 3e-5

# What onnx 1.23's evaluator computes wrongly or refuses; onnxruntime takes each of these.
NOT_IN_REFERENCE = {
    "transposed groups": "it takes one group alone",
    "max pool overlapping": "it takes equal padding on both sides alone",
    "global max pool of sequences": "it takes images alone",
}


def session(path):
    """Return the file in onnxruntime, or None if that lacks an operator for a dtype."""
    try:
        return ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    except ort.capi.onnxruntime_pybind11_state.NotImplemented:
        return None


def check(got, want, tolerance=DIRECT):
    """Compare arrays; the tolerance is a share of the largest value."""
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    assert np.abs(got - want).max(initial=0) <= tolerance * np.abs(want).max(initial=0)


@every_layer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layer(make, shape, dtype, tmp_path, request):
    """In onnxruntime if it has the operators, and in onnx's evaluator; at several batch sizes."""
    name = request.node.callspec.id.split("-", 1)[1]
    layer, x, path = make(), spread(shape).astype(dtype), tmp_path / "m.onnx"
    layer.forward(x, training=True)  # running statistics differ from 0 and 1
    dfs.onnx.save(layer, path)
    tolerance = WINOGRAD if "winograd" in name else DIRECT
    runtime, reference = session(path), ReferenceEvaluator(str(path))
    assert runtime or dtype == "float64"
    for batch in (x, x[:1], np.concatenate([x, x])):
        if runtime:
            check(runtime.run(None, {"input": batch})[0], layer(batch), tolerance)
        if name not in NOT_IN_REFERENCE:
            check(reference.run(None, {"input": batch})[0], layer(batch), tolerance)


def test_the_names_of_rows_are_known():
    assert {*NOT_IN_REFERENCE} <= {name for name, _, _ in CASES}


@pytest.mark.parametrize("case", NETWORKS, ids=[case.name for case in NETWORKS])
def test_every_network(case, tmp_path, monkeypatch, rng):
    image = case.small if case.name == "resnet18" else case.image
    net, path = getattr(dfs.networks, case.name)(), tmp_path / "m.onnx"
    x = rng.standard_normal((2, *image)).astype(np.float32)
    net.forward(x, training=True)
    dfs.onnx.save(net, path)
    runtime = session(path)
    got = runtime.run(None, {runtime.get_inputs()[0].name: x})[0]
    check(got, net(x), WINOGRAD)
    monkeypatch.setattr(dfs.config, "winograd", False)
    check(got, net(x), DIRECT)


def window(kind, rng):
    """Return a layer with random settings, and an image or a sequence."""

    def whole(least, most):
        return int(rng.integers(least, most + 1))

    def padding(kh, kw):
        sides = [whole(0, kh), whole(0, kh), whole(0, kw), whole(0, kw)]
        forms = ["same", "valid", min(sides), tuple(sides)]
        return forms[whole(0, 3)]

    k, s, d = ((whole(1, 4), whole(1, 4)) for _ in range(3))
    x = rng.standard_normal((2, 4, whole(1, 11), whole(1, 11))).astype(np.float32)
    wide, half = padding(3, 3), padding(k[0] // 2, k[1] // 2)
    flags = bool(whole(0, 1)), bool(whole(0, 1))
    if kind.endswith("1D"):
        half = half[:2] if isinstance(half, tuple) and max(half[:2]) <= k[0] // 2 else "same"
        settings = {"MaxPool1D": (k[0], s[0], half, flags[0]),
                    "AvgPool1D": (k[0], s[0], half, *flags),
                    "Conv1D": (6, k[0], s[0], half, d[0], whole(1, 2))}  # fmt: skip
        return getattr(L, kind)(*settings[kind]), x[:, :, 0]
    more = {"output_padding": (whole(0, 2), whole(0, 2))} if kind == "ConvTranspose2D" else {}
    settings = {"MaxPool2D": (k, s, half, flags[0]), "AvgPool2D": (k, s, half, *flags),
                "Conv2D": (6, k, s, wide, d, whole(1, 2)), "DepthwiseConv2D": (k, s, wide, d, 2),
                "ConvTranspose2D": (6, k, s, wide, d, whole(1, 2)),
                "AdaptiveAvgPool2D": (k,),
                "Resize2D": ((whole(1, 20), whole(1, 20)), "nearest")}  # fmt: skip
    return getattr(L, kind)(*settings[kind], **more), x


@pytest.mark.parametrize(
    "kind",
    [
        *("MaxPool1D", "AvgPool1D", "Conv1D", "MaxPool2D", "AvgPool2D", "Conv2D"),
        *("DepthwiseConv2D", "ConvTranspose2D", "AdaptiveAvgPool2D", "Resize2D"),
    ],
)
def test_windows_of_random_settings(kind, tmp_path, rng):
    """Padding of every form, strides, dilation, rounding up, what is counted."""
    done, path = 0, tmp_path / "m.onnx"
    while done < 25:
        try:
            layer, x = window(kind, rng)
            want = layer(x)
        except ValueError:  # settings that do not fit together
            continue
        dfs.onnx.save(layer, path)
        check(session(path).run(None, {"input": x})[0], want)
        done += 1


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
@pytest.mark.parametrize(("size", "out"), [(6, 7), (224, 300), (300, 224), (400, 200), (200, 500)])
def test_resize_is_right_where_float32_is_not(size, out, method, tmp_path, rng):
    layer, path = L.Resize2D((out, 5), method), tmp_path / "m.onnx"
    x = rng.standard_normal((1, 1, size, 5)).astype(np.float32)
    dfs.onnx.save(layer, path, input_shape=x.shape[1:])
    check(session(path).run(None, {"input": x})[0], layer(x))


PREPROCESSING = {
    "rescale": P.Rescale(1 / 255),
    "rescale with offset": P.Rescale(1 / 127.5, -1),
    "normalize": P.Normalize((120.0, 90.0, 100.0), (60.0, 50.0, 40.0)),
    "normalize by one": P.Normalize(120, 50),
    "centre": P.ZeroCenter("channel"),
    "standardize": P.Standardize(),
    "standardize by channel": P.Standardize("channel"),
    "standardize all": P.Standardize("all"),
    "pca": P.PCA(5),
    "pca whitening": P.PCAWhitening(6),
    "zca": P.ZCAWhitening(),
    "several": P.Pipeline([P.Rescale(1 / 255), P.PCA(7), P.Rescale(2.0)]),
}


@pytest.mark.parametrize("name", PREPROCESSING)
def test_a_model_takes_its_preprocessing_along(name, tmp_path, rng):
    x, path = rng.integers(0, 256, (40, 3, 5, 4)).astype(np.uint8), tmp_path / "m.onnx"
    step = PREPROCESSING[name].fit(x)
    net = L.Sequential([L.Dense(5), L.Tanh(), L.Dense(2)])
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD(), preprocess=step)
    model.predict(x)
    for dtype in ("uint8", "float32", "float64"):
        model.export(path, input_dtype=dtype)
        found = session(path)
        assert found.get_inputs()[0].shape == ["batch", 3, 5, 4]
        check(found.run(None, {"input": x.astype(dtype)})[0], model.predict(x.astype(dtype)))


def small_model(**settings):
    parts = L.Sequential([L.Dense(3)]), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
    return dfs.Model(*parts, **settings)


def test_a_file_tells_names_of_classes_shapes_and_who_wrote_it(tmp_path):
    model = small_model(class_names=["cat", "dog", "Ente ü"])
    model.export(tmp_path / "m.onnx", input_shape=(4,), input_names=["x"], output_names="logits")
    found = onnx.load(tmp_path / "m.onnx")
    assert (found.producer_name, found.producer_version) == ("deepfs", dfs.__version__)
    assert (found.opset_import[0].version, found.ir_version) == (17, 8)
    assert [node.name for node in found.graph.node] == ["dense_1/Gemm"]
    assert [array.name for array in found.graph.initializer] == ["dense_1.weight", "dense_1.bias"]
    runtime = session(tmp_path / "m.onnx")
    names = json.loads(runtime.get_modelmeta().custom_metadata_map["class_names"])
    assert names == ["cat", "dog", "Ente ü"]
    assert [(i.name, i.shape) for i in runtime.get_inputs()] == [("x", ["batch", 4])]
    assert [(o.name, o.shape) for o in runtime.get_outputs()] == [("logits", ["batch", 3])]


@pytest.mark.parametrize(
    ("layer", "opset", "ir"),
    [(L.ReLU(), 17, 8), (L.Resize2D(9), 18, 8), (L.GELU(), 20, 9), (L.GroupNorm(2), 21, 10)],
    ids=lambda given: getattr(given, "label", str(given)),
)
def test_a_file_has_the_lowest_version_that_has_its_operators(layer, opset, ir, tmp_path):
    dfs.onnx.save(layer, tmp_path / "m.onnx", input_shape=(4, 5, 6))
    found = onnx.load(tmp_path / "m.onnx")
    assert (found.opset_import[0].version, found.ir_version) == (opset, ir)


def test_the_same_network_has_the_same_bytes(tmp_path):
    net = L.Sequential([L.Conv2D(2, 3), L.ReLU()])
    for name in "ab":
        dfs.onnx.save(net, tmp_path / name, input_shape=(3, 8, 8))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def several():
    """Return a graph of two inputs and three outputs, and what it takes."""
    image, age = L.Input((3, 6, 6)), L.Input((2,))
    h = L.GlobalAvgPool2D()(L.Conv2D(4, 3)(image))
    both = L.Concat()([h, age])
    shared = L.Dense(4)
    inputs = {"image": image, "age": age}
    return L.Graph(inputs, {"class": L.Dense(3)(both), "h": shared(h), "again": shared(shared(h))})


def test_a_graph_of_several_inputs_and_outputs(tmp_path, rng):
    net, path = several(), tmp_path / "m.onnx"
    x = {"image": rng.standard_normal((2, 3, 6, 6)).astype(np.float32),
         "age": rng.standard_normal((2, 2)).astype(np.float32)}  # fmt: skip
    dfs.onnx.save(net, path)  # its inputs say their shapes
    runtime, want = session(path), net(x)
    assert [i.name for i in runtime.get_inputs()] == ["image", "age"]
    assert [o.name for o in runtime.get_outputs()] == ["class", "h", "again"]
    for got, wanted in zip(runtime.run(None, x), want.values(), strict=True):
        check(got, wanted)
    arrays = [array.name for array in onnx.load(path).graph.initializer]
    assert sorted(arrays) == sorted(net.parameters())  # those of the shared layer once
    dfs.onnx.save(net, path, input_shape={"age": (2,), "image": (3, 9, 7)})
    assert session(path).get_inputs()[0].shape == ["batch", 3, 9, 7]


def test_outputs_that_are_inputs_or_the_same(tmp_path, rng):
    a, b = L.Input((2,)), L.Input((2,), name="right")
    total = a + b
    net, path = L.Graph((a, b), (total, a, total)), tmp_path / "m.onnx"
    dfs.onnx.save(net, path)
    x = [rng.standard_normal((3, 2)).astype(np.float32) for _ in range(2)]
    runtime = session(path)
    assert [i.name for i in runtime.get_inputs()] == ["input_1", "right"]
    got = runtime.run(None, {"input_1": x[0], "right": x[1]})
    for each, want in zip(got, net(tuple(x)), strict=True):
        assert_array_equal(each, want)


def test_a_network_of_float64_as_float32(tmp_path):
    net, path = L.Conv2D(2, 3, dtype="float64"), tmp_path / "m.onnx"
    x = spread((2, 3, 5, 5))
    want = net(x)
    dfs.onnx.save(net, path, dtype="float32")
    got = session(path).run(None, {"input": x.astype(np.float32)})[0]
    check(got, want.astype(np.float32))
    net.learned["weight"].value[0, 0, 0, 0] = 1e200
    with pytest.raises(ValueError, match=r"numbers in weight beyond float32, such as 1e\+200"):
        dfs.onnx.save(net, path, dtype="float32")


class Scale(L.Layer):
    """A layer of a user, with a learned factor."""

    def _out_shape(self, in_shape):
        return in_shape

    def _build(self, in_shape, dtype):
        self.add_parameter("factor", (1,), dtype, 3.0)

    def _forward(self, x, training):
        return x * self.learned["factor"].value, None

    def _backward(self, dy, cache, need_dx):
        raise NotImplementedError


class OwnScale(Scale):
    def to_onnx(self, graph, x):
        assert graph.shape_of(x) == (4,)
        return graph.node("Mul", x, graph.parameter(self, "factor"))


class Wrong(L.Layer):
    """Names an operator that there is not, one of two inputs, or no output."""

    def _out_shape(self, in_shape):
        return in_shape

    def _forward(self, x, training):
        return x, None

    def _backward(self, dy, cache, need_dx):
        raise NotImplementedError

    def to_onnx(self, graph, x):
        operators = {"operator": "Rellu", "inputs": "Mul"}
        return graph.node(operators[self.name], x) if self.name in operators else None


def test_a_layer_of_a_user_says_its_nodes(tmp_path):
    net, path = L.Sequential([L.Dense(4), OwnScale(), L.Dense(2)]), tmp_path / "m.onnx"
    x = spread((3, 5)).astype(np.float32)
    want = net(x)
    dfs.onnx.save(net, path)
    check(session(path).run(None, {"input": x})[0], want)
    assert "ownscale_1.factor" in [array.name for array in onnx.load(path).graph.initializer]


def test_a_layer_of_a_user_without_it_is_refused_by_name(tmp_path):
    net, path = L.Sequential([L.Dense(4), L.Residual(Scale())]), tmp_path / "m.onnx"
    path.write_text("what was there")
    says = r'Scale "body" has no ONNX form: give Scale a method to_onnx\(self, graph, x\)'
    with pytest.raises(TypeError, match=says):
        dfs.onnx.save(net, path, input_shape=(3,))
    with pytest.raises(ValueError, match="no operator 'Rellu': did you mean 'Relu'"):
        dfs.onnx.save(Wrong(name="operator"), path, input_shape=(3,))
    with pytest.raises(TypeError, match=r'Wrong "name".to_onnx must return the name of its output'):
        dfs.onnx.save(Wrong(name="name"), path, input_shape=(3,))
    with pytest.raises(ValueError, match=r"onnx refuses the nodes; check the to_onnx of your own"):
        dfs.onnx.save(Wrong(name="inputs"), path, input_shape=(3,))
    assert path.read_text() == "what was there"
    assert os.listdir(tmp_path) == ["m.onnx"]


class Half(P.Preprocess):
    """Preprocessing of a user."""

    def _apply(self, x):
        return x / 2

    def to_onnx(self, graph, x):
        return graph.node("Mul", x, graph.constant(0.5, "half", np.float64))


def test_preprocessing_of_a_user(tmp_path):
    net, path = L.Dense(2), tmp_path / "m.onnx"
    dfs.onnx.save(net, path, input_shape=(3,), preprocess=Half())
    x = spread((4, 3)).astype(np.float32)
    check(session(path).run(None, {"input": x})[0], net(x / 2))


ROW = {"input_shape": (3,)}


@pytest.mark.parametrize(
    ("settings", "kind", "says"),
    [
        ({}, RuntimeError, "Dense has not seen data: give the shape of a sample, such as input_s"),
        (ROW | {"input_shape": (0,)}, ValueError, "Dense takes inputs of 1 numbers"),
        (ROW | {"input_shape": 3}, TypeError, r"must be a tuple such as \(3, 32, 32\), got 3"),
        (ROW | {"input_dtype": "uint4"}, ValueError, "input_dtype must be one of 'float32', "),
        (ROW | {"dtype": "float16"}, ValueError, 'dtype must be "float32" or'),
        (ROW | {"input_names": ["ab", "c"]}, ValueError, "must be 1 different names, one for ea"),
        (ROW | {"output_names": [1]}, TypeError, "output_names must be strings"),
        (ROW | {"output_names": ["input"]}, ValueError, "'input' is the name of an output and of"),
        (ROW | {"class_names": "cat"}, TypeError, "class_names must be a list"),
        (ROW | {"preprocess": P.Standardize()}, RuntimeError, "is not fitted"),
        (ROW | {"preprocess": "standardize"}, TypeError, "preprocess must be of deepfs.preproc"),
    ],
)
def test_what_is_refused(settings, kind, says, tmp_path):
    with pytest.raises(kind, match=says):
        dfs.onnx.save(L.Dense(2), tmp_path / "m.onnx", **settings)
    assert not list(tmp_path.iterdir())


def test_what_else_is_refused(tmp_path, monkeypatch):
    with pytest.raises(TypeError, match=r"takes a network, got .*: write model.export\(path\)"):
        dfs.onnx.save(small_model(), tmp_path / "m.onnx")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        dfs.onnx.save(L.Dense(2), tmp_path / "no" / "m.onnx", input_shape=(3,))
    pca = P.PCA(2).fit(spread((9, 3, 2)))
    net = L.Dense(2)
    net.build((4,))
    with pytest.raises(ValueError, match=r"PCA makes samples of shape \(2,\), the network takes"):
        dfs.onnx.save(net, tmp_path / "m.onnx", preprocess=pca)
    with pytest.raises(ValueError, match="preprocess is of inputs that are one array, got"):
        dfs.onnx.save(several(), tmp_path / "m.onnx", preprocess=pca)
    monkeypatch.setattr("deepfs.onnx._export_graph.MAX_BYTES", 20)
    with pytest.raises(ValueError, match="holds at most 2 GB, got more weights at weight"):
        dfs.onnx.save(L.Dense(2), tmp_path / "m.onnx", input_shape=(3,))
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path, capsys):
    model = small_model(preprocess=P.Rescale(1 / 255))
    model.predict(np.zeros((1, 3, 4, 4)))
    model.save(tmp_path / "m.safetensors")
    names = [str(tmp_path / "m.safetensors"), str(tmp_path / "m.onnx")]
    assert main(["export", *names, "--input-dtype", "uint8"]) == 0
    x = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 4)).astype(np.uint8)
    check(session(names[1]).run(None, {"input": x})[0], model.predict(x))
    assert main(["export", *names, "--input", "2,4,4"]) == 2
    assert "deepfs export: error: Dense" in capsys.readouterr().err


# The table of docs/onnx.md.

MERGES = [L.Add(), L.Subtract(), L.Multiply(), L.Concat()]


def operators(layer, shape, path):
    """Return the operators of a layer's nodes, in order."""
    dfs.onnx.save(layer, path, input_shape=shape)
    return [node.op_type for node in onnx.load(path).graph.node]


def test_the_page_has_the_operators_of_every_layer(tmp_path):
    """Those of all its rows; a container has those of its parts."""
    containers = {"Sequential", "Residual", "Branches", "Checkpoint", "Graph"}
    rows = [(make(), shape[1:]) for _, make, shape in CASES]
    rows += [(layer, ((2,), (2,))) for layer in MERGES] + [(L.Step(), (3,))]
    rows += [(L.Resize2D(9), (1, 99, 99)), (L.AdaptiveAvgPool1D(2), (1, 8))]
    rows += [(L.AvgPool2D(3, 2, 1, True, True), (1, 8, 8))]
    rows += [
        (L.AvgPool1D(2, 1, 3, dilation=4), (1, 9)),
        (L.AvgPool2D(2, 1, 3, dilation=4), (1, 9, 9)),
    ]
    found = {}
    for layer, shape in rows:
        names = found.setdefault(type(layer).__name__, set())
        names.update(operators(layer, shape, tmp_path / "m.onnx"))
    page = (Path(__file__).parents[1] / "docs" / "onnx.md").read_text("utf-8")
    table = {}
    for kinds, names in re.findall(r"^\| (`.*?) \| (.*?) \|$", page, re.MULTILINE):
        listed = {name for name in re.findall(r"`(\w+)`", names) if onnx.defs.has(name)}
        table |= {kind: listed for kind in re.findall(r"`(\w+)`", kinds) if hasattr(L, kind)}
    assert table.keys() == found.keys()
    for kind in found.keys() - containers:
        assert table[kind] == found[kind], kind
