"""The command: what it prints, what it saves, and that errors are one line and exit 2."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

import deepfs as dfs
from cnn_core.threads import has_openmp
from deepfs.cli import main


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network that has seen the bundled digits once."""
    folder = tmp_path_factory.mktemp("run")
    arguments = ["train", "--epochs", "1", "--network", "mlp", "--lr", "0.003", "--out", folder]
    assert main(list(map(str, arguments))) == 0
    return folder / "mnist_mini-mlp.safetensors"


def test_train_tells_what_to_do_next(tmp_path, capsys):
    arguments = ["train", "--epochs", "1", "--network", "mlp", "--threads", "1", "--seed", "3"]
    before = dfs.get_num_threads()
    assert main([*arguments, "--out", str(tmp_path), "--optimizer", "momentum"]) == 0
    assert dfs.get_num_threads() == 1
    dfs.set_num_threads(before)
    printed = capsys.readouterr().out
    path = tmp_path / "mnist_mini-mlp.safetensors"
    assert path.is_file()
    for part in (
        "mlp on mnist_mini: 5,000 training and 1,000 test images",
        "89,610 parameters, float32",
        "epoch 1/1  loss ",
        "test accuracy ",
        f"saved as {path}",
        f"next:  deepfs evaluate {path} mnist_mini",
    ):
        assert part in printed
    assert type(dfs.load(path).optimizer).__name__ == "Momentum"


def test_training_repeats_by_seed(tmp_path, capsys):
    printed = []
    for seed in ("1", "1", "2"):
        arguments = ["train", "--epochs", "1", "--network", "mlp", "--seed", seed]
        assert main([*arguments, "--out", str(tmp_path)]) == 0
        line = next(li for li in capsys.readouterr().out.splitlines() if li.startswith("epoch"))
        printed.append(line.split("images/s")[0].rsplit(" ", 2)[0])
    assert printed[0] == printed[1] != printed[2]


