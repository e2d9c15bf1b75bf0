"""IDX files: what is written is read, and what is broken is refused without harm."""

import gzip
import io
import re
import struct
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from deepfs.datasets import read_idx, write_idx

DTYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]
BYTES = bytes(range(12))


def idx(*sizes, code=0x08, data=BYTES):
    return struct.pack(f">HBB{len(sizes)}I", 0, code, len(sizes), *sizes) + data


@pytest.mark.parametrize("name", ["a-idx", "a-idx.gz"])
@pytest.mark.parametrize(
    "shape", [(7,), (2, 3), (2, 3, 4), (2, 1, 3, 2), (0,), (0, 28, 28)], ids=str
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_round_trip(tmp_path, dtype, shape, name):
    # both signs and all bytes of an item matter
    array = (np.arange(np.prod(shape)) * 97531 - 200000).astype(dtype).reshape(shape)
    write_idx(tmp_path / name, array)
    again = read_idx(tmp_path / name)
    assert_array_equal(again, array)
    assert again.dtype == array.dtype
    assert again.dtype.isnative
    assert again.flags.writeable
    assert again.flags.c_contiguous


@pytest.mark.parametrize(
    ("code", "data", "values"),
    [
        (0x08, b"\x01\xff", [1, 255]),
        (0x09, b"\x01\xff", [1, -1]),
        (0x0B, b"\x01\x02\xff\xfe", [258, -2]),
        (0x0C, b"\0\0\x01\x02\xff\xff\xff\xfe", [258, -2]),
        (0x0D, b"\x3f\x80\0\0\xc0\0\0\0", [1.0, -2.0]),
        (0x0E, b"\x3f\xf0\0\0\0\0\0\0\xc0\0\0\0\0\0\0\0", [1.0, -2.0]),
    ],
    ids=DTYPES,
)
def test_bytes_of_the_format(tmp_path, code, data, values):
    path = tmp_path / "a"
    path.write_bytes(idx(2, code=code, data=data))
    array = read_idx(path)
    assert_array_equal(array, values)
    write_idx(tmp_path / "b", array)
    assert (tmp_path / "b").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["plain.gz", "packed"])
def test_content_decides_not_the_name(tmp_path, name):
    content = idx(3, 4)
    (tmp_path / name).write_bytes(gzip.compress(content) if name == "packed" else content)
    assert_array_equal(read_idx(str(tmp_path / name)), np.arange(12).reshape(3, 4))


def test_several_gzip_members(tmp_path):
    path, content = tmp_path / "a.gz", idx(3, 4)
    path.write_bytes(gzip.compress(content[:9]) + gzip.compress(content[9:]))
    assert_array_equal(read_idx(path), np.arange(12).reshape(3, 4))


def test_writes_strided_and_big_endian(tmp_path):
    array = np.arange(24, dtype=">i2").reshape(4, 6)[::2, ::-1].T
    write_idx(tmp_path / "a", array)
    assert_array_equal(read_idx(tmp_path / "a"), array)


