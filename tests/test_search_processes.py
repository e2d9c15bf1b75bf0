"""`deepfs.search` in processes: kill -9, resumption, databases, a cluster of Dask."""

import concurrent.futures
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("optuna")

import optuna
from optuna.storages import RDBStorage

import deepfs as dfs
from deepfs.tuning import owners, processes
from deepfs.tuning.slots import by_slot, is_lost
from deepfs.tuning.storage import FileLock, open_storage, remove_half_line
from search_models import SPACE, build, data, killing

SCRIPT = Path(__file__).with_name("search_script.py")
TRIALS = 16
SETTINGS = {"seed": 0, "epochs": 2, "batch_size": 16, "verbose": 0}


def study(storage):
    return optuna.load_study(study_name="search", storage=open_storage(storage))


def results(storage):
    """Return settings and values by slot, of trials that are finished."""
    return {
        slot: (trial.params, trial.value)
        for slot, trial in by_slot(study(storage).get_trials()).items()
        if trial.state.is_finished()
    }


def start(*arguments, **settings):
    return subprocess.Popen(
        [sys.executable, SCRIPT, *map(str, arguments)], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, **settings,
    )  # fmt: skip


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.parametrize(("name", "jobs"), [("search.db", 1), ("search.log", 2)])
def test_a_killed_search_goes_on(tmp_path, monkeypatch, name, jobs):
    storage, whole = tmp_path / name, tmp_path / f"whole-{name}"
    with start(whole, "random", 1, TRIALS) as process:
        process.communicate()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with start(storage, "random", jobs, TRIALS) as process:
        for _ in range(3):  # lines of trials
            process.stdout.readline()
        own = children(process.pid) if sys.platform == "linux" else []
        process.kill()
    assert len(own) == (jobs if jobs > 1 and own else 0)
    for pid in own:  # they end with the process that started them
        for _ in range(100):
            if not owners.started(pid):
                break
            time.sleep(0.1)
        else:
            pytest.fail("a process goes on without the one that started it")
    if own:
        assert not list(tmp_path.glob("deepfs-search-*"))  # copies of the data
    kept = results(storage)
    assert 3 <= len(kept) < TRIALS
    with start(storage, "random", jobs, TRIALS) as process:
        lines = process.communicate()[0].splitlines()
    assert lines[-1] == "done"
    assert len(lines) == 1 + TRIALS - len(kept)
    assert results(storage) == results(whole)
    assert kept.items() <= results(storage).items()
    lost = [trial for trial in study(storage).get_trials() if is_lost(trial)]
    assert len(lost) <= jobs


def test_a_trial_whose_process_is_killed_has_failed_and_the_search_goes_on(tmp_path):
    space = {"lr": [0.1], "units": [2, 3, 4, 5]}
    search = dfs.search(killing, space, data(), "grid", n_jobs=2, **SETTINGS)
    assert [entry.state for entry in search.log] == ["", "failed", "", ""]
    assert search.log[1].verdict == "its process was ended by signal 9, as for want of memory"


def test_functions_of_a_notebook_travel_by_cloudpickle(monkeypatch):
    pytest.importorskip("cloudpickle")
    units = [2, 3]

    def inner(params):
        return build(params | {"units": units[params["which"]]})

    space = {"lr": 0.1, "which": [0, 1]}
    search = dfs.search(inner, space, data(), "grid", n_jobs=2, refit=False, **SETTINGS)
    assert [entry.state for entry in search.log] == ["", ""]
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(TypeError, match="define them at the top of a module, or pip install cloud"):
        dfs.search(inner, space, data(), "grid", n_jobs=2, **SETTINGS)


def test_a_job_travels_with_its_arrays_apart(tmp_path):
    x, y = data()
    processes.write_job(tmp_path, (build, x, y))
    assert (tmp_path / processes.JOB).stat().st_size < 4000
    made, again, labels = processes.read_job(tmp_path)
    assert made is build
    assert (again == x).all()
    assert (labels == y).all()
    assert not again.flags.writeable


