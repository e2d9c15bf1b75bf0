"""CIFAR-10 and CIFAR-100: all forms in which they are found, and pickles that are not executed."""

import hashlib
import io
import pickle
import struct
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from deepfs import datasets
from deepfs.data import Loader
from deepfs.datasets import cifar10, cifar100, read_cifar
from deepfs.datasets._download import fetch
from deepfs.datasets._pickles import read_pickle

module = import_module("deepfs.datasets.cifar")
TRAIN10 = [f"data_batch_{number}" for number in range(1, 6)]


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.delenv("DEEPFS_DATA", raising=False)
    monkeypatch.setattr(module, "fetch", refuse)


def refuse(dataset, *args):
    raise AssertionError(f"{dataset} went to the network")


def rows(n, seed):
    return np.random.default_rng(seed).integers(0, 256, (n, 3072), np.uint8)


def parts(dataset):
    """Return pixels and labels (coarse, fine) of each file."""
    names = [*TRAIN10, "test_batch"] if dataset == "cifar10" else ["train", "test"]
    found = {}
    for seed, name in enumerate(names):
        coarse = np.arange(4) + seed
        fine = (np.arange(4) * 9 + seed) % (10 if dataset == "cifar10" else 100)
        found[name] = rows(4, seed), coarse.astype(np.uint8), fine.astype(np.uint8)
    return found


def binary(dataset):
    for name, (x, coarse, fine) in parts(dataset).items():
        columns = (fine,) if dataset == "cifar10" else (coarse, fine)
        yield f"{name}.bin", np.column_stack([*columns, x]).astype(np.uint8).tobytes()


def python2(text):
    """Return text as cPickle of Python 2 writes it."""
    return b"U" + bytes([len(text)]) + text


def pickled(dataset):
    """As the authors' files: protocol 2, text of Python 2."""
    for name, (x, coarse, fine) in parts(dataset).items():
        labels = {b"labels": fine} if dataset == "cifar10" else {
            b"coarse_labels": coarse, b"fine_labels": fine}  # fmt: skip
        content = b"\x80\x02}("
        for key, values in labels.items():
            content += python2(key) + b"](" + b"".join(b"K" + bytes([v]) for v in values) + b"e"
        raw = x.tobytes()
        content += (
            python2(b"data") + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
            b"U\x01b\x87R(K\x01K\x04M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|"
            b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
            + struct.pack("<i", len(raw))
            + raw
            + b"tbu."
        )
        yield name, content


def python3(dataset):
    for name, (x, coarse, fine) in parts(dataset).items():
        made = {"data": x, "fine_labels": fine.tolist(), "coarse_labels": coarse.tolist()}
        yield name, pickle.dumps(made | {"labels": fine.tolist()}, 4)


