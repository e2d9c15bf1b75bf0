"""Parts of a network are exchanged: what is there now is trained, or nothing changes."""

import copy
import pickle

import numpy as np
import pytest

import deepfs as dfs
from deepfs import layers as L
from deepfs import losses, optimizers


def data(classes=3):
    x = np.random.default_rng(0).normal(size=(60, 5))
    return x, np.arange(60) % classes


def model(optimizer=None, **options):
    dfs.set_seed(0)
    net = L.Sequential([L.Dense(8), L.ReLU(), L.Dense(3)])
    loss = losses.CrossEntropy()
    return dfs.Model(net, loss, optimizer or optimizers.Adam(0.05), **options)


def test_an_exchanged_head_is_trained():
    (x, y), m = data(), model()
    m.fit(x, y, verbose=0)
    head = L.Dense(3)
    head(np.ones((1, 8)))
    before = head.parameters()["weight"].value.copy()
    m.network.layers = (*m.network.layers[:-1], head)
    m.fit(x, y, epochs=2, verbose=0)
    assert (head.parameters()["weight"].value != before).any()
    for new in (L.Dense(5), L.Dense(7)):  # not built yet
        m.network.layers = (*m.network.layers[:-1], new)
        assert m.predict(x).shape == (60, new.units)
        m.train_on_batch(x, y)
    m.network.layers = m.network.layers[:-1]  # fewer
    m.network.layers = (*m.network.layers, L.Tanh(), L.Dense(3))  # more
    m.train_on_batch(x, y)
    assert m.predict(x).shape == (60, 3)
    assert list(m.network.parameters())[2:] == ["dense_2.weight", "dense_2.bias"]


@pytest.mark.parametrize("new", [L.Tanh, L.ReLU, lambda: L.Dense(8), L.BatchNorm])
@pytest.mark.parametrize("where", [(0, 1), (2, 0), (1, None)])
def test_neighbours_of_an_exchanged_layer(new, where):
    """A ReLU that a neighbour had computed: the network is what one made so would be."""

    def network(*put):
        dfs.set_seed(0)
        first, relu, last = [L.Dense(8), L.Dense(8)], L.ReLU(), [L.ReLU(), L.Dense(3)]
        if put:
            if where[1] is None:
                relu = put[0]
            else:
                (first, None, last)[where[0]][where[1]] = put[0]
        return L.Sequential([L.Sequential(first), relu, L.Sequential(last)])

    (x, y), changed = data(), network()
    m = dfs.Model(changed, losses.CrossEntropy(), optimizers.SGD(0.1))
    m.fit(x, y, verbose=0)
    path = list(changed.named_parts())[where[0]]
    if where[1] is not None:
        path += "." + list(changed.layers[where[0]].named_parts())[where[1]]
    changed.replace(path, new())
    made = network(new())
    made(x)
    for key, parameter in made.parameters().items():
        parameter.value = changed.parameters()[key].value
    other = dfs.Model(made, losses.CrossEntropy(), optimizers.SGD(0.1))
    for _ in range(2):
        assert m.train_on_batch(x, y) == other.train_on_batch(x, y)
    for key, parameter in made.parameters().items():
        np.testing.assert_array_equal(parameter.value, changed.parameters()[key].value)
    np.testing.assert_array_equal(m.predict(x), other.predict(x))


def test_a_refused_part_leaves_no_trace():
    net = L.Sequential([L.Dense(8), L.Sequential([L.ReLU(), L.Dense(3)])])
    net(np.zeros((1, 5)))
    before, inner = dict(vars(net)), dict(vars(net.layers[1]))
    dense, conv = L.Dense(4), L.Conv2D(3, 3)
    attempts = [
        lambda: setattr(net, "layers", (dense, conv)),
        lambda: setattr(net, "layers", (dense, L.Dense(3, dtype="float32"))),
        lambda: setattr(net, "layers", (dense, 5)),
        lambda: setattr(net, "layers", (dense, net)),
        lambda: setattr(net, "layers", ()),
        lambda: setattr(net, "layers", dense),
        lambda: net.replace("dense_1", conv),
        lambda: net.replace("sequential_1.dense_1", conv),
        lambda: net.replace("dense_3", dense),
    ]
    for attempt in attempts:
        with pytest.raises((KeyError, TypeError, ValueError)):
            attempt()
        assert vars(net) == before
        assert vars(net.layers[1]) == inner
        for part in (dense, conv):
            assert part.in_shape is None
            assert part.given_name is None


