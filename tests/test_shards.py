"""Batches cut into shards: their gradients are added in order, and batch norm joins them or not."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L

LOSSES = [
    dfs.losses.CrossEntropy(),
    dfs.losses.CrossEntropy(ignore_index=2, class_weight=[1.0, 3.0, 1.0]),
    dfs.losses.CrossEntropy(reduction="sum"),
]


def digits(rng, n=30, dtype=np.float64):
    return rng.random((n, 1, 6, 6)).astype(dtype), rng.integers(0, 3, n)


def trained(net, data, batch_size=12, epochs=2, loss=LOSSES[0], **settings):
    dfs.set_seed(5)
    model = dfs.Model(net(), loss, dfs.optimizers.Momentum(1e-2, clip_norm=1.0))
    history = model.fit(*data, batch_size, epochs, verbose=0, **settings)
    return model, history


def plain():
    return L.Sequential([L.Conv2D(4, 3), L.ReLU(), L.Dense(3)])


def normed():
    body = L.Sequential([L.Conv2D(4, 3, padding=1), L.BatchNorm()])
    return L.Sequential(
        [L.Conv2D(4, 3), L.BatchNorm(), L.ReLU(), L.Residual(body), L.ReLU(),
         L.BatchNorm(affine=False), L.Dense(3)]
    )  # fmt: skip


def arrays(model):
    return [model.arena.values, *model.network.buffers().values()]


def assert_same(one, other):
    for a, b in zip(arrays(one), arrays(other), strict=True):
        assert_array_equal(a, b)


def test_one_shard_is_a_batch(rng):
    data = digits(rng, dtype=np.float32)
    assert_same(trained(normed, data)[0], trained(normed, data, shards=1)[0])


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("samples", [24, 27])  # the last batch has a shard of no samples
def test_a_step_is_that_of_the_whole_batch(loss, samples, rng):
    data = digits(rng, samples)
    whole, expected = trained(plain, data, loss=loss)
    parts, history = trained(plain, data, loss=loss, shards=4)
    assert parts.steps == whole.steps
    assert_allclose(parts.arena.values, whole.arena.values, rtol=1e-12, atol=1e-14)
    for name in expected.history:
        assert_allclose(history[name], expected[name], rtol=1e-12)


def test_several_losses_and_accumulation(rng):
    x, y = digits(rng, 24)
    data = x.reshape(24, -1), {"kind": y, "size": x[:, 0, 0, :1]}
    losses = {"kind": dfs.losses.CrossEntropy(), "size": dfs.losses.MeanSquaredError()}

    def net():
        entry = L.Input((36,))
        hidden = L.Dense(4)(entry)
        return dfs.Graph(entry, {"kind": L.Dense(3)(hidden), "size": L.Dense(1)(hidden)})

    whole, expected = trained(net, data, 12, loss=losses)
    parts, history = trained(net, data, 4, loss=losses, shards=2, gradient_accumulation_steps=3)
    assert_allclose(parts.arena.values, whole.arena.values, rtol=1e-11, atol=1e-13)
    assert_allclose(history["size_loss"], expected["size_loss"], rtol=1e-12)


def test_any_number_of_threads(rng):
    data = digits(rng, 64, np.float32)

    def model(threads):
        with dfs.threads(threads):
            return trained(normed, data, 32, shards=4)[0]

    assert_same(model(1), model(2))


def test_running_statistics_are_means_over_the_shards(rng):
    data = rng.random((8, 3)), np.arange(8) % 2
    net = lambda: L.Sequential([L.BatchNorm(momentum=0.0, running_variance="biased"), L.Dense(2)])  # noqa: E731
    model = trained(net, data, 8, 1, shards=2, shuffle=False)[0]
    found = model.network.buffers()
    halves = data[0].reshape(2, 4, 3)
    assert_allclose(found["batchnorm_1.running_mean"], data[0].mean(0), rtol=1e-14)
    assert_allclose(found["batchnorm_1.running_var"], halves.var(1).mean(0), rtol=1e-14)
    assert found["batchnorm_1.batches"] == 1


@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_joint_statistics_are_those_of_the_whole_batch(dtype, close, rng):
    data = digits(rng, 24, dtype)
    whole, _ = trained(normed, data)
    apart = trained(normed, data, shards=4)[0]
    joint, _ = trained(normed, data, shards=4, sync_batch_norm=True)
    for a, b in zip(arrays(joint), arrays(whole), strict=True):
        assert_allclose(a, b, rtol=0, atol=close * max(1, np.abs(b).max()))
    assert np.abs(apart.arena.values - whole.arena.values).max() > 1e-4


def test_an_error_in_step_ends_all_shards(rng):
    x, y = digits(rng, 12)
    model, _ = trained(normed, (x, y), shards=3, sync_batch_norm=True)
    before = [a.copy() for a in arrays(model)]
    x[7] = 1e308
    with (
        np.errstate(all="ignore"),
        pytest.raises(FloatingPointError, match=r"the loss at step \d is"),
    ):
        model.fit(x, y, 12, verbose=0, shards=3, sync_batch_norm=True)
    for a, b in zip(arrays(model), before, strict=True):
        assert_array_equal(a, b)
    assert model.network.layers[1].across is None


def test_shards_drop_other_entries(rng):
    seen = []

    class Look(L.Layer):
        def _out_shape(self, in_shape):
            return in_shape

        def _forward(self, x, training):
            seen.append(x.copy())
            return x, None

        def _backward(self, dy, cache, need_dx):
            return dy

    net = lambda: L.Sequential([L.Dropout(0.5), Look(), L.Dense(3)])  # noqa: E731
    data = np.ones((8, 50)), np.arange(8) % 3
    trained(net, data, 8, 2, shards=2)
    first, second, third, _ = (x > 0 for x in seen)
    assert len(seen) == 4
    for other in (second, third):
        assert 0.3 < (first ^ other).mean() < 0.7


def test_a_loss_that_is_not_finite_takes_no_step(rng):
    x, y = digits(rng, 12)
    model = dfs.Model(normed(), LOSSES[0], dfs.optimizers.SGD())
    model.fit(x, y, 12, verbose=0, shards=3)
    before = [a.copy() for a in arrays(model)]
    x[7] = 1e308  # its sum overflows, in the second of three shards
    with (
        np.errstate(all="ignore"),
        pytest.raises(FloatingPointError, match=r"the loss at step 2 is .* the step before"),
    ):
        model.fit(x, y, 12, verbose=0, shards=3, shuffle=False)
    for a, b in zip(arrays(model), before, strict=True):
        assert_array_equal(a, b)
    assert model.steps == 1


def test_a_run_is_resumed_in_mid_epoch_with_the_same_bits(rng, tmp_path):
    data = digits(rng, dtype=np.float32)
    net = lambda: L.Sequential([L.Dropout(0.2), *normed().layers])  # noqa: E731
    whole, expected = trained(net, data, shards=3, sync_batch_norm=True)

    class Stop(dfs.callbacks.Callback):
        def on_train_batch_end(self, batch, logs):
            if self.model.steps == 4:
                raise OSError("the power fails")

    class Go(Stop):
        def on_train_batch_end(self, batch, logs):
            pass

    Go.__name__ = "Stop"
    kept = {"checkpoint": tmp_path, "checkpoint_every": 1, "resume": True}
    with pytest.raises(OSError, match="power"):
        trained(net, data, shards=3, sync_batch_norm=True, callbacks=[Stop()], **kept)
    for settings in ({"shards": 1}, {"shards": 3}):
        with pytest.raises(dfs.CheckpointError, match=r"fit\.(shards|sync_batch_norm) is"):
            trained(net, data, callbacks=[Go()], **settings, **kept)
    rest, history = trained(net, data, shards=3, sync_batch_norm=True, callbacks=[Go()], **kept)
    assert_same(rest, whole)
    assert history == expected


def test_an_iterable_and_a_loader(rng):
    x, y = digits(rng, 24, np.float32)
    arrays_of = trained(normed, (x, y), 12, 1, shards=3, shuffle=False)[0]
    stream = [(x[:12], y[:12]), (x[12:], y[12:])]
    assert_same(trained(normed, (stream, None), None, 1, shards=3)[0], arrays_of)
    loader = dfs.data.Loader((x, y), 12, shuffle=False)
    assert_same(trained(normed, (loader, None), None, 1, shards=3)[0], arrays_of)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"shards": 0}, ValueError, "shards must be at least 1, got 0"),
        ({"shards": 2.0}, TypeError, "shards must be an int"),
        ({"shards": 13}, ValueError, "shards must be at most batch_size=12, .* got shards=13"),
        ({"sync_batch_norm": 1}, TypeError, "sync_batch_norm must be"),
        ({"shards": 5, "sync_batch_norm": True}, ValueError,
         "sync_batch_norm needs a sample in each of 5 shards, got 4: that would be a shard of the "
         "last batch of an epoch; drop_last=True leaves it out"),
        ({"shards": 12, "drop_last": True}, ValueError,
         "more than 1 value .*: that would be a shard; larger batches or fewer shards help"),
    ],
)  # fmt: skip
def test_refuses(settings, error, message, rng):
    net = lambda: L.Sequential([L.Flatten(), L.BatchNorm(), L.Dense(3)])  # noqa: E731
    with pytest.raises(error, match=message):
        trained(net, digits(rng, 28), **settings)


def test_alone_without_mpiexec():
    assert (dfs.distributed.rank(), dfs.distributed.size()) == (0, 1)
    with dfs.distributed.alone():
        assert dfs.distributed.size() == 1


def test_the_first_shards_have_a_sample_more():
    from deepfs.distributed.shards import Shards

    shards = Shards.of(3, False, None)
    assert shards.bounds(8) == [(0, 3), (3, 6), (6, 8)]
    assert shards.bounds(2) == [(0, 1), (1, 2), (2, 2)]
