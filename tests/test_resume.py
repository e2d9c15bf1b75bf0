"""A run that is interrupted anywhere and resumed has the bits of one that never was."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.callbacks import EMA, Callback
from deepfs.saving.tensors import TensorFile, write
from models import small_model


class Counts(Callback):
    """Counts steps, and raises after one of them as nothing in a run expects."""

    def __init__(self, die_after=None):
        self.steps, self.die_after = 0, die_after

    def on_train_batch_end(self, batch, logs):
        self.steps += 1
        if self.steps == self.die_after:
            raise SystemExit

    def state(self):
        return {"steps": self.steps}

    def load_state(self, state):
        self.steps = state["steps"]


@pytest.fixture
def data(rng):
    return rng.random((50, 1, 8, 8), np.float32), rng.integers(0, 3, 50)


def run(data, folder=None, die_after=None, lr=None, **settings):
    """Train from the beginning of a process, as far as it gets; return all that could differ."""
    dfs.set_seed(3)
    model = small_model(dtype=settings.pop("dtype", None))
    model.optimizer.lr = lr or dfs.schedules.Warmup(3, then=dfs.schedules.Plateau(1e-2, patience=0))
    counts, average = Counts(die_after), EMA(0.9)
    settings = {"epochs": 3, "verbose": 0, "validation_data": data} | settings
    if folder is not None:
        settings |= {"checkpoint": folder, "checkpoint_every": 1, "resume": True}
    try:
        history = model.fit(*data, 8, callbacks=[counts, average], **settings)
    except SystemExit:
        return None
    arrays = [model.arena.values, *model.state.values(), *model.network.buffers().values()]
    return {
        "arrays": [array.copy() for array in arrays],
        "average": average.state(),
        "history": history.history,
        "rest": (model.steps, model.epochs, counts.steps, repr(model.optimizer), repr(history)),
        "next": (dfs.random.get_state(), model.train_on_batch(data[0][:8], data[1][:8])),
    }


def assert_same(a, b):
    assert a["history"] == b["history"]
    assert (a["rest"], a["next"]) == (b["rest"], b["next"])
    for x, y in zip(a["arrays"], b["arrays"], strict=True):
        assert_array_equal(x, y)
    assert a["average"].keys() == b["average"].keys()
    for name, value in a["average"].items():
        assert_array_equal(value, b["average"][name])


# 7 steps an epoch: within one, at its last step, at the first of the next, before the end
@pytest.mark.parametrize("stops", [(1,), (3,), (7,), (8,), (20,), (2, 6, 7, 15), range(1, 21)])
@pytest.mark.parametrize("settings", [{}, {"shuffle": False, "dtype": "float64"}], ids=str)
def test_resumes_from_any_step_to_the_same_bits(stops, settings, data, tmp_path):
    for stop in stops:
        assert run(data, tmp_path, stop, **settings) is None
    assert_same(run(data, tmp_path, **settings), run(data, **settings))


def test_resumes_with_gradients_accumulated(data, tmp_path):
    settings = {"gradient_accumulation_steps": 3}
    assert run(data, tmp_path, 4, **settings) is None
    assert_same(run(data, tmp_path, **settings), run(data, **settings))


def test_a_run_that_is_done_is_not_run_again_and_more_epochs_go_on(data, tmp_path):
    first = run(data, tmp_path, epochs=2)
    assert_same(run(data, tmp_path, epochs=2), first)
    assert_same(run(data, tmp_path, epochs=3), run(data, epochs=3))


def test_keeps_the_last_two_which_load_as_models(data, tmp_path):
    run(data, tmp_path)
    assert sorted(os.listdir(tmp_path)) == [f"step-{n:09d}.safetensors" for n in (20, 21)]
    model = dfs.load(tmp_path / "step-000000021.safetensors")
    assert model.steps == 21
    assert model.predict(data[0]).shape == (50, 3)


def test_ctrl_c_leaves_a_checkpoint(data, tmp_path):
    class Press(Callback):
        def on_train_batch_end(self, batch, logs):
            if self.model.steps == 10 and batch == 2:
                signal.raise_signal(signal.SIGINT)

    def fit(callbacks, **settings):
        dfs.set_seed(3)
        model = small_model()
        return model, model.fit(*data, 8, 3, verbose=0, callbacks=[callbacks], **settings)

    _, history = fit(Press(), checkpoint=tmp_path)
    assert history.interrupted
    assert (tmp_path / "step-000000010.safetensors").exists()
    model, history = fit(type("Press", (Callback,), {})(), checkpoint=tmp_path, resume=True)
    whole, expected = fit(type("Press", (Callback,), {})())
    assert history == expected
    assert_array_equal(model.arena.values, whole.arena.values)


def test_a_run_that_a_callback_ended_in_an_epoch_ends_it_when_resumed(data, tmp_path):
    class Stop(Callback):
        def on_train_batch_end(self, batch, logs):
            self.model.stop_training = self.model.steps == 4

        def on_epoch_end(self, epoch, logs):
            if die:
                raise SystemExit

    def fit(**settings):
        dfs.set_seed(3)
        model = small_model()
        return model.fit(*data, 8, 3, verbose=0, validation_data=data, callbacks=[Stop()],
                         **settings)  # fmt: skip

    settings = {"checkpoint": tmp_path, "checkpoint_every": 1, "resume": True}
    die = True
    with pytest.raises(SystemExit):
        fit(**settings)
    die = False
    assert fit(**settings) == fit()


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": "1"}, {"at": -1}, {"steps": None}, {"order": [1]}, {"order": 7},
        {"random": [0, "a"]}, {"means": []}, {"history": {"loss": 3}}, {"stopped": 1},
        {"callbacks": [7]}, {"asked": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_checkpoint_that_somebody_has_written(change, data, tmp_path):
    def fit(**settings):
        return small_model().fit(*data, 8, verbose=0, checkpoint=tmp_path, callbacks=[Counts()],
                                 **settings)  # fmt: skip

    fit()
    path = max(tmp_path.iterdir())
    with TensorFile(path) as file:
        arrays = {name: file.read(name) for name in file.entries}
        description = file.description
    description["run"] |= change
    write(path, arrays, description)
    with pytest.raises(dfs.CheckpointError, match=r"not a checkpoint of a run|another model: fit"):
        fit(resume=True, epochs=2)


def test_a_damaged_last_checkpoint_is_passed_over(data, tmp_path):
    assert run(data, tmp_path, 9) is None
    newest = max(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(UserWarning, match=r"step-000000008.*going on from the checkpoint before it"):
        resumed = run(data, tmp_path)
    assert_same(resumed, run(data))


def test_all_damaged(data, tmp_path):
    assert run(data, tmp_path, 9) is None
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with (
        pytest.raises(dfs.CheckpointError, match="not a safetensors file"),
        pytest.warns(UserWarning, match="the checkpoint before it"),
    ):
        run(data, tmp_path)


def other_network():
    model = small_model()
    model.network.layers[-1].units = 4
    return model


def other_loss():
    model = small_model()
    model.loss.label_smoothing = 0.1
    return model


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (other_network, {}, r"another model: network.layers\[5\].units is 3 in it, 4 here"),
        (other_loss, {}, r"another model: loss.label_smoothing is 0.0 in it, 0.1 here"),
        (lambda: small_model(lr=0.5), {}, r"optimizer.lr is 0.01 in it, 0.5 here"),
        (lambda: small_model(metrics=()), {}, "metrics is 1 of them in it, 0 of them here"),
        (small_model, {"batch_size": 9}, "fit.batch_size is 8 in it, 9 here"),
        (small_model, {"shuffle": False}, "fit.shuffle is True in it, False here"),
        (small_model, {"callbacks": [Counts()]}, "fit.callbacks is 0 of them in it, 1 of them"),
    ],
)
@pytest.mark.parametrize("built", [False, True])
def test_refuses_another_run_and_changes_nothing(make, settings, message, built, data, tmp_path):
    small_model().fit(*data, 8, verbose=0, checkpoint=tmp_path)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    model = make()
    if built:
        model.train_on_batch(*(part[:8] for part in data))
        before = model.arena.values.copy()
    with pytest.raises(dfs.CheckpointError, match=message):
        model.fit(*data, **{"batch_size": 8, "verbose": 0} | settings, checkpoint=tmp_path,
                  resume=True)  # fmt: skip
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
    assert model.steps == built
    if built:
        assert_array_equal(model.arena.values, before)


def test_refuses_a_network_that_another_shape_has_built(data, tmp_path):
    small_model().fit(*data, 8, verbose=0, checkpoint=tmp_path)
    model = small_model(dtype=None)
    model.predict(data[0].astype("d"))
    with pytest.raises(dfs.CheckpointError, match="dtype is 'float32' in it, 'float64' here"):
        model.fit(*data, 8, verbose=0, checkpoint=tmp_path, resume=True)


def test_refuses_to_write_into_the_folder_of_a_run(data, tmp_path):
    small_model().fit(*data, verbose=0, checkpoint=tmp_path)
    with pytest.raises(FileExistsError, match="has checkpoints of a run already: resume=True goes"):
        small_model().fit(*data, verbose=0, checkpoint=tmp_path)


def test_refuses_a_file_that_is_no_checkpoint(data, tmp_path):
    model = small_model()
    model.train_on_batch(*data)
    model.save(tmp_path / "step-000000001.safetensors")
    with pytest.raises(dfs.CheckpointError, match="is not a checkpoint of a run: KeyError"):
        small_model().fit(*data, verbose=0, checkpoint=tmp_path, resume=True)


@pytest.mark.parametrize("settings", [{"resume": True}, {"checkpoint_every": 5}])
def test_settings_that_need_a_folder(settings, data):
    with pytest.raises(ValueError, match="need a folder, got checkpoint=None"):
        small_model().fit(*data, **settings)


def test_a_state_that_no_file_can_hold(data, tmp_path):
    class Bad(Callback):
        def state(self):
            return {"what": object()}

    with pytest.raises(TypeError, match=r"Bad.state must return numbers, text, .* <object object"):
        small_model().fit(*data, verbose=0, checkpoint=tmp_path, callbacks=[Bad()])
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_last_checkpoint(data, tmp_path, monkeypatch):
    assert run(data, tmp_path, 5) is None
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            run(data, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert_same(run(data, tmp_path), run(data))


PROGRAM = """
import sys, numpy as np, deepfs as dfs
sys.path.insert(0, {tests!r})
from models import small_model
dfs.set_seed(1)
rng = np.random.default_rng(0)
x, y = rng.random((50, 1, 8, 8), np.float32), rng.integers(0, 3, 50)
model = small_model()
model.fit(x, y, 8, 20, verbose=0, checkpoint=sys.argv[1], checkpoint_every=1, resume=True)
model.save(sys.argv[2])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")
def test_killed_at_any_moment_it_resumes_to_the_same_bits(tmp_path):
    program = [sys.executable, "-c", PROGRAM.format(tests=str(Path(__file__).parent))]
    killed, folder = 0, tmp_path / "run"
    while killed < 3:
        process = subprocess.Popen([*program, folder, tmp_path / "a.safetensors"])
        steps = max((p.name for p in folder.glob("step-*")), default="")
        while max((p.name for p in folder.glob("step-*")), default="") <= steps:
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(0.02 * killed)
        process.kill()
        killed += process.wait() == -signal.SIGKILL
    for where, name in ((folder, "a"), (tmp_path / "other", "b")):
        subprocess.run([*program, where, tmp_path / f"{name}.safetensors"], check=True)
    a, b = (TensorFile(tmp_path / f"{name}.safetensors") for name in "ab")
    with a, b:
        assert json.dumps(a.description) == json.dumps(b.description)
        for name in b.entries:
            assert_array_equal(a.read(name), b.read(name))
    assert sorted(os.listdir(folder)) == [f"step-{n:09d}.safetensors" for n in (139, 140)]


def test_a_model_resumes_though_its_layers_stand_in_two_places(data, tmp_path):
    def fit(**settings):
        dfs.set_seed(2)
        shared = L.Dense(8)
        net = L.Sequential([L.Dense(8), shared, L.ReLU(), shared, L.Dense(3)])
        model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam())
        model.fit(*data, 10, verbose=0, **settings)
        return model.arena.values

    fit(epochs=1, checkpoint=tmp_path)
    assert_array_equal(fit(epochs=2, checkpoint=tmp_path, resume=True), fit(epochs=2))