def test_trials_of_other_machines_are_left_alone_until_they_are_silent(monkeypatch):
    mine = {owners.OWNER: owners.owner(), owners.ALIVE: 0}
    assert not owners.is_alive(mine, 3)
    monkeypatch.setattr(owners, "_at_work", {3})
    assert owners.is_alive(mine, 3)
    if sys.platform != "win32":
        parent = [owners.machine(), os.getppid(), owners.started(os.getppid())]
        assert owners.is_alive({owners.OWNER: parent})
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert not owners.is_alive({owners.OWNER: [owners.machine(), ended.pid, "1"]})
    if sys.platform == "linux":
        zombie = subprocess.Popen([sys.executable, "-c", ""])
        begin = owners.started(zombie.pid)
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        assert begin
        assert not owners.is_alive({owners.OWNER: [owners.machine(), zombie.pid, begin]})
        zombie.wait()
    if sys.platform == "linux":  # the number of the process was given away again
        assert not owners.is_alive({owners.OWNER: [owners.machine(), os.getpid(), "1"]})
    there = {owners.OWNER: ["elsewhere", 1, ""], owners.ALIVE: time.time()}
    assert owners.is_alive(there)
    assert not owners.is_alive(there | {owners.ALIVE: time.time() - owners.SILENT - 1})
    assert not owners.is_alive({})


def test_a_trial_that_an_error_left_behind_is_repeated(tmp_path, monkeypatch):
    """Of this process: `SystemExit` in `build` is no failure of a trial, and ends the search."""

    def leaving(params):
        raise SystemExit

    settings = {"storage": tmp_path / "search.log", **SETTINGS}
    with pytest.raises(SystemExit):
        dfs.search(leaving, SPACE, data(), "random", 2, **settings)
    search = dfs.search(build, SPACE, data(), "random", 2, **settings)
    assert [entry.state for entry in search.log] == ["", ""]


def test_signs_of_life_are_given_during_a_trial(tmp_path, monkeypatch):
    monkeypatch.setattr(owners, "BEAT", 0.01)
    storage = open_storage(tmp_path / "search.log")
    trial = optuna.create_study(storage=storage).ask()
    with owners.beating(storage, trial._trial_id):
        for _ in range(200):
            time.sleep(0.01)
            if owners.ALIVE in storage.get_trial(trial._trial_id).user_attrs:
                break
        else:
            pytest.fail("no sign of life in 2 s")


@pytest.mark.parametrize("left", [b"", b'{"half', b"x" * 70_000])
def test_a_half_line_of_a_killed_process_is_removed(tmp_path, left):
    path = tmp_path / "search.log"
    for whole in (b"", b"{}\n", b"{}\n" * 40_000):
        path.write_bytes(whole + left)
        remove_half_line(path)
        assert path.read_bytes() == whole


@pytest.mark.skipif(sys.platform == "win32", reason="its lock is Optuna's")
def test_the_lock_of_a_killed_process_is_free(tmp_path):
    path = tmp_path / "search.log"
    code = (
        "import os, signal, sys, pathlib; from deepfs.tuning.storage import FileLock;"
        "FileLock(pathlib.Path(sys.argv[1])).acquire(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    process = subprocess.run([sys.executable, "-c", code, path], check=False)
    assert process.returncode == -signal.SIGKILL
    begin = time.monotonic()
    lock = FileLock(path)
    lock.acquire()
    lock.release()
    assert time.monotonic() - begin < 5


def test_only_one_process_takes_a_trial_of_an_sqlite_file(tmp_path, monkeypatch):
    """Both had read that it waits before one wrote that it runs."""
    storages = [open_storage(tmp_path / "search.db") for _ in range(2)]
    made = optuna.create_study(storage=storages[0])
    made.enqueue_trial({})
    both, check = threading.Barrier(2), RDBStorage.check_trial_is_updatable

    def checked(self, *arguments):
        check(self, *arguments)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.3)

    monkeypatch.setattr(RDBStorage, "check_trial_is_updatable", checked)

    def take(storage):
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            return storage.set_trial_state_values(1, optuna.trial.TrialState.RUNNING)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(take, storages)) == [False, True]


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT")
def test_ctrl_c_ends_a_search_and_keeps_what_is_finished(tmp_path, jobs):
    storage = tmp_path / "search.db"
    with start(storage, "random", jobs, 40, start_new_session=True) as process:
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        rest = process.communicate()[0]
    assert process.returncode == 0
    assert rest.endswith("done\n")
    assert 1 <= len(results(storage)) < 40
    for trial in study(storage).get_trials():  # one may be taken, but not yet noted
        assert trial.state.name != "RUNNING" or owners.OWNER not in trial.user_attrs


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Start a cluster of Dask with two workers; yield its client."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None,
            local_directory=tmp_path_factory.mktemp("dask"),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        yield client


