"""`deepfs.use_reference`: networks run through the NumPy references."""

import pickle
import sys
import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import reference
from deepfs._twins.table import TWINS
from every_layer import every_layer, spread


def run(layer, x, training, seed=0):
    """Return outputs, dx and gradients of a pass forward and backward, and buffers after it."""
    y, cache = layer.forward(x, training)
    layer.zero_grad()
    dx = layer.backward(spread(y.shape, seed), cache)
    found = {"y": y, "dx": dx}
    found |= {name: p.grad.copy() for name, p in layer.parameters().items()}
    found |= {name: b.copy() for name, b in layer.buffers().items()}
    return found


def both(layer, x, training):
    """Return what kernels and references compute from the same state."""
    layer(x)
    state = pickle.dumps(layer)
    kernels = run(pickle.loads(state), x, training)
    with dfs.use_reference():
        return kernels, run(pickle.loads(state), x, training)


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@every_layer
def test_references_agree_with_kernels(make, shape, training):
    for dtype, tolerance in ((np.float64, 1e-11), (np.float32, 2e-4)):
        kernels, formulas = both(make(), spread(shape).astype(dtype), training)
        assert kernels.keys() == formulas.keys()
        for name, kernel in kernels.items():
            assert formulas[name].dtype == kernel.dtype, name
            if np.issubdtype(kernel.dtype, np.integer):
                assert_array_equal(formulas[name], kernel, err_msg=name)
            rough = isinstance(make(), L.GaussianNoise)  # its kernel draws in float32
            near = max(tolerance, 1e-6) if rough else tolerance
            scale = max(1.0, float(abs(kernel).max(initial=0)))
            assert_allclose(formulas[name], kernel, rtol=near, atol=scale * near, err_msg=name)


def test_every_layer_has_a_twin():
    kinds = {getattr(L, name) for name in L.__all__}
    public = {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, L.Layer)}
    assert public - {L.Layer, L.Container} == set(TWINS)


@every_layer
def test_a_debugger_steps_through_references(make, shape):
    layer, x = make(), spread(shape)
    layer(x)
    seen = set()

    def trace(frame, event, argument):
        seen.add(frame.f_code.co_filename.replace("\\", "/"))

    with dfs.use_reference():
        sys.setprofile(trace)
        try:
            y, cache = layer.forward(x, training=True)
            layer.backward(y, cache)
        finally:
            sys.setprofile(None)
    assert any("/deepfs/reference/" in name for name in seen)


def small():
    return L.Sequential([L.Conv2D(3, 3), L.BatchNorm(), L.ReLU(), L.MaxPool2D(), L.Dense(3)])


IMAGES = spread((4, 2, 8, 8))
NAMES = ("conv2d_1", "relu_1", "maxpool2d_1", "dense_1")


def test_training_is_the_same_training():
    losses = {}
    for formulas in (False, True):
        dfs.set_seed(0)
        net = L.Sequential([*small().layers, L.Dropout(0.3), L.Dense(3)])
        model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(0.01), seed=0)
        labels = np.arange(4) % 3
        if formulas:
            with dfs.use_reference():
                losses[formulas] = [model.train_on_batch(IMAGES, labels)["loss"] for _ in range(4)]
        else:
            losses[formulas] = [model.train_on_batch(IMAGES, labels)["loss"] for _ in range(4)]
        losses[formulas].append(float(model.predict(IMAGES).sum()))
    assert_allclose(losses[True], losses[False], rtol=1e-7)


def test_outputs_of_inner_layers_are_those_of_references():
    model = dfs.Model(small(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.1))
    kernels = model.outputs_of(IMAGES, NAMES)
    with dfs.use_reference():
        formulas = model.outputs_of(IMAGES, NAMES)
    assert kernels.keys() == formulas.keys()
    for name, value in kernels.items():
        assert_allclose(formulas[name], value, rtol=1e-10, atol=1e-12)


def test_several_inputs_and_outputs():
    a, b = L.Input((5,), "a"), L.Input((4,), "b")
    h = L.Concat()([L.Dense(3)(a), b])
    net = L.Graph({"a": a, "b": b}, {"y": L.Dense(2)(h), "z": L.Tanh()(h)})
    x = {"a": spread((3, 5)), "b": spread((3, 4), 1)}
    dy = {"y": spread((3, 2)), "z": None}
    found = []
    net(x)
    for formulas in (False, True):
        context = dfs.use_reference() if formulas else dfs.threads(1)
        with context:
            y, cache = net.forward(x, training=True)
            net.zero_grad()
            dx = net.backward(dy, cache)
            net.backward(dy, cache, need_dx=False)
        grads = [p.grad.copy() for p in net.parameters().values()]
        found.append([*y.values(), *dx.values(), *grads])
    for kernel, formula in zip(*found, strict=True):
        assert_allclose(formula, kernel, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["sequential", "residual", "branches", "branches added", "graph"])
def test_frozen_layers_get_the_gradients_that_kernels_give_them(kind):
    def make():
        first = L.Dense(4, name="first")
        rest = [L.Tanh(), L.Dense(4, name="last")]
        if kind == "sequential":
            return first, L.Sequential([first, *rest])
        if kind == "residual":
            return first, L.Residual(L.Sequential([first, *rest]))
        if kind.startswith("branches"):
            merge = "add" if "added" in kind else "concat"
            return first, L.Branches([L.Sequential([first, *rest]), L.Dense(4)], merge)
        x = L.Input((4,))
        return first, L.Graph(x, rest[1](rest[0](first(x))))

    x = spread((3, 4))
    first, net = make()
    net(x)
    first.freeze()
    found = []
    for formulas in (False, True):
        net.zero_grad()
        if formulas:
            with dfs.use_reference():
                y, cache = net.forward(x, training=True)
                assert net.backward(y, cache, need_dx=False) is None
        else:
            y, cache = net.forward(x, training=True)
            assert net.backward(y, cache, need_dx=False) is None
        found.append({name: p.grad.copy() for name, p in net.parameters().items()})
    for name, kernel in found[0].items():
        assert_allclose(found[1][name], kernel, rtol=1e-12, atol=1e-12, err_msg=name)
    if kind in ("sequential", "graph"):
        assert not found[1]["first.weight"].any()


