"""`deepfs.book`: the book's numbers, and the behaviour that its scripts rely on."""

import importlib
import inspect
import pickle
import time

import numpy as np
import pytest

from deepfs import book
from deepfs.book._settings import Settings
from deepfs.book.common import optimizer as optimizers
from deepfs.book.dataset import mnist


@pytest.fixture(autouse=True)
def _defaults(monkeypatch):
    """float64, no limit, no folder, and random numbers of a known start."""
    monkeypatch.setattr(Settings, "dtype", Settings.dtype)
    monkeypatch.setattr(Settings, "steps", 0)
    monkeypatch.setattr(mnist._Place, "folder", None)
    np.random.seed(0)


def gradients(layer, x, rng, **names):
    """Return the gradients of a layer, and the same by differences, by name."""
    weight = rng.standard_normal(layer.forward(x).shape)
    found = {"x": layer.backward(weight)}
    found |= {name: getattr(layer, slope) for name, slope in names.items()}
    arrays = {"x": x} | {name: getattr(layer, name) for name in names}
    by_differences = {
        name: book.numerical_gradient(lambda _: (layer.forward(x) * weight).sum(), array)
        for name, array in arrays.items()
    }
    return found, by_differences


LAYERS = {
    "Relu": (lambda r: book.Relu(), (2, 3, 2, 2), {}),
    "Sigmoid": (lambda r: book.Sigmoid(), (3, 4), {}),
    "Affine": (lambda r: book.Affine(r.normal(size=(12, 3)), r.normal(size=3)), (2, 3, 2, 2),
               {"W": "dW", "b": "db"}),
    "Convolution": (lambda r: book.Convolution(r.normal(size=(3, 2, 3, 2)), r.normal(size=3), 2, 1),
                    (2, 2, 5, 4), {"W": "dW", "b": "db"}),
    "Pooling": (lambda r: book.Pooling(2, 3, stride=1, pad=1), (1, 2, 4, 4), {}),
    "BatchNormalization": (
        lambda r: book.BatchNormalization(r.normal(size=12), r.normal(size=12)), (4, 3, 2, 2),
        {"gamma": "dgamma", "beta": "dbeta"}),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_right(name, rng):
    make, shape, names = LAYERS[name]
    layer, x = make(rng), rng.standard_normal(shape)
    found, expected = gradients(layer, x, rng, **names)
    for key in expected:
        assert np.abs(found[key]).max() > 0.01  # a check of zeros would show nothing
        np.testing.assert_allclose(found[key], expected[key], atol=1e-6)
        assert found[key].dtype == np.float64


def test_convolution_and_pooling_are_those_of_the_column_matrix(rng):
    x, w = rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((4, 3, 3, 3))
    layer = book.Convolution(w, np.arange(4.0), stride=2, pad=1)
    y = layer.forward(x)
    assert y.shape == (2, 4, 3, 3)
    rows = book.im2col(x, 3, 3, 2, 1) @ w.reshape(4, -1).T + np.arange(4)
    np.testing.assert_allclose(y, rows.reshape(2, 3, 3, 4).transpose(0, 3, 1, 2), atol=1e-13)
    np.testing.assert_array_equal(layer.col @ layer.col_W + np.arange(4), rows)
    pool = book.Pooling(2, 2)
    columns = book.im2col(x, 2, 2, 2).reshape(2, 3, 2, 3, 4)
    np.testing.assert_array_equal(pool.forward(x), columns.max(-1).transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(pool.arg_max, columns.argmax(-1).ravel())
    back = book.col2im(np.ones((18, 27)), (2, 3, 6, 5), 3, 3, 2, 1)
    np.testing.assert_array_equal(back, np.ones_like(back) * back[0, 0])
    assert back[0, 0, 1, 1] == 4


def test_attributes_that_scripts_read(rng):
    x, w, b = rng.standard_normal((2, 4)), np.ones((4, 3)), np.zeros(3)
    affine, relu, loss = book.Affine(w, b), book.Relu(), book.SoftmaxWithLoss()
    assert affine.dW is affine.db is affine.x is relu.mask is loss.loss is None
    affine.forward(x)
    relu.forward(x)
    assert affine.W is w
    assert affine.b is b
    assert np.array_equal(affine.x, x)
    assert np.array_equal(relu.mask, x <= 0)
    t = np.array([0, 3])
    assert loss.forward(x, t) == loss.loss
    assert loss.t is t
    np.testing.assert_allclose(loss.y.sum(axis=1), 1)


def test_weights_are_read_anew_and_updates_are_in_place(rng):
    w, b, x = rng.standard_normal((3, 2)), np.zeros(2), np.ones((1, 3))
    layer, params = book.Affine(w, b), {"W": w, "b": b}
    for kind in ("SGD", "Momentum", "Nesterov", "AdaGrad", "RMSprop", "Adam"):
        before = layer.forward(x)
        getattr(book, kind)().update(params, {"W": np.ones((3, 2)), "b": np.ones(2)})
        assert params["W"] is w is layer.W
        assert (layer.forward(x) < before).all()
    layer.W = np.eye(3)[:, :2]
    np.testing.assert_array_equal(layer.forward(x), 1 + b[None])


def test_a_star_gives_numpy_and_the_functions():
    names = {}
    for module in ("layers", "optimizer", "functions", "gradient", "util", "trainer"):
        exec(f"from deepfs.book.common.{module} import *", names)
        assert names.pop("np") is np
    names = {}
    exec("from deepfs.book.common.multi_layer_net import *", names)
    assert {"np", "softmax", "im2col", "MultiLayerNet", "Affine", "OrderedDict"} <= names.keys()


SIGNATURES = {
    "Affine": "W b", "Convolution": "W b stride=1 pad=0",
    "Pooling": "pool_h pool_w stride=2 pad=0", "Dropout": "dropout_ratio=0.5",
    "BatchNormalization": "gamma beta momentum=0.9 running_mean=None running_var=None",
    "SGD": "lr=0.01", "Momentum": "lr=0.01 momentum=0.9", "Nesterov": "lr=0.01 momentum=0.9",
    "AdaGrad": "lr=0.01", "RMSprop": "lr=0.01 decay_rate=0.99",
    "Adam": "lr=0.001 beta1=0.9 beta2=0.999",
    "im2col": "input_data filter_h filter_w stride=1 pad=0",
    "col2im": "col input_shape filter_h filter_w stride=1 pad=0",
    "Trainer": "network x_train t_train x_test t_test epochs=20 mini_batch_size=100 "
               "optimizer='SGD' optimizer_param={'lr': 0.01} evaluate_sample_num_per_epoch=None "
               "verbose=True",
    "MultiLayerNetExtend": "input_size hidden_size_list output_size activation='relu' "
                           "weight_init_std='relu' weight_decay_lambda=0 use_dropout=False "
                           "dropout_ration=0.5 use_batchnorm=False",
    "load_mnist": "normalize=True flatten=True one_hot_label=False",
    "TwoLayerNet": "input_size hidden_size output_size weight_init_std=0.01",
}  # fmt: skip


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_the_book_s(name):
    parameters = inspect.signature(getattr(book, name)).parameters.values()
    plain = [str(p.replace(annotation=p.empty)) for p in parameters]
    assert " ".join(plain) == SIGNATURES[name]


def test_every_name_is_there_and_a_misspelt_one_is_explained():
    assert all(getattr(book, name) is not None for name in book.__all__)
    assert importlib.import_module("deepfs.book.ch04.two_layer_net").TwoLayerNet
    with pytest.raises(AttributeError, match=r"no name 'SoftmaxLoss'"):
        _ = book.SoftmaxLoss
    with pytest.raises(AttributeError, match=r"did you mean 'Convolution'\?"):
        _ = book.Convolutoin


# --- the book's numbers -------------------------------------------------------------------------


def test_the_loss_adds_1e_7_and_takes_labels_and_one_hot_rows(rng):
    assert book.cross_entropy_error(np.array([1.0, 0.0]), np.array(1)) == -np.log(1e-7)
    x = rng.standard_normal((4, 3))
    labels = np.array([2, 0, 1, 1])
    e = np.exp(x)
    p = e / e.sum(axis=1, keepdims=True)
    expected = -np.log(p[np.arange(4), labels] + 1e-7).mean()
    for t in (labels, labels.astype(np.uint8), np.eye(3)[labels], np.eye(3, dtype=int)[labels]):
        loss = book.SoftmaxWithLoss()
        np.testing.assert_allclose(loss.forward(x, t), expected, rtol=1e-14)
        np.testing.assert_allclose(loss.backward(), (p - np.eye(3)[labels]) / 4, atol=1e-15)
    np.testing.assert_allclose(book.softmax_loss(x, labels), expected, rtol=1e-14)


def test_labels_of_shape_1_1():
    loss = book.SoftmaxWithLoss()
    np.testing.assert_allclose(loss.forward(np.zeros((1, 4)), np.array([[1]])), np.log(4), 1e-6)
    np.testing.assert_allclose(loss.backward(), [[0.25, -0.75, 0.25, 0.25]])


def test_batch_norm_has_the_book_s_eps_and_running_statistics(rng):
    x = rng.standard_normal((5, 3))
    layer = book.BatchNormalization(np.ones(3), np.zeros(3))
    np.testing.assert_allclose(
        layer.forward(x), (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-6), rtol=1e-12
    )
    np.testing.assert_allclose(layer.running_mean, 0.1 * x.mean(0))
    np.testing.assert_allclose(layer.running_var, 0.1 * x.var(0))  # it starts at 0
    np.testing.assert_allclose(
        layer.forward(x, train_flg=False),
        (x - layer.running_mean) / np.sqrt(layer.running_var + 1e-6), rtol=1e-12,
    )  # fmt: skip
    assert not layer.forward(x[:1]).any()  # one sample: all is the mean
    mean, var = np.ones(3), np.ones(3)
    given = book.BatchNormalization(np.ones(3), np.zeros(3), 0.9, mean, var)
    given.forward(x)
    assert given.running_mean is not mean
    assert (mean == 1).all()


def test_dropout_is_not_inverted_and_draws_by_numpy():
    x = np.ones((50, 40))
    layer = book.Dropout(0.3)
    y = layer.forward(x)
    np.random.seed(0)
    np.testing.assert_array_equal(y, np.random.rand(50, 40) > 0.3)
    np.testing.assert_array_equal(layer.backward(2 * x), 2 * y)
    np.testing.assert_array_equal(layer.forward(x, train_flg=False), 0.7 * x)


def by_hand(kind, gs, w):
    """Return the parameter after steps, by the book's formulas."""
    v = m = h = 0.0
    for t, g in enumerate(gs, 1):
        if kind == "SGD":
            w = w - 0.01 * g
        elif kind == "Momentum":
            v = 0.9 * v - 0.01 * g
            w = w + v
        elif kind == "Nesterov":
            w = w + 0.81 * v - 1.9 * 0.01 * g
            v = 0.9 * v - 0.01 * g
        elif kind in ("AdaGrad", "RMSprop"):
            h = h + g**2 if kind == "AdaGrad" else 0.99 * h + 0.01 * g**2
            w = w - 0.01 * g / (np.sqrt(h) + 1e-7)
        else:
            m = m + 0.1 * (g - m)
            v = v + 0.001 * (g**2 - v)
            rate = 0.001 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            w = w - rate * m / (np.sqrt(v) + 1e-7)
    return w


KINDS = [name for name in optimizers.__all__ if name != "np"]


@pytest.mark.parametrize("kind", KINDS)
def test_optimizers_take_the_book_s_steps(kind, rng):
    gs = [*rng.standard_normal((4, 3, 5)), 1e-7 * rng.standard_normal((3, 5))]  # eps counts
    start = rng.standard_normal((3, 5))
    params = {"w": start.copy(), "x": float(start[1, 2]), "odd": start.copy().T}
    optimizer = getattr(book, kind)()
    for g in gs:
        optimizer.update(params, {"w": g, "x": float(g[1, 2]), "odd": g.T})
    np.testing.assert_allclose(params["w"], by_hand(kind, gs, start), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(params["x"], params["w"][1, 2], rtol=1e-13)
    np.testing.assert_allclose(params["odd"].T, params["w"], rtol=1e-13)
    assert isinstance(params["x"], float)


@pytest.mark.parametrize("kind", KINDS)
def test_optimizers_take_gradients_that_are_not_numbers(kind):
    params = {"w": np.zeros(2)}
    getattr(book, kind)().update(params, {"w": np.array([np.nan, 1.0])})
    assert np.isnan(params["w"][0])
    assert params["w"][1] < 0


def test_small_functions():
    assert book.identity_function(3) == 3
    np.testing.assert_array_equal(book.step_function(np.array([-1.0, 0, 2])), [0, 0, 1])
    np.testing.assert_array_equal(book.relu_grad(np.array([-1.0, 0, 2])), [0, 1, 1])
    np.testing.assert_array_equal(book.relu(np.array([-1.0, 2])), [0, 2])
    x = np.linspace(-4, 4, 1001)
    np.testing.assert_allclose(book.sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-14)
    np.testing.assert_allclose(book.sigmoid_grad(x), book.sigmoid(x) * book.sigmoid(-x))
    np.testing.assert_allclose(book.softmax(np.array([1000, 1001])), [0.26894142, 0.73105858])
    np.testing.assert_allclose(book.softmax(np.zeros((2, 2, 4))), np.full((2, 2, 4), 0.25))
    assert book.sum_squared_error(np.array([1.0, 2]), np.array([0.0, 4])) == 2.5
    assert book.conv_output_size(28, 5, stride=2, pad=1) == 13.5
    x = np.arange(12.0) ** 2
    weights = np.kaiser(11, 2) / np.kaiser(11, 2).sum()
    mirrored = [*x[5:0:-1], *x, *x[:-6:-1]]  # without the first point, with the last
    np.testing.assert_allclose(book.smooth_curve(x), np.convolve(mirrored, weights, "valid"))


def test_numerical_gradients():
    x = np.array([3.0, 4.0])
    np.testing.assert_allclose(book.numerical_gradient(lambda v: (v**2).sum(), x), [6, 8])
    rows = np.array([[3.0, 4.0], [0.0, 2.0]])
    slopes = book.numerical_gradient_2d(lambda v: (v**2).sum(), rows)
    np.testing.assert_allclose(slopes, 2 * rows, atol=1e-9)
    np.testing.assert_allclose(  # f looks at the array that x is, not at its argument
        book.numerical_gradient(lambda _: x[0] * x[1], x[::-1]), [3, 4]
    )
    assert x.tolist() == [3, 4]


def test_the_apples():
    apple, orange, tax, add = book.MulLayer(), book.MulLayer(), book.MulLayer(), book.AddLayer()
    price = tax.forward(add.forward(apple.forward(100, 2), orange.forward(150, 3)), 1.1)
    assert round(price) == 715
    dall, dtax = tax.backward(1)
    assert dtax == 650
    dapple, dorange = (layer.backward(d) for layer, d in
                       zip((apple, orange), add.backward(dall), strict=True))  # fmt: skip
    np.testing.assert_allclose([*dapple, *dorange], [2.2, 110, 3.3, 165])


# --- networks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [
    {"use_batchnorm": True}, {"weight_decay_lambda": 0.1, "activation": "sigmoid"},
    {"weight_init_std": 0.5},
], ids=str)  # fmt: skip
def test_gradients_of_a_network(settings, rng):
    network = book.MultiLayerNetExtend(5, [4, 3], 3, **settings)
    for name, w in network.params.items():  # no neuron at the kink of ReLU
        w += (name[0] == "b") * rng.uniform(0.1, 1, w.shape)
    x, t = rng.standard_normal((4, 5)), np.array([0, 2, 1, 2])
    found, expected = network.gradient(x, t), network.numerical_gradient(x, t)
    assert found.keys() == expected.keys() == network.params.keys()
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], atol=2e-6, err_msg=name)
    assert max(np.abs(g).max() for g in found.values()) > 0.01