def test_evaluate(trained, capsys):
    assert main(["evaluate", str(trained), "mnist_mini"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{trained} on 1,000 test images of mnist_mini, ")
    assert lines[1].startswith("loss      0.")
    assert float(lines[2].removeprefix("accuracy ").strip(" %")) > 80


def test_predict_pictures_and_arrays(trained, tmp_path, capsys):
    _, (x, y) = dfs.datasets.mnist_mini(dtype="uint8")
    wanted = dfs.load(trained).predict_proba(x[:3] / np.float32(255))
    Image.fromarray(x[0, 0]).save(tmp_path / "a.png")
    Image.fromarray(255 - x[0, 0]).convert("RGB").save(tmp_path / "dark on light.png")
    Image.fromarray(x[0, 0]).resize((56, 56)).save(tmp_path / "b.jpg")
    np.save(tmp_path / "c.npy", x[:3])
    np.save(tmp_path / "d.npy", x[0, 0] / np.float32(255))
    names = [str(tmp_path / name) for name in ("a.png", "b.jpg", "c.npy", "d.npy")]
    assert main(["predict", str(trained), *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    best = f"{wanted[0].argmax()} {wanted[0].max():.2%}"
    assert lines[0].startswith(f"{names[0]}: {best}")
    assert lines[1].startswith(f"{names[1]}: {wanted[0].argmax()} ")
    assert lines[3].startswith(f"{names[2]}[1]: {wanted[1].argmax()} {wanted[1].max():.2%}")
    assert lines[5].startswith(f"{names[3]}: {best}")
    assert main(["predict", str(trained), str(tmp_path / "dark on light.png"), "--invert"]) == 0
    assert f": {best}" in capsys.readouterr().out


def test_images_far_from_the_training_data_warn(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _, (x, y) = dfs.datasets.mnist_mini(dtype="uint8")
    Image.fromarray(x[0, 0]).save("a.png")
    for name in "bc":  # a warning for each
        Image.fromarray(255 - x[0, 0]).save(f"{name}.png")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["predict", str(trained), "a.png", "b.png", "c.png"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 3
    lines = err.splitlines()
    for name, line in zip("bc", lines, strict=True):
        assert line.startswith(f"deepfs predict: warning: {name}.png: inputs have the mean 0.")
        assert line.endswith(": they look like negatives, as dark digits on light; try --invert")
    assert main(["predict", str(trained), "b.png", "c.png", "--invert"]) == 0
    assert capsys.readouterr().err == ""


def test_info(capsys):
    import safetensors

    import cnn_core

    assert main(["info"]) == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    rows = {name.strip(): value.strip() for name, value in rows.items()}
    assert rows["deepfs"] == dfs.__version__
    assert rows["safetensors"] == safetensors.__version__
    assert rows["instruction set"].startswith(cnn_core.level)
    assert rows["C interface"].startswith(f"version {cnn_core.API_VERSION}, ")
    openmp = f"on, {dfs.get_num_threads()} of " if has_openmp() else "OFF: "
    assert rows["OpenMP"].startswith(openmp)
    if has_openmp() and sys.platform == "linux":
        libraries = [path.rpartition("/")[2] for path in rows["OpenMP libraries"].split(", ")]
        assert all(name.startswith(("libgomp", "libomp", "libiomp")) for name in libraries)
    assert rows["extra 'images'"] == "yes"


def test_info_says_when_openmp_is_off(monkeypatch, capsys):
    monkeypatch.setattr("cnn_core.threads.has_openmp", lambda: False)
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    assert "OFF: built without it, kernels use one thread; install libgomp, or libomp on " in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--out", "nowhere"], "--out must be a folder that exists, got 'nowhere'"),
        (["train", "--lr", "-1"], "lr must be in (0, inf), got -1.0"),
        (["train", "--seed", "-1"], "seed must be at least 0, got -1"),
        (["train", "--lr", "nan"], "lr must be in (0, inf), got nan"),
        (["train", "--checkpoint", "text.png"], "--checkpoint must be a folder, got 'text.png'"),
        (["train", "--resume"], "--resume: there is no interrupted training in mnist_mini-mini"),
        (["train", "--resume", "--checkpoint", "no"], "there is no interrupted training in no"),
        (
            ["train", "--data", "."],
            "--data is for mnist, fashion_mnist, cifar10, cifar100, got it with mnist_mini",
        ),
        (["train", "mnist", "--data", "nowhere"], "nowhere"),
        (["evaluate", "nowhere", "mnist_mini"], "nowhere: no such file"),
        (["predict", "nowhere", "a.png"], "nowhere: no such file"),
        (["predict", "MODEL", "nowhere.png"], "nowhere.png: no such file"),
        (["predict", "MODEL", "text.png"], "must be a PNG, a JPEG or an .npy file, got neither"),
        (["predict", "MODEL", "small.npy"], "small.npy must hold images of 1x28x28, got float64"),
        (["predict", "MODEL", "broken.npy"], "broken.npy must be an .npy file of numbers"),
        (["predict", "MODEL", "zip.npy"], "zip.npy must be an .npy file of numbers"),
        (["predict", "MODEL", "huge.npy"], "huge.npy must be an .npy file of numbers"),
        (["predict", "MODEL", "cut.npy"], "cut.npy must be an .npy file of numbers"),
        (["predict", "MODEL", "three.npy"], "three.npy must hold images of 1x28x28, got"),
        (["predict", "MODEL", "bright.npy"], "bright.npy must hold floats from 0 to 1 or ints"),
        (["predict", "MODEL", "cut.png"], "cut.png must be a PNG, a JPEG or an .npy file"),
        (
            ["train", "--network", "mlp", "--optimizer", "sgd", "--lr", "1e38"],
            "-diverged.safetensors",
        ),
        (["evaluate", "text.png", "mnist_mini"], "text.png is not a safetensors file"),
    ],
)
def test_errors_are_one_line(arguments, message, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "broken.npy").write_text("no array")
    np.save(tmp_path / "small.npy", np.zeros((5, 5)))
    np.save(tmp_path / "three.npy", np.zeros((2, 3, 28, 28)))
    np.save(tmp_path / "bright.npy", np.full((28, 28), 300))
    np.savez(tmp_path / "a.npz", np.zeros(3))
    (tmp_path / "a.npz").rename(tmp_path / "zip.npy")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "small.npy").read_bytes()[:70])
    with (tmp_path / "huge.npy").open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (2**30, 2**16)}
        np.lib.format.write_array_header_1_0(file, header)
    noise = np.random.default_rng(0).integers(0, 255, (28, 28)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:60])
    assert main([str(trained) if a == "MODEL" else a for a in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"deepfs {arguments[0]}: error: ")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--verison"], "there is no option --verison: did you mean --version?"),
        (["trainn"], "invalid choice: 'trainn'"),
        (["trainn"], "): did you mean train? (deepfs --help)"),
        (["train", "mnistmini"], "cifar100: did you mean mnist_mini? (deepfs train --help)"),
        (["train", "--epohcs", "5"], "no option --epohcs: did you mean --epochs? (deepfs train"),
        (["train", "--epohcs=5"], "there is no option --epohcs: did you mean --epochs?"),
        (["train", "--epoch", "5"], "there is no option --epoch: did you mean --epochs?"),
        (["train", "--batch_size", "5"], "no option --batch_size: did you mean --batch-size?"),
        (["train", "-epochs", "5"], "there is no option -epochs: did you mean --epochs?"),
        (["train", "-x"], "there is no option -x (deepfs train --help)"),
        (["train", "--network", "vggsmall"], "did you mean vgg_small?"),
        (["train", "--optimizer", "Adam"], "did you mean adam?"),
        (["train", "--lr", "x"], "argument --lr: must be a number, got 'x'"),
        (["train", "--seed", "1.5"], "argument --seed: must be an int, got '1.5'"),
        (["train", "--epochs"], "argument --epochs: expected one argument"),
        (["predict"], "the following arguments are required: MODEL, IMAGE"),
        (["evaluate", "m", "fashion-mnist"], "did you mean fashion_mnist?"),
        (["info", "--threads", "2"], "there is no option --threads"),
        (["learn"], "invalid choice: 'learn'"),
        (["train", "cifar"], "there is no folder 'cifar', and data sets are mnist_mini, mnist, "),
        (["train", "--epochs", "0"], "must be an int of at least 1, got '0'"),
        (["train", "--threads", "two"], "must be an int of at least 1, got 'two'"),
        (["train", "--network", "vgg"], "invalid choice: 'vgg'"),
    ],
)
def test_usage_errors(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_missing_pillow_names_the_extra(trained, tmp_path, monkeypatch, capsys):
    Image.new("L", (28, 28)).save(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert main(["predict", str(trained), str(tmp_path / "a.png")]) == 2
    assert "which is not installed: pip install 'deepfs[images]'" in capsys.readouterr().err


def test_as_a_module():
    """``python -m deepfs``, as a user runs it: no traceback, exit 2."""
    command = [sys.executable, "-m", "deepfs", "evaluate", "nowhere", "mnist"]
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert run.returncode == 2
    assert run.stderr == "deepfs evaluate: error: nowhere: no such file\n"


def test_a_run_goes_on_from_its_checkpoints(tmp_path, capsys):
    def train(name, epochs, *more):
        out = tmp_path / name
        out.mkdir(exist_ok=True)
        arguments = ["train", "--network", "mlp", "--epochs", str(epochs), "--out", str(out)]
        assert main([*arguments, *more]) == 0
        return dfs.load(out / "mnist_mini-mlp.safetensors").arena.values

    folder = ["--checkpoint", str(tmp_path / "run")]
    train("a", 1, *folder)
    assert "epoch 1/2" not in capsys.readouterr().out
    again = train("a", 2, *folder)
    printed = capsys.readouterr().out
    assert "epoch 2/2" in printed
    assert "epoch 1/2" not in printed
    assert (again == train("b", 2)).all()


@pytest.mark.parametrize("name", ["lamb", "radam", "nesterov"])
def test_every_optimizer_is_there(name, tmp_path):
    assert main(["train", "--network", "mlp", "--epochs", "1", "--batch-size", "1000",
                 "--optimizer", name, "--out", str(tmp_path)]) == 0  # fmt: skip
    model = dfs.load(tmp_path / "mnist_mini-mlp.safetensors")
    assert type(model.optimizer).__name__.lower() == name


def test_a_level_that_is_not_there_is_one_line():
    run = subprocess.run(
        [sys.executable, "-m", "deepfs", "info"],
        env=os.environ | {"DEEPFS_ISA": "v9"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("deepfs: error: DEEPFS_ISA must be one of ")
    assert run.stderr.endswith("got 'v9'\n")
    assert run.stderr.count("\n") == 1
