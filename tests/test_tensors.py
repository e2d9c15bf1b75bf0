"""Files of arrays: what is read is what was written, or an error; nothing is left half done."""

import json
import os
import random
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from safetensors.numpy import load_file

import deepfs as dfs
from deepfs import load
from deepfs.saving import tensors
from deepfs.saving.model import describe
from deepfs.saving.tensors import TensorFile, write
from models import small_model

DTYPES = ["float32", "float64", "int64", "uint64"]


@pytest.fixture
def arrays(rng):
    made = {
        f"{dtype}{shape}": (rng.random(shape) * 100).astype(dtype)
        for dtype in DTYPES
        for shape in [(), (0,), (1,), (7, 3), (2, 0, 3), (3, 5, 2, 4)]
    }
    turned = {f"{name} turned": array.T for name, array in made.items()}
    return made | turned | {"every second": np.arange(10.0)[::2], "large": rng.random(2**18 + 3)}


def test_round_trip(arrays, tmp_path):
    write(tmp_path / "a", arrays, {"what": ["it", 1, None]})
    with TensorFile(tmp_path / "a") as file:
        assert file.description == {"what": ["it", 1, None]}
        assert file.entries.keys() == arrays.keys()
        assert file.nbytes == sum(array.nbytes for array in arrays.values())
        for name, array in arrays.items():
            assert (file.shape(name), file.dtype(name)) == (array.shape, array.dtype)
            assert_array_equal(file.read(name), array)
            out = np.empty_like(array)
            assert file.read(name, out) is out
            assert_array_equal(out, array)


def test_others_can_read_it(arrays, tmp_path):
    write(tmp_path / "a", arrays, None)
    theirs = load_file(tmp_path / "a")
    assert theirs.keys() == arrays.keys()
    for name, array in arrays.items():
        assert theirs[name].dtype == array.dtype
        assert_array_equal(theirs[name], array)


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        ({"a": np.ones(2, np.float16)}, TypeError, "float32, .*, got 'a' of float16"),
        ({"a": np.array(["x"])}, TypeError, "got 'a' of <U1"),
        ({"a" * 2**22: np.ones(1)}, ValueError, "a header of .* bytes for 1 arrays, at most"),
    ],
)
def test_refuses_to_write(made, error, message, tmp_path):
    with pytest.raises(error, match=message):
        write(tmp_path / "a", made, None)
    assert not list(tmp_path.iterdir())


def test_every_flipped_bit_is_noticed(tmp_path):
    """In a model that is small enough to try one bit of every byte, and in its header all."""
    dfs.set_seed(0)
    model = dfs.Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.Adam())
    model.train_on_batch(np.ones((4, 3), "f"), [0, 1, 0, 1])
    path = tmp_path / "a"
    model.save(path)
    load(path)
    content = path.read_bytes()
    bits = random.Random(0).sample(range(8 * len(content)), 1000) + list(range(64))
    for bit in bits:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(dfs.CheckpointError):
            load(path)


def test_every_length_but_its_own_is_noticed(tmp_path):
    write(tmp_path / "a", {"w": np.arange(10.0)}, {})
    content = (tmp_path / "a").read_bytes()
    for wrong in [content[:n] for n in range(len(content))] + [content + b"\0", content * 2]:
        (tmp_path / "a").write_bytes(wrong)
        with pytest.raises(dfs.CheckpointError, match="is not a safetensors file"):
            TensorFile(tmp_path / "a")


def test_a_header_that_is_too_long_is_not_read(tmp_path):
    with open(tmp_path / "a", "wb") as file:
        file.truncate(2**40)  # a hole: it takes no place on the disk
        file.write((2**39).to_bytes(8, "little"))
    with pytest.raises(dfs.CheckpointError, match="a header of 549755813888 bytes, at most"):
        TensorFile(tmp_path / "a")


def description(**changes):
    model = small_model()
    model.predict(np.zeros((1, 1, 8, 8), "f"))
    return describe(model.trainer) | changes


def dense(units):
    return {"kind": "Dense", "units": units}


