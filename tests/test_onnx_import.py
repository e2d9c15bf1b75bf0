"""ONNX files as networks: those of PyTorch and Keras, what is refused, and damaged files."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.parser import parse_model

import deepfs as dfs
from deepfs import layers as L
from deepfs.onnx import load
from every_layer import every_layer, spread

DATA = Path(__file__).parent / "data" / "onnx"
FILES = sorted(path.stem for path in DATA.glob("*.onnx"))


@pytest.fixture(scope="module")
def expected():
    """Inputs of each network and outputs of each file, of tools/make_onnx_models.py."""
    kept = {}
    for path in DATA.glob("expected_*.npz"):
        with np.load(path) as arrays:
            kept |= dict(arrays)
    return kept


def arrays_of(expected, prefix):
    return {key[len(prefix) :]: a for key, a in expected.items() if key.startswith(prefix)}


def channels_first(array, shape):
    """Return images as deepfs has them; files of Keras have channels last."""
    return array if array.shape[1:] == shape else np.ascontiguousarray(np.moveaxis(array, -1, 1))


def prepared(expected, name):
    """Return the network of a file, its inputs and its outputs in the file."""
    net = load(DATA / f"{name}.onnx")
    x = arrays_of(expected, "_".join(name.split("_")[:2]) + "/in/")
    if len(x) == 1:
        x = channels_first(next(iter(x.values())), net.in_shape)
    return net, x, arrays_of(expected, f"{name}/out/")


def as_dict(y, names):
    return y if isinstance(y, dict) else dict(zip(names, [y], strict=True))


@pytest.mark.parametrize("name", FILES)
def test_exported_networks_compute_the_same(name, expected):
    net, x, wanted = prepared(expected, name)
    for key, got in as_dict(net(x), wanted).items():
        want = channels_first(wanted[key], got.shape[1:])
        assert got.dtype == want.dtype
        assert np.abs(got - want).max() <= 1e-5 * np.abs(want).max()


@pytest.mark.parametrize("name", FILES)
def test_exported_networks_train_on(name, expected):
    dfs.set_seed(0)
    net, x, wanted = prepared(expected, name)
    optimizer, losses = dfs.optimizers.Adam(3e-3), []
    lowest = next(p for p in net.parameters().values() if not p.frozen)
    targets = {key: y[::-1] for key, y in as_dict(net(x), wanted).items()}
    for step in range(12):
        y, cache = net.forward(x, training=True)
        gradients = {key: got - targets[key] for key, got in as_dict(y, wanted).items()}
        losses.append(sum(float((g**2).sum()) for g in gradients.values()))
        net.backward(gradients if isinstance(y, dict) else next(iter(gradients.values())), cache)
        assert step or np.abs(lowest.grad).max() > 0
        optimizer.step(net)
        net.zero_grad()
    assert losses[-1] < 0.9 * losses[0]


def test_there_are_files_of_both_and_they_are_small():
    assert {name.split("_")[0] for name in FILES} == {"keras", "pytorch"}
    assert len(FILES) >= 15
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 150_000


@pytest.mark.parametrize("name", ["keras_mobilenet_15", "pytorch_two_script_14"])
def test_a_read_network_is_saved_as_any_other(name, expected, tmp_path):
    net, x, _ = prepared(expected, name)
    dfs.Model(net, "mse", dfs.optimizers.Adam()).save(tmp_path / "m.safetensors")
    again = dfs.load(tmp_path / "m.safetensors").network
    for key, y in as_dict(net(x), ["y"]).items():
        assert_array_equal(as_dict(again(x), ["y"])[key], y)


def test_a_chain_is_a_sequential_of_known_layers():
    net = load(DATA / "pytorch_lenet_dynamo_20.onnx")
    assert type(net) is L.Sequential
    assert [type(layer).__name__ for layer in net.layers] == [
        "Conv2D", "ReLU", "MaxPool2D", "Conv2D", "ReLU", "AvgPool2D", "Flatten", "Dense", "SELU",
        "Dense", "LogSoftmax",
    ]  # fmt: skip
    model = dfs.Model(net, "nll", dfs.optimizers.SGD())
    assert model.predict(np.zeros((5, 1, 14, 14), np.float32)).shape == (5, 5)


def test_several_inputs_and_outputs_have_their_names_and_share_weights():
    net = load(DATA / "pytorch_two_script_14.onnx")
    assert type(net) is L.Graph
    y = net({"image": np.zeros((2, 3, 2, 2)), "age": np.zeros((2, 3))})
    assert [(key, a.shape) for key, a in y.items()] == [("label", (2, 4)), ("number", (2, 1))]
    dense = [layer for layer in net.layers if isinstance(layer, L.Dense)]
    assert len(dense) == 4  # image, shared, label, number: shared was called twice


def test_keras_models_take_channels_first():
    net = load(DATA / "keras_convnet_17.onnx")
    assert net.in_shape == (3, 12, 12)
    kinds = {type(layer) for layer in net.layers}
    assert kinds.isdisjoint({L.Reshape})
    frozen = [name for name, p in net.parameters().items() if p.frozen]
    assert frozen == ["batchnorm_1.gamma", "batchnorm_1.beta"]


def graph(text, **arrays):
    """Return a model of ONNX's text form, with arrays that are too long for it."""
    model = parse_model(f'<ir_version: 8, opset_import: ["": 17]> net {text}')
    for name, array in arrays.items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a model by way of a file."""

    def reader(model, **more):
        onnx.save(model, tmp_path / "m.onnx")
        return load(tmp_path / "m.onnx", **more)

    return reader


def run(model, **inputs):
    """Return what onnx's own evaluator computes."""
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, inputs)[0]


