"""Training on several processes of MPI; tests/ranks.py is what they run."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("mpi4py")

import cnn_core
import deepfs as dfs
from deepfs.distributed.world import portable

HERE = Path(__file__).parent
MPIEXEC = Path(sys.executable).with_name("mpiexec")
FEW = 10  # seconds within which all ranks end if one fails

pytestmark = pytest.mark.skipif(not MPIEXEC.exists(), reason="there is no mpiexec of MPICH")


def start(ranks, *command, first=(), **settings):
    """Start ranks of a script; ``first`` are options of rank 0 alone."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | settings.pop("env", {})
    line = [sys.executable, *map(str, command)]
    split = ["-n", "1", *first, *line, ":", "-n", str(ranks - 1)] if first else ["-n", str(ranks)]
    return subprocess.Popen(
        [MPIEXEC, *split, *line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, stdin=subprocess.DEVNULL, **settings,
    )  # fmt: skip


def run(ranks, *command, timeout=20, **settings):
    """Return exit status and both outputs of ranks of a script."""
    with start(ranks, *command, **settings) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        finally:
            process.kill()
    return process.returncode, out, err


def of_each(output, ranks):
    """Return what ranks have printed, by name; all must have printed the same."""
    lines = {rank: [] for rank in range(ranks)}
    for rank, line in re.findall(r"rank (\d): (.*)", output):
        lines[int(rank)].append(line)
    return lines


@pytest.fixture(scope="module")
def of_one(tmp_path_factory):
    """What one process prints."""
    folder = tmp_path_factory.mktemp("one")
    done = subprocess.run(
        [sys.executable, HERE / "ranks.py", "hashes", folder], capture_output=True, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return of_each(done.stdout, 1)[0]


@pytest.mark.parametrize("ranks", [2, 4])
def test_one_hash_for_any_number_of_ranks(ranks, of_one, tmp_path):
    status, out, err = run(ranks, HERE / "ranks.py", "hashes", tmp_path)
    assert status == 0, err
    assert len(of_one) == 9
    assert of_each(out, ranks) == dict.fromkeys(range(ranks), of_one)
    assert err == ""


def test_ranks_begin_with_what_rank_0_has(tmp_path):
    status, out, err = run(2, HERE / "ranks.py", "own_seeds", tmp_path)
    assert status == 0, err
    first, second = of_each(out, 2).values()
    assert first[0] == second[0]
    assert first[1] == "alone 1 14"
    assert second[1] == "alone 1 12"


def test_what_is_refused(tmp_path):
    """And an error of one rank is raised on all; each is the same on all ranks."""
    status, out, err = run(2, HERE / "ranks.py", "refusals", tmp_path)
    assert status == 0, err
    first, second = of_each(out, 2).values()
    told = dict(line.split(" ", 1) for line in first)
    same = "ValueError: all ranks must have the same "
    for name, wanted in {
        "data": same + "training data, those of ranks 0 and 1 differ: all ranks need all data",
        "targets": same + "training data",
        "length": same + r"fit.inputs\[0\]: rank 0 has 70, rank 1 has 69",
        "setting": same + "fit.shuffle: rank 0 has True, rank 1 has False",
        "model": same + "model.optimizer.lr: rank 0 has 0.1, rank 1 has 0.5",
        "weights": same + "weights of the trained model, those of ranks 0 and 1 differ",
        "callback": same + r"callbacks\[0\]: rank 0 has .*patience=1",
        "version": same + "deepfs: rank 0 has '9.0', rank 1 has '9.1'",
        "shards": "ValueError: shards must be a multiple of the 2 ranks of mpiexec, got shards=3; "
        "give shards=4, or mpiexec -n 1",
        "size": "ValueError: shards must be at most batch_size=1, so that none is empty, got "
        "2 ranks",
    }.items():
        assert re.match(wanted, told[name]), told[name]
        assert told[name].endswith("; 0 steps")
    assert re.match(r"OSError: disk full; raised by the callback At .*; 3 steps", told["one"])
    assert told["stop"] == "3 steps"
    assert re.match(r"ValueError: an iterable must yield the same .*; 1 steps", told["stream"])
    assert re.match("ValueError: an iterable has ended on some ranks .*; 2 steps", told["ended"])
    assert told["after"] == "5 steps"
    other = dict(line.split(" ", 1) for line in second)
    for name, text in told.items():
        assert text.partition(";")[0] == other[name].partition(";")[0]
    assert "raised on rank 1 of 2" in told["one"]


def test_ranks_of_other_instruction_sets_are_refused(tmp_path):
    if cnn_core.level not in ("v3", "v4"):
        pytest.skip("needs two levels")
    first = ("-env", "DEEPFS_ISA", "v2")
    status, _, err = run(2, HERE / "ranks.py", "own_seeds", tmp_path, first=first)
    assert status == 1
    assert "all ranks must have the same instruction set: rank 0 has 'v2', rank 1 has 'v" in err
    assert err.count("Traceback") == 1


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("early", "KeyError: 'no such file'"),
        ("before_mpi", "KeyError: 'no such file'"),
        ("leave", "rank 1 has failed, so all ranks end: SystemExit: 3"),
    ],
)
def test_all_ranks_end_if_one_does(case, message, tmp_path):
    began = time.monotonic()
    status, _, err = run(2, HERE / "ranks.py", case, tmp_path)
    assert status != 0
    assert message in err
    assert "rank 1 has failed, so all ranks end" in err
    assert time.monotonic() - began < FEW