FORMS = {"binary": binary, "python": pickled, "python3": python3}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("inner", ["", "folder", "archive"])
@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_every_form_gives_the_same(form, inner, dataset, tmp_path):
    kind = "binary" if form == "binary" else "python"
    number = dataset[5:]
    suffix = {"cifar10binary": "batches-bin", "cifar10python": "batches-py"}.get(
        dataset + kind, kind
    )
    folder = tmp_path / (f"cifar-{number}-{suffix}" if inner == "folder" else "")
    folder.mkdir(exist_ok=True)
    if inner == "archive":
        with tarfile.open(tmp_path / f"cifar-{number}-{kind}.tar.gz", "w:gz") as archive:
            for name, content in FORMS[form](dataset):
                member = tarfile.TarInfo(f"cifar-{number}/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    else:
        for name, content in FORMS[form](dataset):
            (folder / name).write_bytes(content)
    load = cifar10 if dataset == "cifar10" else cifar100
    *train, test = parts(dataset).values()
    (x, y), (xt, yt) = load(tmp_path, "uint8")
    assert_array_equal(x.reshape(-1, 3072), np.concatenate([part[0] for part in train]))
    assert_array_equal(y, np.concatenate([part[2] for part in train]))
    assert_array_equal(xt.reshape(-1, 3072), test[0])
    assert_array_equal(yt, test[2])
    assert (x.shape[1:], y.dtype) == ((3, 32, 32), np.int64)
    assert load(tmp_path)[0][0].dtype == np.float32
    assert_array_equal(load(tmp_path)[1][0], xt / np.float32(255))
    if dataset == "cifar100":
        assert_array_equal(load(tmp_path, label_mode="coarse")[1][1], test[1])


def test_pictures_in_folders_and_jpegs_in_arrays(tmp_path):
    image = pytest.importorskip("PIL.Image")
    jpegs, kept = [], {"train": [], "test": []}
    for number in range(6):
        part, name = ("train", "test")[number % 2], datasets.CIFAR10_CLASSES[number]
        path = tmp_path / "folders" / part / name / "a.jpg"
        path.parent.mkdir(parents=True)
        image.fromarray(rows(1, number).reshape(32, 32, 3)).save(path, quality=90)
        with image.open(path) as picture:
            kept[part].append((np.asarray(picture).transpose(2, 0, 1), number))
        jpegs.append((part, path.read_bytes(), number))
    arrays = {}
    for part in kept:
        own = [(content, label) for where, content, label in jpegs if where == part]
        arrays[f"{part}_jpeg"] = np.frombuffer(b"".join(c for c, _ in own), np.uint8)
        arrays[f"{part}_offsets"] = np.cumsum([0, *(len(c) for c, _ in own)])
        arrays[f"{part}_labels"] = np.array([label for _, label in own], np.uint8)
    (tmp_path / "arrays").mkdir()
    np.savez(tmp_path / "arrays" / "any_jpeg.npz", **arrays)
    for form in ("folders", "arrays"):
        for (x, y), part in zip(cifar10(tmp_path / form, "uint8"), kept, strict=True):
            assert_array_equal(x, [pixels for pixels, _ in kept[part]])
            assert_array_equal(y, [label for _, label in kept[part]])
    arrays["test_offsets"][1] -= 60
    np.savez(tmp_path / "arrays" / "any_jpeg.npz", **arrays)
    with pytest.raises(ValueError, match=r"any_jpeg\.npz:test\[0\] must be a JPEG"):
        cifar10(tmp_path / "arrays")


def test_the_classes():
    """As the authors' batches.meta and meta list them."""
    assert datasets.CIFAR10_CLASSES[3] == "cat"
    fine, coarse = datasets.CIFAR100_CLASSES, datasets.CIFAR100_SUPERCLASSES
    assert (len(fine), len(coarse)) == (100, 20)
    assert fine == tuple(sorted(fine))
    assert coarse == tuple(sorted(coarse))
    assert (fine[11], fine[99], coarse[14], coarse[19]) == ("boy", "worm", "people", "vehicles_2")
    assert datasets.FASHION_MNIST_CLASSES[9] == "Ankle boot"
    assert datasets.MNIST_CLASSES[7] == "7"


def test_one_file_is_a_source(tmp_path):
    for name, content in (*binary("cifar10"), *pickled("cifar100")):
        (tmp_path / name).write_bytes(content)
    loader = Loader(tmp_path / "data_batch_2.bin", 4)
    assert loader.class_names == datasets.CIFAR10_CLASSES
    assert_array_equal(loader.y, parts("cifar10")["data_batch_2"][2])
    x, y, names = read_cifar(tmp_path / "train")
    assert names == datasets.CIFAR100_CLASSES
    assert_array_equal(y, parts("cifar100")["train"][2])
    assert_array_equal(x.reshape(4, -1), rows(4, 0))


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cifar10 found neither data_batch_1\.bin"):
        cifar10(tmp_path)
    for name, content in binary("cifar10"):
        (tmp_path / name).write_bytes(content)
    path = tmp_path / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"data_batch_3\.bin must hold records of 3073 bytes"):
        cifar10(tmp_path)
    path.write_bytes(bytes([10]) + bytes(3072))
    with pytest.raises(ValueError, match="must hold labels 0 to 9, got 0 to 10"):
        cifar10(tmp_path)
    path.unlink()
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(b"\x1f\x8b no archive")
    with pytest.raises(ValueError, match=r"tar\.gz must be a \.tar\.gz archive, and whole"):
        cifar10(tmp_path)
    with tarfile.open(archive, "w:gz") as made:
        made.addfile(tarfile.TarInfo("a/test_batch.bin"), io.BytesIO())
    with pytest.raises(ValueError, match=r"cifar-10-binary.tar.gz:test_batch\.bin must hold"):
        cifar10(tmp_path)
    with pytest.raises(ValueError, match='dtype must be "float32", "float64" or "uint8"'):
        cifar10(tmp_path, "int")
    with pytest.raises(ValueError, match="label_mode must be one of 'fine', 'coarse'"):
        cifar100(tmp_path, label_mode="medium")


