"""CSVLogger, JSONLogger, TensorBoard: rows, all digits, full disks, files that are there."""

import csv
import errno
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import deepfs as dfs
from deepfs import layers as L
from deepfs.callbacks import Callback, CSVLogger, JSONLogger, TensorBoard

X, Y = np.eye(4), np.arange(4) % 2


def fit(*callbacks, epochs=3, **settings):
    model = dfs.Model(L.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.1))
    return model.fit(X, Y, 2, epochs, verbose=0, callbacks=list(callbacks), **settings)


def rows_of(path, separator=","):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter=separator))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_row_per_epoch_with_all_digits(separator, tmp_path):
    path = tmp_path / "new" / "log.csv"
    history = fit(CSVLogger(path, separator), validation_data=(X, Y))
    rows = rows_of(path, separator)
    assert list(rows[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    for name, values in history.items():
        assert [float(row[name]) for row in rows] == values
    assert b"\r" not in path.read_bytes()


def test_the_file_is_that_of_the_history(tmp_path):
    history = fit(CSVLogger(tmp_path / "log.csv"), validation_data=(X, Y))
    history.to_csv(tmp_path / "history.csv")
    text = (tmp_path / "log.csv").read_text()
    assert text == history.to_csv() == (tmp_path / "history.csv").read_text()


@pytest.mark.parametrize("make", [CSVLogger, JSONLogger])
def test_a_second_training_replaces_the_file_or_appends(make, tmp_path):
    log = make(tmp_path / "log")
    fit(log)
    first = (tmp_path / "log").read_text()
    fit(log)
    assert len((tmp_path / "log").read_text().splitlines()) == len(first.splitlines())
    assert (tmp_path / "log").read_text() != first
    before = (tmp_path / "log").read_text()
    fit(make(tmp_path / "log", append=True), epochs=2)
    after = (tmp_path / "log").read_text()
    assert after.startswith(before)
    assert len(after.splitlines()) == len(before.splitlines()) + 2


def test_a_line_that_was_cut_off_is_ended_before_what_is_appended(tmp_path):
    (tmp_path / "log").write_text('{"epoch": 0, "lo')
    fit(JSONLogger(tmp_path / "log", append=True), epochs=1)
    assert [line[:10] for line in (tmp_path / "log").read_text().split("\n")] == [
        '{"epoch": ', '{"epoch": ', ""]  # fmt: skip


def test_a_file_with_other_columns_is_refused_before_the_first_step(tmp_path):
    (tmp_path / "log.csv").write_text("epoch,loss\n0,1.5\n")
    with pytest.raises(ValueError, match=r"cannot append accuracy to .*, whose columns are epoch,"):
        fit(CSVLogger(tmp_path / "log.csv", append=True))
    assert (tmp_path / "log.csv").read_text() == "epoch,loss\n0,1.5\n"


class Adds(Callback):
    def on_epoch_end(self, epoch, logs):
        if epoch:
            logs["late"] = 1.0
        logs["odd, name"] = float("nan")


def test_a_number_that_comes_late_is_named(tmp_path):
    with pytest.warns(UserWarning, match="no column for late, which the first epoch did not have"):
        fit(Adds(), CSVLogger(tmp_path / "log.csv"), epochs=2)
    assert [row["odd, name"] for row in rows_of(tmp_path / "log.csv")] == ["nan", "nan"]


def test_a_line_of_json_per_epoch(tmp_path):
    history = fit(Adds(), JSONLogger(tmp_path / "log.jsonl"))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    assert [line["loss"] for line in lines] == history["loss"]
    assert lines[0]["odd, name"] is None
    assert [line.get("late") for line in lines] == [None, 1.0, 1.0]


class Fills(Callback):
    """Makes the disk full in some epochs: writing takes half of the bytes, then raises."""

    def __init__(self, monkeypatch, epochs):
        self.patch, self.epochs, self.open = monkeypatch, epochs, Path.open

    def on_epoch_begin(self, epoch, logs):
        def full(path, mode="r", *more, **named):
            file = self.open(path, mode, *more, **named)
            if mode == "r":
                return file
            write = file.write

            class Full:
                truncate, seek = file.truncate, file.seek

                def write(self, data):
                    write(data[: len(data) // 2])
                    raise OSError(errno.ENOSPC, "No space left on device")

                def __enter__(self):
                    return self

                def __exit__(self, *error):
                    file.close()

            return Full()

        self.patch.setattr(Path, "open", full if epoch in self.epochs else self.open)

    def on_epoch_end(self, epoch, logs):
        pass


@pytest.mark.parametrize("make", [CSVLogger, JSONLogger])
@pytest.mark.parametrize("epochs", [(1,), (0, 1), (1, 2)])
def test_a_full_disk_is_a_warning_and_the_rows_follow(make, epochs, monkeypatch, tmp_path):
    fills = Fills(monkeypatch, epochs)
    with pytest.warns(UserWarning, match="log cannot be written: No space left on device; the tra"):
        history = fit(fills, make(tmp_path / "log"), epochs=4)
    assert len(history["loss"]) == 4
    lines = (tmp_path / "log").read_text().splitlines()
    losses = [float(row["loss"]) for row in rows_of(tmp_path / "log")] if make is CSVLogger else [
        json.loads(line)["loss"] for line in lines]  # fmt: skip
    assert losses == history["loss"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_device_that_is_always_full_is_one_warning():
    with pytest.warns(UserWarning, match="/dev/full cannot be written: No space") as caught:
        history = fit(CSVLogger("/dev/full"))
    assert (len(caught), len(history["loss"])) == (1, 3)


def test_a_file_that_cannot_be_written_is_an_error_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "log.csv"):
        with pytest.raises(OSError, match=str(tmp_path)) as caught:
            fit(CSVLogger(path))
        assert "raised by the callback CSVLogger in on_train_begin" in caught.value.__notes__[0]


def test_a_file_that_is_removed_in_the_training_has_all_rows_again(tmp_path):
    class Removes(Callback):
        def on_epoch_begin(self, epoch, logs):
            if epoch == 2:
                (tmp_path / "log.csv").unlink()

    history = fit(Removes(), CSVLogger(tmp_path / "log.csv"))
    assert (tmp_path / "log.csv").read_text() == history.to_csv()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CSVLogger("a", "::"), "separator must be one character, got '::'"),
        (lambda: CSVLogger(3), "filename must be a str or Path, got 3"),
        (lambda: CSVLogger("a", sep=";"), "has no argument 'sep'"),
        (lambda: JSONLogger("a", append=2), "append must be"),
        (lambda: TensorBoard(update_freq="step"), 'update_freq must be "epoch", "batch", or'),
        (lambda: TensorBoard(histogram_freq=-1), "histogram_freq must be at least 0, got -1"),
    ],
)
def test_refuses(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_without_tensorboardx_the_line_for_pip_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"not installed: pip install 'deepfs\[tensorboard\]'"):
        fit(TensorBoard())


class Writer:
    """In the place of tensorboardX: keeps what is written; its disk may be full."""

    full = False
    made: list = []  # noqa: RUF012

    def __init__(self, folder, purge_step=None):
        self.folder, self.purge, self.scalars, self.histograms = folder, purge_step, [], []
        self.made.append(self)

    def add_scalar(self, *written):
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.scalars.append(written)

    def add_histogram(self, name, values, step):
        self.histograms.append((name, values.shape, step))

    def flush(self):
        pass

    close = flush


@pytest.fixture
def writer(monkeypatch):
    made = type("SummaryWriter", (Writer,), {"made": []})
    module = type(sys)("tensorboardX")
    module.SummaryWriter = made
    monkeypatch.setitem(sys.modules, "tensorboardX", module)
    return made


def test_tensorboard_gets_the_curves_of_keras(writer):
    history = fit(TensorBoard("logs", histogram_freq=2, update_freq=2), validation_data=(X, Y))
    by_folder = {made.folder: made for made in writer.made}
    train, test = by_folder["logs/train"], by_folder["logs/validation"]
    assert [s for s in train.scalars if s[0] == "epoch_loss"] == [
        ("epoch_loss", value, epoch) for epoch, value in enumerate(history["loss"])
    ]
    assert ("epoch_lr", 0.1, 2) in train.scalars
    assert [s[2] for s in train.scalars if s[0] == "batch_loss"] == [2, 4, 6]
    assert ("epoch_accuracy", history["val_accuracy"][1], 1) in test.scalars
    assert train.histograms == [(name, shape, epoch) for epoch in (0, 2)
                                for name, shape in (("weight", (8,)), ("bias", (2,)))]  # fmt: skip


def test_tensorboard_forgets_what_came_after_the_checkpoint(writer, tmp_path):
    fit(TensorBoard("logs"), epochs=2, checkpoint=tmp_path)
    assert [made.purge for made in writer.made] == [None]
    dfs.set_seed(0)
    fit(TensorBoard("logs"), epochs=3, checkpoint=tmp_path, resume=True)
    assert writer.made[1].purge == 2
    assert [s[2] for s in writer.made[1].scalars if s[0] == "epoch_loss"] == [2]


def test_tensorboard_on_a_full_disk_is_a_warning(writer):
    writer.full = True
    with pytest.warns(UserWarning, match="TensorBoard cannot write logs: .*No space") as caught:
        history = fit(TensorBoard())
    assert (len(caught), len(history["loss"])) == (1, 3)


def test_tensorboardx_reads_back_what_it_wrote(tmp_path):
    pytest.importorskip("tensorboardX")
    fit(TensorBoard(tmp_path, histogram_freq=1), validation_data=(X, Y))
    written = [path.read_bytes() for path in tmp_path.rglob("events*")]
    assert len(written) == 2
    assert all(b"epoch_loss" in content for content in written)


@pytest.mark.parametrize("make", [CSVLogger, JSONLogger])
def test_appended_rows_are_there_once_after_a_resume(make, tmp_path):
    class Dies(Callback):
        def on_epoch_end(self, epoch, logs):
            if (epoch, self.model.steps) in deaths:
                raise SystemExit

    def run(name, resume):
        dfs.set_seed(7)
        fit(make(tmp_path / name, append=True), Dies(), checkpoint=tmp_path / f"{name}-run",
            checkpoint_every=1, resume=resume)  # fmt: skip

    deaths = []
    for name in ("whole", "parts"):
        dfs.set_seed(1)
        fit(make(tmp_path / name), epochs=2)
    run("whole", resume=False)
    for death in ((0, 2), (1, 4), (1, 4)):
        deaths = [death]
        with pytest.raises(SystemExit):
            run("parts", resume=True)
    deaths = []
    run("parts", resume=True)
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()
    assert len((tmp_path / "parts").read_text().splitlines()) == 5 + (make is CSVLogger)