def test_the_convolutional_networks_of_the_book():
    simple, deep = book.SimpleConvNet(), book.DeepConvNet()
    assert sum(w.size for w in simple.params.values()) == 433_890
    assert sum(w.size for w in deep.params.values()) == 123_552
    x, t = np.random.rand(2, 1, 28, 28).astype(np.float32), np.array([3, 1])
    for network in (simple, deep):
        grads = network.gradient(x, t)
        for name, w in network.params.items():
            assert grads[name].shape == w.shape
            assert grads[name].dtype == np.float64
    x = np.random.rand(1, 1, 10, 10)
    parameters = {"filter_num": 2, "filter_size": 3, "pad": 0, "stride": 1}
    small = book.SimpleConvNet((1, 10, 10), parameters, hidden_size=3, output_size=4)
    found = small.gradient(x, np.array([[1]]))
    for name, g in small.numerical_gradient(x, np.array([[1]])).items():
        np.testing.assert_allclose(found[name], g, atol=1e-6, err_msg=name)


def test_float32_by_a_switch(rng):
    x, t = rng.random((4, 1, 12, 12)), rng.integers(0, 3, 4)
    w = rng.standard_normal((2, 1, 3, 3)), rng.standard_normal((50, 3))
    found = {}
    for dtype in ("float64", "float32"):
        book.set_dtype(dtype)
        layers = [book.Convolution(w[0], np.zeros(2)), book.Relu(), book.Pooling(2, 2),
                  book.Affine(w[1], np.zeros(3))]  # fmt: skip
        y, loss = x, book.SoftmaxWithLoss()
        for layer in layers:
            y = layer.forward(y)
        assert y.dtype == dtype
        loss.forward(y, t)
        back = loss.backward()
        for layer in layers[::-1]:
            back = layer.backward(back)
        assert back.dtype == layers[0].dW.dtype == layers[3].db.dtype == dtype
        found[dtype] = layers[0].dW
    assert layers[0].W.dtype == np.float64  # they are the caller's
    np.testing.assert_allclose(found["float32"], found["float64"], atol=1e-5)
    network = book.TwoLayerNet(4, 3, 2)
    assert {w.dtype for w in network.params.values()} == {np.dtype("float32")}
    params = {"w": np.zeros((50, 3))}
    book.Adam().update(params, {"w": np.ones((50, 3), np.float32)})
    np.testing.assert_allclose(params["w"], -0.001, rtol=1e-5)
    with pytest.raises(ValueError, match='dtype must be "float32" or "float64", got'):
        book.set_dtype("half")


