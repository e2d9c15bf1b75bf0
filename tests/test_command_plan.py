"""`deepfs plan` and `deepfs diagnose`."""

import numpy as np
import pytest
from PIL import Image

import deepfs as dfs
from deepfs.cli import main


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model that is healthy, and one whose weights are all 0."""
    folder, (x, y) = tmp_path_factory.mktemp("models"), dfs.datasets.mnist_mini()[0]
    parts = dfs.losses.CrossEntropy(), dfs.optimizers.Adam()
    model = dfs.Model(dfs.networks.mlp((20,)), *parts, seed=0)
    model.fit(x, y, verbose=0)
    model.save(folder / "healthy")
    model = dfs.Model(dfs.networks.mlp((20,)), *parts)
    model.predict(x[:1])
    for parameter in model.parameters().values():
        parameter.value[...] = 0
    model.save(folder / "zeros")
    return folder


def test_plan_of_a_network(capsys):
    assert main(["plan", "mlp", "--batch-size", "20", "--samples", "50", "--input", "3,4,4"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Plan for batches of 20 of 50 samples, float32")
    assert f"{48 * 100 + 100 + 100 * 100 + 100 + 1010:,}" in printed
    assert "3 steps" in printed


@pytest.mark.parametrize("name", ["autoencoder", "unet_small"])
def test_plan_of_a_network_whose_outputs_are_images(name, capsys):
    assert main(["plan", name, "--batch-size", "2"]) == 0
    assert "peak memory" in capsys.readouterr().out


def test_plan_of_a_model(saved, capsys):
    assert main(["plan", str(saved / "healthy"), "--threads", "1"]) == 0
    printed = capsys.readouterr().out
    assert "1 thread\n" in printed
    assert "15,910" in printed


def test_plan_of_nothing(capsys):
    assert main(["plan", "mpl"]) == 2
    assert "there is no file 'mpl', and networks are " in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["plan", "mlp", "--input", "1,x"])
    assert "must be an int of at least 1, got 'x'" in capsys.readouterr().err


def test_diagnose(saved, capsys):
    assert main(["diagnose", str(saved / "healthy"), "mnist_mini"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("layer ")
    assert "healthy, no findings" in printed
    assert main(["diagnose", str(saved / "zeros"), "mnist_mini", "--batch-size", "64"]) == 1
    assert "error: dense_1, dense_2: all units have the same weights" in capsys.readouterr().out


def test_diagnose_a_folder(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(20):
            grey = rng.integers(0, 100, (8, 8)) + 150 * (name == "light")
            Image.fromarray(grey.astype(np.uint8)).save(tmp_path / f"pictures/{name}/{number}.png")
    path, folder = str(tmp_path / "m.safetensors"), str(tmp_path / "pictures")
    assert main(["train", folder, "--epochs", "2", "--out", path]) == 0
    capsys.readouterr()
    assert main(["diagnose", path, folder]) in (0, 1)
    out, err = capsys.readouterr()
    assert out.startswith("layer ")
    assert "conv2d_1" in out
    assert err == ""
