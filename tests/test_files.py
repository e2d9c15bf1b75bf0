"""Folders that are not ours: links, modes, pipes, other people's files, other threads."""

import contextlib
import errno
import os
import socket
import stat
import threading

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.saving import tensors
from deepfs.saving.checkpoints import Checkpoints
from deepfs.saving.tensors import TensorFile, write
from models import small_model
from test_saving import rewrite

needs_posix = pytest.mark.skipif(tensors.fcntl is None, reason="modes, links and pipes of POSIX")


@pytest.fixture
def model():
    made = dfs.Model(L.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.Adam())
    made.train_on_batch(np.eye(4, dtype="f"), [0, 1, 0, 1])
    return made


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@contextlib.contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@needs_posix
@pytest.mark.parametrize("kept", [0o600, 0o640, 0o664, 0o444, 0o755])
def test_a_file_that_is_replaced_keeps_its_mode(kept, model, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_text("earlier")
    path.chmod(kept)
    with umask(0o077 if kept & 0o4 else 0):
        model.save(path)
    assert mode(path) == kept
    assert dfs.load(path).steps == 1


@needs_posix
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077, 0o002])
def test_the_umask_decides_about_a_new_file_and_is_never_changed(
    mask, model, tmp_path, monkeypatch
):
    """Setting it to read it, even for a moment, would open the files of other threads."""
    path = tmp_path / "m.safetensors"
    with umask(mask):
        monkeypatch.setattr(os, "umask", lambda _: pytest.fail("the umask was changed"))
        model.save(path)
        monkeypatch.undo()
    assert mode(path) == 0o666 & ~mask


@needs_posix
def test_nobody_else_reads_what_will_be_private(model, tmp_path, monkeypatch):
    path, seen = tmp_path / "m.safetensors", []
    model.save(path)
    path.chmod(0o600)
    fsync = os.fsync

    def look(handle):
        seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
        fsync(handle)

    take_over = tensors.take_over
    monkeypatch.setattr(os, "fsync", look)
    monkeypatch.setattr(
        tensors,
        "take_over",
        lambda file, earlier: (seen.append(mode(file)), take_over(file, earlier)),
    )
    model.save(path)
    assert seen[:2] == [0o600, 0o600]


@needs_posix
def test_a_group_that_cannot_be_kept_loses_its_rights(model, tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    model.save(path)
    path.chmod(0o660)
    earlier = os.stat_result([*path.stat()[:5], 12345, *path.stat()[6:]])

    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    tensors.take_over(path, earlier)
    assert mode(path) == 0o600


@needs_posix
@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_is_followed(exists, model, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    target, first, link = tmp_path / "b" / "real", tmp_path / "a" / "l1", tmp_path / "l2"
    first.symlink_to("../b/real")  # relative to its own folder
    link.symlink_to(first)
    if exists:
        target.write_text("earlier")
        target.chmod(0o600)
    model.save(link)
    assert link.is_symlink()
    assert first.is_symlink()
    assert not target.is_symlink()
    assert dfs.load(target).steps == dfs.load(link).steps == 1
    assert mode(target) == (0o600 if exists else 0o644)
    assert sorted(os.listdir(tmp_path / "b")) == ["real"]
    assert os.listdir(tmp_path / "a") == ["l1"]


@needs_posix
def test_a_checkpoint_folder_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    x, y = np.eye(4, dtype="f"), np.arange(4) % 2
    made = dfs.Model(L.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.Adam())
    made.fit(x, y, epochs=3, verbose=0, checkpoint=tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert len(os.listdir(tmp_path / "real")) == 2


@needs_posix
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "is a FIFO, a model is saved to a regular file"),
        (os.mkdir, "is a folder, a model is saved to a file"),
        (lambda path: os.symlink(path.name, path), "Too many levels of symbolic links"),
        (lambda path: os.symlink("/dev/null", path), "is a device, a model is saved to a regular"),
        (lambda path: os.symlink("nowhere/m", path), "there is no folder .*nowhere"),
    ],
)
def test_refuses_what_is_no_file(make, message, model, tmp_path):
    path = tmp_path / "m"
    make(path)
    before = path.lstat()
    with pytest.raises(OSError, match=message):
        model.save(path)
    assert os.listdir(tmp_path) == ["m"]
    assert path.lstat().st_ino == before.st_ino


@needs_posix
def test_refuses_a_socket(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("m")
        with pytest.raises(OSError, match="m is a socket, a model is saved to a regular file"):
            model.save("m")


@needs_posix
def test_loading_never_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "m")
    with pytest.raises(FileNotFoundError, match="no such file, but something that is no regular"):
        dfs.load(tmp_path / "m")


