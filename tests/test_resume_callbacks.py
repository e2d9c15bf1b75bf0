"""A run with callbacks that stop, save, log and set the rate ends in the same bits when resumed."""

import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    JSONLogger,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from models import small_model

STEPS = 4  # of an epoch


class Dies(Callback):
    """Ends the process, as it were, after a step, or after what an epoch writes."""

    def __init__(self, at=None, hook="on_train_batch_end"):
        self.at, self.hook = at, hook

    def on_train_batch_end(self, batch, logs):
        self.die("on_train_batch_end")

    def on_epoch_end(self, epoch, logs):
        self.die("on_epoch_end")

    def die(self, hook):
        if self.model.steps == self.at and hook == self.hook:
            raise SystemExit


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    return rng.random((32, 1, 8, 8), np.float32), rng.integers(0, 3, 32)


def rates(kind):
    if kind == "plateau":
        return ReduceLROnPlateau("val_loss", 0.5, patience=1, min_lr=1e-3)
    return LearningRateScheduler(lambda epoch, lr: lr * 0.7)


def run(data, folder, dies, kind="plateau", resume=True):
    """Train from the beginning of a process, as far as it gets; return all that could differ."""
    dfs.set_seed(3)
    model = small_model()
    model.optimizer.lr = 0.05
    stop = EarlyStopping(patience=2)
    best = ModelCheckpoint(folder / "files" / "{epoch}-{val_loss:.4f}", save_top_k=2)
    callbacks = [rates(kind), stop, best, CSVLogger(folder / "log.csv"),
                 JSONLogger(folder / "log.jsonl"), dies]  # fmt: skip
    settings = {"checkpoint": folder / "run", "checkpoint_every": 1, "resume": True}
    try:
        history = model.fit(*data, 8, 9, validation_data=(data[0][::-1], data[1]), verbose=0,
                            callbacks=callbacks, **(settings if resume else {}))  # fmt: skip
    except SystemExit:
        return None
    arrays = [model.arena.values, *model.state.values(), *model.network.buffers().values()]
    files = {name: (folder / "files" / name).read_bytes() for name in os.listdir(folder / "files")}
    return {
        "history": history.history,
        "stop": (stop.best, stop.best_epoch, stop.stopped_epoch, stop.wait),
        "best": [os.path.basename(name) for name in best.best_k_models],
        "rate": model.optimizer.lr,
        "steps": model.steps,
        "files": files,
        "logs": [(folder / name).read_bytes() for name in ("log.csv", "log.jsonl")],
        "arrays": [array.tobytes() for array in arrays],
    }


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    return {
        kind: run(data, tmp_path_factory.mktemp(kind), Dies(), kind, resume=False)
        for kind in ("plateau", "function")
    }


def test_the_run_has_all_that_is_to_be_kept(whole):
    """It is stopped early, has cut the rate and removed files."""
    found = whole["plateau"]
    epochs = len(found["history"]["loss"])
    assert epochs < 9
    assert found["stop"][1:] == (epochs - 3, epochs - 1, 2)
    assert found["rate"] < 0.05
    assert len(found["files"]) == 2 < epochs
    assert len(found["logs"][0].splitlines()) == epochs + 1


@pytest.mark.parametrize("kind", ["plateau", "function"])
def test_interrupted_after_each_step_it_ends_in_the_same_bits(kind, whole, data, tmp_path):
    for at in range(1, whole[kind]["steps"] + 1):
        assert run(data, tmp_path, Dies(at), kind) is None
    assert run(data, tmp_path, Dies(), kind) == whole[kind]


@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_what_was_written_after_the_checkpoint_is_written_anew(epoch, whole, data, tmp_path):
    """The log has a row, and the folder a file, of an epoch that the checkpoint does not have."""
    at = epoch * STEPS
    assert run(data, tmp_path, Dies(at, "on_epoch_end")) is None
    assert len((tmp_path / "log.csv").read_text().splitlines()) == epoch + 1
    assert run(data, tmp_path, Dies(at, "on_epoch_end")) is None
    assert len((tmp_path / "log.csv").read_text().splitlines()) == epoch + 1
    assert run(data, tmp_path, Dies()) == whole["plateau"]


def test_a_log_that_was_removed_has_all_rows_again(whole, data, tmp_path):
    assert run(data, tmp_path, Dies(2 * STEPS + 1)) is None
    (tmp_path / "log.csv").unlink()
    (tmp_path / "log.jsonl").write_text("{}")
    assert run(data, tmp_path, Dies()) == whole["plateau"]


def test_a_run_that_is_done_restores_the_best_weights_again(whole, data, tmp_path):
    first, again = (run(data, tmp_path, Dies()) for _ in range(2))
    assert first == again == whole["plateau"]


def test_another_first_rate_is_another_run(data, tmp_path):
    def fit(lr):
        dfs.set_seed(3)
        model = small_model()
        model.optimizer.lr = lr
        model.fit(*data, 8, 2, verbose=0, checkpoint=tmp_path, resume=True,
                  callbacks=ReduceLROnPlateau("loss", patience=1, min_delta=99))  # fmt: skip
        return model

    model = fit(0.5)
    assert model.optimizer.lr == 0.05
    with pytest.raises(dfs.CheckpointError, match=r"fit.lr is 0.5 in it, 0.25 here"):
        fit(0.25)
    values = model.arena.values.copy()
    model.fit(*data, 8, 2, verbose=0, checkpoint=tmp_path, resume=True,
              callbacks=ReduceLROnPlateau("loss", patience=1, min_delta=99))  # fmt: skip
    assert_array_equal(model.arena.values, values)  # the same model, whose rate has moved on
