"""The command among others: Ctrl-C, pipes, streams that are closed or full, names of files."""

import os
import re
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

import deepfs as dfs
from deepfs import _command
from deepfs.cli import main
from deepfs.saving.checkpoints import paths_in

posix = pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")
MODEL = "mnist_mini-mlp.safetensors"
RUN = "mnist_mini-mlp.checkpoints"
TRAIN = ["train", "--network", "mlp", "--batch-size", "500"]


def start(*arguments, **settings):
    """Start the command as a shell in a terminal does."""
    program = [sys.executable, "-m", "deepfs", *map(str, arguments)]
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | settings
    return subprocess.Popen(
        program, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **settings
    )


def run(*arguments, **settings):
    with start(*arguments, **settings) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def interrupted(folder, *more):
    """Train until the first line of an epoch, press Ctrl-C; return epochs done, and stderr."""
    with start(*TRAIN, "--epochs", "100000", *more, cwd=folder) as process:
        epochs = 0
        while not epochs:
            line = process.stdout.readline()
            assert line, process.stderr.read()  # it has ended
            epochs += line.startswith("epoch ")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    return epochs + out.count("epoch "), err


def test_alone_it_prints_the_help(capsys):
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: deepfs [-h] [--version] COMMAND ...\n")
    assert re.search("train +Train a network and save it.", out)
    assert err == ""


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"deepfs {dfs.__version__}\n"


@pytest.mark.parametrize(
    "command", ["", "train", "evaluate", "predict", "plan", "diagnose", "lab", "info"]
)
def test_the_help_fits_80_columns(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stopped:
        main([*command.split(), "--help"])
    assert stopped.value.code == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@posix
def test_ctrl_c_says_how_to_go_on_and_that_way_leads_to_the_same_bits(tmp_path):
    broken, whole = tmp_path / "broken it's", tmp_path / "whole"
    broken.mkdir()
    whole.mkdir()
    _, err = interrupted(broken)
    assert re.fullmatch(
        rf"deepfs train: interrupted after [\d,]+ steps, saved as {MODEL}\nto go on: deepfs train "
        r"--network mlp --batch-size 500 --epochs 100000 --resume\n",
        err,
    )
    steps = dfs.load(paths_in(broken / RUN)[-1]).steps
    assert dfs.load(broken / MODEL).steps == steps
    epochs = str(steps // 10 + 2)
    status, out, err = run(*TRAIN, "--epochs", epochs, "--resume", cwd=broken)
    assert (status, err) == (0, "")
    assert f"epoch {epochs}/{epochs}" in out
    assert os.listdir(broken) == [MODEL]  # no checkpoints after the end
    assert run(*TRAIN, "--epochs", epochs, cwd=whole)[0] == 0
    models = [dfs.load(folder / MODEL) for folder in (broken, whole)]
    assert_array_equal(models[0].arena.values, models[1].arena.values)
    assert models[0].steps == models[1].steps == 10 * int(epochs)


@posix
def test_a_training_that_was_interrupted_is_not_lost_by_starting_anew(tmp_path):
    interrupted(tmp_path)
    before = sorted(os.listdir(tmp_path / RUN))
    status, _, err = run(*TRAIN, "--epochs", "1", cwd=tmp_path)
    assert status == 2
    assert err == (
        f"deepfs train: error: {RUN} has an interrupted training: add --resume to go on with it, "
        "or remove that folder to start anew\n"
    )
    assert sorted(os.listdir(tmp_path / RUN)) == before
    status, _, err = run(*TRAIN, "--epochs", "100000", "--lr", "0.5", "--resume", cwd=tmp_path)
    assert status == 2
    assert "is of another model: optimizer.lr is 0.001 in it, 0.5 here" in err
    assert err.count("\n") == 1


@posix
def test_ctrl_c_with_a_folder_for_checkpoints(tmp_path):
    _, err = interrupted(tmp_path, "--checkpoint", "my run")
    assert err.endswith("--epochs 100000 --checkpoint 'my run' --resume\n")
    assert sorted(os.listdir(tmp_path)) == [MODEL, "my run"]
    last = paths_in(tmp_path / "my run")[-1]
    assert dfs.load(last).steps == dfs.load(tmp_path / MODEL).steps


@posix
def test_a_second_ctrl_c_ends_at_once_and_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def press(self, logs, *_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("deepfs.optimizers.Optimizer.observe", press)  # after an epoch
    monkeypatch.setattr("deepfs.commands.train.paths_in", lambda folder: [folder])
    assert main([*TRAIN, "--epochs", "3", "--checkpoint", "c"]) == 130
    err = capsys.readouterr().err
    assert err == (
        "deepfs train: interrupted; to go on: deepfs train --network mlp --batch-size 500 "
        "--epochs 3 --checkpoint c --resume\n"
    )


def test_ctrl_c_before_the_first_step(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("deepfs.commands._sets.arrays_of", press)
    assert main(["train"]) == 130
    assert capsys.readouterr().err == "deepfs train: interrupted\n"
    assert os.listdir(tmp_path) == []


@posix
def test_a_training_goes_on_under_nohup(tmp_path):
    program = [sys.executable, "-m", "deepfs", *TRAIN, "--epochs", "30"]
    with subprocess.Popen(
        program, cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    ) as process:  # fmt: skip
        while not process.stdout.readline().startswith("epoch "):
            pass
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "epoch 30/30" in out


def test_a_full_disk_while_a_checkpoint_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fsync, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) > 2:  # the first checkpoint and its folder
            raise OSError(28, "No space left on device")
        return fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    assert main([*TRAIN, "--epochs", "3"]) == 2
    assert capsys.readouterr().err == (
        "deepfs train: error: No space left on device; to go on: deepfs train --network mlp "
        "--batch-size 500 --epochs 3 --resume\n"
    )
    assert len(os.listdir(RUN)) == 1


def test_a_training_that_diverges_leaves_no_checkpoints(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*TRAIN, "--optimizer", "sgd", "--lr", "1e38"]) == 2
    assert os.listdir(tmp_path) == ["mnist_mini-mlp-diverged.safetensors"]


def test_a_training_that_learned_nothing_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*TRAIN, "--epochs", "1", "--optimizer", "sgd", "--lr", "1e-9"]) == 0
    assert re.fullmatch(
        r"deepfs train: warning: [\d.]+% is no better than guessing: the network has learned "
        r"nothing; try another --lr than 1e-09, or more --epochs\n",
        capsys.readouterr().err,
    )
    assert main([*TRAIN, "--epochs", "1"]) == 0
    assert capsys.readouterr().err == ""