def laughs(times):
    """A network of few bytes and 2**times layers: each of two that are the one before."""
    config = dense(1)
    for number in range(times):
        config = {"kind": "Sequential", "layers": [config, {"kind": "same", "number": number}]}
    return config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": dense(10**9), "in_shape": [1000]}, "no data for an array"),
        ({"network": dense(2**61), "in_shape": [2**61]}, "units must be at most"),
        ({"network": {"kind": "BatchNorm"}, "in_shape": [2**33]}, "no data for an array"),
        ({"network": {"kind": "LayerNorm"}, "in_shape": [2**33]}, "no data for an array"),
        ({"network": {"kind": "Conv2D", "filters": 2**14, "kernel_size": 2**7},
          "in_shape": [2**14, 200, 200]}, "no data for an array"),
        ({"network": laughs(40)}, "names more than 10000 layers"),
        ({"loss": laughs(40)}, "names more than 10000 layers"),
        ({"network": {"kind": "same", "number": 0}}, "does not describe a model"),
        ({"network": {"kind": "same", "number": -1}}, "does not describe a model"),
        ({"network": {"kind": ["Dense"]}}, "does not describe a model"),
        ({"network": 7}, "does not describe a model"),
        ({"in_shape": 7}, "does not describe a model"),
        ({"metrics": 7}, "does not describe a model"),
        ({"metrics": [7]}, "does not describe a model"),
        ({"steps": 10**30}, "does not describe a model"),
    ],
)  # fmt: skip
def test_a_file_takes_no_more_memory_than_it_has_bytes(changes, message, tmp_path):
    resource = pytest.importorskip("resource")
    write(tmp_path / "a", {"w": np.ones(1)}, description(**changes))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    with pytest.raises(dfs.CheckpointError, match=message):
        load(tmp_path / "a")
    assert time.monotonic() - started < 5
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 64e6


def test_nested_lists_without_end(tmp_path):
    write(tmp_path / "a", {}, None)
    content = (tmp_path / "a").read_bytes()
    text = "[" * 100_000 + "]" * 100_000
    head = json.dumps({"__metadata__": {"deepfs": text, "checksums": "[0]"}}).encode()
    (tmp_path / "a").write_bytes(len(head).to_bytes(8, "little") + head)
    with pytest.raises(dfs.CheckpointError, match="but not a deepfs model"):
        TensorFile(tmp_path / "a")
    assert content


WRITER = """
import os, sys, numpy as np
from deepfs.saving import tensors
os.fsync = lambda handle: (print("there", flush=True), sys.stdin.read())
tensors.write(sys.argv[1], {"w": np.ones(3)}, None)
"""


@pytest.mark.skipif(tensors.fcntl is None, reason="open files cannot be removed here")
def test_removes_what_dead_writers_leave_and_nothing_of_the_living(tmp_path):
    program = [sys.executable, "-c", WRITER, tmp_path / "b"]
    writer = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with writer:
        assert writer.stdout.readline() == b"there\n"
        (orphan,) = tmp_path.iterdir()
        assert orphan.name.startswith(".deepfs-")
        write(tmp_path / "a", {}, None)
        assert sorted(path.name for path in tmp_path.iterdir()) == [orphan.name, "a"]
        writer.kill()
    assert orphan.exists()
    write(tmp_path / "a", {}, None)
    assert os.listdir(tmp_path) == ["a"]


def test_a_writer_whose_file_is_taken_for_an_orphan_begins_again(tmp_path, monkeypatch):
    lock, taken = tensors.lock, []

    def late(file, wait=False):
        if not taken:
            taken.append(file.name)
            for path in tmp_path.iterdir():
                path.unlink()
        return lock(file, wait)

    monkeypatch.setattr(tensors, "lock", late)
    write(tmp_path / "a", {"w": np.ones(3)}, None)
    assert taken
    assert os.listdir(tmp_path) == ["a"]
    with TensorFile(tmp_path / "a") as file:
        assert_array_equal(file.read("w"), np.ones(3))


def test_others_may_read_what_is_written(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "a", {}, None)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_file_that_is_cut_while_it_is_open(tmp_path):
    write(tmp_path / "a", {"w": np.ones(2**20)}, None)
    with TensorFile(tmp_path / "a") as file:
        os.truncate(tmp_path / "a", 2**20)
        with pytest.raises(dfs.CheckpointError, match="ends too early"):
            file.read("w")


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path}: no such file")):
        TensorFile(tmp_path)
