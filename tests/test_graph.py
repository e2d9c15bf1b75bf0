"""Graph: against the NumPy reference, separate passes and nested containers; forms; parts."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import reference
from deepfs._trees import leaves, map_tree
from deepfs.testing import any_work_on, check_gradient
from graphs import NETWORKS, every_network, inputs_of, siamese, through, two_heads, unet


def separate(graph, x, dys, need_dx=True):
    """Return outputs, gradients of the inputs and of the parameters, by one pass per call.

    Nothing is fused, and sums are formed in the reverse order of the calls.
    """
    values, caches = list(leaves(x)), []
    for number, takes in graph.calls:
        layer = graph.layers[number]
        y, cache = layer.forward(map_tree(values.__getitem__, takes), training=True)
        caches.append((cache, len(values), y))
        values += leaves(y)
    sums = [None] * len(values)

    def add(number, dx):
        sums[number] = dx if sums[number] is None else sums[number] + dx

    for number, dy in zip(leaves(graph.outputs), leaves(dys), strict=True):
        add(number, dy)
    for (number, takes), (cache, first, y) in zip(graph.calls[::-1], caches[::-1], strict=True):
        names = iter(range(first, first + len(list(leaves(y)))))
        dy = map_tree(lambda _: sums[next(names)], y)  # noqa: B023
        dx = graph.layers[number].backward(dy, cache)
        for value, gradient in zip(leaves(takes), leaves(dx), strict=True):
            add(value, gradient)
    outputs = [values[number] for number in leaves(graph.outputs)]
    return outputs, sums[: len(list(leaves(x)))], gradients(graph)


def gradients(layer):
    """Return the gradients of the parameters, and set them to 0."""
    found = {name: p.grad.copy() for name, p in layer.parameters().items()}
    for parameter in layer.parameters().values():
        parameter.grad = np.zeros(parameter.value.shape)
    return found


def at_once(graph, x, dys, need_dx=True):
    """Return the same of the graph itself."""
    y, cache = graph.forward(x, training=True)
    dx = graph.backward(dys, cache, need_dx)
    return list(leaves(y)), list(leaves(dx)) if need_dx else None, gradients(graph)


def random_graph(seed):
    """Return a random graph of layers of images (4, 6, 6), with one to three outputs."""
    rng = np.random.default_rng(seed)
    inputs = [L.Input((4, 6, 6)) for _ in range(rng.integers(1, 3))]
    a, b = L.Input((4, 6, 6)), L.Input((4, 6, 6))
    inner = L.Graph((a, b), (L.ReLU()(L.Conv2D(4, 1)(a)) + b, L.Tanh()(b)))
    shared = [L.Conv2D(4, 3, padding=1), L.ReLU()]
    single = [
        lambda: L.Conv2D(4, 3, padding=1), lambda: L.Conv2D(4, 1), L.BatchNorm, L.BatchNorm,
        L.ReLU, L.ReLU, L.ReLU, L.Tanh, lambda: L.MaxPool2D(3, 1, padding=1),
        lambda: shared[0], lambda: shared[1], lambda: L.Residual(L.Conv2D(4, 3, padding=1)),
        lambda: L.Sequential([L.BatchNorm(), L.ReLU()]),
    ]  # fmt: skip
    values = list(inputs)
    for _ in range(rng.integers(4, 18)):
        near = values[-4:]
        kind = rng.integers(10)

        def pick(near=near):
            return near[rng.integers(len(near))]

        if kind < 6:
            values.append(single[rng.integers(len(single))]()(pick()))
        elif kind < 8:
            values.append(L.Add()([pick() for _ in range(rng.integers(2, 4))]))
        elif kind == 8:
            values.append(L.Conv2D(4, 1)(L.Concat()([pick(), L.Multiply()([pick(), pick()])])))
        else:
            values += inner((pick(), pick()))
    outputs = [values[-1], *(pick() for _ in range(rng.integers(3)))]
    outputs[0] = L.Add()([outputs[0], *inputs, *values[-3:]])
    return L.Graph(tuple(inputs), tuple(outputs))


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_have_the_bits_of_separate_passes(seed):
    dfs.set_seed(seed)
    graph, rng = random_graph(seed), np.random.default_rng(seed)
    dtype = np.float32 if seed % 2 else np.float64
    count = len(list(leaves(graph.inputs)))
    x = [rng.standard_normal((2, 4, 6, 6)).astype(dtype) for _ in range(count)]
    x = x[0] if count == 1 else tuple(x)
    y = graph(x)
    dys = map_tree(lambda a: rng.standard_normal(a.shape).astype(dtype), y)
    wanted = separate(copy.deepcopy(graph), x, dys)
    for layer in (graph, pickle.loads(pickle.dumps(graph))):
        with any_work_on(1 + seed % 3):
            got = at_once(copy.deepcopy(layer), x, dys)
            without = at_once(copy.deepcopy(layer), x, dys, need_dx=False)
        for ours, theirs in zip((*got[0], *got[1]), (*wanted[0], *wanted[1]), strict=True):
            assert_array_equal(ours, theirs)
        assert got[2].keys() == wanted[2].keys()
        for name, gradient in wanted[2].items():
            assert_array_equal(got[2][name], gradient, err_msg=name)
            assert_array_equal(without[2][name], gradient, err_msg=name)
    inferred = [a.copy() for a in leaves(graph(x))]
    for ours, theirs in zip(inferred, leaves(graph.forward(x)[0]), strict=True):
        assert_array_equal(ours, theirs)


def test_matches_the_reference(rng):
    a, b = L.Input((5,)), L.Input((5,))
    h = L.Tanh()(a)
    graph = L.Graph((a, b), (h * b, L.Sigmoid()(h + b)))
    x, dy = rng.standard_normal((2, 3, 5)), rng.standard_normal((2, 3, 5))
    y, cache = graph.forward(tuple(x))
    calls = [
        (np.tanh, [0]), (np.multiply, [2, 1]), (np.add, [2, 1]), (reference.sigmoid, [4]),
    ]  # fmt: skip
    for ours, theirs in zip(y, reference.graph(x, calls, [3, 5]), strict=True):
        assert_allclose(ours, theirs, rtol=1e-14)
    t = np.tanh(x[0])
    back = [
        (lambda dy: [reference.tanh_backward(x[0], dy)], [0]),
        (lambda dy: reference.multiply_backward(dy, (t, x[1])), [2, 1]),
        (lambda dy: reference.add_backward(dy, 2), [2, 1]),
        (lambda dy: [reference.sigmoid_backward(t + x[1], dy)], [4]),
    ]
    wanted = reference.graph_backward(dy, 2, back, [3, 5])
    for ours, theirs in zip(graph.backward(tuple(dy), cache), wanted, strict=True):
        assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


# The same bits as nested containers


def block(filters):
    return [
        L.Conv2D(filters, 3, padding=1), L.BatchNorm(), L.ReLU(), L.Conv2D(filters, 3, padding=1),
        L.BatchNorm(),
    ]  # fmt: skip


def nested_resnet():
    return L.Sequential([
        L.Conv2D(8, 3, padding=1), L.ReLU(), L.Residual(L.Sequential(block(8))), L.ReLU(),
        L.Residual(L.Sequential(block(12)), L.Conv2D(12, 1)), L.ReLU(), L.MaxPool2D(2),
        L.Branches([L.Conv2D(4, 1), L.MaxPool2D(3, 1, 1)]), L.Dense(3),
    ])  # fmt: skip


def resnet_graph():
    x = L.Input((3, 8, 8))
    h = through([L.Conv2D(8, 3, padding=1), L.ReLU()], x)
    h = L.ReLU()(through(block(8), h) + h)
    h = L.ReLU()(L.Add()([through(block(12), h), L.Conv2D(12, 1)(h)]))
    h = L.MaxPool2D(2)(h)
    h = L.Concat()([L.Conv2D(4, 1)(h), L.MaxPool2D(3, 1, 1)(h)])
    return L.Graph(x, L.Dense(3)(h))


@pytest.mark.parametrize("need_dx", [True, False])
def test_bits_of_nested_containers(need_dx, dtype, rng, threads):
    nested, graph = nested_resnet(), resnet_graph()
    x = rng.standard_normal((4, 3, 8, 8)).astype(dtype)
    dy = rng.standard_normal((4, 3)).astype(dtype)
    results = []
    for net in (nested, graph):
        dfs.set_seed(3)
        net.build((3, 8, 8), dtype)
        y, dx, grads = at_once(net, x, dy, need_dx)
        results.append([y[0], *(dx or []), *grads.values(), net(x), *net.buffers().values()])
    assert len(results[0]) == len(results[1])
    for ours, theirs in zip(*results, strict=True):
        assert ours.any()
        assert_array_equal(ours, theirs)


@pytest.mark.parametrize("make", [lambda: [L.ReLU(), L.Conv2D(4, 3)], lambda: [L.ReLU(), L.ReLU()]])
def test_a_chain_that_begins_with_a_relu(make, rng):
    x = L.Input((2, 6, 6))
    graph, chain = L.Graph(x, through(make(), x)), L.Sequential(make())
    value, results = rng.standard_normal((3, 2, 6, 6)), []
    for net in (graph, chain):
        dfs.set_seed(1)
        y, cache = net.forward(value)
        results.append((y, net.backward(np.cos(y), cache)))
    assert_array_equal(results[0][0], results[1][0])
    assert_array_equal(results[0][1], results[1][1])
    assert (results[0][1] == 0).any()


def test_it_fuses_what_nested_containers_fuse(rng):
    graph = resnet_graph()
    calls = []
    for layer in graph.layers:
        forward = layer._forward

        def counted(*args, forward=forward, layer=layer):
            calls.append(layer.label)
            return forward(*args)

        vars(layer)["_forward"] = counted
    graph.forward(rng.standard_normal((4, 3, 8, 8)), training=True)
    assert not [label for label in calls if label.startswith(("ReLU", "Add"))]
    assert len(calls) == sum(not isinstance(layer, (L.ReLU, L.Add)) for layer in graph.layers)


# Networks of the literature


@every_network
def test_gradients_by_finite_differences(make, shapes, rng):
    graph, x = make(), inputs_of(shapes, rng)
    y, cache = graph.forward(x, training=True)
    dy = map_tree(lambda a: rng.standard_normal(a.shape), y)
    dx = graph.backward(dy, cache)
    assert type(dx) is type(x)

    def objective(_):
        y = graph.forward(x, training=True)[0]
        return sum(float(np.vdot(a, b)) for a, b in zip(leaves(y), leaves(dy), strict=True))

    for array, gradient in zip(leaves(x), leaves(dx), strict=True):
        check_gradient(objective, array, gradient)
    for name, gradient in gradients(graph).items():
        check_gradient(objective, graph.parameters()[name].value, gradient, name)


def test_a_shared_tower_has_one_set_of_parameters(rng):
    graph = siamese()
    x = inputs_of(((2, 1, 5, 5),) * 2, rng)
    graph(x)
    assert list(graph.parameters()) == [
        "tower.conv2d_1.weight", "tower.conv2d_1.bias", "tower.dense_1.weight",
        "tower.dense_1.bias",
    ]  # fmt: skip
    assert_array_equal(graph((x[0], x[0])), 0)
    assert_array_equal(graph(x), graph(x[::-1]))


# Forms of inputs and outputs


def test_a_dict_may_come_in_any_order(rng):
    graph = two_heads()
    x = inputs_of(NETWORKS["two heads"][1], rng)
    y = graph(x)
    again = graph(dict(reversed(x.items())))
    assert list(y) == list(again) == ["digit", "size"]
    assert_array_equal(y["digit"], again["digit"])
    assert graph.in_shape == {"image": (1, 5, 5), "age": (2,)}
    assert graph.out_shape(graph.in_shape) == {"digit": (3,), "size": (1,)}
    assert list(graph.parameters())[-4:] == [
        "digit.weight", "digit.bias", "dense_3.weight", "dense_3.bias",
    ]  # fmt: skip


def test_a_list_of_one_is_that_one(rng):
    x = L.Input((4,))
    graph = L.Graph([x], [L.Dense(2)(x)])
    assert graph(np.ones((3, 4))).shape == (3, 2)
    assert graph.in_shape == (4,)


def test_an_input_may_be_an_output_and_an_output_stand_twice(rng):
    x = L.Input((4,))
    h = L.Tanh()(x)
    graph = L.Graph(x, (h, x, h))
    value = rng.standard_normal((3, 4))
    y, cache = graph.forward(value)
    assert_array_equal(y[1], value)
    assert_array_equal(y[0], y[2])
    dy = rng.standard_normal((3, 3, 4))
    wanted = dy[1] + (dy[0] + dy[2]) * (1 - np.tanh(value) ** 2)
    assert_allclose(graph.backward(tuple(dy), cache), wanted, rtol=1e-12)


def test_no_gradient_of_an_output_stands_for_zeros(rng):
    graph = two_heads()
    x = inputs_of(NETWORKS["two heads"][1], rng)
    y, cache = graph.forward(x)
    dy = {"digit": rng.standard_normal((2, 3)), "size": None}
    graph.backward(dy, cache, need_dx=False)
    got = gradients(graph)
    graph.backward({**dy, "size": np.zeros((2, 1))}, cache)
    for name, gradient in gradients(graph).items():
        assert_array_equal(got[name], gradient)


def test_a_graph_may_start_within_another(rng):
    x = L.Input((4,))
    h = L.Dense(3)(x)
    y = L.Dense(2)(h)
    whole, upper = L.Graph(x, y), L.Graph(h, y)
    value = rng.standard_normal((2, 4))
    wanted = whole(value)
    assert_array_equal(upper(whole.layers[0](value)), wanted)


def test_inputs_of_integers_become_float32():
    graph = siamese()
    assert graph((np.ones((2, 1, 5, 5), int), np.ones((2, 1, 5, 5), np.uint8))).dtype == np.float32


# Nesting


def test_it_stands_in_other_containers(rng):
    def inner():
        a = L.Input((4, 6, 6))
        return L.Graph(a, L.ReLU()(L.Conv2D(4, 3, padding=1)(a)) + a)

    net = L.Sequential([
        L.Conv2D(4, 1), L.ReLU(), inner(), L.ReLU(), L.Residual(inner()), L.ReLU(),
        L.Branches([inner(), inner()]), L.Dense(2),
    ])  # fmt: skip
    x = rng.standard_normal((3, 2, 6, 6))
    y, cache = net.forward(x, training=True)
    dy = rng.standard_normal(y.shape)
    dx = net.backward(dy, cache)
    check_gradient(lambda _: float(np.vdot(net.forward(x, True)[0], dy)), x, dx)
    assert "branches_1.graph_2.conv2d_1.weight" in net.parameters()
    assert_array_equal(net(x), y)


def test_a_graph_of_several_in_a_graph(rng):
    heads = two_heads()
    image, age = L.Input((1, 5, 5)), L.Input((2,))
    out = heads({"image": image, "age": L.Tanh()(age)})
    graph = L.Graph((image, age), L.Softmax()(out["digit"]))  # the other head is not used
    x = inputs_of(((2, 1, 5, 5), (2, 2)), rng)
    y, cache = graph.forward(x, training=True)
    dy = rng.standard_normal(y.shape)
    dx = graph.backward(dy, cache)

    def objective(_):
        return float(np.vdot(graph.forward(x, training=True)[0], dy))

    for array, gradient in zip(x, dx, strict=True):
        check_gradient(objective, array, gradient)
    assert not graph.parameters()["graph_1.dense_3.weight"].grad.any()
    assert graph.parameters()["graph_1.digit.weight"].grad.any()


# What learns


def backward_calls(graph, x):
    """Return the layers whose backward runs, and whether each was asked for dx."""
    called = []
    for layer in graph.layers:
        backward = layer._backward

        def counted(dy, cache, need_dx, *end, backward=backward, layer=layer):
            called.append((layer.label, need_dx))
            return backward(dy, cache, need_dx, *end)

        vars(layer)["_backward"] = counted
    y, cache = graph.forward(x, training=True)
    called.clear()
    graph.backward(map_tree(np.ones_like, y), cache, need_dx=False)
    return called


def test_no_gradient_goes_below_what_learns(rng):
    x = L.Input((4,))
    low, side, high = L.Dense(5, name="low"), L.Dense(5, name="side"), L.Dense(2, name="high")
    graph = L.Graph(x, high(L.Tanh()(low(x)) + L.Tanh(name="t")(side(x))))
    value = rng.standard_normal((3, 4))
    graph(value)
    low.freeze()
    assert backward_calls(graph, value) == [
        ('Dense "high"', True), ('Tanh "t"', True), ('Dense "side"', False),
    ]  # fmt: skip
    low.unfreeze()
    assert len(backward_calls(graph, value)) == 5
    graph.freeze()
    assert backward_calls(graph, value) == []
    assert graph.frozen


def test_a_frozen_batch_norm_keeps_its_statistics(rng):
    graph = unet()
    x = rng.standard_normal((2, 2, 8, 8))
    graph.build((2, 8, 8), np.float64)
    graph.named_parts()["batchnorm_1"].freeze()
    before = {name: buffer.copy() for name, buffer in graph.buffers().items()}
    graph.forward(x, training=True)
    moved = {name for name, old in before.items() if (graph.buffers()[name] != old).any()}
    assert moved
    assert not [name for name in moved if name.startswith("batchnorm_1")]


def test_one_sample_is_refused_before_anything_moves(rng):
    x = L.Input((3, 4, 4))
    h = L.GlobalAvgPool2D()(L.BatchNorm()(x))
    graph = L.Graph((x,), L.BatchNorm(name="high")(L.Dense(4)(h)))
    one = rng.standard_normal((1, 3, 4, 4))
    graph(one)
    before = {name: buffer.copy() for name, buffer in graph.buffers().items()}
    for _ in range(2):
        with pytest.raises(ValueError, match='BatchNorm "high"'):
            graph.forward(one, training=True)
    for name, buffer in graph.buffers().items():
        assert_array_equal(buffer, before[name])
    two = siamese()
    two.check_training(((1, 1, 5, 5), (1, 1, 5, 5)))
    with pytest.raises(ValueError, match='BatchNorm "high"'):
        graph.check_training((1, 3, 4, 4))
    graph.check_training((2, 3, 4, 4))


# Settings and parts


def test_a_part_is_replaced(rng):
    graph, x = two_heads(), inputs_of(NETWORKS["two heads"][1], rng)
    graph(x)
    kept = graph.parameters()["digit.weight"]
    old = graph.replace("dense_3", L.Dense(4))
    assert old.units == 1
    assert graph(x)["size"].shape == (2, 4)
    assert graph.parameters()["digit.weight"] is kept
    with pytest.raises(ValueError, match=r"Concat .* must join shapes"):
        graph.replace("flatten_1", L.Identity())
    assert graph(x)["size"].shape == (2, 4)
    graph.layers = [*graph.layers[:-1], L.Dense(2)]
    assert graph(x)["size"].shape == (2, 2)


def test_a_shared_part_is_replaced_wherever_it_is_called(rng):
    graph = siamese()
    graph.replace("tower", L.Dense(3))
    assert_array_equal(graph((np.ones((1, 1, 5, 5)), np.ones((1, 1, 5, 5)))), 0)
    assert list(graph.parameters()) == ["dense_1.weight", "dense_1.bias"]


def test_layers_that_do_not_fit_the_wiring_are_refused(rng):
    heads, x, age = two_heads(), L.Input((1, 5, 5)), L.Input((2,))
    graph = L.Graph((x, age), L.Softmax()(heads({"image": x, "age": age})["digit"]))
    value = inputs_of(((2, 1, 5, 5), (2, 2)), rng)
    y = graph(value)
    with pytest.raises(ValueError, match=r"has a wiring for 2 outputs of Graph .* with 1"):
        graph.replace("graph_1", L.Concat())
    for wrong in (graph.layers[:1], (*graph.layers, L.ReLU()), None, L.ReLU(), [L.ReLU(), 3]):
        with pytest.raises((TypeError, ValueError)):
            graph.layers = wrong
        assert_array_equal(graph(value), y)


@pytest.mark.parametrize("name", ["inputs", "outputs", "calls"])
def test_the_wiring_cannot_change(name):
    graph = siamese()
    with pytest.raises(AttributeError, match=rf"Graph.{name} cannot change: make another Graph"):
        setattr(graph, name, getattr(graph, name))


def test_a_changed_layer_is_fused_anew(rng):
    x = L.Input((3, 6, 6))
    graph = L.Graph(x, L.ReLU()(L.Conv2D(4, 3)(x)))
    value = rng.standard_normal((2, 3, 6, 6))
    before = graph(value)
    graph.replace("relu_1", L.Tanh())
    after = graph(value)
    assert (after < 0).any()
    assert_allclose(np.maximum(after, 0), np.tanh(before), rtol=1e-12, atol=1e-14)


def test_a_long_graph_is_copied_and_pickled(rng):
    x = h = L.Input((4,))
    for _ in range(600):
        h = L.Tanh()(h) + x
    graph = L.Graph(x, h)
    value = rng.standard_normal((2, 4))
    y = graph(value)
    for again in (copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        assert_array_equal(again(value), y)