@posix
@pytest.mark.parametrize("redirect", ["| head -1", "2>&1 | true"])
def test_a_reader_that_goes_away_does_not_end_a_training(redirect, tmp_path):
    command = f"'{sys.executable}' -m deepfs {' '.join(TRAIN)} --epochs 3"
    script = f"set -o pipefail; {command} {redirect}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert dfs.load(tmp_path / MODEL).steps == 30
    assert os.listdir(tmp_path) == [MODEL]


@posix
def test_other_commands_end_quietly_without_a_reader(tmp_path):
    assert main([*TRAIN, "--epochs", "1", "--out", str(tmp_path)]) == 0
    digits = (dfs.datasets.mnist_mini()[1][0][:, 0] * 255).astype("u1")
    np.save(tmp_path / "many.npy", np.tile(digits, (20, 1, 1)))
    arguments = ["predict", tmp_path / MODEL, tmp_path / "many.npy"]
    with start(*arguments) as process:
        assert process.stdout.readline().startswith(f"{tmp_path / 'many.npy'}[0]: ")
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (0, "")
    for unbuffered in ("", "1"):  # written when the process ends, or at once
        env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        with open(os.devnull) as unwritable, start("info", stdout=unwritable, env=env) as process:
            err = process.stderr.read()
        assert process.returncode == 2  # stdout cannot be written
        assert err.startswith("deepfs info: error: what it printed is incomplete: ")


@posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_behind_the_output_does_not_end_a_training(tmp_path):
    with open("/dev/full", "w") as full:
        status, _, err = run(*TRAIN, "--epochs", "2", cwd=tmp_path, stdout=full)
    assert status == 2
    assert err == ("deepfs train: error: what it printed is incomplete: No space left on device\n")
    assert dfs.load(tmp_path / MODEL).steps == 20


@posix
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(closed, tmp_path):
    command = f"'{sys.executable}' -m deepfs {' '.join(TRAIN)} --epochs 1 {closed}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, timeout=60, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert dfs.load(tmp_path / MODEL).steps == 10
    command = f"'{sys.executable}' -m deepfs evaluate nowhere mnist_mini {closed}"
    assert subprocess.run(["bash", "-c", command], timeout=60).returncode == 2


@posix
def test_names_that_a_terminal_would_obey_or_cannot_show(tmp_path):
    """Such as colours and cursor movements in the name of a file, or letters beyond ASCII."""
    assert main([*TRAIN, "--epochs", "1", "--out", str(tmp_path)]) == 0
    names = ["ä.png", "\x1b[2Jred.png", "two\nlines.png", os.fsdecode(b"\xff.png")]
    for name in names:
        Image.new("L", (28, 28)).save(tmp_path / "a.png")
        (tmp_path / "a.png").rename(tmp_path / name)
    for coding in ("utf-8", "ascii"):
        status, out, err = run(
            "predict", MODEL, *names, cwd=tmp_path,
            env=os.environ | {"PYTHONIOENCODING": coding, "PYTHONUTF8": "0"}, encoding="utf-8",
        )  # fmt: skip
        assert (status, err) == (0, "")
        first = "ä.png" if coding == "utf-8" else r"\xe4.png"
        assert [line.partition(": ")[0] for line in out.splitlines()] == [
            first, r"\x1b[2Jred.png", r"two\nlines.png", r"\udcff.png",
        ]  # fmt: skip
    status, _, err = run("predict", MODEL, "\x1b[2J\n.png", cwd=tmp_path)
    assert (status, err) == (2, "deepfs predict: error: \\x1b[2J .png: no such file\n")


def test_streams_are_given_back(capsys, monkeypatch):
    before = sys.stdout, sys.stderr, sys.stdout.errors, sys.stderr.errors
    main(["evaluate", "nowhere", "mnist_mini"])
    with pytest.raises(SystemExit):
        main(["--version"])
    assert (sys.stdout, sys.stderr, sys.stdout.errors, sys.stderr.errors) == before
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["info"]) == 0
    assert main(["evaluate", "nowhere", "mnist_mini"]) == 2
    assert sys.stdout is sys.stderr is None


def test_warnings_are_one_line(tmp_path, capsys):
    assert main([*TRAIN, "--epochs", "1", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    Image.new("L", (28, 28)).save(tmp_path / "a.png", icc_profile=b"Display P3")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["predict", str(tmp_path / MODEL), str(tmp_path / "a.png")]) == 0
    assert capsys.readouterr().err == (
        f"deepfs predict: warning: {tmp_path / 'a.png'}: its colour profile is not applied, "
        "a viewer may show other colours\n"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, "No such file or directory", "a"), "a: No such file or directory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("x is a FIFO"), "x is a FIFO"),
        (MemoryError(), "MemoryError"),
        (ValueError("two\n   lines"), "two lines"),
    ],
)
def test_errors_in_words(error, words):
    assert _command.in_words(error) == words


def test_ctrl_c_while_it_is_imported(monkeypatch, capsys):
    from deepfs.__main__ import main as entry

    class Interrupts:
        def find_spec(self, name, *_):
            if name == "deepfs.cli":
                raise KeyboardInterrupt

    saved = {name: sys.modules.pop(name) for name in ["deepfs.cli"]}
    monkeypatch.setattr(sys, "meta_path", [Interrupts(), *sys.meta_path])
    try:
        assert entry() == 130
    finally:
        sys.modules.update(saved)
    assert capsys.readouterr().err == "deepfs: interrupted\n"