def test_a_killed_rank_and_a_resumed_run(tmp_path):
    """Killed with 2 ranks, resumed with 4: the bits are those of one process without a break."""
    kept, whole = tmp_path / "kept", tmp_path / "whole"
    began = time.monotonic()
    status, out, err = run(2, HERE / "ranks.py", "killed", kept)
    assert time.monotonic() - began < FEW
    assert status != 0
    assert "KILLED" in (out + err).upper()  # the message of mpiexec
    assert [path.name for path in sorted(kept.iterdir())][-1] == "step-000000010.safetensors"
    status, out, err = run(4, HERE / "ranks.py", "resumed", kept)
    assert status == 0, err
    _, expected, _ = run(1, HERE / "ranks.py", "resumed", whole)
    assert of_each(out, 4) == dict.fromkeys(range(4), of_each(expected, 1)[0])


def test_ctrl_c_stops_all(tmp_path):
    with start(2, HERE / "ranks.py", "interrupted", tmp_path, start_new_session=True) as process:
        line = process.stdout.readline()
        assert "runs" in line
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, err = process.communicate(timeout=30)
    assert time.monotonic() - began < FEW
    assert process.returncode == 0, err
    first, second = (lines[-1] for lines in of_each(line + out, 2).values())
    assert first == second
    steps = int(first.removeprefix("interrupted True "))
    assert dfs.load(tmp_path / f"step-{steps:09d}.safetensors").steps == steps


def test_deepfs_train(tmp_path):
    """Rank 0 prints and saves; the file is that of one process with as many shards."""
    command = ["-m", "deepfs", "train", "mnist_mini", "--epochs", "1", "--batch-size", "500"]
    status, out, err = run(2, *command, cwd=tmp_path)
    assert status == 0, err
    assert out.count("test accuracy") == 1
    assert err == ""
    name = "mnist_mini-mini_convnet.safetensors"
    saved = (tmp_path / name).read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    done = subprocess.run([sys.executable, *command, "--shards", "2"], cwd=tmp_path,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0
    assert (tmp_path / name).read_bytes() == saved
    status, out, err = run(2, *command, "--out", "nowhere", cwd=tmp_path)
    assert status == 2
    assert err == "deepfs train: error: --out must be a folder that exists, got 'nowhere'\n"


def test_errors_that_another_process_cannot_read():
    class OwnError(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} and {two}")

    assert str(portable(OwnError(1, 2))) == "OwnError: 1 and 2"
    assert type(portable(KeyError("a"))) is KeyError


def test_a_launcher_of_another_mpi():
    """All processes would train the same and write over each other's files."""
    environment = os.environ | {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "4"}
    code = "import deepfs as dfs; dfs.distributed.rank()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=environment)  # fmt: skip
    assert done.returncode
    assert "RuntimeError: the launcher started 4 processes, and mpi4py finds 1: it is of" in (
        done.stderr
    )


def test_without_mpi4py():
    code = "import sys; sys.modules['mpi4py'] = None; import deepfs as dfs; dfs.distributed.rank()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=os.environ | {"PMI_RANK": "0", "PMI_SIZE": "2"})  # fmt: skip
    wanted = "ImportError: a training under mpiexec needs mpi4py: pip install deepfs[distributed]\n"
    assert wanted in done.stderr
