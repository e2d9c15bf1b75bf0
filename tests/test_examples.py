"""The scripts in examples: each runs with --quick, and its result is what the page promises."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import deepfs as dfs

FOLDER = Path(__file__).parents[1] / "examples"


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Run a script of the folder in an empty folder; return what its names are bound to."""

    def run(script, *arguments):
        monkeypatch.setattr(sys, "argv", [script, *(arguments or ["--quick"])])
        return runpy.run_path(str(FOLDER / script), run_name="__main__")

    monkeypatch.chdir(tmp_path)
    return run


def test_mnist(example, capsys):
    assert example("mnist.py")["accuracy"] > 0.95
    assert "the label says" in capsys.readouterr().out


def test_gan(example, tmp_path):
    distance = example("gan.py")["distance"]
    assert distance["made images"] < 0.25 * distance["test images, pixels shuffled"]
    assert distance["test images"] < 0.1 * distance["made images"]  # the measure knows real ones
    assert (tmp_path / "gan.png").exists()


def test_time_series(example):
    names = example("time_series.py")
    assert names["network_error"] < 0.3 * names["linear"] < 0.3 * names["last"]


def test_tabular_regression(example):
    names = example("tabular_regression.py")
    assert names["r2"] > names["linear_r2"] + 0.15
    assert names["mae"] < 0.65 * names["linear_mae"]
    assert names["r2"] < names["noise_r2"]  # or test rows were seen in training


def test_siamese(example):
    names = example("siamese.py")
    assert names["accuracy"]["network"] > names["accuracy"]["pixels"] + 0.1
    # the gradient of its loss, for pairs nearer and farther than the margin
    loss, same = names["contrastive"], np.arange(6) % 2
    outputs = np.random.default_rng(1).normal(0, 1, (6, 16)) * np.linspace(0.5, 1.5, 6)[:, None]
    far = np.linalg.norm(outputs[same == 0], axis=1) > names["margin"]
    assert far.any()
    assert not far.all()
    dfs.testing.check_gradient(
        lambda outputs: loss(outputs, same)[0].sum(), outputs, lambda o: loss(o, same)[1]
    )


def test_unet(example):
    names = example("unet.py")
    assert (names["scores"] > names["baseline"]).all()
    assert names["scores"].min() > 0.65


def test_autoencoder(example):
    names = example("autoencoder.py")
    assert names["network_error"] < 0.85 * names["pca_error"] < 0.2 * names["noise_error"]


def test_transfer(example):
    found = example("transfer.py")["found"]
    assert found["new head"][0] > found["from scratch"][0] + 0.03


def test_resnet_cifar10(example, tmp_path):
    main = example("resnet_cifar10.py")["main"]
    assert (tmp_path / "resnet_cifar10_run").is_dir()
    assert main(["--quick"]) > 0.4  # continues after the last epoch: the second run only evaluates


def test_fashion_mnist(example, tmp_path):
    pytest.importorskip("matplotlib").use("Agg")
    assert example("fashion_mnist.py")["report"]["accuracy"] > 0.95
    log = (tmp_path / "log.csv").read_text().splitlines()
    assert "val_accuracy" in log[0]
    assert len(log) >= 4
    for picture in ("history.png", "confusion.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
    assert dfs.load(tmp_path / "best.safetensors").class_names == dfs.datasets.MNIST_CLASSES


def test_own_folder(example, tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:32, :32]
    kinds = ("disc", "ring", "stripes")

    def shape(kind):
        """Return a dark shape on light paper, uint8 (32, 32, 3)."""
        (r, c), radius = rng.integers(12, 20, 2), rng.uniform(8, 11)
        far = np.hypot(row - r, column - c)
        inside = far < radius
        if kind == "ring":
            inside &= far > 0.6 * radius
        if kind == "stripes":
            inside &= (row // 3) % 2 == 0
        grey = np.where(inside, 60, 220) + rng.normal(0, 8, row.shape)
        return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)

    for kind in kinds:
        (tmp_path / "pictures" / kind).mkdir(parents=True)
        for number in range(40):
            image.fromarray(shape(kind)).save(tmp_path / "pictures" / kind / f"{number}.png")
    example("own_folder.py", str(tmp_path / "pictures"))
    model = dfs.load(tmp_path / "model.safetensors")
    assert list(model.class_names) == list(kinds)
    new = np.stack([shape(kind) for kind in kinds for _ in range(10)])
    answers = model.predict_labels(new.transpose(0, 3, 1, 2) / np.float32(255))
    assert np.mean(np.asarray(answers) == np.repeat(kinds, 10)) > 0.9


def test_serve(example, capsys):
    """That it can be called; tests/test_serve.py has the rest."""
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    with pytest.raises(SystemExit) as end:
        example("serve.py", "--help")
    assert end.value.code == 0
    assert "MODEL.safetensors" in capsys.readouterr().out


def test_short_scripts_are_short():
    lines = {path.name: len(path.read_text().splitlines()) for path in FOLDER.glob("*.py")}
    assert lines["fashion_mnist.py"] <= 25
    assert lines["own_folder.py"] <= 12


def test_every_script_has_a_test_and_a_row_on_the_page():
    scripts = {path.name for path in FOLDER.glob("*.py")}
    tests, page = Path(__file__).read_text(), (FOLDER.parent / "docs" / "examples.md").read_text()
    assert scripts
    for script in scripts:
        assert f'example("{script}"' in tests, script
        assert f"[`{script}`](../examples/{script})" in page, script
