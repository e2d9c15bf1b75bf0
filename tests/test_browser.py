"""What a browser lacks, left out here: threads, the package safetensors, a compiler's own target.

`.ci/browser` runs the kernels themselves where indices have 32 bits.
"""

import json
import random
import sys
import sysconfig
import threading

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from cnn_core import memory
from deepfs import _compile, _compiler
from deepfs.data.prefetch import ahead
from deepfs.inspection import profile
from deepfs.saving.state_dict import open_weights
from deepfs.saving.tensors import TensorFile, write


@pytest.fixture(params=[True, False], ids=["with the package", "without it"])
def package(request, monkeypatch):
    if not request.param:
        monkeypatch.setitem(sys.modules, "safetensors", None)


@pytest.fixture
def no_threads(monkeypatch):
    def start(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


def test_the_target_chooses_the_level_not_the_host(monkeypatch):
    assert "wasm" not in _compile.levels()
    monkeypatch.setenv("PYODIDE", "1")
    assert _compile.levels() == {"wasm": ["-msimd128"]}
    monkeypatch.delenv("PYODIDE")
    monkeypatch.setattr(sysconfig, "get_platform", lambda: "emscripten-4.0.9-wasm32")
    assert _compile.levels() == {"wasm": ["-msimd128"]}
    assert _compiler.command().find_openmp(None) == ([], [])  # and no program is compiled to ask


def test_a_model_is_saved_and_loaded(package, tmp_path):
    model = dfs.Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.Adam())
    x = np.ones((4, 3), "f")
    model.train_on_batch(x, [0, 1, 0, 1])
    model.save(tmp_path / "a")
    assert_array_equal(dfs.load(tmp_path / "a").predict(x), model.predict(x))


def test_weights_that_come_with_deepfs(monkeypatch):
    x = np.linspace(0, 1, 2 * 784, dtype="f").reshape(2, 1, 28, 28)
    expected = dfs.networks.pretrained()(x)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert_array_equal(dfs.networks.pretrained()(x), expected)


def entry(**changes):
    return {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]} | changes


@pytest.mark.parametrize(
    "header",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        '{"\\ud800": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}}',
        json.dumps({"a": entry()}).encode("utf-16").decode("latin-1"),
        json.dumps({"a": 7}),
        json.dumps({"a": {"dtype": "F64", "shape": [2]}}),
        *(
            json.dumps({"a": entry(**changes)})
            for changes in [
                {"dtype": "F65"},
                {"dtype": None},
                {"dtype": ["F64"]},
                {"shape": [3]},
                {"shape": [2.0]},
                {"shape": [-2]},
                {"shape": [True, 2]},
                {"shape": 2},
                {"shape": "2"},
                {"data_offsets": [0]},
                {"data_offsets": [0, 8]},
                {"data_offsets": [0, 16.0]},
                {"data_offsets": [0.0, 16]},
                {"data_offsets": [False, 16]},
                {"data_offsets": [8, 24]},
                {"data_offsets": [-16, 0]},
                {"data_offsets": {"0": 0, "16": 16}},
                {"data_offsets": "ab"},
            ]
        ),
        json.dumps({"__metadata__": {"deepfs": "{}", "checksums": 7}, "a": entry()}),
        json.dumps({"__metadata__": [], "a": entry()}),
        json.dumps({"__metadata__": "text", "a": entry()}),
        json.dumps({"a": entry(), "b": entry()}),
        json.dumps({"a": entry(shape=[1], data_offsets=[0, 8])}),
        json.dumps({"a" * 3: entry(shape=[1] * 9 + [2**62, 2**62])}),
        "[" * 100_000,
    ],
    ids=lambda text: text[:40],
)
@pytest.mark.parametrize("load", [TensorFile, open_weights])
def test_a_header_is_refused(package, load, header, tmp_path):
    text = header.encode("latin-1")
    (tmp_path / "a").write_bytes(len(text).to_bytes(8, "little") + text + bytes(16))
    with pytest.raises(dfs.CheckpointError):
        load(tmp_path / "a")


def test_flipped_bits_and_cut_files_are_noticed(package, tmp_path):
    write(tmp_path / "a", {"w": np.arange(3.0), "b": np.ones((2, 1), "f")}, {"text": "ä"})
    content = (tmp_path / "a").read_bytes()
    flips = random.Random(0).sample(range(8 * len(content)), 150)
    for bit in flips:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / "a").write_bytes(flipped)
        with pytest.raises(dfs.CheckpointError):
            TensorFile(tmp_path / "a")
    for n in range(0, len(content), 23):
        (tmp_path / "a").write_bytes(content[:n])
        with pytest.raises(dfs.CheckpointError):
            TensorFile(tmp_path / "a")


def test_without_threads_data_are_read_when_they_are_asked_for(no_threads):
    seen = []

    def read(item):
        seen.append(item)
        return -item

    reader = ahead(read, [1, 2, 3])
    assert next(reader) == -1
    assert seen == [1]
    assert list(reader) == [-2, -3]


def test_without_threads_the_speed_of_a_copy_is_measured(no_threads, monkeypatch):
    monkeypatch.setattr(profile, "best_seconds", lambda call: call() or 1.0)
    with dfs.threads(1):
        assert profile.copy_gbs() == pytest.approx(2e-9 * 2**26)


@pytest.mark.parametrize("length", [2.0**62 * 2, float("inf"), float("nan"), 10**300])
def test_a_product_that_overflows_is_no_size_of_a_buffer(length):
    with pytest.raises(MemoryError, match="no memory for an array of"):
        memory.Buffer(length)


def test_a_buffer_has_whole_bytes():
    with pytest.raises(TypeError, match=r"a whole number of bytes, got 1\.5"):
        memory.Buffer(1.5)
    assert len(memoryview(memory.Buffer(7.0))) == 7
