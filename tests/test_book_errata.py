"""Each row of docs/errata.md: where `deepfs.book` differs from the book, and why it may."""

import pickle
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from deepfs import book

PAGE = (Path(__file__).parents[1] / "docs" / "errata.md").read_text("utf-8")
ROWS = re.findall(r"^\| (E\d+) \|", PAGE, re.MULTILINE)


def test_every_row_has_a_test():
    assert [f"E{i}" for i in range(1, len(ROWS) + 1)] == ROWS
    tested = [name.split("_")[1].upper() for name in globals() if re.match(r"test_e\d", name)]
    assert tested == ROWS


def test_e1_pooling_with_padding():
    x = -np.arange(1.0, 17).reshape(1, 1, 4, 4)
    layer = book.Pooling(2, 2, stride=2, pad=1)
    y = layer.forward(x)
    assert y.shape == (1, 1, 3, 3)
    assert y[0, 0].tolist() == [[0, 0, 0], [0, -6, 0], [0, 0, 0]]  # zeros around the image
    dx = layer.backward(np.ones((1, 1, 3, 3)))
    assert dx.sum() == 1 == dx[0, 0, 1, 1]


def test_e2_dropout_backward_after_evaluation():
    layer = book.Dropout(0.25)
    layer.forward(np.ones((2, 3)), train_flg=False)
    np.testing.assert_array_equal(layer.backward(np.ones((2, 3))), np.full((2, 3), 0.75))
    layer.forward(np.ones((2, 3)))
    layer.forward(np.ones((2, 3)), train_flg=False)  # the mask of the training is not used
    np.testing.assert_array_equal(layer.backward(np.ones((2, 3))), np.full((2, 3), 0.75))


def test_e3_batch_norm_backward_after_evaluation(rng):
    x, weight = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    layer = book.BatchNormalization(rng.standard_normal(3), np.zeros(3))
    layer.forward(rng.standard_normal((4, 3)))

    def total(_):
        return (layer.forward(x, train_flg=False) * weight).sum()

    total(x)
    dx = layer.backward(weight)
    dgamma = layer.dgamma
    np.testing.assert_allclose(dx, book.numerical_gradient(total, x), atol=1e-6)
    np.testing.assert_allclose(dgamma, book.numerical_gradient(total, layer.gamma), atol=1e-6)


def test_e4_batch_norm_of_channels(rng):
    x = rng.standard_normal((4, 3, 5, 2))
    layer = book.BatchNormalization(np.ones(3), np.zeros(3))
    y = layer.forward(x)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=(0, 2, 3)), 1, atol=1e-5)
    assert layer.running_mean.shape == (3,)
    assert layer.backward(x**2).shape == x.shape
    with pytest.raises(ValueError, match="an entry for each of 30 features, got shape"):
        book.BatchNormalization(np.ones(4), np.zeros(4)).forward(x)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 4)], ids=str)
def test_e5_relu_leaves_its_gradient_alone(shape, rng):
    x, dout = rng.standard_normal(shape), np.ones(shape)
    layer = book.Relu()
    layer.forward(x)
    dx = layer.backward(dout)
    assert (dout == 1).all()
    np.testing.assert_array_equal(dx, x > 0)


def test_e6_the_loss_multiplies_by_dout(rng):
    layer = book.SoftmaxWithLoss()
    layer.forward(rng.standard_normal((2, 3)), np.array([0, 2]))
    np.testing.assert_allclose(layer.backward(10), 10 * layer.backward(), rtol=1e-15)


def test_e7_labels_in_a_column(rng):
    x, t = rng.standard_normal((3, 4)), np.array([1, 0, 3])
    found = []
    for labels in (t, t[:, None]):
        layer = book.SoftmaxWithLoss()
        found.append((layer.forward(x, labels), layer.backward().tolist()))
    assert found[0] == found[1]
    with pytest.raises(ValueError, match=r"a label for each of 3 rows or one-hot rows \(3, 4\)"):
        layer.forward(x, np.arange(5))
    with pytest.raises(TypeError, match=r"whole numbers .* got t of float64: give t.astype\(int\)"):
        layer.forward(x, t.astype(float))


def test_e8_the_loss_of_one_sample():
    x = np.array([1.0, 2.0, 0.5])
    for t in (np.array(1), np.array([1]), np.array([0.0, 1.0, 0.0])):
        layer = book.SoftmaxWithLoss()
        layer.forward(x, t)
        dx = layer.backward()
        expected = book.numerical_gradient(partial(layer.forward, t=t), x)
        np.testing.assert_allclose(dx, expected, atol=1e-6)