def archived(dataset):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in binary(dataset):
            member = tarfile.TarInfo(f"cifar/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_the_archive_is_downloaded_once_and_checked(dataset, tmp_path, monkeypatch):
    content, asked = archived(dataset), []

    class Site(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    file = module.ARCHIVES[dataset][0]
    monkeypatch.setattr(module, "fetch", fetch)
    monkeypatch.setenv("DEEPFS_CACHE", str(tmp_path))
    right = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(module.ARCHIVES, dataset, (file, right, len(content)))
    load = cifar10 if dataset == "cifar10" else cifar100
    with HTTPServer(("127.0.0.1", 0), Site) as server:
        monkeypatch.setattr(module, "MIRRORS", (f"http://127.0.0.1:{server.server_port}/",))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            for _ in range(2):
                assert_array_equal(load()[1][1], [*parts(dataset).values()][-1][2])
            assert asked == [f"/{file}"]
            monkeypatch.setitem(module.ARCHIVES, dataset, (file, "0" * 64, len(content)))
            with pytest.raises(ConnectionError, match=f"{dataset} could not download .*checksum"):
                load()
        finally:
            server.shutdown()
            thread.join()


def test_the_authors_archives():
    """SHA-256 and sizes as several independent readers of the data sets have them."""
    assert module.MIRRORS == ("https://www.cs.toronto.edu/~kriz/",)
    assert module.ARCHIVES["cifar10"][1].startswith("c4a38c50a1bc5f3a")
    assert module.ARCHIVES["cifar100"][1].startswith("58a81ae192c23a4b")
    assert [size for _, _, size in module.ARCHIVES.values()] == [170_052_171, 168_513_733]


# pickles


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_data_are_read(protocol):
    given = {
        "data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [1, -2, 300, 2**40],
        "names": ["a", "b\n"], b"bytes": b"\x00\xff", "t": (1, 2.5, None, True, False, (), (1,)),
        "big": np.arange(4, dtype=">f8").reshape(2, 2, order="F"), "e": {}, "l": [[], {}],
    }  # fmt: skip
    found = read_pickle(pickle.dumps(given, protocol), "it")
    assert found.keys() == {key if isinstance(key, str) else "bytes" for key in given}
    for key in ("data", "big"):
        assert_array_equal(found.pop(key), given.pop(key))
    given["bytes"] = given.pop(b"bytes")
    assert found == given


class Evil:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_of_a_pickle_is_executed(protocol, capsys):
    for given in (Evil(), {"data": Evil()}, np.array([Evil()], object), {1, 2}, object(), print):
        with pytest.raises(ValueError, match=r"a file must be a pickle of .* it was not executed"):
            read_pickle(pickle.dumps(given, protocol), "a file")
    assert capsys.readouterr().out == ""


def test_damaged_pickles_are_refused_or_read():
    content = pickle.dumps({"data": np.arange(60, dtype=np.uint8), "labels": [*range(40)]}, 2)
    random = np.random.default_rng(0)
    for _ in range(500):
        damaged = bytearray(content)
        for at in random.integers(0, len(content), 3):
            damaged[at] = random.integers(0, 256)
        try:
            read_pickle(bytes(damaged), "it")
        except ValueError as error:
            assert "it must be a pickle" in str(error)  # noqa: PT017


def test_a_pickle_that_would_grow_without_end_does_not():
    """Each list holds the one before it twice, 100 times."""
    content = b"](" + b"K\x01" * 2 + b"e" + b"".join(
        b"q" + bytes([i]) + b"](h" + bytes([i]) + b"h" + bytes([i]) + b"e" for i in range(100)
    ) + b"."  # fmt: skip
    assert len(read_pickle(content, "it")) == 2