OWN = (  # what others may call their files
    ".deepfs-best.safetensors",
    ".deepfs-x",
    ".deepfs-0123456789abcdef",
    ".deepfs-0123456789abcde.tmp",
    ".deepfs-0123456789ABCDEF.tmp",
    ".deepfs-0123456789abcdef.tmp.bak",
    ".deepfs",
    ".deepfs-k3v9x_2a",
    "deepfs-0123456789abcdef.tmp",
)


def test_files_with_names_like_ours_stay(model, tmp_path):
    for name in OWN:
        (tmp_path / name).write_text(name)
    model.save(tmp_path / ".deepfs-best2.safetensors")
    model.save(tmp_path / "b")
    assert sorted(os.listdir(tmp_path)) == sorted([*OWN, ".deepfs-best2.safetensors", "b"])
    for name in OWN:
        assert (tmp_path / name).read_text() == name


@needs_posix
@pytest.mark.parametrize("make", [
    os.mkfifo,
    os.mkdir,
    lambda path: os.symlink("precious", path),
    lambda path: os.symlink("nowhere", path),
    lambda path: socket.socket(socket.AF_UNIX).bind(path.name),
], ids=["fifo", "folder", "link", "dangling", "socket"])  # fmt: skip
@pytest.mark.parametrize("name", [".deepfs-x", ".deepfs-0123456789abcdef.tmp"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_nothing_of_a_temporary_name_blocks_a_save_or_is_removed(
    make, name, model, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "precious").write_text("mine")
    make(tmp_path / name)
    model.save(tmp_path / "m")
    assert sorted(os.listdir(tmp_path)) == sorted([name, "m", "precious"])
    assert (tmp_path / "precious").read_text() == "mine"


@needs_posix
def test_files_of_other_users_are_not_removed(model, tmp_path, monkeypatch):
    orphan = tmp_path / ".deepfs-0123456789abcdef.tmp"
    orphan.write_text("half of a model")
    monkeypatch.setattr(os, "geteuid", lambda: orphan.stat().st_uid + 1)
    model.save(tmp_path / "m")
    assert orphan.exists()
    monkeypatch.undo()
    model.save(tmp_path / "m")
    assert not orphan.exists()


@needs_posix
def test_a_folder_that_cannot_be_listed(model, tmp_path, monkeypatch):
    """As a drop box is: one may put something in, but not look."""
    real = os.open

    def refuse(path, flags, *more):
        if flags == os.O_RDONLY:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, flags, *more)

    def unlisted(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "listdir", unlisted)
    model.save(tmp_path / "m")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["m"]
    assert dfs.load(tmp_path / "m").steps == 1


def test_a_folder_that_may_not_be_written(model, tmp_path, monkeypatch):
    def refuse(path, flags, *more):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError, match=r"denied: m.safetensors cannot be written"):
        model.save(tmp_path / "m.safetensors")


def test_arrays_that_change_while_they_are_saved(tmp_path, monkeypatch):
    """Checksums of one moment with bytes of another would be a file that nobody can load."""
    array, loops = {"a": np.zeros(10), "b": np.zeros(10)}, []
    write(tmp_path / "m", array, 1)
    before = (tmp_path / "m").read_bytes()
    whole = tensors.pieces

    def other_thread(given):
        loops.append(given)
        if len(loops) == 4:  # the second array is written
            given[3] = 7
        return whole(given)

    monkeypatch.setattr(tensors, "pieces", other_thread)
    with pytest.raises(RuntimeError, match="m has not been written: the array 'b' changed mean"):
        write(tmp_path / "m", array, 2)
    assert (tmp_path / "m").read_bytes() == before
    assert os.listdir(tmp_path) == ["m"]


def test_a_count_that_changes_while_a_model_is_saved(model, tmp_path, monkeypatch):
    path = tmp_path / "m"
    model.save(path)
    before, whole = path.read_bytes(), tensors.pieces

    def other_thread(given):
        model.trainer.steps += 1
        return whole(given)

    monkeypatch.setattr(tensors, "pieces", other_thread)
    with pytest.raises(RuntimeError, match="the number of steps or a setting changed meanwhile"):
        model.save(path)
    assert path.read_bytes() == before


def test_saving_beside_a_thread_that_trains(tmp_path):
    """Each save is either an error that keeps the file before, or a model of one moment."""
    net = L.Sequential([L.Dense(300), L.ReLU(), L.Dense(300), L.Dense(3)])
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD(1e-3))
    x, y = np.ones((4, 300), "f"), np.arange(4) % 3
    model.train_on_batch(x, y)
    path, over, refused = tmp_path / "m", threading.Event(), 0
    model.save(path)

    def train():
        while not over.is_set():
            model.train_on_batch(x, y)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        for _ in range(20):
            try:
                model.save(path)
            except RuntimeError as error:
                assert "changed meanwhile" in str(error)  # noqa: PT017
                refused += 1
            dfs.load(path)
    finally:
        over.set()
        thread.join()
    model.save(path)
    assert_array_equal(dfs.load(path).arena.values, model.arena.values)
    assert os.listdir(tmp_path) == ["m"]


