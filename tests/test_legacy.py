"""What 0.1.0 saved loads, predicts, trains on and resumes to the same bits; see data/README.md."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import load_file

import cnn_core
import deepfs as dfs
import legacy
from deepfs.saving.tensors import TensorFile

DATA = Path(__file__).parent / "data"
EXPECTED = json.loads((DATA / "expected.json").read_text())
# Bits are those of kernels compiled by GCC for a level; elsewhere sums are rounded otherwise.
HASHES = EXPECTED["hashes"].get(cnn_core.level) if sys.platform == "linux" else None
# BinaryCrossEntropy takes exp from NumPy, which has another one for AVX-512. Without it,
# two of the 72 numbers of this training, made smaller by their last bit, give the file's hash.
WITHOUT_AVX512 = {("v2", "activations_lamb"): {"trained": "15349a8f961e45dd"}}
FEATURES = np._core._multiarray_umath.__cpu_features__
AVX512 = FEATURES.get("AVX512_SKX", False) or FEATURES.get("X86_V4", False)
# Largest error of predictions; of what six steps more make of it, where Lion takes signs.
ROUNDING = {"float32": (1e-5, 1e-2), "float64": (1e-12, 1e-9)}


def check(name, answer, dtype):
    """Compare what came of a file with what 0.1.0 made of it."""
    hashes, numbers = answer
    for key, values in EXPECTED["numbers"][name].items():
        error = ROUNDING[dtype][key != "predictions"]
        assert_allclose(numbers[key], values, atol=error, rtol=error)
    if HASHES is not None:
        other = {} if AVX512 else WITHOUT_AVX512.get((cnn_core.level, name), {})
        assert hashes == HASHES[name] | other


@pytest.mark.parametrize("name", legacy.MODELS)
def test_models_of_0_1_0(name):
    path = DATA / f"{name}.safetensors"
    model = dfs.load(path)
    kinds = ("parameter/", "buffer/", "state/")
    saved = {k: v for k, v in load_file(path).items() if k.startswith(kinds)}
    ours = {f"parameter/{k}": p.value for k, p in model.network.parameters().items()}
    ours |= {f"buffer/{k}": buffer for k, buffer in model.network.buffers().items()}
    for kind, flat in model.state.items():
        ours |= {f"state/{kind}/{k}": v for k, v in model.arena.split(flat).items()}
    assert ours.keys() == saved.keys()
    for key, value in saved.items():
        assert_array_equal(ours[key], value)
    assert model.steps == 6
    check(name, legacy.answers(name, model), legacy.MODELS[name][2])


@pytest.mark.parametrize("name", legacy.MODELS)
def test_models_of_0_1_0_are_saved_again_as_they_were(name, tmp_path):
    path, again_path = DATA / f"{name}.safetensors", tmp_path / "m.safetensors"
    dfs.load(path).save(again_path)
    again, before = load_file(again_path), load_file(path)
    assert again.keys() == before.keys()
    for key, value in before.items():
        assert_array_equal(again[key], value)
    with TensorFile(again_path) as new, TensorFile(path) as old:
        assert_says(new.description | {"format": 1, "metrics": ["accuracy"]}, old.description)


def assert_says(new, old):
    """Assert that a description says all that an old one says; it may say more."""
    if isinstance(old, dict):
        for key, value in old.items():
            assert_says(new[key], value)
    elif isinstance(old, list):
        for mine, theirs in zip(new, old, strict=True):
            assert_says(mine, theirs)
    else:
        assert new == old


@pytest.mark.parametrize("name", legacy.RUNS)
def test_runs_of_0_1_0_resume(name, tmp_path):
    shutil.copytree(DATA / name, tmp_path / "run")
    answer = legacy.run(name, tmp_path / "run")
    check(name, answer, "float64" if name == "groups" else "float32")


def test_hashes_notice_one_bit(rng):
    arrays = {"a": rng.random(100)}
    before = legacy.digest(arrays)
    arrays["a"][57] = np.nextafter(arrays["a"][57], 2)
    assert legacy.digest(arrays) != before
