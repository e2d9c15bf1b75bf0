"""Saliency, Grad-CAM and gradients of layers, against finite differences and NumPy."""

import copy

import numpy as np
import pytest

import deepfs as dfs
from deepfs import layers as L
from deepfs.data.batches import Batch
from deepfs.inspection.attribution import default_layer, grad_cam, saliency
from deepfs.inspection.inner import Watched, parts_of
from deepfs.inspection.loss_gradients import loss_gradients


def net_of(end=None, classes=3):
    """A network with most of what could go wrong, in float64, with running statistics."""
    net = L.Sequential(
        [
            L.Conv2D(4, 3, padding=1),
            L.BatchNorm(),
            L.Tanh(),
            L.Residual([L.Conv2D(4, 3, padding=1), L.Dropout(0.5)]),
            L.Tanh(),
            L.AvgPool2D(2),
            L.Flatten(),
            L.Dense(classes),
            *([end] if end else []),
        ],
        dtype="float64",
    )
    net.forward(np.random.default_rng(1).normal(1, 2, (20, 2, 6, 6)), training=True)
    return net


@pytest.fixture
def x(rng):
    return rng.normal(0, 1, (3, 2, 6, 6))


def slopes(score, x, eps=1e-6):
    """Return the derivative of each sample's score by finite differences."""
    found = np.zeros_like(x)
    for place in np.ndindex(*x.shape[1:]):
        step = np.zeros(x.shape[1:])
        step[place] = eps
        found[(slice(None), *place)] = (score(x + step) - score(x - step)) / (2 * eps)
    return found


@pytest.mark.parametrize("end", [None, L.Softmax()])
def test_saliency_is_the_slope_of_the_logit(x, end):
    net = net_of(end)
    logits = net[:-1] if end else net
    target = [2, 0, 1]
    wanted = slopes(lambda z: logits(z)[range(3), target], x)
    maps, classes = saliency(net, x, target)
    np.testing.assert_allclose(maps, np.abs(wanted).max(axis=1), atol=1e-7)
    assert classes.tolist() == target


def test_saliency_of_the_predicted_class_by_default(x):
    net = net_of()
    predicted = net(x).argmax(axis=1)
    maps, classes = saliency(net, x)
    assert classes.tolist() == predicted.tolist()
    np.testing.assert_array_equal(maps, saliency(net, x, predicted)[0])


def test_one_output_has_two_classes(x):
    net = net_of(classes=1)
    assert saliency(net, x)[1].tolist() == (net(x)[:, 0] > 0).tolist()
    np.testing.assert_array_equal(saliency(net, x, 0)[0], saliency(net, x, 1)[0])
    heat = [grad_cam(net, x, k, "tanh_2")[0] for k in (0, 1)]
    assert (np.minimum(*heat) == 0).all()  # of a number and its negative, one is at most 0
    assert all(h.any() for h in heat)


def test_a_map_of_classes_adds_up(x):
    net = L.Sequential([L.Conv2D(3, 3), L.Tanh(), L.Conv2D(2, 1)], dtype="float64")
    net(x)
    wanted = slopes(lambda z: net(z)[:, 1].sum(axis=(1, 2)), x)
    np.testing.assert_allclose(saliency(net, x, 1)[0], np.abs(wanted).max(axis=1), atol=1e-7)