X = "(float[n, 3, 6, 5] x) => (float y)"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (f"{X} <float[3] w = {{1, 2, 3}}> {{y = Add(x, w)}}", None),  # of the last axis, refused
        (f"{X} <float[3, 1, 1] w = {{1, 2, 3}}> {{z = Mul(x, w)  y = Sub(z, w)}}", "BatchNorm"),
        (f"{X} <float[5] w = {{1, 2, 3, 4, 5}}> {{y = Div(x, w)}}",
         "Flatten BatchNorm Reshape"),
        (f"{X} <float w = {{6.0}}, float v = {{0.0}}> {{y = Clip(x, v, w)}}",
         "Clip"),
        (f"{X} <float v = {{0.0}}, float w = {{-1.0}}> {{z = Clip(x, v)  y = Clip(z, v, w)}}",
         "ReLU ReLU Clip"),  # limits that cross
        (f"{X} {{y = HardSigmoid(x)}}", "BatchNorm Clip"),
        (f"{X} {{z = HardSigmoid<alpha = 0.16666667, beta = 0.5>(x)  y = Mul(z, x)}}",
         "HardSwish"),
        (f"{X} {{z = Sigmoid(x)  y = Mul(x, z)}}", "SiLU"),
        (f"{X} <float r = {{1.4142135}}, float o = {{1.0}}, float h = {{0.5}}> "
         "{a = Div(x, r)  b = Erf(a)  c = Add(b, o)  d = Mul(x, c)  y = Mul(d, h)}", "GELU"),
        (f"{X} <float r = {{0.70710677}}, float o = {{1.0}}, float h = {{0.5}}> "
         "{a = Mul(x, r)  b = Erf(a)  c = Add(o, b)  d = Mul(h, x)  y = Mul(d, c)}", "GELU"),
        (f"{X} {{a = Shape(x)  i = Constant<value_ints = [0]>()  n = Gather(a, i) "
         "m = Constant<value_ints = [-1]>()  s = Concat<axis = 0>(n, m)  y = Reshape(x, s)}",
         "Flatten"),
        (f"{X} {{s = Constant<value_ints = [0, 2, 9, 5]>()  y = Reshape(x, s)}}", "Reshape"),
        (f"{X} {{y = Selu<alpha = 2.0, gamma = 3.0>(x)}}", "SELU"),
        (f"{X} {{y = Selu(x)}}", "SELU"),
        (f"{X} {{p = Constant<value_ints = [0, 0, 1, 0, 0, 0, 2, 1]>()  y = Pad(x, p)}}",
         "ZeroPad2D"),
        (f"{X} {{s = Constant<value_ints = [1, -3]>()  e = Constant<value_ints = [5, 99]>() "
         "a = Constant<value_ints = [2, 3]>()  y = Slice(x, s, e, a)}", "Crop2D"),
        (f"{X} {{y = Conv<auto_pad = \"SAME_LOWER\", strides = [2, 2]>(x, w)}}", "Conv2D"),
        (f"{X} {{y = Conv<auto_pad = \"SAME_UPPER\", strides = [2, 2]>(x, w, b)}}", "Conv2D"),
        (f"{X} {{z = Conv(x, w)  y = Add(z, c)}}", "Conv2D"),  # a bias of its own node
        (f"{X} {{y = ReduceMean<axes = [2, 3], keepdims = 0>(x)}}", "GlobalAvgPool2D"),
        (f"{X} {{y = ReduceMax<axes = [-1, -2]>(x)}}", "GlobalMaxPool2D Reshape"),
        (f"{X} {{y = Softplus(x)}}", "Softplus"),
        (f"{X} {{z = Relu(x)  y = Sign(z)}}", "Step"),
        (f"{X} {{y = Identity(x)}}", "Identity"),
    ],
)  # fmt: skip
def test_nodes_become_layers(text, kinds, read, rng):
    weights = {
        "w": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "b": np.arange(4, dtype=np.float32), "c": rng.normal(size=(1, 4, 1, 1)).astype(np.float32),
    }  # fmt: skip
    used = {key: a for key, a in weights.items() if re.search(rf", {key}[,)]", text)}
    model = graph(text, **used if "<float" not in text else {})
    if kinds is None:
        with pytest.raises(
            ValueError, match=r"Add giving 'y': its constant of shape \(3,\) does not"
        ):
            read(model)
        return
    net, x = read(model), rng.normal(size=(2, 3, 6, 5)).astype(np.float32)
    want = run(model, x=x)
    assert_allclose(net(x), want, rtol=1e-5, atol=1e-6)
    found = [type(layer).__name__ for layer in net.layers]
    assert found == kinds.split()