def methods():
    return {
        (kind, name): vars(kind).get(name)
        for kind in [*TWINS, L.Layer, L.Container]
        for name in ("_forward", "_backward", "_infer", "prepare", "forward")
    }


def test_classes_are_as_before_after_nested_contexts_and_errors():
    before = methods()
    with dfs.use_reference():
        assert methods() != before
        with dfs.use_reference():
            pass
        with pytest.raises(ZeroDivisionError), dfs.use_reference():
            raise ZeroDivisionError
        assert methods() != before
    assert methods() == before


def test_the_context_is_that_of_a_thread():
    net, ran = small(), []
    kernels = net(IMAGES)

    def other():
        y, cache = net.forward(IMAGES, training=False)
        net.backward(y, cache)
        ran.append((y, net(IMAGES)))

    with dfs.use_reference():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        formulas = net(IMAGES)
    for y in ran[0]:
        assert_array_equal(y, kernels)  # the same bits
    assert (formulas != kernels).any()


def test_many_threads_enter_and_leave():
    net, wrong = small(), []
    kernels, before = net(IMAGES), methods()
    with dfs.use_reference():
        formulas = net(IMAGES)

    def work(i):
        for _ in range(5):
            if i % 2:
                with dfs.use_reference():
                    wrong.append(bool((net(IMAGES) != formulas).any()))
            else:
                wrong.append(bool((net(IMAGES) != kernels).any()))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 20
    assert not any(wrong)
    assert methods() == before


class Scale(L.Layer):
    calls = 0

    def _out_shape(self, in_shape):
        return in_shape

    def _forward(self, x, training):
        Scale.calls += 1
        return 2 * x, None

    def _backward(self, dy, cache, need_dx):
        return 2 * dy


def test_layers_without_a_reference_are_refused_before_anything_runs():
    net = L.Sequential([L.BatchNorm(), L.Residual(Scale(name="twice")), Scale()])
    x = spread((6, 5))
    net(x)
    buffers = {name: b.copy() for name, b in net.buffers().items()}
    calls = Scale.calls
    words = r'has nothing for Scale "twice", Scale "scale_1": call this network outside'
    with dfs.use_reference():
        for call in (lambda: net(x), lambda: net.forward(x, training=True), lambda: Scale()(x)):
            with pytest.raises(TypeError, match="which has nothing for Scale"):
                call()
        with pytest.raises(TypeError, match=words):
            net(x)
    assert Scale.calls == calls
    for name, buffer in net.buffers().items():
        assert_array_equal(buffer, buffers[name])
    assert_array_equal(Scale()(x), 2 * x)


def test_an_inner_graph_of_several_outputs_is_refused():
    a = L.Input((4,))
    inner = L.Graph(a, (L.Tanh()(a), L.Sigmoid()(a)))
    x = L.Input((4,))
    net = L.Graph(x, L.Add()(inner(x)))
    net(np.ones((2, 4)))
    with dfs.use_reference():
        assert len(inner(np.ones((2, 4)))) == 2
        with pytest.raises(TypeError, match='has nothing for Graph "graph_1"'):
            net(np.ones((2, 4)))


@every_layer
def test_forward_and_backward_belong_to_one_side(make, shape):
    layer, x = make(), spread(shape)
    with dfs.use_reference():
        y, cache = layer.forward(x, training=True)
    with pytest.raises(RuntimeError, match=r"ran within use_reference\(\), its backward"):
        layer.backward(y, cache)
    y, cache = layer.forward(x, training=True)
    with (
        dfs.use_reference(),
        pytest.raises(RuntimeError, match=r"runs within use_reference\(\), its forward ran out"),
    ):
        layer.backward(y, cache)


def test_wrong_inputs_have_the_messages_of_the_layer():
    net = small()
    net(IMAGES)
    for wrong in (IMAGES[:, :1], IMAGES[:, :, :2, :2], np.ones(3), "no"):
        messages = []
        for context in (dfs.threads(1), dfs.use_reference()):
            with context, pytest.raises((TypeError, ValueError)) as error:
                net(wrong)
            messages.append(str(error.value))
        assert messages[0] == messages[1]
    with dfs.use_reference(), pytest.raises(ValueError, match="more than 1 value per channel"):
        L.BatchNorm().forward(np.ones((1, 3)), training=True)


@every_layer
def test_empty_batches_and_read_only_arrays(make, shape):
    layer, x = make(), spread(shape)
    x.flags.writeable = False
    with dfs.use_reference():
        y, cache = layer.forward(x, training=True)
        y = y.copy()
        y.flags.writeable = False
        assert layer.backward(y, cache).shape == x.shape
        y, cache = layer.forward(x[:0], training=True)
        assert y.shape[1:] == layer.out_shape(shape[1:])
        assert layer.backward(y, cache).shape == (0, *shape[1:])


def test_as_a_decorator():
    @dfs.use_reference()
    def formulas(x):
        return L.Dense(2, initializer="ones")(x)

    assert_allclose(formulas(np.eye(2)), np.ones((2, 2)))
    assert reference.dense(np.eye(2), np.ones((2, 2)), np.zeros(2)).shape == (2, 2)
