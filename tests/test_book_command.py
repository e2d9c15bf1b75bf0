"""`deepfs book`: the files it lays beside a student's chapters, and a script that runs on them."""

import gzip
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnn_core
import deepfs
from deepfs.book import _settings
from deepfs.book.dataset.mnist import FILES
from deepfs.cli import main
from deepfs.commands.book import MARK, book, texts

SOURCES = [Path(deepfs.__file__).parents[1], Path(cnn_core.__file__).parents[1]]

SCRIPT = """
import sys, os
sys.path.append(os.pardir)
from collections import OrderedDict
from dataset.mnist import load_mnist
from common.layers import *
from common.gradient import numerical_gradient
from common.trainer import Trainer


class Net:
    def __init__(self):
        self.params = {}
        self.params['W1'] = 0.1 * np.random.randn(4, 1, 5, 5)
        self.params['b1'] = np.zeros(4)
        self.params['W2'] = 0.1 * np.random.randn(4 * 12 * 12, 10)
        self.params['b2'] = np.zeros(10)
        self.layers = OrderedDict()
        self.layers['Conv1'] = Convolution(self.params['W1'], self.params['b1'])
        self.layers['Relu1'] = Relu()
        self.layers['Pool1'] = Pooling(pool_h=2, pool_w=2, stride=2)
        self.layers['Affine1'] = Affine(self.params['W2'], self.params['b2'])
        self.last_layer = SoftmaxWithLoss()

    def predict(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x, t):
        return self.last_layer.forward(self.predict(x), t)

    def accuracy(self, x, t):
        return np.sum(np.argmax(self.predict(x), axis=1) == t) / float(x.shape[0])

    def gradient(self, x, t):
        self.loss(x, t)
        dout = self.last_layer.backward(1)
        layers = list(self.layers.values())
        layers.reverse()
        for layer in layers:
            dout = layer.backward(dout)
        conv, affine = self.layers['Conv1'], self.layers['Affine1']
        return {'W1': conv.dW, 'b1': conv.db, 'W2': affine.dW, 'b2': affine.db}


np.random.seed(1)
(x_train, t_train), (x_test, t_test) = load_mnist(flatten=False)
network = Net()
print(network.gradient(x_train[:2], t_train[:2])['W1'].dtype, network.params['W1'].dtype)
trainer = Trainer(network, x_train, t_train, x_test, t_test, epochs=int(sys.argv[1]),
                  mini_batch_size=50, optimizer='Adam', optimizer_param={'lr': 0.005})
trainer.train()
print("drawn")
"""


def write_mnist(folder):
    """Write files like those of MNIST: 200 and 50 images with a bright bar for each class."""
    rng = np.random.default_rng(0)
    for images, labels, n in ((*FILES[:2], 200), (*FILES[2:], 50)):
        t = rng.integers(0, 10, n).astype(np.uint8)
        x = rng.integers(0, 100, (n, 28, 28)).astype(np.uint8)
        for image, label in zip(x, t, strict=True):
            image[2 * label + 3 : 2 * label + 5] += 150
        with gzip.open(folder / f"{images}.gz", "wb", 1) as file:
            file.write(struct.pack(">4i", 2051, n, 28, 28) + x.tobytes())
        with gzip.open(folder / f"{labels}.gz", "wb", 1) as file:
            file.write(struct.pack(">2i", 2049, n) + t.tobytes())


