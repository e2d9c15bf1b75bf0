"""What is frozen stays as it is, to the bit; the rest trains as if it were constant."""

import copy
from dataclasses import dataclass

import numpy as np
import pytest

import deepfs as dfs
from cnn_core import batch_norm, conv, dense
from deepfs import layers as L
from deepfs.callbacks import SWA, Callback, update_bn
from deepfs.optimizers import SGD, Adam, Group


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 2, 6, 6)).astype("float32"), np.arange(40) % 3


def network(affine=True, dropout=True):
    dfs.set_seed(0)
    body = [L.Conv2D(4, 3, padding=1), L.BatchNorm(affine=affine), L.ReLU(),
            L.Residual(L.Sequential([L.Conv2D(4, 3, padding=1), L.BatchNorm(affine=affine)])),
            L.MaxPool2D(2)]  # fmt: skip
    drop = [L.Dropout(0.5)] if dropout else []
    return L.Sequential([L.Sequential(body, name="body"), *drop, L.Dense(3, name="head")])


def model(net, optimizer=None, **options):
    return dfs.Model(net, dfs.losses.CrossEntropy(), optimizer or Adam(0.05), **options)


def bits(net):
    """Return all parameters and buffers, as bytes."""
    found = {name: p.value.tobytes() for name, p in net.parameters().items()}
    return found | {name: buffer.tobytes() for name, buffer in net.buffers().items()}


def names_of(net, start):
    return {name for name in (*net.parameters(), *net.buffers()) if name.startswith(start)}


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("how", ["freeze", "layers", "group"])
def test_a_wholly_frozen_network_has_the_same_bits(affine, how):
    x, y = data()
    net = network(affine)
    net(x)
    for name in names_of(net, "body"):
        if "running" in name:  # as if it had been trained
            buffer = net.buffers()[name]
            buffer += np.random.default_rng(1).random(buffer.shape)
    before = bits(net)
    groups = [Group("*", frozen=True)] if how == "group" else []
    if how == "freeze":
        net.freeze()
        assert net.frozen
    elif how == "layers":
        net.layers[0].freeze()
        net.layers[2].frozen = True
        assert net.layers[0].frozen
    m = model(net, Adam(0.05, weight_decay=0.1, clip_norm=1.0, groups=groups))
    history = m.fit(x, y, batch_size=16, epochs=20, verbose=0, validation_data=(x, y))
    assert bits(net) == before
    np.testing.assert_allclose(history["loss"], history["val_loss"], 1e-5)
    net.unfreeze()
    m.optimizer.groups = ()
    m.fit(x, y, batch_size=16, verbose=0)
    after = bits(net)
    assert all(after[name] != before[name] for name in names_of(net, "body"))


@pytest.mark.parametrize("how", ["freeze", "group"])
@pytest.mark.parametrize("affine", [True, False])
def test_a_frozen_part_stays_and_the_rest_trains(how, affine):
    """The head learns what it learns on outputs of the body that are computed once."""
    x, y = data()
    net = network(affine, dropout=False)
    net(x)
    body = net.layers[0]
    before, head = bits(body), copy.deepcopy(net.layers[-1])
    groups = [Group("body.*", frozen=True)] if how == "group" else []
    if how == "freeze":
        body.freeze()
    m = model(net, Adam(0.05, groups=groups))
    m.fit(x, y, batch_size=16, epochs=3, verbose=0, shuffle=False)
    assert bits(body) == before
    alone = model(head, Adam(0.05))
    alone.fit(body(x), y, batch_size=16, epochs=3, verbose=0, shuffle=False)
    assert bits(head) == bits(net.layers[-1])


def test_no_gradients_below_the_lowest_layer_that_learns():
    x, _ = data()
    net = network(dropout=False)
    net(x)
    body = net.layers[0]
    body.layers[0].freeze()  # ReLU and pooling of the container are not frozen
    body.layers[1].freeze()
    calls = []
    for layer in body.layers:

        def noted(*arguments, hook=layer._backward, layer=layer):
            calls.append(layer)
            return hook(*arguments)

        vars(layer)["_backward"] = noted

    def backward():
        calls.clear()
        y, cache = net.forward(x, training=True)
        assert net.backward(np.ones_like(y), cache, need_dx=False) is None
        return calls

    assert body.layers[0] not in backward()
    assert body.layers[3] in calls
    body.layers[3].freeze()
    assert not backward()
    body.layers[3].unfreeze()
    assert body.layers[3] in backward()
    dx = net.backward(np.ones((40, 3)), net.forward(x, training=True)[1])
    assert dx.shape == x.shape  # whoever wants it gets it


