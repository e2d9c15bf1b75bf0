"""`InferenceModel`: the bits of `Model.predict`, immutable, small as a pickle, light to start."""

import copy
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import deepfs as dfs
from deepfs import layers as L
from every_layer import every_layer, spread

RNG = np.random.default_rng(3)


def graph():
    """Return a graph of two inputs and two outputs."""
    a, b = L.Input((4,)), L.Input((3,))
    h = L.ReLU()(L.Concat()([L.Dense(5)(a), L.BatchNorm()(L.Dense(5)(b))]))
    return L.Graph({"a": a, "b": b}, (L.Dense(3)(h), L.Dense(2)(h)))


def convolutions(dtype="float32"):
    first = L.Conv2D(8, 3, padding=1, initializer=lambda shape, rng: rng.normal(shape))
    return L.Sequential(
        [first, L.BatchNorm(), L.ReLU(), L.MaxPool2D(2), L.Dropout(0.3), L.Conv2D(8, 3, padding=1),
         L.ReLU(), L.GlobalAvgPool2D(), L.Dense(3)],
        dtype=dtype,
    )  # fmt: skip


def trained(network, x, y, loss="cross_entropy", **more):
    """Return a model after two steps."""
    model = dfs.Model(network, loss, dfs.optimizers.Adam(1e-2), **more)
    model.fit(x, y, batch_size=24, epochs=2, verbose=0)
    return model


def images(dtype="float32", n=24):
    return RNG.normal(size=(n, 3, 9, 8)).astype(dtype), np.arange(n) % 3


@pytest.fixture(scope="module")
def model():
    return trained(
        convolutions(), *images(), class_names=["a", "b", "c"],
        preprocess=dfs.preprocessing.Standardize(),
    )  # fmt: skip


def same(a, b):
    """Return whether two results have the same bits, dtype and form."""
    if isinstance(a, (tuple, dict)):
        pairs = zip(a, b, strict=True) if isinstance(a, tuple) else ((a[k], b[k]) for k in a)
        return type(a) is type(b) and all(same(*pair) for pair in pairs)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def rows():
    return RNG.normal(size=(24, 6)).astype("float32"), np.arange(24) % 3