def test_equal_arrays_make_equal_files(tmp_path, monkeypatch):
    array = np.arange(1000, dtype=np.int32)
    write_idx(tmp_path / "a.gz", array)
    monkeypatch.setattr("time.time", lambda: 0.0)
    write_idx(tmp_path / "b.gz", array)
    a, b = ((tmp_path / name).read_bytes() for name in ("a.gz", "b.gz"))
    assert a == b


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file: it must start with two zero bytes, .* got b''"),
        (b"\0\0\x08", r"is not an IDX file: .* got b'\\x00\\x00\\x08'"),
        (b"\x89PNG\r\n", r"is not an IDX file: .* got b'\\x89PNG'"),
        (idx(12, code=0x0A), r"must have an IDX type code of 0x08 \(uint8\), .*, got 0x0a"),
        (idx(), "must have an IDX rank of 1 to 4, got 0"),
        (idx(1, 1, 3, 4, 1), "must have an IDX rank of 1 to 4, got 5"),
        (idx(3, 4)[:11], "is truncated: a header of rank 2 has 12 bytes, got 11"),
        (idx(3, 4, data=b""), "is truncated: the header promises 12 bytes of data, got 0"),
        (idx(3, 4, code=0x0C), "is truncated: the header promises 48 bytes of data, got 12"),
        (idx(3, 3), "is oversized: the header promises 9 bytes of data, got more"),
        (idx(0, 4), "is oversized: the header promises 0 bytes of data, got more"),
        (idx(60000, 28, 28), "truncated: the header promises 47040000 .* of .. bytes has fewer"),
        (idx(0, *[2**32 - 1] * 3), r"promises an array of shape \(0, 4294967295, .* addressed"),
    ],
)
def test_refuses_to_read(tmp_path, content, message, pack):
    path = tmp_path / "t10k.idx"
    path.write_bytes(pack(content))
    with pytest.raises(ValueError, match=rf"t10k\.idx {message}$|t10k\.idx is {message}$") as info:
        read_idx(path)
    assert "\n" not in str(info.value)


def test_names_what_is_missing_of_a_large_file(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    noise = np.random.default_rng(0).bytes(100_000)
    path.write_bytes(gzip.compress(idx(60000, 28, 28, data=noise)))
    message = (
        "train-images-idx3-ubyte.gz is truncated: "
        "the header promises 47040000 bytes of data, got 100000"
    )
    with pytest.raises(ValueError, match=message):
        read_idx(path)


def test_gzip_cut_short(tmp_path):
    path = tmp_path / "a.gz"
    noise = np.random.default_rng(0).bytes(1000)
    content = gzip.compress(idx(1000, data=noise))
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"a\.gz is (truncated|not an IDX file): "):
            read_idx(path)
    with pytest.raises(ValueError, match=r"a\.gz is truncated: its gzip checksum is missing"):
        read_idx(path)  # all but the last byte
    path.write_bytes(content[:500])
    with pytest.raises(ValueError, match=r"header promises 1000 bytes of data, got 4\d\d$"):
        read_idx(path)


def test_gzip_damaged(tmp_path):
    path = tmp_path / "a.gz"
    for position, message in [(2, "Unknown compression method"), (-8, "CRC"), (10, "Error -3")]:
        content = bytearray(gzip.compress(idx(3, 4)))
        content[position] ^= 0xFF
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"a\.gz is corrupt inside .* wrapper: .*{message}"):
            read_idx(path)


def refuse_in_little_memory(path):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"bomb is (truncated|oversized)"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 5 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("sizes", [(2**32 - 1,), (1000, 1000), (1,)], ids=str)
def test_memory_is_not_what_a_gzip_file_holds(tmp_path, sizes):
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        file.write(idx(*sizes, data=bytes(30 << 20)))
    (tmp_path / "bomb").write_bytes(packed.getvalue())
    refuse_in_little_memory(tmp_path / "bomb")


@pytest.mark.parametrize("size", [50_000_000, 2**32 - 1])
def test_memory_is_not_what_a_header_promises(tmp_path, size):
    (tmp_path / "bomb").write_bytes(idx(size, data=bytes(100_000)))
    refuse_in_little_memory(tmp_path / "bomb")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "nowhere.gz"))):
        read_idx(tmp_path / "nowhere.gz")


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros(3, np.int64), TypeError, "takes arrays of uint8, int8, .*float64, got int64"),
        (np.zeros(3, bool), TypeError, "write_idx takes arrays of .*, got bool"),
        (np.uint8(3).reshape(()), ValueError, r"takes rank 1 to 4, got shape \(\)"),
        (np.zeros((1,) * 5), ValueError, r"takes rank 1 to 4, got shape \(1, 1, 1, 1, 1\)"),
    ],
)
def test_refuses_to_write(tmp_path, array, error, message):
    with pytest.raises(error, match=message):
        write_idx(tmp_path / "a", array)
    assert not (tmp_path / "a").exists()
