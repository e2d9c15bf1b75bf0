"""Checkpoint: the bits of its body alone, less memory, and what it refuses."""

import copy
import threading
import weakref

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import reference
from deepfs._table import rows_of
from deepfs.inference._plan import Plan
from deepfs.inspection.attribution import Traced
from deepfs.inspection.plan import measured
from deepfs.inspection.trial import copy_of
from deepfs.plots._network_graph import boxes_of

IMAGES = np.random.default_rng(1).standard_normal((6, 3, 8, 8)).astype(np.float32)
LABELS = np.arange(6) % 4


def block(wrap):
    """Return layers with all that changes from call to call, in a container."""
    return wrap([
        L.Conv2D(6, 3, padding=1), L.BatchNorm(), L.ReLU(), L.Dropout(0.4), L.GaussianNoise(0.1),
        L.SpatialDropout(0.2), L.Conv2D(6, 3, padding=1), L.BatchNorm(statistics="cumulative"),
    ])  # fmt: skip


def chain(wrap):
    """Return a network of blocks: alone, before a ReLU, inside of others."""
    return L.Sequential([
        L.Conv2D(6, 3, padding=1), L.ReLU(), block(wrap), L.ReLU(),
        L.Residual(block(wrap)), L.ReLU(), wrap([L.MaxPool2D(2), L.Residual(block(wrap))]),
        wrap([wrap([L.Flatten(), L.DropConnect(12, 0.3)]), L.Tanh()]), L.Dense(4),
    ])  # fmt: skip


def graph(wrap):
    """Return a graph that calls one block twice."""
    x = L.Input((3, 8, 8))
    shared = block(wrap)
    h = L.ReLU()(shared(L.Conv2D(6, 1)(x)))
    return L.Graph(x, L.Dense(4)(L.Add()([shared(h), h])))


def checkpoint(layers):
    """Return what stands in the place of L.Sequential; the test below sees that it runs again."""
    return L.Checkpoint(L.Sequential(layers))


def same(make, act):
    """Return what ``act`` makes of a network with checkpoints and without, from equal weights."""
    made = []
    for wrap in (L.Sequential, checkpoint):
        dfs.set_seed(3)
        net = make(wrap)
        made.append(act(net))
    return made


def state_of(net):
    """Return gradients and buffers, in the order of the layers."""
    gradients = [parameter.grad.copy() for parameter in net.parameters().values()]
    return gradients + [buffer.copy() for buffer in net.buffers().values()]


@pytest.mark.parametrize("make", [chain, graph])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("frozen", [None, "some", "all"])
def test_has_the_bits_of_its_body(make, training, frozen):
    def steps(net):
        net(IMAGES)
        parts = [*net.named_parts().values()]
        for part in parts[: {None: 0, "some": 3, "all": len(parts)}[frozen]]:
            part.freeze()
        found = []
        for _ in range(2):
            y, cache = net.forward(IMAGES, training=training)
            between = [buffer.copy() for buffer in net.buffers().values()]
            dx = net.backward(y, cache)
            assert all(map(np.array_equal, between, net.buffers().values()))
            found += [y, dx, *state_of(net)]
        net.backward(y, cache, need_dx=False)
        return [*found, *state_of(net), net(IMAGES)]

    plain, again = same(make, steps)
    for one, other in zip(plain, again, strict=True):
        assert_array_equal(one, other)


def test_float64_and_threads_have_the_bits_of_the_body():
    def steps(net):
        found = []
        for threads in (1, 3):
            with dfs.threads(threads):
                y, cache = net.forward(IMAGES.astype(np.float64), training=True)
                found += [y, net.backward(y, cache), *state_of(net)]
        return found

    for one, other in zip(*same(chain, steps), strict=True):
        assert_array_equal(one, other)


def test_each_body_runs_again_in_backward_and_keeps_its_input_alone():
    runs = []

    class Counted(L.Layer):
        def _out_shape(self, in_shape):
            return in_shape

        def _forward(self, x, training):
            runs.append(self.name)
            return x + 1, x

        def _backward(self, dy, cache, need_dx):
            return dy.copy()

    inner = L.Checkpoint(Counted(name="inner"))
    net = L.Sequential([L.Checkpoint([Counted(name="outer"), inner]), L.Dense(2)])
    y, cache = net.forward(IMAGES[:, 0, 0], training=True)
    assert runs == ["outer", "inner"]
    assert cache[1][0]._fields == ("x", "training", "end", "buffers")
    net.backward(y, cache)
    assert runs == ["outer", "inner", "outer", "inner", "inner"]


