"""ModelCheckpoint: which files there are, what is in them, which names are refused."""

import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.callbacks import Callback, ModelCheckpoint

X, Y = np.eye(4), np.arange(4) % 2
NAN = float("nan")


class Says(Callback):
    def __init__(self, scores):
        self.scores, self.answers = scores, []

    def on_epoch_end(self, epoch, logs):
        logs["score"] = self.scores[epoch]
        self.answers.append(self.model.predict(X))


def model():
    return dfs.Model(L.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.1))


def run(folder, name, scores, **settings):
    saver, says = ModelCheckpoint(folder / name, "score", mode="min", **settings), Says(scores)
    model().fit(X, Y, 1, epochs=len(scores), verbose=0, callbacks=[says, saver])
    return saver, says.answers, sorted(os.listdir(folder)) if folder.exists() else []


@pytest.mark.parametrize(
    ("scores", "settings", "files", "best"),
    [
        ([3, 1, 2], {}, ["1", "2", "3"], None),
        ([3, 1, 2, 0.5], {"save_best_only": True}, ["1", "2", "4"], 0.5),
        ([3, 1, 2, 0.5], {"save_top_k": 1}, ["4"], 0.5),
        ([3, 1, 2, 0.5, 9], {"save_top_k": 2}, ["2", "4"], 0.5),
        ([1, 1, 1], {"save_top_k": 2}, ["1", "2"], 1),  # the first of equal ones
        ([NAN, 2, NAN, 1], {"save_top_k": 3}, ["2", "4"], 1),
        ([3, 1, 2], {"initial_value_threshold": 2.5}, ["2", "3"], 1),
        ([3, 1, 2], {"initial_value_threshold": 2.5, "save_best_only": True}, ["2"], 1),
        ([3, 1], {"initial_value_threshold": 0.0, "save_top_k": 1}, [], None),
    ],
)
def test_which_files_there_are(scores, settings, files, best, tmp_path):
    saver, answers, found = run(tmp_path / "new" / "folder", "{epoch}", scores, **settings)
    assert found == files
    assert saver.best == best
    if best is not None:
        number = scores.index(best)
        assert os.path.basename(saver.best_model_path) == f"{number + 1}"
        assert_array_equal(dfs.load(saver.best_model_path).predict(X), answers[number])
    if "save_top_k" in settings:
        kept = {os.path.basename(path): value for path, value in saver.best_k_models.items()}
        assert kept == {name: scores[int(name) - 1] for name in files}


def test_larger_values_may_be_better(tmp_path):
    saver = ModelCheckpoint(tmp_path / "{epoch}", "val_accuracy", save_top_k=1)
    assert saver.mode == "auto"
    saver = ModelCheckpoint(tmp_path / "{epoch}", "score", mode="max", save_top_k=1)
    model().fit(X, Y, epochs=3, verbose=0, callbacks=[Says([1, 3, 2]), saver])
    assert os.listdir(tmp_path) == ["2"]


def test_names_have_the_numbers_of_the_epoch(tmp_path):
    _, _, found = run(tmp_path, "m-{epoch:03d}-{score:.2f}-{loss:.0f}.safetensors", [0.128])
    assert found == ["m-001-0.13-1.safetensors"]


def test_saves_after_so_many_steps(tmp_path):
    saver, _, found = run(tmp_path, "{epoch}-{batch}", [1, 2, 3], save_freq=3)
    assert found == ["1-3", "2-2", "3-1", "3-4"]
    assert dfs.load(saver.best_model_path).steps == 12


def test_a_second_fit_goes_on_and_another_model_starts_anew(tmp_path):
    saver = ModelCheckpoint(tmp_path / "m", "score", mode="min", save_best_only=True)
    one = model()
    one.fit(X, Y, epochs=1, verbose=0, callbacks=[Says([1]), saver])
    one.fit(X, Y, epochs=1, verbose=0, callbacks=[Says([2]), saver])
    assert saver.best == 1
    model().fit(X, Y, epochs=1, verbose=0, callbacks=[Says([2]), saver])
    assert saver.best == 2


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("{epoc}", {}, r"has the field \{epoc\} in filepath, but there is only epoch, loss, acc"),
        ("{los:.3f}", {}, "did you mean 'loss'"),
        ("{batch}", {}, r"the field \{batch\}"),
        ("{loss:03d}", {}, "cannot be filled in"),
        ("{val_loss}", {"save_freq": 2}, r"field \{val_loss\} in filepath, but there is only epo"),
    ],
)
def test_a_name_that_cannot_be_filled_in_is_refused_before_the_first_step(
    name, settings, message, tmp_path
):
    net = model()
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y, verbose=0, validation_data=(X, Y),
                callbacks=ModelCheckpoint(tmp_path / name, **settings))  # fmt: skip
    assert net.steps == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"save_top_k": 2}, r"save_top_k=2 needs a field in filepath, such as \{epoch\}, got 'm'"),
        ({"save_top_k": 0}, "save_top_k must be at least 1, got 0"),
        ({"save_top_k": 1, "save_best_only": True}, "save_best_only or save_top_k, got both"),
        ({"save_best_only": True, "save_freq": 9}, 'compares epochs: give save_freq="epoch"'),
        ({"save_freq": "batch"}, 'save_freq, where it is not "epoch", must be an int, got'),
        ({"save_weights_only": True}, "has no argument 'save_weights_only'"),
    ],
)
def test_refuses(settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        ModelCheckpoint("m", **settings)


def test_a_brace_too_many_is_named():
    with pytest.raises(ValueError, match=r"filepath 'm\{' cannot be filled in"):
        ModelCheckpoint("m{")