@pytest.mark.parametrize("where", ["nowhere", "a file", "the scheduler of Dask"])
@pytest.mark.filterwarnings("ignore:DaskStorage is experimental")
def test_a_cluster_of_dask(tmp_path, client, where):
    storage = tmp_path / "search.db" if where == "a file" else None
    if where == "the scheduler of Dask":
        storage = pytest.importorskip("optuna_integration").DaskStorage(client=client)
    search = dfs.search(
        build, SPACE, data(), "random", 6, client=client, storage=storage, **SETTINGS
    )
    alone = dfs.search(build, SPACE, data(), "random", 6, **SETTINGS)
    assert [entry.value for entry in search.log] == [entry.value for entry in alone.log]
    took = {tuple(trial.user_attrs[owners.OWNER]) for trial in search.trials}
    assert os.getpid() not in {pid for _, pid, _ in took}


def test_workers_of_dask_on_other_machines_need_a_storage():
    class Client:
        def run(self, function):
            return {"tcp://here:1": function(), "tcp://there:1": "there"}

        def scatter(self, job, broadcast): ...

    for client, error, text in [
        (Client(), ValueError, r'other machines, so search needs a storage .*: storage="postgres'),
        ("tcp://here:1", TypeError, "client must be a distributed.Client, such as .*got 'tcp://h"),
    ]:
        with pytest.raises(error, match=text):
            dfs.search(build, SPACE, data(), "random", 6, client=client, **SETTINGS)


@pytest.fixture
def postgresql(tmp_path):
    """Start a server of PostgreSQL on a socket of its own; yield the URL of a database."""
    pytest.importorskip("psycopg2")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    folder = found[-1].parent if found else Path(shutil.which("pg_ctl") or "none/pg_ctl").parent
    if not (folder / "initdb").exists():
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    place = tmp_path / "server"
    as_user = []
    if os.geteuid() == 0:  # the server refuses to run as root
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        place = Path(f"/tmp/deepfs-pg-{os.getpid()}")
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    options = f"-c listen_addresses= -c unix_socket_directories={place} -c fsync=off"

    def call(*arguments):
        subprocess.run([*as_user, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)

    try:
        call(folder / "initdb", "-D", place / "data", "-U", "search", "-A", "trust", "-N")
        call(folder / "pg_ctl", "-D", place / "data", "-w", "-l", place / "log", "-o", options,
             "start")  # fmt: skip
        yield f"postgresql://search@/postgres?host={place}"
        call(folder / "pg_ctl", "-D", place / "data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_calls_on_several_machines_share_a_database(postgresql):
    """Two programs, each as on a machine of its own, and one that is killed."""
    with (
        start(postgresql, "random", 1, 8) as first,
        start(postgresql, "random", 2, 8) as second,
        start(postgresql, "random", 1, 8) as third,
    ):
        third.stdout.readline()
        third.kill()
        lines = [process.communicate()[0].splitlines() for process in (first, second)]
    assert [told[-1] for told in lines] == ["done", "done"]
    alone = dfs.search(build, SPACE, data(), "random", 8, **SETTINGS)
    assert results(postgresql) == {e.number: (e.params, e.value) for e in alone.log}