class Twice(L.Container):
    """A container of one's own, with its part in a plain attribute."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def named_parts(self):
        return {"part": self.part}

    def _out_shape(self, in_shape):
        return self.part.out_shape(in_shape)

    def _forward(self, x, training):
        y, cache = self.part._forward(x, training)
        return 2 * y, cache

    def _backward(self, dy, cache, need_dx):
        return self.part._backward(2 * dy, cache, need_dx)


def test_parts_of_a_container_of_ones_own():
    (x, y), m = data(), model()
    m.network = L.Sequential([Twice(L.Dense(4)), L.Dense(3)])
    m.train_on_batch(x, y)
    twice, old = m.network.layers[0], m.network.layers[0].part
    for exchange in (
        lambda new: setattr(twice, "part", new),
        lambda new: twice.replace("part", new),
        lambda new: m.network.replace("twice_1.part", new),
    ):
        new = L.Dense(4)
        exchange(new)
        assert twice.part is new
        before = new.parameters()["weight"].value.copy()
        m.train_on_batch(x, y)
        assert (new.parameters()["weight"].value != before).any()
    for wrong in (L.Dense(7), L.Conv2D(3, 3)):
        with pytest.raises(ValueError, match="takes"):
            m.network.replace("twice_1.part", wrong)
        assert twice.part is new
        assert wrong.in_shape is None
        assert wrong.given_name is None
    for wrong, name, error in ((5, "twice_1.part", TypeError), (new, "twice_1.x", KeyError),
                               (new, "dense_1.x", KeyError)):  # fmt: skip
        with pytest.raises(error):
            m.network.replace(name, wrong)
    with pytest.raises(ValueError, match="takes"):
        twice.part = L.Conv2D(3, 3)
    assert twice.part is new
    twice.part = old
    m.train_on_batch(x, y)


def test_parts_of_other_containers():
    x = np.zeros((2, 5))
    branches = L.Branches([L.Dense(4), L.Dense(4)])
    branches(x)
    branches.merge = "add"
    assert branches(x).shape == (2, 4)
    branches.merge = "concat"
    branches.parts = (L.Dense(3), *branches.parts)
    assert branches(x).shape == (2, 11)
    branches.merge, before = "concat", branches.parts
    with pytest.raises(ValueError, match="must add equal shapes"):
        branches.merge = "add"
    assert (branches.merge, branches.parts) == ("concat", before)
    residual = L.Residual(L.Dense(5))
    residual(x)
    with pytest.raises(ValueError, match="must add equal shapes"):
        residual.body = L.Dense(4)
    residual.shortcut = L.Dense(5)
    assert list(residual.parameters())[2:] == ["shortcut.weight", "shortcut.bias"]
    residual.shortcut = None
    residual.replace("body", L.Sequential([L.Dense(5), L.Dense(5)]))
    assert residual(x).shape == (2, 5)
    residual.replace("body.dense_1", L.Tanh())
    assert residual(x).shape == (2, 5)


@pytest.mark.parametrize("name", ["storage", "dstorage", "axes"])
def test_arrays_of_a_parameter_are_not_exchanged(name):
    net = L.Sequential([L.Conv2D(2, 3), L.Flatten()])
    net(np.zeros((1, 1, 5, 5)))
    for made in (net, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        weight = made.parameters()["conv2d_1.weight"]
        before = getattr(weight, name)
        with pytest.raises(AttributeError, match=f"Parameter.{name} cannot be exchanged: "):
            setattr(weight, name, copy.copy(before) if name != "axes" else (0, 1, 2, 3))
        assert getattr(weight, name) is before
    weight.storage += 1
    weight.dstorage += 1
    assert (weight.grad == 1).all()


def test_arrays_of_a_layer_and_of_the_optimizer_are_not_exchanged():
    (x, y), m = data(), model()
    m.network.layers = (*m.network.layers, L.BatchNorm())
    m.train_on_batch(x, y)
    dense, *_, norm = m.network.layers
    exchanges = [
        (dense.learned, "weight", L.Parameter(np.zeros((5, 8)))),
        (norm.buffered, "running_mean", np.zeros(7)),
        (m.state, "m", np.zeros(3)),
    ]
    for arrays, name, new in exchanges:
        for found in (arrays, copy.deepcopy(arrays), pickle.loads(pickle.dumps(arrays))):
            before = dict(found)
            with pytest.raises(TypeError, match=f"'{name}' cannot be exchanged: write into"):
                found[name] = new
            with pytest.raises(TypeError, match="no entry can be added or removed"):
                del found[name]
            with pytest.raises(TypeError, match="no entry can be added or removed"):
                found.update({name: new})
            assert all(found[key] is before[key] for key in before)
    norm.buffered["running_mean"] += 1
    m.train_on_batch(x, y)


class Bias(L.Layer):
    def _out_shape(self, in_shape):
        return in_shape

    def _build(self, in_shape, dtype):
        self.learned = {"b": L.Parameter(np.zeros(in_shape, dtype))}
        self.learned["c"] = L.Parameter(np.zeros(in_shape, dtype))

    def _forward(self, x, training):
        return x + self.learned["b"].storage, None

    def _backward(self, dy, cache, need_dx):
        self.learned["b"].dstorage += dy.sum(axis=0)
        return dy.copy()

    def forget(self):
        self.learned = {}


def test_arrays_of_a_layer_of_ones_own():
    layer = Bias()
    layer(np.zeros((1, 2)))
    assert list(layer.parameters()) == ["b", "c"]
    for assign in (layer.forget, lambda: setattr(layer, "learned", {})):
        with pytest.raises(AttributeError, match=r"Bias\.learned cannot be assigned: write into"):
            assign()
    with pytest.raises(TypeError, match="'b' cannot be exchanged"):
        layer.learned["b"] = L.Parameter(np.zeros(2))