def chain(width):
    return [L.Conv2D(width, 3, padding=1), L.BatchNorm(), L.ReLU(), L.Conv2D(width, 3, padding=1)]


def as_graph():
    x = L.Input((2, 6, 6))
    y = L.Conv2D(4, 3, padding=1)(x)
    for layer in chain(4):
        y = layer(y)
    return L.Graph(x, y)


CONTAINERS = {
    "sequential": lambda: L.Sequential([L.Conv2D(4, 1), *chain(4)]),
    "residual": lambda: L.Sequential([L.Conv2D(4, 1), L.Residual(chain(4), L.Conv2D(4, 1))]),
    "residual of a layer": lambda: L.Residual(L.Conv2D(4, 3, padding=1), L.Conv2D(4, 1)),
    "branches": lambda: L.Branches([chain(4), L.Conv2D(4, 1), L.BatchNorm()], "concat"),
    "graph": as_graph,
}


@pytest.fixture
def gradients(monkeypatch):
    """Return a list to which each call of a kernel's backward pass adds its name."""
    called = []

    def note(module, name):
        kernel = getattr(module, name)

        def noted(*arguments, **options):
            called.append(name)
            return kernel(*arguments, **options)

        monkeypatch.setattr(module, name, noted)

    for module in (conv, dense, batch_norm):
        for name in [name for name in dir(module) if "backward" in name]:
            note(module, name)
    return called