def test_one_seed_gives_one_training(capsys, rng):
    centres = rng.standard_normal((3, 20))
    t = rng.integers(0, 3, 400)
    x = centres[t] + 0.5 * rng.standard_normal((400, 20))
    found = []
    for _ in range(2):
        np.random.seed(3)
        network = book.MultiLayerNet(20, [10], 3)
        trainer = book.Trainer(
            network, x[:300], t[:300], x[300:], t[300:], epochs=3, mini_batch_size=30,
            optimizer="adam", optimizer_param={"lr": 0.01}, evaluate_sample_num_per_epoch=50,
        )  # fmt: skip
        trainer.train()
        found.append((trainer.train_loss_list, trainer.test_acc_list))
    assert found[0] == found[1]
    losses, accuracies = found[0]
    assert len(losses) == trainer.current_iter == 30
    assert len(accuracies) == 3
    assert losses[-1] < losses[0] / 3
    assert accuracies[-1] > 0.9
    printed = capsys.readouterr().out
    assert "=== epoch:3, train acc:" in printed
    assert "Final Test Accuracy" in printed
    with pytest.raises(ValueError, match=r"no optimizer 'Adan': did you mean 'adam'\? \(it has"):
        book.Trainer(network, x, t, x, t, optimizer="Adan")


def test_epochs_end_where_a_fraction_divides(rng):
    """300 samples in batches of 128: as in the book, at steps 0, 75, 150 ... of 2.34 an epoch."""
    network = book.MultiLayerNet(4, [3], 2)
    x, t = rng.standard_normal((300, 4)), rng.integers(0, 2, 300)
    trainer = book.Trainer(network, x, t, x, t, 20, 128, verbose=False)
    trainer.train()
    assert trainer.max_iter == 46
    assert len(trainer.test_acc_list) == 1