def test_e9_numerical_gradient_of_integers():
    x = np.array([3, 4])
    np.testing.assert_allclose(book.numerical_gradient(lambda v: (v**2).sum(), x), [6, 8])
    rows = book.numerical_gradient_2d(lambda v: (v**2).sum(), np.array([[3, 4], [1, 0]]))
    np.testing.assert_allclose(rows, [[6, 8], [2, 0]], atol=1e-9)
    assert x.tolist() == [3, 4]


def test_e10_numerical_gradient_restores_after_an_error():
    x = np.array([1.0, 2.0])

    def f(v):
        if v[1] != 2:
            raise KeyboardInterrupt
        return v.sum()

    with pytest.raises(KeyboardInterrupt):
        book.numerical_gradient(f, x)
    assert x.tolist() == [1, 2]


@pytest.mark.parametrize("kind", ["Momentum", "Nesterov", "AdaGrad", "RMSprop", "Adam"])
def test_e11_one_optimizer_for_two_networks(kind):
    optimizer = getattr(book, kind)()
    first, second = {"W1": np.ones(2)}, {"W1": np.ones(2), "gamma1": np.ones(3)}
    for params in (first, second):
        optimizer.update(params, {key: np.ones_like(w) for key, w in params.items()})
    assert (second["gamma1"] < 1).all()


@pytest.mark.parametrize("kind", ["AdaGrad", "RMSprop", "Adam"])
def test_e12_optimizers_of_whole_numbers(kind):
    params = {"x": -7}
    getattr(book, kind)(lr=0.1).update(params, {"x": -0.7})
    assert -7 < params["x"] < -5.9


@pytest.mark.parametrize("count", [0, 1, 2, 5, 10, 11, 30])
def test_e13_smooth_curve_of_few_points(count):
    np.testing.assert_allclose(book.smooth_curve(np.full(count, 3.0)), np.full(count, 3.0))


@pytest.mark.parametrize("shape", [(6,), (6, 2, 3), (6, 2), (6, 1, 2, 2)], ids=str)
def test_e14_shuffle_any_number_of_axes(shape):
    x = np.arange(np.prod(shape)).reshape(shape)
    y, t = book.shuffle_dataset(x, np.arange(6))
    np.testing.assert_array_equal(y, x[t])


class Evil:
    def __reduce__(self):
        return print, ("it ran",)


def test_e15_a_pickle_runs_nothing(tmp_path, capsys):
    path = tmp_path / "params.pkl"
    path.write_bytes(pickle.dumps({"W1": Evil()}))
    for read in (book.load_pickle, book.SimpleConvNet((1, 10, 10)).load_params):
        with pytest.raises(ValueError, match="it was not executed: it calls"):
            read(str(path))
    assert capsys.readouterr().out == ""


def test_e16_networks_of_any_size():
    settings = {"filter_num": 4, "filter_size": 5, "pad": 0, "stride": 1}
    network = book.SimpleConvNet((1, 27, 27), settings)
    assert network.predict(np.zeros((2, 1, 27, 27))).shape == (2, 10)
    settings = {"filter_num": 8, "filter_size": 3, "pad": 1, "stride": 1}
    network = book.DeepConvNet((3, 32, 32), conv_param_6=settings)
    assert network.predict(np.zeros((2, 3, 32, 32))).shape == (2, 10)


def test_e17_a_window_that_does_not_fit():
    with pytest.raises(ValueError, match=r"5x5 and pad=0 must fit into the images, got 4x4 pixels"):
        book.Convolution(np.zeros((1, 1, 5, 5)), 0).forward(np.zeros((1, 1, 4, 4)))
    with pytest.raises(ValueError, match=r"Pooling with a window of 3x3 .* got 2x4 pixels"):
        book.Pooling(3, 3).forward(np.zeros((1, 1, 2, 4)))
    with pytest.raises(ValueError, match=r"takes 2 channels, got x of shape \(1, 3, 5, 5\)"):
        book.Convolution(np.zeros((1, 2, 3, 3)), 0).forward(np.zeros((1, 3, 5, 5)))
    with pytest.raises(ValueError, match=r"takes 4 numbers of each sample, got x of shape \(1, 5"):
        book.Affine(np.zeros((4, 2)), np.zeros(2)).forward(np.zeros((1, 5)))


def test_e18_sigmoid_does_not_warn():
    assert book.sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist() == [0, 0.5, 1]