def test_saving_in_many_threads_at_once(model, tmp_path):
    failed = []

    def save():
        try:
            for _ in range(10):
                model.save(tmp_path / "m")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=save) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert os.listdir(tmp_path) == ["m"]
    assert dfs.load(tmp_path / "m").steps == 1


@needs_posix
def test_only_checkpoints_that_are_files_with_our_names_count(tmp_path):
    (tmp_path / "step-000000009.safetensors").mkdir()
    os.mkfifo(tmp_path / "step-000000008.safetensors")
    (tmp_path / "step-1.safetensors").write_text("mine")
    (tmp_path / "step-2.safetensors").write_text("mine")
    (tmp_path / "step-3.safetensors").write_text("mine")
    model = small_model()
    x, y = np.zeros((8, 1, 8, 8), "f"), np.arange(8) % 3
    before = sorted(os.listdir(tmp_path))
    model.fit(x, y, batch_size=4, epochs=3, verbose=0, checkpoint=tmp_path)
    ours = [path.name for path in Checkpoints(tmp_path).paths()]
    assert ours == ["step-000000004.safetensors", "step-000000006.safetensors"]
    assert sorted(os.listdir(tmp_path)) == sorted(before + ours)


def test_many_norms_are_saved_and_loaded(tmp_path):
    net = L.Sequential([L.BatchNorm() for _ in range(1300)] + [L.Dense(2)])
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam())
    x = np.arange(12, dtype="f").reshape(4, 3)
    model.train_on_batch(x, [0, 1, 0, 1])
    model.save(tmp_path / "m")
    other = dfs.load(tmp_path / "m")
    assert_array_equal(other.predict(x), model.predict(x))
    assert_array_equal(other.state["v"], model.state["v"])


def test_refuses_to_save_what_cannot_be_loaded(tmp_path, monkeypatch):
    net = L.Sequential([L.Residual(L.ReLU(), L.Sequential([L.ReLU()])), L.Dense(2)])
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    model.predict(np.ones((1, 3)))
    monkeypatch.setattr("deepfs.saving.settings.MAX_LAYERS", 6)
    monkeypatch.setattr("deepfs.saving.model.MAX_LAYERS", 6)
    model.save(tmp_path / "m")
    dfs.load(tmp_path / "m")
    monkeypatch.setattr("deepfs.saving.settings.MAX_LAYERS", 5)
    monkeypatch.setattr("deepfs.saving.model.MAX_LAYERS", 5)
    with pytest.raises(dfs.CheckpointError, match="names more than 5 layers"):
        dfs.load(tmp_path / "m")
    with pytest.raises(ValueError, match="a file takes at most 5 layers, got 6"):
        model.save(tmp_path / "m")


WRONG = ["abc", None, True, 7, 1.5, -1, [None], [1.5], [True], ["3"], [-1], [[[]]], {"a": 1},
         float("nan"), float("inf"), 2**70, [2**70], {}, [], ["x" * 10**5]]  # fmt: skip
RIGHT = {
    "in_shape": [],  # a tree of shapes is for networks of several inputs: those, too, refuse it
    "steps": [7],
    "state_since": [],
    "epochs": [7],
    "dtype": [],
    "frozen": [[]],
    "check_finite": [True],
    "report_penalty": [True],
    "metrics": [[], ["3"], ["x" * 10**5]],  # of one's own: `load` warns that they are lost
    "network": [],
    "loss": [],
    "optimizer": [],
}


def same(a, b):
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("field", RIGHT)
def test_every_field_of_a_file_has_a_type_and_a_range(field, tmp_path):
    """What is not the one it must be is a CheckpointError, and no model with it comes out."""
    model, path = small_model(), tmp_path / "m"
    model.train_on_batch(np.zeros((4, 1, 8, 8), "f"), [0, 1, 2, 0])
    model.save(path)
    good = path.read_bytes()
    for value in WRONG:
        if any(same(value, right) for right in RIGHT[field]):
            continue
        path.write_bytes(good)
        rewrite(path, lambda _, d, value=value: d.update({field: value}))
        with pytest.raises(dfs.CheckpointError):
            dfs.load(path)
    path.write_bytes(good)
    rewrite(path, lambda _, d: d.update(frozen=["nothing"]))
    with pytest.raises(dfs.CheckpointError, match="frozen names 'nothing', which is no layer"):
        dfs.load(path)


