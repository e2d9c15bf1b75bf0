"""MNIST and its relatives: where the files are found, what is checked, what comes out."""

import contextlib
import gzip
import hashlib
import io
import os
import re
import socket
import struct
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs.datasets
from deepfs.datasets import _download, fashion_mnist, mnist, mnist_mini, write_idx
from deepfs.datasets._download import fetch

module = import_module("deepfs.datasets.mnist")  # the name belongs to the function

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
MD5 = {  # of the uncompressed files, as published
    "mnist": (
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    ),
    "fashion_mnist": (
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "9018921c3c673c538a1fc5bad174d6f9",
        "8181f5470baa50b63fa0f6fddb340f0a",
        "15d484375f8d13e6eb1aabb0c3f46965",
    ),
}
FOLDERS = {  # DEEPFS_DATA, if it is set; Debian's dataset-fashion-mnist
    name: [
        *(Path(folder) / name for folder in [os.environ.get("DEEPFS_DATA")] if folder),
        Path("/usr/share/datasets") / name.replace("_", "-"),
    ]
    for name in MD5
}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Start from no settings, and never download."""
    monkeypatch.delenv("DEEPFS_DATA", raising=False)
    monkeypatch.setattr(module, "fetch", refuse)


def refuse(dataset, *args):
    raise AssertionError(f"{dataset} went to the network")


def small(n, seed):
    """Make n images and labels in which every byte occurs."""
    images = np.arange(n * 784).reshape(n, 28, 28) * 7 + seed
    return images.astype(np.uint8), ((np.arange(n) + seed) % 10).astype(np.uint8)


def write_set(folder, names="{}.gz", seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    arrays = small(20, seed) + small(6, seed + 1)
    for file, array in zip(FILES, arrays, strict=True):
        write_idx(folder / names.format(file), array)
    return arrays


@pytest.mark.parametrize("load", [mnist, fashion_mnist])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_values(tmp_path, load, dtype):
    arrays = write_set(tmp_path)
    loaded = sum(load(tmp_path, dtype=dtype), ())
    for x, raw in zip(loaded[::2], arrays[::2], strict=True):
        assert x.dtype == dtype
        assert x.shape == (len(raw), 1, 28, 28)
        assert_array_equal(x[:, 0], raw if dtype == "uint8" else raw / np.dtype(dtype).type(255))
        assert x.max() == (255 if dtype == "uint8" else 1)
    for y, raw in zip(loaded[1::2], arrays[1::2], strict=True):
        assert y.dtype == np.int64
        assert_array_equal(y, raw)
    assert all(a.flags.c_contiguous and a.flags.writeable for a in loaded)


def test_images_are_float32_by_default(tmp_path):
    write_set(tmp_path)
    assert mnist(tmp_path)[0][0].dtype == np.float32
    assert mnist_mini()[0][0].dtype == np.float32


@pytest.mark.parametrize("names", ["{}", "{}.gz"])
@pytest.mark.parametrize("dotted", [False, True])
def test_all_names_in_use(tmp_path, names, dotted):
    arrays = write_set(tmp_path, names)
    if dotted:
        for path in list(tmp_path.iterdir()):
            path.rename(tmp_path / path.name.replace("-idx", ".idx"))
    (x, y), (xt, yt) = mnist(str(tmp_path), dtype="uint8")
    for loaded, array in zip((x[:, 0], y, xt[:, 0], yt), arrays, strict=True):
        assert_array_equal(loaded, array)


def test_variable_names_the_parent_of_the_data_sets(tmp_path, monkeypatch):
    digits = write_set(tmp_path / "mnist", seed=1)
    clothes = write_set(tmp_path / "fashion_mnist", seed=2)
    monkeypatch.setenv("DEEPFS_DATA", str(tmp_path))
    assert_array_equal(mnist(dtype="uint8")[0][0][:, 0], digits[0])
    assert_array_equal(fashion_mnist(dtype="uint8")[0][0][:, 0], clothes[0])
    chosen = write_set(tmp_path / "chosen", seed=3)
    assert_array_equal(mnist(tmp_path / "chosen", dtype="uint8")[0][0][:, 0], chosen[0])


def test_variable_never_gives_one_data_set_for_another(tmp_path, monkeypatch):
    write_set(tmp_path)
    write_set(tmp_path / "mnist")
    monkeypatch.setenv("DEEPFS_DATA", str(tmp_path))
    folder = re.escape(str(tmp_path / "fashion_mnist"))
    with pytest.raises(FileNotFoundError, match=f"fashion_mnist found .* in the folder {folder}$"):
        fashion_mnist()


def test_lacking_a_file(tmp_path):
    write_set(tmp_path)
    (tmp_path / f"{FILES[3]}.gz").unlink()
    message = (
        "mnist found none of t10k-labels-idx1-ubyte, t10k-labels-idx1-ubyte.gz, "
        f"t10k-labels.idx1-ubyte, t10k-labels.idx1-ubyte.gz in the folder {tmp_path}"
    )
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(message)}$"):
        mnist(tmp_path)


@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        (0, np.zeros((20, 28), np.uint8), r"must hold uint8 images \(n, 28, 28\), got uint8 \(20,"),
        (0, np.zeros((20, 28, 32), np.uint8), r"must hold uint8 images .*\(20, 28, 32\)"),
        (2, np.zeros((6, 28, 28), np.int16), r"must hold uint8 images .*, got int16 \(6, 28, 28\)"),
        (1, np.zeros((20, 1), np.uint8), r"must hold uint8 labels \(n,\), got uint8 \(20, 1\)"),
        (3, np.zeros(6, np.int32), r"must hold uint8 labels \(n,\), got int32 \(6,\)"),
        (1, np.zeros(19, np.uint8), "must hold a label for each of 20 images, got 19"),
        (3, np.full(6, 10, np.uint8), "must hold labels 0 to 9, got 10"),
    ],
)
def test_refuses_what_is_not_mnist(tmp_path, file, array, message):
    write_set(tmp_path)
    write_idx(tmp_path / f"{FILES[file]}.gz", array)
    with pytest.raises(ValueError, match=rf"{FILES[file]}\.gz {message}"):
        mnist(tmp_path)


@pytest.mark.parametrize("load", [mnist, fashion_mnist, mnist_mini])
@pytest.mark.parametrize("dtype", ["int8", "float", "", None])
def test_refuses_other_dtypes_before_anything_else(load, dtype):
    message = f'{load.__name__} dtype must be "float32", "float64" or "uint8", got {dtype!r}'
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load(dtype=dtype)


def test_mini_is_what_it_was():
    sums = []
    for (x, y), n in zip(mnist_mini("uint8"), (5000, 1000), strict=True):
        assert x.shape == (n, 1, 28, 28)
        assert_array_equal(np.bincount(y), n // 10)
        sums += [hashlib.sha256(a.astype(np.uint8).tobytes()).hexdigest() for a in (x, y)]
    assert sums == [
        "ec2d083541ddc4860d1c9f33c37069298fac9f81cc7f6e3c10329898a9d6f39e",
        "e680f1db0a09c91bdfe9fe7400d753fa0e70efcc2de5ad18e21ec1be48505aed",
        "180c3268ccc632e7fdb53d6a402514c21a8ec5e7815a0a771055c4fd076e7172",
        "0e6ae81e59e7a6910a42f63c7653a1694ebdd02c5c34dc1b1b0ae7b5843a2cb4",
    ]


def test_mini_is_shuffled():
    for _, y in mnist_mini():
        for part in np.split(y, 10):
            assert np.bincount(part, minlength=10).min() > 0


def test_mini_has_no_image_twice():
    (x, _), (xt, _) = mnist_mini("uint8")
    assert len({image.tobytes() for image in np.concatenate([x, xt])}) == 6000


def test_mini_is_small_and_says_where_it_comes_from():
    data = Path(module.__file__).with_name("data")
    assert sum(path.stat().st_size for path in data.iterdir()) < 1_300_000
    text = (data / "README.md").read_text(encoding="utf-8")
    assert "Corinna Cortes" in text
    assert "Attribution-ShareAlike 3.0" in text
    for file in FILES:
        content = gzip.decompress((data / f"{file}.gz").read_bytes())
        assert f"`{file}.gz`" in text
        assert hashlib.sha256(content).hexdigest() in text


def test_import_is_cheap():
    code = "import sys, deepfs.datasets; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pooch", "requests", "tqdm", "gzip"} & set(run.stdout.split())


class Handler(BaseHTTPRequestHandler):
    """Serve ``/<way to behave>/<file>``."""

    def do_GET(self):
        self.server.asked.append(self.path)
        _, how, file = self.path.replace("%20", " ").split("/")
        content = self.server.files[file]
        if how == "missing":
            return self.send_error(404)
        if how == "silent":
            return self.server.end.wait()
        if how in ("dripping header", "dripping body"):
            return self.drip(how == "dripping header")
        if how == "endless":
            return self.endless()
        if how == "encoded":
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            return self.wfile.write(gzip.compress(content))
        if how == "together":  # neither of two gets an answer before both have asked
            self.server.both.wait(timeout=30)
        self.send_response(200)
        promised = 10**8 if how == "promising" else len(content)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        sent = {"wrong": content[::-1], "cut": content[: len(content) // 2]}.get(how, content)
        return self.wfile.write(sent)

    def drip(self, header):
        """Send a byte now and then, until the test is over or the other side hangs up."""
        self.send_response(200)
        if not header:
            self.end_headers()
        self.flush_headers()
        with contextlib.suppress(OSError):
            while not self.server.end.wait(0.02):
                self.wfile.write(b"x")
                self.wfile.flush()

    def endless(self):
        """Send a body without end and without a length."""
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while not self.server.end.is_set():
                self.wfile.write(bytes(1 << 16))

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Run a loopback server with one small file, and point the cache to a folder of this test."""
    monkeypatch.setenv("DEEPFS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.asked = {"a.gz": bytes(range(256)) * 1000}, []
    server.end, server.both = threading.Event(), threading.Barrier(2)
    server.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.end.set()
    server.shutdown()
    server.server_close()
    thread.join()


def get(server, *ways):
    sha256 = hashlib.sha256(server.files["a.gz"]).hexdigest()
    mirrors = [f"{server.url}{way}/" for way in ways]
    return fetch("toys", "a.gz", sha256, mirrors, len(server.files["a.gz"]))


def cached(tmp_path):
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_download_once(server, tmp_path):
    path = get(server, "good", "missing")
    assert path == tmp_path / "cache" / "toys" / "a.gz"
    assert path.read_bytes() == server.files["a.gz"]
    assert get(server, "good", "missing") == path
    assert server.asked == ["/good/a.gz"]
    assert cached(tmp_path) == [path]


@pytest.mark.parametrize(
    "way",
    ["missing", "wrong", "cut", "silent", "dripping header", "dripping body", "endless", "encoded",
     "promising"],
)  # fmt: skip
def test_download_goes_on_to_the_next_mirror(server, tmp_path, monkeypatch, way):
    monkeypatch.setattr(_download, "_TIMEOUT", 0.3)
    path = get(server, way, "good", "missing")
    assert path.read_bytes() == server.files["a.gz"]
    assert server.asked == [f"/{way.replace(' ', '%20')}/a.gz", "/good/a.gz"]
    assert cached(tmp_path) == [path]


def test_download_fails_with_all_reasons_and_leaves_nothing(server, tmp_path, monkeypatch):
    monkeypatch.setattr(_download, "_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    ways = {
        "missing": "HTTP 404",
        "wrong": "wrong checksum",
        "silent": "ReadTimeout",
        "endless": "more than the 256000 bytes that are right",
        "promising": "100000000 bytes, at most 256000 are right",
        "encoded": "compressed on the way",
    }
    mirrors = {f"{server.url}{way}/": reason for way, reason in ways.items()}
    mirrors[nobody] = "ConnectionError"
    with pytest.raises(ConnectionError) as info:
        fetch(
            "toys", "a.gz", hashlib.sha256(server.files["a.gz"]).hexdigest(), list(mirrors), 256_000
        )
    reasons = " or ".join(f"{url} ({reason})" for url, reason in mirrors.items())
    assert str(info.value) == (
        f"toys could not download a.gz from {reasons}; put the data set's files in a folder and "
        "pass root=, or set DEEPFS_DATA to the parent of a folder toys"
    )
    assert cached(tmp_path) == []


def test_download_replaces_a_damaged_file(server):
    path = get(server, "good")
    path.write_bytes(b"damaged")
    assert get(server, "good").read_bytes() == server.files["a.gz"]


def test_download_stops_when_the_disk_is_at_fault(server, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="cache"):
        get(server, "good", "good")
    assert server.asked == []


def test_download_says_what_a_full_disk_needs(server, tmp_path, monkeypatch):
    real = _download.open if hasattr(_download, "open") else open

    class Full(io.FileIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(
        _download, "open", lambda name, mode: Full(name, mode[:1]) if mode == "wb" else real(name),
        raising=False,
    )  # fmt: skip
    with pytest.raises(OSError, match=r"needs 0.3 MB for a.gz in .*; set DEEPFS_CACHE") as info:
        get(server, "good", "good")
    assert info.value.errno == 28
    assert server.asked == ["/good/a.gz"]
    assert cached(tmp_path) == []


def test_download_asks_mirrors_with_https_first(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setenv("DEEPFS_CACHE", str(tmp_path))

    def refuse(self, url, file):
        asked.append(url)
        raise _download._MirrorError("not here")

    monkeypatch.setattr(_download._Download, "_read", refuse)
    mirrors = ["http://a/", "https://b/", "http://c/", "https://d/"]
    with pytest.raises(ConnectionError):
        fetch("toys", "a.gz", "0" * 64, mirrors)
    assert asked == [f"{url}a.gz" for url in ("https://b/", "https://d/", "http://a/", "http://c/")]


def test_download_needs_a_checksum(server):
    with pytest.raises(ValueError, match=r"a.gz needs a SHA-256 of 64 digits, got ''"):
        fetch("toys", "a.gz", "", [f"{server.url}good/"])
    assert server.asked == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_a_pipe_is_no_file_of_a_data_set(server, tmp_path):
    (tmp_path / "cache" / "toys").mkdir(parents=True)
    os.mkfifo(tmp_path / "cache" / "toys" / "a.gz")
    with pytest.raises(FileExistsError, match=r"a.gz must be a file or nothing"):
        get(server, "good")
    with pytest.raises(ValueError, match=r"a.gz must be a regular file"):
        deepfs.datasets.read_idx(tmp_path / "cache" / "toys" / "a.gz")


def test_download_that_is_interrupted_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupt(self, reader):
        raise KeyboardInterrupt

    monkeypatch.setattr(_download._Download, "_watch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        get(server, "dripping body")
    assert cached(tmp_path) == []


def test_download_by_two_processes_at_once(server, tmp_path):
    code = (
        "import sys; from deepfs.datasets._download import fetch; "
        "fetch(*sys.argv[1:4], sys.argv[4:])"
    )
    sha256 = hashlib.sha256(server.files["a.gz"]).hexdigest()
    command = [sys.executable, "-c", code, "toys", "a.gz", sha256, f"{server.url}together/"]
    runs = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [run.wait(timeout=60) for run in runs] == [0, 0]
    assert server.asked == ["/together/a.gz"] * 2
    [path] = cached(tmp_path)
    assert path.read_bytes() == server.files["a.gz"]


@pytest.mark.parametrize("terminal", [False, True])
def test_download_shows_progress_to_a_terminal_only(server, monkeypatch, terminal):
    stderr = io.StringIO()
    stderr.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", stderr)
    get(server, "good")
    assert ("100%" in stderr.getvalue()) == terminal


def test_download_without_pooch(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"^downloading toys needs pooch: pip install pooch$"):
        fetch("toys", "a.gz", "", [])


@pytest.mark.parametrize("load", [mnist, fashion_mnist])
def test_data_sets_download(server, tmp_path, monkeypatch, load):
    arrays = write_set(tmp_path / "origin")
    server.files = {path.name: path.read_bytes() for path in (tmp_path / "origin").iterdir()}
    sums = [hashlib.sha256(server.files[f"{file}.gz"]).hexdigest() for file in FILES]
    monkeypatch.setattr(module, "fetch", fetch)
    monkeypatch.setitem(module._MIRRORS, load.__name__, (f"{server.url}good/",))
    monkeypatch.setitem(module._SHA256, load.__name__, sums)
    for _ in range(2):
        assert_array_equal(load(dtype="uint8")[1][0][:, 0], arrays[2])
    assert server.asked == [f"/good/{file}.gz" for file in FILES]
    assert {path.parent for path in cached(tmp_path)} == {tmp_path / "cache" / load.__name__}


def test_addresses():
    for name in MD5:
        assert len(module._MIRRORS[name]) > 1
        assert all(re.fullmatch(r"https?://[^ ]+/", url) for url in module._MIRRORS[name])
        assert len(module._SIZES[name]) == len(FILES)
        assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in module._SHA256[name])
    assert len({sha256 for sums in module._SHA256.values() for sha256 in sums}) == 8


def real(name):
    """Load the full data set, or skip the test."""
    for folder in FOLDERS[name]:
        if folder.is_dir():
            return getattr(deepfs.datasets, name)(folder, dtype="uint8")
    return pytest.skip(f"{name} is not on this machine")


@pytest.mark.mnist
@pytest.mark.parametrize("name", MD5)
def test_real_files_are_the_published_ones(name):
    for (x, y), sums in zip(real(name), (MD5[name][:2], MD5[name][2:]), strict=True):
        headers = struct.pack(">4I", 0x803, len(x), 28, 28), struct.pack(">2I", 0x801, len(y))
        for header, array, md5 in zip(headers, (x, y), sums, strict=True):
            content = header + array.astype(np.uint8).tobytes()
            assert hashlib.md5(content, usedforsecurity=False).hexdigest() == md5


@pytest.mark.mnist
def test_mini_is_a_subset():
    for (x, y), (mini_x, mini_y) in zip(real("mnist"), mnist_mini("uint8"), strict=True):
        labels = {image.tobytes(): label for image, label in zip(x, y, strict=True)}
        assert [labels.get(image.tobytes()) for image in mini_x] == mini_y.tolist()