def test_training_in_a_model_has_the_same_bits():
    def fit(net):
        model = dfs.Model(
            net, "cross_entropy", dfs.optimizers.Adam(groups=[dfs.optimizers.Group(
                "*batchnorm_1*", frozen=True)]), seed=5,
        )  # fmt: skip
        model.fit(IMAGES, LABELS, 3, 2, verbose=0, gradient_accumulation_steps=2)
        return [*model.network.get_weights().values()]

    for one, other in zip(*same(chain, fit), strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("sync", [False, True])
def test_shards_have_the_same_bits(sync):
    def fit(net):
        model = dfs.Model(net, "cross_entropy", "sgd", seed=5)
        model.fit(IMAGES, LABELS, 6, 2, verbose=0, shards=2, sync_batch_norm=sync)
        return [*model.network.get_weights().values()]

    for one, other in zip(*same(chain, fit), strict=True):
        assert_array_equal(one, other)


def test_threads_may_share_it_in_inference_mode():
    net = chain(checkpoint)
    y, cache = net.forward(IMAGES)
    wanted, found = net.backward(y, cache), []
    for buffer in net.buffers().values():
        buffer.setflags(write=False)  # nothing is written

    def run():
        y, cache = net.forward(IMAGES)
        found.append(net.backward(y, cache))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    for dx in found:
        assert_array_equal(dx, wanted)


def test_an_error_in_the_second_pass_leaves_the_buffers():
    fails = []

    class Fails(L.Layer):
        def _out_shape(self, in_shape):
            return in_shape

        def _forward(self, x, training):
            if fails:
                raise RuntimeError("no")
            return x, None

        def _backward(self, dy, cache, need_dx):
            return dy.copy()

    net = L.Checkpoint([L.BatchNorm(), L.Dropout(), Fails()])
    y, cache = net.forward(IMAGES, training=True)
    before = {name: buffer.copy() for name, buffer in net.buffers().items()}
    fails.append(True)
    with pytest.raises(RuntimeError, match="no"):
        net.backward(y, cache)
    for name, buffer in net.buffers().items():
        assert_array_equal(buffer, before[name])


def test_memory_is_that_of_the_inputs_and_of_one_body():
    def taken(net):  # what `Model.plan` calls activations
        model = dfs.Model(net, "cross_entropy", "sgd")
        with copy_of(model.trainer) as copied:
            return measured(copied, (8, 16, 16), 64, timed=False)[0]

    def make(wrap):
        bodies = [[L.Conv2D(8, 3, padding=1), L.BatchNorm(), L.Tanh()] for _ in range(12)]
        bodies = [first + second for first, second in zip(bodies[::2], bodies[1::2], strict=True)]
        return L.Sequential([*map(wrap, bodies), L.GlobalAvgPool2D(), L.Flatten(), L.Dense(4)])

    plain, less = same(make, taken)
    each = 64 * 8 * 16 * 16 * 4  # bytes of the output of one layer
    assert plain > 24 * each  # what 36 layers keep
    assert 6 * each < less < 18 * each  # 6 inputs, and one body with its gradients


class Token:
    """A cache of which a weak reference tells whether it is still there."""


@pytest.mark.parametrize("way", ["checkpoint", "step"])
def test_backward_drops_each_cache_that_is_used(way):
    tokens, alive = [], []

    class Watched(L.Layer):
        def _out_shape(self, in_shape):
            return in_shape

        def _forward(self, x, training):
            token = Token()
            tokens.append(weakref.ref(token))
            return x.copy(), token

        def _backward(self, dy, cache, need_dx):
            alive.append(sum(token() is not None for token in tokens))
            return dy.copy()

    def layers():
        return [Watched(), L.Residual([Watched(), Watched()]), Watched()]

    if way == "checkpoint":
        net = L.Checkpoint(layers())
        y, cache = net.forward(IMAGES, training=True)
        assert not any(token() for token in tokens)
        net.backward(y, cache)
    else:
        net = L.Sequential([L.Dense(4), *layers()])
        dfs.Model(net, "cross_entropy", "sgd").train_on_batch(IMAGES, LABELS)
    assert alive == [4, 3, 2, 1]


def test_a_residual_is_not_fused_since_it_would_be_kept():
    assert L.Checkpoint(L.BatchNorm()).fuses_forward == {"relu"}
    assert L.Checkpoint(L.BatchNorm()).fuses_backward == {"drelu"}


def test_a_cache_of_the_caller_may_be_used_again():
    net = chain(checkpoint)
    y, cache = net.forward(IMAGES, training=True)
    first = net.backward(y, cache)
    assert_array_equal(net.backward(y, cache), first)


def test_files_summary_export_and_predictor_see_the_body(tmp_path):
    dfs.set_seed(0)
    model = dfs.Model(chain(checkpoint), "cross_entropy", "adam")
    model.fit(IMAGES, LABELS, 3, verbose=0)
    model.save(tmp_path / "m.safetensors")
    loaded = dfs.load(tmp_path / "m.safetensors")
    assert_array_equal(loaded.predict(IMAGES), model.predict(IMAGES))
    assert isinstance(loaded.network[2], L.Checkpoint)
    assert repr(loaded.network) == repr(model.network)
    assert_array_equal(model.predictor().predict(IMAGES), model.predict(IMAGES))
    for one, other in zip(*(
        [*each.fit(IMAGES, LABELS, 3, verbose=0, shuffle=False).history.values()]
        for each in (model, loaded)
    ), strict=True):  # fmt: skip
        assert one[-1] == other[-1]
    names = [row.name for row in rows_of(model.network)]
    assert "checkpoint_1.body.conv2d_1" in names
    assert "checkpoint_1" not in names  # it computes nothing itself
    twin = chain(L.Sequential)
    twin(IMAGES)
    twin.set_weights(list(model.network.get_weights().values()))
    assert_array_equal(twin(IMAGES), model.network(IMAGES))
    assert copy.deepcopy(model.network)(IMAGES).shape == (6, 4)


def test_the_plan_of_a_predictor_has_no_step_for_it():
    def steps(net):
        net(IMAGES[:2])
        return len(Plan(net, IMAGES[:2].shape, {}).steps)

    def make(wrap):
        return L.Sequential([wrap([L.Conv2D(4, 3)]), L.ReLU(), L.Flatten(), L.Dense(4)])

    plain, again = same(make, steps)
    assert plain == again  # the ReLU is done by the convolution inside of it


def test_use_reference_and_profile():
    def run(net):
        y, cache = net.forward(IMAGES.astype(np.float64), training=True)
        return [y, net.backward(y, cache), *state_of(net)]

    kernels = same(chain, run)[1]
    with dfs.use_reference():
        formulas = same(chain, run)[1]
    for one, other in zip(kernels, formulas, strict=True):
        assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    model = dfs.Model(chain(checkpoint), "cross_entropy", "sgd")
    rows = {row.name: row for row in model.profile(IMAGES, LABELS, repeats=1).rows}
    first, inside = rows["conv2d_1"], rows["checkpoint_1.body.conv2d_1"]
    assert first.forward.multiply_adds == 6 * 64 * 6 * 27
    assert inside.forward.multiply_adds == 2 * 6 * 64 * 6 * 54  # it runs twice


def test_shrinking_and_pictures_look_through_it():
    def make(wrap):
        return L.Sequential([
            wrap([L.Conv2D(8, 3), L.ReLU(), L.Conv2D(6, 3)]), L.GlobalAvgPool2D(), L.Dense(4),
        ])  # fmt: skip

    def shrunk(net):
        net(IMAGES)
        first = next(iter(net.parameters().values()))
        first.value[[1, 5]] = 0  # two filters do nothing
        model = dfs.Model(net, "cross_entropy", "sgd")
        smaller, _ = dfs.compress.shrink(model)
        shapes = [each.shape for each in smaller.network.parameters().values()]
        return shapes, [box.kinds for box in boxes_of(net)], type(smaller.network[0])

    plain, again = same(make, shrunk)
    assert again[0][0] == (6, 3, 3, 3)
    assert again[0] == plain[0]
    assert again[1] == plain[1]
    assert again[2] is L.Checkpoint


def test_matches_the_reference(rng):
    x, dy = rng.standard_normal((2, 3, 4))
    layer = L.Checkpoint(L.Tanh())
    y, cache = layer.forward(x)
    body = lambda x: (reference.tanh(x), x)  # noqa: E731
    assert_allclose(y, reference.checkpoint(x, body), rtol=1e-14)
    wanted = reference.checkpoint_backward(
        dy, x, body, lambda dy, x: reference.tanh_backward(x, dy)
    )
    assert_allclose(layer.backward(dy, cache), wanted, rtol=1e-13)


def test_inspections_note_each_output_once():
    net = chain(checkpoint)
    net(IMAGES)
    traced = Traced(net, ["checkpoint_1.body.conv2d_1", "conv2d_1"])
    y, cache = traced.network.forward(IMAGES)
    traced.network.backward(y, cache)
    assert {name: len(each) for name, each in traced.outputs.items()} == {
        "checkpoint_1.body.conv2d_1": 1, "conv2d_1": 1,
    }  # fmt: skip
    assert dfs.diagnose(dfs.Model(net, "cross_entropy", "sgd"), IMAGES, LABELS, steps=1) is not None


def two_inputs():
    x, y = L.Input((4,)), L.Input((4,))
    return L.Graph((x, y), x + y)


def two_outputs():
    x = L.Input((4,))
    return L.Graph(x, (L.Dense(2)(x), L.Dense(3)(x)))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.Checkpoint(None), TypeError, "Checkpoint takes layers, got None"),
        (lambda: L.Checkpoint([]), ValueError, "Checkpoint needs at least one layer"),
        (lambda: L.Checkpoint("relu"), TypeError, r"got 'relu': write ReLU\(\)"),
        (
            lambda: L.Checkpoint(two_inputs()),
            ValueError,
            "Checkpoint takes a body of one input and one output, got Graph with a tuple or dict "
            "of inputs: put the Checkpoint around a chain of layers",
        ),
        (lambda: L.Checkpoint(L.Add()), ValueError, "got Add with a tuple or dict of inputs"),
        (lambda: L.Checkpoint(two_outputs()), ValueError, "got Graph with 2 outputs"),
    ],
)
def test_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_losses_look_through_it():
    net = L.Checkpoint([L.Dense(4), L.Softmax()])
    with pytest.raises(ValueError, match="Softmax"):
        dfs.Model(net, "cross_entropy", "sgd")