CASES = {
    "mlp": lambda: (L.Sequential([L.Flatten(), L.Dense(9), L.ReLU(), L.Dense(3)]), *images()),
    "convolutions": lambda: (convolutions(), *images()),
    "float64": lambda: (convolutions("float64"), *images("float64")),
    "one layer": lambda: (L.Dense(3), *rows()),
    "input unchanged": lambda: (L.Identity(), *rows()),
    "residual": lambda: (
        L.Sequential([L.Residual(L.Sequential([L.Dense(6), L.Tanh()])), L.Dense(3)]), *rows()
    ),
    "sequences": lambda: (
        L.Sequential([L.Conv1D(4, 3), L.ReLU(), L.MaxPool1D(2), L.Flatten(), L.Dense(3)]),
        RNG.normal(size=(24, 2, 11)).astype("float32"), np.arange(24) % 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("loss", ["cross_entropy", "hinge"])
def test_same_bits_as_the_model(case, loss, tmp_path):
    network, x, y = CASES[case]()
    model = dfs.Model(network, loss, "sgd")
    if network.parameters() or case != "input unchanged":
        model.fit(x, y, epochs=1, verbose=0)
    model.predict(x)
    model.save(tmp_path / "m.safetensors")
    made = model.predictor()
    for predictor in (
        made,
        pickle.loads(pickle.dumps(made)),
        dfs.InferenceModel.load(tmp_path / "m.safetensors"),
    ):
        for n in (1, 2, 17, 24):
            for given in (x[:n], np.asfortranarray(x[:n]), x[:n].astype("float64"), x[:n].tolist()):
                for _ in range(2):  # later calls of a shape have a plan
                    assert same(predictor(given), model.predict(given))
                    assert same(predictor.predict_classes(given), model.predict_classes(given))
        assert same(predictor.predict(x, batch_size=5), model.predict(x, batch_size=5))
        if loss == "hinge":
            with pytest.raises(ValueError, match="no probabilities from Hinge"):
                predictor.predict_proba(x)
        else:
            assert same(predictor.predict_proba(x), model.predict_proba(x))


def test_several_inputs_and_outputs(tmp_path):
    x = {"a": RNG.normal(size=(9, 4)).astype("f4"), "b": RNG.normal(size=(9, 3)).astype("f4")}
    y = np.arange(9) % 3, np.arange(9) % 2
    model = trained(graph(), x, y, loss=("cross_entropy", "cross_entropy"))
    model.save(tmp_path / "m.safetensors")
    for made in (model.predictor(), dfs.InferenceModel.load(tmp_path / "m.safetensors")):
        assert same(made(x), model.predict(x))
        assert same(made.predict_classes(x, 4), model.predict_classes(x, 4))
        assert made.in_shape == {"a": (4,), "b": (3,)}
        assert made.out_shape == ((3,), (2,))
        with pytest.raises(ValueError, match="dict of 'a', 'b', got 'a'"):
            made({"a": x["a"]})


def test_preprocessing_and_class_names(model, tmp_path):
    x, _ = images(n=7)
    model.save(tmp_path / "m.safetensors")
    for made in (model.predictor(), dfs.InferenceModel.load(tmp_path / "m.safetensors")):
        for n in (1, 7, 7):
            assert same(made(x[:n]), model.predict(x[:n]))
        assert made.predict_labels(x).tolist() == model.predict_labels(x).tolist()
        assert made.class_names == ("a", "b", "c")
        assert made.in_shape == (3, 9, 8)
        assert made.out_shape == (3,)
        assert made.dtype == np.float32
        assert repr(made.preprocess) == repr(model.preprocess)
        integers = np.rint(x).astype(np.int16)
        assert same(made(integers), model.predict(integers))


def test_other_sizes_of_images(model):
    """A network of convolutions takes images of other sizes than those of the training."""
    plain = trained(convolutions(), *images())
    x = RNG.normal(size=(3, 3, 12, 14)).astype("float32")
    made = plain.predictor()
    assert same(made(x), plain.predict(x))
    assert same(made(x), plain.predict(x))


def test_answers_are_arrays_of_the_caller(model):
    """A later call does not change an earlier answer, and the answer is no view of the input."""
    made, (x, _) = model.predictor(), images(n=2)
    first = made(x)
    kept = first.copy()
    made(-x)
    assert same(first, kept)
    first[...] = 7
    assert same(made(x), kept)
    identity = dfs.Model(L.Identity(), "cross_entropy", "sgd")
    z = np.ones((1, 2), np.float32)
    identity.predict(z)
    identity.predictor()(z)[...] = 5
    assert (z == 1).all()


def test_the_model_trains_on_and_the_predictor_stays():
    x, y = images()
    model = trained(convolutions(), x, y)
    made = model.predictor()
    before = made(x)
    model.fit(x, y, epochs=1, verbose=0)
    assert not same(model.predict(x), before)
    assert same(made(x), before)


@every_layer
def test_every_layer_in_a_plan(make, shape):
    x = spread(shape).astype(np.float32)
    model = dfs.Model(L.Sequential([L.Identity(), make(), L.ReLU()]), "mse", "sgd", metrics=[])
    wanted = model.predict(x)
    made = model.predictor()
    for again in (made, made, pickle.loads(pickle.dumps(made))):
        assert same(again(x), wanted)


def test_more_samples_than_predict_takes_at_once():
    """The second batch has one sample, whose sums a dense layer adds in another order."""
    x = RNG.normal(size=(257, 784)).astype("float32")
    model = dfs.Model(dfs.networks.mlp(), "cross_entropy", "sgd")
    wanted = model.predict(x)
    made = model.predictor()
    assert same(made(x), wanted)
    assert same(made(x[:256]), wanted[:256])
    assert same(made(x[256:]), wanted[256:])


def wide(dtype="float32"):
    """Return layers of all kinds that a plan knows, wide enough for Winograd's algorithm."""
    return L.Sequential(
        [L.Conv2D(9, 3, padding=1), L.ReLU(), L.Conv2D(16, 3, padding=1), L.BatchNorm(), L.ReLU(),
         L.Sequential([L.MaxPool2D(2), L.Conv2D(10, (2, 1), groups=2), L.Dropout(scaling="test")]),
         L.Residual(L.Sequential([L.Conv2D(10, 3, padding=1), L.BatchNorm()])), L.ReLU(),
         L.Residual(L.Sequential([L.Conv2D(12, 3, padding=1), L.Tanh()]), L.Conv2D(12, 1)),
         L.ReLU(), L.AvgPool2D(2),
         L.Flatten(), L.Dense(12), L.Residual(L.Sequential([L.Dense(12), L.BatchNorm()])),
         L.BatchNorm(), L.ReLU(), L.Identity(), L.Dense(3, bias=False)],
        dtype=dtype,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_plans(dtype, monkeypatch):
    """Also for another algorithm, another thread count, and after more shapes than get one."""
    x = RNG.normal(size=(24, 3, 16, 12)).astype(dtype)
    model = trained(wide(dtype), x, np.arange(24) % 3)
    made = model.predictor()
    made(x[:1])
    assert made._plans._idle[x[:1].shape]
    for winograd in (True, False, True):
        monkeypatch.setattr(dfs.config, "winograd", winograd)
        for n in (*range(1, 24), *range(1, 5)):
            assert same(made(x[:n]), model.predict(x[:n]))
    with dfs.threads(2):
        assert same(made(x[:1]), model.predict(x[:1]))
    with dfs.use_reference():
        found, wanted = made(x[:2]), model.predict(x[:2])
    assert same(found, wanted)
    assert not same(found, made(x[:2]))
    many = np.tile(x, (11, 1, 1, 1))[:256]  # the arrays of a plan would take too much memory
    assert same(model.predictor()(many), model.predict(many))


def test_nothing_can_be_changed(model):
    made, (x, _) = model.predictor(), images()
    wanted = made(x)
    for again in (made, pickle.loads(pickle.dumps(made))):
        with pytest.raises(AttributeError, match=r"class_names cannot be set, it is immutable: ch"):
            again.class_names = ("x", "y", "z")
        with pytest.raises(AttributeError, match="new cannot be set"):
            again.new = 1
        with pytest.raises(AttributeError, match="cannot be deleted"):
            del again.class_names
        for name, weight in again.weights.items():
            with pytest.raises(ValueError, match="read-only"):
                weight[...] = 0
            with pytest.raises(TypeError, match="does not support item assignment"):
                again.weights[name] = weight
        network = again.network
        for parameter in network.parameters().values():
            with pytest.raises(ValueError, match="read-only"):
                parameter.value = 0 * parameter.value
            with pytest.raises(ValueError, match="read-only"):
                parameter.storage[...] = 0
        with pytest.raises(ValueError, match="read-only"):  # training changes running statistics
            network.forward(x, training=True)
        network.layers[3].stride = 1  # of the copy alone
        network.replace("dense_1", L.Dense(3))
        again.preprocess.reset()
        assert same(again(x), wanted)
    assert copy.copy(made) is copy.deepcopy(made) is made
    assert network.parameters()["conv2d_1.weight"].value.base is not None
    with pytest.raises(TypeError, match=r"made by model.predictor\(\), or by"):
        dfs.InferenceModel()


def test_a_copy_of_the_network_shares_the_weights(model):
    made = model.predictor()
    shared = made.network.parameters()["dense_1.weight"].storage
    assert np.shares_memory(shared, made.weights["dense_1.weight"])


def test_a_pickle_has_the_weights_alone(model):
    made = model.predictor()
    size = sum(weight.nbytes for weight in made.weights.values())
    for protocol in range(3, pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps(made, protocol)
        assert len(pickled) < size + 8000
        assert len(pickle.dumps(pickle.loads(pickled), protocol)) < size + 8000
    for part in (b"optimizer", b"history", b"trainer"):
        assert part not in pickled


def test_threads(model):
    x, _ = images(n=40)
    made, found = model.predictor(), []
    wanted = [made(x[i : i + 1]) for i in range(40)]

    def ask(first):
        for i in range(first, first + 200):
            if not same(made(x[i % 40 : i % 40 + 1]), wanted[i % 40]):
                return
        found.append(first)

    threads = [threading.Thread(target=ask, args=(5 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 8


def test_what_the_model_refuses(model):
    made, (x, _) = model.predictor(), images(n=2)
    bad = x.copy()
    bad[1, 0, 0, 0] = np.nan
    for given in (bad, x[:0], x[:, :2], x[0], x[..., :4], "text", None, x.astype(object) + 1j,
                  [[1.0], [2.0, 3.0]], {"a": x}):  # fmt: skip
        made(x)
        with pytest.raises((TypeError, ValueError)) as theirs:
            model.predict(given)
        with pytest.raises(type(theirs.value)) as ours:
            made(given)
        assert str(ours.value) == str(theirs.value)
    with pytest.raises(TypeError, match=r"takes arrays, got a Loader: model\.predict"):
        made(dfs.data.Loader((x, np.zeros(2, int))))
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        made.predict(x, batch_size=0)
    huge = np.full((1, 6), 1e39)
    plain = trained(L.Dense(3), *rows())
    with pytest.raises(ValueError, match="dtype float32 can hold"):
        plain.predictor()(huge)
    with pytest.raises(ValueError, match=r"no class names: .* call model\.predictor"):
        plain.predictor().predict_labels(huge)


def test_what_predictor_needs():
    with pytest.raises(RuntimeError, match="predictor needs a network that has seen data"):
        dfs.Model(L.Dense(2), "mse", "sgd").predictor()
    unfitted = dfs.Model(L.Dense(2), "mse", "sgd", preprocess=dfs.preprocessing.Standardize())
    unfitted.network.build((3,))
    with pytest.raises(RuntimeError, match="predictor needs a fitted preprocessing"):
        unfitted.predictor()


@pytest.mark.parametrize(
    ("name", "words"), [("fit", "fit is of the Model"), ("class_name", "class_names"),
                        ("optimizer", "optimizer is of the Model"), ("qwert", "no attribute")]
)  # fmt: skip
def test_names_that_it_does_not_have(model, name, words):
    with pytest.raises(AttributeError, match=words):
        getattr(model.predictor(), name)


def test_files(model, tmp_path):
    """A file that is no model, that is damaged, or that names a class of the user's."""
    path = tmp_path / "m.safetensors"
    model.save(path)
    content = path.read_bytes()
    path.write_bytes(content[:-5] + b"\0" + content[-4:])
    with pytest.raises(dfs.CheckpointError, match="damaged"):
        dfs.InferenceModel.load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(dfs.CheckpointError, match="not a safetensors file"):
        dfs.InferenceModel.load(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        dfs.InferenceModel.load(tmp_path / "none")


def far_loss(outputs, targets):
    return ((outputs - targets) ** 2).mean(), 2 * (outputs - targets) / outputs.size


def test_a_file_with_a_loss_of_ones_own(tmp_path):
    x = np.eye(3)
    loss = dfs.losses.FunctionLoss(far_loss)
    model = dfs.Model(L.Dense(2), loss, "sgd")
    model.predict(x)
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(dfs.CheckpointError, match="loss contains a function of your own"):
        dfs.InferenceModel.load(tmp_path / "m.safetensors")
    made = dfs.InferenceModel.load(tmp_path / "m.safetensors", loss=far_loss)
    assert same(made(x), model.predict(x))
    with pytest.raises(ValueError, match="no probabilities"):
        made.predict_proba(x)


START = """
import sys
import numpy as np
{how}
predictor.class_names and predictor.predict_labels(np.ones((1, 3, 9, 8)))
print(predictor(np.cos(np.arange(216.0)).reshape(1, 3, 9, 8)).tolist())
for name in ("deepfs.trainer", "deepfs.optimizers", "deepfs.training", "deepfs.data", "tqdm"):
    assert name not in sys.modules, name
{after}
"""
FORK = """
import os
x = np.ones((64, 3, 9, 8), np.float32)
wanted = predictor(x)
child = os.fork()
if child == 0:
    os._exit(0 if (predictor(x) == wanted).all() else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.parametrize("how", ["pickle", "file"])
def test_starts_without_what_trains_and_forks(model, tmp_path, how):
    model.save(tmp_path / "m.safetensors")
    (tmp_path / "m.pickle").write_bytes(pickle.dumps(model.predictor()))
    if how == "pickle":
        code = "import pickle\npredictor = pickle.load(open('m.pickle', 'rb'))"
    else:
        code = "import deepfs\npredictor = deepfs.InferenceModel.load('m.safetensors')"
    code = START.format(how=code, after=FORK if hasattr(os, "fork") else "")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    wanted = model.predict(np.cos(np.arange(216.0)).reshape(1, 3, 9, 8))
    assert done.stdout == f"{wanted.tolist()}\n"


def test_plans_hand_out_arrays_of_their_own():
    x, y = images(n=4)
    predictor = trained(convolutions(), x, y).predictor()
    first = predictor(x)
    kept = first.copy()
    assert (predictor(-x) != kept).any()
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_plans_refuse_what_is_not_finite(odd):
    x, y = images(n=4)
    predictor = trained(convolutions(), x, y).predictor()
    predictor(x)  # makes the plan
    x[2, 1, 0, 0] = odd
    with pytest.raises(ValueError, match="NaN or infinity in sample 2"):
        predictor(x)