def test_accuracy_counts_as_the_book_does():
    """Images after the last whole batch count as wrong."""
    network = book.SimpleConvNet((1, 10, 10))
    network.predict = lambda x: np.eye(10)[np.zeros(len(x), int)]
    assert network.accuracy(np.zeros((250, 1, 10, 10)), np.zeros(250, int)) == 0.8


# --- files --------------------------------------------------------------------------------------


def test_parameters_go_through_a_file(tmp_path):
    network, other = book.SimpleConvNet((1, 12, 12)), book.SimpleConvNet((1, 12, 12))
    path = tmp_path / "params.pkl"
    network.save_params(str(path))
    assert pickle.loads(path.read_bytes()).keys() == network.params.keys()
    other.load_params(str(path))
    x = np.random.rand(2, 1, 12, 12)
    np.testing.assert_array_equal(network.predict(x), other.predict(x))
    grads = other.gradient(x, np.array([1, 2]))
    book.SGD().update(other.params, grads)  # they may be changed, and layers see it
    assert other.layers["Affine2"].W is other.params["W3"]
    with pytest.raises(ValueError, match=r"params.pkl has 'W2' of shape \(480, 100\), .* needs"):
        book.SimpleConvNet().load_params(str(path))


def test_mnist(tmp_path, monkeypatch):
    folder = mnist.Path(mnist.datasets.__file__).with_name("data")  # files of the same names
    mnist.look_in(folder)
    (x, t), (xt, tt) = book.load_mnist()
    assert x.shape == (5000, 784)
    assert x.dtype == np.float32
    assert x.max() == 1
    assert tt.shape == (1000,)
    assert tt.dtype == np.uint8
    (x8, rows), _ = book.load_mnist(normalize=False, flatten=False, one_hot_label=True)
    assert x8.shape == (5000, 1, 28, 28)
    assert x8.dtype == np.uint8
    assert rows.shape == (5000, 10)
    assert (rows.argmax(axis=1) == t).all()
    assert rows.dtype == float
    content = dict(zip(mnist.KEYS, (x8.reshape(-1, 784), t, xt[:7], tt[:7]), strict=True))
    (tmp_path / "mnist.pkl").write_bytes(pickle.dumps(content, -1))
    mnist.look_in(tmp_path)
    np.testing.assert_array_equal(book.load_mnist()[0][0], x)
    (tmp_path / "mnist.pkl").unlink()
    monkeypatch.setenv("DEEPFS_DATA", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match=r"load_mnist needs MNIST: put its four files \(tr"):
        book.load_mnist()