def test_negative_padding_crops(read):
    pads = "p = Constant<value_ints = [0, 0, 1, -1, 0, 0, 2, -2]>()"
    net = read(graph(f"{X} {{{pads}  y = Pad(x, p)}}"))
    x = np.arange(90, dtype=np.float32).reshape(1, 3, 6, 5)
    want = np.pad(x[..., 1:-2], ((0, 0), (0, 0), (1, 2), (0, 0)))
    assert_array_equal(net(x), want)


def test_a_dense_layer_after_channels_last_has_its_rows_in_order(read, rng):
    """Transpose to (n, h, w, c), Flatten, MatMul: the weight is that of Flatten of (c, h, w)."""
    w = rng.normal(size=(90, 4)).astype(np.float32)
    model = graph(
        "(float[n, 3, 6, 5] x) => (float[n, 4] y) "
        "{r = Relu(x)  t = Transpose<perm = [0, 2, 3, 1]>(r)  f = Flatten(t)  y = MatMul(f, w)}",
        w=w,
    )
    net, x = read(model), rng.normal(size=(2, 3, 6, 5)).astype(np.float32)
    assert [type(layer).__name__ for layer in net.layers] == ["ReLU", "Flatten", "Dense"]
    assert_allclose(net(x), run(model, x=x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("first", ["Transpose<perm = [0, 3, 1, 2]>(x)", "Reshape(x, s)"])
def test_gray_images_with_channels_last(first, read, rng):
    w = rng.normal(size=(2, 1, 3, 3)).astype(np.float32)
    model = graph(
        f"(float[n, 6, 5, 1] x) => (float y) {{t = {first}  y = Conv(t, w)}}",
        w=w, s=np.array([-1, 1, 6, 5]),
    )  # fmt: skip
    net, x = read(model), rng.normal(size=(2, 6, 5, 1)).astype(np.float32)
    assert net.in_shape == (1, 6, 5)
    assert [type(layer).__name__ for layer in net.layers] == ["Conv2D"]
    assert_allclose(net(x.reshape(2, 1, 6, 5)), run(model, x=x), rtol=1e-5, atol=1e-5)


def test_scales_and_shifts_learn_but_for_single_numbers(read):
    net = read(graph(f"{X} <float[3, 1, 1] w = {{1, 2, 3}}, float h = {{0.5}}> "
                     "{z = Mul(x, h)  a = Relu(z)  y = Mul(a, w)}"))  # fmt: skip
    assert [layer.frozen for layer in net.layers] == [True, False, False]


def test_all_that_cannot_be_read_is_named_at_once(read):
    model = graph(
        "(float[n, 3, 6, 5] x) => (float y, float d) {"
        "a = LRN<size = 3>(x)  b = Relu(a)  c = Exp(b)  d = com.microsoft.FusedConv(c) "
        "y = Transpose<perm = [1, 0, 2, 3]>(x)}"
    )
    model.graph.node[0].name = "norm1"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(ValueError, match="cannot read") as error:
        read(model)
    first, *lines = str(error.value).splitlines()
    assert first.startswith("deepfs.onnx.load cannot read ")
    assert lines == [
        "- LRN 'norm1': deepfs has no local response normalization; BatchNorm replaced it",
        "- Exp giving 'c': deepfs has no such layer",
        "- com.microsoft.FusedConv giving 'd': deepfs has no such layer",
        "- Transpose giving 'y': it moves the samples (perm=[1, 0, 2, 3]), and deepfs has them in "
        "front",
    ]


def test_three_dimensions_are_refused(read):
    model = graph(
        "(float[n, 1, 4, 4, 4] x) => (float y) {y = MaxPool<kernel_shape = [2, 2, 2]>(x)}"
    )
    with pytest.raises(ValueError, match=r"MaxPool giving 'y': its input is 3-D, and deepfs has"):
        read(model)


def test_free_extents_need_an_input_shape(read):
    model = graph("(float[n, 3, h, w] x) => (float y) {y = Relu(x)}")
    says = r"input 'x': its shape is \(free, 3, free, free\): write load\(path, input_shape="
    with pytest.raises(ValueError, match=says):
        read(model)
    assert read(model, input_shape=(3, 8, 9)).in_shape == (3, 8, 9)
    assert read(model, input_shape={"x": (3, 8, 9)}).in_shape == (3, 8, 9)
    with pytest.raises(ValueError, match=r"input_shape is \(1, 8, 9\), and the file has"):
        read(model, input_shape=(1, 8, 9))
    with pytest.raises(ValueError, match=r"names 'X', which is no input of .*did you mean 'x'"):
        read(model, input_shape={"X": (3, 8, 9)})
    with pytest.raises(TypeError, match="input_shape must be a tuple of ints, got 3"):
        read(model, input_shape=3)


def test_inputs_that_deepfs_cannot_have(read):
    with pytest.raises(ValueError, match="input 'x': it is int64, and deepfs computes in float32"):
        read(graph("(int64[n, 3] x) => (int64[n, 3] y) {y = Add(x, x)}"))
    net = read(graph("(uint8[n, 3] x) => (float[n, 3] y) {z = Cast<to = 1>(x)  y = Relu(z)}"))
    assert net(np.array([[1, 2, 255]], np.uint8)).tolist() == [[1, 2, 255]]
    for more in ("", "w = Erf(z)"):  # which no output needs
        with pytest.warns(UserWarning, match="the input 'z' of .* is not used, and left out"):
            read(graph(f"(float[n, 3] x, float[n] z) => (float[n, 3] y) {{y = Relu(x)  {more}}}"))


def test_float64_stays_float64(read):
    net = read(graph("(double[n, 2] x) => (double[n, 1] y) <double[2, 1] w = {1, 2}> "
                     "{y = MatMul(x, w)}"))  # fmt: skip
    assert net.built_dtype == np.float64


def damaged(path, change):
    """Return the text of the error for a file whose model was changed."""
    model = onnx.load(DATA / "pytorch_two_script_14.onnx")
    change(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(dfs.CheckpointError) as error:
        load(path)
    return str(error.value)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"")
    with pytest.raises(
        dfs.CheckpointError, match=r"m\.onnx is no ONNX file, or is damaged: it has"
    ):
        load(path)
    path.write_bytes(b"no protobuf at all")
    with pytest.raises(dfs.CheckpointError, match=r"m\.onnx is no ONNX file, or is damaged"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.onnx")
    assert "IR version 99, and onnx" in damaged(path, lambda m: setattr(m, "ir_version", 99))
    said = damaged(path, lambda m: setattr(m.opset_import[0], "version", 99))
    assert "has ONNX operator set 99, and deepfs.onnx.load reads 11 to" in said
    said = damaged(path, lambda m: setattr(m.opset_import[0], "version", 9))
    assert "has ONNX operator set 9, and deepfs.onnx.load reads 11 to" in said

    def without_weights(model):
        del model.graph.initializer[:]

    said = damaged(path, without_weights)
    assert "lacks arrays that its nodes take: 'image.weight', 'image.bias'" in said
    assert "export_params=True" in said

    def short(model):
        model.graph.initializer[0].raw_data = b"1234"

    assert "is damaged" in damaged(path, short)

    def not_a_number(model):
        tensor = next(t for t in model.graph.initializer if t.name == "image.weight")
        tensor.raw_data = np.full(tensor.dims, np.nan, np.float32).tobytes()

    assert "has numbers that are not finite in the weight of a Dense" in damaged(path, not_a_number)


def test_external_data_are_refused(tmp_path):
    model = onnx.load(DATA / "pytorch_two_script_14.onnx")
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0)
    with pytest.raises(dfs.CheckpointError) as error:
        load(tmp_path / "m.onnx")
    assert "m.onnx keeps arrays in other files, which are not read" in str(error.value)
    assert "onnx.save(onnx.load('m.onnx'), 'one.onnx')" in str(error.value)


@pytest.mark.filterwarnings("ignore:the input")  # a name that has changed
@pytest.mark.parametrize("name", ["pytorch_two_dynamo_20", "keras_convnet_13"])
def test_changed_bytes_never_crash(name, tmp_path, rng):
    """A damaged file is read as another network, or refused with a message."""
    data, path = (DATA / f"{name}.onnx").read_bytes(), tmp_path / "m.onnx"
    refused = 0
    for trial in range(150):
        if trial % 3 == 0:
            made = bytearray(data[: rng.integers(len(data))])
        else:
            made = bytearray(data)
            for at in rng.integers(0, len(data), 1 + trial % 3):
                made[at] = rng.integers(256)
        path.write_bytes(made)
        try:
            load(path)
        except (dfs.CheckpointError, ValueError) as error:
            refused += "m.onnx" in str(error)
    assert refused > 40


def test_shapes_that_a_file_states_do_not_fill_the_memory(read):
    huge = "(float[n, 3, 100000, 100000] x) => (float y)"
    says = r"it needs an array of shape \(3, 100000, 100000\)"
    with pytest.raises(ValueError, match=says):
        read(graph(f"{huge} {{y = Mul(x, w)}}", w=np.arange(100000, dtype=np.float32)))
    with pytest.raises(ValueError, match=r"it needs an array of shape \(1000000000000,\)"):
        read(graph("(float[n, 1000000000000] x) => (float y) <float w = {2.0}> {y = Mul(x, w)}"))
    arrays = dict.fromkeys("sbmv", np.ones(3, np.float32))
    with pytest.raises(
        ValueError, match=r"its gamma has shape \(3,\), and its input 10000000000 ch"
    ):
        read(graph("(float[n, 10000000000] x) => (float y) {y = BatchNormalization(x, s, b, m, v)}",
                   **arrays))  # fmt: skip
    with pytest.raises(
        ValueError, match=r"it gives \[3, 3298534883328\] pixels, and at most 104857"
    ):
        read(graph("(float[n, 2, 1, 3] x) => (float y) {y = Resize(x, , , s)}",
                   s=np.array([1, 2, 3, 3 << 40])))  # fmt: skip
    shape = helper.make_tensor("s", TensorProto.INT64, [2], [1 << 20, 1 << 20])
    model = graph("(float[n, 3] x) => (float y) {z = ConstantOfShape(s)  y = Add(x, z)}")
    model.graph.initializer.append(shape)
    with pytest.raises(ValueError, match=r"it needs an array of shape \(1048576, 1048576\)"):
        read(model)


def test_without_onnx_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    says = r"deepfs.onnx.load needs onnx, which is not installed: pip install 'deepfs\[onnx\]'"
    with pytest.raises(ImportError, match=says):
        load(DATA / "pytorch_lenet_script_13.onnx")


@every_layer
def test_what_save_writes_is_read_back(make, shape, tmp_path):
    layer, x, path = make(), spread(shape).astype("float32"), tmp_path / "m.onnx"
    layer.forward(x, training=True)  # running statistics differ from 0 and 1
    dfs.onnx.save(layer, path)
    want, got = layer(x), dfs.onnx.load(path)(x)
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= 3e-5 * np.abs(want).max()


@pytest.mark.parametrize(("outside", "kinds"), [("0", ["ZeroPad2D", "MaxPool2D"]),
                                                ("-3.4028235e38", ["MaxPool2D"])])  # fmt: skip
def test_padding_before_a_maximum_is_its_own_if_it_never_wins(outside, kinds, tmp_path):
    """Zeros win over negative numbers, so that they stay a layer."""
    text = f"""<ir_version: 8, opset_import: ["": 17]> g {X}
    <float[1] v = {{{outside}}}, int64[8] p = {{0, 0, 1, 2, 0, 0, 1, 2}}>
    {{z = Pad(x, p, v) y = MaxPool<kernel_shape = [3, 3], strides = [2, 2]>(z)}}"""
    model, path = parse_model(text), tmp_path / "m.onnx"
    onnx.save(model, path)
    net, x = load(path), -np.random.default_rng(0).random((2, 3, 6, 5)).astype(np.float32) - 1
    assert [type(layer).__name__ for layer in net.layers] == kinds
    assert_array_equal(net(x), run(model, x=x))