@pytest.mark.parametrize("value", ["abc", [None], [1.5], [True], [-1], 3, None, [["3"]], {"a": 3}])
def test_a_shape_in_a_file_is_one_even_where_no_layer_asks(value, tmp_path):
    model = dfs.Model(L.ReLU(), dfs.losses.MeanSquaredError(), dfs.optimizers.SGD(), ())
    model.predict(np.ones((1, 3)))
    model.save(tmp_path / "m")
    rewrite(tmp_path / "m", lambda _, d: d.update(in_shape=value))
    with pytest.raises(dfs.CheckpointError, match="does not describe a model"):
        dfs.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dropout_1.key", [-1, 0]),
        ("dropout_1.key", [0, -1]),
        ("dropout_1.key", [0, 2**32]),
        ("dropout_1.calls", [-1]),
        ("batchnorm_1.batches", [-1]),
        ("batchnorm_1.running_var", [1, 1, 1, -0.5, 1, 1]),
    ],
)
def test_buffers_that_no_layer_can_have(name, value, tmp_path):
    model, path = small_model(), tmp_path / "m"
    model.train_on_batch(np.zeros((4, 1, 8, 8), "f"), [0, 1, 2, 0])
    model.save(path)
    before = model.network.buffers()[name].copy()

    def change(tensors, _):
        tensors[f"buffer/{name}"][...] = value

    rewrite(path, change)
    with pytest.raises(dfs.CheckpointError, match=f"has 'buffer/{name}' with"):
        dfs.load(path)
    assert_array_equal(model.network.buffers()[name], before)


@pytest.mark.parametrize("seed", [0, 2**62, 2**62 + 1, 2**63 - 1])
def test_any_seed_is_resumed(seed, tmp_path):
    """A process that chooses none has one above 2**62 half of the time."""
    histories = []
    for epochs in ([2], [1, 2]):
        for number in epochs:
            dfs.set_seed(seed)
            model = small_model()
            x, y = np.eye(8, dtype="f")[:, None, None].repeat(8, 2), np.arange(8) % 3
            folder = tmp_path / str(len(epochs))
            history = model.fit(
                x, y, 4, number, verbose=0, checkpoint=folder, resume=folder.exists()
            )
        histories.append(history)
    assert histories[0] == histories[1]


@pytest.mark.parametrize(
    ("field", "value"),
    [("order", [0, 2**32]), ("order", [2**63, 0]), ("order", [0]), ("order", "ab"),
     ("order", [None, None]),
     ("random", [-1, 0]), ("random", [0, -1]), ("random", [0, 0, 0]), ("random", [0.5, 0]),
     ("epoch", -1), ("epoch", "1"), ("at", 1.5), ("stopped", 1), ("history", [1]),
     ("history", {"loss": 3})],
)  # fmt: skip
def test_a_position_of_a_run_that_cannot_be(field, value, tmp_path):
    x, y = np.zeros((8, 1, 8, 8), "f"), np.arange(8) % 3
    small_model().fit(x, y, 4, 1, verbose=0, checkpoint=tmp_path)
    (path,) = Checkpoints(tmp_path).paths()[-1:]
    rewrite(path, lambda _, d: d["run"].update({field: value}))
    model = small_model()
    model.predict(x)
    before = [p.value.copy() for p in model.network.parameters().values()]
    with pytest.raises(dfs.CheckpointError, match="is not a checkpoint of a run"):
        model.fit(x, y, 4, 2, verbose=0, checkpoint=tmp_path, resume=True)
    for parameter, value in zip(model.network.parameters().values(), before, strict=True):
        assert_array_equal(parameter.value, value)
    assert model.steps == 0


def test_a_header_that_safetensors_did_not_check(tmp_path, monkeypatch):
    """The file may be replaced between its check and ours."""
    import safetensors

    monkeypatch.setattr(safetensors, "safe_open", lambda *_, **__: contextlib.nullcontext())
    write(tmp_path / "m", {"a": np.arange(4.0)}, {})
    content = (tmp_path / "m").read_bytes()
    for old, new in (
        (b'"F64"', b'"F32"'),
        (b'"F64"', b'"F6x"'),
        (b'"shape": [4]', b'"shape": [5]'),
        (b'"shape": [4]', b'"shape": [x]'),
        (b'"shape": [4]', b'"shape":[-4]'),
        (b'"shape": [4]', b'"shape": "4"'),
        (b"[0, 32]", b"[8, 32]"),
        (b"[0, 32]", b"[0, 40]"),
        (b"[0, 32]", b"[0,1.5]"),
        (b"[0, 32]", b"[-8,24]"),
        (b'"data_offsets"', b'"data_0ffsets"'),
    ):
        assert old in content
        (tmp_path / "m").write_bytes(content.replace(old, new))
        with pytest.raises(dfs.CheckpointError, match=r"is not a safetensors file|is damaged"):
            TensorFile(tmp_path / "m")