@pytest.mark.parametrize("how", ["freeze", "group"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_frozen_container_runs_no_backward_kernel(container, how, gradients):
    x, y = data()
    net = L.Sequential([CONTAINERS[container](), L.Flatten(), L.Dense(3, name="head")])
    body = net.layers[0]
    m = model(net, Adam(groups=[Group("[!h]*", frozen=True)] if how == "group" else []))
    m.predict(x[:4])
    if how == "freeze":
        body.freeze()
    m.train_on_batch(x, y)
    assert gradients == ["dense_backward"]
    gradients.clear()
    dx = net.backward(np.ones((40, 3)), net.forward(x, training=True)[1])
    assert dx.shape == x.shape  # whoever wants it gets it, through frozen layers as well
    assert "conv2d_backward_input" in gradients
    assert ("conv2d_backward_weight" in gradients) == (how == "group")  # only the step holds them
    for parameter in body.parameters().values():
        assert parameter.frozen == (how == "freeze")


@pytest.mark.parametrize("how", ["freeze", "group"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_frozen_layers_above_pass_gradients_on_and_compute_none(container, how, gradients):
    """The layers below learn the same as if those above had computed gradients of their own."""
    x, y = data()
    dfs.set_seed(0)
    net = L.Sequential([L.Conv2D(2, 1, name="low"), CONTAINERS[container](), L.GlobalAvgPool2D(),
                        L.Dense(3)])  # fmt: skip
    m = model(net, SGD(1.0, groups=[Group("[!l]*", frozen=True)] if how == "group" else []))
    m.predict(x[:4])
    low = net.layers[0].parameters()["weight"]
    net.layers[1].freeze()
    outputs, cache = net.forward(x, training=True)  # norms use their running statistics
    net.layers[1].unfreeze()
    net.backward(m.loss.backward(m.loss.forward(outputs, y)[1]), cache, need_dx=False)
    assert gradients.count("conv2d_backward_weight") > 1
    wanted = low.value - low.grad
    for parameter in net.parameters().values():
        parameter.grad = np.zeros(parameter.shape)
    for layer in net.layers[1:] if how == "freeze" else ():
        layer.freeze()
    gradients.clear()
    m.train_on_batch(x, y)
    assert gradients.count("conv2d_backward_weight") == 1
    np.testing.assert_array_equal(low.value, wanted)


def test_layers_frozen_before_they_are_built():
    x, y = data()
    net = network()
    net.layers[0].freeze()
    assert not net.frozen
    assert net.layers[0].frozen
    m = model(net)
    m.predict(x)
    before = bits(net.layers[0])
    m.fit(x, y, verbose=0)
    assert bits(net.layers[0]) == before
    assert all(p.frozen for p in net.layers[0].parameters().values())
    for wrong in (1, "yes", None):
        with pytest.raises(TypeError, match="frozen must be True or False"):
            net.frozen = wrong
        with pytest.raises(TypeError, match="frozen must be True or False"):
            net.layers[-1].frozen = wrong


@pytest.mark.parametrize("affine", [True, False])
def test_a_fixed_norm_uses_and_keeps_its_statistics(affine):
    x = np.random.default_rng(0).normal(3, 2, (6, 3, 4, 5))
    norm = L.BatchNorm(affine=affine, statistics="fixed")
    norm(x)
    norm.buffers()["running_mean"][...] = [1, 2, 3]
    norm.buffers()["running_var"][...] = [4, 5, 6]
    before = bits(norm)
    np.testing.assert_array_equal(norm.forward(x, training=True)[0], norm(x))
    norm.forward(x[:1, :, :1, :1], training=True)  # one value per channel: none is needed
    assert bits(norm) == before
    y, cache = norm.forward(x, training=True)
    dx = norm.backward(np.ones_like(y), cache)
    gamma = norm.parameters()["gamma"].value if affine else 1
    scale = gamma / np.sqrt(norm.buffers()["running_var"] + norm.eps)
    np.testing.assert_allclose(dx, np.broadcast_to(scale.reshape(1, 3, 1, 1), x.shape))
    norm.statistics = "moving"
    norm.forward(x, training=True)
    assert bits(norm) != before


def test_models_that_share_layers_do_not_disturb_each_other():
    """A model that freezes shared layers by a group leaves them to the one that trains them."""
    x, y = data()
    net = network(dropout=False)
    frozen = model(net, SGD(0.1, groups=[Group("body.*", frozen=True)]))
    train = model(net, SGD(0.1))
    train.train_on_batch(x, y)
    copied = copy.deepcopy(train)
    before = bits(net.layers[0])
    frozen.train_on_batch(x, y)
    assert bits(net.layers[0]) == before
    for name, parameter in copied.network.parameters().items():
        parameter.value = net.parameters()[name].value
    for _ in range(2):
        train.train_on_batch(x, y)
        copied.train_on_batch(x, y)
    assert bits(net) == bits(copied.network)
    with pytest.raises(ValueError, match="label"):
        frozen.train_on_batch(x, y + 7)
    assert not net.layers[0].layers[1].fixed  # also after an error


def test_a_group_names_buffers_of_norms_without_parameters():
    x, y = data()
    net = network(affine=False)
    m = model(net, SGD(0.1, groups=[Group("body.batchnorm_1.*", frozen=True)]))
    m.predict(x)
    before = bits(net)
    m.train_on_batch(x, y)
    moved = {name for name, value in bits(net).items() if value != before[name]}
    assert not any(name.startswith("body.batchnorm_1") for name in moved)
    assert "body.residual_1.body.batchnorm_1.running_mean" in moved


def test_a_group_that_freezes_half_a_norm_lets_it_move():
    x, y = data()
    net = network()
    m = model(net, SGD(0.1, groups=[Group("*.gamma", frozen=True)]))
    m.predict(x)
    before = bits(net)
    m.train_on_batch(x, y)
    after = bits(net)
    for name in names_of(net, "body.batchnorm_1"):
        assert (after[name] == before[name]) == name.endswith("gamma"), name


def test_freezing_in_mid_training():
    class Freeze(Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 0:
                self.model.network.layers[0].freeze()
                self.before = bits(self.model.network.layers[0])

    (x, y), net, callback = data(), network(), Freeze()
    m = model(net)
    m.fit(x, y, epochs=3, verbose=0, callbacks=[callback])
    assert bits(net.layers[0]) == callback.before
    net.unfreeze()
    m.fit(x, y, verbose=0)
    assert bits(net.layers[0]) != callback.before


def test_files_keep_what_is_frozen(tmp_path):
    x, y = data()
    net = network(affine=False)
    net.layers[0].layers[0].freeze()
    net.layers[0].layers[1].freeze()
    m = model(net)
    m.fit(x, y, verbose=0)
    m.save(tmp_path / "m.safetensors")
    loaded = dfs.load(tmp_path / "m.safetensors")
    body = loaded.network.layers[0]
    assert [layer.frozen for layer in body.layers] == [True, True, False, False, False]
    for _ in range(2):
        m.train_on_batch(x, y)
        loaded.train_on_batch(x, y)
    assert bits(net) == bits(loaded.network)
    again = copy.deepcopy(m)
    assert again.network.layers[0].layers[1].frozen


def test_another_frozen_set_is_another_run(tmp_path):
    def run(freeze, epochs):
        net = network()
        if freeze:
            net.layers[0].freeze()
        m = model(net)
        m.fit(*data(), epochs=epochs, verbose=0, checkpoint=tmp_path, resume=epochs > 1)
        return bits(net)

    run(True, 1)
    with pytest.raises(dfs.CheckpointError, match="frozen is"):
        run(False, 2)
    resumed = run(True, 3)
    for path in tmp_path.iterdir():
        path.unlink()
    run(True, 1)
    run(True, 2)
    assert run(True, 3) == resumed


@pytest.mark.parametrize("how", ["freeze", "fixed", "group"])
def test_averages_leave_frozen_norms_alone(how):
    x, y = data()
    net = network()
    norms = net.layers[0].layers[1], net.layers[0].layers[3].body.layers[1]
    groups = [Group("*batchnorm*", frozen=True)] if how == "group" else []
    for norm in norms:
        if how == "freeze":
            norm.freeze()
        elif how == "fixed":
            norm.statistics = "fixed"
    m, average = model(net, Adam(0.05, groups=groups)), SWA(0)
    m.predict(x)
    before = [norm.buffers()["running_mean"].copy() for norm in norms]
    m.fit(x, y, epochs=2, verbose=0, callbacks=[average], validation_data=(x, y))
    average.apply()
    if how != "group":
        update_bn(net, x)
    for norm, mean in zip(norms, before, strict=True):
        np.testing.assert_array_equal(norm.buffers()["running_mean"], mean)
        assert norm.buffers()["batches"] == 0


def test_scaled_learning_rates():
    """A scale of a half is a step of half the length."""
    x, y = data()
    moved = {}
    for scale in (1.0, 0.5):
        net = network(dropout=False)
        m = model(net, SGD(0.5, groups=[Group("body.*", lr_scale=scale)]))
        m.predict(x)
        before = {name: p.value.copy() for name, p in net.parameters().items()}
        m.train_on_batch(x, y)
        moved[scale] = {name: p.value - before[name] for name, p in net.parameters().items()}
    for name, step in moved[1.0].items():
        factor = 0.5 if name.startswith("body") else 1.0
        np.testing.assert_allclose(moved[0.5][name], factor * step, rtol=1e-3, atol=1e-6)


@dataclass(eq=False)
class Center(L.Layer):
    """A layer of one's own with a buffer, as in docs/add_a_layer.md, and parameters or none."""

    learns: bool = False

    def _out_shape(self, in_shape):
        return in_shape

    def _build(self, in_shape, dtype):
        self.add_buffer("mean", in_shape, dtype)
        if self.learns:
            self.add_parameter("shift", in_shape, dtype)

    def _forward(self, x, training):
        mean = self.buffered["mean"]
        if training and not self.fixed:
            mean += 0.1 * (x.mean(axis=0) - mean)
        y = x - mean
        return (y + self.learned["shift"].storage if self.learns else y), None

    def _backward(self, dy, cache, need_dx):
        if self.learns:
            self.learned["shift"].dstorage += dy.sum(axis=0)
        return dy.copy()


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("how", ["freeze", "group", "names", "later"])
def test_a_frozen_layer_of_ones_own_keeps_its_buffers(how, learns):
    x, y = data()
    center, dropout = Center(learns), L.Dropout(0.5)
    net = L.Sequential([L.Flatten(), center, dropout, L.Dense(3)])
    names = {"group": ["*"], "names": ["center_1.*"], "later": ["*", "center_1.*"]}.get(how, [])
    groups = [Group(name, frozen=True) for name in names]
    if how == "later":  # the last group counts
        groups[0].frozen, groups[1].frozen = True, False
    elif how == "group":
        groups.append(Group("dense_1.*", frozen=False))
    m = model(net, SGD(0.1, groups=groups))
    m.predict(x)
    if how == "freeze":
        center.freeze()
    before, calls = bits(center), dropout.buffers()["calls"].copy()
    m.train_on_batch(x, y)
    if how == "later" and not learns:  # nothing learns: the step runs as in inference
        return
    assert (bits(center) == before) == (how != "later")
    assert (dropout.buffers()["calls"] == calls + 1).all()
    assert center.fixed == (how == "freeze")  # a group is a matter of one model
    model(net, SGD(0.1)).train_on_batch(x, y)
    assert (bits(center) == before) == (how == "freeze")
