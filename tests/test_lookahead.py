"""Lookahead: against its formula, schedules of alpha, runs that are resumed, what it refuses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import reference
from deepfs.callbacks import EMA, Callback, Lookahead
from deepfs.schedules import Cosine, Plateau, Step
from models import small_model


class Snapshots(Callback):
    """Keeps weights and running statistics after every step, and dies after one of them."""

    def __init__(self, die_after=None):
        self.seen, self.die_after = [], die_after

    def on_train_batch_end(self, batch, logs):
        self.seen.append(content(self.model))
        if self.model.steps == self.die_after:
            raise SystemExit

    def state(self):
        return {}


def content(model):
    norm = model.network.layers[1].buffers()
    return [model.arena.values.copy(), norm["running_mean"].copy(), norm["running_var"].copy()]


@pytest.fixture
def data(rng):
    return rng.random((20, 1, 8, 8)), rng.integers(0, 3, 20)


@pytest.mark.parametrize("statistics", [False, True])
@pytest.mark.parametrize(
    ("alpha", "at"),
    [(0.5, lambda step: 0.5), (1, lambda step: 1),
     (lambda step: 1 / (1 + step), lambda step: 1 / (1 + step)),
     (lambda epoch: 0.1 + 0.2 * epoch, lambda step: 0.1 + 0.2 * ((step - 1) // 4)),
     (Step(0.8, every=6, factor=0.5), lambda step: 0.8 * 0.5 ** (step // 6))],
    ids=["half", "one", "by step", "by epoch", "schedule"],
)  # fmt: skip
def test_is_the_formula(alpha, at, statistics, data):
    """Before the callback stand the fast weights, after it those that the next step starts from."""
    fast, after, model = Snapshots(), Snapshots(), small_model(dtype="float64")
    model.trainer.build(data[0])
    model.trainer.prepare()
    slow = content(model)
    lookahead = Lookahead(3, alpha, statistics)
    model.fit(*data, 5, 3, verbose=0, callbacks=[fast, lookahead, after])
    for step, (before, now) in enumerate(zip(fast.seen, after.seen, strict=True), 1):
        if step % 3 == 0:
            slow = [reference.lookahead(a, b, at(step)) for a, b in zip(slow, before, strict=True)]
            assert_allclose(now[0], slow[0], rtol=1e-12, atol=1e-15)
            for i in (1, 2):
                assert_allclose(now[i], slow[i] if statistics else before[i], rtol=1e-12)
        else:
            for a, b in zip(now, before, strict=True):
                assert_array_equal(a, b)
    assert len(fast.seen) == 12
    assert lookahead._average is None


def test_validation_and_the_end_are_of_the_slow_weights(data):
    dfs.set_seed(1)
    model = small_model()
    history = model.fit(*data, 5, 2, verbose=0, validation_data=data, callbacks=Lookahead(5, 0.3))
    assert model.evaluate(*data)["loss"] == history["val_loss"][-1]  # 8 steps: 3 after the update
    dfs.set_seed(1)
    other = small_model()
    fast, average = Snapshots(), EMA(0.5)
    with_average = [Lookahead(5, 0.3), fast, average]
    history = other.fit(*data, 5, 2, verbose=0, validation_data=data, callbacks=with_average)
    assert_array_equal(other.arena.values, model.arena.values)
    assert not (fast.seen[-1][0] == model.arena.values).all()
    with average.swapped():
        assert other.evaluate(*data)["loss"] == history["val_loss"][-1]


def run(data, folder=None, die_after=None):
    dfs.set_seed(2)
    model = small_model()
    lookahead, dies = Lookahead(3, lambda step: 1 - step / 40, True), Snapshots(die_after)
    settings = {"checkpoint": folder, "checkpoint_every": 1, "resume": True} if folder else {}
    try:
        history = model.fit(*data, 5, 3, verbose=0, validation_data=data,
                            callbacks=[lookahead, dies], **settings)  # fmt: skip
    except SystemExit:
        return None
    return [*content(model), *model.state.values(), np.array([*history.history.values()])]


def test_resumes_from_any_step_to_the_same_bits(data, tmp_path):
    for stop in (1, 3, 5, 8):
        assert run(data, tmp_path, stop) is None
    for a, b in zip(run(data, tmp_path), run(data), strict=True):
        assert_array_equal(a, b)
    for a, b in zip(run(data, tmp_path), run(data), strict=True):  # done: no step is taken
        assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be at least 1, got 0"),
        ({"alpha": 0}, ValueError, r"alpha must be in \(0, 1\], got 0"),
        ({"alpha": 1.1}, ValueError, r"alpha must be in \(0, 1\], got 1.1"),
        ({"alpha": "half"}, TypeError, r"alpha must be a number in \(0, 1\], got 'half'"),
        ({"alpha": Cosine(1.0)}, ValueError, "needs an alpha with its length, got Cosine.*total="),
        ({"alpha": Plateau(1.0)}, ValueError, "by steps or epochs, got Plateau.* on results"),
        ({"statistics": 2}, TypeError, "statistics must be"),
    ],
)
def test_refuses(settings, error, message):
    with pytest.raises(error, match=message):
        Lookahead(**settings)


def test_refuses_an_alpha_out_of_its_range(data):
    with pytest.raises(ValueError, match=r"alpha of Lookahead after 2 steps must be in \[0, 1\]"):
        small_model().fit(*data, 5, verbose=0, callbacks=Lookahead(2, lambda step: step))
    with pytest.raises(RuntimeError, match="Lookahead needs a model"):
        Lookahead().update()