def run(folder, epochs, **names):
    """Run the script in its chapter; return what it printed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, SOURCES))} | names
    done = subprocess.run(
        [sys.executable, "-W", "error", "train.py", str(epochs)], cwd=folder / "ch07",
        env=environment, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_script_runs_as_it_is(tmp_path, capsys):
    (tmp_path / "ch07").mkdir()
    (tmp_path / "ch07" / "train.py").write_text(SCRIPT)
    assert main(["book", str(tmp_path)]) == 0
    write_mnist(tmp_path / "dataset")
    assert "next:  cd" in capsys.readouterr().out
    lines = run(tmp_path, 6)
    assert lines[0] == "float64 float64"
    assert lines[-1] == "drawn"
    assert float(lines[-2].removeprefix("test acc:")) > 0.8
    assert sum(line.startswith("=== epoch:") for line in lines) == 6
    lines = run(tmp_path, 600, DEEPFS_BOOK_STEPS="8", DEEPFS_BOOK_DTYPE="float32")
    assert lines[0] == "float32 float64"  # parameters stay the script's
    found = re.fullmatch(
        r"deepfs.book: stopped after 8 steps \(DEEPFS_BOOK_STEPS\), [\d.]+ ms per step, last loss "
        r"[\d.]+", lines[-1],
    )  # fmt: skip
    assert found, lines[-1]


def test_it_says_what_it_wrote_and_what_to_run(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("DEEPFS_DATA", raising=False)
    assert main(["book", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for name in texts("float64"):
        assert f"  {name}\n" in printed
        assert (tmp_path / name).read_text().startswith(MARK)
    assert f"MNIST: downloaded once by the first script, or put its four files into {tmp_path}" in (
        printed
    )
    assert f"next:  put the book's chapters beside them, {tmp_path / 'ch05'} ..." in printed
    (tmp_path / "ch05").mkdir()
    (tmp_path / "ch05" / "gradient_check.py").write_text("")
    monkeypatch.setenv("DEEPFS_DATA", "elsewhere")
    assert main(["book", str(tmp_path), "--dtype", "float32"]) == 0  # its own files are replaced
    printed = capsys.readouterr().out
    assert "MNIST: must be put into elsewhere" in printed
    assert printed.endswith(f"next:  cd {tmp_path / 'ch05'}\n       python gradient_check.py\n")
    assert '\nset_dtype("float32")\n' in (tmp_path / "common" / "__init__.py").read_text()
    write_mnist(tmp_path / "dataset")
    assert main(["book", str(tmp_path)]) == 0
    assert f"MNIST: found in {tmp_path / 'dataset'}\n" in capsys.readouterr().out
    assert "\nset_dtype" not in (tmp_path / "common" / "__init__.py").read_text()


def test_every_file_is_tiny_and_gives_the_names_of_its_module(tmp_path):
    for name, text in texts("float64").items():
        assert len(text.splitlines()) < 12
        compile(text, name, "exec")
    for module in ("layers", "optimizer", "multi_layer_net_extend"):
        names = {}
        exec(texts("float64")[f"common/{module}.py"], names)
        assert "np" in names


def test_foreign_files_stay(tmp_path, capsys):
    (tmp_path / "common").mkdir()
    (tmp_path / "dataset").mkdir()
    (tmp_path / "common" / "__init__.py").write_text("")  # the book's has nothing in it
    (tmp_path / "common" / "layers.py").write_text("mine = 1\n")
    (tmp_path / "dataset" / "mnist.py").write_text("mine = 1\n")
    assert main(["book", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "has not written: dataset/mnist.py, common/layers.py; nothing changed." in said
    assert f"mv {tmp_path / 'common'} {tmp_path / 'common_numpy'} && mv " in said
    assert sorted(path.name for path in tmp_path.rglob("*.py")) == [
        "__init__.py", "layers.py", "mnist.py",
    ]  # fmt: skip
    os.rename(tmp_path / "common", tmp_path / "common_numpy")
    os.rename(tmp_path / "dataset" / "mnist.py", tmp_path / "dataset" / "mnist_numpy.py")
    assert len(book(tmp_path)) == len(texts("float64"))
    path = tmp_path / "common" / "util.py"
    path.write_text(path.read_text().removeprefix(MARK))  # the note is gone: it is the student's
    with pytest.raises(FileExistsError, match=r"has not written: common/util.py; nothing changed"):
        book(tmp_path)


def test_wrong_folders(tmp_path, capsys):
    with pytest.raises(NotADirectoryError, match="needs a folder that exists, got"):
        book(tmp_path / "nowhere")
    (tmp_path / "ch05").mkdir()
    with pytest.raises(ValueError, match=r"writes beside the chapters, and .* is one: give the"):
        book(tmp_path / "ch05")
    (tmp_path / "common").write_text("a file\n")
    with pytest.raises(FileExistsError, match="nothing changed"):
        book(tmp_path)
    assert not (tmp_path / "dataset").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert main(["book", str(tmp_path)]) == 2
    assert "deepfs book: error: " in capsys.readouterr().err


@pytest.mark.parametrize(("name", "value", "text"), [
    ("DEEPFS_BOOK_DTYPE", "half", "must be float32 or float64, got 'half'"),
    ("DEEPFS_BOOK_STEPS", "0", "must be a number of steps from 1, got '0'"),
    ("DEEPFS_BOOK_STEPS", "ten", "must be a number of steps from 1, got 'ten'"),
])  # fmt: skip
def test_wrong_settings_of_the_environment(name, value, text, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"{name} {text}"):
        _settings.read_environment()