@pytest.mark.parametrize("layer", ["tanh_1", "residual_1", "conv2d_1", "residual_1.body.conv2d_1"])
def test_grad_cam_is_the_formula(x, layer):
    """Slopes of the score in the layer's output by finite differences, put in at its place."""
    net = net_of()
    target = 1
    heat, _ = grad_cam(net, x, target, layer)
    maps = output_at(net, layer, x)
    slope = slopes(lambda a: after(net, layer, x, a)[:, target], maps)
    alpha = slope.mean(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(heat, np.maximum((alpha * maps).sum(axis=1), 0), atol=1e-7)


def output_at(net, layer, x):
    return Watched(net, [layer])(x)[layer]


def after(net, layer, x, a):
    """Return what the network gives if a layer returns ``a``."""
    copied = copy.deepcopy(net)
    for part in parts_of(copied).values():
        vars(part)["fuses_forward"] = frozenset()
    parts = parts_of(copied)[layer]
    vars(parts).update(_infer=lambda *args: a, _forward=lambda *args: (a, None))
    return copied(x)


def test_grad_cam_sees_through_a_fused_relu(rng):
    net = L.Sequential([L.Conv2D(4, 3), L.ReLU(), L.GlobalAvgPool2D(), L.Dense(3)])
    x = rng.normal(0, 1, (2, 1, 8, 8)).astype(np.float32)
    net(x)
    maps = np.maximum(output_at(net, "conv2d_1", x), 0)
    alpha = net.parameters()["dense_1.weight"].value[:, 2] / 36
    wanted = np.maximum(np.einsum("k,nkij->nij", alpha, maps), 0)
    np.testing.assert_allclose(grad_cam(net, x, 2)[0], wanted, atol=1e-6)
    assert default_layer(net) == "relu_1"


def test_the_default_layer():
    x = np.zeros((1, 3, 32, 32), np.float32)
    resnet, lenet = dfs.networks.resnet20(), dfs.networks.simple_convnet()
    resnet(x), lenet(np.zeros((1, 1, 28, 28)))
    assert default_layer(resnet) == "relu_10"
    assert default_layer(lenet) == "relu_1"
    dense = dfs.networks.mlp()
    dense(x)
    with pytest.raises(ValueError, match="no convolution of images: give the name of a layer"):
        default_layer(dense)


def test_the_network_does_not_change(x):
    net = net_of()
    arrays = [p.storage for p in net.parameters().values()] + list(net.buffers().values())
    gradients = [p.dstorage for p in net.parameters().values()]
    before = [a.copy() for a in arrays + gradients]
    saliency(net, x)
    grad_cam(net, x)
    for now, then in zip(arrays + gradients, before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_what_they_refuse(x):
    net = net_of()
    with pytest.raises(KeyError, match="no layer 'tanh1': did you mean 'tanh_1'"):
        grad_cam(net, x, layer="tanh1")
    with pytest.raises(TypeError, match="takes the name of a layer, got 3"):
        grad_cam(net, x, layer=3)
    with pytest.raises(ValueError, match=r"output is \(n, c, h, w\), got 'dense_1' with \(3, 3\)"):
        grad_cam(net, x, layer="dense_1")
    with pytest.raises(ValueError, match="target must be at most 2, got 3"):
        saliency(net, x, 3)
    with pytest.raises(TypeError, match="target must be an int"):
        saliency(net, x, 1.5)
    with pytest.raises(ValueError, match="one for each of 3 images, got 2"):
        saliency(net, x, [0, 1])
    with pytest.raises(ValueError, match=r"takes images \(n, c, h, w\), got \(2, 6, 6\)"):
        saliency(net, x[0])
    with pytest.raises(ValueError, match="NaN or infinity"):
        saliency(net, x * np.nan)
    with pytest.raises(RuntimeError, match="no weights yet: call fit"):
        saliency(L.Dense(3), x)
    tanh = L.Tanh()
    twice = L.Sequential([L.Conv2D(2, 1), tanh, L.Conv2D(2, 1), L.Sequential([tanh]), L.Dense(2)])
    twice(x)
    with pytest.raises(ValueError, match="a layer that runs once, got 'tanh_1'"):
        grad_cam(twice, x, layer="tanh_1")


@pytest.mark.parametrize("of", ["weights", "outputs"])
def test_gradients_of_layers_are_those_of_a_step(data, of):
    x, y = data
    net = L.Sequential([L.Conv2D(3, 3), L.BatchNorm(), L.Tanh(), L.Dense(3)], dtype="float64")
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.5))
    model.predict(x)
    before = {name: p.value.copy() for name, p in net.parameters().items()}
    state = {name: b.copy() for name, b in net.buffers().items()}
    found = loss_gradients(model.trainer, Batch(x.astype(float), y), ["conv2d_1", "dense_1"], of)
    for name, buffer in net.buffers().items():
        np.testing.assert_array_equal(buffer, state[name])
    if of == "outputs":
        p = np.exp(logits := trained_output(net, x))
        p /= p.sum(axis=1, keepdims=True)
        assert logits.shape == (90, 3)
        np.testing.assert_allclose(found["dense_1"][0], (p - np.eye(3)[y]) / 90, atol=1e-12)
        assert found["conv2d_1"][0].shape == (90, 3, 7, 7)
        return
    model.train_on_batch(x.astype(float), y)
    for layer in ("conv2d_1", "dense_1"):
        for key, gradient in zip(("weight", "bias"), found[layer], strict=True):
            name = f"{layer}.{key}"
            moved = (before[name] - net.parameters()[name].value) / 0.5
            np.testing.assert_allclose(gradient, moved, atol=1e-12)


def trained_output(net, x):
    return copy.deepcopy(net).forward(x.astype(float), training=True)[0]
