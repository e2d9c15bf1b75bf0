"""Graphs against PyTorch in float64: two heads, a siamese pair, a U-Net; skipped where it is not.

All parameters are those of deepfs. Losses must agree to 1e-12 of their size, gradients to 1e-7.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import deepfs as dfs
from test_several import contrastive, siamese, two_heads, unet

torch = pytest.importorskip("torch")
F = torch.nn.functional


def tensors(net):
    """Return the parameters of a network as tensors of PyTorch, by name; matrices transposed."""
    found = {}
    for name, parameter in net.parameters().items():
        value = parameter.value.T if parameter.value.ndim == 2 else parameter.value
        found[name] = torch.tensor(np.ascontiguousarray(value), requires_grad=True)
    return found


def assert_same_gradients(net, theirs):
    for name, parameter in net.parameters().items():
        gradient = theirs[name].grad.numpy()
        wanted = gradient.T if gradient.ndim == 2 else gradient
        scale = max(1.0, abs(wanted).max())
        assert_allclose(parameter.grad, wanted, rtol=0, atol=1e-7 * scale, err_msg=name)


def learned(net, x, loss, y):
    """Return the loss, after the backward pass of deepfs."""
    net.prepare(x)
    net.zero_grad()
    outputs, cache = net.forward(x, training=True)
    value, loss_cache = loss.forward(outputs, y)
    net.backward(loss.backward(loss_cache), cache, need_dx=False)
    return value


def test_two_heads(rng):
    net = two_heads()
    x = {"image": rng.random((7, 1, 8, 8)), "row": rng.random((7, 5))}
    y = {"kind": rng.integers(0, 3, 7), "size": rng.random((7, 1))}
    loss = dfs.losses.get({"kind": "cross_entropy", "size": "mse"})
    value = learned(net, x, loss, y)
    w = tensors(net)
    image, row = torch.tensor(x["image"]), torch.tensor(x["row"])
    h = torch.tanh(F.conv2d(image, w["conv2d_1.weight"], w["conv2d_1.bias"])).flatten(1)
    h = torch.cat([h, row], dim=1)
    h = torch.tanh(F.linear(h, w["dense_1.weight"], w["dense_1.bias"]))
    kind = F.linear(h, w["dense_2.weight"], w["dense_2.bias"])
    size = F.linear(h, w["dense_3.weight"], w["dense_3.bias"])
    total = F.cross_entropy(kind, torch.tensor(y["kind"]))
    total = total + F.mse_loss(size, torch.tensor(y["size"]))
    total.backward()
    assert value == pytest.approx(total.item(), rel=1e-12)
    assert_same_gradients(net, w)


def test_a_siamese_pair(rng):
    net = siamese()
    a, b = rng.normal(size=(2, 9, 6))
    same = (np.arange(9) % 2).astype(float)
    value = learned(net, (a, b), dfs.losses.get(contrastive), same)
    w = tensors(net)
    (hidden, hidden_bias, out, out_bias) = w.values()

    def tower(x):
        return F.linear(torch.tanh(F.linear(torch.tensor(x), hidden, hidden_bias)), out, out_bias)

    difference = tower(a) - tower(b)
    distance = torch.sqrt((difference**2).sum(dim=1) + 1e-12)
    alike = torch.tensor(same)
    terms = alike * distance**2 + (1 - alike) * torch.clamp(1 - distance, min=0) ** 2
    terms.mean().backward()
    assert value == pytest.approx(terms.mean().item(), rel=1e-12)
    assert_same_gradients(net, w)


def test_a_u_net(rng):
    net = unet()
    x = rng.random((3, 1, 8, 8))
    mask = (x[:, 0] > 0.5).astype(int)
    value = learned(net, x, dfs.losses.CrossEntropy(), mask)
    w = tensors(net)

    def conv(x, name, padding=1):
        return F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=padding)

    down = torch.relu(conv(torch.tensor(x), "conv2d_1"))
    deep = torch.relu(conv(F.max_pool2d(down, 2), "conv2d_2"))
    name = next(key for key in w if key.startswith("convtranspose2d")).split(".")[0]
    up = F.conv_transpose2d(deep, w[f"{name}.weight"], w[f"{name}.bias"], stride=2)
    h = torch.relu(conv(torch.cat([down, up], dim=1), "conv2d_3"))
    total = F.cross_entropy(conv(h, "conv2d_4", 0), torch.tensor(mask))
    total.backward()
    assert value == pytest.approx(total.item(), rel=1e-12)
    assert_same_gradients(net, w)