# --- steps and speed ----------------------------------------------------------------------------


def test_a_script_stops_after_a_stated_number_of_steps(monkeypatch, capsys):
    monkeypatch.setattr(Settings, "steps", 3)
    monkeypatch.setattr(Settings, "taken", 0)
    network = book.TwoLayerNet(4, 3, 2)
    x, t = np.ones((2, 4)), np.array([0, 1])
    for _ in range(3):
        network.gradient(x, t)
    with pytest.raises(SystemExit) as end:
        network.gradient(x, t)
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith("deepfs.book: stopped after 3 steps (DEEPFS_BOOK_STEPS), ")
    assert "last loss 0.69" in printed


def test_tiny_layers_cost_little():
    """As in a gradient check: 80,000 losses of three samples. No weights are copied."""
    x, t = np.random.rand(3, 50), np.eye(10)[[1, 2, 3]]
    affine = book.Affine(np.random.rand(50, 10), np.zeros(10))
    relu, loss = book.Relu(), book.SoftmaxWithLoss()
    calls = [lambda: affine.forward(x), lambda: relu.forward(x), lambda: loss.forward(x[:, :10], t)]
    for call in calls:
        least = np.inf
        for _ in range(40):
            began = time.perf_counter()
            for _ in range(50):
                call()
            least = min(least, (time.perf_counter() - began) / 50)
        assert least < 50e-6  # 2 to 8 us on a quiet machine; kernels and checks of more would show
